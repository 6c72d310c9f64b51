//! Clipping by the global norm, over all gradients at once; Burn clips each tensor by itself.
//!
//! ```text
//! g ← g · min(1, θ / ‖g‖)        ‖g‖² = Σ over all parameters
//! ```
//!
//! Source: Pascanu, Mikolov & Bengio (2013), On the Difficulty of Training Recurrent Neural
//! Networks.

use burn::{
    module::{ModuleVisitor, Param},
    optim::GradientsParams,
    prelude::*,
};

/// The gradients of `model`, scaled down to a norm of at most `limit`. The factor stays on the
/// device.
pub(crate) fn clip_global_norm<M: Module>(
    mut gradients: GradientsParams,
    model: &M,
    limit: f64,
) -> GradientsParams {
    let mut squares = Squares { gradients: &gradients, sum: None };
    model.visit(&mut squares);
    if let Some(sum) = squares.sum {
        let factor = (sum.sqrt() + 1e-12).recip().mul_scalar(limit).clamp_max(1.0);
        model.visit(&mut Scale { gradients: &mut gradients, factor });
    }
    gradients
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = gradient.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let factor = self.factor.clone().reshape([1; D]);
            self.gradients.register(param.id, gradient * factor);
        }
    }
}
