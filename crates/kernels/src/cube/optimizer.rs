//! Steps of optimizers on a GPU: one launch for a parameter and its averages, in place where nobody else
//! has them.

use burn::{backend::TensorMetadata, tensor::DType};
use burn_cubecl::CubeBackend;
use cubecl::prelude::*;

use super::{buffer, contiguous};
use crate::{
    composed,
    optimizer::{AdamFactors, AdamStep},
    optimizer_ops::OptimizerOps,
};

type Tensor = super::Float;

/// Units of a cube.
const UNITS: usize = 256;

/// Cubes of a launch, at most: a unit goes on to the next number that is left.
const CUBES: usize = 1 << 12;

impl OptimizerOps for CubeBackend {
    fn adam_step(
        w: Tensor,
        m: Tensor,
        v: Tensor,
        gradient: Tensor,
        step: AdamStep,
    ) -> (Tensor, Tensor, Tensor) {
        let factors = step.factors();
        if !is_single(&w) {
            return composed::optimizer::adam_step::<Self>(w, m, v, gradient, factors);
        }
        let AdamFactors { rate, beta_1, beta_2, keep, correction, epsilon } = factors;
        let [w, m, v] = [w, m, v].map(own);
        let n = w.shape().num_elements();
        adam::launch(
            &w.client,
            count(n),
            CubeDim::new_1d(UNITS as u32),
            buffer(&w),
            buffer(&m),
            buffer(&v),
            buffer(&gradient),
            n as u32,
            rate as f32,
            beta_1 as f32,
            (1.0 - beta_1) as f32,
            beta_2 as f32,
            (1.0 - beta_2) as f32,
            keep as f32,
            correction as f32,
            epsilon as f32,
        );
        (w, m, v)
    }

    fn momentum_step(
        w: Tensor,
        v: Tensor,
        gradient: Tensor,
        momentum: f64,
        rate: f64,
    ) -> (Tensor, Tensor) {
        if !is_single(&w) {
            return composed::optimizer::momentum_step::<Self>(w, v, gradient, momentum, rate);
        }
        let [w, v] = [w, v].map(own);
        let n = w.shape().num_elements();
        roll::launch(
            &w.client,
            count(n),
            CubeDim::new_1d(UNITS as u32),
            buffer(&w),
            buffer(&v),
            buffer(&gradient),
            n as u32,
            momentum as f32,
            rate as f32,
        );
        (w, v)
    }
}

/// Small changes of a parameter in a small dtype are lost in any case; the composed path has them.
fn is_single(w: &Tensor) -> bool {
    w.dtype() == DType::F32 && w.shape().num_elements() > 0
}

/// A tensor that can be written to.
fn own(tensor: Tensor) -> Tensor {
    let tensor = contiguous(tensor);
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

fn count(n: usize) -> CubeCount {
    CubeCount::Static(n.div_ceil(UNITS).min(CUBES) as u32, 1, 1)
}

/// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`, `w ← keep · w − η · (c m / (√v + e))`.
#[cube(launch)]
fn adam(
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    gradient: &[f32],
    n: u32,
    rate: f32,
    beta_1: f32,
    rest_1: f32,
    beta_2: f32,
    rest_2: f32,
    keep: f32,
    correction: f32,
    epsilon: f32,
) {
    let mut at = ABSOLUTE_POS;
    while at < n as usize {
        let g = gradient[at];
        let first = beta_1 * m[at] + rest_1 * g;
        let second = beta_2 * v[at] + rest_2 * g * g;
        let change = correction * first / (second.sqrt() + epsilon);
        w[at] = keep * w[at] - rate * change;
        m[at] = first;
        v[at] = second;
        at += (CUBE_DIM_X * CUBE_COUNT_X) as usize;
    }
}

/// `v ← μ v + g`, `w ← w − η v`.
#[cube(launch)]
fn roll(w: &mut [f32], v: &mut [f32], gradient: &[f32], n: u32, momentum: f32, rate: f32) {
    let mut at = ABSOLUTE_POS;
    while at < n as usize {
        let velocity = momentum * v[at] + gradient[at];
        w[at] -= rate * velocity;
        v[at] = velocity;
        at += (CUBE_DIM_X * CUBE_COUNT_X) as usize;
    }
}
