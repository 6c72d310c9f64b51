//! Dropout with one mask a sequence: the same units are missing at every step.
//!
//! ```text
//! x_t ← d_x ⊙ x_t,   h ← d_h ⊙ h (into the recurrent product),
//! d = Bernoulli(1 − p) / (1 − p), drawn once a sequence
//! ```
//!
//! The masks travel in the state, so that the chunks of a long sequence, single steps and the rows
//! of a beam keep theirs.
//!
//! Source: Gal & Ghahramani (2016), A Theoretically Grounded Application of Dropout in Recurrent
//! Neural Networks, section 4.

use burn::{
    nn::{Dropout, DropoutConfig},
    prelude::*,
};
use recurrent_kernels::Lengths;

use crate::{Cell, Gated, Part, Paths, State};

/// A [`Cell`] under variational dropout. It acts while training: on an autodiff device, unless
/// frozen.
#[derive(Module, Debug)]
pub struct VariationalDropout<C: Cell> {
    /// The cell.
    pub cell: C,
    /// Draws the masks of the input.
    pub input: Dropout,
    /// Draws the masks of the recurrent input.
    pub hidden: Dropout,
}

impl<C: Cell> VariationalDropout<C> {
    /// `cell`, of whose input and recurrent input the given shares are dropped.
    ///
    /// # Panics
    ///
    /// If a rate is outside `[0, 1)`.
    pub fn new(cell: C, input_rate: f64, hidden_rate: f64) -> Self {
        let dropout = |rate| DropoutConfig::new(rate).init();
        Self { cell, input: dropout(input_rate), hidden: dropout(hidden_rate) }
    }
}

/// The state of a cell and the masks of the sequence it is in.
#[derive(Clone, Debug)]
pub struct VariationalState<S> {
    /// The state of the cell.
    pub inner: S,
    /// `d_x`, `[B, I]`.
    pub input_mask: Tensor<2>,
    /// `d_h`, `[B, H]`.
    pub hidden_mask: Tensor<2>,
}

impl<S: State> State for VariationalState<S> {
    fn map(self, f: &mut dyn FnMut(Part, Tensor<2>) -> Tensor<2>) -> Self {
        Self { inner: self.inner.map(f), ..self }
    }

    fn zip(self, other: Self, f: &mut dyn FnMut(Part, Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        Self { inner: self.inner.zip(other.inner, f), ..self }
    }

    fn map_constants(self, f: &mut dyn FnMut(Tensor<2>) -> Tensor<2>) -> Self {
        Self {
            inner: self.inner.map_constants(f),
            input_mask: f(self.input_mask),
            hidden_mask: f(self.hidden_mask),
        }
    }
}

/// Puts the mask on the recurrent input, beside what is already on the way.
struct MaskRecurrent<'a, P> {
    outer: &'a P,
    mask: &'a Tensor<2>,
}

impl<P: Paths> Paths for MaskRecurrent<'_, P> {
    fn recurrent(&self, h: Tensor<2>) -> Tensor<2> {
        self.outer.recurrent(h * self.mask.clone())
    }

    fn peephole(&self, c: Tensor<2>) -> Tensor<2> {
        self.outer.peephole(c)
    }

    fn update(&self, u: Tensor<2>) -> Tensor<2> {
        self.outer.update(u)
    }
}

impl<C: Cell> Cell for VariationalDropout<C> {
    type State = VariationalState<C::State>;

    fn d_input(&self) -> usize {
        self.cell.d_input()
    }

    fn d_hidden(&self) -> usize {
        self.cell.d_hidden()
    }

    fn initial_state(&self, batch: usize) -> Self::State {
        let inner = self.cell.initial_state(batch);
        let like = self.cell.output(&inner);
        let ones = |width| Tensor::ones([batch, width], (&like.device(), like.dtype()));
        VariationalState {
            inner,
            input_mask: self.input.forward(ones(self.d_input())),
            hidden_mask: self.hidden.forward(ones(self.d_hidden())),
        }
    }

    fn project(&self, x: Tensor<3>, start: &Self::State, lengths: &Lengths) -> Tensor<3> {
        let x = x * start.input_mask.clone().unsqueeze_dim(1);
        self.cell.project(x, &start.inner, lengths)
    }

    fn advance<P: Paths>(
        &self,
        projected: Tensor<2>,
        state: Self::State,
        paths: &P,
    ) -> Self::State {
        let paths = MaskRecurrent { outer: paths, mask: &state.hidden_mask };
        let inner = self.cell.advance(projected, state.inner, &paths);
        VariationalState { inner, ..state }
    }

    fn output(&self, state: &Self::State) -> Tensor<2> {
        self.cell.output(&state.inner)
    }
}

impl<C: Gated> Gated for VariationalDropout<C> {}
