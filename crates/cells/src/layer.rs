//! From sequences to sequences.

use burn::{module::ModuleDisplay, prelude::*};
use recurrent_kernels::{Direction, Lengths};

use crate::{Cell, State, unroll};

/// Takes a batch of sequences to a batch of sequences. Every [`Cell`] is a layer that reads
/// forward.
pub trait Layer: Module + ModuleDisplay {
    /// What the end of one sequence hands to the start of the next.
    type State: State;

    /// The state before the first step, for `batch` sequences.
    fn start(&self, batch: usize) -> Self::State;

    /// The outputs, `[B, T, H]`, zero at padded steps, and the state after the last real step of
    /// each sequence; from `start` or from the layer's own.
    ///
    /// # Panics
    ///
    /// If `x` is not `[B, T, I]` for the `B` and `T` of `lengths` and the `I` of the layer.
    fn forward(
        &self,
        x: Tensor<3>,
        start: impl Into<Option<Self::State>>,
        lengths: &Lengths,
    ) -> (Tensor<3>, Self::State);
}

/// A layer that can be run one step at a time, with the result it gives on the whole sequence. A
/// layer that reads the future is not one.
pub trait Stream: Layer {
    /// One step: `x`, `[B, I]`, and a state to the output, `[B, H]`, and the next state.
    fn stream(&self, x: Tensor<2>, state: Self::State) -> (Tensor<2>, Self::State);
}

impl<C: Cell> Layer for C {
    type State = C::State;

    fn start(&self, batch: usize) -> Self::State {
        self.initial_state(batch)
    }

    fn forward(
        &self,
        x: Tensor<3>,
        start: impl Into<Option<Self::State>>,
        lengths: &Lengths,
    ) -> (Tensor<3>, Self::State) {
        unroll(self, x, start, lengths, Direction::Forward)
    }
}

impl<C: Cell> Stream for C {
    fn stream(&self, x: Tensor<2>, state: Self::State) -> (Tensor<2>, Self::State) {
        let next = self.step(x, state);
        (self.output(&next), next)
    }
}
