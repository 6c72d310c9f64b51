//! The variational autoencoder of texts: a sentence from one code.
//!
//! ```text
//! u           = encoder(w_1 … w_N </s>)                turn_encoder.rs
//! [μ ; ln σ²] = u · W + b                              q(z|w) = N(μ, σ² I),  p(z) = N(0, I)
//! w           ~ decoder(z)                             turn_decoder.rs
//! −ELBO       = Σ_n −ln P(w_n | w_{<n}, z) + KL(q ‖ p)
//! ```
//!
//! A decoder that reads the words before the next one hardly needs the code: without annealing
//! ([`KlTerm`]) and words that are dropped the posterior collapses.
//!
//! Source: Bowman et al. (2016), Generating Sentences from a Continuous Space, section 3.

use burn::{
    nn::{Dropout, DropoutConfig},
    prelude::*,
};
use rand::Rng;
use recurrent_cells::CellKind;
use recurrent_seq2seq::{
    CrossEntropy, Embedding, EmbeddingConfig, EmbeddingScale, EncoderConfig, Output, OutputWeights,
    Padded, Reading, TextBatch,
};
use recurrent_training::{Learn, Loss, Moment, OutOfRange};
use serde::{Deserialize, Serialize};

use crate::{
    ContextBias, Dense, DiagonalGaussian, KlTerm, Summary, TurnDecoder, TurnEncoder, TurnGenerator,
    hred::{cell_fits, nll_of_readouts, with_words_dropped},
    noise,
    sizes::{at_least_one, share},
    turn_decoder::DecoderSizes,
    vae::not_finite,
};

/// Sizes and kinds of a [`SequenceVae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SequenceVaeConfig {
    /// Features of a token's vector, `d`, at least 1.
    pub d_embedding: usize,
    /// The cell of encoder and decoder: "gru" or "lstm".
    pub cell: CellKind,
    /// What reads.
    pub encoder: EncoderConfig,
    /// What stands for a text that was read.
    pub summary: Summary,
    /// Features of the latent variable, `Z`, at least 1.
    pub d_latent: usize,
    /// Features of the decoder's state, at least 1.
    pub d_decoder: usize,
    /// How the decoder uses the code.
    pub bias: ContextBias,
    /// Features of what logits are made of, at least 1.
    pub d_readout: usize,
    /// Which weights make logits.
    pub output: OutputWeights,
    /// What the vectors of an embedding that is the output layer as well are multiplied by as they are
    /// read.
    pub embedding_scale: EmbeddingScale,
    /// Share of the values dropped while learning, in `[0, 1)`: of the vectors of tokens, between
    /// layers, and of what logits are made of.
    pub dropout: f64,
    /// Share of the tokens that the decoder reads as `<unk>` while learning, in `[0, 1]`.
    pub word_dropout: f64,
    /// What the divergence weighs.
    pub kl: KlTerm,
    /// What is minimised of the text.
    pub loss: CrossEntropy,
}

/// A variational autoencoder of texts.
#[derive(Module, Debug)]
pub struct SequenceVae {
    /// `E`, of what is read and of what is written.
    pub embedding: Embedding,
    /// From texts to vectors.
    pub encoder: TurnEncoder,
    /// From there to `μ`.
    pub mean: Dense,
    /// From there to `ln σ²`.
    pub log_variance: Dense,
    /// From codes to texts.
    pub decoder: TurnDecoder,
    /// From readouts to logits.
    pub output: Output,
    /// Dropout on the vectors of tokens and on the readout.
    pub dropout: Dropout,
    /// What it is.
    #[module(skip)]
    pub config: SequenceVaeConfig,
}

/// The bound of some texts, in its two parts.
#[derive(Clone, Debug)]
pub struct TextParts {
    /// `−ln P(w|z)` by one draw a text, `</s>` included: `[B]`, in nats.
    pub reconstruction: Tensor<1>,
    /// `KL(q ‖ p)`: `[B, Z]`, in nats a dimension.
    pub kl: Tensor<2>,
    /// `q(z|w)`.
    pub posterior: DiagonalGaussian,
}

impl Default for SequenceVaeConfig {
    fn default() -> Self {
        Self {
            d_embedding: 128,
            cell: CellKind::Gru,
            encoder: EncoderConfig { layers: 1, d_hidden: 256, reading: Reading::Forward },
            summary: Summary::Last,
            d_latent: 32,
            d_decoder: 256,
            bias: ContextBias::All,
            d_readout: 128,
            output: OutputWeights::Own,
            embedding_scale: EmbeddingScale::Plain,
            dropout: 0.0,
            word_dropout: 0.0,
            kl: KlTerm::default(),
            loss: CrossEntropy::default(),
        }
    }
}

impl SequenceVaeConfig {
    /// Checks every value, and that they fit together.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        at_least_one("d_embedding", self.d_embedding)?;
        cell_fits(&self.cell)?;
        at_least_one("encoder.layers", self.encoder.layers)?;
        at_least_one("encoder.d_hidden", self.encoder.d_hidden)?;
        at_least_one("d_latent", self.d_latent)?;
        at_least_one("d_decoder", self.d_decoder)?;
        at_least_one("d_readout", self.d_readout)?;
        let tied = self.output == OutputWeights::Embedding;
        let range =
            format!("d_embedding = {} for an output that is the embedding", self.d_embedding);
        let holds = |d: &usize| !tied || *d == self.d_embedding;
        OutOfRange::check("d_readout", self.d_readout, holds, &range)?;
        if !tied {
            self.embedding_scale.must_be_plain()?;
        }
        share("dropout", self.dropout)?;
        let holds = |share: &f64| (0.0..=1.0).contains(share);
        OutOfRange::check("word_dropout", self.word_dropout, holds, "in [0, 1]")?;
        share("loss.label_smoothing", self.loss.label_smoothing)?;
        self.kl.validate(self.d_latent).map_err(|wrong| wrong.under("kl"))
    }

    /// Draws a model for a vocabulary of the given size.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse.
    pub fn init(&self, vocabulary: usize, device: &Device) -> SequenceVae {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let (d, r, z) = (self.d_embedding, self.d_readout, self.d_latent);
        let (embedding, output) = match self.output {
            OutputWeights::Own => {
                (EmbeddingConfig::new(vocabulary, d), Output::new(r, vocabulary, device))
            }
            OutputWeights::Embedding => {
                let table = EmbeddingConfig::tied(vocabulary, d).with_scale(self.embedding_scale);
                (table, Output::tied(vocabulary, device))
            }
        };
        let how = (self.summary, self.dropout);
        let encoder = TurnEncoder::new(&self.encoder, &self.cell, d, how, device);
        let q = encoder.d_output();
        let sizes =
            DecoderSizes { d_embedding: d, d_context: z, d_hidden: self.d_decoder, d_readout: r };
        SequenceVae {
            embedding: embedding.init(device),
            mean: Dense::new(q, z, device),
            log_variance: Dense::new(q, z, device),
            encoder,
            decoder: TurnDecoder::new(&self.cell, self.bias, sizes, device),
            output,
            dropout: DropoutConfig::new(self.dropout).init(),
            config: self.clone(),
        }
    }
}

impl SequenceVae {
    /// Where the model is.
    pub fn device(&self) -> Device {
        self.embedding.e.val().device()
    }

    /// `q(z|w)` of texts, `</s>` included.
    pub fn encode(&self, texts: &Padded) -> DiagonalGaussian {
        let x = self.embedding.forward(texts.tensor(&self.device()));
        let u = self.encoder.forward(self.dropout.forward(x), &texts.lengths());
        DiagonalGaussian {
            mean: self.mean.forward(u.clone()),
            log_variance: self.log_variance.forward(u),
        }
    }

    fn readouts(&self, begun: &Padded, z: &Tensor<2>) -> Tensor<3> {
        let e = self.embedding.forward(begun.tensor(&self.device()));
        let readouts = self.decoder.sequence(self.dropout.forward(e), z, &begun.lengths());
        self.dropout.forward(readouts)
    }

    /// The two parts of `−ELBO` of every text, by one draw. Meant for a model from
    /// [`valid`](Module::valid).
    pub fn parts(&self, batch: &TextBatch, rng: &mut impl Rng) -> TextParts {
        let posterior = self.encode(&batch.targets);
        let readouts = self.readouts(&batch.inputs, &posterior.sample(rng));
        let logits = self.output.forward(readouts, &self.embedding);
        TextParts {
            reconstruction: nll_of_readouts(logits, &batch.targets),
            kl: posterior.kl_from_standard(),
            posterior,
        }
    }

    /// The model as something search can write texts with, one for each code, `[B, Z]`. Meant for a model
    /// from [`valid`](Module::valid).
    pub fn generator(&self, z: Tensor<2>) -> TurnGenerator<'_> {
        TurnGenerator::new(&self.embedding, &self.decoder, (&self.output, &self.dropout), z)
    }

    /// `count` codes from the prior, `[count, Z]`.
    pub fn draw(&self, count: usize, rng: &mut impl Rng) -> Tensor<2> {
        let like = self.embedding.e.val();
        let like = Tensor::zeros([count, self.config.d_latent], (&like.device(), like.dtype()));
        noise::normal(rng, &like)
    }
}

impl Learn for SequenceVae {
    type Batch = TextBatch;
    type Carried = ();

    /// What is reported is the bound with `β = 1` and nothing free, in nats a token.
    fn learn(&self, batch: &TextBatch, _: Option<()>, at: &Moment) -> (Loss, ()) {
        let mut rng = at.rng();
        let posterior = self.encode(&batch.targets);
        let z = posterior.sample(&mut rng);
        let begun = match self.device().is_autodiff() {
            true => with_words_dropped(&batch.inputs, self.config.word_dropout, &mut rng),
            false => batch.inputs.clone(),
        };
        let readouts = self.readouts(&begun, &z);
        let (output, embedding) = (&self.output, &self.embedding);
        let written = self.config.loss.of_readouts(readouts, output, embedding, &batch.targets);
        let kl = posterior.kl_from_standard();
        let nll = written.nll + kl.clone().sum().detach();
        let sum = written.sum + self.config.kl.of(kl, at.step);
        (Loss { sum, nll, ..written }, ())
    }

    fn not_finite(&self, batch: &TextBatch, at: &Moment) -> Vec<&'static str> {
        let TextParts { reconstruction, kl, .. } = self.parts(batch, &mut at.rng());
        let kl = kl.sum_dim(1).squeeze_dim(1);
        not_finite([("reconstruction", reconstruction), ("kl", kl)])
    }
}
