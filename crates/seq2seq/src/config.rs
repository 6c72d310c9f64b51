//! Which encoder, which decoder, how large: as data that people write.

use burn::{nn::DropoutConfig, prelude::*};
use recurrent_attention::AttentionConfig;
use recurrent_cells::{AnyCell, CellKind, Stack};
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

use crate::{
    BahdanauDecoder, Bridge, BridgeKind, Context, CrossEntropy, Decoder, EmbeddingConfig,
    EmbeddingScale, Encoder, Feeding, LuongDecoder, Output, Reader, Reading, Readout, Seq2Seq,
    Teacher, ThoughtDecoder,
};

/// Sizes and kinds of a [`Seq2Seq`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seq2SeqConfig {
    /// Features of a token's vector, `d`, on both sides.
    pub d_embedding: usize,
    /// Which matrices are one.
    pub tie: Tie,
    /// What the vectors of a table that is the output layer as well are multiplied by as they are read.
    pub embedding_scale: EmbeddingScale,
    /// The cell of all layers.
    pub cell: CellKind,
    /// Share of the values dropped while learning, in `[0, 1)`: of the vectors of tokens, between
    /// layers, and of the readout.
    pub dropout: f64,
    /// What reads.
    pub encoder: EncoderConfig,
    /// From the one to the other.
    pub bridge: BridgeKind,
    /// What writes.
    pub decoder: DecoderConfig,
    /// What is minimised.
    pub loss: CrossEntropy,
    /// What the decoder reads while it learns.
    pub teacher: Teacher,
}

/// What reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderConfig {
    /// Layers, at least 1.
    pub layers: usize,
    /// Features of the state of one direction, `H`.
    pub d_hidden: usize,
    /// Which way the layers read.
    pub reading: Reading,
}

/// What writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecoderConfig {
    /// Layers, at least 1.
    pub layers: usize,
    /// Features of the state, `H`.
    pub d_hidden: usize,
    /// Which decoder.
    pub kind: DecoderKind,
}

/// Which decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DecoderKind {
    /// [`ThoughtDecoder`].
    Thought {
        /// When it is given the thought vector.
        context: Context,
    },
    /// [`BahdanauDecoder`].
    Bahdanau {
        /// How the source is looked at.
        attention: AttentionConfig,
        /// Features of the readout, `l`.
        d_readout: usize,
        /// Which state is read out.
        readout: Readout,
    },
    /// [`LuongDecoder`].
    Luong {
        /// How the source is looked at.
        attention: AttentionConfig,
        /// Features of the readout, `R`.
        d_readout: usize,
        /// Whether the attentional vector is fed back.
        feeding: Feeding,
    },
}

/// Which matrices of tokens are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tie {
    /// None.
    None,
    /// The target's embedding and the output layer.
    Output,
    /// The embeddings of source and target, which share a vocabulary.
    Embeddings,
    /// All three.
    All,
}

impl Default for Seq2SeqConfig {
    fn default() -> Self {
        Self {
            d_embedding: 128,
            tie: Tie::None,
            embedding_scale: EmbeddingScale::Plain,
            cell: CellKind::Lstm,
            dropout: 0.0,
            encoder: EncoderConfig::default(),
            bridge: BridgeKind::Dense,
            decoder: DecoderConfig::default(),
            loss: CrossEntropy::default(),
            teacher: Teacher::default(),
        }
    }
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self { layers: 1, d_hidden: 128, reading: Reading::Both }
    }
}

impl Default for DecoderConfig {
    fn default() -> Self {
        let kind = DecoderKind::Luong {
            attention: AttentionConfig::General,
            d_readout: 256,
            feeding: Feeding::None,
        };
        Self { layers: 1, d_hidden: 256, kind }
    }
}

impl Tie {
    /// Whether the output layer is an embedding.
    pub fn output(self) -> bool {
        matches!(self, Self::Output | Self::All)
    }

    /// Only a table that is the output layer as well is scaled.
    ///
    /// # Errors
    ///
    /// If there is a scale and no such table.
    pub fn check_scale(self, scale: EmbeddingScale) -> Result<(), OutOfRange> {
        match self.output() {
            true => Ok(()),
            false => scale.must_be_plain(),
        }
    }
}

pub(crate) fn at_least_one(field: &str, value: usize) -> Result<(), OutOfRange> {
    OutOfRange::check(field, value, |&value| value > 0, "at least 1")
}

pub(crate) fn share(field: &str, value: f64) -> Result<(), OutOfRange> {
    OutOfRange::check(field, value, |value| (0.0..1.0).contains(value), "in [0, 1)")
}

impl EncoderConfig {
    /// Features of an output, `M`.
    pub fn d_output(&self) -> usize {
        self.reading.directions() * self.d_hidden
    }

    /// Draws the layers that read vectors of `d_input` features.
    ///
    /// # Panics
    ///
    /// If there is no layer, or the share `dropout` is outside `[0, 1)`.
    pub fn init(
        &self,
        cell: &CellKind,
        d_input: usize,
        dropout: f64,
        device: &Device,
    ) -> Encoder<AnyCell> {
        let layer = |n: usize| {
            let d_input = if n == 0 { d_input } else { self.d_output() };
            self.reading.init(cell, d_input, self.d_hidden, device)
        };
        Encoder::new((0..self.layers).map(layer).collect(), dropout)
    }
}

/// Checks what comes with the kind of a cell.
pub(crate) fn cell_fits(cell: &CellKind) -> Result<(), OutOfRange> {
    match cell {
        CellKind::Leaky { longest } if !(longest.is_finite() && *longest > 1.0) => {
            Err(OutOfRange::new("cell.leaky.longest", longest, "above 1"))
        }
        CellKind::Skip { delays } => {
            let mut sorted = delays.clone();
            sorted.sort_unstable();
            sorted.dedup();
            let fits = !delays.is_empty() && sorted.len() == delays.len() && sorted[0] > 0;
            let range = "a list of different delays of at least 1";
            let wrong = || OutOfRange::new("cell.skip.delays", format!("{delays:?}"), range);
            if fits { Ok(()) } else { Err(wrong()) }
        }
        _ => Ok(()),
    }
}

impl Seq2SeqConfig {
    /// Checks every value, and that they fit together, for vocabularies of the given sizes.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self, [v_source, v_target]: [usize; 2]) -> Result<(), OutOfRange> {
        at_least_one("d_embedding", self.d_embedding)?;
        share("dropout", self.dropout)?;
        share("loss.label_smoothing", self.loss.label_smoothing)?;
        at_least_one("encoder.layers", self.encoder.layers)?;
        at_least_one("encoder.d_hidden", self.encoder.d_hidden)?;
        at_least_one("decoder.layers", self.decoder.layers)?;
        at_least_one("decoder.d_hidden", self.decoder.d_hidden)?;
        cell_fits(&self.cell)?;
        self.validate_teacher()?;
        self.validate_bridge()?;
        self.validate_decoder()?;
        let shares = matches!(self.tie, Tie::Embeddings | Tie::All);
        if shares && v_source != v_target {
            let range = "none or output where source and target have tokens of their own";
            return Err(OutOfRange::new("tie", format!("{:?}", self.tie), range));
        }
        self.tie.check_scale(self.embedding_scale)?;
        if self.tie.output() && self.d_readout() != self.d_embedding {
            let range = format!("d_embedding = {} for a tied output", self.d_embedding);
            return Err(OutOfRange::new("decoder.kind.d_readout", self.d_readout(), range));
        }
        Ok(())
    }

    fn validate_teacher(&self) -> Result<(), OutOfRange> {
        let (field, range, value, fits) = match self.teacher {
            Teacher::Forcing => return Ok(()),
            Teacher::Linear { steps, floor } if (0.0..=1.0).contains(&floor) => {
                ("teacher.linear.steps", "above 0", steps, steps > 0.0)
            }
            Teacher::Linear { floor, .. } => ("teacher.linear.floor", "in [0, 1]", floor, false),
            Teacher::Exponential { k } => {
                ("teacher.exponential.k", "in (0, 1)", k, k > 0.0 && k < 1.0)
            }
            Teacher::InverseSigmoid { k } => {
                ("teacher.inverse_sigmoid.k", "at least 1", k, k >= 1.0)
            }
        };
        if fits { Ok(()) } else { Err(OutOfRange::new(field, value, range)) }
    }

    fn validate_bridge(&self) -> Result<(), OutOfRange> {
        let (encoder, decoder) = (&self.encoder, &self.decoder);
        let one_way = encoder.reading != Reading::Both;
        let (fits, needs) = match self.bridge {
            BridgeKind::Zero | BridgeKind::Dense => (true, ""),
            BridgeKind::Pass => (
                one_way && encoder.d_hidden == decoder.d_hidden,
                "with an encoder that reads one way and is as wide as the decoder",
            ),
            BridgeKind::Backward => (!one_way, "with an encoder that reads both ways"),
        };
        let name = format!("{:?}", self.bridge).to_lowercase();
        let range = || format!("zero or dense; {name} only {needs}");
        if fits { Ok(()) } else { Err(OutOfRange::new("bridge", &name, range())) }
    }

    fn validate_decoder(&self) -> Result<(), OutOfRange> {
        let attention = match &self.decoder.kind {
            DecoderKind::Thought { .. } => return Ok(()),
            DecoderKind::Bahdanau { attention, d_readout, .. }
            | DecoderKind::Luong { attention, d_readout, .. } => {
                at_least_one("decoder.kind.d_readout", *d_readout)?;
                attention
            }
        };
        match attention {
            AttentionConfig::Additive { d_attention }
            | AttentionConfig::NormedAdditive { d_attention } => {
                at_least_one("decoder.kind.attention.d_attention", *d_attention)
            }
            AttentionConfig::Dot if self.d_memory() != self.decoder.d_hidden => {
                let range = format!(
                    "general or additive where the memory has {} features and the decoder {}",
                    self.d_memory(),
                    self.decoder.d_hidden
                );
                Err(OutOfRange::new("decoder.kind.attention", "dot", range))
            }
            AttentionConfig::Dot | AttentionConfig::General | AttentionConfig::Scaled => Ok(()),
        }
    }

    /// Features of the memory, `M`.
    fn d_memory(&self) -> usize {
        self.encoder.d_output()
    }

    /// Features of the readout, `R`.
    fn d_readout(&self) -> usize {
        let h = self.decoder.d_hidden;
        match &self.decoder.kind {
            DecoderKind::Thought { context: Context::Start } => h,
            DecoderKind::Thought { context: Context::EveryStep } => h + self.d_memory(),
            DecoderKind::Bahdanau { d_readout, .. } | DecoderKind::Luong { d_readout, .. } => {
                *d_readout
            }
        }
    }

    /// Draws a model for vocabularies of the given sizes.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse.
    pub fn init(&self, [v_source, v_target]: [usize; 2], device: &Device) -> Seq2Seq<AnyCell> {
        if let Err(wrong) = self.validate([v_source, v_target]) {
            panic!("{wrong}");
        }
        let d = self.d_embedding;
        let target = match self.tie {
            Tie::Output | Tie::All => {
                EmbeddingConfig::tied(v_target, d).with_scale(self.embedding_scale)
            }
            Tie::None | Tie::Embeddings => EmbeddingConfig::new(v_target, d),
        };
        let own_source = matches!(self.tie, Tie::None | Tie::Output);
        let encoder = self.encoder.init(&self.cell, self.d_embedding, self.dropout, device);
        let decoder = self.init_decoder(device);
        let bridge = {
            let cell = |reader: &'_ Reader<AnyCell>| match reader {
                Reader::Forward(cell) | Reader::Backward(cell) => cell.clone(),
                Reader::Both(both) => both.forward.clone(),
            };
            let cells: Vec<AnyCell> = encoder.layers.iter().map(cell).collect();
            let cells: Vec<&AnyCell> = cells.iter().collect();
            let directions = self.encoder.reading.directions();
            Bridge::new(self.bridge, &cells, directions, decoder.layers(), device)
        };
        let output = match self.tie {
            Tie::Output | Tie::All => Output::tied(v_target, device),
            Tie::None | Tie::Embeddings => Output::new(self.d_readout(), v_target, device),
        };
        Seq2Seq {
            source_embedding: own_source.then(|| EmbeddingConfig::new(v_source, d).init(device)),
            target_embedding: target.init(device),
            encoder,
            bridge,
            decoder,
            output,
            dropout: DropoutConfig::new(self.dropout).init(),
            loss: self.loss,
            teacher: self.teacher,
        }
    }

    fn init_decoder(&self, device: &Device) -> Decoder<AnyCell> {
        let (h, m, d) = (self.decoder.d_hidden, self.d_memory(), self.d_embedding);
        let rnn = |d_input: usize| {
            let layer = |n| self.cell.init(if n == 0 { d_input } else { h }, h, device);
            Stack::new((0..self.decoder.layers).map(layer).collect()).with_dropout(self.dropout)
        };
        match self.decoder.kind {
            DecoderKind::Thought { context } => {
                let d_input = if context == Context::EveryStep { d + m } else { d };
                Decoder::Thought(ThoughtDecoder { rnn: rnn(d_input), context })
            }
            DecoderKind::Bahdanau { attention, d_readout, readout } => {
                let attention = attention.init(h, m, device);
                let sizes = [d, m, d_readout];
                let decoder = BahdanauDecoder::new(rnn(d + m), attention, readout, sizes, device);
                Decoder::Bahdanau(decoder)
            }
            DecoderKind::Luong { attention, d_readout, feeding } => {
                let attention = attention.init(h, m, device);
                let d_input = if feeding == Feeding::Input { d + d_readout } else { d };
                let sizes = [m, d_readout];
                let decoder = LuongDecoder::new(rnn(d_input), attention, feeding, sizes, device);
                Decoder::Luong(decoder)
            }
        }
    }
}
