//! What the divergence of a latent variable weighs while a model learns.
//!
//! ```text
//! loss   = reconstruction + β · a(t) · Σ_g max(λ, KL_g)
//! a(t)   = min(1, t/K)                                     linear
//! a(t)   = σ((t − m)/w)                                    sigmoid
//! a(t)   = min(1, ((t mod P)/P)/R)                         cyclical: rises through a share R of a period P
//! KL_g   = mean over the batch of a group's summed divergence, in nats
//! ```
//!
//! A decoder that can do without its latent variable learns to, before the variable says anything:
//! then the divergence is zero, and so is what is known of the input (posterior collapse). Each of
//! these keeps the divergence from being pushed to zero at the start. All of them change what is
//! learned from alone; what is measured has `β = 1`, `a = 1` and `λ = 0`.
//!
//! Sources: Higgins et al. (2017), β-VAE; Bowman et al. (2016), Generating Sentences from a Continuous
//! Space, section 3.1 (annealing); Fu et al. (2019), Cyclical Annealing Schedule; Kingma et al.
//! (2016), Improving Variational Inference with Inverse Autoregressive Flow, appendix C.8 (free
//! bits).

use burn::prelude::*;
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

/// What the divergence weighs while a model learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KlTerm {
    /// `β`, at least 0: 1 for the bound itself, more for fewer and plainer latent dimensions.
    pub beta: f64,
    /// How the weight rises.
    pub annealing: Annealing,
    /// What is not paid for; nothing by default.
    pub free_bits: Option<FreeBits>,
}

/// How a weight rises with the optimiser steps `t`, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Annealing {
    /// It is 1 from the first step.
    #[default]
    None,
    /// On a line from 0 to 1.
    Linear {
        /// Steps after which it is 1, `K`, above 0.
        steps: f64,
    },
    /// Slowly, quickly, slowly.
    Sigmoid {
        /// The step at which it is a half, `m`.
        middle: f64,
        /// Steps from there in which it rises to 0.73, `w`, above 0.
        width: f64,
    },
    /// On a line from 0 to 1, again and again.
    Cyclical {
        /// Steps of a period, `P`, above 0.
        period: f64,
        /// The share of a period in which it rises, `R`, in `(0, 1]`.
        rise: f64,
    },
}

/// A divergence that is not paid for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeBits {
    /// `λ`, nats of each group, at least 0.
    pub nats: f64,
    /// Into how many groups of as many neighbours the dimensions are dealt, above 0; every dimension
    /// by itself if there are as many groups.
    pub groups: usize,
}

impl Default for KlTerm {
    fn default() -> Self {
        Self { beta: 1.0, annealing: Annealing::None, free_bits: None }
    }
}

impl Annealing {
    /// `a(t)`, in `[0, 1]`.
    pub fn at(self, step: usize) -> f64 {
        let t = step as f64;
        match self {
            Self::None => 1.0,
            Self::Linear { steps } => (t / steps).min(1.0),
            Self::Sigmoid { middle, width } => 1.0 / (1.0 + ((middle - t) / width).exp()),
            Self::Cyclical { period, rise } => (t % period / period / rise).min(1.0),
        }
    }

    fn validate(self) -> Result<(), OutOfRange> {
        let positive = |field: &str, value: f64| {
            let holds = |value: &f64| value.is_finite() && *value > 0.0;
            OutOfRange::check(field, value, holds, "above 0")
        };
        match self {
            Self::None => Ok(()),
            Self::Linear { steps } => positive("annealing.linear.steps", steps),
            Self::Sigmoid { middle, width } => {
                let field = "annealing.sigmoid.middle";
                OutOfRange::check(field, middle, |middle| middle.is_finite(), "a finite number")?;
                positive("annealing.sigmoid.width", width)
            }
            Self::Cyclical { period, rise } => {
                positive("annealing.cyclical.period", period)?;
                let holds = |rise: &f64| *rise > 0.0 && *rise <= 1.0;
                OutOfRange::check("annealing.cyclical.rise", rise, holds, "in (0, 1]")
            }
        }
    }
}

impl KlTerm {
    /// Checks every value for `d_latent` dimensions.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self, d_latent: usize) -> Result<(), OutOfRange> {
        let at_least_0 = |field: &str, value: f64| {
            let holds = |value: &f64| value.is_finite() && *value >= 0.0;
            OutOfRange::check(field, value, holds, "at least 0")
        };
        at_least_0("beta", self.beta)?;
        self.annealing.validate()?;
        let Some(FreeBits { nats, groups }) = self.free_bits else { return Ok(()) };
        at_least_0("free_bits.nats", nats)?;
        let holds = |groups: &usize| *groups > 0 && d_latent.is_multiple_of(*groups);
        let range = format!("a number by which the {d_latent} dimensions can be divided");
        OutOfRange::check("free_bits.groups", groups, holds, &range)
    }

    /// `β · a(t)`.
    pub fn weight(&self, step: usize) -> f64 {
        self.beta * self.annealing.at(step)
    }

    /// The term of a batch at an optimiser step, summed over the batch, `[1]`: of `kl`, `[B, Z]`, the
    /// divergences from a prior.
    ///
    /// # Panics
    ///
    /// If the dimensions cannot be dealt into the groups.
    pub fn of(&self, kl: Tensor<2>, step: usize) -> Tensor<1> {
        let weight = self.weight(step);
        let Some(FreeBits { nats, groups }) = self.free_bits else { return kl.sum() * weight };
        let [batch, d_latent] = kl.dims();
        assert!(d_latent.is_multiple_of(groups), "{d_latent} dimensions into {groups} groups");
        let of_groups: Tensor<2> = kl.sum_dim(0).reshape([groups, d_latent / groups]).sum_dim(1);
        of_groups.clamp_min(nats * batch as f64).sum() * weight
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;
    use recurrent_testkit::{assert_close, check_input_gradient, random};
    use rstest::rstest;

    use super::*;

    /// VH-4: the weights are `min(1, t/K)` to the bit.
    #[test]
    fn linear_annealing_is_exact() {
        let linear = Annealing::Linear { steps: 8.0 };
        for step in 0..20 {
            assert_eq!(linear.at(step), (step as f64 / 8.0).min(1.0));
        }
    }

    #[test]
    fn the_other_schedules_go_through_their_points() {
        assert_eq!(Annealing::None.at(0), 1.0);
        let sigmoid = Annealing::Sigmoid { middle: 100.0, width: 10.0 };
        assert_eq!(sigmoid.at(100), 0.5);
        assert!((sigmoid.at(110) - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-15);
        assert!(sigmoid.at(0) < 1e-4 && sigmoid.at(300) > 1.0 - 1e-4);
        let cyclical = Annealing::Cyclical { period: 100.0, rise: 0.5 };
        let weights = [0, 25, 50, 99, 100, 125].map(|step| cyclical.at(step));
        assert_eq!(weights, [0.0, 0.5, 1.0, 1.0, 0.0, 0.5]);
    }

    /// VH-7, the specification's example: of 0.3, 0.9 and 2.5 nats with 1 of each free, 4.5 are paid, and
    /// only the third has a gradient.
    #[test]
    fn free_bits_by_hand() {
        let device = Device::flex().autodiff();
        let kl = Tensor::<2>::from_data([[0.1, 0.4, 3.0], [0.5, 1.4, 2.0]], (&device, DType::F64));
        let kl = kl.require_grad();
        let free =
            |nats| KlTerm { free_bits: Some(FreeBits { nats, groups: 3 }), ..KlTerm::default() };
        let term = free(1.0).of(kl.clone(), 0);
        assert_close(&(term.clone() / 2.0), [4.5], 1e-12);
        let gradient = kl.grad(&term.backward()).unwrap();
        assert_close(&gradient, [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]], 0.0);
        // Nothing free is nothing changed; all in one group is as the sum.
        let plain = KlTerm::default().of(kl.clone(), 0);
        assert_close(&free(0.0).of(kl.clone(), 0), plain.to_data(), 1e-12);
        let one =
            KlTerm { free_bits: Some(FreeBits { nats: 1.0, groups: 1 }), ..KlTerm::default() };
        assert_close(&one.of(kl, 0), plain.to_data(), 1e-12);
    }

    #[test]
    fn weights_multiply() {
        let device = Device::flex().autodiff();
        let term = KlTerm {
            beta: 4.0,
            annealing: Annealing::Linear { steps: 8.0 },
            free_bits: Some(FreeBits { nats: 0.1, groups: 2 }),
        };
        assert_eq!(term.weight(2), 1.0);
        let kl = random([3, 4], 1, DType::F64, &device).square() + 0.5;
        assert_close(&term.of(kl.clone(), 4), (kl.clone().sum() * 2.0).to_data(), 1e-12);
        check_input_gradient(kl, 1e-7, |kl| term.of(kl, 4));
    }

    #[rstest]
    #[case(KlTerm { beta: -1.0, ..KlTerm::default() }, "`beta` must be at least 0, got -1")]
    #[case(
        KlTerm { annealing: Annealing::Linear { steps: 0.0 }, ..KlTerm::default() },
        "`annealing.linear.steps` must be above 0, got 0"
    )]
    #[case(
        KlTerm { free_bits: Some(FreeBits { nats: 1.0, groups: 3 }), ..KlTerm::default() },
        "`free_bits.groups` must be a number by which the 8 dimensions can be divided, got 3"
    )]
    fn what_does_not_fit_is_named(#[case] term: KlTerm, #[case] message: &str) {
        assert_eq!(term.validate(8).unwrap_err().to_string(), message);
    }
}
