//! Why a training cannot start, or had to stop.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;

use crate::OutOfRange;

/// Why a training cannot start, or had to stop. Checkpoints that were complete before stay.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A field of the configuration is out of its range.
    #[error(transparent)]
    Config(#[from] OutOfRange),
    /// The model's parameters are not on an autodiff device, so there would be no gradients.
    #[error("the model is not on a device with autodiff, or has no parameters")]
    NotTrainable,
    /// An epoch without batches.
    #[error("epoch {epoch} has no batches")]
    NoBatches {
        /// The epoch, from 1.
        epoch: usize,
    },
    /// A fresh start where there is a run already.
    #[error("`{}` already holds a run: resume it or choose another folder", folder.display())]
    HoldsRun {
        /// The folder of the checkpoints.
        folder: PathBuf,
    },
    /// Nothing to resume from.
    #[error("`{}` holds no complete checkpoint{}", folder.display(), list(skipped))]
    NothingToResume {
        /// The folder of the checkpoints.
        folder: PathBuf,
        /// Checkpoints that are incomplete or damaged.
        skipped: Vec<Skipped>,
    },
    /// The run was started with another configuration.
    #[error("`{field}` was {then} when the run was started and is {now} now")]
    OtherConfig {
        /// The field that differs.
        field: String,
        /// Its value when the run was started, as JSON.
        then: String,
        /// Its value now, as JSON.
        now: String,
    },
    /// The checkpoint is of another model.
    #[error("`{}` does not fit the model: {why}", path.display())]
    OtherModel {
        /// The checkpoint.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The model is not in single precision. Burn reads the state of an optimizer back in single
    /// precision, so such a run would not go on as it was.
    #[error("only a model in single precision can be resumed, this one has {dtype}")]
    Precision {
        /// The precision of a parameter.
        dtype: String,
    },
    /// A number that has to be finite is not.
    #[error("{what} is not finite in epoch {epoch}, step {step}; the last checkpoint is kept")]
    NotFinite {
        /// The epoch, from 1.
        epoch: usize,
        /// Optimiser steps taken before, over all epochs.
        step: usize,
        /// What is not finite, e.g. "the loss".
        what: String,
    },
    /// Validation does not give the score that chooses the best epoch.
    #[error("validation gives no `{name}`, only {}", given.join(", "))]
    NoScore {
        /// The score that was asked for.
        name: String,
        /// The scores there are.
        given: Vec<String>,
    },
    /// Validation failed.
    #[error("validation failed after epoch {epoch}: {source}")]
    Validation {
        /// The epoch, from 1.
        epoch: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The model of an epoch that is to be averaged is damaged or was not kept.
    #[error(
        "the average needs `{}`: {why}; resume with a smaller `average.last` or without `average`",
        path.display()
    )]
    Average {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file cannot be written, made or removed.
    #[error("`{}` cannot be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// burn-train stopped the run.
    #[error("{0}")]
    Burn(Arc<burn_train::TrainingError>),
}

/// A checkpoint that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The checkpoint.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl TrainError {
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { path: path.to_path_buf(), source }
    }

    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.to_path_buf(), source }
    }
}

fn list(skipped: &[Skipped]) -> String {
    let lines = skipped.iter().map(|one| format!("\n  `{}`: {}", one.path.display(), one.why));
    lines.collect()
}
