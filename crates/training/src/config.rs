//! How to train, as data of a configuration.

use serde::{Deserialize, Serialize};

use crate::{Monitor, OptimizerConfig, OutOfRange, Schedule, name_or_table, optimizer::positive};

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// All randomness comes from it: the same seed is the same run, bit for bit, on a CPU with the
    /// same number of threads. Default 1.
    pub seed: u64,
    /// How often the data is gone through, above 0. Default 10.
    pub epochs: usize,
    /// Which optimizer takes the steps. Default Adam.
    #[serde(deserialize_with = "name_or_table")]
    pub optimizer: OptimizerConfig,
    /// The learning rate that the schedule multiplies, above 0. Default 1e-3.
    pub learning_rate: f64,
    /// How the learning rate changes. Default: not at all.
    pub schedule: Schedule,
    /// The norm of all gradients together is brought down to this, above 0. Default: not clipped.
    pub clip_norm: Option<f64>,
    /// Every part of a gradient is brought to within this of 0, above 0; before `clip_norm`.
    /// Default: not clipped.
    pub clip_value: Option<f64>,
    /// Batches an optimiser step, above 0. Their gradients are summed and divided by their summed
    /// weights, so it is as one large batch. Default 1.
    pub accumulate: usize,
    /// When to stop before the last epoch. Default: never.
    pub early_stopping: Option<EarlyStopping>,
    /// Whether the models of the last epochs are averaged in the end. Default: they are not.
    pub average: Option<Averaging>,
    /// Which validation score chooses the best epoch. Default: the lowest "nll".
    pub metric: Monitor,
}

/// When to stop before the last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Epochs without a new best score after which training stops, above 0.
    pub patience: usize,
}

/// How the models of the last epochs are averaged when training is over. The mean is validated as an
/// epoch is, and it is the model that training leaves if it is as good as the best epoch at least.
///
/// It costs, for `P` parameters:
///
/// - on disk, the checkpoints of the last epochs instead of the last two, each of the model and the
///   state of its optimizer (12 P bytes in single precision with Adam), and one model more;
/// - in memory, when training is over, a second model on the device and 16 P bytes on the host;
/// - in time, one more validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Averaging {
    /// How many of the last epochs, at least 2 and at most `epochs`; where training stops before, of
    /// those that there are.
    pub last: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            epochs: 10,
            optimizer: OptimizerConfig::default(),
            learning_rate: 1e-3,
            schedule: Schedule::default(),
            clip_norm: None,
            clip_value: None,
            accumulate: 1,
            early_stopping: None,
            average: None,
            metric: Monitor::default(),
        }
    }
}

impl TrainConfig {
    /// Whether every field is in its range.
    ///
    /// # Errors
    ///
    /// For the first that is not.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        positive("epochs", self.epochs as f64)?;
        self.optimizer.validate()?;
        positive("learning_rate", self.learning_rate)?;
        self.schedule.validate()?;
        self.clip_norm.map_or(Ok(()), |limit| positive("clip_norm", limit))?;
        self.clip_value.map_or(Ok(()), |limit| positive("clip_value", limit))?;
        positive("accumulate", self.accumulate as f64)?;
        let patience = self.early_stopping.map(|early| early.patience as f64);
        patience.map_or(Ok(()), |patience| positive("early_stopping.patience", patience))?;
        self.average.map_or(Ok(()), |average| average.validate(self.epochs))
    }
}

impl Averaging {
    fn validate(&self, epochs: usize) -> Result<(), OutOfRange> {
        // The mean of one epoch is the epoch.
        let holds = |last: &usize| (2..=epochs).contains(last);
        let range = format!("at least 2 and at most `epochs`, which is {epochs}");
        OutOfRange::check("average.last", self.last, holds, &range)
    }
}
