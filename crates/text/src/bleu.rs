//! BLEU, the score of translations, as sacreBLEU computes it.
//!
//! ```text
//! p_n  = matched n-grams / n-grams of the outputs       matches clipped by the most of a reference
//! BP   = 1 if c ≥ r, else exp(1 − r / c)                c, r: length of outputs and of references
//! BLEU = 100 · BP · exp(Σ_n ln p_n / N)                 n = 1 … N, N = 4
//! ```
//!
//! Counts are summed over the corpus before anything is divided. `r` takes for every output the
//! reference of the closest length, the shorter of two.
//!
//! Sources: Papineni et al. (2002), BLEU: a Method for Automatic Evaluation of Machine Translation;
//! for the tokenisation and the signature, Post (2018), A Call for Clarity in Reporting BLEU Scores;
//! for smoothing, Chen & Cherry (2014), A Systematic Comparison of Smoothing Techniques.

use std::collections::HashMap;

use crate::{
    ScoreError,
    mteval::tokenize_13a,
    references::{count_name, paired},
    spaces::{is_python_space, python_words},
};

/// The sacreBLEU whose numbers these are.
pub(crate) const SACREBLEU: &str = "2.6.0";

/// What sacreBLEU puts for the logarithm of 0.
const LOG_ZERO: f64 = -9_999_999_999.0;

/// How BLEU is computed. The default is sacreBLEU's.
#[derive(Clone, Debug, PartialEq)]
pub struct Bleu {
    /// How a text is cut into tokens.
    pub tokenizer: BleuTokenizer,
    /// What is done about precisions of 0.
    pub smoothing: Smoothing,
    /// Whether case counts.
    pub case: Case,
    /// The longest n-grams, `N`.
    pub max_order: usize,
    /// Whether orders that an output is too short for are left out. For single sentences.
    pub effective_order: bool,
}

/// How a text is cut into tokens before BLEU is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BleuTokenizer {
    /// That of `mteval-v13a.pl`, for languages with blanks between words.
    #[default]
    Mteval13a,
    /// Every character a token, for languages without.
    Characters,
    /// At blanks, for text that is cut already.
    None,
}

/// What is done about precisions of 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Smoothing {
    /// The first is taken for half a match, the next for a quarter, and so on.
    #[default]
    Exponential,
    /// Each is taken for so many matches; 0.1 with sacreBLEU.
    Floor(f64),
    /// So much is added to the matches and to the n-grams of all orders but the first; 1 with
    /// sacreBLEU.
    AddK(f64),
    /// Nothing: one precision of 0 makes the score 0.
    None,
}

/// Whether `A` and `a` are different letters to a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// They are.
    #[default]
    Mixed,
    /// They are not: both sides are put in lower case.
    Lower,
}

/// A BLEU score and what it was made of.
#[derive(Clone, Debug, PartialEq)]
pub struct BleuScore {
    /// The score, from 0 to 100.
    pub score: f64,
    /// The precision of each order in percent, smoothed.
    pub precisions: Vec<f64>,
    /// The brevity penalty, `BP`.
    pub brevity_penalty: f64,
    /// Tokens of the outputs, `c`.
    pub output_length: usize,
    /// Tokens of the references of the closest lengths, `r`.
    pub reference_length: usize,
    /// What was computed, as sacreBLEU writes it: two scores can be compared if it is the same.
    pub signature: String,
}

/// Counts of n-grams, summed over a corpus.
#[derive(Clone, Debug, Default)]
struct Counts {
    matched: Vec<usize>,
    total: Vec<usize>,
    output_length: usize,
    reference_length: usize,
}

impl Default for Bleu {
    fn default() -> Self {
        Self {
            tokenizer: BleuTokenizer::default(),
            smoothing: Smoothing::default(),
            case: Case::default(),
            max_order: 4,
            effective_order: false,
        }
    }
}

impl Bleu {
    /// For single sentences: the default with effective order.
    pub fn sentence() -> Self {
        Self { effective_order: true, ..Self::default() }
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
    ) -> Result<BleuScore, ScoreError> {
        let mut counts = Counts {
            matched: vec![0; self.max_order],
            total: vec![0; self.max_order],
            ..Counts::default()
        };
        for (output, references) in paired(outputs, references)? {
            let references = references.iter().map(|text| self.prepare(text.as_ref())).collect();
            counts.add(&self.prepare(output.as_ref()), references);
        }
        let (score, precisions) = self.combine(&counts);
        Ok(BleuScore {
            score,
            precisions,
            brevity_penalty: counts.brevity_penalty(),
            output_length: counts.output_length,
            reference_length: counts.reference_length,
            signature: self.signature(&count_name(references)),
        })
    }

    fn prepare(&self, text: &str) -> Vec<String> {
        let text = match self.case {
            Case::Mixed => text.to_owned(),
            Case::Lower => text.to_lowercase(),
        };
        let text = text.trim_end_matches(is_python_space);
        match self.tokenizer {
            BleuTokenizer::Mteval13a => words(&tokenize_13a(text)),
            BleuTokenizer::Characters => {
                text.chars().filter(|c| !is_python_space(*c)).map(String::from).collect()
            }
            BleuTokenizer::None => words(text),
        }
    }

    fn combine(&self, counts: &Counts) -> (f64, Vec<f64>) {
        let mut precisions = vec![0.0; self.max_order];
        if counts.matched.iter().all(|matched| *matched == 0) {
            return (0.0, precisions);
        }
        let mut halved = 1.0;
        let mut orders = self.max_order;
        for (n, precision) in precisions.iter_mut().enumerate() {
            let (mut matched, mut total) = (counts.matched[n] as f64, counts.total[n] as f64);
            if let (Smoothing::AddK(k), true) = (self.smoothing, n > 0) {
                matched += k;
                total += k;
            }
            if total == 0.0 {
                break;
            }
            if self.effective_order {
                orders = n + 1;
            }
            if matched == 0.0 {
                matched = match self.smoothing {
                    Smoothing::Exponential => {
                        halved /= 2.0;
                        halved
                    }
                    Smoothing::Floor(floor) => floor,
                    Smoothing::AddK(_) | Smoothing::None => 0.0,
                };
            }
            *precision = 100.0 * matched / total;
        }
        let logs = precisions[..orders].iter().map(|p| if *p == 0.0 { LOG_ZERO } else { p.ln() });
        let mean = logs.sum::<f64>() / orders as f64;
        (counts.brevity_penalty() * mean.exp(), precisions)
    }

    fn signature(&self, references: &str) -> String {
        let case = self.case.signature();
        let effective = if self.effective_order { "yes" } else { "no" };
        let tokenizer = match self.tokenizer {
            BleuTokenizer::Mteval13a => "13a",
            BleuTokenizer::Characters => "char",
            BleuTokenizer::None => "none",
        };
        let smoothing = match self.smoothing {
            Smoothing::Exponential => "exp".to_owned(),
            Smoothing::Floor(floor) => format!("floor[{floor:.2}]"),
            Smoothing::AddK(k) => format!("add-k[{k:.2}]"),
            Smoothing::None => "none".to_owned(),
        };
        format!(
            "nrefs:{references}|case:{case}|eff:{effective}|tok:{tokenizer}|smooth:{smoothing}\
             |version:{SACREBLEU}"
        )
    }
}

impl Case {
    pub(crate) fn signature(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Lower => "lc",
        }
    }
}

impl Counts {
    fn add(&mut self, output: &[String], references: Vec<Vec<String>>) {
        let closest = references.iter().map(Vec::len);
        let closest = closest.min_by_key(|length| (length.abs_diff(output.len()), *length));
        self.output_length += output.len();
        self.reference_length += closest.unwrap_or(0);

        for n in 0..self.matched.len() {
            let mut most: HashMap<&[String], usize> = HashMap::new();
            for reference in &references {
                for (ngram, count) in ngrams(reference, n + 1) {
                    let most = most.entry(ngram).or_default();
                    *most = count.max(*most);
                }
            }
            for (ngram, count) in ngrams(output, n + 1) {
                self.total[n] += count;
                self.matched[n] += most.get(ngram).map_or(0, |most| count.min(*most));
            }
        }
    }

    fn brevity_penalty(&self) -> f64 {
        if self.output_length >= self.reference_length {
            1.0
        } else if self.output_length == 0 {
            0.0
        } else {
            (1.0 - self.reference_length as f64 / self.output_length as f64).exp()
        }
    }
}

/// How often every stretch of `order` tokens occurs.
pub(crate) fn ngrams<T: Eq + std::hash::Hash>(tokens: &[T], order: usize) -> HashMap<&[T], usize> {
    let mut counts = HashMap::new();
    for ngram in tokens.windows(order) {
        *counts.entry(ngram).or_default() += 1;
    }
    counts
}

fn words(text: &str) -> Vec<String> {
    python_words(text).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAT: &str = "the cat sat on the mat";

    fn unsmoothed(output: &str) -> f64 {
        let bleu = Bleu { smoothing: Smoothing::None, ..Bleu::default() };
        bleu.score(&[output], &[vec![CAT]]).unwrap().score / 100.0
    }

    /// Golden numbers of the specification, 13.4, each from its n-gram counts.
    #[test]
    fn one_word_too_many_costs_precision() {
        let by_hand = (6.0 / 7.0 * 5.0 / 6.0 * 4.0 / 5.0 * 3.0 / 4.0_f64).powf(0.25);
        assert!((unsmoothed("the cat sat on the mat today") - by_hand).abs() < 1e-12);
        assert!((by_hand - 0.809_107).abs() < 5e-7);
    }

    #[test]
    fn one_word_too_few_costs_brevity() {
        let by_hand = (-1.0 / 5.0_f64).exp();
        assert!((unsmoothed("the cat sat on the") - by_hand).abs() < 1e-12);
        assert!((by_hand - 0.818_731).abs() < 5e-7);
    }

    #[test]
    fn without_a_matching_four_gram_the_unsmoothed_score_is_0() {
        assert_eq!(unsmoothed("the cat lay on the mat"), 0.0);
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        let error = Bleu::default().score(&["a"], &[Vec::<&str>::new()]).unwrap_err();
        assert_eq!(error, ScoreError::NoReference { output: 0 });
    }
}
