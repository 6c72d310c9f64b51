//! The variational autoencoder of texts: a sentence from one code.
//!
//! ```text
//! u           = encoder(w_1 … w_N </s>)                turn_encoder.rs
//! [μ ; ln σ²] = u · W + b                              q(z|w) = N(μ, σ² I),  p(z) = N(0, I)
//! w           ~ decoder(z)                             turn_decoder.rs
//! −ELBO       = Σ_n −ln P(w_n | w_{<n}, z) + KL(q ‖ p)
//! ```
//!
//! A decoder that reads the words before the next one hardly needs the code: without annealing or free
//! bits ([`KlTerm`]), words that are dropped, or words that are told in no order ([`BagOfWords`]) the
//! posterior collapses.
//!
//! Source: Bowman et al. (2016), Generating Sentences from a Continuous Space, section 3.

use burn::{
    nn::{Dropout, DropoutConfig},
    prelude::*,
};
use rand::Rng;
use recurrent_cells::CellKind;
use recurrent_seq2seq::{
    CrossEntropy, Embedding, EmbeddingScale, EncoderConfig, Output, OutputWeights, Padded, Reading,
    TextBatch,
};
use recurrent_training::{Batches, Learn, Loss, Moment, OutOfRange};
use serde::{Deserialize, Serialize};

use crate::{
    BagOfWords, ContextBias, Dense, DiagonalGaussian, KlTerm, MeasuredTexts, Summary, TurnDecoder,
    TurnEncoder, TurnGenerator, WordTeller,
    hred::{
        cell_fits, nll_of_readouts, output_fits, tables, with_words_dropped, word_dropout_fits,
    },
    measured_texts::sum,
    noise,
    sizes::{at_least_one, share},
    standard_log_density,
    turn_decoder::DecoderSizes,
    vae::{log_mean_exp, not_finite},
};

/// Sizes and kinds of a [`SequenceVae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SequenceVaeConfig {
    /// Features of a token's vector, `d`, at least 1.
    pub d_embedding: usize,
    /// The cell of encoder and decoder: "gru", "original_gru" or "lstm".
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
    /// Whether the words of a text are told from the latent variable in no order.
    pub bag_of_words: BagOfWords,
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
    /// What tells words in no order.
    pub words: Option<WordTeller>,
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
            bag_of_words: BagOfWords::None,
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
        output_fits(self.output, self.embedding_scale, [self.d_embedding, self.d_readout])?;
        share("dropout", self.dropout)?;
        word_dropout_fits(self.word_dropout)?;
        share("loss.label_smoothing", self.loss.label_smoothing)?;
        self.bag_of_words.validate()?;
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
        let (embedding, output) =
            tables(self.output, self.embedding_scale, [d, r], vocabulary, device);
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
            words: self.bag_of_words.init(z, vocabulary, device),
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
        TextParts {
            reconstruction: self.reconstruction(batch, &posterior.sample(rng)),
            kl: posterior.kl_from_standard(),
            posterior,
        }
    }

    /// `−ln P(w|z)` of every text for its code, `[B, Z]`: `[B]`.
    fn reconstruction(&self, batch: &TextBatch, z: &Tensor<2>) -> Tensor<1> {
        let readouts = self.readouts(&batch.inputs, z);
        nll_of_readouts(self.output.forward(readouts, &self.embedding), &batch.targets)
    }

    /// The importance-weighted bound of every text by `samples` draws, `[B]`, in nats. Meant for a model
    /// from [`valid`](Module::valid).
    ///
    /// # Panics
    ///
    /// If `samples` is 0.
    pub fn importance_weighted(
        &self,
        batch: &TextBatch,
        samples: usize,
        rng: &mut impl Rng,
    ) -> Tensor<1> {
        let posterior = self.encode(&batch.targets);
        let draw = |_| {
            let z = posterior.sample(rng);
            let ratio = standard_log_density(z.clone()) - posterior.log_density(z.clone());
            (ratio - self.reconstruction(batch, &z)).unsqueeze_dim::<2>(1)
        };
        let weights: Vec<Tensor<2>> = (0..samples).map(draw).collect();
        log_mean_exp(Tensor::cat(weights, 1))
    }

    /// The bound of all texts of `batches` in its two parts.
    ///
    /// # Panics
    ///
    /// If there is no text.
    pub fn measure(
        &self,
        batches: &impl Batches<Batch = TextBatch>,
        rng: &mut impl Rng,
    ) -> MeasuredTexts {
        let mut measured = MeasuredTexts::default();
        for plan in batches.epoch(0, 1) {
            let batch = batches.batch(&plan);
            let TextParts { reconstruction, kl, posterior } = self.parts(&batch, rng);
            measured.add(batch.targets.tokens(), reconstruction);
            measured.add_latent(&posterior, kl, rng);
        }
        assert!(measured.texts > 0, "there are texts to be measured on");
        measured
    }

    /// `−IW_K` for `samples` draws a text, in nats a token.
    ///
    /// # Panics
    ///
    /// If `samples` is 0.
    pub fn measure_importance(
        &self,
        batches: &impl Batches<Batch = TextBatch>,
        samples: usize,
        rng: &mut impl Rng,
    ) -> f64 {
        let (mut count, mut total) = (0, 0.0);
        for plan in batches.epoch(0, 1) {
            let batch = batches.batch(&plan);
            count += batch.targets.tokens();
            total -= sum(self.importance_weighted(&batch, samples, rng));
        }
        total / count.max(1) as f64
    }

    /// The model as something search can write texts with, one for each code, `[B, Z]`. Meant for a model
    /// from [`valid`](Module::valid).
    pub fn generator(&self, z: Tensor<2>) -> TurnGenerator<'_> {
        TurnGenerator::new(&self.embedding, &self.decoder, (&self.output, &self.dropout), z)
    }

    /// `count` codes at equal distances on the line from the mean of a text's posterior to that of another,
    /// both included: `[count, Z]`.
    ///
    /// # Panics
    ///
    /// If there are fewer than two.
    pub fn between(&self, [from, to]: [&[u32]; 2], count: usize) -> Tensor<2> {
        assert!(count > 1, "a line has two ends, got {count}");
        let means = self.encode(&TextBatch::sentences(&[from, to]).targets).mean;
        let [from, to] = [0, 1].map(|row| means.clone().narrow(0, row, 1));
        let shares: Vec<f32> = (0..count).map(|n| n as f32 / (count - 1) as f32).collect();
        let like = (&means.device(), means.dtype());
        let shares = Tensor::<1>::from_data(shares.as_slice(), like).unsqueeze_dim::<2>(1);
        from.clone() * (-shares.clone() + 1.0) + to * shares
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
        let told = self.config.bag_of_words;
        let sum = told.added(sum, self.words.as_ref(), || z, &batch.targets);
        (Loss { sum, nll, ..written }, ())
    }

    fn not_finite(&self, batch: &TextBatch, at: &Moment) -> Vec<&'static str> {
        let TextParts { reconstruction, kl, .. } = self.parts(batch, &mut at.rng());
        let kl = kl.sum_dim(1).squeeze_dim(1);
        not_finite([("reconstruction", reconstruction), ("kl", kl)])
    }
}
