//! The file of a tokeniser.

use serde::{Deserialize, Serialize};

use super::{Model, Tokenizer, TokenizerError, checked_extras, words};
use crate::{
    Normalization, Vocabulary,
    extras::Extras,
    subwords::{Subwords, bpe, unigram},
};

/// Raised when a file of before could no longer be read or would mean something else.
const VERSION: u32 = 1;

/// What a subword model has besides its pieces.
#[derive(Clone, Debug)]
pub(super) enum Details {
    /// The merges of byte-pair encoding, the earlier the stronger.
    Merges(Vec<(String, String)>),
    /// The logarithmic probabilities of the pieces.
    Scores(Vec<f64>),
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    normalization: Normalization,
    extra: Vec<String>,
    model: Stored,
}

/// Tokens after the specials and the extra tokens, in the order of their ids.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Stored {
    Characters { tokens: Vec<String> },
    Whitespace { tokens: Vec<String> },
    Words { pattern: String, tokens: Vec<String> },
    Bpe { tokens: Vec<String>, merges: Vec<(String, String)> },
    Unigram { tokens: Vec<(String, f64)> },
}

impl Tokenizer {
    /// The content of the file that [`save`](Self::save) writes.
    pub fn to_json(&self) -> String {
        let extra = self.extras.tokens().to_vec();
        let tokens = self.vocabulary.tokens()[extra.len()..].to_vec();
        let model = match &self.model {
            Model::Characters => Stored::Characters { tokens },
            Model::Whitespace => Stored::Whitespace { tokens },
            Model::Words(regex) => Stored::Words { pattern: regex.as_str().to_owned(), tokens },
            Model::Subwords { details: Details::Merges(merges), .. } => {
                Stored::Bpe { tokens, merges: merges.clone() }
            }
            Model::Subwords { details: Details::Scores(scores), .. } => {
                Stored::Unigram { tokens: tokens.into_iter().zip(scores.iter().copied()).collect() }
            }
        };
        let normalization = self.normalizer.normalization().clone();
        let file = File { version: VERSION, normalization, extra, model };
        serde_json::to_string(&file).expect("strings and finite numbers are JSON") + "\n"
    }

    /// The tokeniser of a file's content.
    ///
    /// # Errors
    ///
    /// If the content is of another version, has an unknown key, or says something that does not
    /// fit together.
    pub fn from_json(json: &str) -> Result<Self, TokenizerError> {
        let parsed = |reason| TokenizerError::Json { reason };
        let Version { version: got } = serde_json::from_str(json).map_err(parsed)?;
        if got != VERSION {
            return Err(TokenizerError::Version { expected: VERSION, got });
        }
        let file: File = serde_json::from_str(json).map_err(parsed)?;
        let normalizer = file.normalization.compile()?;
        let extras = checked_extras(file.extra, &normalizer)?;
        let (vocabulary, model) = match file.model {
            Stored::Characters { tokens } => (vocabulary(&extras, tokens)?, Model::Characters),
            Stored::Whitespace { tokens } => (vocabulary(&extras, tokens)?, Model::Whitespace),
            Stored::Words { pattern, tokens } => (vocabulary(&extras, tokens)?, words(&pattern)?),
            Stored::Bpe { tokens, merges } => subwords(&extras, tokens, Details::Merges(merges))?,
            Stored::Unigram { tokens } => {
                let (tokens, scores) = tokens.into_iter().unzip();
                subwords(&extras, tokens, Details::Scores(scores))?
            }
        };
        Ok(Self { normalizer, extras, vocabulary, model })
    }
}

/// The vocabulary and the model of pieces.
pub(super) fn subwords(
    extras: &Extras,
    pieces: Vec<String>,
    details: Details,
) -> Result<(Vocabulary, Model), TokenizerError> {
    let vocabulary = vocabulary(extras, pieces.clone())?;
    let model = match &details {
        Details::Merges(merges) => Subwords::Bpe(Box::new(bpe::build(&pieces, merges)?)),
        Details::Scores(scores) => {
            let pieces: Vec<_> = pieces.iter().cloned().zip(scores.iter().copied()).collect();
            Subwords::Unigram(Box::new(unigram::build(&pieces)?))
        }
    };
    Ok((vocabulary, Model::Subwords { model, details }))
}

fn vocabulary(extras: &Extras, tokens: Vec<String>) -> Result<Vocabulary, TokenizerError> {
    Ok(Vocabulary::new(extras.tokens().iter().cloned().chain(tokens).collect())?)
}
