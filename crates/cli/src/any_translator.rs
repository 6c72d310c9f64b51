//! Any model that turns texts into texts, chosen by a file.

use anyhow::{Context, ensure};
use burn::prelude::*;
use recurrent_cells::AnyCell;
use recurrent_gnmt::{Clip, Gnmt, GnmtConfig, GnmtGenerator, QuantizedGenerator, QuantizedGnmt};
use recurrent_seq2seq::{
    CrossEntropy, Decoder, PairBatch, Seq2Seq, Seq2SeqConfig, Seq2SeqGenerator, Teacher,
    Translator,
    search::{Generator, Predicted},
};
use recurrent_training::{Learn, Moment, OutOfRange, Scores, validation_loss};
use serde::{Deserialize, Serialize};

use crate::{examples::PairBatches, folder::ModelFolder};

/// Which model turns texts into texts, how large, and wired how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// An encoder and a decoder.
    Seq2seq(Seq2SeqConfig),
    /// Google's Neural Machine Translation system.
    Gnmt(GnmtConfig),
    /// The same with weights of eight bits.
    QuantizedGnmt(GnmtConfig),
}

/// Sizes and kinds of one sort of model that turns texts into texts.
pub trait TranslatorConfig: Clone + Into<Architecture> {
    /// The model.
    type Model: Learn<Batch = PairBatch, Carried = ()> + Translator;

    /// A model as it is drawn, for vocabularies of the given sizes.
    fn draw(&self, vocabulary: [usize; 2], device: &Device) -> Self::Model;
}

impl TranslatorConfig for Seq2SeqConfig {
    type Model = Seq2Seq<AnyCell>;

    fn draw(&self, vocabulary: [usize; 2], device: &Device) -> Self::Model {
        self.init(vocabulary, device)
    }
}

impl TranslatorConfig for GnmtConfig {
    type Model = Gnmt;

    fn draw(&self, vocabulary: [usize; 2], device: &Device) -> Self::Model {
        self.init(vocabulary, device)
    }
}

impl From<Seq2SeqConfig> for Architecture {
    fn from(config: Seq2SeqConfig) -> Self {
        Self::Seq2seq(config)
    }
}

impl From<GnmtConfig> for Architecture {
    fn from(config: GnmtConfig) -> Self {
        Self::Gnmt(config)
    }
}

impl Architecture {
    /// What `config.json` calls an encoder and a decoder.
    pub const SEQ2SEQ: &str = "seq2seq";

    /// What `config.json` calls Google's system.
    pub const GNMT: &str = "gnmt";

    /// What it calls Google's system with weights of eight bits.
    pub const QUANTIZED_GNMT: &str = "gnmt_int8";

    /// Checks every value, for vocabularies of the given sizes.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self, vocabulary: [usize; 2]) -> Result<(), OutOfRange> {
        match self {
            Self::Seq2seq(config) => config.validate(vocabulary),
            Self::Gnmt(config) | Self::QuantizedGnmt(config) => config.validate(vocabulary),
        }
    }

    /// What decides what weights mean, with the default for all that only says how they are learned:
    /// models of equal wiring can take each other's weights.
    pub fn wiring(&self) -> Self {
        match self.clone() {
            Self::Seq2seq(config) => Self::Seq2seq(Seq2SeqConfig {
                dropout: 0.0,
                loss: CrossEntropy::default(),
                teacher: Teacher::default(),
                ..config
            }),
            Self::Gnmt(config) => Self::Gnmt(learned_anyhow(config)),
            Self::QuantizedGnmt(config) => Self::QuantizedGnmt(learned_anyhow(config)),
        }
    }

    /// A model with the weights of a folder.
    ///
    /// # Errors
    ///
    /// If the weights are not those of such a model.
    pub fn load(
        &self,
        vocabulary: [usize; 2],
        folder: &ModelFolder,
        device: &Device,
    ) -> anyhow::Result<AnyTranslator> {
        Ok(match self {
            Self::Seq2seq(config) => {
                AnyTranslator::Seq2seq(folder.load_weights(config.init(vocabulary, device))?)
            }
            Self::Gnmt(config) => {
                AnyTranslator::Gnmt(folder.load_weights(config.init(vocabulary, device))?)
            }
            Self::QuantizedGnmt(config) => {
                let path = folder.path().display();
                let range = "a model with weights of eight bits computes on the CPU, on `flex`";
                ensure!(*device == Device::flex(), "{path}: {range}");
                let model = QuantizedGnmt::from_parts(config, vocabulary, folder.load_int8()?);
                AnyTranslator::QuantizedGnmt(model.with_context(|| format!("{path}"))?)
            }
        })
    }
}

/// The configuration with the default for what only says how a model learns. Of a bound that moves, the
/// last one stays.
fn learned_anyhow(config: GnmtConfig) -> GnmtConfig {
    let GnmtConfig { dropout, refinement, initial, loss, .. } = GnmtConfig::default();
    let clip = config.clip.map(|clip| Clip { from: clip.to, steps: 1, ..clip });
    GnmtConfig { dropout, clip, refinement, initial, loss, ..config }
}

/// Any model that turns texts into texts, as a [`Translator`].
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a program has a few models")]
pub enum AnyTranslator {
    /// An encoder and a decoder.
    Seq2seq(Seq2Seq<AnyCell>),
    /// Google's system.
    Gnmt(Gnmt),
    /// Google's system with weights of eight bits.
    QuantizedGnmt(QuantizedGnmt),
}

impl AnyTranslator {
    /// Whether it has an attention to show.
    pub fn looks(&self) -> bool {
        match self {
            Self::Seq2seq(model) => !matches!(model.decoder, Decoder::Thought(_)),
            Self::Gnmt(_) | Self::QuantizedGnmt(_) => true,
        }
    }

    /// How likely the targets of `batches` are; nothing of a model that cannot learn.
    pub fn likelihood(&self, batches: &PairBatches, at: &Moment) -> Scores {
        match self {
            Self::Seq2seq(model) => validation_loss(model, batches, at).scores(),
            Self::Gnmt(model) => validation_loss(model, batches, at).scores(),
            Self::QuantizedGnmt(_) => Scores::new(),
        }
    }
}

impl Translator for AnyTranslator {
    type Generator<'m> = AnyGenerator<'m>;

    fn generator<R: AsRef<[u32]>>(&self, sources: &[R]) -> AnyGenerator<'_> {
        match self {
            Self::Seq2seq(model) => AnyGenerator::Seq2seq(model.generator(sources)),
            Self::Gnmt(model) => AnyGenerator::Gnmt(model.generator(sources)),
            Self::QuantizedGnmt(model) => AnyGenerator::QuantizedGnmt(model.generator(sources)),
        }
    }
}

/// An [`AnyTranslator`] in front of its encoded sources.
#[derive(Debug)]
pub enum AnyGenerator<'m> {
    /// Of an encoder and a decoder.
    Seq2seq(Seq2SeqGenerator<'m, AnyCell>),
    /// Of Google's system.
    Gnmt(GnmtGenerator<'m>),
    /// Of Google's system with weights of eight bits.
    QuantizedGnmt(QuantizedGenerator<'m>),
}

/// The state of an [`AnyGenerator`].
#[derive(Debug)]
pub enum AnyGeneratorState {
    /// Of an encoder and a decoder.
    Seq2seq(<Seq2SeqGenerator<'static, AnyCell> as Generator>::State),
    /// Of Google's system.
    Gnmt(<GnmtGenerator<'static> as Generator>::State),
    /// Of Google's system with weights of eight bits.
    QuantizedGnmt(<QuantizedGenerator<'static> as Generator>::State),
}

impl AnyGenerator<'_> {
    fn after<S>(
        predicted: Predicted<S>,
        kind: impl FnOnce(S) -> AnyGeneratorState,
    ) -> Predicted<AnyGeneratorState> {
        let Predicted { scores, weights, state } = predicted;
        Predicted { scores, weights, state: kind(state) }
    }
}

impl Generator for AnyGenerator<'_> {
    type State = AnyGeneratorState;

    fn sources(&self) -> usize {
        match self {
            Self::Seq2seq(generator) => generator.sources(),
            Self::Gnmt(generator) => generator.sources(),
            Self::QuantizedGnmt(generator) => generator.sources(),
        }
    }

    fn vocabulary(&self) -> usize {
        match self {
            Self::Seq2seq(generator) => generator.vocabulary(),
            Self::Gnmt(generator) => generator.vocabulary(),
            Self::QuantizedGnmt(generator) => generator.vocabulary(),
        }
    }

    fn source_lengths(&self) -> Option<Vec<usize>> {
        match self {
            Self::Seq2seq(generator) => generator.source_lengths(),
            Self::Gnmt(generator) => generator.source_lengths(),
            Self::QuantizedGnmt(generator) => generator.source_lengths(),
        }
    }

    fn start(&self) -> AnyGeneratorState {
        match self {
            Self::Seq2seq(generator) => AnyGeneratorState::Seq2seq(generator.start()),
            Self::Gnmt(generator) => AnyGeneratorState::Gnmt(generator.start()),
            Self::QuantizedGnmt(generator) => AnyGeneratorState::QuantizedGnmt(generator.start()),
        }
    }

    fn step(&self, last: &[u32], state: AnyGeneratorState) -> Predicted<AnyGeneratorState> {
        match (self, state) {
            (Self::Seq2seq(generator), AnyGeneratorState::Seq2seq(state)) => {
                Self::after(generator.step(last, state), AnyGeneratorState::Seq2seq)
            }
            (Self::Gnmt(generator), AnyGeneratorState::Gnmt(state)) => {
                Self::after(generator.step(last, state), AnyGeneratorState::Gnmt)
            }
            (Self::QuantizedGnmt(generator), AnyGeneratorState::QuantizedGnmt(state)) => {
                Self::after(generator.step(last, state), AnyGeneratorState::QuantizedGnmt)
            }
            (_, state) => panic!("{OTHER_KIND}, got {state:?}"),
        }
    }

    fn reorder(&self, state: AnyGeneratorState, rows: &[usize]) -> AnyGeneratorState {
        match (self, state) {
            (Self::Seq2seq(generator), AnyGeneratorState::Seq2seq(state)) => {
                AnyGeneratorState::Seq2seq(generator.reorder(state, rows))
            }
            (Self::Gnmt(generator), AnyGeneratorState::Gnmt(state)) => {
                AnyGeneratorState::Gnmt(generator.reorder(state, rows))
            }
            (Self::QuantizedGnmt(generator), AnyGeneratorState::QuantizedGnmt(state)) => {
                AnyGeneratorState::QuantizedGnmt(generator.reorder(state, rows))
            }
            (_, state) => panic!("{OTHER_KIND}, got {state:?}"),
        }
    }
}

/// Search gives a generator its own states back.
const OTHER_KIND: &str = "a generator goes on from states of its own kind";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::first_difference;

    /// How a model learns may differ between models that take each other's weights; what the weights mean
    /// may not.
    #[test]
    fn a_wiring_is_what_weights_mean() {
        let clip = |from, to, steps| Some(Clip { from, to, steps });
        let base = GnmtConfig { clip: clip(8.0, 1.0, 100), ..GnmtConfig::paper(1) };
        let difference = |other: GnmtConfig| {
            let wirings = [base.clone(), other].map(|config| Architecture::Gnmt(config).wiring());
            first_difference(&wirings[0], &wirings[1]).unwrap().map(|found| found.key)
        };
        let learned = GnmtConfig {
            dropout: 0.5,
            clip: clip(4.0, 1.0, 7),
            refinement: Some(recurrent_gnmt::Refinement::default()),
            loss: CrossEntropy { label_smoothing: 0.2, ..CrossEntropy::default() },
            ..base.clone()
        };
        assert_eq!(difference(learned), None);
        let bound = GnmtConfig { clip: clip(8.0, 2.0, 100), ..base.clone() };
        assert_eq!(difference(bound).unwrap(), "gnmt.clip.from");
        let query = GnmtConfig { query: recurrent_gnmt::Query::Current, ..base.clone() };
        assert_eq!(difference(query).unwrap(), "gnmt.query");
        let seq2seq = |dropout| Seq2SeqConfig { dropout, ..Seq2SeqConfig::default() };
        let [a, b] = [0.0, 0.3].map(|dropout| Architecture::Seq2seq(seq2seq(dropout)).wiring());
        assert_eq!(a, b);
    }
}
