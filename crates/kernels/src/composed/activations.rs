//! [`tanh`](crate::tanh) and [`sigmoid`](crate::sigmoid) in Burn's operations.

use burn::backend::{Backend, tensor::FloatTensor};

use super::value::Value;

pub(crate) fn tanh<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    Value::<B>(x).tanh().0
}

/// `grad · (1 − y²)`.
pub(crate) fn tanh_backward<B: Backend>(grad: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
    let y = Value::<B>(y);
    (Value(grad) * (y.clone() * y).complement()).0
}

pub(crate) fn sigmoid<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    Value::<B>(x).sigmoid().0
}

/// `grad · y · (1 − y)`.
pub(crate) fn sigmoid_backward<B: Backend>(
    grad: FloatTensor<B>,
    y: FloatTensor<B>,
) -> FloatTensor<B> {
    let y = Value::<B>(y);
    (Value(grad) * (y.clone() * y.complement())).0
}
