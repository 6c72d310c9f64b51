//! The backend extension for what stands around the recurrences: as in [`ops`](crate::ops), with a
//! default composed of Burn's operations for every backend.

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

use crate::{
    composed,
    cross_entropy::{Targets, Vocabulary},
};

#[cfg(feature = "fusion")]
use burn::backend::fusion::custom::TensorSpec;

/// Layers and activations. Called through [`cross_entropy`](crate::cross_entropy),
/// [`additive_score`](crate::additive_score), [`tanh`](crate::tanh) and [`sigmoid`](crate::sigmoid), which say what each operand means.
/// `*_gradients` and `*_backward` never run on an autodiff backend.
#[backend_extension(
    Flex,
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda")),
    Autodiff,
    Fusion: cfg(feature = "fusion"),
)]
pub trait LayerOps: Backend {
    /// The smoothed loss and the plain one, `[2]`, of rows `x`, `[N, R]`.
    #[fusion(dtype = x, shape = spec::sums(x))]
    fn cross_entropy(
        x: FloatTensor<Self>,
        w_o: FloatTensor<Self>,
        b_o: FloatTensor<Self>,
        vocabulary: Vocabulary,
        targets: Targets,
    ) -> FloatTensor<Self> {
        composed::cross_entropy::sums::<Self>(x, w_o, b_o, vocabulary, &targets)
    }

    /// As [`cross_entropy`](Self::cross_entropy), with the gradients of the smoothed loss with
    /// respect to `(x, w_o, b_o)`.
    #[fusion(meta = spec::cross_entropy_gradients)]
    fn cross_entropy_gradients(
        x: FloatTensor<Self>,
        w_o: FloatTensor<Self>,
        b_o: FloatTensor<Self>,
        vocabulary: Vocabulary,
        targets: Targets,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::cross_entropy::gradients::<Self>(x, w_o, b_o, vocabulary, &targets)
    }

    /// The gradients `dx`, `dw_o` and `db_o` of the smoothed loss, times that of the loss itself, the
    /// first of `grad`, `[2]`.
    #[fusion(meta = spec::cross_entropy_backward)]
    fn cross_entropy_backward(
        grad: FloatTensor<Self>,
        dx: FloatTensor<Self>,
        dw_o: FloatTensor<Self>,
        db_o: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::cross_entropy::backward::<Self>(grad, dx, dw_o, db_o)
    }

    /// Scores `[B, T, S]` of queries `q`, `[B, T, A]`, and keys `k`, `[B, S, A]`.
    #[fusion(dtype = q, shape = spec::scores(q, k))]
    fn additive_score(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        composed::additive_score::forward::<Self>(q, k, v)
    }

    /// The gradients of `(q, k, v)`.
    #[fusion(meta = spec::additive_score_backward)]
    fn additive_score_backward(
        grad: FloatTensor<Self>,
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::additive_score::backward::<Self>(grad, q, k, v)
    }

    /// The hyperbolic tangent.
    #[fusion(dtype = x, shape = x)]
    fn tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::activations::tanh::<Self>(x)
    }

    /// The gradient of an operand of [`tanh`](Self::tanh) that gave `y`.
    #[fusion(dtype = y, shape = y)]
    fn tanh_backward(grad: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::activations::tanh_backward::<Self>(grad, y)
    }

    /// The logistic function.
    #[fusion(dtype = x, shape = x)]
    fn sigmoid(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::activations::sigmoid::<Self>(x)
    }

    /// The gradient of an operand of [`sigmoid`](Self::sigmoid) that gave `y`.
    #[fusion(dtype = y, shape = y)]
    fn sigmoid_backward(grad: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::activations::sigmoid_backward::<Self>(grad, y)
    }
}

#[cfg(feature = "ndarray")]
#[expect(deprecated, reason = "Burn drops ndarray in 0.23; it is asked for by users of 0.22")]
impl LayerOps for burn::backend::NdArray {}

/// The shapes of the results, for a backend that computes later than it is called.
#[cfg(feature = "fusion")]
mod spec {
    use burn::tensor::Shape;

    use super::{Targets, TensorSpec, Vocabulary};

    pub(super) fn sums(_x: &Shape) -> Shape {
        [2].into()
    }

    pub(super) fn scores(q: &Shape, k: &Shape) -> Shape {
        [q[0], q[1], k[1]].into()
    }

    pub(super) fn additive_score_backward(
        _grad: &TensorSpec,
        q: &TensorSpec,
        k: &TensorSpec,
        v: &TensorSpec,
    ) -> (TensorSpec, TensorSpec, TensorSpec) {
        (q.clone(), k.clone(), v.clone())
    }

    pub(super) fn cross_entropy_gradients(
        x: &TensorSpec,
        w_o: &TensorSpec,
        b_o: &TensorSpec,
        _vocabulary: &Vocabulary,
        _targets: &Targets,
    ) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
        (TensorSpec::new(sums(&x.shape), x.dtype), x.clone(), w_o.clone(), b_o.clone())
    }

    pub(super) fn cross_entropy_backward(
        _grad: &TensorSpec,
        dx: &TensorSpec,
        dw_o: &TensorSpec,
        db_o: &TensorSpec,
    ) -> (TensorSpec, TensorSpec, TensorSpec) {
        (dx.clone(), dw_o.clone(), db_o.clone())
    }
}
