//! From what a decoder or a head puts out to logits.
//!
//! ```text
//! logits = x · W_o + b_o          W_o is [R, V], b_o is [V]
//! logits = x · Eᵀ + b_o           tied to an embedding E, [V, R]
//! ```
//!
//! Source of tying: Press & Wolf (2017), Using the Output Embedding to Improve Language Models.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{Losses, OutputWeights, Targets, cross_entropy, linear};

use crate::Embedding;

/// The last layer of a model that writes tokens.
#[derive(Module, Debug)]
pub struct Output {
    /// `W_o`, `[R, V]`; none if tied to an embedding.
    pub w_o: Option<Param<Tensor<2>>>,
    /// `b_o`, `[V]`.
    pub b_o: Param<Tensor<1>>,
}

impl Output {
    /// A layer of its own, from `d_readout` features to `vocabulary` logits. Small weights, so that
    /// all tokens are about as likely at the start.
    pub fn new(d_readout: usize, vocabulary: usize, device: &Device) -> Self {
        let small = Initializer::Uniform { min: -0.1, max: 0.1 };
        Self::drawn(&small, d_readout, vocabulary, device)
    }

    /// The same with weights that are drawn in another way.
    pub fn drawn(
        initializer: &Initializer,
        d_readout: usize,
        vocabulary: usize,
        device: &Device,
    ) -> Self {
        let w_o = initializer.init([d_readout, vocabulary], device).into_value().detach();
        Self { w_o: Some(Param::from_tensor(w_o)), ..Self::tied(vocabulary, device) }
    }

    /// A layer whose weights are an embedding's.
    pub fn tied(vocabulary: usize, device: &Device) -> Self {
        Self { w_o: None, b_o: Param::from_tensor(Tensor::zeros([vocabulary], device)) }
    }

    /// `[B, T, R]` to logits `[B, T, V]`. `embedding` is the one that a tied layer is tied to.
    ///
    /// # Panics
    ///
    /// If the features do not fit.
    pub fn forward(&self, x: Tensor<3>, embedding: &Embedding) -> Tensor<3> {
        let w_o = match &self.w_o {
            Some(w_o) => w_o.val(),
            None => embedding.e.val().transpose(),
        };
        linear(x, w_o, Some(self.b_o.val()))
    }

    /// The cross-entropy of the logits that [`forward`](Self::forward) would make of `[B, T, R]`,
    /// without all of them being in memory at a time.
    ///
    /// # Panics
    ///
    /// If the features or the targets do not fit.
    pub fn losses(&self, x: Tensor<3>, embedding: &Embedding, targets: &Targets) -> Losses {
        let w_o = match &self.w_o {
            Some(w_o) => OutputWeights::Own(w_o.val()),
            None => OutputWeights::Tied(embedding.e.val()),
        };
        cross_entropy(x, w_o, self.b_o.val(), targets)
    }
}
