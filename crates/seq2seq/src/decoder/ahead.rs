//! Layers whose input is a token, known ahead, and something that the step before has found.
//!
//! ```text
//! [y_t ; f_t] · W_x + b = (y_t · W_y + b) + f_t · W_f
//! ```
//!
//! The first term of all steps is one product, where the cell allows it.

use burn::prelude::*;
use recurrent_cells::{Cell, Lengths, Stack, Stream};
use recurrent_kernels::linear;

use crate::steps::steps;

/// Layers that are given the rest of their input step by step.
pub(super) struct Ahead<'a, C: Cell> {
    rnn: &'a Stack<C>,
    /// `W_f`, `[F, G]`; none where the parts of an input cannot be projected apart.
    w_f: Option<Tensor<2>>,
}

impl<'a, C: Cell> Ahead<'a, C> {
    /// The steps of `y`, `[B, T, d]`, and what takes them: `y_t · W_y + b`, `[B, G]`, or `y_t` itself.
    pub(super) fn new(
        rnn: &'a Stack<C>,
        y: Tensor<3>,
        states: &[C::State],
    ) -> (Vec<Tensor<2>>, Self) {
        let cell = &rnn.layers[0];
        let Some(w_x) = cell.input_weight() else {
            return (steps(y), Self { rnn, w_f: None });
        };
        let (wide, d) = (w_x.dims()[0], y.dims()[2]);
        let nothing = Tensor::zeros([1, 1, wide], (&y.device(), y.dtype()));
        let b = cell.project(nothing, &states[0], &Lengths::full(1, 1));
        let (w_y, w_f) = (w_x.clone().narrow(0, 0, d), w_x.narrow(0, d, wide - d));
        let known = linear(y, w_y, Some(b.reshape([-1])));
        (steps(known), Self { rnn, w_f: Some(w_f) })
    }

    /// A step with `f`, `[B, F]`.
    pub(super) fn step(
        &self,
        step: Tensor<2>,
        f: Tensor<2>,
        states: Vec<C::State>,
    ) -> (Tensor<2>, Vec<C::State>) {
        match &self.w_f {
            None => self.rnn.stream(Tensor::cat(vec![step, f], 1), states),
            Some(w_f) => self.rnn.stream_projected(step + linear(f, w_f.clone(), None), states),
        }
    }
}
