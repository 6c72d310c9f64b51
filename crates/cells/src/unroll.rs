//! The loop over time, written once for every cell: lengths and direction live here.

use burn::prelude::*;
use recurrent_kernels::{Direction, Lengths};

use crate::{Cell, Direct, State};

/// Runs `cell` over every sequence of a batch, from `start` or from the cell's initial state.
///
/// A padded step changes no state and puts out zeros, so the final state is the one after the last
/// real step, in either direction. A backward run starts at the last real step of each sequence.
///
/// # Shapes
///
/// - `x`: `[B, T, I]`
/// - outputs: `[B, T, H]`, in the order of the inputs whatever the direction
/// - final state: `[B, ·]`
///
/// # Panics
///
/// If `x` is not `[B, T, I]` for the `B` and `T` of `lengths` and the `I` of the cell.
pub fn unroll<C: Cell>(
    cell: &C,
    x: Tensor<3>,
    start: impl Into<Option<C::State>>,
    lengths: &Lengths,
    direction: Direction,
) -> (Tensor<3>, C::State) {
    assert_shape!(x, [lengths.batch(), lengths.steps(), cell.d_input()]);
    let start = start.into().unwrap_or_else(|| cell.initial_state(lengths.batch()));
    cell.run(x, start, lengths, direction)
}

/// `projected`, `[B, T, G]`, one step at a time in tensor operations.
pub(crate) fn step_by_step<C: Cell>(
    cell: &C,
    projected: Tensor<3>,
    start: C::State,
    lengths: &Lengths,
    direction: Direction,
) -> (Tensor<3>, C::State) {
    let device = projected.device();
    let mut state = start;
    let mut outputs = vec![None; lengths.steps()];
    for step in direction.steps(lengths.steps()) {
        let now = projected.clone().narrow(1, step.t, 1).squeeze_dim(1);
        let mut next = cell.advance(now, state.clone(), &Direct);
        let mut output = cell.output(&next);
        if !lengths.all_run_at(step.t) {
            let padded =
                Tensor::<1, Bool>::from_data(lengths.padded_at(step.t).as_slice(), &device);
            let mask = padded.clone().unsqueeze_dim::<2>(1).expand(output.dims());
            output = output.mask_fill(mask, 0.0);
            next = next.keep_where(&padded, state);
        }
        outputs[step.t] = Some(output);
        state = next;
    }
    let outputs: Option<Vec<_>> = outputs.into_iter().collect();
    (Tensor::stack(outputs.expect("every step has run"), 1), state)
}
