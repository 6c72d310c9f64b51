//! Refinement by expected reward: a model learns from what it writes itself.
//!
//! ```text
//! O_RL = Σ_b Σ_Y P(Y | X_b) · r(Y, Y*_b)                       r is GLEU
//! O    = α · O_ML + O_RL
//! ∇O_RL ≈ Σ_b 1/m Σ_k (r_k − r̄) · ∇ log P(Y_k | X_b)          m outputs drawn for each source
//! ```
//!
//! `r̄` is the mean reward of the `m` outputs of a source. The likelihood learns from true tokens alone
//! and never from whole outputs, which is what is measured in the end. It is for a model that has
//! learned by likelihood before: one that has not draws nothing worth a reward. There is no dropout, and
//! drawing has no gradient. An output that was cut at its limit was not ended by the model: the
//! probability of the `</s>` behind it is no part of `P(Y_k | X_b)`.
//!
//! Source: Wu et al. (2016), section 5.2, equations 8 and 9; the estimate, Williams (1992), Simple
//! Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning.

use burn::{prelude::*, tensor::activation::log_softmax};
use recurrent_seq2seq::{
    Padded, PairBatch,
    search::{Ending, Hypothesis, Limits, Sampling, sample},
};
use recurrent_text::gleu;
use recurrent_training::{Loss, Moment, OutOfRange};
use serde::{Deserialize, Serialize};

use crate::Gnmt;

/// How a model is refined.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Refinement {
    /// Outputs drawn for each source, `m`, at least 2.
    pub samples: usize,
    /// Weight of the likelihood, `α`, at least 0.
    pub likelihood: f64,
}

impl Default for Refinement {
    /// The paper's: 15 outputs, `α` of 0.017.
    fn default() -> Self {
        Self { samples: 15, likelihood: 0.017 }
    }
}

/// Outputs of a batch that a model is to find likelier or less likely.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    /// One output for each source, as pairs, and that once for each draw.
    pub(crate) outputs: Vec<PairBatch>,
    /// How each output of each draw came to its end.
    pub(crate) endings: Vec<Vec<Ending>>,
    /// `(r_k − r̄) / m` of each output of each draw.
    pub(crate) advantages: Vec<Vec<f64>>,
    /// The mean reward of all.
    pub(crate) reward: f64,
}

impl Refinement {
    pub(crate) fn validate(&self) -> Result<(), OutOfRange> {
        let two = |samples: &usize| *samples >= 2;
        OutOfRange::check("refinement.samples", self.samples, two, "at least 2")?;
        let weight = |weight: &f64| weight.is_finite() && *weight >= 0.0;
        OutOfRange::check("refinement.likelihood", self.likelihood, weight, "at least 0")
    }

    /// The mean reward of what `model` writes by chance for the sources of `batch`: what refinement
    /// raises.
    pub fn reward(&self, model: &Gnmt, batch: &PairBatch, at: &Moment) -> f64 {
        self.draw(model, batch, at).reward
    }

    /// Draws outputs for the sources of `batch` and weighs them by their rewards.
    pub(crate) fn draw(&self, model: &Gnmt, batch: &PairBatch, at: &Moment) -> Drawn {
        let (sources, targets) = (without_end(&batch.source), without_end(&batch.ended));
        let lengths: Vec<usize> = sources.iter().map(Vec::len).collect();
        let sampling = Sampling { count: self.samples, seed: at.mixed(), ..Sampling::default() };
        let writer = model.valid();
        let generator = recurrent_seq2seq::Translator::generator(&writer, &sources);
        let drawn = sample(&generator, &sampling, &Limits::twice(&lengths));
        // What is not a number has no reward; the loss will be none either, and training stops there.
        let drawn = drawn.unwrap_or_else(|_| vec![Vec::new(); sources.len()]);
        let output = |of: &Vec<Hypothesis>, k: usize| match of.get(k) {
            Some(found) => (found.tokens.clone(), found.ending),
            None => (Vec::new(), Ending::Written),
        };
        let draw = |k: usize| drawn.iter().map(|of| output(of, k)).unzip();
        let (outputs, endings): (Vec<Vec<Vec<u32>>>, Vec<Vec<Ending>>) =
            (0..self.samples).map(draw).unzip();
        let rewards: Vec<Vec<f64>> = outputs
            .iter()
            .map(|of| of.iter().zip(&targets).map(|(y, true_y)| gleu(y, true_y)).collect())
            .collect();
        let m = self.samples as f64;
        let mean = |b: usize| rewards.iter().map(|of| of[b]).sum::<f64>() / m;
        let means: Vec<f64> = (0..targets.len()).map(mean).collect();
        let advantages = rewards
            .iter()
            .map(|of| of.iter().zip(&means).map(|(reward, mean)| (reward - mean) / m).collect());
        Drawn {
            advantages: advantages.collect(),
            outputs: outputs.iter().map(|of| PairBatch::new(&sources, of)).collect(),
            endings,
            reward: means.iter().sum::<f64>() / means.len() as f64,
        }
    }

    /// `−O` of a batch, per sentence: what is minimised.
    pub(crate) fn loss(&self, model: &Gnmt, batch: &PairBatch, at: &Moment) -> Loss {
        let model = model.without_dropout();
        let drawn = self.draw(&model, batch, at);
        let likelihood = model.likelihood(batch);
        let sum = likelihood.sum * self.likelihood + weighted(&model, &drawn);
        Loss { sum, weight: batch.source.batch() as f64, ..likelihood }
    }
}

/// `−Σ_b Σ_k (r_k − r̄) / m · log P(Y_k | X_b)`.
pub(crate) fn weighted(model: &Gnmt, drawn: &Drawn) -> Tensor<1> {
    let device = model.device();
    let one = |((pairs, endings), advantages): ((&PairBatch, &Vec<Ending>), &Vec<f64>)| {
        let log_p = log_softmax(model.forced(pairs).0, 2);
        let ids = pairs.ended.tensor(&device).unsqueeze_dim(2);
        let chosen: Tensor<2> = log_p.gather(2, ids).squeeze_dim(2);
        let weights = weights(&pairs.ended, endings, advantages);
        let weights = Tensor::from_data(weights, (&device, chosen.dtype()));
        (chosen * weights).sum().neg()
    };
    let sums = drawn.outputs.iter().zip(&drawn.endings).zip(&drawn.advantages).map(one);
    sums.reduce(|a, b| a + b).expect("at least two outputs are drawn")
}

/// The advantage of its output for every token that was drawn, `[B, T]`; 0 for padding and for a `</s>`
/// that was not.
fn weights(ended: &Padded, endings: &[Ending], advantages: &[f64]) -> TensorData {
    let steps = ended.steps();
    let row = |((written, ending), advantage): ((Vec<u32>, &Ending), &f64)| {
        let drawn = match ending {
            Ending::Written => written.len(),
            Ending::Cut => written.len() - 1,
        };
        (0..steps).map(move |t| if t < drawn { *advantage } else { 0.0 }).collect::<Vec<f64>>()
    };
    let rows: Vec<f64> = ended.rows().zip(endings).zip(advantages).flat_map(row).collect();
    TensorData::new(rows, [ended.batch(), steps])
}

/// The rows of ids, without the `</s>` that ends each.
fn without_end(padded: &Padded) -> Vec<Vec<u32>> {
    let without = |mut row: Vec<u32>| {
        row.pop();
        row
    };
    padded.rows().map(without).collect()
}
