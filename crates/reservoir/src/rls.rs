//! Recursive least squares: after every step, the readout that ridge regression would give.
//!
//! ```text
//! k = Q z / (γ + zᵀ Q z)
//! W_out += (d − W_out z) kᵀ
//! Q = (Q − k zᵀ Q) / γ          Q(0) = I / λ,  W_out(0) = 0
//! ```
//!
//! `z [F]` are the features, `d [L]` the targets, `W_out [L, F]`; `Q [F, F]` is the inverse of `λ γᴹ I + PᵀP`, with
//! the step of `m` steps ago counted `γᵐ` times. With `γ` = 1 nothing is forgotten, and the readout is that of
//! [`ridge`](crate::ridge) but for the constant feature, which is penalised here as all others are. With `γ` < 1 it
//! follows a target that changes, over about `1 / (1 − γ)` steps. Directions in which nothing is heard any more then
//! grow in `Q` by `1 / γ` a step: `γ` far below 1 is for features that all go on moving.
//!
//! Source: S. Haykin (1996), Adaptive Filter Theory, chapter 13; for echo state networks: H. Jaeger (2003), Adaptive
//! Nonlinear System Identification with Echo State Networks, NIPS 15.

use serde::{Deserialize, Serialize};

use crate::{
    OnlineReadout, Readout, ReservoirError,
    error::check,
    online::{correct, errors},
};

/// How recursive least squares forget and begin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RlsConfig {
    /// `γ`, in (0, 1]; 1 forgets nothing.
    pub forgetting: f64,
    /// `λ`, above 0.
    pub regularization: f64,
}

impl Default for RlsConfig {
    fn default() -> Self {
        Self { forgetting: 1.0, regularization: 1e-6 }
    }
}

impl RlsConfig {
    /// A readout of zeros.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    ///
    /// # Panics
    ///
    /// If there are no features or no outputs.
    pub fn init(
        &self,
        features: usize,
        outputs: usize,
    ) -> Result<RecursiveLeastSquares, ReservoirError> {
        let Self { forgetting, regularization } = *self;
        check("forgetting", forgetting, |gamma| gamma > 0.0 && gamma <= 1.0, "in (0, 1]")?;
        check("regularization", regularization, |lambda| lambda > 0.0, "above 0")?;
        assert!(features > 0 && outputs > 0, "at least one feature and one output");
        let mut q = vec![0.0; features * features];
        q.iter_mut().step_by(features + 1).for_each(|q| *q = 1.0 / regularization);
        Ok(RecursiveLeastSquares {
            forgetting,
            q,
            readout: Readout { weights: vec![0.0; outputs * features], features },
            qz: vec![0.0; features],
            errors: vec![0.0; outputs],
        })
    }
}

/// Recursive least squares, as far as they have come.
#[derive(Clone, Debug, PartialEq)]
pub struct RecursiveLeastSquares {
    forgetting: f64,
    /// `Q`, `[F, F]`.
    q: Vec<f64>,
    readout: Readout,
    /// `Q z` and then `k`.
    qz: Vec<f64>,
    errors: Vec<f64>,
}

impl RecursiveLeastSquares {
    /// `Q`, `[F, F]`, symmetric to the bit.
    pub fn inverse(&self) -> &[f64] {
        &self.q
    }
}

impl OnlineReadout for RecursiveLeastSquares {
    fn readout(&self) -> &Readout {
        &self.readout
    }

    fn update(&mut self, z: &[f64], d: &[f64]) -> &[f64] {
        errors(&self.readout, z, d, &mut self.errors);
        let (f, gamma) = (self.readout.features, self.forgetting);
        // Q is a readout as well, with an output for every feature.
        for (qz, q) in self.qz.iter_mut().zip(self.q.chunks_exact(f)) {
            *qz = product(q, z);
        }
        let scale = 1.0 / (gamma + product(z, &self.qz));
        // k zᵀ Q = Q z (Q z)ᵀ · scale, and a product of two numbers has no order.
        for (q, left) in self.q.chunks_exact_mut(f).zip(&self.qz) {
            for (q, right) in q.iter_mut().zip(&self.qz) {
                *q = (*q - left * right * scale) / gamma;
            }
        }
        self.qz.iter_mut().for_each(|k| *k *= scale);
        correct(&mut self.readout, &self.errors, &self.qz);
        &self.errors
    }
}

/// `aᵀ b`, in eight sums.
fn product(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for n in 0..8 {
            sums[n] += a[n] * b[n];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}
