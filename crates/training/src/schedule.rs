//! How the learning rate changes. Every schedule is a function of where the training stands and of
//! nothing else.
//!
//! Sources: Sutskever, Vinyals & Le (2014), Sequence to Sequence Learning with Neural Networks,
//! section 3.4; Luong, Brevdo & Zhao (2017), tensorflow/nmt, for `luong5`, `luong10`, `luong234`
//! and the exponential warm-up, which its code calls `t2t`.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::{OutOfRange, name_or_table};

/// What the learning rate is multiplied with: a warm-up times a decay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// How the rate rises in the first steps. Default: not at all.
    #[serde(deserialize_with = "name_or_table")]
    pub warmup: Warmup,
    /// How the rate falls. Default: not at all.
    #[serde(deserialize_with = "name_or_table")]
    pub decay: Decay,
}

/// How the learning rate rises in the first steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Warmup {
    /// It starts where it is.
    #[default]
    None,
    /// `(step + 1) / steps`.
    Linear {
        /// Steps until the full rate.
        steps: usize,
    },
    /// `0.01^((steps − step) / steps)`: from a hundredth of the rate.
    Exponential {
        /// Steps until the full rate.
        steps: usize,
    },
}

/// How the learning rate falls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decay {
    /// It stays.
    #[default]
    Constant,
    /// Five epochs at the full rate, then halved every half epoch, the first time at 5; 0 from 7.5
    /// epochs on, where the paper stops.
    Sutskever,
    /// From half of all steps on, halved 5 times at equal distances; a step at the start of a
    /// distance still has the rate before.
    Luong5,
    /// From half of all steps on, halved 10 times.
    Luong10,
    /// From two thirds of all steps on, halved 4 times.
    Luong234,
    /// In a straight line to 0 at the last step, after the warm-up.
    Linear,
    /// Along a half cosine to 0 at the last step, after the warm-up.
    Cosine,
    /// `√(steps / step)` from `steps` on; usually as many as the warm-up has.
    InverseSqrt {
        /// Steps at the full rate, above 0.
        steps: usize,
    },
    /// `factor^epochs`, at every step.
    Exponential {
        /// Above 0, at most 1.
        factor: f64,
    },
    /// `factor^⌊epochs / every⌋`.
    Step {
        /// Above 0, at most 1.
        factor: f64,
        /// Epochs between the cuts, above 0.
        every: usize,
    },
    /// Multiplied with `factor` whenever the monitored score has not improved for `patience`
    /// epochs.
    Plateau {
        /// Above 0, below 1.
        factor: f64,
        /// Epochs, above 0.
        patience: usize,
    },
}

/// Where a training stands, for a schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Optimiser steps taken, from 0.
    pub step: usize,
    /// Steps of the whole training: epochs times the steps of the first one.
    pub total: usize,
    /// Epochs done, with the part of the running one.
    pub epochs: f64,
    /// Plateaus met so far; only [`Decay::Plateau`] asks.
    pub plateaus: usize,
}

impl Schedule {
    /// What the learning rate is multiplied with at `at`.
    pub fn factor(&self, at: &Position) -> f64 {
        self.warmup.factor(at.step) * self.decay.factor(at, self.warmup.steps())
    }

    /// Whether the rate depends on how long the whole training is.
    pub(crate) fn looks_ahead(&self) -> bool {
        match self.decay {
            Decay::Luong5 | Decay::Luong10 | Decay::Luong234 | Decay::Linear | Decay::Cosine => {
                true
            }
            Decay::Constant
            | Decay::Sutskever
            | Decay::InverseSqrt { .. }
            | Decay::Exponential { .. }
            | Decay::Step { .. }
            | Decay::Plateau { .. } => false,
        }
    }

    pub(crate) fn patience(&self) -> Option<usize> {
        let Decay::Plateau { patience, .. } = self.decay else { return None };
        Some(patience)
    }

    pub(crate) fn validate(&self) -> Result<(), OutOfRange> {
        let above = |field, value: usize| match value {
            0 => Err(OutOfRange::new(field, value, "above 0")),
            _ => Ok(()),
        };
        let part = |field, value: f64| match value > 0.0 && value <= 1.0 {
            true => Ok(()),
            false => Err(OutOfRange::new(field, value, "above 0 and at most 1")),
        };
        match self.warmup {
            Warmup::None => {}
            Warmup::Linear { steps } | Warmup::Exponential { steps } => {
                above("schedule.warmup.steps", steps)?;
            }
        }
        match self.decay {
            Decay::InverseSqrt { steps } => above("schedule.decay.inverse_sqrt.steps", steps),
            Decay::Exponential { factor } => part("schedule.decay.exponential.factor", factor),
            Decay::Step { factor, every } => {
                part("schedule.decay.step.factor", factor)?;
                above("schedule.decay.step.every", every)
            }
            Decay::Plateau { factor, patience } => {
                part("schedule.decay.plateau.factor", factor)?;
                above("schedule.decay.plateau.patience", patience)
            }
            Decay::Constant
            | Decay::Sutskever
            | Decay::Luong5
            | Decay::Luong10
            | Decay::Luong234
            | Decay::Linear
            | Decay::Cosine => Ok(()),
        }
    }
}

impl Warmup {
    fn steps(&self) -> usize {
        match *self {
            Self::None => 0,
            Self::Linear { steps } | Self::Exponential { steps } => steps,
        }
    }

    fn factor(&self, step: usize) -> f64 {
        match *self {
            Self::Linear { steps } if step < steps => (step + 1) as f64 / steps as f64,
            Self::Exponential { steps } if step < steps => {
                0.01_f64.powf((steps - step) as f64 / steps as f64)
            }
            Self::None | Self::Linear { .. } | Self::Exponential { .. } => 1.0,
        }
    }
}

impl Decay {
    fn factor(&self, at: &Position, warmup: usize) -> f64 {
        match *self {
            Self::Constant => 1.0,
            Self::Sutskever => sutskever(at.epochs),
            Self::Luong5 => luong(at, at.total / 2, 5),
            Self::Luong10 => luong(at, at.total / 2, 10),
            Self::Luong234 => luong(at, at.total * 2 / 3, 4),
            Self::Linear => 1.0 - gone(at, warmup),
            Self::Cosine => 0.5 * (1.0 + (PI * gone(at, warmup)).cos()),
            Self::InverseSqrt { steps } if at.step > steps => {
                (steps as f64 / at.step as f64).sqrt()
            }
            Self::InverseSqrt { .. } => 1.0,
            Self::Exponential { factor } => factor.powf(at.epochs),
            Self::Step { factor, every } => factor.powf((at.epochs / every as f64).floor()),
            Self::Plateau { factor, .. } => factor.powf(at.plateaus as f64),
        }
    }
}

fn sutskever(epochs: f64) -> f64 {
    match epochs {
        _ if epochs < 5.0 => 1.0,
        _ if epochs < 7.5 => 0.5_f64.powf(((epochs - 5.0) / 0.5).floor() + 1.0),
        _ => 0.0,
    }
}

/// Halved `times` times between `start` and the end. `start` and the distance are whole numbers of
/// steps, rounded down.
fn luong(at: &Position, start: usize, times: usize) -> f64 {
    if at.step < start {
        return 1.0;
    }
    let distance = (at.total.saturating_sub(start) / times).max(1);
    0.5_f64.powf(((at.step - start) / distance) as f64)
}

/// The part of the steps after the warm-up that is over, from 0 to 1.
fn gone(at: &Position, warmup: usize) -> f64 {
    let left = at.total.saturating_sub(warmup).max(1);
    (at.step.saturating_sub(warmup) as f64 / left as f64).min(1.0)
}
