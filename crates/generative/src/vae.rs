//! The variational autoencoder (VAE): a model from which new pictures can be drawn.
//!
//! ```text
//! [μ ; ln σ²] = f(x)                                   q(z|x) = N(μ, σ² I)
//! z           = μ + σ ⊙ ε                              ε ~ N(0, I)
//! p(x|z)      = coins with the logits g(z), or N(g(z), σ_x² I);     p(z) = N(0, I)
//! −ELBO       = −ln p(x|z) + KL(q(z|x) ‖ p(z))
//! IW_K        = ln 1/K Σ_k p(x|z_k) p(z_k) / q(z_k|x)          ELBO ≤ IW_K ≤ IW_{K+1} ≤ ln p(x)
//! ```
//!
//! Given what a picture shows, as a row with a single 1, `f` and `g` read that as well (conditional).
//!
//! Sources: Kingma & Welling (2014), Auto-Encoding Variational Bayes, section 3 and appendices B, C;
//! Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, section 3; Sohn, Lee & Yan
//! (2015), Learning Structured Output Representation using Deep Conditional Generative Models.

use std::f64::consts::TAU;

use burn::prelude::*;
use rand::Rng;
use recurrent_training::{Learn, Loss, Moment, OutOfRange};
use serde::{Deserialize, Serialize};

use crate::{
    Activation, Dense, DenseStack, DiagonalGaussian, KlTerm, PictureBatch,
    gaussian::rows_repeated,
    reconstruction::{chances, cross_entropy, squared_error},
    sizes::at_least_one,
    standard_log_density,
};

/// Sizes and kinds of a [`Vae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaeConfig {
    /// Features of the hidden layers of the encoder, each at least 1; in the decoder they come in the
    /// other order.
    pub d_hidden: Vec<usize>,
    /// What is behind every hidden layer.
    pub activation: Activation,
    /// Features of the latent variable, `Z`, at least 1.
    pub d_latent: usize,
    /// What pictures are drawn from, given their code.
    pub likelihood: Likelihood,
    /// Whether the model is told what a picture shows.
    pub condition: Condition,
    /// What is maximised.
    pub bound: Bound,
    /// What the divergence weighs.
    pub kl: KlTerm,
}

/// What a picture is drawn from, given its code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Likelihood {
    /// A coin for every feature, in `[0, 1]`.
    #[default]
    Bernoulli,
    /// A normal distribution for every feature.
    Gaussian {
        /// Its standard deviation, `σ_x`, above 0.
        sigma: f64,
    },
}

/// Whether a model is told what a picture shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It is not.
    #[default]
    None,
    /// It is: every picture needs a label.
    Label,
}

/// What a VAE maximises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Bound {
    /// The evidence lower bound, its expectation as a mean over draws.
    Elbo {
        /// Draws a picture, at least 1.
        samples: usize,
    },
    /// The importance-weighted bound, `IW_K`. It has no divergence that could be weighted.
    Importance {
        /// Draws a picture, `K`, at least 1.
        samples: usize,
    },
}

/// A variational autoencoder.
#[derive(Module, Debug)]
pub struct Vae {
    /// The hidden layers of `f`.
    pub encoder: DenseStack,
    /// From there to `μ`.
    pub mean: Dense,
    /// From there to `ln σ²`.
    pub log_variance: Dense,
    /// The hidden layers of `g`.
    pub decoder: DenseStack,
    /// From there to logits, or means.
    pub output: Dense,
    /// What it is.
    #[module(skip)]
    pub config: VaeConfig,
    /// What pictures can show; 0 for a model that is not told.
    #[module(skip)]
    pub classes: usize,
}

/// The bound of a batch, in its two parts.
#[derive(Clone, Debug)]
pub struct Parts {
    /// `−ln p(x|z)`, a mean over draws: `[B]`, in nats.
    pub reconstruction: Tensor<1>,
    /// `KL(q(z|x) ‖ p(z))`, `[B, Z]`, in nats a dimension.
    pub kl: Tensor<2>,
    /// `q(z|x)`.
    pub posterior: DiagonalGaussian,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self {
            d_hidden: vec![400],
            activation: Activation::Relu,
            d_latent: 20,
            likelihood: Likelihood::Bernoulli,
            condition: Condition::None,
            bound: Bound::default(),
            kl: KlTerm::default(),
        }
    }
}

impl Default for Bound {
    fn default() -> Self {
        Self::Elbo { samples: 1 }
    }
}

impl VaeConfig {
    /// Checks every value, and that they fit together.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        for (n, d_hidden) in self.d_hidden.iter().enumerate() {
            at_least_one(&format!("d_hidden[{n}]"), *d_hidden)?;
        }
        at_least_one("d_latent", self.d_latent)?;
        if let Likelihood::Gaussian { sigma } = self.likelihood {
            let holds = |sigma: &f64| sigma.is_finite() && *sigma > 0.0;
            OutOfRange::check("likelihood.gaussian.sigma", sigma, holds, "above 0")?;
        }
        match self.bound {
            Bound::Elbo { samples } => at_least_one("bound.elbo.samples", samples)?,
            Bound::Importance { samples } => {
                at_least_one("bound.importance.samples", samples)?;
                let plain = self.kl == KlTerm::default();
                let range = "left out with `bound.importance`, which has no divergence of its own";
                OutOfRange::check("kl", "given", |_| plain, range)?;
            }
        }
        self.kl.validate(self.d_latent).map_err(|wrong| wrong.under("kl"))
    }

    /// Draws a model for pictures of `d_input` features, `D`, that show one of `classes` things; those
    /// count only for a model that is told.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse, or a model that is told has no class.
    pub fn init(&self, d_input: usize, classes: usize, device: &Device) -> Vae {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let classes = match self.condition {
            Condition::None => 0,
            Condition::Label => {
                assert!(classes > 0, "a model that is told what it sees needs classes");
                classes
            }
        };
        let mut widths = vec![d_input + classes];
        widths.extend(&self.d_hidden);
        let top = widths[widths.len() - 1];
        let mut back = vec![self.d_latent + classes];
        back.extend(self.d_hidden.iter().rev());
        let last = back[back.len() - 1];
        Vae {
            encoder: DenseStack::new(&widths, self.activation, device),
            mean: Dense::new(top, self.d_latent, device),
            log_variance: Dense::new(top, self.d_latent, device),
            decoder: DenseStack::new(&back, self.activation, device),
            output: Dense::new(last, d_input, device),
            config: self.clone(),
            classes,
        }
    }
}

impl Likelihood {
    /// `−ln p(x|z)` for what the decoder put out, both `[B, D]`: `[B]`, in nats.
    pub fn nll(self, x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
        match self {
            Self::Bernoulli => cross_entropy(x, y),
            Self::Gaussian { sigma } => {
                let width = x.dims()[1] as f64;
                let constant = 0.5 * width * (TAU * sigma * sigma).ln();
                squared_error(x, y) / (2.0 * sigma * sigma) + constant
            }
        }
    }

    /// The mean of `p(x|z)`, for what the decoder put out.
    pub fn mean(self, y: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Bernoulli => chances(y),
            Self::Gaussian { .. } => y,
        }
    }
}

impl Vae {
    /// Where the model is, and its dtype.
    pub fn like(&self) -> Tensor<2> {
        self.mean.w.as_ref().expect("a layer of its own has weights").val()
    }

    /// `q(z|x)` for `x`, `[B, D]`, and what the pictures show, `[B, classes]`, if the model is told.
    ///
    /// # Panics
    ///
    /// If the features do not fit, or a model that is told is not.
    pub fn encode(&self, x: Tensor<2>, shows: Option<&Tensor<2>>) -> DiagonalGaussian {
        let h = self.encoder.forward(self.told(x, shows));
        DiagonalGaussian {
            mean: self.mean.forward(h.clone()),
            log_variance: self.log_variance.forward(h),
        }
    }

    /// What the decoder puts out for `z`, `[B, Z]`: logits, or means, `[B, D]`.
    ///
    /// # Panics
    ///
    /// As [`encode`](Self::encode).
    pub fn decode(&self, z: Tensor<2>, shows: Option<&Tensor<2>>) -> Tensor<2> {
        self.output.forward(self.decoder.forward(self.told(z, shows)))
    }

    /// The mean picture of each code, `[B, Z]` to `[B, D]`.
    ///
    /// # Panics
    ///
    /// As [`encode`](Self::encode).
    pub fn pictures(&self, z: Tensor<2>, shows: Option<&Tensor<2>>) -> Tensor<2> {
        self.config.likelihood.mean(self.decode(z, shows))
    }

    fn told(&self, x: Tensor<2>, shows: Option<&Tensor<2>>) -> Tensor<2> {
        match (self.classes, shows) {
            (0, _) => x,
            (_, Some(shows)) => Tensor::cat(vec![x, shows.clone()], 1),
            (classes, None) => {
                panic!("the model is told which of {classes} things a picture shows")
            }
        }
    }

    /// The two parts of `−ELBO`, by `samples` draws a picture.
    ///
    /// # Panics
    ///
    /// As [`encode`](Self::encode), or if `samples` is 0.
    pub fn parts(
        &self,
        x: Tensor<2>,
        shows: Option<&Tensor<2>>,
        samples: usize,
        rng: &mut impl Rng,
    ) -> Parts {
        let posterior = self.encode(x.clone(), shows);
        let z = posterior.repeated(samples).sample(rng);
        let reconstruction = self.reconstruction(x, shows, z, samples);
        let kl = posterior.kl_from_standard();
        Parts { reconstruction: reconstruction.mean_dim(1).squeeze_dim(1), kl, posterior }
    }

    /// `−ln p(x|z)` for `samples` codes of each picture, `[B · samples, Z]`: `[B, samples]`.
    fn reconstruction(
        &self,
        x: Tensor<2>,
        shows: Option<&Tensor<2>>,
        z: Tensor<2>,
        samples: usize,
    ) -> Tensor<2> {
        let batch = x.dims()[0];
        let shows = shows.map(|shows| rows_repeated(shows.clone(), samples));
        let y = self.decode(z, shows.as_ref());
        self.config.likelihood.nll(rows_repeated(x, samples), y).reshape([batch, samples])
    }

    /// `ln p(x|z_k) p(z_k) / q(z_k|x)` for `samples` draws a picture: `[B, samples]`.
    ///
    /// # Panics
    ///
    /// As [`encode`](Self::encode), or if `samples` is 0.
    pub fn log_weights(
        &self,
        x: Tensor<2>,
        shows: Option<&Tensor<2>>,
        samples: usize,
        rng: &mut impl Rng,
    ) -> Tensor<2> {
        let batch = x.dims()[0];
        let q = self.encode(x.clone(), shows).repeated(samples);
        let z = q.sample(rng);
        let ratio = standard_log_density(z.clone()) - q.log_density(z.clone());
        ratio.reshape([batch, samples]) - self.reconstruction(x, shows, z, samples)
    }

    pub(crate) fn shows(&self, batch: &PictureBatch) -> Option<Tensor<2>> {
        match self.classes {
            0 => None,
            classes => batch.one_hot(classes, &self.like()),
        }
    }

    /// The two parts of `−ELBO` of a batch, by one draw a picture.
    ///
    /// # Panics
    ///
    /// As [`encode`](Self::encode).
    pub fn parts_of(&self, batch: &PictureBatch, rng: &mut impl Rng) -> Parts {
        self.parts(batch.tensor(&self.like()), self.shows(batch).as_ref(), 1, rng)
    }

    /// `IW_K` of every picture of a batch, `[B]`, in nats.
    ///
    /// # Panics
    ///
    /// As [`encode`](Self::encode), or if `samples` is 0.
    pub fn importance_weighted(
        &self,
        batch: &PictureBatch,
        samples: usize,
        rng: &mut impl Rng,
    ) -> Tensor<1> {
        let x = batch.tensor(&self.like());
        log_mean_exp(self.log_weights(x, self.shows(batch).as_ref(), samples, rng))
    }
}

/// `ln 1/K Σ_k e^{w_k}` of every row, `[B, K]`: `[B]`. The gradient of each weight is its share.
pub(crate) fn log_mean_exp(w: Tensor<2>) -> Tensor<1> {
    let [batch, samples] = w.dims();
    let most = w.clone().detach().max_dim(1);
    let sum = (w - most.clone()).exp().sum_dim(1).log() + most;
    (sum - (samples as f64).ln()).reshape([batch])
}

impl Learn for Vae {
    type Batch = PictureBatch;
    type Carried = ();

    /// What is reported is the negative bound with `β = 1` and nothing free.
    fn learn(&self, batch: &PictureBatch, _: Option<()>, at: &Moment) -> (Loss, ()) {
        let (x, shows) = (batch.tensor(&self.like()), self.shows(batch));
        let (sum, nll) = match self.config.bound {
            Bound::Elbo { samples } => {
                let Parts { reconstruction, kl, .. } =
                    self.parts(x, shows.as_ref(), samples, &mut at.rng());
                let reconstruction = reconstruction.sum();
                let nll = (reconstruction.clone() + kl.clone().sum()).detach();
                (reconstruction + self.config.kl.of(kl, at.step), nll)
            }
            Bound::Importance { samples } => {
                let weights = self.log_weights(x, shows.as_ref(), samples, &mut at.rng());
                let bound = log_mean_exp(weights);
                let sum = bound.sum().neg();
                (sum.clone(), sum.detach())
            }
        };
        (Loss { sum, weight: batch.size() as f64, nll, items: batch.size() }, ())
    }

    fn not_finite(&self, batch: &PictureBatch, at: &Moment) -> Vec<&'static str> {
        let (Bound::Elbo { samples } | Bound::Importance { samples }) = self.config.bound;
        let (x, shows) = (batch.tensor(&self.like()), self.shows(batch));
        let Parts { reconstruction, kl, .. } =
            self.parts(x, shows.as_ref(), samples, &mut at.rng());
        let kl = kl.sum_dim(1).squeeze_dim(1);
        not_finite([("reconstruction", reconstruction), ("kl", kl)])
    }
}

/// The names of the terms, `[B]` each, whose sum is not a number.
pub(crate) fn not_finite<const N: usize>(
    terms: [(&'static str, Tensor<1>); N],
) -> Vec<&'static str> {
    let finite = |x: Tensor<1>| x.into_data().iter::<f64>().sum::<f64>().is_finite();
    terms.into_iter().filter_map(|(name, x)| (!finite(x)).then_some(name)).collect()
}
