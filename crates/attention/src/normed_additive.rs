//! Additive attention with a normalised `v`.
//!
//! ```text
//! score(q, h_j) = g · (v / ‖v‖) · tanh(q · W_q + h_j · W_m + b)
//! ```
//!
//! `W_q` is `[Q, A]`, `W_m` is `[M, A]`, `v` and `b` are `[A]`, `g` is one number that starts at
//! `1 / √A`. The score does not change when `v` is scaled.
//!
//! Source: the `normed_bahdanau` of TensorFlow's NMT, after Salimans & Kingma (2016), Weight
//! Normalization; the attention of GNMT (Wu et al. 2016) as its public implementations have it.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{additive_score, linear};

use crate::{AdditiveAttentionConfig, Memory, Score};

/// Sizes and initial values of a [`NormedAdditiveAttention`].
#[derive(Config, Debug)]
pub struct NormedAdditiveAttentionConfig {
    /// Features of a query, `Q`.
    pub d_query: usize,
    /// Features of a row of the memory, `M`.
    pub d_memory: usize,
    /// Features in which the two are compared, `A`.
    pub d_attention: usize,
    /// How `W_q`, `W_m` and `v` are drawn; `v` must not be 0.
    #[config(default = "Initializer::XavierUniform { gain: 1.0 }")]
    pub initializer: Initializer,
}

/// Normed additive attention, as a [`Score`].
#[derive(Module, Debug)]
pub struct NormedAdditiveAttention {
    /// `W_q`, `[Q, A]`.
    pub w_q: Param<Tensor<2>>,
    /// `W_m`, `[M, A]`.
    pub w_m: Param<Tensor<2>>,
    /// `v`, `[A]`, not 0.
    pub v: Param<Tensor<1>>,
    /// `b`, `[A]`.
    pub b: Param<Tensor<1>>,
    /// `g`, `[1]`.
    pub g: Param<Tensor<1>>,
}

impl NormedAdditiveAttentionConfig {
    /// Draws the weights; `b` is zero and `g` is `1 / √A`.
    pub fn init(&self, device: &Device) -> NormedAdditiveAttention {
        let a = self.d_attention;
        let plain = AdditiveAttentionConfig::new(self.d_query, self.d_memory, a)
            .with_initializer(self.initializer.clone())
            .init(device);
        NormedAdditiveAttention {
            w_q: plain.w_q,
            w_m: plain.w_m,
            v: plain.v,
            b: Param::from_tensor(Tensor::zeros([a], device)),
            g: Param::from_tensor(Tensor::full([1], (a as f64).powf(-0.5), device)),
        }
    }
}

impl Score for NormedAdditiveAttention {
    fn memory(&self, values: Tensor<3>, pad_mask: Option<Tensor<2, Bool>>) -> Memory {
        Memory::new(values, pad_mask, |values| linear(values, self.w_m.val(), Some(self.b.val())))
    }

    fn score(&self, queries: Tensor<3>, memory: &Memory) -> Tensor<3> {
        let v = self.v.val();
        let norm = v.clone().powi_scalar(2).sum().sqrt();
        let v = v * (self.g.val() / norm);
        additive_score(linear(queries, self.w_q.val(), None), memory.keys.clone(), v)
    }
}
