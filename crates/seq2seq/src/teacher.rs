//! What a decoder reads while it learns: the true token, or now and then its own.
//!
//! ```text
//! ε_i = max(floor, 1 − i/steps)           linear
//! ε_i = k^i                               exponential, k < 1
//! ε_i = k / (k + exp(i/k))                inverse sigmoid, k ≥ 1
//! ```
//!
//! At optimiser step `i` each token read is the true one with probability `ε_i`, and else the most
//! likely one of the step before.
//!
//! Source: Bengio, Vinyals, Jaitly & Shazeer (2015), Scheduled Sampling for Sequence Prediction with
//! Recurrent Neural Networks, section 2.4.

use serde::{Deserialize, Serialize};

/// What a decoder reads while it learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Teacher {
    /// Always the true token.
    #[default]
    Forcing,
    /// The truth less and less, on a line.
    Linear {
        /// Steps after which the truth is never read, but for the floor.
        steps: f64,
        /// The least probability of the truth, in `[0, 1]`.
        floor: f64,
    },
    /// The truth less and less, by a factor a step.
    Exponential {
        /// The factor, in `(0, 1)`.
        k: f64,
    },
    /// The truth at first, then less and less.
    InverseSigmoid {
        /// At least 1. The truth is read half the time after `k · ln k` steps.
        k: f64,
    },
}

impl Teacher {
    /// The probability of reading the truth at an optimiser step, `ε_i`.
    pub fn truth(self, step: usize) -> f64 {
        let i = step as f64;
        match self {
            Self::Forcing => 1.0,
            Self::Linear { steps, floor } => (1.0 - i / steps).max(floor),
            Self::Exponential { k } => k.powf(i),
            Self::InverseSigmoid { k } => k / (k + (i / k).exp()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decays_go_through_their_points() {
        assert_eq!(Teacher::Forcing.truth(1_000_000), 1.0);
        let linear = Teacher::Linear { steps: 100.0, floor: 0.25 };
        assert_eq!([linear.truth(0), linear.truth(50), linear.truth(99)], [1.0, 0.5, 0.25]);
        assert_eq!(Teacher::Exponential { k: 0.5 }.truth(3), 0.125);
        let k: f64 = 200.0;
        let half = (k * k.ln()).round() as usize;
        assert!((Teacher::InverseSigmoid { k }.truth(half) - 0.5).abs() < 1e-3);
    }
}
