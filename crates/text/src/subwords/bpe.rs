//! Byte-pair encoding: a list of pieces and a list of merges, the earlier the stronger.

use serde_json::Value;
use tokenizers::models::bpe::{BPE, BpeBuilder, BpeTrainer, Vocab};

use super::UNKNOWN;
use crate::{SPECIALS, TokenizerError};

/// A pair occurring less often than this is not merged.
const MIN_PAIR_COUNT: u64 = 2;

/// The pieces and merges that are learnt from counted words, `size` pieces at the most.
///
/// Ties are broken by the ids of the pieces, and characters get theirs in the order of their code
/// points: the same words give the same pieces.
pub(crate) fn train(
    words: &[(String, u32)],
    size: usize,
) -> Result<(Vec<String>, Vec<(String, String)>), TokenizerError> {
    let trainer =
        BpeTrainer::builder().vocab_size(size).min_frequency(MIN_PAIR_COUNT).show_progress(false);
    let counts =
        words.iter().map(|(word, count)| (word.as_str().into(), u64::from(*count))).collect();
    let mut model = BPE::default();
    trainer.build().do_train(&counts, &mut model).map_err(TokenizerError::training)?;

    // The trained model gives its merges to nobody but serde.
    let model = serde_json::to_value(&model).map_err(TokenizerError::training)?;
    let merges: Vec<(String, String)> =
        serde_json::from_value(model["merges"].clone()).map_err(TokenizerError::training)?;
    let mut pieces: Vec<(u64, String)> = match &model["vocab"] {
        Value::Object(ids) => {
            ids.iter().filter_map(|(piece, id)| Some((id.as_u64()?, piece.clone()))).collect()
        }
        _ => Vec::new(),
    };
    pieces.sort_unstable();
    let pieces = pieces.into_iter().map(|(_, piece)| piece).collect();
    Ok(without_specials(pieces, merges))
}

/// A text may spell out a special, but a piece may not: its string would stand for two ids.
fn without_specials(
    mut pieces: Vec<String>,
    mut merges: Vec<(String, String)>,
) -> (Vec<String>, Vec<(String, String)>) {
    let is_special = |piece: &str| SPECIALS.contains(&piece);
    pieces.retain(|piece| !is_special(piece));
    merges.retain(|(left, right)| {
        !is_special(left) && !is_special(right) && !is_special(&format!("{left}{right}"))
    });
    (pieces, merges)
}

/// The model of the given pieces and merges, the first piece with the id 1.
pub(crate) fn build(pieces: &[String], merges: &[(String, String)]) -> Result<BPE, TokenizerError> {
    let pieces = [UNKNOWN].into_iter().chain(pieces.iter().map(String::as_str));
    let vocabulary: Vocab = pieces.zip(0..).map(|(piece, id)| (piece.to_owned(), id)).collect();
    let builder = BpeBuilder::new().vocab_and_merges(vocabulary, merges.to_vec());
    let builder = builder.unk_token(UNKNOWN.to_owned()).fuse_unk(true);
    builder.build().map_err(|reason| TokenizerError::Model { reason: reason.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Sennrich et al. 2016, figure 1, with the marker of the word's start in place
    /// of theirs for the end. Of pairs that occur 9 times, `e s` and `s t` and `t ▁w`..., the one
    /// with the lower ids is first; `l o` and `o w` occur 7 times.
    #[test]
    fn the_most_frequent_pair_is_merged_first() {
        let words = [("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)];
        let words = words.map(|(word, count)| (word.to_owned(), count));
        let (pieces, merges) = train(&words, 14).unwrap();
        assert_eq!(pieces[..10].concat(), "deilnorstw");
        let merges: Vec<_> = merges.iter().map(|(a, b)| format!("{a} {b}")).collect();
        assert_eq!(merges, ["e s", "es t", "l o", "lo w"]);
    }

    #[test]
    fn a_special_in_the_text_is_no_piece() {
        let (pieces, merges) = train(&[("<s><s>x".to_owned(), 9)], 50).unwrap();
        assert!(pieces.contains(&"<s".to_owned()) || pieces.contains(&"s>".to_owned()));
        assert!(!pieces.contains(&"<s>".to_owned()), "{pieces:?}");
        build(&pieces, &merges).unwrap();
    }
}
