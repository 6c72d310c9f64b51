//! chrF and chrF++, scores of translations by their characters, as sacreBLEU computes them.
//!
//! ```text
//! P, R = matched n-grams / n-grams of the outputs, of the references     averaged over the orders
//! chrF = 100 · (1 + β²) · P · R / (β² · P + R)                           β = 2
//! ```
//!
//! Orders are characters 1 to 6 without blanks, for chrF++ also words 1 and 2 with punctuation split
//! off. Of several references the one with the best score of its own counts. Orders that one side
//! is too short for are left out.
//!
//! Sources: Popović (2015), chrF: character n-gram F-score for automatic MT evaluation; (2017),
//! chrF++: words helping character n-grams.

use std::collections::HashMap;

use crate::{
    Case, ScoreError,
    bleu::{SACREBLEU, ngrams},
    references::{count_name, paired},
    spaces::{is_python_space, python_words},
};

/// How chrF is computed. The default is sacreBLEU's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chrf {
    /// The longest n-grams of characters.
    pub char_order: usize,
    /// The longest n-grams of words: 0 for chrF, 2 for chrF++.
    pub word_order: usize,
    /// How much more recall counts than precision, `β`.
    pub beta: u32,
    /// Whether case counts.
    pub case: Case,
    /// Whether blanks are characters.
    pub whitespace: bool,
}

/// A chrF score.
#[derive(Clone, Debug, PartialEq)]
pub struct ChrfScore {
    /// The score, from 0 to 100.
    pub score: f64,
    /// What was computed, as sacreBLEU writes it: two scores can be compared if it is the same.
    pub signature: String,
}

/// Counts of the n-grams of one order.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    output: usize,
    reference: usize,
    matched: usize,
}

/// A text, ready to be counted.
struct Prepared {
    characters: Vec<char>,
    words: Vec<String>,
}

impl Default for Chrf {
    fn default() -> Self {
        Self { char_order: 6, word_order: 0, beta: 2, case: Case::Mixed, whitespace: false }
    }
}

impl Chrf {
    /// chrF++.
    pub fn plus_plus() -> Self {
        Self { word_order: 2, ..Self::default() }
    }

    /// The score of a corpus. An output may have several references, and each another number.
    ///
    /// # Errors
    ///
    /// If there is no output, an output without a reference, or not a list of references for each.
    pub fn score<O: AsRef<str>, R: AsRef<str>>(
        &self,
        outputs: &[O],
        references: &[Vec<R>],
    ) -> Result<ChrfScore, ScoreError> {
        let mut sums = vec![Counts::default(); self.char_order + self.word_order];
        for (output, references) in paired(outputs, references)? {
            let output = self.prepare(output.as_ref());
            let mut best: Option<(f64, Vec<Counts>)> = None;
            for reference in references {
                let counts = self.count(&output, &self.prepare(reference.as_ref()));
                let score = self.combine(&counts);
                if best.as_ref().is_none_or(|(best, _)| score > *best) {
                    best = Some((score, counts));
                }
            }
            for (sum, counts) in sums.iter_mut().zip(best.into_iter().flat_map(|(_, best)| best)) {
                sum.output += counts.output;
                sum.reference += counts.reference;
                sum.matched += counts.matched;
            }
        }
        Ok(ChrfScore {
            score: self.combine(&sums),
            signature: self.signature(&count_name(references)),
        })
    }

    fn prepare(&self, text: &str) -> Prepared {
        let text = match self.case {
            Case::Mixed => text.to_owned(),
            Case::Lower => text.to_lowercase(),
        };
        let is_kept = |c: &char| self.whitespace || !is_python_space(*c);
        Prepared {
            characters: text.chars().filter(is_kept).collect(),
            words: python_words(&text).flat_map(split_punctuation).collect(),
        }
    }

    fn count(&self, output: &Prepared, reference: &Prepared) -> Vec<Counts> {
        let characters = (1..=self.char_order).map(|order| {
            matches(&ngrams(&output.characters, order), &ngrams(&reference.characters, order))
        });
        let words = (1..=self.word_order)
            .map(|order| matches(&joined(&output.words, order), &joined(&reference.words, order)));
        characters.chain(words).collect()
    }

    fn combine(&self, counts: &[Counts]) -> f64 {
        let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
        for counts in counts.iter().filter(|counts| counts.output > 0 && counts.reference > 0) {
            precision += counts.matched as f64 / counts.output as f64;
            recall += counts.matched as f64 / counts.reference as f64;
            orders += 1.0;
        }
        if precision + recall == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precision / orders, recall / orders);
        let factor = f64::from(self.beta.pow(2));
        100.0 * (1.0 + factor) * precision * recall / (factor * precision + recall)
    }

    fn signature(&self, references: &str) -> String {
        let (characters, words) = (self.char_order, self.word_order);
        let case = self.case.signature();
        let space = if self.whitespace { "yes" } else { "no" };
        format!(
            "nrefs:{references}|case:{case}|eff:yes|nc:{characters}|nw:{words}|space:{space}\
             |version:{SACREBLEU}"
        )
    }
}

/// A punctuation mark at the end of a word, else one at its start, is a word of its own.
fn split_punctuation(word: &str) -> Vec<String> {
    let is_mark = |c: Option<char>| c.is_some_and(|c| c.is_ascii_punctuation());
    let cut = match (word.chars().next(), word.chars().next_back()) {
        _ if word.chars().count() == 1 => None,
        (_, last) if is_mark(last) => Some(word.len() - 1),
        (first, _) if is_mark(first) => Some(1),
        _ => None,
    };
    match cut {
        None => vec![word.to_owned()],
        Some(at) => vec![word[..at].to_owned(), word[at..].to_owned()],
    }
}

/// N-grams of words as sacreBLEU keeps them: joined by blanks.
fn joined(words: &[String], order: usize) -> HashMap<String, usize> {
    ngrams(words, order).into_iter().map(|(ngram, count)| (ngram.join(" "), count)).collect()
}

fn matches<K: Eq + std::hash::Hash>(
    output: &HashMap<K, usize>,
    reference: &HashMap<K, usize>,
) -> Counts {
    let matched = output
        .iter()
        .map(|(ngram, count)| reference.get(ngram).map_or(0, |other| *count.min(other)));
    Counts {
        matched: matched.sum(),
        output: if reference.is_empty() { 0 } else { output.values().sum() },
        reference: reference.values().sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chrf(char_order: usize, output: &str, references: &[&str]) -> f64 {
        let chrf = Chrf { char_order, ..Chrf::default() };
        chrf.score(&[output], &[references.to_vec()]).unwrap().score
    }

    /// Of `abcd` two characters of four are in `abx`, which has three: P = 1/2, R = 2/3, β² = 4.
    #[test]
    fn recall_counts_four_times_as_much_as_precision() {
        let by_hand = 100.0 * 5.0 * (0.5 * 2.0 / 3.0) / (4.0 * 0.5 + 2.0 / 3.0);
        assert!((chrf(1, "ab cd", &["ab x"]) - by_hand).abs() < 1e-9);
    }

    #[test]
    fn the_best_reference_counts() {
        assert_eq!(chrf(6, "same", &["other", "same"]), 100.0);
    }

    #[test]
    fn one_punctuation_mark_of_a_word_is_split_off() {
        assert_eq!(split_punctuation("(hi)"), ["(hi", ")"]);
        assert_eq!(split_punctuation("'tis"), ["'", "tis"]);
        assert_eq!(split_punctuation("!"), ["!"]);
        assert_eq!(split_punctuation("été"), ["été"]);
    }
}
