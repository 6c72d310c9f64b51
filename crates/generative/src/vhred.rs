//! The latent variable hierarchical recurrent encoder–decoder (VHRED): several replies that make
//! sense, where [`Hred`](crate::Hred) has one that is safe.
//!
//! ```text
//! a        = tanh(tanh(x · W_1 + b_1) · W_2 + b_2)                       k wide
//! N(x)     : μ = a · W_μ + b_μ,   σ² = κ · softplus(a · W_σ + b_σ)         σ², not σ
//! prior    p(z_m | U_{<m})  = N(c_{m−1})
//! posterior q(z_m | U_{≤m}) = N'([c_{m−1} ; u_m])                        sees the turn to be written
//! U_m      ~ decoder([c_{m−1} ; z_m]),  or decoder(z_m)
//! maximise  Σ_m E_q ln P(U_m | c_{m−1}, z_m) − KL(q ‖ p)
//! ```
//!
//! It learns from the posterior and writes from the prior. Beside the weight of the divergence
//! ([`KlTerm`]) and words that are dropped, it can be made to tell the words of a turn from `[c ; z]` in
//! no order ([`BagOfWords`]).
//!
//! Sources: Serban et al. (2017), A Hierarchical Latent Variable Encoder-Decoder Model for Generating
//! Dialogues, sections 3 and 4.

use burn::{
    module::Param,
    prelude::*,
    tensor::activation::{log_sigmoid, tanh},
};
use rand::Rng;
use recurrent_cells::AnyState;
use recurrent_training::{Learn, Loss, Moment, OutOfRange};
use serde::{Deserialize, Serialize};

use crate::{
    BagOfWords, CarriedContext, Dense, DiagonalGaussian, DialogueBatch, Hred, HredConfig, KlTerm,
    Turn, TurnDecoder, TurnGenerator, WordTeller, noise,
    sizes::at_least_one,
    vae::{log_mean_exp, not_finite},
};

/// Sizes and kinds of a [`Vhred`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VhredConfig {
    /// Everything but the latent variable.
    pub hred: HredConfig,
    /// Features of the latent variable, `k`, at least 1.
    pub d_latent: usize,
    /// What a turn is made from.
    pub made_from: MadeFrom,
    /// `κ`, above 0.
    pub variance_scale: f64,
    /// What the divergence weighs.
    pub kl: KlTerm,
    /// Whether the words of a turn are told from the latent variable in no order.
    pub bag_of_words: BagOfWords,
}

/// What a turn is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MadeFrom {
    /// The context and the latent variable.
    #[default]
    Both,
    /// The latent variable alone.
    Latent,
}

/// A network that says where a latent variable is.
#[derive(Module, Debug)]
pub struct GaussianNet {
    /// `W_1`, `b_1`, `W_2`, `b_2`.
    pub hidden: [Dense; 2],
    /// `W_μ`, `b_μ`.
    pub mean: Dense,
    /// `W_σ`, `b_σ`.
    pub variance: Dense,
    /// `κ`.
    #[module(skip)]
    pub variance_scale: f64,
}

/// A model of conversations with a latent variable at every turn.
#[derive(Module, Debug)]
pub struct Vhred {
    /// Everything but the latent variable; its decoder is made from both.
    pub hred: Hred,
    /// `p(z | c)`.
    pub prior: GaussianNet,
    /// `q(z | c, u)`.
    pub posterior: GaussianNet,
    /// What tells words in no order.
    pub words: Option<WordTeller>,
    /// What it is.
    #[module(skip)]
    pub config: VhredConfig,
}

/// What is known of the turns of a batch.
#[derive(Clone, Debug)]
pub struct TurnParts {
    /// `−ln P(U|c, z)` by one draw from the posterior: `[R]`, in nats.
    pub reconstruction: Tensor<1>,
    /// The divergence of the posterior from the prior: `[R, k]`, in nats a dimension.
    pub kl: Tensor<2>,
    /// `q(z|c, u)`.
    pub posterior: DiagonalGaussian,
    /// What the conversations were about in the end.
    pub carried: CarriedContext,
}

/// Where a latent variable comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latent {
    /// A draw from the posterior, which has seen the turn.
    Posterior,
    /// A draw from the prior, which has not.
    Prior,
    /// Zeros: what is left without it.
    Zero,
}

impl Default for VhredConfig {
    fn default() -> Self {
        Self {
            hred: HredConfig::default(),
            d_latent: 64,
            made_from: MadeFrom::Both,
            variance_scale: 0.1,
            kl: KlTerm::default(),
            bag_of_words: BagOfWords::None,
        }
    }
}

impl VhredConfig {
    /// Checks every value, and that they fit together, for a vocabulary of the given size.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self, vocabulary: usize) -> Result<(), OutOfRange> {
        self.hred.validate(vocabulary).map_err(|wrong| wrong.under("hred"))?;
        at_least_one("d_latent", self.d_latent)?;
        let holds = |scale: &f64| scale.is_finite() && *scale > 0.0;
        OutOfRange::check("variance_scale", self.variance_scale, holds, "above 0")?;
        self.kl.validate(self.d_latent).map_err(|wrong| wrong.under("kl"))?;
        self.bag_of_words.validate()
    }

    /// Draws a model for a vocabulary of the given size.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse.
    pub fn init(&self, vocabulary: usize, device: &Device) -> Vhred {
        if let Err(error) = self.validate(vocabulary) {
            panic!("{error}");
        }
        let k = self.d_latent;
        let made_from = |s: usize| match self.made_from {
            MadeFrom::Both => s + k,
            MadeFrom::Latent => k,
        };
        let hred = self.hred.init_with(vocabulary, made_from, device);
        let (s, q) = (hred.context.d_output(), hred.encoder.d_output());
        let net = |d_input| GaussianNet::new(d_input, k, self.variance_scale, device);
        let words = self.bag_of_words.init(s + k, vocabulary, device);
        Vhred { hred, prior: net(s), posterior: net(s + q), words, config: self.clone() }
    }
}

impl GaussianNet {
    /// Draws a network from `d_input` features to `d_latent` dimensions.
    pub fn new(d_input: usize, d_latent: usize, variance_scale: f64, device: &Device) -> Self {
        let layer = |from| Dense::new(from, d_latent, device);
        Self {
            hidden: [layer(d_input), layer(d_latent)],
            mean: layer(d_latent),
            variance: layer(d_latent),
            variance_scale,
        }
    }

    /// Where the latent variable is for `x`, `[R, I]`.
    ///
    /// # Panics
    ///
    /// If the features do not fit.
    pub fn forward(&self, x: Tensor<2>) -> DiagonalGaussian {
        let a = self.hidden.iter().fold(x, |x, layer| tanh(layer.forward(x)));
        let softplus = log_sigmoid(self.variance.forward(a.clone()).neg()).neg();
        // A variance of nothing has no logarithm.
        let variance = softplus * self.variance_scale + 1e-10;
        DiagonalGaussian { mean: self.mean.forward(a), log_variance: variance.log() }
    }
}

impl Vhred {
    /// What a turn is made from, of its context, `[R, s]`, and its latent variable, `[R, k]`.
    pub fn made_from(&self, context: &Tensor<2>, z: Tensor<2>) -> Tensor<2> {
        match self.config.made_from {
            MadeFrom::Both => Tensor::cat(vec![context.clone(), z], 1),
            MadeFrom::Latent => z,
        }
    }

    /// What is before each turn, and where the latent variable is, with and without the turn.
    fn inferred(
        &self,
        batch: &DialogueBatch,
        carried: Option<CarriedContext>,
    ) -> (Tensor<2>, [DiagonalGaussian; 2], AnyState) {
        let u = self.hred.read(batch);
        let (before, last) = self.hred.contexts(batch, u.clone(), carried);
        let prior = self.prior.forward(before.clone());
        let posterior = self.posterior.forward(Tensor::cat(vec![before.clone(), u], 1));
        (before, [posterior, prior], last)
    }

    /// What is known of the turns of a batch. Meant for a model from [`valid`](Module::valid).
    ///
    /// # Panics
    ///
    /// If a batch goes on and nothing is carried.
    pub fn parts(
        &self,
        batch: &DialogueBatch,
        carried: Option<CarriedContext>,
        rng: &mut impl Rng,
    ) -> TurnParts {
        let (before, [posterior, prior], last) = self.inferred(batch, carried);
        let c = self.made_from(&before, posterior.sample(rng));
        TurnParts {
            reconstruction: self.hred.nll_from(batch, &c),
            kl: posterior.kl_from(&prior),
            posterior,
            carried: CarriedContext(last),
        }
    }

    /// The negative log-likelihood of each turn, `[R]`, with the latent variable from where it is said;
    /// without the divergence. Meant for a model from [`valid`](Module::valid).
    ///
    /// # Panics
    ///
    /// If a batch goes on and nothing is carried.
    pub fn nll_with(
        &self,
        latent: Latent,
        batch: &DialogueBatch,
        carried: Option<CarriedContext>,
        rng: &mut impl Rng,
    ) -> (Tensor<1>, CarriedContext) {
        let (before, [posterior, prior], last) = self.inferred(batch, carried);
        let z = match latent {
            Latent::Posterior => posterior.sample(rng),
            Latent::Prior => prior.sample(rng),
            Latent::Zero => prior.mean.zeros_like(),
        };
        let c = self.made_from(&before, z);
        (self.hred.nll_from(batch, &c), CarriedContext(last))
    }

    /// The importance-weighted bound of each turn by `samples` draws, `[R]`, in nats. Meant for a model
    /// from [`valid`](Module::valid).
    ///
    /// # Panics
    ///
    /// If a batch goes on and nothing is carried, or `samples` is 0.
    pub fn importance_weighted(
        &self,
        batch: &DialogueBatch,
        carried: Option<CarriedContext>,
        samples: usize,
        rng: &mut impl Rng,
    ) -> (Tensor<1>, CarriedContext) {
        let (before, [posterior, prior], last) = self.inferred(batch, carried);
        let draw = |_| {
            let z = posterior.sample(rng);
            let ratio = prior.log_density(z.clone()) - posterior.log_density(z.clone());
            let nll = self.hred.nll_from(batch, &self.made_from(&before, z));
            (ratio - nll).unsqueeze_dim::<2>(1)
        };
        let weights: Vec<Tensor<2>> = (0..samples).map(draw).collect();
        (log_mean_exp(Tensor::cat(weights, 1)), CarriedContext(last))
    }

    /// What `batch` conversations are about before they begin.
    pub fn start(&self, batch: usize) -> AnyState {
        self.hred.start(batch)
    }

    /// As [`Hred::hear`].
    ///
    /// # Panics
    ///
    /// If there are not as many turns as rows.
    pub fn hear(&self, turns: &[Turn], state: AnyState) -> AnyState {
        self.hred.hear(turns, state)
    }

    /// The model as something search can write turns with, behind each of the contexts, `[R, s]`: with a
    /// latent variable drawn for each from the prior.
    pub fn generator(&self, context: &Tensor<2>, rng: &mut impl Rng) -> TurnGenerator<'_> {
        let prior = self.prior.forward(context.clone());
        let z = prior.at(noise::normal(rng, &prior.mean));
        self.hred.generator(self.made_from(context, z))
    }

    /// Takes over everything that a trained model without a latent variable has; what its decoder makes
    /// of one starts at nothing, so that both write the same.
    ///
    /// # Panics
    ///
    /// If the two are not of the same sizes and kinds, or turns are made from the latent variable alone.
    #[must_use]
    pub fn with_hred(self, trained: &Hred) -> Self {
        assert!(
            self.config.made_from == MadeFrom::Both,
            "a decoder without a context takes none over"
        );
        assert_eq!(self.hred.config, trained.config, "two models of the same sizes and kinds");
        let decoder = self.hred.decoder.widened_from(&trained.decoder);
        let hred = Hred { decoder, ..trained.clone() };
        Self { hred, ..self }
    }
}

impl TurnDecoder {
    /// `narrow` with as many rows of zeros as this decoder is made from more features.
    fn widened_from(&self, narrow: &Self) -> Self {
        let wide = |to: &Param<Tensor<2>>, from: &Param<Tensor<2>>| {
            let ([rows, columns], from) = (to.dims(), from.val().detach());
            let [given, across] = from.dims();
            let zeros = Tensor::zeros([rows, columns], (&from.device(), from.dtype()));
            Param::from_tensor(zeros.slice_assign([0..given, 0..across], from).detach())
        };
        let wide_layer = |to: &Dense, from: &Dense| {
            let pad = |to: &Param<Tensor<1>>, from: &Param<Tensor<1>>| {
                let from = from.val().detach();
                let more = to.dims()[0] - from.dims()[0];
                let zeros = Tensor::zeros([more], (&from.device(), from.dtype()));
                Param::from_tensor(Tensor::cat(vec![from, zeros], 0).detach())
            };
            let w = to.w.as_ref().zip(from.w.as_ref()).map(|(to, from)| wide(to, from));
            Dense { w, b: pad(&to.b, &from.b) }
        };
        let gates = self.gate.as_ref().zip(narrow.gate.as_ref());
        Self {
            start: wide_layer(&self.start, &narrow.start),
            w_s: self.w_s.as_ref().zip(narrow.w_s.as_ref()).map(|(to, from)| wide(to, from)),
            gate: gates.map(|(to, from)| crate::ContextGate {
                w_e: wide(&to.w_e, &from.w_e),
                w_h: wide(&to.w_h, &from.w_h),
                w_c: wide_layer(&to.w_c, &from.w_c),
            }),
            w_so: wide(&self.w_so, &narrow.w_so),
            ..narrow.clone()
        }
    }
}

impl Learn for Vhred {
    type Batch = DialogueBatch;
    type Carried = CarriedContext;

    /// What is reported is the bound with `β = 1` and nothing free, in nats a token.
    ///
    /// # Panics
    ///
    /// If a batch goes on and nothing is carried.
    fn learn(
        &self,
        batch: &DialogueBatch,
        carried: Option<CarriedContext>,
        at: &Moment,
    ) -> (Loss, CarriedContext) {
        let mut rng = at.rng();
        let (before, [posterior, prior], last) = self.inferred(batch, carried);
        let z = posterior.sample(&mut rng);
        let begun = self.hred.begun(batch, &mut rng);
        let written = self.hred.loss(batch, &begun, &self.made_from(&before, z.clone()));
        let kl = posterior.kl_from(&prior);
        let nll = written.nll + kl.clone().sum().detach();
        let sum = written.sum + self.config.kl.of(kl, at.step);
        let c = || Tensor::cat(vec![before, z], 1);
        let sum = self.config.bag_of_words.added(sum, self.words.as_ref(), c, &batch.ended());
        (Loss { sum, nll, ..written }, CarriedContext(last))
    }

    /// A batch that goes on is looked at as if it began: what is not finite in its weights is not there.
    fn not_finite(&self, batch: &DialogueBatch, at: &Moment) -> Vec<&'static str> {
        let batch = DialogueBatch::whole(batch.dialogues.clone());
        let TurnParts { reconstruction, kl, .. } = self.parts(&batch, None, &mut at.rng());
        let kl = kl.sum_dim(1).squeeze_dim(1);
        not_finite([("reconstruction", reconstruction), ("kl", kl)])
    }
}
