//! Adadelta, which Burn does not have; the equations are in `optimizer.rs`.
//!
//! Source: Zeiler (2012), ADADELTA: An Adaptive Learning Rate Method, algorithm 1.

use burn::{
    optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource},
    prelude::*,
};

#[derive(Clone, Debug)]
pub(crate) struct Adadelta {
    pub(crate) rho: f64,
    pub(crate) epsilon: f64,
}

/// Running averages, of the shape of the parameter.
#[derive(Clone)]
pub(crate) struct Averages<const D: usize> {
    /// Of `g²`.
    gradient: Tensor<D>,
    /// Of `Δ²`.
    change: Tensor<D>,
}

impl Optimizer for Adadelta {
    type State<const D: usize> = Averages<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Averages<D>>,
    ) -> (Tensor<D>, Option<Averages<D>>) {
        let Averages { gradient, change } = state.unwrap_or_else(|| {
            let zeros = grad.zeros_like();
            Averages { gradient: zeros.clone(), change: zeros }
        });
        let gradient = self.average(gradient, grad.clone());
        let root = |average: &Tensor<D>| average.clone().add_scalar(self.epsilon).sqrt();
        let delta = grad * root(&change) / root(&gradient);
        let change = self.average(change, delta.clone());
        (tensor - delta.mul_scalar(lr), Some(Averages { gradient, change }))
    }

    fn to_device<const D: usize>(state: Averages<D>, device: &Device) -> Averages<D> {
        Averages {
            gradient: state.gradient.to_device(device),
            change: state.change.to_device(device),
        }
    }
}

impl Adadelta {
    /// `ρ average + (1 − ρ) value²`.
    fn average<const D: usize>(&self, average: Tensor<D>, value: Tensor<D>) -> Tensor<D> {
        average.mul_scalar(self.rho) + value.square().mul_scalar(1.0 - self.rho)
    }
}

impl<const D: usize> RecordState for Averages<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "gradient", self.gradient.clone().into_data());
        out.push_tensor(prefix, "change", self.change.clone().into_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let mut take = |leaf| Some(Tensor::from_data(src.take_tensor(prefix, leaf)?, device));
        Some(Self { gradient: take("gradient")?, change: take("change")? })
    }
}
