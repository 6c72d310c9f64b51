//! Encoders, decoders, sequence heads and the search for the best output.

mod bridge;
mod config;
mod decoder;
mod embedding;
mod encoder;
mod forecaster;
mod language_model;
mod loss;
mod many_to_one;
mod output;
mod padded;
mod rows;
pub mod search;
mod seq2seq;
mod sequence_head;
mod sequences;
mod steps;
mod tagging;
mod teacher;
mod translator;

pub use bridge::{Bridge, BridgeKind, BridgeLayer};
pub use config::{DecoderConfig, DecoderKind, EncoderConfig, Seq2SeqConfig, Tie};
pub use decoder::{
    BahdanauDecoder, Context, Decoded, Decoder, DecoderState, Feeding, LuongDecoder, Readout,
    Source, Stepped, ThoughtDecoder,
};
pub use embedding::{Embedding, EmbeddingConfig, EmbeddingScale};
pub use encoder::{Encoded, Encoder, Reader, Reading};
pub use forecaster::{Forecaster, ForecasterConfig, Says, WindowBatch, WindowBatches, Windows};
pub use language_model::{
    CarriedStates, LanguageModel, LanguageModelConfig, LanguageModelGenerator, OutputWeights,
    RunningText, TextBatch,
};
pub use loss::{CrossEntropy, Reduction};
pub use many_to_one::{Answer, AnsweredBatch, Answers, ManyToOne, ManyToOneConfig, Pooling};
pub use output::Output;
pub use padded::Padded;
pub use seq2seq::{PairBatch, Seq2Seq, Seq2SeqGenerator};
pub use sequence_head::{Input, InputConfig, SequenceHead};
pub use sequences::{Sequences, Series};
pub use steps::steps;
pub use tagging::{TaggedBatch, Tagger, TaggerConfig};
pub use teacher::Teacher;
pub use translator::Translator;

// This appears in the signatures above.
pub use recurrent_training::OutOfRange;

#[cfg(test)]
mod tests;
