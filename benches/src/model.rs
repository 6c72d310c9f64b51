//! The two models that are measured whole.
//!
//! ```text
//! g2p    LSTM both ways 128, dense bridge, LSTM 192, Luong's `general`, readout 128
//! gnmt   4 LSTM layers of 256, the lowest both ways; 4 above each other with additive attention
//! ```

use burn::{
    nn::{Dropout, DropoutConfig, Initializer},
    prelude::*,
};
use recurrent_attention::AttentionConfig;
use recurrent_cells::{AnyCell, Bidirectional, LstmConfig, Stack};
use recurrent_seq2seq::{
    Bridge, BridgeKind, CrossEntropy, Decoder, DecoderConfig, DecoderKind, EmbeddingConfig,
    Encoder, EncoderConfig, Feeding, LuongDecoder, Output, PairBatch, Reader, Reading, Seq2Seq,
    Seq2SeqConfig, Teacher,
};
use serde::Serialize;

use crate::module::redrawn;

/// Which model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wiring {
    /// As in `configs/quickstart.toml`.
    G2p,
    /// Of the shape of Wu et al. (2016).
    Gnmt,
}

/// A model with the sizes of its batches.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Model {
    /// Which model.
    pub wiring: Wiring,
    /// Features of its layers, `H`; of `g2p` those that read, in one direction.
    pub width: usize,
    /// Tokens of source and target, special ones included.
    pub vocabulary: [usize; 2],
    /// Pairs, `B`.
    pub batch: usize,
    /// Tokens of every source and target, `</s>` included.
    pub steps: [usize; 2],
}

/// Ids below this are special.
const SPECIAL: usize = 4;

impl Model {
    /// The quickstart's, with the words of an average batch.
    pub const G2P: Self =
        Self { wiring: Wiring::G2p, width: 128, vocabulary: [32, 43], batch: 64, steps: [9, 7] };

    /// GNMT's shape.
    pub const GNMT: Self = Self {
        wiring: Wiring::Gnmt,
        width: 256,
        vocabulary: [8000; 2],
        batch: 32,
        steps: [25, 25],
    };

    /// The same small enough to look at.
    #[must_use]
    pub fn small(self) -> Self {
        Self { width: 8, vocabulary: [20, 22], batch: 3, steps: [5, 4], ..self }
    }

    /// As it is named in the names of cases.
    pub fn name(&self) -> &'static str {
        match self.wiring {
            Wiring::G2p => "g2p",
            Wiring::Gnmt => "gnmt",
        }
    }

    /// The model, with the same weights on every device.
    pub fn draw(&self, device: &Device) -> Seq2Seq<AnyCell> {
        let model = match self.wiring {
            Wiring::G2p => self.g2p().init(self.vocabulary, device),
            Wiring::Gnmt => self.gnmt(device),
        };
        // Wide enough that tokens are not all about as likely, and search finds the same everywhere.
        redrawn(model, 3.0)
    }

    fn g2p(&self) -> Seq2SeqConfig {
        let kind = DecoderKind::Luong {
            attention: AttentionConfig::General,
            d_readout: self.width,
            feeding: Feeding::None,
        };
        Seq2SeqConfig {
            d_embedding: self.width / 2,
            encoder: EncoderConfig { layers: 1, d_hidden: self.width, reading: Reading::Both },
            bridge: BridgeKind::Dense,
            decoder: DecoderConfig { layers: 1, d_hidden: self.width * 3 / 2, kind },
            ..Seq2SeqConfig::default()
        }
    }

    fn gnmt(&self, device: &Device) -> Seq2Seq<AnyCell> {
        let h = self.width;
        let lstm = |d_input| {
            let config = LstmConfig::new(d_input, h).with_recurrent_init(Initializer::Zeros);
            AnyCell::Lstm(config.init(device))
        };
        let mut readers = vec![Reader::Both(Bidirectional::new(lstm(h), lstm(h)))];
        readers.extend([2 * h, h, h].map(|d_input| Reader::Forward(lstm(d_input))));
        let layers = Stack::new([h; 4].map(lstm).into());
        let attention = AttentionConfig::Additive { d_attention: h }.init(h, h, device);
        let decoder = LuongDecoder::new(layers, attention, Feeding::None, [h, h], device);
        let [v_source, v_target] = self.vocabulary;
        Seq2Seq {
            source_embedding: Some(EmbeddingConfig::new(v_source, h).init(device)),
            target_embedding: EmbeddingConfig::new(v_target, h).init(device),
            encoder: Encoder::new(readers, 0.0),
            bridge: Bridge { layers: Vec::new(), kind: BridgeKind::Zero },
            decoder: Decoder::Luong(decoder),
            output: Output::new(h, v_target, device),
            dropout: none(),
            loss: CrossEntropy::default(),
            teacher: Teacher::default(),
        }
    }

    /// Sources and targets, ids without special ones.
    pub fn pairs(&self) -> [Vec<Vec<u32>>; 2] {
        [0, 1].map(|side| {
            let words = self.vocabulary[side] - SPECIAL;
            let id = |n: usize| (SPECIAL + (n * 7919 + side) % words) as u32;
            let row = |b: usize| (0..self.steps[side] - 1).map(|t| id(b * 31 + t)).collect();
            (0..self.batch).map(row).collect()
        })
    }

    /// The pairs as a batch to learn from.
    pub fn pair_batch(&self) -> PairBatch {
        let [sources, targets] = self.pairs();
        PairBatch::new(&sources, &targets)
    }
}

fn none() -> Dropout {
    DropoutConfig::new(0.0).init()
}
