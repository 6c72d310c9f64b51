//! A plain recurrence over a whole sequence.

use burn::{backend::Dispatch, prelude::*};

use crate::{
    Direction, Lengths,
    ops::{Course, SequenceOps},
    sequence::{Sequence, time_major},
};

/// What a plain recurrence passes its sum through.
#[derive(Config, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// The hyperbolic tangent, `φ`.
    Tanh,
    /// `max(a, 0)`.
    Relu,
    /// Nothing: a linear recurrence.
    Identity,
}

/// Runs `h' = φ(x_t + h · W_h)` over every sequence of a batch in one operation with a
/// hand-written backward pass.
///
/// # Shapes
///
/// - `x`: `[B, T, H]`, the input side of every step, already projected, bias included
/// - `w_h`: `[H, H]`
/// - `h0`: `[B, H]`
/// - outputs: `[B, T, H]`, zero at padded steps; final state: `[B, H]`, after the last real step
///
/// Gradients are of first order only.
///
/// # Panics
///
/// If a shape is wrong, or `lengths` is of another batch.
pub fn rnn_sequence(
    x: Tensor<3>,
    w_h: Tensor<2>,
    h0: Tensor<2>,
    activation: Activation,
    lengths: &Lengths,
    direction: Direction,
) -> (Tensor<3>, Tensor<2>) {
    let hidden = w_h.dims()[0];
    assert_shape!(x, [lengths.batch(), lengths.steps(), hidden]);
    assert_shape!(w_h, [hidden, hidden]);
    assert_shape!(h0, [lengths.batch(), hidden]);

    let course = Course { lengths: lengths.clone(), direction };
    let states = Tensor::from_dispatch(<Dispatch as SequenceOps>::rnn_sequence(
        time_major(x),
        w_h.into_dispatch(),
        h0.into_dispatch(),
        activation,
        course.clone(),
    ));
    let sequence = Sequence::new(states, &course);
    (sequence.outputs(), sequence.last())
}
