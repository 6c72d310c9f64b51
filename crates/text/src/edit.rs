//! Edit distance, and the error rates that are made of it.
//!
//! | task | tokens | rate |
//! |---|---|---|
//! | pronunciation of words | phonemes | phoneme error rate (PER): [`token_error_rate`] |
//! | | | word error rate (WER): [`sequence_error_rate`], a word is one output |
//! | transcription | characters | character error rate (CER): [`token_error_rate`] |

use crate::{ScoreError, references::paired};

/// The least number of insertions, deletions and substitutions that turn `a` into `b` (Levenshtein
/// 1966).
pub fn distance<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Edits over the tokens of the references: for each output those of the reference that takes the
/// fewest edits, the longest of several, summed over the corpus. Above 1 where outputs are far too
/// long. References without any token count as one token, lest the rate be infinite.
///
/// # Errors
///
/// If there is no output, an output without a reference, or not a list of references for each.
pub fn token_error_rate<T: PartialEq>(
    outputs: &[Vec<T>],
    references: &[Vec<Vec<T>>],
) -> Result<f64, ScoreError> {
    let (mut edits, mut tokens) = (0, 0);
    for (output, references) in paired(outputs, references)? {
        let candidates = references
            .iter()
            .map(|reference| (distance(output, reference), std::cmp::Reverse(reference.len())));
        let (fewest, length) = candidates.min().ok_or(ScoreError::Nothing)?;
        edits += fewest;
        tokens += length.0;
    }
    Ok(edits as f64 / tokens.max(1) as f64)
}

/// The share of outputs that differ from every one of their references. With single words as
/// outputs this is the word error rate.
///
/// # Errors
///
/// If there is no output, an output without a reference, or not a list of references for each.
pub fn sequence_error_rate<T: PartialEq>(
    outputs: &[Vec<T>],
    references: &[Vec<Vec<T>>],
) -> Result<f64, ScoreError> {
    let wrong = paired(outputs, references)?
        .filter(|(output, references)| !references.contains(output))
        .count();
    Ok(wrong as f64 / outputs.len() as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[rstest]
    #[case("kitten", "sitting", 3)]
    #[case("", "abc", 3)]
    #[case("abc", "", 3)]
    #[case("雨です", "雨だ", 2)]
    #[case("abcd", "bcda", 2)]
    fn known_distances(#[case] a: &str, #[case] b: &str, #[case] expected: usize) {
        assert_eq!(distance(&chars(a), &chars(b)), expected);
    }

    /// The definition: the last tokens are substituted, or one of them is left out.
    fn by_definition(a: &[u8], b: &[u8]) -> usize {
        match (a, b) {
            ([], rest) | (rest, []) => rest.len(),
            ([a_rest @ .., x], [b_rest @ .., y]) => {
                let substituted = by_definition(a_rest, b_rest) + usize::from(x != y);
                let dropped = by_definition(a_rest, b).min(by_definition(a, b_rest)) + 1;
                substituted.min(dropped)
            }
        }
    }

    proptest! {
        #[test]
        fn the_distance_is_that_of_the_definition(
            a in prop::collection::vec(0u8..3, 0..6), b in prop::collection::vec(0u8..3, 0..6),
        ) {
            prop_assert_eq!(distance(&a, &b), by_definition(&a, &b));
        }

        #[test]
        fn the_distance_is_a_metric(
            a in prop::collection::vec(0u8..4, 0..20),
            b in prop::collection::vec(0u8..4, 0..20),
            c in prop::collection::vec(0u8..4, 0..20),
        ) {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
        }
    }

    /// The second output is one substitution from its first reference and right by its second.
    #[test]
    fn rates_take_the_closest_reference() {
        let outputs = [chars("abx"), chars("cd"), chars("")];
        let references =
            [vec![chars("abc")], vec![chars("ce"), chars("cd")], vec![chars("abcd"), chars("a")]];
        assert_eq!(token_error_rate(&outputs, &references).unwrap(), 2.0 / 6.0);
        assert_eq!(sequence_error_rate(&outputs, &references).unwrap(), 2.0 / 3.0);
    }

    #[test]
    fn an_empty_reference_gives_a_finite_rate() {
        assert_eq!(token_error_rate(&[chars("ab")], &[vec![chars("")]]).unwrap(), 2.0);
        assert_eq!(token_error_rate(&[chars("")], &[vec![chars("")]]).unwrap(), 0.0);
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        let error = token_error_rate(&[chars("a")], &[vec![]]).unwrap_err();
        assert_eq!(error, ScoreError::NoReference { output: 0 });
        let error = sequence_error_rate::<char>(&[], &[]).unwrap_err();
        assert_eq!(error, ScoreError::Nothing);
    }
}
