//! Where a run stands, as its checkpoints say.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::{AverageRecord, EpochRecord, exact};

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Epochs done.
    pub(crate) epochs: usize,
    /// Batches done of the next one.
    pub(crate) batches: usize,
    /// Batches of the first epoch: other data would most likely have another number.
    pub(crate) first: usize,
    /// Optimiser steps taken.
    pub(crate) steps: usize,
    /// Sums over the batches done of the next epoch.
    pub(crate) running: Running,
    pub(crate) history: Vec<EpochRecord>,
    /// The mean of the last epochs, if training is over and asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) average: Option<AverageRecord>,
}

impl Done {
    /// So many of the last epochs, or all if they are fewer.
    pub(crate) fn last_epochs(&self, count: usize) -> RangeInclusive<usize> {
        self.epochs.saturating_sub(count) + 1..=self.epochs
    }
}

/// Sums over an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Running {
    #[serde(with = "exact")]
    pub(crate) loss: f64,
    #[serde(with = "exact")]
    pub(crate) weight: f64,
    #[serde(with = "exact")]
    pub(crate) nll: f64,
    pub(crate) items: usize,
    #[serde(with = "exact")]
    pub(crate) norms: f64,
    pub(crate) steps: usize,
    #[serde(with = "exact")]
    pub(crate) learning_rate: f64,
}
