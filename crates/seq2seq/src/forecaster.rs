//! A row of numbers for every row: what comes next in a series, or another series that goes with it.
//!
//! ```text
//! h_t = layers(u_t, h_{t−1})                                 [B, H], dropout between the layers
//! y_t = h_t · W_o + b_o            (says = "value")          [B, L]
//! y_t = h_t · W_o + b_o + u_t      (says = "change")         L = K
//! loss = Σ_t mean_l (y_t − d_t)²                             over the steps behind the lead-in
//! ```
//!
//! It learns from windows of a series. In the first steps of a window it has heard too little to be blamed:
//! they have no loss.
//!
//! Source: R. J. Williams & D. Zipser (1989), A Learning Algorithm for Continually Running Fully Recurrent
//! Neural Networks.

use burn::{module::Param, nn::Initializer, prelude::*, tensor::DType};
use rand::{RngExt, seq::SliceRandom};
use recurrent_cells::{AnyCell, Cell, CellKind, Layer, Stack, Stream};
use recurrent_kernels::linear;
use recurrent_training::{Batches, Learn, Loss, Moment};
use serde::{Deserialize, Serialize};

use crate::{
    OutOfRange, Series,
    config::{at_least_one, cell_fits, share},
};

/// Sizes and kinds of a [`Forecaster`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForecasterConfig {
    /// Features of the state of a layer, `H`.
    pub d_hidden: usize,
    /// Layers, at least 1.
    pub layers: usize,
    /// The cell of all layers.
    pub cell: CellKind,
    /// Share of the values dropped between layers while learning, in `[0, 1)`.
    pub dropout: f64,
    /// What the linear layer says.
    pub says: Says,
}

/// What the linear layer of a [`Forecaster`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// The row.
    #[default]
    Value,
    /// What is added to the row that was heard: of a series that changes little from step to step, this is
    /// the part that has to be learned.
    Change,
}

impl Default for ForecasterConfig {
    fn default() -> Self {
        Self { d_hidden: 64, layers: 1, cell: CellKind::Lstm, dropout: 0.0, says: Says::Value }
    }
}

impl ForecasterConfig {
    /// Checks every value, for rows of `inputs` numbers that are heard and `outputs` that are said.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self, [inputs, outputs]: [usize; 2]) -> Result<(), OutOfRange> {
        at_least_one("d_hidden", self.d_hidden)?;
        at_least_one("layers", self.layers)?;
        cell_fits(&self.cell)?;
        share("dropout", self.dropout)?;
        if self.says == Says::Change && inputs != outputs {
            let range = "\"value\" for a model that says other columns than it hears";
            return Err(OutOfRange::new("says", "change", range));
        }
        Ok(())
    }

    /// Draws a model for rows of `inputs` numbers that are heard and `outputs` that are said.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse.
    pub fn init(&self, sizes: [usize; 2], device: &Device) -> Forecaster<AnyCell> {
        if let Err(error) = self.validate(sizes) {
            panic!("{error}");
        }
        let ([inputs, outputs], h) = (sizes, self.d_hidden);
        let layer = |n| self.cell.init(if n == 0 { inputs } else { h }, h, device);
        let bound = 1.0 / (h as f64).sqrt();
        let w_o = Initializer::Uniform { min: -bound, max: bound }.init([h, outputs], device);
        Forecaster {
            stack: Stack::new((0..self.layers).map(layer).collect()).with_dropout(self.dropout),
            w_o: Param::from_tensor(w_o.into_value().detach()),
            b_o: Param::from_tensor(Tensor::zeros([outputs], device)),
            says: self.says,
        }
    }
}

/// A model that says a row for every row that it hears.
#[derive(Module, Debug)]
pub struct Forecaster<C: Cell> {
    /// The layers, bottom first.
    pub stack: Stack<C>,
    /// `W_o`, `[H, L]`.
    pub w_o: Param<Tensor<2>>,
    /// `b_o`, `[L]`.
    pub b_o: Param<Tensor<1>>,
    /// What the linear layer says.
    #[module(skip)]
    pub says: Says,
}

impl<C: Cell> Forecaster<C> {
    /// Where the model is.
    pub fn device(&self) -> Device {
        self.w_o.val().device()
    }

    /// The states before the first step, one a layer, of `batch` series.
    pub fn start(&self, batch: usize) -> Vec<C::State> {
        self.stack.start(batch)
    }

    /// What is said to every row of series of one length, `[B, T, K]` to `[B, T, L]`, and the states behind
    /// them; from `start` or from the model's own.
    ///
    /// # Panics
    ///
    /// If there are not as many features as the model hears.
    pub fn forward(&self, u: &Series, start: Option<Vec<C::State>>) -> (Tensor<3>, Vec<C::State>) {
        let x = u.tensor(&self.device(), self.dtype());
        let (h, last) = self.stack.forward(x.clone(), start, &u.lengths());
        let y = linear(h, self.w_o.val(), Some(self.b_o.val()));
        (self.said(y, x), last)
    }

    /// One step: rows `[B, K]` to `[B, L]`.
    ///
    /// # Panics
    ///
    /// If there are not as many features as the model hears.
    pub fn step(&self, u: Tensor<2>, state: Vec<C::State>) -> (Tensor<2>, Vec<C::State>) {
        let (h, state) = self.stack.stream(u.clone(), state);
        let y = linear(h.unsqueeze_dim(1), self.w_o.val(), Some(self.b_o.val()));
        (self.said(y, u.unsqueeze_dim(1)).squeeze_dim(1), state)
    }

    /// The dtype of the weights.
    pub fn dtype(&self) -> DType {
        self.w_o.val().dtype()
    }

    fn said(&self, y: Tensor<3>, u: Tensor<3>) -> Tensor<3> {
        match self.says {
            Says::Value => y,
            Says::Change => y + u,
        }
    }
}

/// Windows of a series that a model learns from in one step.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowBatch {
    /// What is heard, `[B, T, K]`.
    pub u: Series,
    /// What is to be said, `[B, T, L]`.
    pub d: Series,
    /// Steps at the start of each window that have no loss, below `T`.
    pub lead_in: usize,
}

impl<C: Cell + 'static> Learn for Forecaster<C> {
    type Batch = WindowBatch;
    type Carried = ();

    /// # Panics
    ///
    /// If windows have other features than the model, or no step has a loss.
    fn learn(&self, batch: &WindowBatch, _: Option<()>, _: &Moment) -> (Loss, ()) {
        let (y, _) = self.forward(&batch.u, None);
        let [windows, steps, columns] = y.dims();
        assert!(batch.lead_in < steps, "a window has steps behind its lead-in");
        let d = batch.d.tensor(&y.device(), y.dtype());
        let error = (y - d).slice([0..windows, batch.lead_in..steps, 0..columns]);
        let sum = error.powi_scalar(2).sum() / columns as f64;
        let items = windows * (steps - batch.lead_in);
        (Loss { nll: sum.clone().detach(), sum, weight: items as f64, items }, ())
    }
}

/// How windows are cut from a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Windows {
    /// Steps of a window, above `lead_in`.
    pub steps: usize,
    /// Steps at its start that have no loss.
    pub lead_in: usize,
    /// Windows of a batch, above 0.
    pub batch: usize,
}

impl Default for Windows {
    fn default() -> Self {
        Self { steps: 100, lead_in: 20, batch: 32 }
    }
}

impl Windows {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        at_least_one("batch", self.batch)?;
        let range = format!("above the {} of `lead_in`", self.lead_in);
        OutOfRange::check("steps", self.steps, |steps| *steps > self.lead_in, &range)
    }
}

/// A series in windows, which have every step in their part with a loss once an epoch, but for the first and
/// last few: each epoch cuts at other places.
#[derive(Clone, Debug)]
pub struct WindowBatches {
    u: Vec<f32>,
    d: Vec<f32>,
    /// `K` and `L`.
    columns: [usize; 2],
    windows: Windows,
}

impl WindowBatches {
    /// Windows of the series `u`, `[T, K]`, and `d`, `[T, L]`, row by row; `columns` are `K` and `L`.
    ///
    /// # Panics
    ///
    /// If the series are not of one length, or shorter than a window.
    pub fn new(u: Vec<f32>, d: Vec<f32>, columns: [usize; 2], windows: Windows) -> Self {
        let steps = u.len() / columns[0];
        assert!(
            u.len() == steps * columns[0] && d.len() == steps * columns[1],
            "[T, K] and [T, L]"
        );
        assert!(
            steps >= windows.steps,
            "a series of {steps} steps has a window of {}",
            windows.steps
        );
        Self { u, d, columns, windows }
    }

    fn total(&self) -> usize {
        self.u.len() / self.columns[0]
    }
}

impl Batches for WindowBatches {
    /// Where the windows of a batch begin.
    type Plan = Vec<usize>;
    type Batch = WindowBatch;

    fn epoch(&self, seed: u64, epoch: usize) -> Vec<Vec<usize>> {
        let Windows { steps, lead_in, batch } = self.windows;
        let mut rng = Moment { seed, epoch, step: usize::MAX }.rng();
        let stride = steps - lead_in;
        let last = self.total() - steps;
        let first = rng.random_range(0..stride.min(last + 1));
        let mut starts: Vec<usize> = (first..=last).step_by(stride).collect();
        starts.shuffle(&mut rng);
        starts.chunks(batch).map(<[usize]>::to_vec).collect()
    }

    fn batch(&self, starts: &Vec<usize>) -> WindowBatch {
        let steps = self.windows.steps;
        let cut = |values: &[f32], columns: usize| {
            let window =
                |start: &usize| values[start * columns..(start + steps) * columns].to_vec();
            Series::new(&starts.iter().map(window).collect::<Vec<_>>(), columns)
        };
        let (u, d) = (cut(&self.u, self.columns[0]), cut(&self.d, self.columns[1]));
        WindowBatch { u, d, lead_in: self.windows.lead_in }
    }
}

#[cfg(test)]
mod tests;
