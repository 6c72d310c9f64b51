//! Readouts that learn while the series goes on, from one step after the other.
//!
//! Source: H. Jaeger (2003), Adaptive Nonlinear System Identification with Echo State Networks, NIPS 15, where the
//! weights follow a system that changes.

use crate::{EchoStateNetwork, Readout, ReservoirError, Series};

/// A readout that learns from one step after the other and keeps none of them.
///
/// [`RecursiveLeastSquares`](crate::RecursiveLeastSquares) is exact and takes `F²` multiplications a step;
/// [`LeastMeanSquares`](crate::LeastMeanSquares) takes `F` and many more steps.
pub trait OnlineReadout {
    /// What is learned by now.
    fn readout(&self) -> &Readout;

    /// Learns from one step: features `z [F]` and targets `d [L]`. What comes back is `d − W_out z`, `[L]`, with
    /// the weights of before, so that it is the error of a prediction.
    ///
    /// # Panics
    ///
    /// If there is not a number for every feature and every output.
    fn update(&mut self, z: &[f64], d: &[f64]) -> &[f64];
}

/// `d − W_out z` into `errors`.
///
/// # Panics
///
/// If a shape is wrong.
pub(crate) fn errors(readout: &Readout, z: &[f64], d: &[f64], errors: &mut [f64]) {
    assert_eq!(d.len(), readout.outputs(), "a target for every output");
    for ((error, d), y) in errors.iter_mut().zip(d).zip(readout.apply(z)) {
        *error = d - y;
    }
}

/// `W_out += e · gᵀ`.
pub(crate) fn correct(readout: &mut Readout, errors: &[f64], g: &[f64]) {
    for (w, error) in readout.weights.chunks_exact_mut(readout.features).zip(errors) {
        for (w, g) in w.iter_mut().zip(g) {
            *w += error * g;
        }
    }
}

impl EchoStateNetwork {
    /// Learns a series step after step, with the targets forced upon what is fed back, and without noise. The
    /// state goes on from where it was, and so does the learner: a series may come in parts. Steps that are to be
    /// washed out go through [`warm_up`](Self::warm_up) before.
    ///
    /// What comes back is the error of each step before it was learned, `f_out⁻¹(d(n)) − W_out z(n)`, `[T, L]`.
    ///
    /// # Errors
    ///
    /// If a series has other columns or is not finite, they have different lengths, or the weights grow beyond all
    /// numbers; the network's readout is then what it was.
    ///
    /// # Panics
    ///
    /// If the learner has other features or outputs than the network.
    pub fn learn_online(
        &mut self,
        learner: &mut dyn OnlineReadout,
        u: &Series,
        d: &Series,
        state: &mut crate::EsnState,
    ) -> Result<Series, ReservoirError> {
        let mut errors = Vec::with_capacity(d.values().len());
        self.each_step(u, d, state, |z, d| errors.extend_from_slice(learner.update(z, d)))?;
        let errors = Series::new(errors, d.columns());
        match learner.readout().weights.iter().all(|weight| weight.is_finite()) {
            true => {
                self.learn(learner.readout().clone());
                Ok(errors)
            }
            false => {
                let wild = |t: &usize| errors.row(*t).iter().any(|error| !error.is_finite());
                let step = (0..errors.steps()).find(wild).unwrap_or(errors.steps());
                Err(ReservoirError::Diverged { step })
            }
        }
    }
}
