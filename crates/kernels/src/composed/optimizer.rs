//! The steps of optimizers in Burn's operations.

use burn::backend::{Backend, tensor::FloatTensor};

use super::value::Value;
use crate::optimizer::AdamFactors;

pub(crate) fn adam_step<B: Backend>(
    w: FloatTensor<B>,
    m: FloatTensor<B>,
    v: FloatTensor<B>,
    gradient: FloatTensor<B>,
    factors: AdamFactors,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let AdamFactors { rate, beta_1, beta_2, keep, correction, epsilon } = factors;
    let g = Value::<B>(gradient);
    let m = times(Value(m), beta_1) + times(g.clone(), 1.0 - beta_1);
    let v = times(Value(v), beta_2) + times(g.clone() * g, 1.0 - beta_2);
    let root = B::float_add_scalar(B::float_sqrt(v.0.clone()), epsilon.into());
    let change = B::float_div(times(m.clone(), correction).0, root);
    let w = times(Value::<B>(w), keep) - times(Value(change), rate);
    (w.0, m.0, v.0)
}

pub(crate) fn momentum_step<B: Backend>(
    w: FloatTensor<B>,
    v: FloatTensor<B>,
    gradient: FloatTensor<B>,
    momentum: f64,
    rate: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let v = times(Value::<B>(v), momentum) + Value(gradient);
    (descent_step::<B>(w, v.0.clone(), rate), v.0)
}

pub(crate) fn descent_step<B: Backend>(
    w: FloatTensor<B>,
    gradient: FloatTensor<B>,
    rate: f64,
) -> FloatTensor<B> {
    (Value::<B>(w) - times(Value(gradient), rate)).0
}

pub(crate) fn scaled<B: Backend>(gradient: FloatTensor<B>, c: f64) -> FloatTensor<B> {
    times(Value::<B>(gradient), c).0
}

/// Row by row first, as a sum over everything may be grouped by the threads there are.
pub(crate) fn squares<B: Backend>(gradient: FloatTensor<B>) -> FloatTensor<B> {
    let g = Value::<B>(gradient);
    B::float_sum(B::float_sum_dim((g.clone() * g).0, 1))
}

fn times<B: Backend>(a: Value<B>, factor: f64) -> Value<B> {
    Value(B::float_mul_scalar(a.0, factor.into()))
}
