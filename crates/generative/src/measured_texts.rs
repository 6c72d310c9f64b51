//! The bound of a set of texts, or of turns, in its two parts.
//!
//! ```text
//! nll     = 1/W Σ −ln P(w|z) + KL(q ‖ p)          a token, `</s>` included; one draw a text
//! ```

use burn::prelude::*;
use rand::Rng;

use crate::{DiagonalGaussian, Latents};

/// The bound of a set of texts in its two parts.
#[derive(Clone, Debug, Default)]
pub struct MeasuredTexts {
    /// Texts.
    pub texts: usize,
    /// Their tokens, `</s>` included.
    pub tokens: usize,
    /// `−ln P(w|z)` of all texts, in nats.
    pub reconstruction: f64,
    /// `KL(q ‖ p)` of all texts, in nats; 0 for a model without a latent variable.
    pub kl: f64,
    /// What the latent variable is used for; none for a model without.
    pub latents: Option<Latents>,
}

impl MeasuredTexts {
    /// The bound, in nats a token.
    pub fn nll(&self) -> f64 {
        (self.reconstruction + self.kl) / self.tokens as f64
    }

    /// `−ln P(w|z)`, in nats a text.
    pub fn reconstruction_a_text(&self) -> f64 {
        self.reconstruction / self.texts as f64
    }

    /// The divergence, in nats a text.
    pub fn kl_a_text(&self) -> f64 {
        self.kl / self.texts as f64
    }

    /// Takes in a batch of `tokens` tokens with the reconstruction of each text, `[B]`.
    pub(crate) fn add(&mut self, tokens: usize, reconstruction: Tensor<1>) {
        self.texts += reconstruction.dims()[0];
        self.tokens += tokens;
        self.reconstruction += sum(reconstruction);
    }

    /// Takes in the latent variable of a batch: its posterior, and the divergences from the prior,
    /// `[B, Z]`. What is known of it so far.
    pub(crate) fn add_latent(
        &mut self,
        posterior: &DiagonalGaussian,
        kl: Tensor<2>,
        rng: &mut impl Rng,
    ) -> &mut Latents {
        self.kl += sum(kl.clone().sum_dim(1).squeeze_dim(1));
        let latents = self.latents.get_or_insert_default();
        latents.add(posterior, kl, rng);
        latents
    }
}

pub(crate) fn sum(numbers: Tensor<1>) -> f64 {
    numbers.into_data().iter::<f64>().sum()
}
