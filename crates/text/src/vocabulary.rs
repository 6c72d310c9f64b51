//! Tokens and their ids.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The id of padding.
pub const PAD: u32 = 0;
/// The id of every token a vocabulary does not hold.
pub const UNK: u32 = 1;
/// The id that starts a sequence, `<s>`.
pub const BOS: u32 = 2;
/// The id that ends a sequence, `</s>`.
pub const EOS: u32 = 3;
/// The spellings of the special ids, in their order.
pub const SPECIALS: [&str; 4] = ["<pad>", "<unk>", "<s>", "</s>"];

/// Tokens and their ids. The first four ids are the [`SPECIALS`]; in a file only the tokens after
/// them are written, in the order of their ids.
///
/// Text is never read as a special: the *token* `<s>` of a corpus has the id [`UNK`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Vocabulary {
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
}

/// Why tokens do not make a vocabulary.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum VocabularyError {
    /// A token has two ids.
    #[error("token `{token}` is twice in the vocabulary, as ids {first} and {second}")]
    Twice {
        /// The token.
        token: String,
        /// Its first id.
        first: u32,
        /// Its second id.
        second: u32,
    },
    /// A token is spelled like a special.
    #[error("token `{token}` is a special and cannot be in a vocabulary of its own")]
    Special {
        /// The token.
        token: String,
    },
    /// A token without a character.
    #[error("the token of id {id} is empty")]
    Empty {
        /// Its id.
        id: u32,
    },
    /// A size without room for the specials.
    #[error("a vocabulary's maximum size must be above {reserved}, got {size}")]
    Size {
        /// Ids that are taken already.
        reserved: usize,
        /// The size asked for.
        size: usize,
    },
}

impl Vocabulary {
    /// The given tokens, with the ids from 4 on.
    ///
    /// # Errors
    ///
    /// If a token is there twice, is a special or is empty.
    pub fn new(tokens: Vec<String>) -> Result<Self, VocabularyError> {
        let mut ids = HashMap::with_capacity(tokens.len());
        for (token, id) in tokens.iter().zip(SPECIALS.len() as u32..) {
            if token.is_empty() {
                return Err(VocabularyError::Empty { id });
            }
            if SPECIALS.contains(&token.as_str()) {
                return Err(VocabularyError::Special { token: token.clone() });
            }
            if let Some(first) = ids.insert(token.clone(), id) {
                return Err(VocabularyError::Twice { token: token.clone(), first, second: id });
            }
        }
        Ok(Self { tokens, ids })
    }

    /// The tokens that occur `min_count` times or more, most frequent first and equally frequent
    /// ones in the order of their code points, cut off at `max_size` ids with the specials among
    /// them. The `first` tokens come before all others, whatever their count.
    ///
    /// # Errors
    ///
    /// If `max_size` has no room for the specials and `first`, or `first` is no vocabulary.
    pub fn from_counts<'t>(
        tokens: impl IntoIterator<Item = &'t str>,
        min_count: usize,
        max_size: Option<usize>,
        first: &[String],
    ) -> Result<Self, VocabularyError> {
        let reserved = SPECIALS.len() + first.len();
        let room = match max_size {
            None => usize::MAX,
            Some(size) if size > reserved => size - reserved,
            Some(size) => return Err(VocabularyError::Size { reserved, size }),
        };
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for token in tokens {
            *counts.entry(token).or_default() += 1;
        }
        let mut counted: Vec<(&str, usize)> = counts
            .into_iter()
            .filter(|(token, count)| {
                *count >= min_count
                    && !SPECIALS.contains(token)
                    && !first.iter().any(|taken| taken == token)
            })
            .collect();
        counted.sort_unstable_by(|(a, a_count), (b, b_count)| {
            b_count.cmp(a_count).then_with(|| a.cmp(b))
        });
        let tokens = counted.into_iter().take(room).map(|(token, _)| token.to_owned());
        Self::new(first.iter().cloned().chain(tokens).collect())
    }

    /// The number of ids, specials included, `V`.
    pub fn size(&self) -> usize {
        SPECIALS.len() + self.tokens.len()
    }

    /// The id of a token, [`UNK`] if there is none.
    pub fn id(&self, token: &str) -> u32 {
        self.ids.get(token).copied().unwrap_or(UNK)
    }

    /// The token of an id, a special's spelling for the first four.
    pub fn token(&self, id: u32) -> Option<&str> {
        let id = id as usize;
        match SPECIALS.get(id) {
            Some(special) => Some(special),
            None => self.tokens.get(id - SPECIALS.len()).map(String::as_str),
        }
    }

    /// The tokens after the specials, in the order of their ids.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }
}

impl TryFrom<Vec<String>> for Vocabulary {
    type Error = VocabularyError;

    fn try_from(tokens: Vec<String>) -> Result<Self, VocabularyError> {
        Self::new(tokens)
    }
}

impl From<Vocabulary> for Vec<String> {
    fn from(vocabulary: Vocabulary) -> Self {
        vocabulary.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(min_count: usize, max_size: Option<usize>) -> Vocabulary {
        let text = "b a c a b d e c b";
        Vocabulary::from_counts(text.split(' '), min_count, max_size, &[]).unwrap()
    }

    /// Counts are b 3, a 2, c 2, d 1, e 1.
    #[test]
    fn frequent_tokens_come_first_and_ties_in_code_point_order() {
        assert_eq!(counted(1, None).tokens(), ["b", "a", "c", "d", "e"]);
        assert_eq!(counted(2, None).tokens(), ["b", "a", "c"]);
        assert_eq!(counted(1, Some(6)).tokens(), ["b", "a"]);
    }

    /// S2-10.
    #[test]
    fn token_to_id_to_token_is_the_identity() {
        let vocabulary = counted(1, None);
        for token in vocabulary.tokens() {
            assert_eq!(vocabulary.token(vocabulary.id(token)), Some(token.as_str()));
        }
        for id in 4..vocabulary.size() as u32 {
            assert_eq!(vocabulary.id(vocabulary.token(id).unwrap()), id);
        }
        assert_eq!(vocabulary.token(vocabulary.size() as u32), None);
    }

    /// S2-10.
    #[test]
    fn unknown_tokens_and_spellings_of_specials_are_unk() {
        let text = ["<s>", "a", "<pad>"];
        let vocabulary = Vocabulary::from_counts(text, 1, None, &[]).unwrap();
        assert_eq!(vocabulary.tokens(), ["a"]);
        assert_eq!(["z", "<s>", "</s>", "<pad>"].map(|token| vocabulary.id(token)), [UNK; 4]);
    }

    #[test]
    fn the_specials_have_the_ids_of_the_notation() {
        let spellings: Vec<_> =
            [PAD, UNK, BOS, EOS].map(|id| counted(1, None).token(id).unwrap().to_owned()).into();
        assert_eq!(spellings, ["<pad>", "<unk>", "<s>", "</s>"]);
        assert_eq!([PAD, UNK, BOS, EOS], [0, 1, 2, 3]);
    }

    #[test]
    fn first_tokens_are_there_whatever_their_count() {
        let first = ["<2es>".to_owned(), "c".to_owned()];
        let vocabulary = Vocabulary::from_counts(["a", "c", "a"], 2, None, &first).unwrap();
        assert_eq!(vocabulary.tokens(), ["<2es>", "c", "a"]);
    }

    #[test]
    fn a_file_is_the_list_of_tokens() {
        let json = serde_json::to_string(&counted(2, None)).unwrap();
        assert_eq!(json, r#"["b","a","c"]"#);
        assert_eq!(serde_json::from_str::<Vocabulary>(&json).unwrap(), counted(2, None));
    }

    #[test]
    fn a_token_that_is_there_twice_is_refused() {
        let error = serde_json::from_str::<Vocabulary>(r#"["a","b","a"]"#).unwrap_err();
        assert_eq!(error.to_string(), "token `a` is twice in the vocabulary, as ids 4 and 6");
    }

    #[test]
    fn a_special_among_the_tokens_is_refused() {
        let error = Vocabulary::new(vec!["</s>".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "token `</s>` is a special and cannot be in a vocabulary of its own"
        );
    }

    #[test]
    fn an_empty_token_is_refused() {
        let error = Vocabulary::new(vec!["a".to_owned(), String::new()]).unwrap_err();
        assert_eq!(error.to_string(), "the token of id 5 is empty");
    }

    #[test]
    fn a_size_without_room_is_refused() {
        let error = Vocabulary::from_counts(["a"], 1, Some(4), &[]).unwrap_err();
        assert_eq!(error.to_string(), "a vocabulary's maximum size must be above 4, got 4");
    }
}
