//! Strings and ids: what happens to text before a model and after it.
//!
//! | from … | … to | in |
//! |---|---|---|
//! | a file | pairs and dialogues | [`PairFiles`], [`DialogueFile`] |
//! | a file of word2vec or GloVe | vectors of words | [`WordVectors`] |
//! | a wanted language | a token in front of a source | [`TargetLanguages`] |
//! | a sentence | the same with words left out and moved | [`Noise`] |
//! | raw text | text in one spelling | [`Normalization`], [`PairTransform`] |
//! | text | ids, and back | [`Tokenizer`], [`Vocabulary`] |
//! | lengths | batches of similar length | [`Bucketing`] |
//! | outputs and references | numbers | [`Bleu`], [`Chrf`], [`gleu`], [`edit`], [`exact_match`], [`distinct`], [`embedding_metrics`], [`perplexity`] |
//! | outputs | the languages they are in | [`Languages`] |
//!
//! Special ids are the same everywhere: [`PAD`] 0, [`UNK`] 1, [`BOS`] 2, [`EOS`] 3.
//!
//! *Invariant:* no tensors, no Burn. Nothing here prints or exits; what a file can get wrong is a
//! typed error that names the file, the line and the value.

mod bleu;
mod bucket;
mod chrf;
mod corpus;
mod dialogue;
mod distinct;
pub mod edit;
mod embedding_metrics;
mod exact;
mod extras;
mod gleu;
mod language;
mod lines;
mod mteval;
mod multilingual;
mod noise;
mod normalization;
mod parallel;
mod perplexity;
mod plain;
mod records;
mod references;
mod segmentation;
mod spaces;
mod subwords;
mod tokenizer;
mod transform;
mod tsv;
mod vocabulary;
mod word_vectors;

pub use bleu::{Bleu, BleuScore, BleuTokenizer, Case, Smoothing};
pub use bucket::{BatchError, BatchSize, Bucketing, Buckets, Length, Padding};
pub use chrf::{Chrf, ChrfScore};
pub use corpus::{CorpusError, Group, Pair, PairFiles, group_references};
pub use dialogue::{Dialogue, DialogueFile};
pub use distinct::distinct;
pub use embedding_metrics::{EmbeddingMetrics, embedding_metrics};
pub use exact::exact_match;
pub use gleu::gleu;
pub use language::{Language, LanguageError, Languages};
pub use multilingual::{TargetLanguageError, TargetLanguages, oversampled};
pub use noise::Noise;
pub use normalization::{Form, Normalization, NormalizationError, Normalizer, Step};
pub use parallel::Parallel;
pub use perplexity::perplexity;
pub use plain::Plain;
pub use records::JsonLines;
pub use references::ScoreError;
pub use segmentation::Segmentation;
pub use tokenizer::{Tokenizer, TokenizerConfig, TokenizerError};
pub use transform::{PairTransform, Transformed};
pub use tsv::{Column, Part, Tsv};
pub use vocabulary::{BOS, EOS, PAD, SPECIALS, UNK, Vocabulary, VocabularyError};
pub use word_vectors::{WordVectorError, WordVectors};

#[cfg(test)]
mod tests;
