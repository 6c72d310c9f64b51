//! Activations of any tensor, for what is not inside a fused sequence.
//!
//! ```text
//! tanh(a)                        dL/da = dL/dy · (1 − y²)
//! sigmoid(a) = 1 / (1 + e^−a)    dL/da = dL/dy · y · (1 − y)
//! ```
//!
//! Both are Burn's functions of the same names, but faster on the CPU, and `sigmoid` keeps `f64` in
//! `f64` on every backend.

use burn::{backend::Dispatch, prelude::*};

use crate::layer_ops::LayerOps;

/// The hyperbolic tangent of every element. The gradient is of first order only.
pub fn tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as LayerOps>::tanh(x.into_dispatch()))
}

/// The logistic function of every element. The gradient is of first order only.
pub fn sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as LayerOps>::sigmoid(x.into_dispatch()))
}
