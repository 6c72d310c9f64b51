//! An initial state that is learned instead of zero.

use burn::{module::Param, prelude::*};
use recurrent_kernels::{Direction, Lengths};

use crate::{Cell, Gated, Paths, State};

/// A [`Cell`] that starts every sequence from a learned state.
#[derive(Module, Debug)]
pub struct LearnedStart<C: Cell> {
    /// The cell.
    pub cell: C,
    /// One row, `[1, ·]`, for each part of the state, in the order of [`State::map`].
    pub start: Vec<Param<Tensor<2>>>,
}

impl<C: Cell> LearnedStart<C> {
    /// `cell` with a start to learn, beginning at the cell's own.
    pub fn new(cell: C) -> Self {
        let parts = cell.initial_state(1).parts().into_iter();
        let start = parts.map(|(_, value)| Param::from_tensor(value.detach())).collect();
        Self { cell, start }
    }
}

impl<C: Cell> Cell for LearnedStart<C> {
    type State = C::State;

    fn d_input(&self) -> usize {
        self.cell.d_input()
    }

    fn d_hidden(&self) -> usize {
        self.cell.d_hidden()
    }

    fn initial_state(&self, batch: usize) -> C::State {
        let mut start = self.start.iter();
        self.cell.initial_state(batch).map(&mut |_, part| {
            let row = start.next().expect("one row for each part of the state");
            row.val().expand(part.dims())
        })
    }

    fn project(&self, x: Tensor<3>, start: &C::State, lengths: &Lengths) -> Tensor<3> {
        self.cell.project(x, start, lengths)
    }

    fn advance<P: Paths>(&self, projected: Tensor<2>, state: C::State, paths: &P) -> C::State {
        self.cell.advance(projected, state, paths)
    }

    fn output(&self, state: &C::State) -> Tensor<2> {
        self.cell.output(state)
    }

    fn sequence(
        &self,
        projected: Tensor<3>,
        start: C::State,
        lengths: &Lengths,
        direction: Direction,
    ) -> (Tensor<3>, C::State) {
        self.cell.sequence(projected, start, lengths, direction)
    }
}

impl<C: Gated> Gated for LearnedStart<C> {}
