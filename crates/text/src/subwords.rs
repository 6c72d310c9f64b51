//! Subwords: pieces of words, from single characters to whole words.
//!
//! A blank is written `▁` and belongs to the word after it; the first word has one too, so that it
//! is the same token there as elsewhere. Nothing else is changed, so the pieces put together are
//! the text again. Training and segmentation of single words is the work of the crate `tokenizers`.

use std::collections::HashMap;

use tokenizers::{
    Model,
    models::{bpe::BPE, unigram::Unigram},
};

use crate::{UNK, extras::Stretch};

pub(crate) mod bpe;
pub(crate) mod unigram;

/// What a blank is written as.
pub(crate) const MARKER: char = '▁';

/// The piece that stands for unknown characters inside a model, where it has the id 0. No text has
/// this character: it is taken out of what a model is trained on.
const UNKNOWN: &str = "\0";

/// A model of words. Its ids count from 0, which is the unknown piece.
#[derive(Clone, Debug)]
pub(crate) enum Subwords {
    /// Byte-pair encoding.
    Bpe(Box<BPE>),
    /// The unigram language model.
    Unigram(Box<Unigram>),
}

/// Where a text between extra tokens stands in the whole text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It starts the whole text.
    Start,
    /// An extra token stands before it.
    Inside,
}

impl Place {
    /// The place of the stretch of that index.
    pub(crate) fn of(index: usize) -> Self {
        if index == 0 { Self::Start } else { Self::Inside }
    }
}

impl Subwords {
    /// The ids of a text between extra tokens; `first` is the id of the first piece.
    pub(crate) fn encode(&self, text: &str, place: Place, first: u32) -> Vec<u32> {
        let marked = mark(text, place);
        let tokens = words(&marked).flat_map(|word| {
            match self {
                Self::Bpe(model) => model.tokenize(word),
                Self::Unigram(model) => model.tokenize(word),
            }
            .expect("a model with an unknown piece segments every word")
        });
        tokens.map(|token| if token.id == 0 { UNK } else { first + token.id - 1 }).collect()
    }
}

/// Blanks written as markers, and one in front of a text that starts the whole text.
fn mark(text: &str, place: Place) -> String {
    let marked = text.chars().map(|c| if c == ' ' { MARKER } else { c });
    let leading = (place == Place::Start).then_some(MARKER);
    leading.into_iter().chain(marked).collect()
}

/// Markers written as blanks.
pub(crate) fn unmark(text: &str) -> String {
    text.replace(MARKER, " ")
}

/// `marked` cut before every marker.
fn words(marked: &str) -> impl Iterator<Item = &str> {
    let starts = marked.match_indices(MARKER).map(|(start, _)| start).filter(|start| *start > 0);
    let ends = starts.chain([marked.len()]);
    ends.scan(0, |start, end| Some(&marked[std::mem::replace(start, end)..end]))
        .filter(|word| !word.is_empty())
}

/// The marked words of `texts` and how often they occur, in the order of their code points. Words
/// are cut at characters that occur less than `min_count` times, which are thereby unknown.
pub(crate) fn count_words<'t>(
    texts: impl IntoIterator<Item = Vec<Stretch<'t>>>,
    min_count: usize,
) -> Vec<(String, u32)> {
    let mut counts: HashMap<String, u32> = HashMap::new();
    for stretches in texts {
        for (index, stretch) in stretches.into_iter().enumerate() {
            if let Stretch::Text(text) = stretch {
                for word in words(&mark(text, Place::of(index))) {
                    *counts.entry(word.to_owned()).or_default() += 1;
                }
            }
        }
    }
    let mut characters: HashMap<char, usize> = HashMap::new();
    for (word, count) in &counts {
        for c in word.chars() {
            *characters.entry(c).or_default() += *count as usize;
        }
    }
    let is_unknown = |c: char| UNKNOWN.contains(c) || characters[&c] < min_count;

    let mut known: HashMap<String, u32> = HashMap::new();
    for (word, count) in counts {
        for part in word.split(is_unknown).filter(|part| !part.is_empty()) {
            *known.entry(part.to_owned()).or_default() += count;
        }
    }
    let mut sorted: Vec<_> = known.into_iter().collect();
    sorted.sort_unstable();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_start_at_markers_and_nothing_is_lost() {
        assert_eq!(words("▁a▁▁b c").collect::<Vec<_>>(), ["▁a", "▁", "▁b c"]);
        assert_eq!(words("a▁b").collect::<Vec<_>>(), ["a", "▁b"]);
        assert_eq!(words("").count(), 0);
    }

    #[test]
    fn rare_characters_cut_words() {
        let texts = ["aba xa", "a ba"].map(|text| vec![Stretch::Text(text)]);
        let counted = |min_count| count_words(texts.clone(), min_count);
        let of = |words: &[(&str, u32)]| -> Vec<(String, u32)> {
            words.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
        };
        assert_eq!(counted(1), of(&[("▁a", 1), ("▁aba", 1), ("▁ba", 1), ("▁xa", 1)]));
        assert_eq!(counted(2), of(&[("a", 1), ("▁", 1), ("▁a", 1), ("▁aba", 1), ("▁ba", 1)]));
    }
}
