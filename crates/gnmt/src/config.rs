//! How large, and wired how: as data that people write.
//!
//! Public versions of GNMT differ from the paper and from each other. Each difference is a key here:
//!
//! | key | paper | TensorFlow `gnmt_v2` | NVIDIA, the default |
//! |---|---|---|---|
//! | `cell` | `gnmt_lstm`: no `tanh` on what is shown | `lstm` | `lstm` |
//! | `query` | `previous` | `current` | `current` |
//! | `first_layer` | `token` | `context` | `token` |
//! | `start` | `zero` | `encoder` | `zero` |
//! | `clip`, `logit_clip` | 8 to 1, 25 | none | none |
//! | `initial` | `uniform` within 0.04 | within 0.1 | within 0.1 |

use burn::{
    nn::{DropoutConfig, Initializer},
    prelude::*,
};
use recurrent_attention::NormedAdditiveAttentionConfig;
use recurrent_cells::{AnyCell, Bidirectional, GnmtLstmConfig, LstmConfig};
use recurrent_seq2seq::{CrossEntropy, EmbeddingConfig, EmbeddingScale, Output, Tie};
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

use crate::{Clip, Gnmt, GnmtDecoder, GnmtEncoder, Query, Refinement};

/// Sizes and wiring of a [`Gnmt`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GnmtConfig {
    /// Layers of the encoder and of the decoder each, at least 2.
    pub layers: usize,
    /// Features of everything, `H`, at least 1: of a token's vector and of every state.
    pub d_hidden: usize,
    /// The cell of all layers.
    pub cell: GnmtCell,
    /// Whether there is a way around layers.
    pub residual: Residual,
    /// What the attention is asked with.
    pub query: Query,
    /// What the lowest layer of the decoder reads.
    pub first_layer: FirstLayer,
    /// What the decoder starts from.
    pub start: Start,
    /// Which matrices of tokens are one.
    pub tie: Tie,
    /// What the vectors of a table that is the output layer as well are multiplied by as they are read; the
    /// paper and public versions do not.
    pub embedding_scale: EmbeddingScale,
    /// Share of the values dropped while learning, in `[0, 1)`, of what every layer reads.
    pub dropout: f64,
    /// The bound of cell states and residual sums, with `cell = "gnmt_lstm"` alone; none by default.
    pub clip: Option<Clip>,
    /// The bound `γ` of the logits, above 0; none by default.
    pub logit_clip: Option<f64>,
    /// Whether the model learns from its own outputs as well, once it has learned by likelihood; not by
    /// default.
    pub refinement: Option<Refinement>,
    /// How weights are drawn.
    pub initial: Initial,
    /// What is minimised.
    pub loss: CrossEntropy,
}

/// The cell of all layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GnmtCell {
    /// The usual LSTM, as in all public versions.
    #[default]
    Lstm,
    /// The paper's, equation 6: `h = σ(o) ⊙ c`. See
    /// [`GnmtLstmCell`](recurrent_cells::GnmtLstmCell).
    GnmtLstm,
}

/// Whether there is a way around layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residual {
    /// Around the third layer and all above it.
    #[default]
    FromThird,
    /// Around none: the plain stack that the paper compares with, section 3.1.
    None,
}

/// What the lowest layer of the decoder reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstLayer {
    /// The token alone: training runs every layer over the whole sequence at once.
    #[default]
    Token,
    /// The token and the newest context, as in TensorFlow's: it is fed back, so that its steps wait
    /// for each other.
    Context,
}

/// What the decoder starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Nothing.
    #[default]
    Zero,
    /// Each layer from the final state of the encoder's at the same height; the lowest from the
    /// network that reads backward.
    Encoder,
}

/// How weights are drawn. Biases are 0, but 1 for forget gates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Initial {
    /// Evenly between `-within` and `within`, above 0: the paper 0.04, public versions 0.1.
    Uniform {
        /// The bound.
        within: f64,
    },
    /// By Glorot & Bengio (2010), recurrent matrices orthogonal: as the other models here.
    Glorot,
}

/// How many numbers the parts of a model learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The vectors of tokens.
    pub embeddings: usize,
    /// The layers that read.
    pub encoder: usize,
    /// The layers that write.
    pub decoder: usize,
    /// What looks at the source.
    pub attention: usize,
    /// The output layer, without what it shares with an embedding.
    pub output: usize,
}

impl Parameters {
    /// All of them.
    pub fn total(&self) -> usize {
        self.embeddings + self.encoder + self.decoder + self.attention + self.output
    }
}

impl Default for GnmtConfig {
    /// The wiring of the public versions at the size of a laptop: 4 + 4 layers of 256.
    fn default() -> Self {
        Self {
            layers: 4,
            d_hidden: 256,
            cell: GnmtCell::Lstm,
            residual: Residual::FromThird,
            query: Query::Current,
            first_layer: FirstLayer::Token,
            start: Start::Zero,
            tie: Tie::Embeddings,
            embedding_scale: EmbeddingScale::Plain,
            dropout: 0.0,
            clip: None,
            logit_clip: None,
            refinement: None,
            initial: Initial::Uniform { within: 0.1 },
            loss: CrossEntropy::default(),
        }
    }
}

impl GnmtConfig {
    /// 2 + 2 layers of 64, to try things out.
    pub fn tiny() -> Self {
        Self { layers: 2, d_hidden: 64, ..Self::default() }
    }

    /// 4 + 4 layers of 256.
    pub fn small() -> Self {
        Self::default()
    }

    /// The system of Wu et al. (2016): 8 + 8 layers of 1024, as section 3 to 6 have it, with `δ`
    /// moving over `steps` optimiser steps.
    pub fn paper(steps: usize) -> Self {
        Self {
            layers: 8,
            d_hidden: 1024,
            cell: GnmtCell::GnmtLstm,
            query: Query::Previous,
            tie: Tie::None,
            dropout: 0.2,
            clip: Some(Clip::paper(steps)),
            logit_clip: Some(25.0),
            initial: Initial::Uniform { within: 0.04 },
            ..Self::default()
        }
    }

    /// Checks every value, and that they fit together, for vocabularies of the given sizes.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self, [v_source, v_target]: [usize; 2]) -> Result<(), OutOfRange> {
        OutOfRange::check("layers", self.layers, |layers| *layers >= 2, "at least 2")?;
        OutOfRange::check("d_hidden", self.d_hidden, |width| *width > 0, "at least 1")?;
        self.tie.check_scale(self.embedding_scale)?;
        let share = |value: &f64| (0.0..1.0).contains(value);
        OutOfRange::check("dropout", self.dropout, share, "in [0, 1)")?;
        OutOfRange::check("loss.label_smoothing", self.loss.label_smoothing, share, "in [0, 1)")?;
        let above = |value: &f64| value.is_finite() && *value > 0.0;
        if let Initial::Uniform { within } = self.initial {
            OutOfRange::check("initial.uniform.within", within, above, "above 0")?;
        }
        if let Some(bound) = self.logit_clip {
            OutOfRange::check("logit_clip", bound, above, "above 0")?;
        }
        if let Some(clip) = &self.clip {
            clip.validate()?;
            let bounded = |cell: &GnmtCell| *cell == GnmtCell::GnmtLstm;
            let range = "gnmt_lstm where `clip` is set: the usual LSTM has no bound";
            if !bounded(&self.cell) {
                return Err(OutOfRange::new("cell", "lstm", range));
            }
        }
        self.refinement.as_ref().map_or(Ok(()), Refinement::validate)?;
        let shares = matches!(self.tie, Tie::Embeddings | Tie::All);
        if shares && v_source != v_target {
            let range = "none or output where source and target have tokens of their own";
            return Err(OutOfRange::new("tie", format!("{:?}", self.tie).to_lowercase(), range));
        }
        Ok(())
    }

    /// How many numbers are learned, for vocabularies of the given sizes.
    ///
    /// ```text
    /// L(D)      = 4H · (D + H + 1)                      an LSTM that reads D features
    /// encoder   = 2 · L(H) + L(2H) + (n − 2) · L(H)
    /// decoder   = L(H) + (n − 1) · L(2H)                the first L(2H) where it reads the context
    /// attention = 2H² + 2H + 1
    /// ```
    pub fn parameters(&self, [v_source, v_target]: [usize; 2]) -> Parameters {
        let (n, h) = (self.layers, self.d_hidden);
        let lstm = |d: usize| 4 * h * (d + h + 1);
        let first = match self.first_layer {
            FirstLayer::Token => lstm(h),
            FirstLayer::Context => lstm(2 * h),
        };
        Parameters {
            embeddings: match self.tie {
                Tie::None | Tie::Output => (v_source + v_target) * h,
                Tie::Embeddings | Tie::All => v_target * h,
            },
            encoder: 2 * lstm(h) + lstm(2 * h) + (n - 2) * lstm(h),
            decoder: first + (n - 1) * lstm(2 * h),
            attention: 2 * h * h + 2 * h + 1,
            output: match self.tie {
                Tie::None | Tie::Embeddings => h * v_target + v_target,
                Tie::Output | Tie::All => v_target,
            },
        }
    }

    /// Draws a model for vocabularies of the given sizes.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse.
    pub fn init(&self, [v_source, v_target]: [usize; 2], device: &Device) -> Gnmt {
        if let Err(wrong) = self.validate([v_source, v_target]) {
            panic!("{wrong}");
        }
        let h = self.d_hidden;
        let dropout = || DropoutConfig::new(self.dropout).init();
        let bound = self.clip.map(|clip| clip.to);
        let cell = |d_input| self.init_cell(d_input, device);
        let encoder = GnmtEncoder {
            both: Bidirectional::new(cell(h), cell(h)),
            upper: (1..self.layers).map(|n| cell(if n == 1 { 2 * h } else { h })).collect(),
            dropout: dropout(),
            residual: self.residual,
            bound,
        };
        let first = match self.first_layer {
            FirstLayer::Token => cell(h),
            FirstLayer::Context => cell(2 * h),
        };
        let attention = NormedAdditiveAttentionConfig::new(h, h, h);
        let attention = match self.uniform() {
            Some(uniform) => attention.with_initializer(uniform),
            None => attention,
        };
        let decoder = GnmtDecoder {
            first,
            attention: attention.init(device),
            upper: (1..self.layers).map(|_| cell(2 * h)).collect(),
            dropout: dropout(),
            query: self.query,
            first_layer: self.first_layer,
            residual: self.residual,
            bound,
        };
        let drawn = |table: EmbeddingConfig| match self.uniform() {
            Some(uniform) => table.with_initializer(uniform),
            None => table,
        };
        let target = match self.tie {
            Tie::Output | Tie::All => EmbeddingConfig::tied(v_target, h),
            Tie::None | Tie::Embeddings => EmbeddingConfig::new(v_target, h),
        };
        Gnmt {
            source_embedding: matches!(self.tie, Tie::None | Tie::Output)
                .then(|| drawn(EmbeddingConfig::new(v_source, h)).init(device)),
            target_embedding: drawn(target).with_scale(self.embedding_scale).init(device),
            encoder,
            decoder,
            output: match self.tie {
                Tie::Output | Tie::All => Output::tied(v_target, device),
                Tie::None | Tie::Embeddings => match self.uniform() {
                    Some(uniform) => Output::drawn(&uniform, h, v_target, device),
                    None => Output::new(h, v_target, device),
                },
            },
            start: self.start,
            clip: self.clip,
            logit_clip: self.logit_clip,
            refinement: self.refinement,
            loss: self.loss,
        }
    }

    fn uniform(&self) -> Option<Initializer> {
        match self.initial {
            Initial::Uniform { within } => Some(Initializer::Uniform { min: -within, max: within }),
            Initial::Glorot => None,
        }
    }

    fn init_cell(&self, d_input: usize, device: &Device) -> AnyCell {
        let glorot = LstmConfig::new(d_input, self.d_hidden);
        match self.cell {
            GnmtCell::Lstm => {
                let config = match self.uniform() {
                    None => glorot,
                    Some(uniform) => {
                        glorot.with_input_init(uniform.clone()).with_recurrent_init(uniform)
                    }
                };
                AnyCell::Lstm(config.init(device))
            }
            GnmtCell::GnmtLstm => {
                let config = GnmtLstmConfig::new(d_input, self.d_hidden)
                    .with_clip(self.clip.map(|clip| clip.to));
                let (input, recurrent) = match self.uniform() {
                    Some(uniform) => (uniform.clone(), uniform),
                    None => (glorot.input_init, glorot.recurrent_init),
                };
                let config = config.with_input_init(input).with_recurrent_init(recurrent);
                AnyCell::GnmtLstm(config.init(device))
            }
        }
    }
}

impl Residual {
    /// What goes on from layer `layer`, counted from 1, which made `m` of `x`: with `x` added and held
    /// within `bound` where there is a way around it.
    pub(crate) fn around(
        self,
        layer: usize,
        m: Tensor<3>,
        x: Tensor<3>,
        bound: Option<f64>,
    ) -> Tensor<3> {
        if self == Self::None || layer < 3 {
            return m;
        }
        match bound {
            None => m + x,
            Some(delta) => (m + x).clamp(-delta, delta),
        }
    }
}
