//! Gradients of a whole model: their norm, and clipping.
//!
//! ```text
//! by value:  gᵢ ← min(c, max(−c, gᵢ))
//! by norm:   g ← g · θ / ‖g‖   if ‖g‖ > θ, else untouched        ‖g‖² = Σ over all parameters
//! ```
//!
//! Burn clips each tensor by itself; here the norm is over all of them together. Source: Pascanu,
//! Mikolov & Bengio (2013), On the Difficulty of Training Recurrent Neural Networks.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    prelude::*,
    tensor::{DType, FloatDType},
};
use recurrent_kernels::{scaled, squares as sum_of_squares};

/// Multiplies every gradient.
pub(crate) fn scale<M: Module>(
    gradients: GradientsParams,
    model: &M,
    factor: f64,
) -> GradientsParams {
    change(gradients, model, Change::Scale(factor))
}

/// Brings every part of every gradient to within `limit` of 0.
pub(crate) fn clip_value<M: Module>(
    gradients: GradientsParams,
    model: &M,
    limit: f64,
) -> GradientsParams {
    change(gradients, model, Change::Clamp(limit))
}

/// What brings a norm down to `limit`; nothing if it is not above it.
pub(crate) fn norm_factor(norm: f64, limit: f64) -> Option<f64> {
    (norm > limit).then(|| limit / norm)
}

/// The sum of squares of every gradient, `[1]` each, in single precision or better.
pub(crate) fn squares<M: Module>(gradients: &GradientsParams, model: &M) -> Vec<Tensor<1>> {
    let mut squares = Squares { gradients, sums: Vec::new() };
    model.visit(&mut squares);
    squares.sums
}

/// Whether every parameter is finite.
pub(crate) fn all_finite<M: Module>(model: &M) -> bool {
    let mut finite = Finite(true);
    model.visit(&mut finite);
    finite.0
}

/// The precision of a parameter that is not in single precision, if there is one.
pub(crate) fn other_precision<M: Module>(model: &M) -> Option<DType> {
    struct Other(Option<DType>);
    impl ModuleVisitor for Other {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 = self.0.or(Some(param.val().dtype()).filter(|dtype| *dtype != DType::F32));
        }
    }
    let mut other = Other(None);
    model.visit(&mut other);
    other.0
}

/// Gives every parameter its first value, if it has none yet.
pub(crate) fn initialise<M: Module>(model: &M) {
    struct Touch;
    impl ModuleVisitor for Touch {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            param.val();
        }
    }
    model.visit(&mut Touch);
}

#[derive(Clone, Copy)]
enum Change {
    Scale(f64),
    Clamp(f64),
}

fn change<M: Module>(mut gradients: GradientsParams, model: &M, change: Change) -> GradientsParams {
    model.visit(&mut Changed { gradients: &mut gradients, change });
    gradients
}

struct Changed<'a> {
    gradients: &'a mut GradientsParams,
    change: Change,
}

impl ModuleVisitor for Changed<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let changed = match self.change {
                Change::Scale(factor) => scaled(gradient, factor),
                Change::Clamp(limit) => gradient.clamp(-limit, limit),
            };
            self.gradients.register(param.id, changed);
        }
    }
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        let gradient = match gradient.dtype() {
            DType::F64 | DType::F32 => gradient,
            _ => gradient.cast(FloatDType::F32),
        };
        self.sums.push(sum_of_squares(gradient));
    }
}

struct Finite(bool);

impl ModuleVisitor for Finite {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 = self.0 && param.val().is_finite().all().into_scalar::<bool>();
    }
}
