//! One recurrent layer over a batch of sequences, input and output as wide as each other.
//!
//! ```text
//! forward    y = layer(x)                                  no graph
//! training   y = layer(x),  ∇ Σ y²  of x and all weights
//! ```

use burn::{nn::Initializer, prelude::*};
use recurrent_cells::{
    CarouselConfig, Cell, Checkpointed, CoupledLstmConfig, GnmtLstmConfig, GruCell, GruConfig,
    Layer, LayerNormLstmConfig, LeakRate, LeakyConfig, Lengths, LstmCell, LstmConfig,
    OriginalLstmConfig, PeepholeLstmConfig, ProjectedLstmConfig, RnnConfig, SkipConfig,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    burn_layer::{burn_gru, burn_lstm},
    case::{Case, Numbers, Work, uniform},
    module::{numbers_of, redrawn},
};

/// Which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CellName {
    /// The plain recurrent network, tanh.
    Rnn,
    /// Leaky units with learned rates.
    Leaky,
    /// Skip connections of 1 and 10 steps.
    Skip,
    /// The constant error carousel.
    Carousel,
    /// The LSTM of 1997.
    OriginalLstm,
    /// The LSTM.
    Lstm,
    /// The LSTM with peepholes.
    PeepholeLstm,
    /// The LSTM with coupled gates.
    CoupledLstm,
    /// The LSTM with layer normalisation.
    LayerNormLstm,
    /// GNMT's LSTM.
    GnmtLstm,
    /// The LSTM with a projection to half its width.
    ProjectedLstm,
    /// The GRU.
    Gru,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Outputs, on a device without autodiff.
    Forward,
    /// Outputs and the gradients of the sum of their squares.
    Training,
}

/// How long the sequences are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// All have `T` steps.
    Full,
    /// From 1 to `T`, all lengths alike.
    Ragged,
}

/// One layer, one shape, one way.
#[derive(Clone, Copy, Debug)]
pub struct LayerCase {
    /// Which cell.
    pub cell: CellName,
    /// `[B, T, H]`.
    pub shape: [usize; 3],
    /// What is done.
    pub mode: Mode,
    /// How long the sequences are.
    pub fill: Fill,
}

impl CellName {
    /// Every cell of `recurrent-cells`.
    pub const ALL: [Self; 12] = [
        Self::Rnn,
        Self::Leaky,
        Self::Skip,
        Self::Carousel,
        Self::OriginalLstm,
        Self::Lstm,
        Self::PeepholeLstm,
        Self::CoupledLstm,
        Self::LayerNormLstm,
        Self::GnmtLstm,
        Self::ProjectedLstm,
        Self::Gru,
    ];

    /// As it is named in the names of cases.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rnn => "rnn",
            Self::Leaky => "leaky",
            Self::Skip => "skip",
            Self::Carousel => "carousel",
            Self::OriginalLstm => "original_lstm",
            Self::Lstm => "lstm",
            Self::PeepholeLstm => "peephole_lstm",
            Self::CoupledLstm => "coupled_lstm",
            Self::LayerNormLstm => "layer_norm_lstm",
            Self::GnmtLstm => "gnmt_lstm",
            Self::ProjectedLstm => "projected_lstm",
            Self::Gru => "gru",
        }
    }

    /// Products of an `[H]` with an `[H, H]` in one step of one sequence.
    fn products(self) -> f64 {
        match self {
            Self::Rnn | Self::Leaky | Self::Carousel => 2.0,
            Self::Skip => 3.0,
            Self::OriginalLstm | Self::CoupledLstm | Self::Gru => 6.0,
            Self::Lstm | Self::PeepholeLstm | Self::LayerNormLstm | Self::GnmtLstm => 8.0,
            Self::ProjectedLstm => 4.0 + 2.0 + 0.5,
        }
    }
}

/// The same shapes for every cell.
pub const SHAPES: [[usize; 3]; 5] =
    [[16, 20, 64], [32, 50, 256], [32, 50, 512], [64, 35, 1024], [1, 200, 256]];

/// Every cell in every shape, both ways, and ragged where there is more than one sequence.
pub fn all() -> impl Iterator<Item = LayerCase> {
    cases(&SHAPES)
}

/// Every cell in one small shape, for comparing results.
pub fn small() -> impl Iterator<Item = LayerCase> {
    cases(&[[3, 5, 8]]).filter(|case| case.mode == Mode::Training)
}

fn cases(shapes: &[[usize; 3]]) -> impl Iterator<Item = LayerCase> {
    let shapes = shapes.to_vec();
    CellName::ALL.into_iter().flat_map(move |cell| {
        let of_shape = move |shape: [usize; 3]| {
            let way = move |(mode, fill)| LayerCase { cell, shape, mode, fill };
            let full = [Mode::Forward, Mode::Training].map(|mode| (mode, Fill::Full));
            let ragged = (shape[0] > 1).then_some((Mode::Training, Fill::Ragged));
            full.into_iter().chain(ragged).map(way)
        };
        shapes.clone().into_iter().flat_map(of_shape)
    })
}

impl LayerCase {
    /// The lengths of the sequences.
    pub fn lengths(&self) -> Lengths {
        let [batch, steps, _] = self.shape;
        match self.fill {
            Fill::Full => Lengths::full(batch, steps),
            Fill::Ragged => {
                // From 1 to T in equal steps, and not in order.
                let rank = |row: usize| (row * 7 + 3) % batch;
                let length = |row| 1 + rank(row) * (steps - 1) / (batch - 1).max(1);
                Lengths::new((0..batch).map(length).collect::<Vec<_>>(), steps)
            }
        }
    }

    fn x(&self) -> TensorData {
        uniform(&self.shape, 1.0, 1)
    }

    /// The device to compute on: with a graph if gradients are wanted.
    fn device(&self, device: &Device) -> Device {
        match self.mode {
            Mode::Forward => device.clone().without_autodiff(),
            Mode::Training => device.clone().autodiff(),
        }
    }

    /// The cell, with the same weights on every device.
    fn layer(&self, device: &Device) -> Box<dyn Recurrence> {
        // Orthogonal matrices take long to draw, and all are drawn anew.
        let zeros = || Initializer::Zeros;
        let (h, d) = (self.shape[2], device);
        match self.cell {
            CellName::Rnn => ready(RnnConfig::new(h, h).with_recurrent_init(zeros()).init(d)),
            CellName::Leaky => {
                let config = LeakyConfig::new(h, h, LeakRate::Learned { longest: 8.0 });
                ready(config.with_recurrent_init(zeros()).init(d))
            }
            CellName::Skip => {
                let config = SkipConfig::new(h, h, vec![1, 10]);
                ready(config.with_recurrent_init(zeros()).init(d))
            }
            CellName::Carousel => {
                ready(CarouselConfig::new(h, h).with_recurrent_init(zeros()).init(d))
            }
            CellName::OriginalLstm => {
                ready(OriginalLstmConfig::new(h, h).with_recurrent_init(zeros()).init(d))
            }
            CellName::Lstm => ready(self.lstm(d)),
            CellName::PeepholeLstm => {
                ready(PeepholeLstmConfig::new(h, h).with_recurrent_init(zeros()).init(d))
            }
            CellName::CoupledLstm => {
                ready(CoupledLstmConfig::new(h, h).with_recurrent_init(zeros()).init(d))
            }
            CellName::LayerNormLstm => ready(LayerNormLstmConfig::new(h, h).init(d)),
            CellName::GnmtLstm => ready(GnmtLstmConfig::new(h, h).init(d)),
            CellName::ProjectedLstm => ready(ProjectedLstmConfig::new(h, h, h / 2).init(d)),
            CellName::Gru => ready(self.gru(d)),
        }
    }

    fn lstm(&self, device: &Device) -> LstmCell {
        let h = self.shape[2];
        LstmConfig::new(h, h).with_recurrent_init(Initializer::Zeros).init(device)
    }

    /// The LSTM, which keeps so many steps at a time.
    pub(crate) fn checkpointed(&self, every: usize, device: &Device) -> Work {
        let device = self.device(device);
        self.work(ready(Checkpointed::new(self.lstm(&device), every)), &device)
    }

    fn gru(&self, device: &Device) -> GruCell {
        let h = self.shape[2];
        GruConfig::new(h, h).with_recurrent_init(Initializer::Zeros).init(device)
    }

    /// Burn's own layer of the same weights: of an LSTM and a GRU, over full sequences, which is
    /// all that it can do.
    fn burn_layer(&self, device: &Device) -> Option<Box<dyn Recurrence>> {
        if self.fill == Fill::Ragged {
            return None;
        }
        match self.cell {
            CellName::Lstm => Some(Box::new(burn_lstm(&redrawn(self.lstm(device), 1.0), device))),
            CellName::Gru => Some(Box::new(burn_gru(&redrawn(self.gru(device), 1.0), device))),
            _ => None,
        }
    }

    fn work(&self, layer: Box<dyn Recurrence>, device: &Device) -> Work {
        let (x, lengths) = (Tensor::from_data(self.x(), device), self.lengths());
        match self.mode {
            Mode::Forward => Box::new(move || drop(layer.outputs(x.clone(), &lengths))),
            Mode::Training => Box::new(move || {
                let x = x.clone().detach().require_grad();
                drop(layer.outputs(x, &lengths).square().sum().backward());
            }),
        }
    }

    /// The outputs, and where there are gradients that of `x`.
    fn numbers_out(&self, layer: &dyn Recurrence, device: &Device) -> Vec<f64> {
        let x = Tensor::<3>::from_data(self.x(), device);
        match self.mode {
            Mode::Forward => layer.outputs(x, &self.lengths()).into_data().iter().collect(),
            Mode::Training => {
                let x = x.require_grad();
                let y = layer.outputs(x.clone(), &self.lengths());
                let gradients = y.clone().square().sum().backward();
                let of_x = x.grad(&gradients).expect("`x` is tracked");
                [y.into_data(), of_x.into_data()].iter().flat_map(|data| data.iter()).collect()
            }
        }
    }
}

/// Sequences to sequences.
pub(crate) trait Recurrence {
    /// The outputs for `x`, `[B, T, H]`.
    fn outputs(&self, x: Tensor<3>, lengths: &Lengths) -> Tensor<3>;

    /// The weights by their names.
    fn weights(&self) -> Numbers;
}

struct Ours<C>(C);

impl<C: Cell> Recurrence for Ours<C> {
    fn outputs(&self, x: Tensor<3>, lengths: &Lengths) -> Tensor<3> {
        self.0.forward(x, None, lengths).0
    }

    fn weights(&self) -> Numbers {
        numbers_of(&self.0)
    }
}

fn ready<C: Cell + 'static>(cell: C) -> Box<dyn Recurrence> {
    Box::new(Ours(redrawn(cell, 1.0)))
}

impl Case for LayerCase {
    fn name(&self) -> String {
        let [b, t, h] = self.shape;
        let mode = match (self.mode, self.fill) {
            (Mode::Forward, _) => "forward",
            (Mode::Training, Fill::Full) => "training",
            (Mode::Training, Fill::Ragged) => "training-ragged",
        };
        format!("layer/{}/{b}x{t}x{h}/{mode}", self.cell.name())
    }

    fn described(&self) -> Value {
        let lengths = self.lengths();
        let ragged = (self.fill == Fill::Ragged).then(|| lengths.as_slice().to_vec());
        json!({ "family": "layer", "cell": self.cell, "mode": self.mode, "lengths": ragged })
    }

    fn flops(&self) -> Option<f64> {
        let steps: usize = self.lengths().as_slice().iter().sum();
        let h = self.shape[2] as f64;
        let forward = 2.0 * self.cell.products() * steps as f64 * h * h;
        // Backward there is one product for the gradient of each factor.
        Some(if self.mode == Mode::Training { 3.0 * forward } else { forward })
    }

    fn is_pictured(&self) -> bool {
        self.mode == Mode::Training && self.fill == Fill::Full
    }

    fn numbers(&self) -> Numbers {
        let mut numbers = self.layer(&Device::flex()).weights();
        numbers.insert("x".to_owned(), self.x());
        numbers
    }

    fn ours(&self, device: &Device) -> Work {
        let device = self.device(device);
        self.work(self.layer(&device), &device)
    }

    fn burn(&self, device: &Device) -> Option<Work> {
        let device = self.device(device);
        self.burn_layer(&device).map(|layer| self.work(layer, &device))
    }

    fn results(&self, device: &Device) -> Vec<f64> {
        let device = self.device(device);
        self.numbers_out(&*self.layer(&device), &device)
    }

    fn burn_results(&self, device: &Device) -> Option<Vec<f64>> {
        let device = self.device(device);
        self.burn_layer(&device).map(|layer| self.numbers_out(&*layer, &device))
    }
}
