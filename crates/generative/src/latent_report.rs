//! What a latent variable is used for: the numbers that people end up asking for.
//!
//! ```text
//! active units        |{j : Var_x(E_q z_j) > 0.01}|
//! mutual information  E_x[ln q(z|x) − ln q(z)],   q(z) = 1/N Σ_n q(z|x_n)          at most ln N
//! ```
//!
//! A divergence of zero says that the posterior is the prior, so that nothing of `x` is in `z`: the
//! posterior has collapsed. A high divergence alone does not say that much of `x` is in `z`; the
//! mutual information does.
//!
//! Sources: Burda, Grosse & Salakhutdinov (2016), section 5.1 (active units); Hoffman & Johnson (2016),
//! ELBO Surgery (mutual information).

use burn::prelude::*;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::DiagonalGaussian;

/// A mean varies, if its variance over the examples is above this.
const VARIES: f64 = 0.01;

/// A dimension of the posterior says something, if its divergence is above this, in nats.
const SAYS: f64 = 0.01;

/// As many examples stand for all where every pair of them is looked at.
const PAIRS: usize = 1000;

/// What is gathered of a latent variable, batch by batch.
#[derive(Clone, Debug, Default)]
pub struct Latents {
    d_latent: usize,
    /// `[N, Z]` each.
    means: Vec<f64>,
    log_variances: Vec<f64>,
    draws: Vec<f64>,
    kl: Vec<f64>,
    /// `[N]`, or nothing where examples are no turns.
    turns: Vec<usize>,
}

/// What a latent variable is used for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatentReport {
    /// Examples that it is about.
    pub examples: usize,
    /// The divergence of the posterior from the prior, in nats an example.
    pub kl: f64,
    /// The same, dimension by dimension.
    pub kl_by_dimension: Vec<f64>,
    /// That of the first turns of all conversations, of the second ones, and so on; empty where examples
    /// are no turns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kl_by_turn: Vec<TurnKl>,
    /// Dimensions whose mean varies from example to example.
    pub active_units: usize,
    /// What a draw tells of its example, in nats; over the first thousand, so at most 6.9.
    pub mutual_information: f64,
    /// Whether the posterior has collapsed.
    pub collapse: Collapse,
}

/// The divergence of all turns that have the same number in their conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnKl {
    /// How many there are.
    pub turns: usize,
    /// Their divergence, in nats a turn.
    pub kl: f64,
}

/// Whether a posterior is the prior.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collapse {
    /// Every dimension says something of the example.
    None,
    /// Some dimensions do not: they are as the prior.
    Partial,
    /// None does: the model does without its latent variable.
    Whole,
}

impl Latents {
    /// Takes in a batch: its posterior, and the divergences from the prior, `[B, Z]`. A draw of each is
    /// made.
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn add(&mut self, posterior: &DiagonalGaussian, kl: Tensor<2>, rng: &mut impl Rng) {
        let [batch, d_latent] = posterior.mean.dims();
        assert_eq!(kl.dims(), [batch, d_latent], "a divergence for each number");
        assert!(self.d_latent == 0 || self.d_latent == d_latent, "one model, one latent variable");
        self.d_latent = d_latent;
        let numbers = |x: Tensor<2>| x.into_data().convert::<f64>().try_into_vec::<f64>();
        let put = |all: &mut Vec<f64>, x| all.extend(numbers(x).expect("numbers of 64 bits"));
        put(&mut self.draws, posterior.sample(rng));
        put(&mut self.means, posterior.mean.clone());
        put(&mut self.log_variances, posterior.log_variance.clone());
        put(&mut self.kl, kl);
    }

    /// Says which turns of their conversations the examples of a batch are, the first being 0.
    pub fn add_turns(&mut self, numbers: impl IntoIterator<Item = usize>) {
        self.turns.extend(numbers);
    }

    /// Examples so far.
    pub fn examples(&self) -> usize {
        self.means.len() / self.d_latent.max(1)
    }

    /// The means of every example, `[N, Z]`, row by row.
    pub fn means(&self) -> impl Iterator<Item = &[f64]> {
        self.means.chunks(self.d_latent.max(1))
    }

    /// The dimensions whose mean varies from example to example.
    pub fn active(&self) -> Vec<usize> {
        let varies = |j: &usize| {
            let mean = self.mean_of(&self.means, *j);
            let apart = self.means.iter().skip(*j).step_by(self.d_latent);
            apart.map(|x| (x - mean).powi(2)).sum::<f64>() / self.examples() as f64 > VARIES
        };
        (0..self.d_latent).filter(varies).collect()
    }

    fn mean_of(&self, numbers: &[f64], j: usize) -> f64 {
        numbers.iter().skip(j).step_by(self.d_latent).sum::<f64>() / self.examples() as f64
    }

    /// What is found.
    ///
    /// # Panics
    ///
    /// If there is no example.
    pub fn report(&self) -> LatentReport {
        let examples = self.examples();
        assert!(examples > 0, "a report needs examples");
        let kl_by_dimension: Vec<f64> =
            (0..self.d_latent).map(|j| self.mean_of(&self.kl, j)).collect();
        let silent = silent(&kl_by_dimension);
        LatentReport {
            examples,
            kl: kl_by_dimension.iter().sum(),
            kl_by_turn: self.kl_by_turn(),
            active_units: self.active().len(),
            mutual_information: self.mutual_information(),
            collapse: match silent {
                0 => Collapse::None,
                silent if silent < self.d_latent => Collapse::Partial,
                _ => Collapse::Whole,
            },
            kl_by_dimension,
        }
    }

    fn kl_by_turn(&self) -> Vec<TurnKl> {
        let most = self.turns.iter().max().map_or(0, |last| last + 1);
        let mut by_turn = vec![TurnKl::default(); most];
        for (number, kl) in self.turns.iter().zip(self.kl.chunks(self.d_latent.max(1))) {
            by_turn[*number].turns += 1;
            by_turn[*number].kl += kl.iter().sum::<f64>();
        }
        for TurnKl { turns, kl } in &mut by_turn {
            *kl /= (*turns).max(1) as f64;
        }
        by_turn
    }

    fn mutual_information(&self) -> f64 {
        let (count, width) = (self.examples().min(PAIRS), self.d_latent);
        let row = |numbers: &[f64], n: usize| numbers[n * width..(n + 1) * width].to_vec();
        let parameters: Vec<(Vec<f64>, Vec<f64>, f64)> = (0..count)
            .map(|n| {
                let log_variance = row(&self.log_variances, n);
                let constant: f64 = log_variance.iter().sum();
                let precision = log_variance.iter().map(|v| (-v).exp()).collect();
                (row(&self.means, n), precision, constant)
            })
            .collect();
        // Without ln 2π, which falls out of the difference.
        let log_density = |z: &[f64], n: usize| {
            let (mean, precision, constant) = &parameters[n];
            let apart = z.iter().zip(mean).zip(precision).map(|((z, m), p)| (z - m).powi(2) * p);
            -0.5 * (constant + apart.sum::<f64>())
        };
        let of_one = |n: usize| {
            let z = row(&self.draws, n);
            let all: Vec<f64> = (0..count).map(|other| log_density(&z, other)).collect();
            let most = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = all.iter().map(|x| (x - most).exp()).sum();
            all[n] - (most + (sum / count as f64).ln())
        };
        (0..count).map(of_one).sum::<f64>() / count as f64
    }
}

impl LatentReport {
    /// Dimensions that are as the prior: they say nothing of the example.
    pub fn silent(&self) -> usize {
        silent(&self.kl_by_dimension)
    }
}

fn silent(kl_by_dimension: &[f64]) -> usize {
    // What is no number says nothing either.
    kl_by_dimension.iter().filter(|kl| kl.is_nan() || **kl <= SAYS).count()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, TensorData};
    use recurrent_training::Moment;

    use super::*;

    fn gathered(rows: &[[f64; 2]], variance: f64) -> LatentReport {
        let device = Device::flex();
        let mut rng = Moment { seed: 1, epoch: 0, step: 0 }.rng();
        let data = TensorData::from(rows.iter().flatten().copied().collect::<Vec<_>>().as_slice());
        let like = (&device, DType::F64);
        let mean = Tensor::<1>::from_data(data, like).reshape([rows.len(), 2]);
        let log_variance = mean.clone() * 0.0 + variance.ln();
        let q = DiagonalGaussian { mean, log_variance };
        let mut latents = Latents::default();
        // In two batches.
        let half = rows.len() / 2;
        for part in [0..half, half..rows.len()] {
            let cut = |x: &Tensor<2>| x.clone().narrow(0, part.start, part.len());
            let q = DiagonalGaussian { mean: cut(&q.mean), log_variance: cut(&q.log_variance) };
            latents.add(&q, q.kl_from_standard(), &mut rng);
        }
        latents.report()
    }

    /// A posterior that is the prior, whatever the example, tells nothing.
    #[test]
    fn a_collapsed_posterior_is_called_so() {
        let report = gathered(&[[0.0, 0.0]; 100], 1.0);
        assert_eq!(
            (report.collapse, report.active_units, report.examples),
            (Collapse::Whole, 0, 100)
        );
        assert!(report.kl.abs() < 1e-12 && report.mutual_information.abs() < 1e-12);
    }

    /// Four codes far apart in one dimension: the draw tells which of four, ln 4 nats, and the other
    /// dimension is the prior.
    #[test]
    fn one_dimension_of_two_tells_which_of_four() {
        let codes = [-3.0, -1.0, 1.0, 3.0];
        let rows: Vec<[f64; 2]> = (0..400).map(|n| [codes[n % 4], 0.0]).collect();
        let report = gathered(&rows, 1e-4);
        assert_eq!(report.active_units, 1);
        assert!((report.mutual_information - 4.0_f64.ln()).abs() < 1e-3, "{report:?}");
        let by_hand = 0.5 * (1e-4 + 5.0 - 1.0 - 1e-4_f64.ln());
        assert!((report.kl_by_dimension[0] - by_hand).abs() < 1e-9, "{report:?}");
        let sum: f64 = report.kl_by_dimension.iter().sum();
        assert!((report.kl - sum).abs() < 1e-12);
        assert!(report.kl_by_turn.is_empty());
        let partial = gathered(&rows, 1.0);
        assert_eq!((partial.collapse, partial.active_units), (Collapse::Partial, 1));
        assert_eq!([partial.silent(), report.silent()], [1, 0]);
    }
}
