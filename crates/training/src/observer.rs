//! What a training tells while it runs.

use std::{fmt, io::Write, path::PathBuf};

use crate::{AverageRecord, Best, Ended, EpochRecord, Skipped};

/// Who is told. On burn-train's dashboard, `q` stops the training; Ctrl-C is a key like any other
/// there.
pub enum Progress {
    /// burn-train's dashboard, on the terminal that standard output has to be.
    Dashboard,
    /// Lines of text without control characters, for pipes and files: one about every ten seconds
    /// and one an epoch. A line that cannot be written is lost, training goes on.
    Plain(Box<dyn Write + Send>),
    /// One JSON object a line for every event, described at [`Json`](crate::Json).
    Json(Box<dyn Write + Send>),
    /// Whatever it does with the events.
    Observer(Box<dyn Observer>),
    /// Nobody.
    Silent,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dashboard => "Dashboard",
            Self::Plain(_) => "Plain",
            Self::Json(_) => "Json",
            Self::Observer(_) => "Observer",
            Self::Silent => "Silent",
        })
    }
}

/// Is told what happens, on the thread that trains.
pub trait Observer {
    /// Something happened.
    fn observe(&mut self, event: &Event);
}

impl<F: FnMut(&Event)> Observer for F {
    fn observe(&mut self, event: &Event) {
        self(event);
    }
}

/// What happens in a training.
#[derive(Clone, Debug)]
pub enum Event {
    /// Training begins or goes on.
    Started {
        /// Epochs of the whole training.
        epochs: usize,
        /// Epochs done already.
        done: usize,
        /// Optimiser steps taken already.
        step: usize,
        /// Numbers in the model's parameters.
        parameters: usize,
    },
    /// A checkpoint was passed over because it is incomplete or damaged.
    Skipped(Skipped),
    /// The optimiser took a step.
    Step(StepReport),
    /// An epoch is over and validated.
    Epoch {
        /// The epoch.
        record: EpochRecord,
        /// Whether it is the best so far.
        best: Standing,
        /// Seconds since training began or went on.
        seconds: f64,
    },
    /// Training is over, and the mean of its last epochs validated.
    Average {
        /// The mean.
        record: AverageRecord,
        /// The better of it and the best epoch.
        best: Best,
        /// Seconds since training began or went on.
        seconds: f64,
    },
    /// A checkpoint is complete.
    Saved {
        /// Its folder.
        path: PathBuf,
    },
    /// Training is over.
    Ended {
        /// Why.
        ended: Ended,
        /// The best of it, if an epoch is over.
        best: Option<Best>,
        /// Seconds since training began or went on.
        seconds: f64,
    },
}

/// How an epoch stands among those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The best so far.
    Best,
    /// Not the best: that was so many epochs ago.
    Behind {
        /// Epochs since the best.
        epochs: usize,
    },
}

/// One step of the optimiser.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Epochs of the whole training.
    pub epochs: usize,
    /// Batches done in this epoch.
    pub batch: usize,
    /// Batches of this epoch.
    pub batches: usize,
    /// Steps taken with this one, over all epochs.
    pub step: usize,
    /// What was minimised, per unit of weight.
    pub loss: f64,
    /// Negative log-likelihood per item, in nats.
    pub nll: f64,
    /// Items, i.e. tokens or examples.
    pub items: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// Norm of the gradient, after clipping by value and before clipping by norm.
    pub gradient_norm: f64,
    /// Seconds since training began or went on.
    pub seconds: f64,
    /// Items a second, while learning.
    pub items_per_second: f64,
    /// Seconds of learning left if all epochs are run; without validation.
    pub seconds_left: f64,
}
