//! Recurrences over whole sequences, as a backend extension of Burn.
//!
//! A recurrence written in tensor operations costs some twenty small kernels a step, as many nodes
//! in the autodiff graph, and a backward pass that is quadratic in the number of steps. Here one
//! operation takes the whole sequence, keeps what its hand-written backward pass needs, and enters
//! the graph as one node: [`rnn_sequence`], [`lstm_sequence`], [`layer_norm_lstm_sequence`],
//! [`gru_sequence`], and before them [`project_sequence`] and [`layer_norm_sequence`] for the input
//! side.
//!
//! Each runs on every backend: [`ops::SequenceOps`] has a default composed of Burn's operations,
//! and `flex` a path of its own. Which backend computes is decided by the device of the tensors.
//!
//! *Invariant:* numbers in, numbers out. No parameter, no model, no randomness. This is the only
//! crate that names Burn's internals.

mod autodiff;
mod composed;
mod flex;
mod gru;
mod layer_norm;
mod layer_norm_lstm;
mod lengths;
mod lstm;
pub mod ops;
mod project;
mod rnn;
mod sequence;

pub use gru::{GruOperands, Reset, Update, gru_sequence};
pub use layer_norm::{Norm, layer_norm_sequence};
pub use layer_norm_lstm::{LayerNormLstmOperands, layer_norm_lstm_sequence};
pub use lengths::{Direction, Lengths, Step};
pub use lstm::{Gates, LstmOperands, LstmSequence, lstm_sequence};
pub use project::project_sequence;
pub use rnn::{Activation, rnn_sequence};

#[cfg(test)]
mod tests;
