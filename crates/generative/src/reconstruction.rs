//! How far what comes out of a model is from what went in.
//!
//! ```text
//! cross-entropy    Σ_d softplus(l_d) − x_d · l_d          logits l, x in [0, 1]
//! squared error    Σ_d (x_d − y_d)²                       y the output itself
//! ```
//!
//! In nats a vector, summed over its features: a mean over them would make the weight of every
//! other term depend on how large pictures are. The first is `−log p(x)` of independent coins where
//! `x` is 0 or 1; between the two it is a loss and no likelihood, and cannot be compared with one.

use burn::{
    prelude::*,
    tensor::activation::{log_sigmoid, sigmoid},
};

/// Cross-entropy of `logits` for `x`, both `[B, D]`: `[B]`. Finite for any finite logit.
pub fn cross_entropy(x: Tensor<2>, logits: Tensor<2>) -> Tensor<1> {
    let softplus = log_sigmoid(-logits.clone()).neg();
    (softplus - x * logits).sum_dim(1).squeeze_dim(1)
}

/// Squared error of `y` for `x`, both `[B, D]`: `[B]`.
pub fn squared_error(x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
    (x - y).square().sum_dim(1).squeeze_dim(1)
}

/// The chances that `logits` stand for, in `(0, 1)`.
pub fn chances(logits: Tensor<2>) -> Tensor<2> {
    sigmoid(logits)
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;
    use recurrent_testkit::{assert_close, check_input_gradient, random};

    use super::*;

    /// VA-2: finite at logits of ±1000, and elsewhere `−Σ x ln σ(l) + (1 − x) ln(1 − σ(l))`.
    #[test]
    fn cross_entropy_is_stable_and_right() {
        let device = (&Device::flex(), DType::F64);
        let far = Tensor::<2>::from_data([[1000.0, -1000.0, 1000.0, -1000.0]], device);
        let x = Tensor::<2>::from_data([[1.0, 0.0, 0.25, 1.0]], device);
        assert_close(&cross_entropy(x.clone(), far), [750.0 + 1000.0], 1e-9);
        let l = [0.3_f64, -2.0, 4.0, 0.0];
        let naive: f64 = [1.0, 0.0, 0.25, 1.0]
            .into_iter()
            .zip(l)
            .map(|(x, l)| {
                let p = 1.0 / (1.0 + (-l).exp());
                -x * p.ln() - (1.0 - x) * (1.0 - p).ln()
            })
            .sum();
        assert_close(&cross_entropy(x, Tensor::from_data([l], device)), [naive], 1e-12);
    }

    #[test]
    fn gradients_match_finite_differences() {
        let device = Device::flex().autodiff();
        let x = random([2, 3], 1, DType::F64, &device);
        let targets = chances(random([2, 3], 2, DType::F64, &device)).detach();
        check_input_gradient(x.clone(), 1e-7, |l| cross_entropy(targets.clone(), l).sum());
        check_input_gradient(x, 1e-7, |y| squared_error(targets.clone(), y).sum());
    }
}
