//! The bound of cell states and of residual sums.
//!
//! ```text
//! δ(s) = from + (to − from) · min(s / steps, 1)
//! ```
//!
//! A model that has learned within bounds loses nothing when its numbers are cut to eight bits. The
//! paper moves `δ` from 8 to 1 in the course of training and does not say how; here it falls on a
//! straight line. Once trained, a model keeps to the last bound.
//!
//! Source: Wu et al. (2016), section 6, equations 10 to 13.

use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

/// How `δ` moves while a model learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clip {
    /// `δ` at the first step, above 0.
    pub from: f64,
    /// `δ` in the end and after training, above 0.
    pub to: f64,
    /// Optimiser steps until then, above 0.
    pub steps: usize,
}

impl Clip {
    /// The paper's bounds, 8 to 1, over so many steps.
    pub fn paper(steps: usize) -> Self {
        Self { from: 8.0, to: 1.0, steps }
    }

    /// `δ` when so many optimiser steps have been taken.
    pub fn at(&self, step: usize) -> f64 {
        let passed = (step as f64 / self.steps as f64).min(1.0);
        self.from + (self.to - self.from) * passed
    }

    pub(crate) fn validate(&self) -> Result<(), OutOfRange> {
        let above = |value: &f64| value.is_finite() && *value > 0.0;
        OutOfRange::check("clip.from", self.from, above, "above 0")?;
        OutOfRange::check("clip.to", self.to, above, "above 0")?;
        OutOfRange::check("clip.steps", self.steps, |steps| *steps > 0, "above 0")
    }
}
