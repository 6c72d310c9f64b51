//! What every recurrent cell can do: one step. Sequences, directions and stacks are built on it
//! once, for every cell, in [`unroll`](crate::unroll) and [`Layer`](crate::Layer).

use burn::{module::ModuleDisplay, prelude::*};
use recurrent_kernels::{Direction, Lengths};

use crate::{Paths, State, unroll::step_by_step};

/// One step of a recurrence.
pub trait Cell: Module + ModuleDisplay {
    /// What one step hands to the next.
    type State: State;

    /// Features of the input, `I`.
    fn d_input(&self) -> usize;

    /// Features of the output, `H`. The output is also what goes into the recurrent product.
    fn d_hidden(&self) -> usize;

    /// The state before the first step, for `batch` sequences: zeros, unless the cell says
    /// otherwise. On the device and in the dtype of the weights.
    fn initial_state(&self, batch: usize) -> Self::State;

    /// The part of the step that does not look at what a step writes, for all steps at once:
    /// `[B, T, I]` to `[B, T, G]`. `start` is there for what lasts a whole sequence, such as a
    /// dropout mask on the input. Steps beyond `lengths` are not read, and nobody reads what
    /// stands there in the result.
    fn project(&self, x: Tensor<3>, start: &Self::State, lengths: &Lengths) -> Tensor<3>;

    /// `W_x`, `[I, G]`, of a cell that [projects](Self::project) to `x · W_x` and a constant: parts of
    /// an input that are known at different times can be projected apart. None for any other cell,
    /// wrappers included.
    fn input_weight(&self) -> Option<Tensor<2>> {
        None
    }

    /// The recurrence proper: `projected`, `[B, G]`, and a state to the next state. What reads the
    /// past goes along `paths`; [`Direct`](crate::Direct) for the cell's own equations.
    fn advance<P: Paths>(&self, projected: Tensor<2>, state: Self::State, paths: &P)
    -> Self::State;

    /// What the layer above sees of a state, `[B, H]`.
    fn output(&self, state: &Self::State) -> Tensor<2>;

    /// One whole step: `x`, `[B, I]`, and a state to the next state. It is a sequence of one step, so
    /// that a cell with a fused kernel decodes with it as well.
    fn step(&self, x: Tensor<2>, state: Self::State) -> Self::State {
        let lengths = Lengths::full(x.dims()[0], 1);
        let projected = self.project(x.unsqueeze_dim(1), &state, &lengths);
        self.sequence(projected, state, &lengths, Direction::Forward).1
    }

    /// All steps of `projected`, `[B, T, G]`: the outputs, `[B, T, H]`, and the final state. A cell
    /// whose recurrence has a fused kernel overrides this and nothing else; tests hold the two
    /// together.
    fn sequence(
        &self,
        projected: Tensor<3>,
        start: Self::State,
        lengths: &Lengths,
        direction: Direction,
    ) -> (Tensor<3>, Self::State) {
        step_by_step(self, projected, start, lengths, direction)
    }

    /// [`project`](Self::project) and [`sequence`](Self::sequence) one after the other, unless there is
    /// a way to do both at once.
    fn run(
        &self,
        x: Tensor<3>,
        start: Self::State,
        lengths: &Lengths,
        direction: Direction,
    ) -> (Tensor<3>, Self::State) {
        let projected = self.project(x, &start, lengths);
        self.sequence(projected, start, lengths, direction)
    }
}

/// A cell that writes a gated update into its memory, and sends it along [`Paths::update`].
pub trait Gated: Cell {}
