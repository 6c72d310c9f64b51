//! Skip connections through time: recurrent edges that are longer than one step.
//!
//! ```text
//! h_t = φ(x_t · W_x + Σ_{s ∈ S} h_{t−s} · U_s + b)       [B, H];   h_τ = 0 before the sequence
//! ```
//!
//! `W_x` is `[I, H]`, every `U_s` is `[H, H]`, `b` is `[H]`. With the delays `S = {1}` this is the
//! plain recurrent network; with `{1, d}` an error travels `τ` steps over about `τ / d` factors;
//! with `{d}` the edges of length one are gone (a dilated recurrence: `d` independent networks on
//! interleaved subsequences).
//!
//! Sources: Lin, Horne, Tiňo & Giles (1996), Learning Long-Term Dependencies in NARX Recurrent
//! Neural Networks; Goodfellow, Bengio & Courville (2016), Deep Learning, sections 10.9.1 and
//! 10.9.3.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{Activation, Lengths, project_sequence};

use crate::{Cell, Part, Paths, State, init, rnn::activate};

/// Sizes, delays and initial values of a [`SkipCell`].
#[derive(Config, Debug)]
pub struct SkipConfig {
    /// Features of one input step, `I`.
    pub d_input: usize,
    /// Features of the state, `H`.
    pub d_hidden: usize,
    /// The delays `S`, in steps: each at least 1, none twice.
    pub delays: Vec<usize>,
    /// What the sum passes through.
    #[config(default = "Activation::Tanh")]
    pub activation: Activation,
    /// How `W_x` is drawn.
    #[config(default = "init::xavier()")]
    pub input_init: Initializer,
    /// How every `U_s` is drawn before it is divided by the number of delays.
    #[config(default = "init::orthogonal()")]
    pub recurrent_init: Initializer,
}

/// One recurrent layer with skip connections through time, as a [`Cell`].
#[derive(Module, Debug)]
pub struct SkipCell {
    /// `W_x`, `[I, H]`.
    pub w_x: Param<Tensor<2>>,
    /// `U_s`, each `[H, H]`, in the order of `delays`.
    pub u: Vec<Param<Tensor<2>>>,
    /// `b`, `[H]`.
    pub b: Param<Tensor<1>>,
    /// The delays `S`, in steps.
    #[module(skip)]
    pub delays: Vec<usize>,
    /// What the sum passes through.
    #[module(skip)]
    pub activation: Activation,
}

/// The last `max(S)` outputs of a [`SkipCell`]: a ring buffer that is turned by moving handles, not
/// numbers. A padded step leaves the whole buffer of its sequence as it is.
#[derive(Clone, Debug)]
pub struct SkipState {
    /// `h_{t−1}, h_{t−2}, …`, newest first, each `[B, H]`.
    pub past: Vec<Tensor<2>>,
}

impl State for SkipState {
    fn map(self, f: &mut dyn FnMut(Part, Tensor<2>) -> Tensor<2>) -> Self {
        let past = self.past.into_iter().enumerate().map(|(age, h)| f(part(age), h));
        Self { past: past.collect() }
    }

    fn zip(self, other: Self, f: &mut dyn FnMut(Part, Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        assert_eq!(self.past.len(), other.past.len(), "two states of one cell are as deep");
        let pairs = self.past.into_iter().zip(other.past).enumerate();
        Self { past: pairs.map(|(age, (a, b))| f(part(age), a, b)).collect() }
    }
}

fn part(age: usize) -> Part {
    if age == 0 { Part::Hidden } else { Part::Past }
}

impl SkipConfig {
    /// Draws a new cell, with `b` zero. Every `U_s` is divided by the number of delays, so that
    /// orthogonal ones have norms that sum to 1.
    ///
    /// # Panics
    ///
    /// If there is no delay, a delay of 0, or one delay twice.
    pub fn init(&self, device: &Device) -> SkipCell {
        let (d, h) = (self.d_input, self.d_hidden);
        let delays = &self.delays;
        assert!(!delays.is_empty(), "a skip cell has at least one delay, got none");
        for (n, delay) in delays.iter().enumerate() {
            assert!(*delay >= 1, "a delay is at least 1 step, got 0 in {delays:?}");
            assert!(!delays[..n].contains(delay), "the delay {delay} stands twice in {delays:?}");
        }
        let edge = |_| {
            let u = init::packed(&self.recurrent_init, [h, h], 1, device);
            Param::from_tensor((u.val() / delays.len() as f64).detach())
        };
        SkipCell {
            w_x: init::packed(&self.input_init, [d, h], 1, device),
            u: delays.iter().map(edge).collect(),
            b: init::packed_bias(&[0.0], h, device),
            delays: delays.clone(),
            activation: self.activation,
        }
    }
}

impl Cell for SkipCell {
    type State = SkipState;

    fn d_input(&self) -> usize {
        self.w_x.dims()[0]
    }

    fn d_hidden(&self) -> usize {
        self.w_x.dims()[1]
    }

    fn initial_state(&self, batch: usize) -> SkipState {
        let depth = self.delays.iter().max().copied().unwrap_or(1);
        let zeros = init::zeros_like_weight(&self.w_x, batch, self.d_hidden());
        SkipState { past: vec![zeros; depth] }
    }

    fn project(&self, x: Tensor<3>, _start: &SkipState, lengths: &Lengths) -> Tensor<3> {
        project_sequence(x, self.w_x.val(), Some(self.b.val()), lengths)
    }

    fn input_weight(&self) -> Option<Tensor<2>> {
        Some(self.w_x.val())
    }

    fn advance<P: Paths>(&self, projected: Tensor<2>, state: SkipState, paths: &P) -> SkipState {
        let SkipState { mut past } = state;
        assert_shape!(past[0], [projected.dims()[0], self.d_hidden()]);
        let sum = self.delays.iter().zip(&self.u).fold(projected, |sum, (s, u)| {
            sum + paths.recurrent(past[s - 1].clone()).matmul(u.val())
        });
        past.rotate_right(1);
        past[0] = activate(self.activation, sum);
        SkipState { past }
    }

    fn output(&self, state: &SkipState) -> Tensor<2> {
        state.past[0].clone()
    }
}
