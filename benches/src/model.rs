//! The models that are measured whole.
//!
//! ```text
//! g2p          LSTM both ways 128, dense bridge, LSTM 192, Luong's `general`, readout 128
//! gnmt/4x256   4 + 4 LSTM layers of 256, as in Wu et al. (2016)
//! gnmt/8x128   8 + 8 of 128
//! ```

use burn::prelude::*;
use recurrent::any_translator::{AnyTranslator, TranslatorConfig};
use recurrent_attention::AttentionConfig;
use recurrent_cells::AnyCell;
use recurrent_gnmt::{Gnmt, GnmtConfig, QuantizedGnmt};
use recurrent_seq2seq::{
    BridgeKind, DecoderConfig, DecoderKind, EncoderConfig, Feeding, PairBatch, Reading, Seq2Seq,
    Seq2SeqConfig, Tie,
};
use serde::Serialize;

use crate::{
    case::Numbers,
    module::{numbers_of, redrawn},
};

/// Which model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wiring {
    /// As in `configs/quickstart.toml`.
    G2p,
    /// Google's system as [`GnmtConfig`] wires it by default, its three matrices of tokens apart.
    Gnmt,
}

/// A model with the sizes of its batches.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Model {
    /// Which model.
    pub wiring: Wiring,
    /// Layers that read; as many write.
    pub layers: usize,
    /// Features of its layers, `H`; of `g2p` those that read, in one direction.
    pub width: usize,
    /// Tokens of source and target, special ones included.
    pub vocabulary: [usize; 2],
    /// Pairs, `B`.
    pub batch: usize,
    /// Tokens of every source and target, `</s>` included.
    pub steps: [usize; 2],
}

/// A model with its weights.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a program has a few models")]
pub enum Drawn {
    /// An encoder and a decoder.
    Seq2seq(Seq2Seq<AnyCell>),
    /// Google's system.
    Gnmt(Gnmt),
}

/// Ids below this are special.
const SPECIAL: usize = 4;

impl Model {
    /// The quickstart's, with the words of an average batch.
    pub const G2P: Self = Self {
        wiring: Wiring::G2p,
        layers: 1,
        width: 128,
        vocabulary: [32, 43],
        batch: 64,
        steps: [9, 7],
    };

    /// Half as deep as the paper's and a quarter as wide.
    pub const GNMT: Self = Self {
        wiring: Wiring::Gnmt,
        layers: 4,
        width: 256,
        vocabulary: [8000; 2],
        batch: 32,
        steps: [25, 25],
    };

    /// As deep as the paper's and an eighth as wide.
    pub const DEEP_GNMT: Self =
        Self { layers: 8, width: 128, vocabulary: [4000; 2], steps: [20, 20], ..Self::GNMT };

    /// The same small enough to look at.
    #[must_use]
    pub fn small(self) -> Self {
        Self { width: 8, vocabulary: [20, 22], batch: 3, steps: [7, 10], ..self }
    }

    /// The same with one pair alone.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { batch: 1, ..self }
    }

    /// As it is named in the names of cases.
    pub fn name(&self) -> String {
        match self.wiring {
            Wiring::G2p => "g2p".to_owned(),
            Wiring::Gnmt => format!("gnmt/{}x{}", self.layers, self.width),
        }
    }

    /// The model, with the same weights on every device.
    pub fn draw(&self, device: &Device) -> Drawn {
        match self.wiring {
            Wiring::G2p => Drawn::Seq2seq(self.drawn(&self.g2p(), device)),
            Wiring::Gnmt => Drawn::Gnmt(self.drawn(&self.gnmt(), device)),
        }
    }

    /// The same weights rounded to 8 bits, on the CPU.
    ///
    /// # Panics
    ///
    /// If it is not a GNMT.
    pub fn quantized(&self) -> QuantizedGnmt {
        assert_eq!(self.wiring, Wiring::Gnmt, "there are 8 bits for GNMT alone");
        let config = self.gnmt();
        let model = self.drawn(&config, &Device::flex());
        QuantizedGnmt::new(&config, &model).expect("what was drawn is finite")
    }

    fn drawn<C: TranslatorConfig>(&self, config: &C, device: &Device) -> C::Model {
        // Wide enough that tokens are not all about as likely, and search finds the same everywhere.
        redrawn(config.draw(self.vocabulary, device), 3.0)
    }

    fn g2p(&self) -> Seq2SeqConfig {
        let kind = DecoderKind::Luong {
            attention: AttentionConfig::General,
            d_readout: self.width,
            feeding: Feeding::None,
        };
        Seq2SeqConfig {
            d_embedding: self.width / 2,
            encoder: EncoderConfig {
                layers: self.layers,
                d_hidden: self.width,
                reading: Reading::Both,
            },
            bridge: BridgeKind::Dense,
            decoder: DecoderConfig { layers: self.layers, d_hidden: self.width * 3 / 2, kind },
            ..Seq2SeqConfig::default()
        }
    }

    fn gnmt(&self) -> GnmtConfig {
        GnmtConfig {
            layers: self.layers,
            d_hidden: self.width,
            tie: Tie::None,
            ..GnmtConfig::default()
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

impl Drawn {
    /// The weights under their paths.
    pub fn numbers(&self) -> Numbers {
        match self {
            Self::Seq2seq(model) => numbers_of(model),
            Self::Gnmt(model) => numbers_of(model),
        }
    }
}

impl From<Drawn> for AnyTranslator {
    fn from(drawn: Drawn) -> Self {
        match drawn {
            Drawn::Seq2seq(model) => Self::Seq2seq(model),
            Drawn::Gnmt(model) => Self::Gnmt(model),
        }
    }
}
