//! Encoders, decoders, sequence heads and the search for the best output.

mod bridge;
mod config;
mod decoder;
mod embedding;
mod encoder;
mod loss;
mod output;
mod padded;
pub mod search;
mod seq2seq;
mod teacher;

pub use bridge::{Bridge, BridgeKind, BridgeLayer};
pub use config::{DecoderConfig, DecoderKind, EncoderConfig, OutOfRange, Seq2SeqConfig, Tie};
pub use decoder::{
    BahdanauDecoder, Context, Decoded, Decoder, DecoderState, Feeding, LuongDecoder, Readout,
    Source, Stepped, ThoughtDecoder,
};
pub use embedding::{Embedding, EmbeddingConfig};
pub use encoder::{Encoded, Encoder, Reader, Reading};
pub use loss::{CrossEntropy, Reduction};
pub use output::Output;
pub use padded::Padded;
pub use seq2seq::{PairBatch, Seq2Seq, Seq2SeqGenerator};
pub use teacher::Teacher;

#[cfg(test)]
mod tests;
