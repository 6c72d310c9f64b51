//! Gradient descent, with momentum or without, in one pass over a parameter; the equations are in
//! `optimizer.rs`.

use burn::{
    optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource},
    prelude::*,
};
use recurrent_kernels::{descent_step, momentum_step};

#[derive(Clone, Debug)]
pub(crate) struct Descent;

#[derive(Clone, Debug)]
pub(crate) struct Rolling {
    /// `μ`.
    pub(crate) momentum: f64,
}

/// Nothing to remember, but the parameter has had a step.
#[derive(Clone)]
pub(crate) struct Nothing<const D: usize>;

/// `v`, of the shape of the parameter.
#[derive(Clone)]
pub(crate) struct Velocity<const D: usize>(Tensor<D>);

impl Optimizer for Descent {
    type State<const D: usize> = Nothing<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        _: Option<Nothing<D>>,
    ) -> (Tensor<D>, Option<Nothing<D>>) {
        (descent_step(tensor, grad, lr), Some(Nothing))
    }

    fn to_device<const D: usize>(state: Nothing<D>, _: &Device) -> Nothing<D> {
        state
    }
}

impl Optimizer for Rolling {
    type State<const D: usize> = Velocity<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Velocity<D>>,
    ) -> (Tensor<D>, Option<Velocity<D>>) {
        let Velocity(before) = state.unwrap_or_else(|| Velocity(grad.zeros_like()));
        let (tensor, velocity) = momentum_step(tensor, before, grad, self.momentum, lr);
        (tensor, Some(Velocity(velocity)))
    }

    fn to_device<const D: usize>(Velocity(velocity): Velocity<D>, device: &Device) -> Velocity<D> {
        Velocity(velocity.to_device(device))
    }
}

impl<const D: usize> RecordState for Nothing<D> {
    fn state_flatten(&self, _: &str, _: &mut StateSink) {}

    fn state_unflatten(_: &str, _: &mut StateSource, _: &Device) -> Option<Self> {
        Some(Self)
    }
}

/// The name in a checkpoint is the one that Burn's own descent gives it.
const VELOCITY: &str = "momentum.velocity";

impl<const D: usize> RecordState for Velocity<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, VELOCITY, self.0.clone().into_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        Some(Self(Tensor::from_data(src.take_tensor(prefix, VELOCITY)?, device)))
    }
}
