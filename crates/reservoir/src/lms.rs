//! Least mean squares: a small step down the squared error of every step.
//!
//! ```text
//! e = d − W_out z
//! W_out += η e zᵀ                     plain
//! W_out += η e zᵀ / (ε + zᵀ z)        normalised, ε = 1e-12
//! ```
//!
//! `z [F]`, `d [L]`, `W_out [L, F]`, zero at first. The normalised rule converges for `η` in (0, 2); the plain one
//! only for `η` below `2 / Σ_i mean z_i²`, which depends on the features. Both are cheap and slow: how many steps
//! they take grows with the ratio of the largest to the smallest eigenvalue of the features' correlations, which is
//! large for most reservoirs. [`rls`](crate::rls) does not mind.
//!
//! Source: B. Widrow & M. E. Hoff (1960), Adaptive Switching Circuits, IRE WESCON; J.-I. Nagumo & A. Noda (1967), A
//! Learning Method for System Identification, IEEE Transactions on Automatic Control 12, for the normalised one.

use serde::{Deserialize, Serialize};

use crate::{
    OnlineReadout, Readout, ReservoirError,
    error::check,
    online::{correct, errors},
};

/// What `ε` is: features that are all zero teach nothing.
const EPSILON: f64 = 1e-12;

/// What the step is relative to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LmsRule {
    /// Nothing.
    Plain,
    /// The squared length of the features.
    #[default]
    Normalised,
}

/// How far least mean squares go at a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LmsConfig {
    /// What the step is relative to.
    pub rule: LmsRule,
    /// `η`, above 0; of the normalised rule below 2.
    pub step_size: f64,
}

impl Default for LmsConfig {
    fn default() -> Self {
        Self { rule: LmsRule::Normalised, step_size: 0.5 }
    }
}

impl LmsConfig {
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
    ) -> Result<LeastMeanSquares, ReservoirError> {
        let Self { rule, step_size } = *self;
        match rule {
            LmsRule::Plain => check("step_size", step_size, |eta| eta > 0.0, "above 0")?,
            LmsRule::Normalised => {
                let within = |eta| eta > 0.0 && eta < 2.0;
                check("step_size", step_size, within, "in (0, 2) for `rule = \"normalised\"`")?;
            }
        }
        assert!(features > 0 && outputs > 0, "at least one feature and one output");
        Ok(LeastMeanSquares {
            config: *self,
            readout: Readout { weights: vec![0.0; outputs * features], features },
            step: vec![0.0; features],
            errors: vec![0.0; outputs],
        })
    }
}

/// Least mean squares, as far as they have come.
#[derive(Clone, Debug, PartialEq)]
pub struct LeastMeanSquares {
    config: LmsConfig,
    readout: Readout,
    step: Vec<f64>,
    errors: Vec<f64>,
}

impl OnlineReadout for LeastMeanSquares {
    fn readout(&self) -> &Readout {
        &self.readout
    }

    fn update(&mut self, z: &[f64], d: &[f64]) -> &[f64] {
        errors(&self.readout, z, d, &mut self.errors);
        let eta = match self.config.rule {
            LmsRule::Plain => self.config.step_size,
            LmsRule::Normalised => {
                self.config.step_size / (EPSILON + z.iter().map(|z| z * z).sum::<f64>())
            }
        };
        for (step, z) in self.step.iter_mut().zip(z) {
            *step = eta * z;
        }
        correct(&mut self.readout, &self.errors, &self.step);
        &self.errors
    }
}
