//! Multiplicative attention.
//!
//! ```text
//! dot      score(q, h_j) = q · h_j                    Q = M, no weights
//! general  score(q, h_j) = q · (h_j · W)
//! scaled   score(q, h_j) = g · q · (h_j · W)          g starts at 1
//! ```
//!
//! `W` is `[M, Q]` and reads the memory, so that `h_j · W` is prepared once a source; `g` is one
//! number.
//!
//! Source: Luong, Pham & Manning (2015), Effective Approaches to Attention-based Neural Machine
//! Translation, section 3.1; `scaled` is the `scaled_luong` of TensorFlow's NMT.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::linear;

use crate::{Memory, Score};

/// `q_t · k_j` for every pair: `q` of `[B, T, Q]` and `k` of `[B, S, Q]` to `[B, T, S]`.
fn products(queries: Tensor<3>, keys: &Tensor<3>) -> Tensor<3> {
    queries.matmul(keys.clone().swap_dims(1, 2))
}

/// Dot-product attention, as a [`Score`]: queries are as wide as the rows of the memory.
#[derive(Module, Debug, Default)]
pub struct DotAttention {}

impl Score for DotAttention {
    fn memory(&self, values: Tensor<3>, pad_mask: Option<Tensor<2, Bool>>) -> Memory {
        Memory::new(values, pad_mask, |values| values)
    }

    fn score(&self, queries: Tensor<3>, memory: &Memory) -> Tensor<3> {
        let ([batch, _, width], steps) = (memory.keys.dims(), queries.dims()[1]);
        assert_shape!(queries, [batch, steps, width]);
        products(queries, &memory.keys)
    }
}

/// Sizes of a [`GeneralAttention`].
#[derive(Config, Debug)]
pub struct GeneralAttentionConfig {
    /// Features of a query, `Q`.
    pub d_query: usize,
    /// Features of a row of the memory, `M`.
    pub d_memory: usize,
    /// How `W` is drawn.
    #[config(default = "Initializer::XavierUniform { gain: 1.0 }")]
    pub initializer: Initializer,
}

/// Attention with a bilinear form between query and memory, as a [`Score`].
#[derive(Module, Debug)]
pub struct GeneralAttention {
    /// `W`, `[M, Q]`.
    pub w: Param<Tensor<2>>,
}

impl GeneralAttentionConfig {
    /// Draws `W`.
    pub fn init(&self, device: &Device) -> GeneralAttention {
        let (m, q) = (self.d_memory, self.d_query);
        let w = self.initializer.init_with([m, q], Some(m), Some(q), device);
        GeneralAttention { w: Param::from_tensor(w.into_value().detach()) }
    }
}

impl Score for GeneralAttention {
    fn memory(&self, values: Tensor<3>, pad_mask: Option<Tensor<2, Bool>>) -> Memory {
        Memory::new(values, pad_mask, |values| linear(values, self.w.val(), None))
    }

    fn score(&self, queries: Tensor<3>, memory: &Memory) -> Tensor<3> {
        products(queries, &memory.keys)
    }
}

/// Sizes of a [`ScaledAttention`].
#[derive(Config, Debug)]
pub struct ScaledAttentionConfig {
    /// Features of a query, `Q`.
    pub d_query: usize,
    /// Features of a row of the memory, `M`.
    pub d_memory: usize,
    /// How `W` is drawn.
    #[config(default = "Initializer::XavierUniform { gain: 1.0 }")]
    pub initializer: Initializer,
}

/// [`GeneralAttention`] with a learned scale, as a [`Score`].
#[derive(Module, Debug)]
pub struct ScaledAttention {
    /// What is scaled.
    pub general: GeneralAttention,
    /// `g`, `[1]`.
    pub g: Param<Tensor<1>>,
}

impl ScaledAttentionConfig {
    /// Draws `W`; `g` is 1.
    pub fn init(&self, device: &Device) -> ScaledAttention {
        let general = GeneralAttentionConfig::new(self.d_query, self.d_memory)
            .with_initializer(self.initializer.clone());
        ScaledAttention {
            general: general.init(device),
            g: Param::from_tensor(Tensor::ones([1], device)),
        }
    }
}

impl Score for ScaledAttention {
    fn memory(&self, values: Tensor<3>, pad_mask: Option<Tensor<2, Bool>>) -> Memory {
        self.general.memory(values, pad_mask)
    }

    fn score(&self, queries: Tensor<3>, memory: &Memory) -> Tensor<3> {
        self.general.score(queries, memory) * self.g.val().unsqueeze::<3>()
    }
}
