//! What a model offers to be trained.

use burn::{module::ModuleDisplay, prelude::*};
use rand::{SeedableRng, rngs::ChaCha12Rng};

/// A model with a loss over a batch.
pub trait Learn: Module + ModuleDisplay + 'static {
    /// What one step learns from: numbers on the host, which the model puts on its device.
    type Batch: Clone + Send + Sync + 'static;

    /// What the end of one batch hands to the start of the next, for long sequences that are cut
    /// into chunks; `()` if batches have nothing to do with each other.
    type Carried: Carried;

    /// The loss of `batch`, with the graph to its gradients if the model is on an autodiff device.
    /// All randomness is drawn from the device's generator, which is seeded for every step, or from
    /// [`Moment::rng`].
    fn learn(
        &self,
        batch: &Self::Batch,
        carried: Option<Self::Carried>,
        at: &Moment,
    ) -> (Loss, Self::Carried);

    /// The terms of the loss of `batch` that are not finite, asked where the loss is not. By default a
    /// model does not tell its terms apart.
    fn not_finite(&self, _batch: &Self::Batch, _at: &Moment) -> Vec<&'static str> {
        Vec::new()
    }
}

/// The loss of a batch, as sums, so that batches of different sizes add up rightly.
#[derive(Clone, Debug)]
pub struct Loss {
    /// What is minimised, summed over the batch, `[1]`: with smoothing and every penalty.
    pub sum: Tensor<1>,
    /// What the sum is divided by before the backward pass: the tokens, or the sentences.
    pub weight: f64,
    /// What is reported, summed over the batch, `[1]`: the negative log-likelihood in nats, without
    /// smoothing or penalties; for a regression the squared error.
    pub nll: Tensor<1>,
    /// How many items `nll` is a sum over: tokens, or examples.
    pub items: usize,
}

/// State that goes from one batch to the next.
pub trait Carried: Clone + Send + 'static {
    /// The same numbers with no past: gradients stop here.
    #[must_use]
    fn detach(self) -> Self;
}

impl Carried for () {
    fn detach(self) -> Self {}
}

/// Where a training stands. All randomness of a step is a function of these numbers alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The seed of the whole training; if a step is of several batches, mixed with the number of the
    /// batch for all but the first, so that each draws its own numbers.
    pub seed: u64,
    /// The epoch, from 1.
    pub epoch: usize,
    /// Optimiser steps taken before this one, over all epochs, from 0.
    pub step: usize,
}

impl Moment {
    /// A generator for what is drawn on the host in this step.
    pub fn rng(&self) -> ChaCha12Rng {
        ChaCha12Rng::seed_from_u64(self.mixed())
    }

    /// Where the batch `part` of a step stands, if a step is of several batches, from 0.
    pub(crate) fn part(self, part: usize) -> Self {
        match part {
            0 => self,
            _ => Self { seed: mix([self.seed, part as u64]), ..self },
        }
    }

    /// A number that differs from step to step and between seeds.
    pub fn mixed(&self) -> u64 {
        mix([self.seed, self.epoch as u64, self.step as u64])
    }
}

/// A number that depends on all of `numbers` and on their order.
pub(crate) fn mix<const N: usize>(numbers: [u64; N]) -> u64 {
    numbers.into_iter().fold(0, |mixed, number| splitmix(mixed ^ number))
}

/// One step of `SplitMix64` (Steele, Lea & Flood 2014).
fn splitmix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
