//! The unigram language model: a list of pieces with their logarithmic probabilities.

use std::collections::HashSet;

use tokenizers::models::unigram::{Unigram, UnigramTrainer};

use super::UNKNOWN;
use crate::{SPECIALS, TokenizerError};

/// A piece and the logarithm of its probability.
pub(crate) type Piece = (String, f64);

/// How much apart the trainer puts the characters that its estimation has dropped.
const DROPPED_APART: f64 = 1e-4;

/// Longer words are cut: the trainer recurses as deep as a word is long.
const LONGEST_WORD: usize = 100_000;

/// The pieces that are learnt from counted words, `size` at the most and every character of the
/// words among them, the most probable first.
///
/// The same words in the same order give the same pieces: expectations are summed by one thread, as
/// sums of floating-point numbers depend on their order.
pub(crate) fn train(words: &[(String, u32)], size: usize) -> Result<Vec<Piece>, TokenizerError> {
    let trainer = UnigramTrainer::builder()
        .vocab_size(u32::try_from(size).unwrap_or(u32::MAX))
        .show_progress(false)
        .build()
        .map_err(TokenizerError::training)?;
    let sentences = words
        .iter()
        .flat_map(|(word, count)| cut(word).into_iter().map(move |part| (part, *count)));
    let sentences = sentences.collect();
    let thread = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let mut model = Unigram::default();
    thread
        .map_err(TokenizerError::training)?
        .install(|| trainer.do_train(sentences, &mut model))
        .map_err(TokenizerError::training)?;
    let pieces = model.iter().filter(|(piece, _)| !SPECIALS.contains(&piece.as_str()));
    Ok(in_order(pieces.cloned().collect(), words, size))
}

fn cut(word: &str) -> Vec<String> {
    let characters: Vec<char> = word.chars().collect();
    characters.chunks(LONGEST_WORD).map(|part| part.iter().collect()).collect()
}

/// Pieces in an order, and with numbers, that depend on nothing but the words.
///
/// Characters that the estimation dropped come back from the trainer with scores just above the
/// lowest, in the order of a hash table: here they all get the lowest. Scores are rounded to six
/// decimals, so that a file gives them back bit by bit.
fn in_order(pieces: Vec<Piece>, words: &[(String, u32)], size: usize) -> Vec<Piece> {
    let alphabet: HashSet<String> =
        words.iter().flat_map(|(word, _)| word.chars()).map(String::from).collect();
    let lowest = pieces.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
    let dropped = lowest + DROPPED_APART * alphabet.len() as f64;
    let round = |score: f64| (score * 1e6).round() / 1e6;

    let (characters, longer): (Vec<Piece>, Vec<Piece>) =
        pieces.into_iter().partition(|(piece, _)| alphabet.contains(piece));
    let characters = characters
        .into_iter()
        .map(|(piece, score)| (piece, round(if score < dropped { lowest } else { score })));
    let mut kept: Vec<Piece> = characters.collect();
    let mut longer: Vec<Piece> =
        longer.into_iter().map(|(piece, score)| (piece, round(score))).collect();
    longer.sort_by(most_probable_first);
    longer.truncate(size.saturating_sub(kept.len()));
    kept.append(&mut longer);
    kept.sort_by(most_probable_first);
    kept
}

fn most_probable_first((a, a_score): &Piece, (b, b_score): &Piece) -> std::cmp::Ordering {
    b_score.total_cmp(a_score).then_with(|| a.cmp(b))
}

/// The model of the given pieces, the first with the id 1.
pub(crate) fn build(pieces: &[Piece]) -> Result<Unigram, TokenizerError> {
    let unknown = (UNKNOWN.to_owned(), 0.0);
    let pieces = [unknown].into_iter().chain(pieces.iter().cloned()).collect();
    Unigram::from(pieces, Some(0), false)
        .map_err(|reason| TokenizerError::Model { reason: reason.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Vec<(String, u32)> {
        let stems = ["▁walk", "▁talk", "▁jump", "▁look"];
        let endings = ["", "s", "ed", "ing"];
        stems
            .iter()
            .flat_map(|stem| endings.iter().map(move |ending| (format!("{stem}{ending}"), 10)))
            .collect()
    }

    #[test]
    fn every_character_is_a_piece_and_the_size_is_kept() {
        let pieces = train(&words(), 23).unwrap();
        let text: String = words().into_iter().map(|(word, _)| word).collect();
        for c in text.chars() {
            assert!(pieces.iter().any(|(piece, _)| *piece == c.to_string()), "{c}: {pieces:?}");
        }
        assert!(pieces.len() <= 23, "{pieces:?}");
    }

    /// What four words have in common is worth more than its characters.
    #[test]
    fn stems_are_found() {
        let pieces = train(&words(), 24).unwrap();
        for stem in ["▁walk", "▁talk", "▁jump", "▁look"] {
            let score = |piece: &str| pieces.iter().find(|(p, _)| p == piece).map(|(_, s)| *s);
            assert!(score(stem) > score("k"), "{stem}: {pieces:?}");
        }
    }

    /// The characters that no word needs are in the order of a hash table in the trainer, and so
    /// would be their scores.
    #[test]
    fn training_again_gives_the_same_numbers() {
        let first = train(&words(), 24).unwrap();
        for _ in 0..20 {
            assert_eq!(train(&words(), 24).unwrap(), first);
        }
    }

    /// Of a million characters without a blank, the trainer's recursion overflows the stack.
    #[test]
    fn very_long_words_are_cut() {
        let word = "猫は魚を食べる".repeat(LONGEST_WORD);
        let parts = cut(&word);
        assert_eq!(parts.concat(), word);
        assert!(parts.iter().all(|part| part.chars().count() == LONGEST_WORD));
    }

    #[test]
    fn scores_survive_a_file() {
        let pieces = train(&words(), 24).unwrap();
        let json = serde_json::to_string(&pieces).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Piece>>(&json).unwrap(), pieces);
    }
}
