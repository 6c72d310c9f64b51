//! Gated recurrent units over a whole sequence.

use burn::{backend::Dispatch, prelude::*};

use crate::{
    Direction, Lengths,
    ops::{Course, SequenceOps},
    sequence::{Sequence, time_major},
};

/// Where the reset gate acts. The two cannot share weights.
#[derive(Config, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// On `h · W_n + b_n`, as PyTorch, cuDNN and the first version of Cho et al. (2014) have it.
    AfterProduct,
    /// On `h`, as Chung et al. (2014), Bahdanau et al. (2015) and the last version of Cho et al.
    BeforeProduct,
}

/// What the update gate `z` does when it is open.
#[derive(Config, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Update {
    /// `h' = (1 − z) ⊙ n + z ⊙ h`, as in Cho et al. (2014) and PyTorch.
    Keeps,
    /// `h' = (1 − z) ⊙ h + z ⊙ n`, as in Chung et al. (2014) and Bahdanau et al. (2015).
    Writes,
}

/// Weights and initial state of [`gru_sequence`].
#[derive(Clone, Debug)]
pub struct GruOperands {
    /// `W_h`, `[H, 3H]`, in the order `r z n`.
    pub w_h: Tensor<2>,
    /// `b_h`, `[3H]`: the recurrent bias stands between the product and the reset gate.
    pub b_h: Tensor<1>,
    /// `h` before the first step, `[B, H]`.
    pub hidden: Tensor<2>,
}

/// Runs a GRU over every sequence of a batch in one operation with a hand-written backward pass.
///
/// ```text
/// r, z = σ(x_t + h · W_h + b_h)                 blocks r and z
/// n    = φ(x_t + r ⊙ (h · W_h + b_h))           block n, reset after the product
/// n    = φ(x_t + (r ⊙ h) · W_h + b_h)           block n, reset before the product
/// h'   = (1 − z) ⊙ n + z ⊙ h                    or the other way round, see `Update`
/// ```
///
/// # Shapes
///
/// - `x`: `[B, T, 3H]`, the input side of every step, already projected, its bias included
/// - outputs: `[B, T, H]`, zero at padded steps; final state: `[B, H]`, after the last real step
///
/// Gradients are of first order only.
///
/// # Panics
///
/// If a shape is wrong, or `lengths` is of another batch.
pub fn gru_sequence(
    x: Tensor<3>,
    operands: GruOperands,
    reset: Reset,
    update: Update,
    lengths: &Lengths,
    direction: Direction,
) -> (Tensor<3>, Tensor<2>) {
    let GruOperands { w_h, b_h, hidden: h0 } = operands;
    let hidden = w_h.dims()[0];
    assert_shape!(x, [lengths.batch(), lengths.steps(), 3 * hidden]);
    assert_shape!(w_h, [hidden, 3 * hidden]);
    assert_shape!(b_h, [3 * hidden]);
    assert_shape!(h0, [lengths.batch(), hidden]);

    let course = Course { lengths: lengths.clone(), direction };
    let states = Tensor::from_dispatch(<Dispatch as SequenceOps>::gru_sequence(
        time_major(x),
        w_h.into_dispatch(),
        b_h.into_dispatch(),
        h0.into_dispatch(),
        reset,
        update,
        course.clone(),
    ));
    let sequence = Sequence::new(states, &course);
    (sequence.outputs(), sequence.last())
}
