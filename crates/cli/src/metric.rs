//! What is measured of outputs.

use recurrent_text::{Bleu, BleuTokenizer, Chrf, ScoreError, edit, exact_match};
use recurrent_training::Direction;
use serde::{Deserialize, Serialize};

/// Something that is measured of outputs against their references. All are in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Outputs that are equal to a reference.
    ExactMatch,
    /// Outputs that differ from every reference: the word error rate where each is a word.
    Wer,
    /// Edits over the tokens between blanks of the closest reference: the phoneme error rate where
    /// each is a phoneme.
    Per,
    /// Edits over the characters of the closest reference.
    Cer,
    /// Corpus BLEU, sacreBLEU's `13a` tokens.
    Bleu,
    /// Corpus BLEU over characters.
    CharacterBleu,
    /// chrF, of characters.
    Chrf,
}

impl Metric {
    /// What it is called in results and by `training.metric`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExactMatch => "exact_match",
            Self::Wer => "wer",
            Self::Per => "per",
            Self::Cer => "cer",
            Self::Bleu => "bleu",
            Self::CharacterBleu => "character_bleu",
            Self::Chrf => "chrf",
        }
    }

    /// Which values of it are the better ones.
    pub fn direction(self) -> Direction {
        match self {
            Self::ExactMatch | Self::Bleu | Self::CharacterBleu | Self::Chrf => Direction::Highest,
            Self::Wer | Self::Per | Self::Cer => Direction::Lowest,
        }
    }

    /// Measures `outputs`, each of which has one or more references.
    ///
    /// # Errors
    ///
    /// If there is nothing to measure.
    pub fn measure(
        self,
        outputs: &[String],
        references: &[Vec<String>],
    ) -> Result<f64, ScoreError> {
        match self {
            Self::ExactMatch => Ok(100.0 * exact_match(outputs, references)?),
            Self::Wer => {
                Ok(100.0
                    * edit::sequence_error_rate(&split(outputs, words), &all(references, words))?)
            }
            Self::Per => {
                Ok(100.0 * edit::token_error_rate(&split(outputs, words), &all(references, words))?)
            }
            Self::Cer => Ok(100.0
                * edit::token_error_rate(&split(outputs, letters), &all(references, letters))?),
            Self::Bleu => Ok(Bleu::default().score(outputs, references)?.score),
            Self::CharacterBleu => {
                let bleu = Bleu { tokenizer: BleuTokenizer::Characters, ..Bleu::default() };
                Ok(bleu.score(outputs, references)?.score)
            }
            Self::Chrf => Ok(Chrf::default().score(outputs, references)?.score),
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn letters(text: &str) -> Vec<String> {
    text.chars().map(String::from).collect()
}

fn split(texts: &[String], cut: fn(&str) -> Vec<String>) -> Vec<Vec<String>> {
    texts.iter().map(|text| cut(text)).collect()
}

fn all(references: &[Vec<String>], cut: fn(&str) -> Vec<String>) -> Vec<Vec<Vec<String>>> {
    references.iter().map(|texts| split(texts, cut)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two words, one right by its second pronunciation, the other with one phoneme of two wrong.
    #[test]
    fn rates_are_those_of_the_field() {
        let outputs = ["K AE T", "D AO"].map(str::to_owned);
        let references = [vec!["K AA T", "K AE T"], vec!["D AA"]];
        let references = references.map(|texts| texts.into_iter().map(str::to_owned).collect());
        let measure = |metric: Metric| metric.measure(&outputs, &references).unwrap();
        assert_eq!(measure(Metric::ExactMatch), 50.0);
        assert_eq!(measure(Metric::Wer), 50.0);
        assert_eq!(measure(Metric::Per), 20.0);
        assert_eq!(measure(Metric::Cer), 10.0);
    }
}
