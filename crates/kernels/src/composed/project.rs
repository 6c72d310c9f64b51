//! [`project_sequence`](crate::project_sequence) in Burn's operations: padding counts as zero on both
//! sides of the product.

use burn::backend::{Backend, tensor::FloatTensor};

use super::value::{Padding, Value, flat};
use crate::Lengths;

pub(crate) fn forward<B: Backend>(
    x: FloatTensor<B>,
    w_x: FloatTensor<B>,
    b: FloatTensor<B>,
    lengths: &Lengths,
) -> FloatTensor<B> {
    let (x, w_x, b) = (flat::<B>(x, lengths), Value::<B>(w_x), Value::<B>(b));
    let [width] = b.dims();
    let projected = x.matmul(w_x) + b.reshape([1, width]);
    let pad = Padding::of_all(lengths, &projected);
    projected.zero_at(&pad).reshape([lengths.steps(), lengths.batch(), width]).0
}

pub(crate) fn input_gradient<B: Backend>(
    grad: FloatTensor<B>,
    w_x: FloatTensor<B>,
    lengths: &Lengths,
) -> FloatTensor<B> {
    let w_x = Value::<B>(w_x);
    let [input, _] = w_x.dims();
    let dx = flat::<B>(grad, lengths).matmul(w_x.transpose());
    dx.reshape([lengths.steps(), lengths.batch(), input]).0
}

pub(crate) fn weight_gradients<B: Backend>(
    grad: FloatTensor<B>,
    x: FloatTensor<B>,
    lengths: &Lengths,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (grad, x) = (flat::<B>(grad, lengths), flat::<B>(x, lengths));
    (x.transpose().matmul(grad.clone()).0, grad.sum_rows().0)
}
