//! The words of a text told from what it is made from, in no order.
//!
//! ```text
//! loss += w · Σ_n −ln softmax(tanh(x · W_1 + b_1) · W_2 + b_2)_{w_n}
//! ```
//!
//! A decoder that reads the words before the next one hardly needs a latent variable; this does.
//!
//! Source: Zhao, Zhao & Eskenazi (2017), Learning Discourse-level Diversity for Neural Dialog Models
//! using Conditional Variational Autoencoders, section 3.3.

use burn::{
    prelude::*,
    tensor::activation::{log_softmax, tanh},
};
use recurrent_seq2seq::Padded;
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

use crate::{Dense, sizes::at_least_one};

/// Whether the words of a text are told from the latent variable in no order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BagOfWords {
    /// They are not.
    #[default]
    None,
    /// They are, by a hidden layer with tanh.
    Told {
        /// What it weighs, at least 0.
        weight: f64,
        /// Features of the hidden layer, at least 1.
        d_hidden: usize,
    },
}

/// A network that tells words in no order.
#[derive(Module, Debug)]
pub struct WordTeller {
    /// The hidden layer.
    pub hidden: Dense,
    /// From there to logits.
    pub output: Dense,
}

impl BagOfWords {
    pub(crate) fn validate(self) -> Result<(), OutOfRange> {
        let Self::Told { weight, d_hidden } = self else { return Ok(()) };
        let holds = |weight: &f64| weight.is_finite() && *weight >= 0.0;
        OutOfRange::check("bag_of_words.told.weight", weight, holds, "at least 0")?;
        at_least_one("bag_of_words.told.d_hidden", d_hidden)
    }

    /// Draws what tells words from `d_input` features; nothing if they are not told.
    pub(crate) fn init(
        self,
        d_input: usize,
        vocabulary: usize,
        device: &Device,
    ) -> Option<WordTeller> {
        let Self::Told { d_hidden, .. } = self else { return None };
        Some(WordTeller {
            hidden: Dense::new(d_input, d_hidden, device),
            output: Dense::new(d_hidden, vocabulary, device),
        })
    }

    /// `loss` with what it costs to tell the words of `ended` from `x`, `[R, I]`.
    pub(crate) fn added(
        self,
        loss: Tensor<1>,
        teller: Option<&WordTeller>,
        x: impl FnOnce() -> Tensor<2>,
        ended: &Padded,
    ) -> Tensor<1> {
        match (self, teller) {
            (Self::Told { weight, .. }, Some(teller)) => loss + teller.nll(x(), ended) * weight,
            _ => loss,
        }
    }
}

impl WordTeller {
    /// `Σ −ln P(w|x)` over the words of all texts, `</s>` included, told from `x`, `[R, I]`: `[1]`.
    ///
    /// # Panics
    ///
    /// If the features do not fit.
    pub fn nll(&self, x: Tensor<2>, ended: &Padded) -> Tensor<1> {
        let log_p = log_softmax(self.output.forward(tanh(self.hidden.forward(x))), 1);
        let device = log_p.device();
        let told = log_p.gather(1, ended.tensor(&device));
        let told = match ended.pad_mask(&device) {
            None => told,
            Some(mask) => told.mask_fill(mask, 0.0),
        };
        told.sum().neg()
    }
}
