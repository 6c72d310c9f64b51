//! The gradient of 1997: errors travel back through the carousel and nowhere else.
//!
//! `h` and, in a peephole, `c` are constants to the gates that read them, so the only way back in
//! time is the memory's own: `∂c'/∂c = 1` for the [carousel](crate::CarouselCell) and the
//! [LSTM of 1997](crate::OriginalLstmCell), `∂c'/∂c = f` with a forget gate. Values do not change.
//!
//! Sources: Hochreiter & Schmidhuber (1997), Long Short-Term Memory, appendix A.1; Graves &
//! Schmidhuber (2005) dropped the truncation, and so does every cell here that is not wrapped.

use burn::prelude::*;
use recurrent_kernels::Lengths;

use crate::{Cell, Gated, Paths};

/// A [`Cell`] whose gradients do not leave it through its gates.
#[derive(Module, Debug)]
pub struct Truncated<C: Cell> {
    /// The cell.
    pub cell: C,
}

impl<C: Cell> Truncated<C> {
    /// `cell` with the gradient of 1997.
    pub fn new(cell: C) -> Self {
        Self { cell }
    }
}

/// Cuts the ways into the gates, beside what is already on them.
struct Cut<'a, P>(&'a P);

impl<P: Paths> Paths for Cut<'_, P> {
    fn recurrent(&self, h: Tensor<2>) -> Tensor<2> {
        self.0.recurrent(h.detach())
    }

    fn peephole(&self, c: Tensor<2>) -> Tensor<2> {
        self.0.peephole(c.detach())
    }

    fn update(&self, u: Tensor<2>) -> Tensor<2> {
        self.0.update(u)
    }
}

impl<C: Cell> Cell for Truncated<C> {
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
        self.cell.advance(projected, state, &Cut(paths))
    }

    fn output(&self, state: &C::State) -> Tensor<2> {
        self.cell.output(state)
    }
}

impl<C: Gated> Gated for Truncated<C> {}
