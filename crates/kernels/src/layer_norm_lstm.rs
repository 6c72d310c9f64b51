//! Long short-term memory with layer normalisation over a whole sequence.

use burn::{backend::Dispatch, prelude::*};

use crate::{
    Direction, Lengths, LstmSequence, Norm,
    ops::{Course, SequenceOps},
    sequence::{Sequence, time_major},
};

/// Weights and initial state of [`layer_norm_lstm_sequence`].
#[derive(Clone, Debug)]
pub struct LayerNormLstmOperands {
    /// `W_h`, `[H, 4H]`.
    pub w_h: Tensor<2>,
    /// `γ_h`, `β_h`, each `[4H]`.
    pub norm_h: Norm,
    /// `γ_c`, `β_c`, each `[H]`.
    pub norm_c: Norm,
    /// `h` before the first step, `[B, H]`.
    pub hidden: Tensor<2>,
    /// `c` before the first step, `[B, H]`.
    pub cell: Tensor<2>,
}

/// Runs an LSTM with layer normalisation over every sequence of a batch in one operation with a
/// hand-written backward pass.
///
/// ```text
/// [i f g o] = x_t + LN(h · W_h; γ_h, β_h)       over all 4H
/// c'        = σ(f) ⊙ c + σ(i) ⊙ φ(g)
/// h'        = σ(o) ⊙ φ(LN(c'; γ_c, β_c))
/// ```
///
/// `LN` is that of [`layer_norm_sequence`](crate::layer_norm_sequence).
///
/// # Shapes
///
/// - `x`: `[B, T, 4H]`, the input side of every step, already projected and normalised, bias included
/// - the rest as in [`LayerNormLstmOperands`] and [`LstmSequence`]
///
/// Gradients are of first order only.
///
/// # Panics
///
/// If a shape is wrong or `lengths` is of another batch.
pub fn layer_norm_lstm_sequence(
    x: Tensor<3>,
    operands: LayerNormLstmOperands,
    epsilon: f64,
    lengths: &Lengths,
    direction: Direction,
) -> LstmSequence {
    let LayerNormLstmOperands { w_h, norm_h, norm_c, hidden: h0, cell: c0 } = operands;
    let hidden = w_h.dims()[0];
    assert_shape!(x, [lengths.batch(), lengths.steps(), 4 * hidden]);
    assert_shape!(w_h, [hidden, 4 * hidden]);
    assert_shape!(h0, [lengths.batch(), hidden]);
    assert_shape!(c0, [lengths.batch(), hidden]);

    let course = Course { lengths: lengths.clone(), direction };
    let packed = Tensor::<3>::from_dispatch(<Dispatch as SequenceOps>::layer_norm_lstm_sequence(
        time_major(x),
        w_h.into_dispatch(),
        rows(norm_h, 4 * hidden).into_dispatch(),
        rows(norm_c, hidden).into_dispatch(),
        h0.into_dispatch(),
        c0.into_dispatch(),
        epsilon,
        course.clone(),
    ));
    let cell = packed.clone().narrow(0, lengths.steps() + 1, 1).squeeze_dim(0);
    let sequence = Sequence::new(packed, &course);
    LstmSequence { outputs: sequence.outputs(), hidden: sequence.last(), cell }
}

/// `γ` over `β`, `[2, K]`.
fn rows(norm: Norm, width: usize) -> Tensor<2> {
    assert_shape!(norm.gamma, [width]);
    assert_shape!(norm.beta, [width]);
    Tensor::stack(vec![norm.gamma, norm.beta], 0)
}
