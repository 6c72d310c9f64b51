//! Recurrences over whole sequences, as a backend extension of Burn.
//!
//! A recurrence written in tensor operations costs some twenty small kernels a step, as many nodes
//! in the autodiff graph, and a backward pass that is quadratic in the number of steps. Here one
//! operation takes the whole sequence, keeps what its hand-written backward pass needs, and enters
//! the graph as one node: [`rnn_sequence`], [`lstm_sequence`], [`layer_norm_lstm_sequence`],
//! [`gru_sequence`], and before them [`project_sequence`] and [`layer_norm_sequence`] for the input
//! side. [`checkpointed_sequence`] keeps less for long sequences.
//!
//! What stands around the recurrences and is slow when composed is here as well: [`linear`] layers,
//! [`cross_entropy`] of an output layer, [`additive_score`] of attention, [`tanh`] and [`sigmoid`], and
//! the steps of optimizers, [`adam_step`] and its like.
//!
//! Beside them stand, on plain slices, products with weights of 8 bits, [`int8`], recurrences whose
//! weights never change, [`sparse`], and the sums of a linear regression, [`gram`].
//!
//! Each operation on tensors runs on every backend: [`ops::SequenceOps`], [`layer_ops::LayerOps`] and
//! [`optimizer_ops::OptimizerOps`] have defaults composed of Burn's operations, and `flex` has a path
//! of its own. Which backend computes is decided by the device of the tensors.
//!
//! *Invariant:* numbers in, numbers out. No parameter, no model, no randomness. This is the only
//! crate that names Burn's internals.

mod activations;
mod additive_score;
mod autodiff;
mod checkpointed;
mod composed;
mod cross_entropy;
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
mod cube;
mod flex;
pub mod gram;
mod gru;
pub mod heap;
pub mod int8;
mod layer_autodiff;
mod layer_norm;
mod layer_norm_lstm;
pub mod layer_ops;
mod lengths;
mod lstm;
pub mod ops;
mod optimizer;
pub mod optimizer_ops;
mod products;
mod project;
mod rnn;
mod sequence;
pub mod sparse;

pub use activations::{sigmoid, tanh};
pub use additive_score::additive_score;
pub use checkpointed::{CheckpointedOperands, Recurrence, checkpointed_sequence};
pub use cross_entropy::{Losses, OutputWeights, Targets, Vocabulary, cross_entropy};
pub use flex::slices::{additive_scores, lstm_step};
pub use gru::{GruOperands, Reset, Update, gru_sequence};
pub use layer_norm::{Norm, layer_norm_sequence};
pub use layer_norm_lstm::{LayerNormLstmOperands, layer_norm_lstm_sequence};
pub use lengths::{Direction, Lengths, Step};
pub use lstm::{Gates, LstmOperands, LstmSequence, lstm_sequence};
pub use optimizer::{AdamStep, adam_step, descent_step, momentum_step, scaled, squares};
pub use products::{NoHalf, Products, set_products};
pub use project::{linear, project_sequence};
pub use rnn::{Activation, rnn_sequence};

#[cfg(test)]
mod tests;
