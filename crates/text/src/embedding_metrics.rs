//! How close outputs are to their references in meaning, by vectors of their words: the embedding
//! metrics of dialogues.
//!
//! ```text
//! e_w                                                   the vector of word w
//! ē_s     = Σ_{w ∈ s} e_w / |s|                         the mean of sentence s
//! x_s,d   = max_w e_w,d if above |min_w e_w,d|, else min_w e_w,d         in each dimension d
//! G(s, t) = Σ_{w ∈ s} max_{v ∈ t} cos(e_w, e_v) / |s|   every word with the closest of t
//!
//! average = cos(ē_output, ē_reference)
//! extrema = cos(x_output, x_reference)
//! greedy  = (G(output, reference) + G(reference, output)) / 2
//! ```
//!
//! A word counts as often as it is said. Words without a vector are passed over, in `|s|` too. The
//! cosine with a vector of zeros is 0. All is computed in 64 bits, and all is symmetric.
//!
//! The first public script of Liu & Serban computes something else: it leaves references without a
//! known word out of the mean (average, extrema), takes the positive one of two values of the same
//! magnitude (extrema), and multiplies vectors in place of cosines, with 0 at least (greedy).
//!
//! Sources: Liu et al. (2016), How NOT To Evaluate Your Dialogue System, section 3.2; Serban et al.
//! (2017), A Hierarchical Latent Variable Encoder-Decoder Model for Generating Dialogues, appendix.
//! Greedy matching is that of Rus & Lintean (2012), extrema those of Forgues et al. (2014).

use std::cmp::Ordering;

use crate::{ScoreError, WordVectors};

/// The three embedding metrics of a corpus, each from -1 to 1: the mean over all its pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmbeddingMetrics {
    /// The cosine of the means of both sides.
    pub average: f64,
    /// The cosines of every word with the closest word of the other side, in both directions.
    pub greedy: f64,
    /// The cosine of what is largest in each dimension on both sides.
    pub extrema: f64,
    /// The pairs with a known word on both sides. Every other pair has similarity 0 in the means.
    pub scored: usize,
}

/// The embedding metrics of pairs of an output and its reference, both as words that are spelled as
/// in the file of the vectors: mostly in lower case.
///
/// A pair of which a side has no word with a vector, or no word at all, counts as similarity 0, and
/// not among [`EmbeddingMetrics::scored`].
///
/// # Errors
///
/// If there is no pair, or if there are words in the references and none has a vector.
pub fn embedding_metrics<O: AsRef<str>, R: AsRef<str>>(
    vectors: &WordVectors,
    pairs: &[(Vec<O>, Vec<R>)],
) -> Result<EmbeddingMetrics, ScoreError> {
    if pairs.is_empty() {
        return Err(ScoreError::Nothing);
    }
    same_vocabulary(vectors, pairs)?;
    let (mut average, mut greedy, mut extrema, mut scored) = (0.0, 0.0, 0.0, 0);
    for (output, reference) in pairs {
        let (output, reference) = (known(vectors, output), known(vectors, reference));
        if output.is_empty() || reference.is_empty() {
            continue;
        }
        average += cosine(&mean_vector(&output), &mean_vector(&reference));
        greedy += matched(&output, &reference);
        extrema += cosine(&extreme_vector(&output), &extreme_vector(&reference));
        scored += 1;
    }
    let [average, greedy, extrema] =
        [average, greedy, extrema].map(|sum: f64| sum / pairs.len() as f64);
    Ok(EmbeddingMetrics { average, greedy, extrema, scored })
}

fn same_vocabulary<O, R: AsRef<str>>(
    vectors: &WordVectors,
    pairs: &[(Vec<O>, Vec<R>)],
) -> Result<(), ScoreError> {
    let words = || pairs.iter().flat_map(|(_, reference)| reference).map(AsRef::as_ref);
    match words().next() {
        Some(first) if words().all(|word| vectors.get(word).is_none()) => {
            let (words, example) = (words().count(), first.to_owned());
            Err(ScoreError::OtherVocabulary { words, example })
        }
        Some(_) | None => Ok(()),
    }
}

/// The vectors of the words that have one.
fn known<T: AsRef<str>>(vectors: &WordVectors, words: &[T]) -> Vec<Vec<f64>> {
    let found = words.iter().filter_map(|word| vectors.get(word.as_ref()));
    found.map(|vector| vector.iter().copied().map(f64::from).collect()).collect()
}

fn mean_vector(words: &[Vec<f64>]) -> Vec<f64> {
    let sums = folded(words, |sum, value| sum + value);
    sums.into_iter().map(|sum| sum / words.len() as f64).collect()
}

/// The value of the largest magnitude in each dimension, the negative one of two.
fn extreme_vector(words: &[Vec<f64>]) -> Vec<f64> {
    folded(words, |a, b| match a.abs().total_cmp(&b.abs()) {
        Ordering::Greater => a,
        Ordering::Less => b,
        Ordering::Equal => a.min(b),
    })
}

/// All words put together from 0, each dimension on its own.
fn folded(words: &[Vec<f64>], step: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let zeros = vec![0.0; words.first().map_or(0, Vec::len)];
    words.iter().fold(zeros, |all, word| {
        all.into_iter().zip(word).map(|(all, value)| step(all, *value)).collect()
    })
}

/// Greedy matching in both directions.
fn matched(output: &[Vec<f64>], reference: &[Vec<f64>]) -> f64 {
    let (mut of_output, mut of_reference) = (vec![-1.0; output.len()], vec![-1.0; reference.len()]);
    for (a, best_of_a) in output.iter().zip(&mut of_output) {
        for (b, best_of_b) in reference.iter().zip(&mut of_reference) {
            let cosine = cosine(a, b);
            *best_of_a = cosine.max(*best_of_a);
            *best_of_b = cosine.max(*best_of_b);
        }
    }
    let mean = |best: Vec<f64>| best.iter().sum::<f64>() / best.len() as f64;
    f64::midpoint(mean(of_output), mean(of_reference))
}

/// From -1 to 1, and 0 where a side has zeros alone. One root of the product: so equal vectors have 1
/// to the last bit.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let sums = a
        .iter()
        .zip(b)
        .fold((0.0, 0.0, 0.0), |(ab, aa, bb), (a, b)| (ab + a * b, aa + a * a, bb + b * b));
    match sums {
        (_, 0.0, _) | (_, _, 0.0) => 0.0,
        (ab, aa, bb) => (ab / f64::sqrt(aa * bb)).clamp(-1.0, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn vectors(text: &str) -> WordVectors {
        WordVectors::parse(Path::new("FILE"), text).unwrap()
    }

    /// The right triangle of 3, 4 and 5: `cos(x, xy)` is 0.6 and `cos(y, xy)` is 0.8.
    fn plane() -> WordVectors {
        vectors("x 1 0\ny 0 1\nxy 3 4\n-x -1 0\n-xy -3 -4\nlong 30 40\nzero 0 0\n")
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn of(pairs: &[(&str, &str)]) -> Result<EmbeddingMetrics, ScoreError> {
        let pairs: Vec<_> = pairs.iter().map(|(a, b)| (words(a), words(b))).collect();
        embedding_metrics(&plane(), &pairs)
    }

    fn assert_close(metrics: EmbeddingMetrics, [average, greedy, extrema]: [f64; 3]) {
        for (got, expected) in
            [(metrics.average, average), (metrics.greedy, greedy), (metrics.extrema, extrema)]
        {
            assert!((got - expected).abs() < 1e-15, "{metrics:?}, expected {expected}");
        }
    }

    /// By hand, as average, greedy and extrema; the root of 0.98 is 7 over 5 times that of 2.
    #[rstest]
    // (1/2, 1/2) and (3, 4); (0.6 + 0.8) / 2 and 0.8; (1, 1) and (3, 4).
    #[case("x y", "xy", [0.98_f64.sqrt(), 0.75, 0.98_f64.sqrt()])]
    // (2, 2) and (0, 1); (0 + 0.8) / 2 and 0.8; (3, 4) and (0, 1).
    #[case("x xy", "y", [0.5_f64.sqrt(), 0.6, 0.8])]
    // Each as often as it is said: (2/3, 1/3) and (1, 0); (1 + 1 + 0) / 3 and 1; (1, 1) and (1, 0).
    #[case("x x y", "x", [2.0 / 5_f64.sqrt(), 5.0 / 6.0, 0.5_f64.sqrt()])]
    // (0, 0) and (1, 0); (1 - 1) / 2 and 1; of 1 and -1 the second.
    #[case("x -x", "x", [0.0, 0.5, -1.0])]
    // (-2, -2) and (1, 0); (-1 - 0.6) / 2 and -0.6; (-3, -4) and (1, 0).
    #[case("-x -xy", "x", [-(0.5_f64.sqrt()), -0.7, -0.6])]
    // Length does not count, unless vectors are added.
    #[case("long", "xy", [1.0; 3])]
    #[case("x", "y", [0.0; 3])]
    // Words without a vector are not there; a vector of zeros has no direction.
    #[case("what x is y", "xy indeed", [0.98_f64.sqrt(), 0.75, 0.98_f64.sqrt()])]
    #[case("zero", "x", [0.0; 3])]
    #[case("x zero", "x", [1.0, 0.75, 1.0])]
    fn known_scores(#[case] output: &str, #[case] reference: &str, #[case] expected: [f64; 3]) {
        assert_close(of(&[(output, reference)]).unwrap(), expected);
        assert_close(of(&[(reference, output)]).unwrap(), expected);
    }

    #[test]
    fn opposite_words_have_minus_1() {
        for pair in [("x", "-x"), ("xy", "-xy"), ("-xy -xy", "xy"), ("-xy", "long")] {
            assert_close(of(&[pair]).unwrap(), [-1.0; 3]);
        }
    }

    /// Rounded, the cosine of these two is 1 + 2⁻⁵².
    #[test]
    fn no_rounding_leads_out_of_bounds() {
        let vectors = vectors("a 0.1 0.8\nb 0.7 5.6\n-a -0.1 -0.8\n");
        for (output, expected) in [("a", 1.0), ("-a", -1.0)] {
            let metrics = embedding_metrics(&vectors, &[(vec![output], vec!["b"])]).unwrap();
            let [average, greedy, extrema] = [expected; 3];
            assert_eq!(metrics, EmbeddingMetrics { average, greedy, extrema, scored: 1 });
        }
    }

    /// The second pair lacks a known output, the third a known reference, the fourth has no output.
    #[test]
    fn a_pair_without_a_known_word_is_0_and_not_scored() {
        let pairs = [("x", "x"), ("what", "x"), ("x", "what"), ("", "x"), ("x xy", "y")];
        let metrics = of(&pairs).unwrap();
        assert_close(metrics, [(1.0 + 0.5_f64.sqrt()) / 5.0, 1.6 / 5.0, 1.8 / 5.0]);
        assert_eq!(metrics.scored, 2);
    }

    #[test]
    fn references_without_a_known_word_are_refused() {
        let error = of(&[("x", "Hello ,"), ("y", ""), ("z", "X")]).unwrap_err();
        let expected = "0 of 3 words of the references have a vector, `Hello` has none: the word \
                        vectors must be of the vocabulary of the references";
        assert_eq!(error.to_string(), expected);
        // One will do; and of no word nothing can be said.
        assert_eq!(of(&[("z", "Hello ,"), ("z", "x")]).unwrap().scored, 0);
        let metrics = of(&[("x", "")]).unwrap();
        assert_close(metrics, [0.0; 3]);
        assert_eq!(metrics.scored, 0);
    }

    #[test]
    fn nothing_cannot_be_scored() {
        assert_eq!(of(&[]).unwrap_err(), ScoreError::Nothing);
    }

    /// Vectors of the words `0` to `5` in three dimensions.
    fn any_vectors() -> impl Strategy<Value = Vec<[f32; 3]>> {
        prop::collection::vec(prop::array::uniform3(-4.0_f32..4.0), 6)
    }

    fn any_words() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(0_usize..6, 1..8)
    }

    fn score(all: &[[f32; 3]], output: &[usize], reference: &[usize]) -> EmbeddingMetrics {
        let lines = all
            .iter()
            .zip(0..)
            .map(|([a, b, c], word): (_, usize)| format!("{word} {a} {b} {c}\n"));
        let spelled = |side: &[usize]| side.iter().map(usize::to_string).collect::<Vec<_>>();
        let pair = (spelled(output), spelled(reference));
        embedding_metrics(&vectors(&lines.collect::<String>()), &[pair]).unwrap()
    }

    /// From the paper's formulas, one after the other.
    fn by_definition(output: &[[f32; 3]], reference: &[[f32; 3]]) -> [f64; 3] {
        type Vector = [f64; 3];
        let wide = |side: &[[f32; 3]]| side.iter().map(|v| v.map(f64::from)).collect::<Vec<_>>();
        let (output, reference) = (wide(output), wide(reference));
        let dot = |a: Vector, b: Vector| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
        let cos = |a: Vector, b: Vector| dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt());
        let mean = |side: &[Vector]| {
            [0, 1, 2].map(|d| side.iter().map(|v| v[d]).sum::<f64>() / side.len() as f64)
        };
        let extrema = |side: &[Vector]| {
            [0, 1, 2].map(|d| {
                let max = side.iter().map(|v| v[d]).fold(f64::NEG_INFINITY, f64::max);
                let min = side.iter().map(|v| v[d]).fold(f64::INFINITY, f64::min);
                if max > min.abs() { max } else { min }
            })
        };
        let greedy = |a: &[Vector], b: &[Vector]| {
            let closest =
                |w: &Vector| b.iter().map(|v| cos(*w, *v)).fold(f64::NEG_INFINITY, f64::max);
            a.iter().map(closest).sum::<f64>() / a.len() as f64
        };
        [
            cos(mean(&output), mean(&reference)),
            (greedy(&output, &reference) + greedy(&reference, &output)) / 2.0,
            cos(extrema(&output), extrema(&reference)),
        ]
    }

    proptest! {
        #[test]
        fn the_metrics_are_those_of_the_paper(
            all in any_vectors(), output in any_words(), reference in any_words(),
        ) {
            let got = score(&all, &output, &reference);
            let vectors = |side: &[usize]| side.iter().map(|word| all[*word]).collect::<Vec<_>>();
            let [average, greedy, extrema] = by_definition(&vectors(&output), &vectors(&reference));
            prop_assert!((got.average - average).abs() < 1e-9, "{} {}", got.average, average);
            prop_assert!((got.greedy - greedy).abs() < 1e-9, "{} {}", got.greedy, greedy);
            prop_assert!((got.extrema - extrema).abs() < 1e-9, "{} {}", got.extrema, extrema);
        }

        #[test]
        fn metrics_are_symmetric_bounded_and_1_for_what_is_equal(
            all in any_vectors(), output in any_words(), reference in any_words(),
        ) {
            let metrics = score(&all, &output, &reference);
            prop_assert_eq!(metrics, score(&all, &reference, &output));
            for value in [metrics.average, metrics.greedy, metrics.extrema] {
                prop_assert!((-1.0..=1.0).contains(&value), "{}", value);
            }
            let ones = EmbeddingMetrics { average: 1.0, greedy: 1.0, extrema: 1.0, scored: 1 };
            prop_assert_eq!(score(&all, &output, &output), ones);
        }

        /// Only directions count: vectors twice as long change no bit.
        #[test]
        fn lengths_of_all_vectors_together_do_not_count(
            all in any_vectors(), output in any_words(), reference in any_words(),
        ) {
            let doubled: Vec<_> = all.iter().map(|vector| vector.map(|value| 2.0 * value)).collect();
            let metrics = score(&all, &output, &reference);
            prop_assert_eq!(metrics, score(&doubled, &output, &reference));
        }
    }
}
