//! Tokens that are never split, such as the `<2es>` that asks for a language.

use crate::{SPECIALS, TokenizerError, VocabularyError, subwords::MARKER};

/// Tokens that are found in a text before anything else is, with the ids from 4 on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    tokens: Vec<String>,
}

/// A stretch of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stretch<'t> {
    /// An extra token.
    Extra(u32),
    /// Text between extra tokens, never empty.
    Text(&'t str),
}

impl Extras {
    pub(crate) fn new(tokens: Vec<String>) -> Result<Self, TokenizerError> {
        for (index, token) in tokens.iter().enumerate() {
            if SPECIALS.contains(&token.as_str()) {
                return Err(VocabularyError::Special { token: token.clone() }.into());
            }
            if let Some(first) = tokens[..index].iter().position(|earlier| earlier == token) {
                let [first, second] = [first, index].map(|at| (SPECIALS.len() + at) as u32);
                return Err(VocabularyError::Twice { token: token.clone(), first, second }.into());
            }
            if token.is_empty() || token.contains(|c: char| c.is_whitespace() || c == MARKER) {
                return Err(TokenizerError::Extra { token: token.clone() });
            }
        }
        Ok(Self { tokens })
    }

    pub(crate) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The first id after the specials and the extra tokens.
    pub(crate) fn end(&self) -> u32 {
        (SPECIALS.len() + self.tokens.len()) as u32
    }

    /// `text` as extra tokens and what is between them. Where several start, the longest is taken.
    pub(crate) fn split<'t>(&self, mut text: &'t str) -> Vec<Stretch<'t>> {
        let mut stretches = Vec::new();
        while let Some((start, index)) = self.first(text) {
            if start > 0 {
                stretches.push(Stretch::Text(&text[..start]));
            }
            stretches.push(Stretch::Extra((SPECIALS.len() + index) as u32));
            text = &text[start + self.tokens[index].len()..];
        }
        if !text.is_empty() {
            stretches.push(Stretch::Text(text));
        }
        stretches
    }

    /// Where the first extra token starts, and which it is.
    fn first(&self, text: &str) -> Option<(usize, usize)> {
        let found = self.tokens.iter().enumerate().filter_map(|(index, token)| {
            text.find(token.as_str()).map(|start| (start, usize::MAX - token.len(), index))
        });
        found.min().map(|(start, _, index)| (start, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extras(tokens: &[&str]) -> Result<Extras, TokenizerError> {
        Extras::new(tokens.iter().map(|token| (*token).to_owned()).collect())
    }

    #[test]
    fn the_first_and_longest_is_taken() {
        let extras = extras(&["<2e", "<2es>", "§"]).unwrap();
        let expected =
            [Stretch::Extra(5), Stretch::Text(" a"), Stretch::Extra(6), Stretch::Extra(4)];
        assert_eq!(extras.split("<2es> a§<2e"), expected);
        assert_eq!(extras.split(""), []);
    }

    #[test]
    fn tokens_that_cannot_be_found_again_are_refused() {
        for token in ["", "a b", "▁a"] {
            let error = extras(&[token]).unwrap_err().to_string();
            let expected = format!("extra token `{token}` is empty or has a blank or `▁` in it");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn specials_and_repetitions_are_refused() {
        let error = extras(&["</s>"]).unwrap_err().to_string();
        assert!(error.starts_with("token `</s>` is a special"), "{error}");
        let error = extras(&["a", "a"]).unwrap_err().to_string();
        assert!(error.starts_with("token `a` is twice"), "{error}");
    }
}
