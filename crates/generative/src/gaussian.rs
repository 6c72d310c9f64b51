//! Normal distributions whose dimensions have nothing to do with each other.
//!
//! ```text
//! z      = μ + exp(½ ln σ²) ⊙ ε                       ε ~ N(0, I)
//! KL     = ½ (σ²_q/σ²_p + (μ_q − μ_p)²/σ²_p − 1 + ln σ²_p − ln σ²_q)          for each dimension
//! KL     = ½ (σ² + μ² − 1 − ln σ²)                    from N(0, I)
//! ln N   = −½ Σ_j (ln 2π + ln σ²_j + (z_j − μ_j)²/σ²_j)
//! ```
//!
//! Source: Kingma & Welling (2014), Auto-Encoding Variational Bayes, section 2.4 and appendix B.

use std::f64::consts::TAU;

use burn::prelude::*;
use rand::Rng;

use crate::noise;

/// A batch of diagonal Gaussians.
#[derive(Clone, Debug)]
pub struct DiagonalGaussian {
    /// `μ`, `[B, Z]`.
    pub mean: Tensor<2>,
    /// `ln σ²`, `[B, Z]`.
    pub log_variance: Tensor<2>,
}

impl DiagonalGaussian {
    /// Where the noise `ε`, `[B, Z]`, leads: the mean where it is zero.
    pub fn at(&self, noise: Tensor<2>) -> Tensor<2> {
        self.mean.clone() + (self.log_variance.clone() * 0.5).exp() * noise
    }

    /// A draw from each, `[B, Z]`; gradients go through it.
    pub fn sample(&self, rng: &mut impl Rng) -> Tensor<2> {
        self.at(noise::normal(rng, &self.mean))
    }

    /// The divergence from the standard normal distribution, `[B, Z]`, in nats a dimension.
    pub fn kl_from_standard(&self) -> Tensor<2> {
        let (mean, log_variance) = (self.mean.clone(), self.log_variance.clone());
        (log_variance.clone().exp() + mean.square() - log_variance - 1.0) * 0.5
    }

    /// The divergence from `prior`, `[B, Z]`, in nats a dimension.
    pub fn kl_from(&self, prior: &Self) -> Tensor<2> {
        let log_ratio = self.log_variance.clone() - prior.log_variance.clone();
        let apart = (self.mean.clone() - prior.mean.clone()).square();
        let apart = apart * prior.log_variance.clone().neg().exp();
        (log_ratio.clone().exp() + apart - log_ratio - 1.0) * 0.5
    }

    /// The logarithm of the density at `z`, `[B, Z]`: `[B]`.
    pub fn log_density(&self, z: Tensor<2>) -> Tensor<1> {
        let scaled = (z - self.mean.clone()).square() * self.log_variance.clone().neg().exp();
        let each = scaled + self.log_variance.clone() + TAU.ln();
        (each.sum_dim(1) * -0.5).squeeze_dim(1)
    }

    /// Each of them `count` times, one behind the other: `[B · count, Z]`.
    #[must_use]
    pub fn repeated(&self, count: usize) -> Self {
        Self {
            mean: rows_repeated(self.mean.clone(), count),
            log_variance: rows_repeated(self.log_variance.clone(), count),
        }
    }
}

/// The logarithm of the standard normal density at `z`, `[B, Z]`: `[B]`.
pub fn standard_log_density(z: Tensor<2>) -> Tensor<1> {
    ((z.square() + TAU.ln()).sum_dim(1) * -0.5).squeeze_dim(1)
}

/// Every row `count` times, one behind the other: `[B, D]` to `[B · count, D]`.
pub(crate) fn rows_repeated(x: Tensor<2>, count: usize) -> Tensor<2> {
    let [rows, width] = x.dims();
    x.unsqueeze_dim::<3>(1).repeat_dim(1, count).reshape([rows * count, width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;
    use recurrent_testkit::{assert_close, check_input_gradient, random};
    use recurrent_training::Moment;

    use super::*;

    fn gaussian(mean: [f64; 2], variance: [f64; 2]) -> DiagonalGaussian {
        let device = (&Device::flex(), DType::F64);
        DiagonalGaussian {
            mean: Tensor::from_data([mean], device),
            log_variance: Tensor::from_data([variance.map(f64::ln)], device),
        }
    }

    /// VH-1, golden numbers of the specification, 13.2.
    #[test]
    fn divergence_by_hand() {
        let q = gaussian([0.5, -1.0], [0.25, 2.0]);
        let p = gaussian([0.0, 0.5], [1.0, 0.5]);
        assert_close(&q.kl_from(&p), [[0.443_147_18, 3.056_852_82]], 1e-8);
        assert_close(&q.kl_from(&p).sum(), [3.5], 1e-12);
        assert_close(&q.kl_from_standard().sum(), [1.096_573_59], 1e-8);
        let standard = gaussian([0.0; 2], [1.0; 2]);
        assert_close(&q.kl_from(&standard), q.kl_from_standard().to_data(), 1e-12);
    }

    /// VA-1, VH-1: zero from itself and positive from any other.
    #[test]
    fn divergence_is_zero_from_itself_alone() {
        let device = Device::flex();
        let draw = |seed| DiagonalGaussian {
            mean: random([50, 3], seed, DType::F64, &device),
            log_variance: random([50, 3], seed + 1, DType::F64, &device),
        };
        let (q, p) = (draw(1), draw(3));
        assert_close(&q.kl_from(&q), Tensor::<2>::zeros([50, 3], &device).to_data(), 1e-15);
        for kl in [q.kl_from(&p), q.kl_from_standard()] {
            assert!(kl.into_data().iter::<f64>().all(|kl| kl > 0.0));
        }
        assert_close(&gaussian([0.0; 2], [1.0; 2]).kl_from_standard(), [[0.0, 0.0]], 0.0);
    }

    /// VA-1, VH-1: the mean of `ln q(z) − ln p(z)` over draws from `q` is the divergence, within four
    /// standard errors.
    #[test]
    fn divergence_is_what_draws_say() {
        let mut rng = Moment { seed: 1, epoch: 0, step: 0 }.rng();
        let q = gaussian([0.5, -1.0], [0.25, 2.0]);
        let p = gaussian([0.0, 0.5], [1.0, 0.5]);
        let count = 100_000;
        let z = q.repeated(count).sample(&mut rng);
        let from = |prior: Tensor<1>, kl: f64| {
            let ratios = q.repeated(count).log_density(z.clone()) - prior;
            let ratios: Vec<f64> = ratios.into_data().iter().collect();
            let mean = ratios.iter().sum::<f64>() / count as f64;
            let spread = ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / count as f64;
            let error = (spread / count as f64).sqrt();
            assert!((mean - kl).abs() < 4.0 * error, "{mean} ± {error} for {kl}");
        };
        from(p.repeated(count).log_density(z.clone()), 3.5);
        from(standard_log_density(z.clone()), 1.096_573_59);
    }

    #[test]
    fn gradients_match_finite_differences() {
        let device = Device::flex().autodiff();
        let draw = |seed| random([2, 3], seed, DType::F64, &device);
        let (noise, p) = (draw(1), DiagonalGaussian { mean: draw(2), log_variance: draw(3) });
        let both = |mean: Tensor<2>, log_variance: Tensor<2>| {
            let q = DiagonalGaussian { mean, log_variance };
            let z = q.at(noise.clone());
            let density = q.log_density(z.clone()) + standard_log_density(z);
            q.kl_from(&p).sum() + q.kl_from_standard().sum() * 2.0 + density.sum()
        };
        check_input_gradient(draw(4), 1e-7, |mean| both(mean, draw(5)));
        check_input_gradient(draw(5), 1e-7, |log_variance| both(draw(4), log_variance));
    }
}
