//! The search for the best output, over a [`Generator`] and never over a model.
//!
//! | wanted | by |
//! |---|---|
//! | the likeliest token at every step | [`greedy()`] |
//! | outputs as the model would write them, by chance | [`sample()`] |
//! | the best whole output, and the next best | [`beam()`] |
//! | how likely given outputs are | [`forced()`] |
//!
//! All of them run the same loop: a step of the generator, a choice of what goes on, and a move of
//! the state to where the chosen rows are. Outputs that have ended leave the batch.
//! Log-probabilities are natural, and are the model's own: what is forbidden is passed over, and
//! the rest is not made likelier for it. `<pad>` and `<s>` are never written.
//!
//! Every output is a whole sentence with `</s>` at its end, so all are scored alike; [`Ending`]
//! tells which of them were cut at their limit.

mod beam;
mod ensemble;
mod error;
mod forced;
mod generator;
mod greedy;
mod hypothesis;
mod length_ratio;
mod limits;
mod normal;
mod numbers;
mod penalty;
mod repetition;
mod sample;
mod scores;
mod seen;
mod shortlist;
mod trace;
mod walk;

pub use beam::{Beam, Pruning, beam};
pub use ensemble::{Ensemble, EnsembleError};
pub use error::SearchError;
pub use forced::forced;
pub use generator::{Generator, Predicted};
pub use greedy::greedy;
pub use hypothesis::{Ending, Hypothesis};
pub use length_ratio::LengthRatio;
pub use limits::{Limits, Unknown};
pub use penalty::{coverage_penalty, length_penalty};
pub use sample::{Sampling, sample, sample_numbered};
pub use scores::Scores;

#[cfg(test)]
mod tests;
