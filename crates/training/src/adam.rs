//! Adam, with decoupled weight decay or without, in one pass over a parameter; the equations are in
//! `optimizer.rs`. What it remembers, and how a checkpoint names it, is Burn's.

use burn::{
    optim::{AdamState, AdaptiveMomentumState, LearningRate, Optimizer},
    prelude::*,
};
use recurrent_kernels::{AdamStep, adam_step};

use crate::optimizer::Adam;

#[derive(Clone, Debug)]
pub(crate) struct AdamOptimizer {
    pub(crate) adam: Adam,
    /// `λ`, 0 for none.
    pub(crate) weight_decay: f64,
}

impl Optimizer for AdamOptimizer {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let (time, moments) = match state.map(|state| state.momentum) {
            Some(before) => (before.time + 1, [before.moment_1, before.moment_2]),
            None => (1, [grad.zeros_like(), grad.zeros_like()]),
        };
        let step = AdamStep {
            rate: lr,
            beta_1: self.adam.beta_1,
            beta_2: self.adam.beta_2,
            epsilon: self.adam.epsilon,
            weight_decay: self.weight_decay,
            time,
        };
        let (tensor, [moment_1, moment_2]) = adam_step(tensor, moments, grad, step);
        let momentum = AdaptiveMomentumState::new(time, moment_1, moment_2);
        (tensor, Some(AdamState::new(momentum)))
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        AdamState::new(state.momentum.to_device(device))
    }
}
