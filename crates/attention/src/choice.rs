//! Any attention, chosen by a config.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    AdditiveAttention, AdditiveAttentionConfig, DotAttention, GeneralAttention,
    GeneralAttentionConfig, Memory, NormedAdditiveAttention, NormedAdditiveAttentionConfig,
    ScaledAttention, ScaledAttentionConfig, Score,
};

/// Which attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AttentionConfig {
    /// [`AdditiveAttention`].
    Additive {
        /// Features in which query and memory are compared, `A`.
        d_attention: usize,
    },
    /// [`NormedAdditiveAttention`].
    NormedAdditive {
        /// Features in which query and memory are compared, `A`.
        d_attention: usize,
    },
    /// [`DotAttention`].
    Dot,
    /// [`GeneralAttention`].
    General,
    /// [`ScaledAttention`].
    Scaled,
}

impl AttentionConfig {
    /// Draws the weights for queries of `d_query` and rows of `d_memory` features.
    ///
    /// # Panics
    ///
    /// If the attention is [`AttentionConfig::Dot`] and the two differ.
    pub fn init(&self, d_query: usize, d_memory: usize, device: &Device) -> Attention {
        match *self {
            Self::Additive { d_attention } => Attention::Additive(
                AdditiveAttentionConfig::new(d_query, d_memory, d_attention).init(device),
            ),
            Self::NormedAdditive { d_attention } => Attention::NormedAdditive(
                NormedAdditiveAttentionConfig::new(d_query, d_memory, d_attention).init(device),
            ),
            Self::Dot => {
                assert_eq!(d_query, d_memory, "dot attention needs queries as wide as the memory");
                Attention::Dot(DotAttention {})
            }
            Self::General => {
                Attention::General(GeneralAttentionConfig::new(d_query, d_memory).init(device))
            }
            Self::Scaled => {
                Attention::Scaled(ScaledAttentionConfig::new(d_query, d_memory).init(device))
            }
        }
    }
}

/// Any attention, as a [`Score`].
#[derive(Module, Debug)]
pub enum Attention {
    /// `v · tanh(q · W_q + h · W_m)`.
    Additive(AdditiveAttention),
    /// `g · (v / ‖v‖) · tanh(q · W_q + h · W_m + b)`.
    NormedAdditive(NormedAdditiveAttention),
    /// `q · h`.
    Dot(DotAttention),
    /// `q · W · h`.
    General(GeneralAttention),
    /// `g · (q · W · h)`.
    Scaled(ScaledAttention),
}

impl Score for Attention {
    fn memory(&self, values: Tensor<3>, pad_mask: Option<Tensor<2, Bool>>) -> Memory {
        match self {
            Self::Additive(score) => score.memory(values, pad_mask),
            Self::NormedAdditive(score) => score.memory(values, pad_mask),
            Self::Dot(score) => score.memory(values, pad_mask),
            Self::General(score) => score.memory(values, pad_mask),
            Self::Scaled(score) => score.memory(values, pad_mask),
        }
    }

    fn score(&self, queries: Tensor<3>, memory: &Memory) -> Tensor<3> {
        match self {
            Self::Additive(score) => score.score(queries, memory),
            Self::NormedAdditive(score) => score.score(queries, memory),
            Self::Dot(score) => score.score(queries, memory),
            Self::General(score) => score.score(queries, memory),
            Self::Scaled(score) => score.score(queries, memory),
        }
    }
}
