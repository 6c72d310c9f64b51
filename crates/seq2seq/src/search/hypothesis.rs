//! What search finds.

use serde::{Deserialize, Serialize};

/// How an output came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The model wrote `</s>`.
    Written,
    /// The output had as many tokens as it may have, or nothing else was allowed, and the model
    /// held something else than `</s>` for likelier. The probability of `</s>` counts all the same.
    Cut,
}

/// One output, with all that is known about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    /// The tokens, without `<s>` and `</s>`.
    pub tokens: Vec<u32>,
    /// How it came to its end.
    pub ending: Ending,
    /// `log P(Y | X)`, the sum of `token_log_probs`.
    pub log_prob: f64,
    /// `lp(Y)`; 1 where lengths are not weighed.
    pub length_penalty: f64,
    /// `cp(X; Y)`, at most 0; 0 where coverage is not weighed.
    pub coverage_penalty: f64,
    /// `log P(Y | X) / lp(Y) + cp(X; Y)`, what outputs are ranked by.
    pub score: f64,
    /// The log-probability of each token and of `</s>`.
    pub token_log_probs: Vec<f64>,
    /// Where the model looked when it wrote each token and `</s>`: a row a step, a number for each
    /// real position of the source. Empty if it does not look.
    pub weights: Vec<Vec<f32>>,
}
