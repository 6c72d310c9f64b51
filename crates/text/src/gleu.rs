//! GLEU, a score of single sentences: the one that GNMT was refined by.
//!
//! ```text
//! M    = Σ_g min(count of g in the output, count of g in the reference)     g: 1- to 4-grams
//! P, R = M / n-grams of the output, M / n-grams of the reference
//! GLEU = min(P, R)
//! ```
//!
//! All orders are counted together, so a sentence that is too short for some has the others alone.
//! It is symmetric, from 0 without a match to 1 for equal sentences, and needs no smoothing. It is
//! not the GLEU of grammatical error correction.
//!
//! Source: Wu et al. (2016), Google's Neural Machine Translation System, section 5.2.

use std::{collections::HashMap, hash::Hash};

use crate::bleu::ngrams;

/// The longest n-grams.
const MAX_ORDER: usize = 4;

/// GLEU of an output, from 0 to 1. Tokens are what can be compared: words, or ids.
///
/// An output is 0 if it is empty and its reference is not, and the other way round. Where both are
/// empty it is 1, as it is for every output that equals its reference.
///
/// ```
/// let words = |text: &'static str| text.split(' ').collect::<Vec<_>>();
/// assert_eq!(recurrent_text::gleu(&words("the the cat"), &words("the cat sat")), 0.5);
/// ```
pub fn gleu<T: Eq + Hash>(output: &[T], reference: &[T]) -> f64 {
    let longer = total(output).max(total(reference));
    if longer == 0 {
        return 1.0;
    }
    let matched: usize = (1..=MAX_ORDER).map(|order| matched(output, reference, order)).sum();
    // The smaller of M / a and M / b.
    matched as f64 / longer as f64
}

/// N-grams of all orders.
fn total<T>(tokens: &[T]) -> usize {
    (1..=MAX_ORDER).map(|order| (tokens.len() + 1).saturating_sub(order)).sum()
}

/// N-grams of the output that the reference has too, each as often as it has it at most.
fn matched<T: Eq + Hash>(output: &[T], reference: &[T], order: usize) -> usize {
    let mut left: HashMap<&[T], usize> = ngrams(reference, order);
    let found = output.windows(order).filter(|ngram| match left.get_mut(ngram) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    });
    found.count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn of(output: &str, reference: &str) -> f64 {
        let words = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        gleu(&words(output), &words(reference))
    }

    /// By hand. The first is that of the specification, 12.3: `the`, `cat` and `the cat` of 6.
    #[rstest]
    #[case("the the cat", "the cat sat", 3.0 / 6.0)]
    // 4 + 3 + 2 + 1 of 4 + 3 + 2 + 1.
    #[case("the cat sat down", "the cat sat down", 1.0)]
    // 3 + 2 + 1 of 10: short outputs are held back by recall, long ones by precision.
    #[case("the cat sat", "the cat sat down", 6.0 / 10.0)]
    #[case("the cat sat down", "the cat sat", 6.0 / 10.0)]
    // All words and no order.
    #[case("down sat cat the", "the cat sat down", 4.0 / 10.0)]
    // Clipped: one of five, and no longer n-gram.
    #[case("the the the the the", "the cat", 1.0 / 14.0)]
    // No n-gram is longer than four: 5 + 4 + 3 + 2 of 6 + 5 + 4 + 3.
    #[case("a b c d e", "a b c d e f", 14.0 / 18.0)]
    #[case("cat", "dog", 0.0)]
    fn known_scores(#[case] output: &str, #[case] reference: &str, #[case] expected: f64) {
        assert_eq!(of(output, reference), expected);
    }

    #[test]
    fn nothing_is_right_only_where_nothing_is_asked_for() {
        assert_eq!(of("", "the cat"), 0.0);
        assert_eq!(of("the cat", ""), 0.0);
        assert_eq!(of("", ""), 1.0);
    }

    /// From the definition: both ratios, with counts of every different n-gram.
    fn by_definition(output: &[u8], reference: &[u8]) -> f64 {
        let (mut matched, mut of_output, mut of_reference) = (0, 0, 0);
        for order in 1..=4 {
            let count = |tokens: &[u8], ngram: &[u8]| {
                tokens.windows(order).filter(|window| *window == ngram).count()
            };
            let mut different: Vec<&[u8]> = output.windows(order).collect();
            different.sort_unstable();
            different.dedup();
            for ngram in different {
                matched += count(output, ngram).min(count(reference, ngram));
            }
            of_output += output.windows(order).count();
            of_reference += reference.windows(order).count();
        }
        (matched as f64 / of_output as f64).min(matched as f64 / of_reference as f64)
    }

    proptest! {
        #[test]
        fn the_score_is_that_of_the_definition(
            output in prop::collection::vec(0u8..3, 1..12),
            reference in prop::collection::vec(0u8..3, 1..12),
        ) {
            let score = gleu(&output, &reference);
            prop_assert_eq!(score, by_definition(&output, &reference));
            prop_assert_eq!(score, gleu(&reference, &output));
            prop_assert_eq!(gleu(&output, &output), 1.0);
        }
    }
}
