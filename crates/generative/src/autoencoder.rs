//! The autoencoder: a code from which what went in can be made again.
//!
//! ```text
//! h   = φ(x̃ · W_1 + b_1) …                  x̃ = x, or x with noise (denoising)
//! z   = φ_z(h · W_z + b_z)                   [B, Z]
//! y   = g(z)                                 layers of the same widths back; tied: their transposes
//! loss = Σ cross-entropy or squared error (x, y)  + λ · penalty(z)
//! ```
//!
//! With no hidden layer, no activation and squared error its optimum spans the first `Z` principal
//! components.
//!
//! Sources: Rumelhart, Hinton & Williams (1986); Baldi & Hornik (1989), Neural Networks and Principal
//! Component Analysis; Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural
//! Networks; Vincent et al. (2008), Extracting and Composing Robust Features with Denoising
//! Autoencoders; for the penalty, Ng (2011), Sparse Autoencoder, section 3.

use burn::prelude::*;
use rand::Rng;
use recurrent_training::{Learn, Loss, Moment, OutOfRange};
use serde::{Deserialize, Serialize};

use crate::{
    Activation, Dense, DenseStack, PictureBatch, noise,
    reconstruction::{chances, cross_entropy, squared_error},
    sizes::{at_least_one, share},
    vae::not_finite,
};

/// Sizes and kinds of an [`Autoencoder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// Features of the hidden layers in front of the code, each at least 1; behind it they come in the
    /// other order.
    pub d_hidden: Vec<usize>,
    /// What is behind every hidden layer.
    pub activation: Activation,
    /// Features of the code, `Z`, at least 1.
    pub d_code: usize,
    /// What is behind the code.
    pub code: Activation,
    /// Whose weights the layers behind the code have.
    pub decoder: DecoderWeights,
    /// What is minimised.
    pub reconstruction: Reconstruction,
    /// What is done to an input before it is read, while learning.
    pub noise: Noise,
    /// What keeps codes sparse.
    pub sparsity: Sparsity,
}

/// Whose weights the layers behind a code have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecoderWeights {
    /// Their own.
    #[default]
    Own,
    /// Those of the layers in front of it, transposed.
    Tied,
}

/// How far what comes out is from what went in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reconstruction {
    /// Of inputs in `[0, 1]`; what comes out are logits.
    #[default]
    CrossEntropy,
    /// Of any inputs.
    SquaredError,
}

/// What is done to an input before it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Noise {
    /// Nothing.
    #[default]
    None,
    /// Some of the features are set to 0.
    Masking {
        /// How many, in `[0, 1)`.
        share: f64,
    },
    /// Normal noise is added.
    Gaussian {
        /// Its standard deviation, at least 0.
        sigma: f64,
    },
}

/// What keeps codes sparse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sparsity {
    /// Nothing.
    #[default]
    None,
    /// `λ Σ |z|`.
    Absolute {
        /// `λ`, at least 0.
        weight: f64,
    },
    /// `λ Σ_j KL(ρ ‖ mean over the batch of z_j)` of coins, for a batch of `B` counted `B` times; needs a
    /// sigmoid code.
    Rare {
        /// How much of the time a unit is to be on, `ρ`, in `(0, 1)`.
        target: f64,
        /// `λ`, at least 0.
        weight: f64,
    },
}

/// An autoencoder.
#[derive(Module, Debug)]
pub struct Autoencoder {
    /// The layers in front of the code.
    pub encoder: DenseStack,
    /// The code's layer.
    pub code: Dense,
    /// The layers behind the code.
    pub decoder: DenseStack,
    /// What puts out.
    pub output: Dense,
    /// What it is.
    #[module(skip)]
    pub config: AutoencoderConfig,
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self {
            d_hidden: vec![400],
            activation: Activation::Relu,
            d_code: 20,
            code: Activation::Linear,
            decoder: DecoderWeights::Own,
            reconstruction: Reconstruction::CrossEntropy,
            noise: Noise::None,
            sparsity: Sparsity::None,
        }
    }
}

impl AutoencoderConfig {
    /// Checks every value, and that they fit together.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        for (n, d_hidden) in self.d_hidden.iter().enumerate() {
            at_least_one(&format!("d_hidden[{n}]"), *d_hidden)?;
        }
        at_least_one("d_code", self.d_code)?;
        let at_least_0 = |field: &str, value: f64| {
            let holds = |value: &f64| value.is_finite() && *value >= 0.0;
            OutOfRange::check(field, value, holds, "at least 0")
        };
        match self.noise {
            Noise::None => {}
            Noise::Masking { share: masked } => share("noise.masking.share", masked)?,
            Noise::Gaussian { sigma } => at_least_0("noise.gaussian.sigma", sigma)?,
        }
        match self.sparsity {
            Sparsity::None => Ok(()),
            Sparsity::Absolute { weight } => at_least_0("sparsity.absolute.weight", weight),
            Sparsity::Rare { target, weight } => {
                let holds = |target: &f64| *target > 0.0 && *target < 1.0;
                OutOfRange::check("sparsity.rare.target", target, holds, "in (0, 1)")?;
                at_least_0("sparsity.rare.weight", weight)?;
                let sigmoid = self.code == Activation::Sigmoid;
                let range = "\"sigmoid\" for codes that are to be rarely on";
                let code = format!("{:?}", self.code).to_lowercase();
                OutOfRange::check("code", code, |_| sigmoid, range)
            }
        }
    }

    /// Draws a model for inputs of `d_input` features, `D`.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse.
    pub fn init(&self, d_input: usize, device: &Device) -> Autoencoder {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let mut widths = vec![d_input];
        widths.extend(&self.d_hidden);
        let top = widths[widths.len() - 1];
        let encoder = DenseStack::new(&widths, self.activation, device);
        widths.reverse();
        let (decoder, output) = match self.decoder {
            DecoderWeights::Own => {
                let mut back = vec![self.d_code];
                back.extend(&widths[..widths.len() - 1]);
                let last = back[back.len() - 1];
                let decoder = DenseStack::new(&back, self.activation, device);
                (decoder, Dense::new(last, d_input, device))
            }
            DecoderWeights::Tied => {
                let layers = widths[..widths.len() - 1].iter().map(|d| Dense::tied(*d, device));
                let decoder = DenseStack { layers: layers.collect(), activation: self.activation };
                (decoder, Dense::tied(d_input, device))
            }
        };
        let code = Dense::new(top, self.d_code, device);
        Autoencoder { encoder, code, decoder, output, config: self.clone() }
    }
}

impl Autoencoder {
    /// Where the model is, and its dtype.
    pub fn like(&self) -> Tensor<2> {
        self.code.w.as_ref().expect("the code has weights").val()
    }

    /// `x`, `[B, D]`, to its code, `[B, Z]`.
    ///
    /// # Panics
    ///
    /// If the features do not fit.
    pub fn encode(&self, x: Tensor<2>) -> Tensor<2> {
        self.config.code.forward(self.code.forward(self.encoder.forward(x)))
    }

    /// A code, `[B, Z]`, to what the last layer puts out, `[B, D]`: logits, or values.
    ///
    /// # Panics
    ///
    /// If the features do not fit.
    pub fn decode(&self, z: Tensor<2>) -> Tensor<2> {
        match self.config.decoder {
            DecoderWeights::Own => self.output.forward(self.decoder.forward(z)),
            DecoderWeights::Tied => {
                let layers = [&self.code].into_iter().chain(self.encoder.layers.iter().rev());
                let back = self.decoder.layers.iter().chain([&self.output]);
                let count = self.decoder.layers.len();
                let tied = back.zip(layers).enumerate();
                tied.fold(z, |x, (n, (layer, other))| {
                    let sums = layer.forward_tied(x, other);
                    if n < count { self.config.activation.forward(sums) } else { sums }
                })
            }
        }
    }

    /// What the model makes of `x` again, `[B, D]`, in the range of `x`.
    ///
    /// # Panics
    ///
    /// If the features do not fit.
    pub fn reconstruct(&self, x: Tensor<2>) -> Tensor<2> {
        let y = self.decode(self.encode(x));
        match self.config.reconstruction {
            Reconstruction::CrossEntropy => chances(y),
            Reconstruction::SquaredError => y,
        }
    }

    /// How far that is from `x`: `[B]`.
    ///
    /// # Panics
    ///
    /// If the features do not fit.
    pub fn error(&self, x: Tensor<2>) -> Tensor<1> {
        let y = self.decode(self.encode(x.clone()));
        self.config.reconstruction.of(x, y)
    }
}

impl Reconstruction {
    /// How far `y` is from `x`, both `[B, D]`: `[B]`.
    pub fn of(self, x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
        match self {
            Self::CrossEntropy => cross_entropy(x, y),
            Self::SquaredError => squared_error(x, y),
        }
    }
}

impl Noise {
    /// `x` with noise.
    fn on(self, x: Tensor<2>, rng: &mut impl Rng) -> Tensor<2> {
        match self {
            Self::None => x,
            Self::Masking { share } => {
                let kept = noise::coins(rng, 1.0 - share, &x);
                x * kept
            }
            Self::Gaussian { sigma } => {
                let noise = noise::normal(rng, &x);
                x + noise * sigma
            }
        }
    }
}

impl Sparsity {
    /// The penalty on codes `z`, `[B, Z]`, summed over the batch; none if there is none.
    fn of(self, z: Tensor<2>) -> Option<Tensor<1>> {
        match self {
            Self::None => None,
            Self::Absolute { weight } => Some(z.abs().sum() * weight),
            Self::Rare { target: rho, weight } => {
                let batch = z.dims()[0] as f64;
                // A code that is never on, or always, is as far as numbers go.
                let on = z.mean_dim(0).clamp(1e-6, 1.0 - 1e-6);
                let entropy = rho * rho.ln() + (1.0 - rho) * (1.0 - rho).ln();
                let off = -on.clone() + 1.0;
                let cross = on.log() * rho + off.log() * (1.0 - rho);
                Some((-cross + entropy).sum() * (weight * batch))
            }
        }
    }
}

impl Learn for Autoencoder {
    type Batch = PictureBatch;
    type Carried = ();

    fn learn(&self, batch: &PictureBatch, _: Option<()>, at: &Moment) -> (Loss, ()) {
        let x = batch.tensor(&self.like());
        let read = match x.device().is_autodiff() {
            true => self.config.noise.on(x.clone(), &mut at.rng()),
            false => x.clone(),
        };
        let z = self.encode(read);
        let error = self.config.reconstruction.of(x, self.decode(z.clone())).sum();
        let nll = error.clone().detach();
        let sum = match self.config.sparsity.of(z) {
            None => error,
            Some(penalty) => error + penalty,
        };
        (Loss { sum, weight: batch.size() as f64, nll, items: batch.size() }, ())
    }

    fn not_finite(&self, batch: &PictureBatch, at: &Moment) -> Vec<&'static str> {
        let x = batch.tensor(&self.like());
        let z = self.encode(self.config.noise.on(x.clone(), &mut at.rng()));
        let reconstruction = self.config.reconstruction.of(x, self.decode(z.clone()));
        match self.config.sparsity.of(z) {
            None => not_finite([("reconstruction", reconstruction)]),
            Some(sparsity) => {
                not_finite([("reconstruction", reconstruction), ("sparsity", sparsity)])
            }
        }
    }
}
