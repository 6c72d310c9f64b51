//! What a training has seen of itself: a record an epoch, and which was the best.
//!
//! The best epoch, the end by early stopping and the cuts of a plateau are functions of the
//! history and of nothing else, so a training that is resumed decides as one that never stopped.

use serde::{Deserialize, Serialize};

use crate::exact;

/// What validation measured, in the order it is to be shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores(Vec<Score>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Score {
    name: String,
    #[serde(with = "exact")]
    value: f64,
}

impl Scores {
    /// No scores yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These scores and one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.0.push(Score { name: name.to_string(), value });
        self
    }

    /// The score of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find_map(|(other, value)| (other == name).then_some(value))
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|score| (score.name.as_str(), score.value))
    }
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Optimiser steps taken by its end, over all epochs.
    pub steps: usize,
    /// What was minimised, per unit of weight, averaged over the epoch while it was training.
    #[serde(with = "exact")]
    pub loss: f64,
    /// Negative log-likelihood per item in nats, averaged over the epoch while it was training.
    #[serde(with = "exact")]
    pub nll: f64,
    /// Items, i.e. tokens or examples.
    pub items: usize,
    /// Learning rate of the last step.
    #[serde(with = "exact")]
    pub learning_rate: f64,
    /// Mean over the steps of the norm of the gradient, before clipping by norm.
    #[serde(with = "exact")]
    pub gradient_norm: f64,
    /// What validation measured at its end.
    pub scores: Scores,
}

/// Which way a score gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// As low as can be: losses, perplexities, error rates.
    Lowest,
    /// As high as can be: accuracies, BLEU.
    Highest,
}

/// The score that chooses the best epoch, stops early and cuts the rate on a plateau.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    /// The name of a score that validation gives, e.g. "nll", "wer" or "bleu".
    pub name: String,
    /// Which way it gets better.
    pub direction: Direction,
}

impl Default for Monitor {
    /// The lowest "nll".
    fn default() -> Self {
        Self { name: "nll".to_string(), direction: Direction::Lowest }
    }
}

impl Monitor {
    /// The best epoch so far; of equals the earliest.
    pub fn best<'a>(&self, history: &'a [EpochRecord]) -> Option<&'a EpochRecord> {
        let mut best: Option<&EpochRecord> = None;
        for record in history {
            if best.is_none_or(|best| self.improves(&record.scores, &best.scores)) {
                best = Some(record);
            }
        }
        best
    }

    /// Epochs since the best one.
    pub fn stale(&self, history: &[EpochRecord]) -> usize {
        let best = self.best(history).map_or(0, |best| best.epoch);
        history.last().map_or(0, |last| last.epoch - best)
    }

    /// How often the score went `patience` epochs without getting better than ever before; after
    /// each time the count starts again.
    pub fn plateaus(&self, history: &[EpochRecord], patience: usize) -> usize {
        let (mut waited, mut plateaus) = (0, 0);
        let mut best: Option<&EpochRecord> = None;
        for record in history {
            if best.is_none_or(|best| self.improves(&record.scores, &best.scores)) {
                best = Some(record);
                waited = 0;
            } else {
                waited += 1;
            }
            if waited == patience {
                plateaus += 1;
                waited = 0;
            }
        }
        plateaus
    }

    /// Whether `new` is a number and as good as `old` at least.
    pub(crate) fn as_good(&self, new: &Scores, old: &Scores) -> bool {
        new.get(&self.name).is_some_and(f64::is_finite) && !self.improves(old, new)
    }

    fn improves(&self, new: &Scores, old: &Scores) -> bool {
        match (new.get(&self.name), old.get(&self.name)) {
            (Some(new), Some(old)) => match self.direction {
                Direction::Lowest => new < old,
                Direction::Highest => new > old,
            },
            (new, old) => new.is_some() && old.is_none(),
        }
    }
}
