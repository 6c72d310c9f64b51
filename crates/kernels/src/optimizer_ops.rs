//! The backend extension for a step of an optimizer: as in [`ops`](crate::ops), with a default
//! composed of Burn's operations for every backend. None of it has a gradient.

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

use crate::{composed, optimizer::AdamStep};

#[cfg(feature = "fusion")]
use burn::backend::fusion::custom::TensorSpec;

/// Steps of optimizers, and what is done to gradients before. Called through
/// [`adam_step`](crate::adam_step) and its like, which say what each operand means.
#[backend_extension(
    Flex,
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda")),
    Fusion: cfg(feature = "fusion"),
)]
pub trait OptimizerOps: Backend {
    /// `(w, m, v)` after a step of Adam.
    #[fusion(meta = spec::adam_step)]
    fn adam_step(
        w: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        composed::optimizer::adam_step::<Self>(w, m, v, gradient, step.factors())
    }

    /// `(w, v)` after a step of gradient descent with momentum.
    #[fusion(meta = spec::momentum_step)]
    fn momentum_step(
        w: FloatTensor<Self>,
        v: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        momentum: f64,
        rate: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        composed::optimizer::momentum_step::<Self>(w, v, gradient, momentum, rate)
    }

    /// `w` after a step of gradient descent.
    #[fusion(dtype = w, shape = w)]
    fn descent_step(
        w: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        rate: f64,
    ) -> FloatTensor<Self> {
        composed::optimizer::descent_step::<Self>(w, gradient, rate)
    }

    /// `c · g`.
    #[fusion(dtype = gradient, shape = gradient)]
    fn scaled(gradient: FloatTensor<Self>, c: f64) -> FloatTensor<Self> {
        composed::optimizer::scaled::<Self>(gradient, c)
    }

    /// `Σ g²`, `[1]`, of `[N, K]`.
    #[fusion(dtype = gradient, shape = spec::one(gradient))]
    fn squares(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::optimizer::squares::<Self>(gradient)
    }
}

#[cfg(feature = "ndarray")]
#[expect(deprecated, reason = "Burn drops ndarray in 0.23; it is asked for by users of 0.22")]
impl OptimizerOps for burn::backend::NdArray {}

/// The shapes of the results, for a backend that computes later than it is called.
#[cfg(feature = "fusion")]
mod spec {
    use burn::tensor::Shape;

    use super::{AdamStep, TensorSpec};

    pub(super) fn adam_step(
        w: &TensorSpec,
        m: &TensorSpec,
        v: &TensorSpec,
        _gradient: &TensorSpec,
        _step: &AdamStep,
    ) -> (TensorSpec, TensorSpec, TensorSpec) {
        (w.clone(), m.clone(), v.clone())
    }

    pub(super) fn momentum_step(
        w: &TensorSpec,
        v: &TensorSpec,
        _gradient: &TensorSpec,
        _momentum: &f64,
        _rate: &f64,
    ) -> (TensorSpec, TensorSpec) {
        (w.clone(), v.clone())
    }

    pub(super) fn one(_gradient: &Shape) -> Shape {
        [1].into()
    }
}
