//! The layers around the recurrences on Burn's CPU backend. `f16` and `bf16` take the composed path.

use burn::{
    backend::{Flex, tensor::FloatTensor},
    tensor::DType,
};

use super::{activations, additive_score, cross_entropy};
use crate::{
    composed,
    cross_entropy::{Targets, Vocabulary},
    layer_ops::LayerOps,
};

impl LayerOps for Flex {
    fn cross_entropy(
        x: FloatTensor<Self>,
        w_o: FloatTensor<Self>,
        b_o: FloatTensor<Self>,
        vocabulary: Vocabulary,
        targets: Targets,
    ) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => cross_entropy::sums::<f32>(&x, &w_o, &b_o, vocabulary, &targets),
            DType::F64 => cross_entropy::sums::<f64>(&x, &w_o, &b_o, vocabulary, &targets),
            _ => composed::cross_entropy::sums::<Self>(x, w_o, b_o, vocabulary, &targets),
        }
    }

    fn cross_entropy_gradients(
        x: FloatTensor<Self>,
        w_o: FloatTensor<Self>,
        b_o: FloatTensor<Self>,
        vocabulary: Vocabulary,
        targets: Targets,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        match x.dtype() {
            DType::F32 => cross_entropy::gradients::<f32>(&x, &w_o, &b_o, vocabulary, &targets),
            DType::F64 => cross_entropy::gradients::<f64>(&x, &w_o, &b_o, vocabulary, &targets),
            _ => composed::cross_entropy::gradients::<Self>(x, w_o, b_o, vocabulary, &targets),
        }
    }

    fn cross_entropy_backward(
        grad: FloatTensor<Self>,
        dx: FloatTensor<Self>,
        dw_o: FloatTensor<Self>,
        db_o: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        match grad.dtype() {
            DType::F32 => cross_entropy::backward::<f32>(&grad, [dx, dw_o, db_o]),
            DType::F64 => cross_entropy::backward::<f64>(&grad, [dx, dw_o, db_o]),
            _ => composed::cross_entropy::backward::<Self>(grad, dx, dw_o, db_o),
        }
    }

    fn additive_score(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        match q.dtype() {
            DType::F32 => additive_score::forward::<f32>(&q, &k, &v),
            DType::F64 => additive_score::forward::<f64>(&q, &k, &v),
            _ => composed::additive_score::forward::<Self>(q, k, v),
        }
    }

    fn additive_score_backward(
        grad: FloatTensor<Self>,
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        match q.dtype() {
            DType::F32 => additive_score::backward::<f32>(&grad, &q, &k, &v),
            DType::F64 => additive_score::backward::<f64>(&grad, &q, &k, &v),
            _ => composed::additive_score::backward::<Self>(grad, q, k, v),
        }
    }

    fn tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => activations::tanh::<f32>(x),
            DType::F64 => activations::tanh::<f64>(x),
            _ => composed::activations::tanh::<Self>(x),
        }
    }

    fn tanh_backward(grad: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        match y.dtype() {
            DType::F32 => activations::tanh_backward::<f32>(grad, &y),
            DType::F64 => activations::tanh_backward::<f64>(grad, &y),
            _ => composed::activations::tanh_backward::<Self>(grad, y),
        }
    }

    fn sigmoid(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match x.dtype() {
            DType::F32 => activations::sigmoid::<f32>(x),
            DType::F64 => activations::sigmoid::<f64>(x),
            _ => composed::activations::sigmoid::<Self>(x),
        }
    }

    fn sigmoid_backward(grad: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        match y.dtype() {
            DType::F32 => activations::sigmoid_backward::<f32>(grad, &y),
            DType::F64 => activations::sigmoid_backward::<f64>(grad, &y),
            _ => composed::activations::sigmoid_backward::<Self>(grad, y),
        }
    }
}
