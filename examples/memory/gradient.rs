//! How far back an error reaches.
//!
//! The loss looks at the last step only, along a random direction `v` of length 1, and zeros `e_t`
//! are added to the memory `s_t` (`h`, or an LSTM's `c`) at every step:
//!
//! ```text
//! s_t = step(x_t, s_{t−1}) + e_t        e_t = 0
//! L   = v · s_T
//! ‖∂L/∂e_{T−τ}‖ = ‖vᵀ · ∂s_T/∂s_{T−τ}‖
//! ```
//!
//! One backward pass gives all of them. In an LSTM, `h_t` is held fixed where `c_t` is varied.
//! Weights are as drawn, before any training.

use burn::{nn::Initializer, prelude::*, tensor::Distribution};
use recurrent_cells::{
    CarouselConfig, Cell, LeakRate, LeakyConfig, LstmConfig, OriginalLstmConfig, Part,
    PeepholeLstmConfig, RnnConfig, SkipConfig, State, Truncated,
};

const BATCH: usize = 50;
const INPUTS: usize = 2;
const HIDDEN: usize = 32;

/// How many steps back the gradient is followed.
pub(crate) const STEPS: usize = 150;

/// The gradient of one cell.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Which cell.
    pub(crate) name: &'static str,
    /// At `τ`, the norm of the gradient `τ` steps back, relative to that at the last step.
    pub(crate) norms: Vec<f64>,
}

/// Follows the gradient in the cells, from the tanh network to each level of the LSTM.
pub(crate) fn trace_all(seed: u64, device: &Device) -> Vec<Trace> {
    let device = &device.clone().autodiff();
    let (d, h) = (INPUTS, HIDDEN);
    let gain = Initializer::Orthogonal { gain: 0.9 };
    let tanh = RnnConfig::new(d, h).with_recurrent_init(gain.clone());
    let spectrum = LeakRate::Spectrum { longest: 100.0 };
    let leaky = LeakyConfig::new(d, h, spectrum).with_recurrent_init(gain);
    let skip = SkipConfig::new(d, h, vec![1, 10]);
    let carousel = CarouselConfig::new(d, h);
    let original = OriginalLstmConfig::new(d, h);
    let forgetful = LstmConfig::new(d, h);
    let lasting = LstmConfig::new(d, h).with_forget_bias(5.0);
    let peepholes = PeepholeLstmConfig::new(d, h);
    vec![
        trace("tanh, W_h of norm 0.9", seed, device, |device| tanh.init(device)),
        trace("leaky, 1 to 100 steps", seed, device, |device| leaky.init(device)),
        trace("skip {1, 10}", seed, device, |device| skip.init(device)),
        trace("carousel, truncated", seed, device, |device| Truncated::new(carousel.init(device))),
        trace("carousel", seed, device, |device| carousel.init(device)),
        trace("gates of 1997", seed, device, |device| original.init(device)),
        trace("forget gate, bias 1", seed, device, |device| forgetful.init(device)),
        trace("forget gate, bias 5", seed, device, |device| lasting.init(device)),
        trace("peepholes, bias 1", seed, device, |device| peepholes.init(device)),
    ]
}

/// Follows the gradient in one cell, over random inputs in `[−1, 1]`.
fn trace<C: Cell>(
    name: &'static str,
    seed: u64,
    device: &Device,
    init: impl FnOnce(&Device) -> C,
) -> Trace {
    device.seed(seed);
    let cell = init(device);
    let inputs = Distribution::Uniform(-1.0, 1.0);
    let direction = unit_rows(Tensor::random([BATCH, HIDDEN], Distribution::Default, device) - 0.5);
    let mut state = cell.initial_state(BATCH);
    let memory = memory_of(&state);
    let mut leaves = Vec::with_capacity(STEPS + 1);
    for _ in 0..=STEPS {
        let x = Tensor::random([BATCH, INPUTS], inputs, device);
        let leaf = Tensor::<2>::zeros([BATCH, HIDDEN], device).require_grad();
        state = cell.step(x, state).map(&mut |part, value| match part == memory {
            true => value + leaf.clone(),
            false => value,
        });
        leaves.push(leaf);
    }
    let gradients = (read(&state, memory) * direction).sum().backward();
    let norm = |leaf: Tensor<2>| -> f64 {
        let gradient = leaf.grad(&gradients).expect("every step has a way to the last");
        gradient.square().sum_dim(1).sqrt().mean().into_scalar::<f32>().into()
    };
    let norms: Vec<f64> = leaves.into_iter().rev().map(norm).collect();
    Trace { name, norms: norms.iter().map(|norm| norm / norms[0]).collect() }
}

fn unit_rows(rows: Tensor<2>) -> Tensor<2> {
    rows.clone() / rows.square().sum_dim(1).sqrt()
}

/// The part that remembers: `c` if there is one, `h` otherwise.
fn memory_of<S: State>(state: &S) -> Part {
    let is_cell = |(part, _): &(Part, Tensor<2>)| *part == Part::Cell;
    if state.parts().iter().any(is_cell) { Part::Cell } else { Part::Hidden }
}

fn read<S: State>(state: &S, wanted: Part) -> Tensor<2> {
    let found = state.parts().into_iter().find(|(part, _)| *part == wanted);
    found.expect("the part is one that the state has").1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truncated_carousel_keeps_an_error_exactly() {
        let traces = trace_all(1, &Device::flex());
        let carousel = traces.iter().find(|trace| trace.name == "carousel, truncated").unwrap();
        assert!(carousel.norms.iter().all(|norm| *norm == 1.0));
    }
}
