//! Training on burn-train: what its stock loop does not do.
//!
//! ```text
//! for each epoch                    plan its batches from (seed, epoch), make them ahead
//!   for each step                   seed the device from (seed, epoch, step)
//!     for each of its batches       model.learn(batch, state of the batch before)
//!     sum of gradients / weights    clip by value, then by norm
//!     optimizer                     at the rate the schedule gives for the step
//!   validate                        the caller's scores
//!   checkpoint                      all or nothing; the newest two and the best are kept
//! average                           the models of the last epochs, if asked for; then validate
//! ```
//!
//! A training that is killed, stopped or out of disk goes on from its newest checkpoint and ends
//! with the same bits as one that was left alone. A loss, gradient, weight or score that is not
//! finite ends it with an error that names the step.
//!
//! It runs inside burn-train's `SupervisedTraining`, for the dashboard and its metrics, and stops
//! by its [`Interrupter`].
//!
//! *Invariant*: this crate knows no model, only [`Learn`], and it is the only place with an
//! optimizer, a clock and a checkpoint path.

mod adadelta;
mod adam;
mod average;
mod batches;
mod checkpoint;
mod config;
mod descent;
mod disk;
mod error;
mod exact;
mod gradients;
mod history;
mod json;
mod learn;
mod learner;
mod named;
mod observer;
mod optimizer;
mod out_of_range;
mod plain;
mod prefetch;
mod run;
mod schedule;
mod silent;
mod strategy;
mod train;
mod validation;

pub use average::{AverageRecord, Best};
pub use batches::{Batches, InOrder, Past, Shuffled};
pub use burn_train::Interrupter;
pub use checkpoint::{holds_run, load_best};
pub use config::{Averaging, EarlyStopping, TrainConfig};
pub use error::{Skipped, TrainError};
pub use history::{Direction, EpochRecord, Monitor, Scores};
pub use json::Json;
pub use learn::{Carried, Learn, Loss, Moment};
pub use observer::{Event, Observer, Progress, Standing, StepReport};
pub use optimizer::{
    AdadeltaConfig, Adagrad, Adam, AdamThenSgd, AdamW, Momentum, OptimizerConfig, RmsProp,
};
pub use out_of_range::OutOfRange;
pub use schedule::{Decay, Position, Schedule, Warmup};
pub use train::{Ended, Start, Trained, Training, Validate};
pub use validation::{ValidationLoss, validation_loss};

pub(crate) use named::name_or_table;

#[cfg(test)]
mod tests;
