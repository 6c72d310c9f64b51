//! Encoders, decoders, sequence heads and the search for the best output.

mod embedding;
mod loss;
mod output;
mod padded;
pub mod search;

pub use embedding::{Embedding, EmbeddingConfig};
pub use loss::{CrossEntropy, Reduction};
pub use output::Output;
pub use padded::Padded;
