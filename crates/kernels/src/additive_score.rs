//! The score of additive attention for all queries and keys at once.

use burn::{backend::Dispatch, prelude::*};

use crate::layer_ops::LayerOps;

/// Compares every query of a sequence with every key of its memory.
///
/// ```text
/// e_tj = Σ_a v_a · tanh(q_ta + k_ja)
/// ```
///
/// On the CPU nothing as large as queries times keys times `A` is ever in memory, in neither direction.
///
/// # Shapes
///
/// - `q`: `[B, T, A]`; `k`: `[B, S, A]`; `v`: `[A]`
/// - result: `[B, T, S]`
///
/// Gradients are of first order only.
///
/// Source: Bahdanau, Cho & Bengio (2015), Neural Machine Translation by Jointly Learning to Align and
/// Translate, appendix A.1.2.
///
/// # Panics
///
/// If a shape is wrong.
pub fn additive_score(q: Tensor<3>, k: Tensor<3>, v: Tensor<1>) -> Tensor<3> {
    let [batch, _, width] = q.dims();
    let keys = k.dims()[1];
    assert_shape!(k, [batch, keys, width]);
    assert_shape!(v, [width]);
    Tensor::from_dispatch(<Dispatch as LayerOps>::additive_score(
        q.into_dispatch(),
        k.into_dispatch(),
        v.into_dispatch(),
    ))
}
