//! [`layer_norm_sequence`](crate::layer_norm_sequence) in Burn's operations.

use burn::backend::{Backend, tensor::FloatTensor};

use super::value::{Padding, Value, flat};
use crate::Lengths;

/// Rows with mean 0 and variance 1, and what they were: all of `[N, K]`, `[N, 1]`, `[N, 1]`.
pub(super) struct Normalised<B: Backend> {
    pub(super) rows: Value<B>,
    pub(super) mean: Value<B>,
    /// `1 / √(var + ε)`.
    pub(super) scale: Value<B>,
}

pub(super) fn normalise<B: Backend>(a: &Value<B>, epsilon: f64) -> Normalised<B> {
    let mean = a.mean_columns();
    let centred = a.clone() - mean.clone();
    let scale = (centred.clone() * centred.clone()).mean_columns().inverse_root(epsilon);
    Normalised { rows: centred * scale.clone(), mean, scale }
}

/// The gradient before a normalisation, from `grad` behind it, the normalised `rows` and their `scale`.
pub(super) fn through<B: Backend>(
    grad: Value<B>,
    gamma: Value<B>,
    rows: Value<B>,
    scale: Value<B>,
) -> Value<B> {
    let g = grad * gamma;
    let along = (g.clone() * rows.clone()).mean_columns();
    (g.clone() - g.mean_columns() - rows * along) * scale
}

pub(crate) fn forward<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    epsilon: f64,
    lengths: &Lengths,
) -> FloatTensor<B> {
    let (x, gamma, beta) = (flat::<B>(x, lengths), Value::<B>(gamma), Value::<B>(beta));
    let [width] = gamma.dims();
    let rows = normalise(&x, epsilon).rows;
    let y = rows * gamma.reshape([1, width]) + beta.reshape([1, width]);
    let pad = Padding::of_all(lengths, &y);
    y.zero_at(&pad).reshape([lengths.steps(), lengths.batch(), width]).0
}

pub(crate) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    epsilon: f64,
    lengths: &Lengths,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (grad, x) = (flat::<B>(grad, lengths), flat::<B>(x, lengths));
    let gamma = Value::<B>(gamma);
    let [width] = gamma.dims();
    let Normalised { rows, scale, .. } = normalise(&x, epsilon);
    let d_gamma = (grad.clone() * rows.clone()).sum_rows();
    let dx = through(grad.clone(), gamma.reshape([1, width]), rows, scale);
    let dx = dx.reshape([lengths.steps(), lengths.batch(), width]);
    (dx.0, d_gamma.0, grad.sum_rows().0)
}
