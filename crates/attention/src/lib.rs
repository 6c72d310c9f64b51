//! Attention: a query looks at every row of a memory and takes their mean, weighted by relevance.
//!
//! ```text
//! α_j = softmax_j(score(q, h_j))        over the rows that are not padding
//! c   = Σ_j α_j h_j
//! ```
//!
//! What differs is the [`Score`]: [`AdditiveAttention`] and [`NormedAdditiveAttention`] (Bahdanau et
//! al.), [`DotAttention`], [`GeneralAttention`] and [`ScaledAttention`] (Luong et al.). [`Attention`]
//! is any of them, chosen by a config. A [`Memory`] is prepared once a source, with what the score
//! needs of it, and [`attend`] takes one query or all queries of a sequence at once.
//!
//! ```
//! use burn::prelude::*;
//! use recurrent_attention::{AdditiveAttentionConfig, Score, attend};
//!
//! let device = Device::flex();
//! let attention = AdditiveAttentionConfig::new(8, 6, 5).init(&device);
//! let memory = attention.memory(Tensor::ones([2, 7, 6], &device), None);
//! let attended = attend(&attention, Tensor::ones([2, 1, 8], &device), &memory);
//! assert_eq!(attended.context.dims(), [2, 1, 6]);
//! assert_eq!(attended.weights.dims(), [2, 1, 7]);
//! ```
//!
//! *Invariant:* knows nothing of recurrent cells, keeps no state between calls.

mod additive;
mod attend;
mod choice;
mod memory;
mod multiplicative;
mod normed_additive;
mod readers;

pub use additive::{AdditiveAttention, AdditiveAttentionConfig};
pub use attend::{Attended, Score, attend};
pub use choice::{Attention, AttentionConfig};
pub use memory::Memory;
pub use multiplicative::{
    DotAttention, GeneralAttention, GeneralAttentionConfig, ScaledAttention, ScaledAttentionConfig,
};
pub use normed_additive::{NormedAdditiveAttention, NormedAdditiveAttentionConfig};
pub use readers::Readers;

#[cfg(test)]
mod tests;
