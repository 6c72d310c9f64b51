//! From what an operation returns, time-major, to what its caller sees, batch first.

use burn::{backend::DispatchTensor, prelude::*};

use crate::ops::Course;

/// `[B, T, K]` to `[T, B, K]`, for the dispatcher.
pub(crate) fn time_major(x: Tensor<3>) -> DispatchTensor {
    x.swap_dims(0, 1).into_dispatch()
}

/// The states of a recurrence, `[T + 1, B, H]` or longer, carried through the padding.
pub(crate) struct Sequence<'a> {
    states: Tensor<3>,
    course: &'a Course,
}

impl<'a> Sequence<'a> {
    pub(crate) fn new(states: Tensor<3>, course: &'a Course) -> Self {
        Self { states, course }
    }

    /// `[B, T, H]`, zero at padded steps.
    pub(crate) fn outputs(&self) -> Tensor<3> {
        let Course { lengths, direction } = self.course;
        let from = direction.outputs_from();
        let outputs = self.states.clone().narrow(0, from, lengths.steps()).swap_dims(0, 1);
        if lengths.is_full() {
            return outputs;
        }
        let mask = lengths.pad_mask(&outputs.device()).unsqueeze_dim::<3>(2);
        let mask = mask.expand(outputs.dims());
        outputs.mask_fill(mask, 0.0)
    }

    /// `[B, H]`, the state after the last real step.
    pub(crate) fn last(&self) -> Tensor<2> {
        let last = self.course.direction.last(self.course.lengths.steps());
        self.states.clone().narrow(0, last, 1).squeeze_dim(0)
    }
}
