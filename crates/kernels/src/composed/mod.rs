//! The sequence operations composed of Burn's own: what every backend falls back on, and the
//! readable form of what the hand-written paths compute.

pub(crate) mod activations;
pub(crate) mod additive_score;
pub(crate) mod cross_entropy;
pub(crate) mod gru;
pub(crate) mod layer_norm;
pub(crate) mod layer_norm_lstm;
pub(crate) mod lstm;
pub(crate) mod optimizer;
pub(crate) mod project;
pub(crate) mod rnn;
mod value;
