//! [`additive_score`](crate::additive_score) in Burn's operations.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};

/// `B`, `T`, `S` and `A`.
fn sizes<B: Backend>(q: &FloatTensor<B>, k: &FloatTensor<B>) -> [usize; 4] {
    let [batch, queries, width] = q.shape().dims();
    let [_, keys, _] = k.shape().dims();
    [batch, queries, keys, width]
}

/// `tanh(q_t + k_j)` for every pair, `[B · T · S, A]`.
fn compared<B: Backend>(q: FloatTensor<B>, k: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, queries, keys, width] = sizes::<B>(&q, &k);
    let q = B::float_reshape(q, [batch, queries, 1, width].into());
    let k = B::float_reshape(k, [batch, 1, keys, width].into());
    let y = B::float_tanh(B::float_add(q, k));
    B::float_reshape(y, [batch * queries * keys, width].into())
}

pub(crate) fn forward<B: Backend>(
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    v: FloatTensor<B>,
) -> FloatTensor<B> {
    let [batch, queries, keys, width] = sizes::<B>(&q, &k);
    let v = B::float_reshape(v, [width, 1].into());
    let scores = B::float_matmul(compared::<B>(q, k), v);
    B::float_reshape(scores, [batch, queries, keys].into())
}

/// The gradients of `q`, `k` and `v`.
pub(crate) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    v: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let [batch, queries, keys, width] = sizes::<B>(&q, &k);
    let y = compared::<B>(q, k);
    let grad = B::float_reshape(grad, [batch * queries * keys, 1].into());
    let dv = B::float_matmul(B::float_transpose(y.clone()), grad.clone());
    let slope = B::float_add_scalar(B::float_neg(B::float_mul(y.clone(), y)), 1.0.into());
    let d = B::float_mul(B::float_matmul(grad, B::float_reshape(v, [1, width].into())), slope);
    let d = B::float_reshape(d, [batch, queries, keys, width].into());
    let dq = B::float_sum_dim(d.clone(), 2);
    let dk = B::float_sum_dim(d, 1);
    (
        B::float_reshape(dq, [batch, queries, width].into()),
        B::float_reshape(dk, [batch, keys, width].into()),
        B::float_reshape(dv, [width].into()),
    )
}
