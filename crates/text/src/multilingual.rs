//! One model for many languages: a token in front of the source says which one is wanted.
//!
//! ```text
//! <2es> How are you?   →   ¿Cómo estás?
//! ```
//!
//! Nothing says which language the source is in. The token is one of the vocabulary like any other,
//! except that it is never split; a model that has learned `pt → en` and `en → es` can be asked for
//! `pt → es`.
//!
//! Sources: Johnson et al. (2017), Google's Multilingual Neural Machine Translation System: Enabling
//! Zero-Shot Translation, section 3; for the temperature, Arivazhagan et al. (2019), Massively
//! Multilingual Neural Machine Translation in the Wild, section 4.1.

use thiserror::Error;

use crate::Pair;

/// Why a text cannot be turned into a request for a language.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TargetLanguageError {
    /// A name of a language that cannot stand in a token.
    #[error("`{language}` is no code of a language: it must be of letters, digits, `-` and `_`")]
    Code {
        /// The name.
        language: String,
    },
    /// A language that the model does not write.
    #[error("the model does not write `{language}`, only {}", known.join(", "))]
    Unknown {
        /// The language.
        language: String,
        /// Those that it writes.
        known: Vec<String>,
    },
    /// A text with a token in it that only the program may write.
    #[error("`{token}` stands in the text, but it is the token that asks for a language")]
    TokenInside {
        /// The token.
        token: String,
    },
}

/// The languages that a model can be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetLanguages {
    codes: Vec<String>,
}

impl TargetLanguages {
    /// Each of `codes` once, in alphabetical order.
    ///
    /// # Errors
    ///
    /// If one is empty or has other characters than letters, digits, `-` and `_`.
    pub fn new<S: AsRef<str>>(
        codes: impl IntoIterator<Item = S>,
    ) -> Result<Self, TargetLanguageError> {
        let mut codes: Vec<String> =
            codes.into_iter().map(|code| code.as_ref().to_owned()).collect();
        codes.sort_unstable();
        codes.dedup();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match codes.iter().find(|code| code.is_empty() || !code.chars().all(fits)) {
            Some(code) => Err(TargetLanguageError::Code { language: code.clone() }),
            None => Ok(Self { codes }),
        }
    }

    /// Their codes.
    pub fn codes(&self) -> &[String] {
        &self.codes
    }

    /// The tokens that a tokeniser must never split.
    pub fn tokens(&self) -> Vec<String> {
        self.codes.iter().map(|code| token(code)).collect()
    }

    /// `text` with the token for `language` in front.
    ///
    /// # Errors
    ///
    /// If the language is not one of these, or one of their tokens stands in the text.
    pub fn ask(&self, language: &str, text: &str) -> Result<String, TargetLanguageError> {
        if !self.codes.iter().any(|code| code == language) {
            let known = self.codes.clone();
            return Err(TargetLanguageError::Unknown { language: language.to_owned(), known });
        }
        match self.tokens().into_iter().find(|token| text.contains(token)) {
            Some(token) => Err(TargetLanguageError::TokenInside { token }),
            None => Ok(format!("{} {text}", token(language))),
        }
    }
}

fn token(language: &str) -> String {
    format!("<2{language}>")
}

/// All pairs of all languages, those of small sets several times, so that they are seen more often:
///
/// ```text
/// p_i ∝ n_i^(1/T)
/// ```
///
/// for sets of `n_i` pairs. The largest set is there once. At `T = 1` all are; the higher `T`, the more
/// the sets are of one size. Where a set is not there a whole number of times, its first pairs are
/// there once more.
///
/// # Panics
///
/// If the temperature is below 1.
pub fn oversampled(sets: Vec<Vec<Pair>>, temperature: f64) -> Vec<Pair> {
    assert!(temperature >= 1.0, "the temperature of sampling is at least 1, got {temperature}");
    let largest = sets.iter().map(Vec::len).max().unwrap_or(0) as f64;
    let repeated = sets.into_iter().flat_map(|set| {
        let n = set.len() as f64;
        let wanted = (largest * (n / largest).powf(1.0 / temperature)).round() as usize;
        set.into_iter().cycle().take(wanted)
    });
    repeated.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Segmentation, TokenizerConfig};

    fn set(name: &str, count: usize) -> Vec<Pair> {
        let pair = |n: usize| Pair { source: format!("{name}{n}"), target: String::new() };
        (0..count).map(pair).collect()
    }

    /// `n^(1/T)` by hand: 100 and 25 pairs at T = 2 are as 10 to 5.
    #[test]
    fn small_sets_are_seen_more_often() {
        let counts = |temperature| {
            let all = oversampled(vec![set("a", 100), set("b", 25), set("c", 1)], temperature);
            ["a", "b", "c"].map(|name| all.iter().filter(|p| p.source.starts_with(name)).count())
        };
        assert_eq!(counts(1.0), [100, 25, 1]);
        assert_eq!(counts(2.0), [100, 50, 10]);
        assert_eq!(counts(f64::INFINITY), [100, 100, 100]);
        let all = oversampled(vec![set("a", 10), set("b", 4)], f64::INFINITY);
        let of = |name: &str| all.iter().filter(|pair| pair.source == name).count();
        assert_eq!([of("b0"), of("b1"), of("b2"), of("b3")], [3, 3, 2, 2]);
        assert!(oversampled(vec![Vec::new()], 5.0).is_empty());
    }

    /// GN-10: the token is in front once, and it is one token whatever follows.
    #[test]
    fn gn_10_a_request_is_one_token_in_front() {
        let languages = TargetLanguages::new(["es", "en", "es"]).unwrap();
        assert_eq!(languages.codes(), ["en", "es"]);
        let asked = languages.ask("es", "the cat <3").unwrap();
        assert_eq!(asked, "<2es> the cat <3");
        for segmentation in [
            Segmentation::Characters { min_count: 1, max_size: None },
            Segmentation::Bpe { size: 40, min_count: 1 },
            Segmentation::Unigram { size: 40, min_count: 1 },
        ] {
            let config =
                TokenizerConfig { extra: languages.tokens(), ..TokenizerConfig::new(segmentation) };
            let tokenizer = config.train(["the cat <3", "a <2e hat"]).unwrap();
            let ids = tokenizer.encode(&asked);
            let others = languages.ask("en", "the cat <3").unwrap();
            let others = tokenizer.encode(&others);
            assert_eq!(tokenizer.vocabulary().token(ids[0]), Some("<2es>"));
            assert_eq!(tokenizer.vocabulary().token(others[0]), Some("<2en>"));
            assert_eq!(ids[1..], others[1..]);
            assert_eq!(tokenizer.decode(&ids), asked);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let languages = TargetLanguages::new(["es", "en"]).unwrap();
        let refused = |language, text| languages.ask(language, text).unwrap_err().to_string();
        assert_eq!(refused("fr", "a"), "the model does not write `fr`, only en, es");
        let inside = "`<2en>` stands in the text, but it is the token that asks for a language";
        assert_eq!(refused("es", "a <2en> b"), inside);
        let error = TargetLanguages::new(["e s"]).unwrap_err().to_string();
        let expected = "`e s` is no code of a language: it must be of letters, digits, `-` and `_`";
        assert_eq!(error, expected);
    }
}
