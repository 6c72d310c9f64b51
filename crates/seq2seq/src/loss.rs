//! The loss of a sequence of tokens.
//!
//! ```text
//! nll  = Σ_{b,t not padding} −log p_{b,t}(y_{b,t})
//! loss = Σ_{b,t not padding} (1 − ε)·(−log p(y)) + ε·(−1/V Σ_v log p(v))       label smoothing ε
//! ```
//!
//! `</s>` counts as a token, `<s>` and `<pad>` do not. What the sum is divided by before the
//! backward pass is a choice, and learning rates only make sense with the right one: tensorflow/nmt
//! and Sutskever divide by the sentences of a batch, most others by its tokens.
//!
//! Source of label smoothing: Szegedy et al. (2016), Rethinking the Inception Architecture,
//! section 7.

use burn::{prelude::*, tensor::activation::log_softmax};
use recurrent_kernels::Losses;
use recurrent_training::Loss;
use serde::{Deserialize, Serialize};

use crate::{Embedding, Output, Padded};

/// What the summed loss of a batch is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The tokens of the batch.
    #[default]
    Tokens,
    /// The sentences of the batch.
    Sentences,
}

/// Cross-entropy with label smoothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropy {
    /// How much of the target is spread over the whole vocabulary, `ε`, in `[0, 1)`.
    pub label_smoothing: f64,
    /// What the sum is divided by.
    pub reduction: Reduction,
}

impl CrossEntropy {
    /// The loss of `logits`, `[B, T, V]`, for `targets`, `[B, T]`; padded steps are those where
    /// `pad_mask` is true.
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn loss(
        &self,
        logits: Tensor<3>,
        targets: Tensor<2, Int>,
        pad_mask: Option<Tensor<2, Bool>>,
        tokens: usize,
    ) -> Loss {
        let [batch, steps, vocabulary] = logits.dims();
        assert_shape!(targets, [batch, steps]);
        let keep = |values: Tensor<2>| match &pad_mask {
            None => values,
            Some(mask) => values.mask_fill(mask.clone(), 0.0),
        };
        let log_p = log_softmax(logits, 2);
        let chosen = log_p.clone().gather(2, targets.unsqueeze_dim(2)).squeeze_dim(2);
        let nll = keep(chosen).sum().neg();
        let sum = if self.label_smoothing > 0.0 {
            let spread = keep(log_p.sum_dim(2).squeeze_dim(2)).sum().neg() / vocabulary as f64;
            nll.clone() * (1.0 - self.label_smoothing) + spread * self.label_smoothing
        } else {
            nll.clone()
        };
        self.reduced(sum, nll.detach(), batch, tokens)
    }

    /// The loss of the logits that `output` makes of `readouts`, `[B, T, R]`, for `targets`: the same
    /// as of [`loss`](Self::loss), but faster, and in the memory of a few rows. `embedding` is the one
    /// that a tied layer is tied to.
    ///
    /// # Panics
    ///
    /// If a shape is wrong, or a target is not below the vocabulary.
    pub fn of_readouts(
        &self,
        readouts: Tensor<3>,
        output: &Output,
        embedding: &Embedding,
        targets: &Padded,
    ) -> Loss {
        let wanted = targets.targets(self.label_smoothing);
        let Losses { smoothed, nll } = output.losses(readouts, embedding, &wanted);
        self.reduced(smoothed, nll, targets.batch(), targets.tokens())
    }

    fn reduced(&self, sum: Tensor<1>, nll: Tensor<1>, batch: usize, tokens: usize) -> Loss {
        let weight = match self.reduction {
            Reduction::Tokens => tokens,
            Reduction::Sentences => batch,
        };
        Loss { sum, weight: weight as f64, nll, items: tokens }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;
    use recurrent_testkit::{assert_close, check_input_gradient, in_f64, random};

    use super::*;
    use crate::EmbeddingConfig;

    fn batch(device: &Device) -> (Tensor<3>, Tensor<2, Int>, Tensor<2, Bool>) {
        let logits = random([2, 3, 5], 1, DType::F64, device);
        let targets = Tensor::from_data([[4, 1, 3], [2, 3, 0]], device);
        let mask = Tensor::from_data([[false, false, false], [false, false, true]], device);
        (logits, targets, mask)
    }

    /// The formula of the header, written out in `f64`.
    #[test]
    fn smoothed_loss_by_hand() {
        let device = Device::flex();
        let (logits, targets, mask) = batch(&device);
        let rows: Vec<f64> = logits.to_data().iter::<f64>().collect();
        let picked = [(0, 4), (1, 1), (2, 3), (3, 2), (4, 3)];
        let (mut nll, mut smoothed) = (0.0, 0.0);
        for (row, y) in picked {
            let row = &rows[row * 5..][..5];
            let log_sum = row.iter().map(|x| x.exp()).sum::<f64>().ln();
            let spread: f64 = row.iter().map(|x| (log_sum - x) / 5.0).sum();
            nll += log_sum - row[y];
            smoothed += 0.9 * (log_sum - row[y]) + 0.1 * spread;
        }
        let entropy = CrossEntropy { label_smoothing: 0.1, ..Default::default() };
        let loss = entropy.loss(logits, targets, Some(mask), 5);
        assert_close(&loss.nll, [nll], 1e-12);
        assert_close(&loss.sum, [smoothed], 1e-12);
        assert_eq!((loss.weight, loss.items), (5.0, 5));
    }

    /// S2-6: what stands at a padded step, NaN included, changes neither loss nor gradient.
    #[test]
    fn padding_is_not_read() {
        let device = Device::flex().autodiff();
        let (logits, targets, mask) = batch(&device);
        let spoiled = logits.clone().slice_fill(s![1, 2, ..], f64::NAN);
        let entropy = CrossEntropy { label_smoothing: 0.1, reduction: Reduction::Sentences };
        let run = |logits: Tensor<3>| {
            let logits = logits.detach().require_grad();
            let loss = entropy.loss(logits.clone(), targets.clone(), Some(mask.clone()), 5);
            assert_eq!(loss.weight, 2.0);
            let gradients = loss.sum.backward();
            (loss.sum, logits.grad(&gradients).unwrap())
        };
        let (clean, gradient) = run(logits);
        let (loss, spoiled) = run(spoiled);
        assert_close(&loss, clean.to_data(), 1e-12);
        let real = |gradient: Tensor<3>| gradient.reshape([6, 5]).narrow(0, 0, 5);
        assert_close(&real(spoiled), real(gradient).to_data(), 1e-12);
    }

    /// The loss of readouts is that of their logits, with a layer of its own and with a tied one.
    #[test]
    fn readouts_and_their_logits_have_one_loss() {
        let device = Device::flex().autodiff();
        let table = in_f64(EmbeddingConfig::new(7, 3).init(&device));
        let targets = Padded::ended(&[vec![4, 5, 6], vec![5]]);
        let readouts = random([2, 4, 3], 1, DType::F64, &device);
        let spoiled = readouts.clone().slice_fill(s![1, 2.., ..], f64::NAN);
        let entropy = CrossEntropy { label_smoothing: 0.1, reduction: Reduction::Sentences };
        for output in [Output::new(3, 7, &device), Output::tied(7, &device)].map(in_f64) {
            let of_readouts = entropy.of_readouts(spoiled.clone(), &output, &table, &targets);
            let logits = output.forward(readouts.clone(), &table);
            let (ids, mask) = (targets.tensor(&device), targets.pad_mask(&device));
            let of_logits = entropy.loss(logits, ids, mask, targets.tokens());
            assert_close(&of_readouts.sum, of_logits.sum.to_data(), 1e-12);
            assert_close(&of_readouts.nll, of_logits.nll.to_data(), 1e-12);
            assert_eq!((of_readouts.weight, of_readouts.items), (2.0, 6));
            assert_eq!((of_logits.weight, of_logits.items), (2.0, 6));
        }
    }

    #[test]
    fn gradients_match_finite_differences() {
        let device = Device::flex().autodiff();
        let (logits, targets, mask) = batch(&device);
        let entropy = CrossEntropy { label_smoothing: 0.2, ..Default::default() };
        check_input_gradient(logits, 1e-7, |logits| {
            entropy.loss(logits, targets.clone(), Some(mask.clone()), 5).sum
        });
    }
}
