//! Dropout on what is written into the memory, never on the memory itself.
//!
//! ```text
//! c' = f ⊙ c + d ⊙ (i ⊙ φ(g)),    d = Bernoulli(1 − p) / (1 − p), drawn at every step
//! ```
//!
//! For a GRU, `d` acts on the candidate `n`. A unit that is dropped keeps what it remembers, so
//! nothing is lost over a long sequence.
//!
//! Source: Semeniuta, Severyn & Barth (2016), Recurrent Dropout without Memory Loss, section 3.

use burn::{
    nn::{Dropout, DropoutConfig},
    prelude::*,
};
use recurrent_kernels::Lengths;

use crate::{Cell, Gated, Paths};

/// A [`Gated`] cell under recurrent dropout. It acts while training: on an autodiff device, unless
/// frozen.
#[derive(Module, Debug)]
pub struct RecurrentDropout<C: Gated> {
    /// The cell.
    pub cell: C,
    /// Draws the masks.
    pub dropout: Dropout,
}

impl<C: Gated> RecurrentDropout<C> {
    /// `cell`, of whose updates a share `rate` is dropped.
    ///
    /// # Panics
    ///
    /// If the rate is outside `[0, 1)`.
    pub fn new(cell: C, rate: f64) -> Self {
        Self { cell, dropout: DropoutConfig::new(rate).init() }
    }
}

/// Puts dropout on the update, beside what is already on the way.
struct DropUpdate<'a, P> {
    outer: &'a P,
    dropout: &'a Dropout,
}

impl<P: Paths> Paths for DropUpdate<'_, P> {
    fn recurrent(&self, h: Tensor<2>) -> Tensor<2> {
        self.outer.recurrent(h)
    }

    fn peephole(&self, c: Tensor<2>) -> Tensor<2> {
        self.outer.peephole(c)
    }

    fn update(&self, u: Tensor<2>) -> Tensor<2> {
        self.outer.update(self.dropout.forward(u))
    }
}

impl<C: Gated> Cell for RecurrentDropout<C> {
    type State = C::State;

    fn d_input(&self) -> usize {
        self.cell.d_input()
    }

    fn d_hidden(&self) -> usize {
        self.cell.d_hidden()
    }

    fn initial_state(&self, batch: usize) -> C::State {
        self.cell.initial_state(batch)
    }

    fn project(&self, x: Tensor<3>, start: &C::State, lengths: &Lengths) -> Tensor<3> {
        self.cell.project(x, start, lengths)
    }

    fn advance<P: Paths>(&self, projected: Tensor<2>, state: C::State, paths: &P) -> C::State {
        let paths = DropUpdate { outer: paths, dropout: &self.dropout };
        self.cell.advance(projected, state, &paths)
    }

    fn output(&self, state: &C::State) -> Tensor<2> {
        self.cell.output(state)
    }
}

impl<C: Gated> Gated for RecurrentDropout<C> {}
