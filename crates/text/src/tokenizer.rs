//! Text to ids and back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use regex::Regex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    EOS, Normalization, NormalizationError, Normalizer, SPECIALS, Segmentation, UNK, Vocabulary,
    VocabularyError,
    extras::{Extras, Stretch},
    subwords::{MARKER, Place, Subwords, bpe, count_words, unigram, unmark},
};

mod file;

/// How a [`Tokenizer`] is made from a corpus, as data of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerConfig {
    /// What a token is.
    pub segmentation: Segmentation,
    /// What is done to a text before it is segmented.
    #[serde(default)]
    pub normalization: Normalization,
    /// Tokens that are never split and are there whatever their count, such as `<2es>`. They get
    /// the ids from 4 on.
    #[serde(default)]
    pub extra: Vec<String>,
}

/// Text to ids and back, saved as one JSON file.
///
/// `decode(encode(text)) == normalize(text)` for every text of known tokens; with characters and
/// subwords that is every text of known characters.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    normalizer: Normalizer,
    extras: Extras,
    vocabulary: Vocabulary,
    model: Model,
}

#[derive(Clone, Debug)]
enum Model {
    Characters,
    Whitespace,
    Words(Regex),
    Subwords { model: Subwords, details: file::Details },
}

/// Why a tokeniser cannot be made, saved or loaded.
#[derive(Debug, Error)]
pub enum TokenizerError {
    /// There is no text to learn from.
    #[error("there is no text to make a tokeniser from")]
    NoText,
    /// The vocabulary is too small for single characters.
    #[error("the size of a subword vocabulary must be at least {needed} here, got {size}")]
    TooSmall {
        /// Specials, extra tokens and characters.
        needed: usize,
        /// The size asked for.
        size: usize,
    },
    /// The pattern of words is no regular expression.
    #[error("`{pattern}` is no regular expression for words: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: Box<regex::Error>,
    },
    /// An extra token that could not be found in a text.
    #[error("extra token `{token}` is empty or has a blank or `▁` in it")]
    Extra {
        /// The token.
        token: String,
    },
    /// An extra token that is no longer itself after normalisation.
    #[error("extra token `{token}` becomes `{normalized}` by normalisation and would not be found")]
    ExtraChanged {
        /// The token.
        token: String,
        /// What becomes of it.
        normalized: String,
    },
    /// The tokens are no vocabulary.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// The normalisation cannot be applied.
    #[error(transparent)]
    Normalization(#[from] NormalizationError),
    /// Subwords could not be learnt.
    #[error("subwords cannot be learnt from this text: {reason}")]
    Training {
        /// What the trainer says.
        reason: String,
    },
    /// Pieces and merges do not fit together.
    #[error("these pieces are no subword model: {reason}")]
    Model {
        /// What is wrong with them.
        reason: String,
    },
    /// A file of another version.
    #[error("the version of a tokeniser must be {expected}, got {got}")]
    Version {
        /// The version that can be read.
        expected: u32,
        /// The version of the file.
        got: u32,
    },
    /// Text that is no tokeniser.
    #[error("no tokeniser: {reason}")]
    Json {
        /// What the parser says, with line and column.
        reason: serde_json::Error,
    },
    /// A file that cannot be read or written.
    #[error("cannot read or write {}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// A file with something wrong in it.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: Box<Self>,
    },
}

impl TokenizerError {
    pub(crate) fn training(reason: impl ToString) -> Self {
        Self::Training { reason: reason.to_string() }
    }
}

impl TokenizerConfig {
    /// A configuration without normalisation and extra tokens.
    pub fn new(segmentation: Segmentation) -> Self {
        Self { segmentation, normalization: Normalization::default(), extra: Vec::new() }
    }

    /// Learns a tokeniser. For a vocabulary shared by sources and targets, give the texts of both.
    ///
    /// The result depends on the texts and not on their order, on threads or on chance.
    ///
    /// # Errors
    ///
    /// If there is no text, a pattern is no regular expression, an extra token cannot be found in a
    /// text, or a vocabulary is too small for the specials, extra tokens and single characters.
    pub fn train<T: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Tokenizer, TokenizerError> {
        let normalizer = self.normalization.compile()?;
        let extras = checked_extras(self.extra.clone(), &normalizer)?;
        let texts: Vec<String> =
            texts.into_iter().map(|text| normalizer.apply(text.as_ref())).collect();
        if texts.iter().all(String::is_empty) {
            return Err(TokenizerError::NoText);
        }
        let (vocabulary, model) = match &self.segmentation {
            Segmentation::Characters { min_count, max_size } => {
                count(Model::Characters, &extras, &texts, *min_count, *max_size)?
            }
            Segmentation::Whitespace { min_count, max_size } => {
                count(Model::Whitespace, &extras, &texts, *min_count, *max_size)?
            }
            Segmentation::Words { pattern, min_count, max_size } => {
                count(words(pattern)?, &extras, &texts, *min_count, *max_size)?
            }
            Segmentation::Bpe { size, min_count } => {
                let words = subword_counts(&extras, &texts, *min_count);
                let room = room(&words, &extras, *size)?;
                let (pieces, merges) = bpe::train(&words, room)?;
                file::subwords(&extras, pieces, file::Details::Merges(merges))?
            }
            Segmentation::Unigram { size, min_count } => {
                let words = subword_counts(&extras, &texts, *min_count);
                let room = room(&words, &extras, *size)?;
                let (pieces, scores) = unigram::train(&words, room)?.into_iter().unzip();
                file::subwords(&extras, pieces, file::Details::Scores(scores))?
            }
        };
        Ok(Tokenizer { normalizer, extras, vocabulary, model })
    }
}

impl Tokenizer {
    /// The text that [`decode`](Self::decode) gives back if every token is known: `text` after the
    /// normalisation, in the spelling of the segmentation. With whitespace and words that is the
    /// tokens with one blank between them, with subwords `▁` is a blank, and characters stay.
    pub fn normalize(&self, text: &str) -> String {
        let text = self.normalizer.apply(text);
        match &self.model {
            Model::Characters => text,
            Model::Subwords { .. } => unmark(&text),
            Model::Whitespace | Model::Words(_) => {
                let stretches = self.extras.split(&text).into_iter();
                let tokens = stretches.flat_map(|stretch| match stretch {
                    Stretch::Extra(id) => vec![self.vocabulary.token(id).unwrap_or_default()],
                    Stretch::Text(text) => self.model.split(text),
                });
                tokens.collect::<Vec<_>>().join(" ")
            }
        }
    }

    /// The ids of a text, without `<s>` and `</s>`. What is not known is [`UNK`](crate::UNK).
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let text = self.normalizer.apply(text);
        let stretches = self.extras.split(&text).into_iter().enumerate();
        let ids = stretches.flat_map(|(index, stretch)| match (stretch, &self.model) {
            (Stretch::Extra(id), _) => vec![id],
            (Stretch::Text(text), Model::Subwords { model, .. }) => {
                model.encode(&unmark(text), Place::of(index), self.extras.end())
            }
            (Stretch::Text(text), model) => {
                model.split(text).into_iter().map(|token| self.vocabulary.id(token)).collect()
            }
        });
        ids.collect()
    }

    /// The text of ids, up to the first `</s>`. Specials are left out, unknown tokens with them.
    ///
    /// # Panics
    ///
    /// If an id is not below [`size`](Self::size).
    pub fn decode(&self, ids: &[u32]) -> String {
        self.decode_with(ids, |_| None)
    }

    /// As [`decode`](Self::decode), with what `unknown` gives for the position of an unknown token in
    /// the place of it.
    ///
    /// # Panics
    ///
    /// If an id is not below [`size`](Self::size).
    pub fn decode_with<'t>(
        &'t self,
        ids: &[u32],
        unknown: impl Fn(usize) -> Option<&'t str>,
    ) -> String {
        let ids = ids.iter().take_while(|id| **id != EOS).enumerate();
        let tokens = ids.filter_map(|(position, id)| match *id {
            UNK => unknown(position),
            id if id < SPECIALS.len() as u32 => None,
            id => Some(self.token(id)),
        });
        let tokens: Vec<&str> = tokens.collect();
        match &self.model {
            Model::Characters => tokens.concat(),
            Model::Whitespace | Model::Words(_) => tokens.join(" "),
            Model::Subwords { .. } => {
                let text = unmark(&tokens.concat());
                match text.strip_prefix(' ') {
                    Some(rest) => rest.to_owned(),
                    None => text,
                }
            }
        }
    }

    /// Which word, counted from 0, each of `ids` belongs to. Subwords share the word that they are of,
    /// and what is a blank only belongs to none; every other token is a word of its own.
    ///
    /// # Panics
    ///
    /// If an id is not below [`size`](Self::size).
    pub fn words(&self, ids: &[u32]) -> Vec<Option<usize>> {
        if !matches!(self.model, Model::Subwords { .. }) {
            return (0..ids.len()).map(Some).collect();
        }
        let (mut begun, mut inside) = (0, false);
        let word = |id: &u32| {
            let mut own = None;
            for character in self.token(*id).chars() {
                if character == MARKER {
                    inside = false;
                    continue;
                }
                begun += usize::from(!inside);
                inside = true;
                own = own.or(Some(begun - 1));
            }
            own
        };
        ids.iter().map(word).collect()
    }

    /// The words of a text as it is written, those that [`words`](Self::words) counts in its ids, unknown
    /// ones included.
    pub fn written_words(&self, text: &str) -> Vec<String> {
        let text = self.normalizer.apply(text);
        let split = |text: &str, model: &Model| -> Vec<String> {
            match model {
                Model::Subwords { .. } => unmark(text)
                    .split(' ')
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned)
                    .collect(),
                model => model.split(text).into_iter().map(str::to_owned).collect(),
            }
        };
        match &self.model {
            // Extra tokens are parts of words there.
            model @ Model::Subwords { .. } => split(&text, model),
            model => {
                let stretches = self.extras.split(&text).into_iter();
                let words = stretches.flat_map(|stretch| match stretch {
                    Stretch::Extra(id) => vec![self.token(id).to_owned()],
                    Stretch::Text(text) => split(text, model),
                });
                words.collect()
            }
        }
    }

    /// The number of ids, `V`.
    pub fn size(&self) -> usize {
        self.vocabulary.size()
    }

    /// The tokens and their ids.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Reads a file that [`save`](Self::save) has written.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is of another version, has an unknown key, or says something
    /// that does not fit together.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let io = |reason| TokenizerError::Io { path: path.to_owned(), reason };
        let json = fs::read_to_string(path).map_err(io)?;
        Self::from_json(&json).map_err(|reason| TokenizerError::File {
            path: path.to_owned(),
            reason: Box::new(reason),
        })
    }

    /// Writes everything there is to know about this tokeniser to one JSON file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TokenizerError> {
        fs::write(path, self.to_json())
            .map_err(|reason| TokenizerError::Io { path: path.to_owned(), reason })
    }

    fn token(&self, id: u32) -> &str {
        self.vocabulary.token(id).unwrap_or_else(|| {
            panic!("id {id} is not in the vocabulary, which has {} ids", self.size())
        })
    }
}

impl Model {
    /// The tokens of a text between extra tokens.
    fn split<'t>(&self, text: &'t str) -> Vec<&'t str> {
        match self {
            Self::Characters => text.split("").filter(|token| !token.is_empty()).collect(),
            Self::Whitespace => text.split_whitespace().collect(),
            Self::Words(regex) => {
                let matches = regex.find_iter(text).map(|found| found.as_str());
                matches.filter(|token| !token.is_empty()).collect()
            }
            Self::Subwords { .. } => Vec::new(),
        }
    }
}

fn words(pattern: &str) -> Result<Model, TokenizerError> {
    let regex = Regex::new(pattern).map_err(|reason| TokenizerError::Pattern {
        pattern: pattern.to_owned(),
        reason: Box::new(reason),
    })?;
    Ok(Model::Words(regex))
}

fn checked_extras(tokens: Vec<String>, normalizer: &Normalizer) -> Result<Extras, TokenizerError> {
    let extras = Extras::new(tokens)?;
    for token in extras.tokens() {
        let normalized = normalizer.apply(token);
        if normalized != *token {
            return Err(TokenizerError::ExtraChanged { token: token.clone(), normalized });
        }
    }
    Ok(extras)
}

fn count(
    model: Model,
    extras: &Extras,
    texts: &[String],
    min_count: usize,
    max_size: Option<usize>,
) -> Result<(Vocabulary, Model), TokenizerError> {
    let stretches = texts.iter().flat_map(|text| extras.split(text));
    let tokens = stretches.flat_map(|stretch| match stretch {
        Stretch::Extra(_) => Vec::new(),
        Stretch::Text(text) => model.split(text),
    });
    let vocabulary = Vocabulary::from_counts(tokens, min_count, max_size, extras.tokens())?;
    Ok((vocabulary, model))
}

fn subword_counts(extras: &Extras, texts: &[String], min_count: usize) -> Vec<(String, u32)> {
    let texts: Vec<String> = texts.iter().map(|text| unmark(text)).collect();
    count_words(texts.iter().map(|text| extras.split(text)), min_count)
}

/// How many pieces there may be, if that is enough for the characters of the words.
fn room(words: &[(String, u32)], extras: &Extras, size: usize) -> Result<usize, TokenizerError> {
    let mut alphabet: Vec<char> = words.iter().flat_map(|(word, _)| word.chars()).collect();
    alphabet.sort_unstable();
    alphabet.dedup();
    let reserved = extras.end() as usize;
    let needed = reserved + alphabet.len();
    if alphabet.is_empty() {
        return Err(TokenizerError::NoText);
    }
    if size < needed {
        return Err(TokenizerError::TooSmall { needed, size });
    }
    Ok(size - reserved)
}

#[cfg(test)]
mod tests;
