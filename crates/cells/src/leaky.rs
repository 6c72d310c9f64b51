//! Leaky units: a recurrent network whose units average over time.
//!
//! ```text
//! h' = (1 − a) ⊙ h + a ⊙ φ(x_t · W_x + h · W_h + b)      average of the output ("post", default)
//!
//! s' = (1 − a) ⊙ s + a ⊙ (x_t · W_x + φ(s) · W_h + b)    average of the sum ("pre")
//! h' = φ(s')
//! ```
//!
//! The leak rate `a`, in `[0, 1]`, is the share of the new: 1 is a plain recurrent network, 0 holds
//! the state for ever. A unit with rate `a` has the time constant `1 / a`. `a` is one number, one
//! number a unit, or learned, `a = σ(θ)`.
//!
//! Sources: Mozer (1992), Induction of Multiscale Temporal Structure; El Hihi & Bengio (1996),
//! Hierarchical Recurrent Neural Networks for Long-Term Dependencies; Jaeger et al. (2007),
//! Optimization and Applications of Echo State Networks with Leaky-Integrator Neurons.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{Activation, Lengths, project_sequence, sigmoid};

use crate::{Cell, Paths, init, rnn::activate};

/// Where the running average stands.
#[derive(Config, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// Over the outputs, behind the activation.
    Output,
    /// Over the sums, in front of the activation.
    Sum,
}

/// Which leak rates a [`LeakyCell`] starts with.
#[derive(Config, Debug, PartialEq)]
pub enum LeakRate {
    /// One fixed rate for all units.
    Shared {
        /// The rate, in `[0, 1]`.
        rate: f64,
    },
    /// A fixed rate for each unit.
    PerUnit {
        /// The rates, each in `[0, 1]`, one a unit.
        rates: Vec<f64>,
    },
    /// A fixed rate for each unit, with time constants spread evenly in the logarithm from 1 to
    /// the given one.
    Spectrum {
        /// The longest time constant, at least 1 step.
        longest: f64,
    },
    /// A learned rate for each unit, starting as [`LeakRate::Spectrum`].
    Learned {
        /// The longest time constant to start from, above 1 step.
        longest: f64,
    },
}

/// The leak rates of a [`LeakyCell`].
#[derive(Module, Debug)]
pub enum Leak {
    /// `a`, `[H]`; no gradient.
    Fixed(Param<Tensor<1>>),
    /// `θ`, `[H]`, with `a = σ(θ)`. Exclude it from weight decay.
    Learned(Param<Tensor<1>>),
}

impl Leak {
    /// The leak rates `a`, `[H]`.
    pub fn rates(&self) -> Tensor<1> {
        match self {
            Self::Fixed(a) => a.val(),
            Self::Learned(theta) => sigmoid(theta.val()),
        }
    }
}

impl LeakRate {
    /// The rates of `hidden` units.
    ///
    /// # Panics
    ///
    /// If a rate is outside `[0, 1]`, there is not one a unit, or a longest time constant is below
    /// 1 step (for [`LeakRate::Learned`]: not above 1 step).
    fn init(&self, hidden: usize, device: &Device) -> Leak {
        let spectrum = |longest: f64| -> Vec<f64> {
            let last = hidden.max(2) - 1;
            (0..hidden).map(|k| longest.powf(-(k as f64) / last as f64)).collect()
        };
        let (rates, learned) = match self {
            Self::Shared { rate } => (vec![*rate; hidden], false),
            Self::PerUnit { rates } => (rates.clone(), false),
            Self::Spectrum { longest } => {
                assert!(*longest >= 1.0, "a longest time constant is at least 1, got {longest}");
                (spectrum(*longest), false)
            }
            Self::Learned { longest } => {
                assert!(
                    *longest > 1.0,
                    "a longest time constant to learn is above 1, got {longest}"
                );
                (spectrum(*longest), true)
            }
        };
        assert_eq!(rates.len(), hidden, "a leak rate for each of the {hidden} units");
        for rate in &rates {
            assert!((0.0..=1.0).contains(rate), "a leak rate is in [0, 1], got {rate}");
        }
        if learned {
            // σ(θ) = a has no θ for a = 1, the shortest time constant.
            let theta = rates.iter().map(|a| a.min(0.99)).map(|a| (a / (1.0 - a)).ln());
            let theta: Vec<f64> = theta.collect();
            Leak::Learned(Param::from_data(theta.as_slice(), device))
        } else {
            Leak::Fixed(Param::from_data(rates.as_slice(), device).set_require_grad(false))
        }
    }
}

/// Sizes and initial values of a [`LeakyCell`].
#[derive(Config, Debug)]
pub struct LeakyConfig {
    /// Features of one input step, `I`.
    pub d_input: usize,
    /// Features of the state, `H`.
    pub d_hidden: usize,
    /// The leak rates.
    pub leak: LeakRate,
    /// Where the running average stands.
    #[config(default = "Average::Output")]
    pub average: Average,
    /// What the sum passes through.
    #[config(default = "Activation::Tanh")]
    pub activation: Activation,
    /// How `W_x` is drawn.
    #[config(default = "init::xavier()")]
    pub input_init: Initializer,
    /// How `W_h` is drawn.
    #[config(default = "init::orthogonal()")]
    pub recurrent_init: Initializer,
}

/// One layer of leaky units, as a [`Cell`]. Its state is what is averaged: `h`, or `s`.
#[derive(Module, Debug)]
pub struct LeakyCell {
    /// `W_x`, `[I, H]`.
    pub w_x: Param<Tensor<2>>,
    /// `W_h`, `[H, H]`.
    pub w_h: Param<Tensor<2>>,
    /// `b`, `[H]`.
    pub b: Param<Tensor<1>>,
    /// The leak rates.
    pub leak: Leak,
    /// Where the running average stands.
    #[module(skip)]
    pub average: Average,
    /// What the sum passes through.
    #[module(skip)]
    pub activation: Activation,
}

impl LeakyConfig {
    /// Draws a new cell, with `b` zero.
    ///
    /// # Panics
    ///
    /// If a leak rate is outside `[0, 1]`, there is not one a unit, or a longest time constant is
    /// below 1 step.
    pub fn init(&self, device: &Device) -> LeakyCell {
        let (d, h) = (self.d_input, self.d_hidden);
        LeakyCell {
            w_x: init::packed(&self.input_init, [d, h], 1, device),
            w_h: init::packed(&self.recurrent_init, [h, h], 1, device),
            b: init::packed_bias(&[0.0], h, device),
            leak: self.leak.init(h, device),
            average: self.average,
            activation: self.activation,
        }
    }
}

impl Cell for LeakyCell {
    type State = Tensor<2>;

    fn d_input(&self) -> usize {
        self.w_x.dims()[0]
    }

    fn d_hidden(&self) -> usize {
        self.w_h.dims()[0]
    }

    fn initial_state(&self, batch: usize) -> Tensor<2> {
        init::zeros_like_weight(&self.w_h, batch, self.d_hidden())
    }

    fn project(&self, x: Tensor<3>, _start: &Tensor<2>, lengths: &Lengths) -> Tensor<3> {
        project_sequence(x, self.w_x.val(), Some(self.b.val()), lengths)
    }

    fn input_weight(&self) -> Option<Tensor<2>> {
        Some(self.w_x.val())
    }

    fn advance<P: Paths>(&self, projected: Tensor<2>, state: Tensor<2>, paths: &P) -> Tensor<2> {
        assert_shape!(state, [projected.dims()[0], self.d_hidden()]);
        let a = self.leak.rates().unsqueeze::<2>();
        let h = self.output(&state);
        let sum = projected + paths.recurrent(h).matmul(self.w_h.val());
        let new = match self.average {
            Average::Output => activate(self.activation, sum),
            Average::Sum => sum,
        };
        (-a.clone() + 1.0) * state + a * new
    }

    fn output(&self, state: &Tensor<2>) -> Tensor<2> {
        match self.average {
            Average::Output => state.clone(),
            Average::Sum => activate(self.activation, state.clone()),
        }
    }
}
