//! How likely tokens are, as models say it.

use burn::{
    prelude::*,
    tensor::{DType, activation::log_softmax},
};

/// How likely each token is to come next, after every row. Search never writes `<pad>` or `<s>`,
/// whatever stands there.
#[derive(Clone, Debug)]
pub enum Scores {
    /// Log-probabilities, `[R, V]`, none above 0.
    LogProbs(Tensor<2>),
    /// Log-probabilities up to a constant of each row, `[R, V]`: what a last layer puts out. Search
    /// takes the constant off where it looks at the row.
    Logits(Tensor<2>),
    /// Those of several models, at least one: what counts is the mean of their probabilities.
    Mean(Vec<Self>),
}

impl Scores {
    /// The log-probabilities, `[R, V]`. Search does without: it reads the scores as they are.
    ///
    /// # Panics
    ///
    /// If they are the mean of nothing.
    pub fn log_probs(self) -> Tensor<2> {
        match self {
            Self::LogProbs(log_probs) => log_probs,
            Self::Logits(logits) => log_softmax(logits, 1),
            Self::Mean(members) => {
                let members = members.into_iter().map(Self::log_probs).collect();
                log_mean_exp(Tensor::stack(members, 0))
            }
        }
    }
}

/// The logarithm of the mean over the first axis of what `logs`, `[M, R, V]`, are logarithms of:
/// `[R, V]`.
fn log_mean_exp(logs: Tensor<3>) -> Tensor<2> {
    // Finite, so that what no model allows stays at −∞.
    let lowest = if logs.dtype() == DType::F16 { -6e4 } else { -1e30 };
    let highest = logs.clone().max_dim(0).clamp_min(lowest);
    let mean = (logs - highest.clone()).exp().mean_dim(0);
    (mean.log() + highest).squeeze_dim(0)
}
