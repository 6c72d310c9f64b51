//! Rows brought to mean 0 and variance 1.

use burn::{backend::Dispatch, prelude::*};

use crate::{Lengths, ops::SequenceOps, sequence::time_major};

/// What a normalised row is multiplied by, and what is added to it.
#[derive(Clone, Debug)]
pub struct Norm {
    /// `γ`, `[K]`.
    pub gamma: Tensor<1>,
    /// `β`, `[K]`.
    pub beta: Tensor<1>,
}

/// Normalises every real step of a batch over its last axis.
///
/// ```text
/// LN(x_t; γ, β) = γ ⊙ (x_t − mean(x_t)) / √(var(x_t) + ε) + β
/// ```
///
/// The variance is that of the row, divided by `K`. Steps that are padding are not read: there the
/// result is zero, and so is the gradient.
///
/// # Shapes
///
/// - `x`: `[B, T, K]`
/// - `norm`: as in [`Norm`]
/// - result: `[B, T, K]`, time-major in memory
///
/// Gradients are of first order only.
///
/// # Panics
///
/// If a shape is wrong or `lengths` is of another batch.
pub fn layer_norm_sequence(x: Tensor<3>, norm: Norm, epsilon: f64, lengths: &Lengths) -> Tensor<3> {
    let [_, _, width] = x.dims();
    assert_shape!(x, [lengths.batch(), lengths.steps(), width]);
    assert_shape!(norm.gamma, [width]);
    assert_shape!(norm.beta, [width]);
    let normalised = Tensor::<3>::from_dispatch(<Dispatch as SequenceOps>::layer_norm_sequence(
        time_major(x),
        norm.gamma.into_dispatch(),
        norm.beta.into_dispatch(),
        epsilon,
        lengths.clone(),
    ));
    normalised.swap_dims(0, 1)
}
