//! How precisely a GPU multiplies matrices.
//!
//! ```text
//! A · B  ≈  s_a s_b · (⌊A / s_a⌉ · ⌊B / s_b⌉)          s = max |·|,  ⌊·⌉ to f16
//! ```
//!
//! Operands are rounded to half precision, sums are taken in single, and everything around a product stays
//! in single precision as well: parameters and what optimizers keep, the equations and cells of recurrences,
//! losses. Each operand is divided by its largest element first, so that gradients do not vanish below what
//! `f16` can hold (6e-8) and nothing grows beyond it; what is lost is what is 2²⁴ times smaller than the largest.
//!
//! Source: Micikevicius et al. (2018), Mixed Precision Training; one scale for each operand where they have
//! one for the loss.

use burn::tensor::Device;
use thiserror::Error;

/// How precisely products of matrices are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Products {
    /// In the precision of the operands.
    #[default]
    Full,
    /// Operands of `f32` are rounded to `f16`, of products that have at least 16 rows, columns and terms.
    Half,
}

/// A device has no products in half precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoHalf {
    /// It is a processor, where they would be slower.
    #[error("a processor multiplies in single precision")]
    Processor,
    /// It does not compute in `f16`.
    #[error("the adapter has no f16")]
    Adapter,
}

/// Chooses how products are taken from now on, in the whole program, where `device` computes: those of
/// [`linear`](crate::linear), of the input side, the recurrent weights and the weight gradients of recurrences, and
/// of output layers. Recurrences that take a step, or all of them, in one launch do not multiply matrices
/// and are not changed, nor are the few products that models write themselves.
///
/// # Errors
///
/// [`NoHalf`] if `device` cannot; nothing is changed then.
pub fn set_products(device: &Device, products: Products) -> Result<(), NoHalf> {
    switch::set(device, products)
}

pub(crate) use switch::product;

#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
mod switch {
    use std::{
        any::Any,
        sync::{PoisonError, RwLock},
    };

    use burn::{
        backend::{Backend, CubeDevice, DispatchDevice, TensorMetadata, tensor::FloatTensor},
        tensor::{DType, Device, FloatDType, Shape},
    };

    use super::{NoHalf, Products};

    /// The devices that multiply in half precision.
    static HALF: RwLock<Vec<CubeDevice>> = RwLock::new(Vec::new());

    /// Fewer rows, columns or terms are no work for units that multiply matrices.
    const FEWEST: usize = 16;

    /// The most terms whose sum cannot leave what `f16` holds, 65,504.
    const TERMS: usize = 1 << 15;

    pub(super) fn set(device: &Device, products: Products) -> Result<(), NoHalf> {
        let inner = device.clone().without_autodiff();
        let cube = match (inner.as_dispatch(), products) {
            (DispatchDevice::Cube(cube), _) => cube,
            (_, Products::Full) => return Ok(()),
            (_, Products::Half) => return Err(NoHalf::Processor),
        };
        if products == Products::Half && !inner.supports_dtype(DType::F16) {
            return Err(NoHalf::Adapter);
        }
        let mut half = HALF.write().unwrap_or_else(PoisonError::into_inner);
        half.retain(|other| other != cube);
        if products == Products::Half {
            half.push(cube.clone());
        }
        Ok(())
    }

    /// `a · b`, of `[M, K]` and `[K, N]`.
    pub(crate) fn product<B: Backend>(a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
        match is_half::<B>(&a, &b) {
            true => in_half::<B>(a, b),
            false => B::float_matmul(a, b),
        }
    }

    fn is_half<B: Backend>(a: &FloatTensor<B>, b: &FloatTensor<B>) -> bool {
        let half = HALF.read().unwrap_or_else(PoisonError::into_inner);
        if half.is_empty() || a.dtype() != DType::F32 {
            return false;
        }
        let device: &dyn Any = &a.device();
        let ([m, k], [_, n]) = (a.shape().dims::<2>(), b.shape().dims::<2>());
        [m, k, n].iter().all(|size| *size >= FEWEST)
            && device.downcast_ref().is_some_and(|device| half.contains(device))
    }

    fn in_half<B: Backend>(a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
        let [_, k] = a.shape().dims::<2>();
        let (a, s_a) = rounded::<B>(a, k.div_ceil(TERMS));
        let (b, s_b) = rounded::<B>(b, 1);
        let sums = B::float_cast(B::float_matmul(a, b), FloatDType::F32);
        B::float_mul(B::float_mul(sums, s_a), s_b)
    }

    /// `⌊x / s⌉` in `f16` and `s` as `[1, 1]`, at least `times` the largest element.
    fn rounded<B: Backend>(x: FloatTensor<B>, times: usize) -> (FloatTensor<B>, FloatTensor<B>) {
        let largest = B::float_reshape(B::float_max_abs(x.clone()), Shape::from([1, 1]));
        let s = B::float_mul_scalar(largest, (times as f64).into());
        // Of nothing but zeros as well.
        let s = B::float_clamp_min(s, f64::from(f32::MIN_POSITIVE).into());
        let x = B::float_div(x, s.clone());
        (B::float_cast(x, FloatDType::F16), s)
    }
}

#[cfg(not(any(feature = "wgpu", feature = "vulkan", feature = "cuda")))]
mod switch {
    use burn::{
        backend::{Backend, tensor::FloatTensor},
        tensor::Device,
    };

    use super::{NoHalf, Products};

    pub(super) fn set(_device: &Device, products: Products) -> Result<(), NoHalf> {
        match products {
            Products::Full => Ok(()),
            Products::Half => Err(NoHalf::Processor),
        }
    }

    /// `a · b`, of `[M, K]` and `[K, N]`.
    pub(crate) fn product<B: Backend>(a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
        B::float_matmul(a, b)
    }
}
