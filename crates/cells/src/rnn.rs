//! The plain recurrent network.
//!
//! ```text
//! h' = φ(x_t · W_x + h · W_h + b)        [B, H]
//! ```
//!
//! `W_x` is `[I, H]`, `W_h` is `[H, H]`, `b` is `[H]` (PyTorch has two biases; their sum is ours).
//!
//! Source: Elman (1990), Finding Structure in Time. For `relu` with an identity start, Le et al.
//! (2015), A Simple Way to Initialize Recurrent Networks of Rectified Linear Units.

use burn::{module::Param, nn::Initializer, prelude::*, tensor::activation::relu};
use recurrent_kernels::{Activation, Direction, Lengths, project_sequence, rnn_sequence, tanh};

use crate::{Cell, Paths, init};

/// Sizes and initial values of an [`RnnCell`].
#[derive(Config, Debug)]
pub struct RnnConfig {
    /// Features of one input step, `I`.
    pub d_input: usize,
    /// Features of the state, `H`.
    pub d_hidden: usize,
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

/// One plain recurrent layer, as a [`Cell`]. Its state is its output.
#[derive(Module, Debug)]
pub struct RnnCell {
    /// `W_x`, `[I, H]`.
    pub w_x: Param<Tensor<2>>,
    /// `W_h`, `[H, H]`.
    pub w_h: Param<Tensor<2>>,
    /// `b`, `[H]`.
    pub b: Param<Tensor<1>>,
    /// What the sum passes through.
    #[module(skip)]
    pub activation: Activation,
}

impl RnnConfig {
    /// Draws a new cell, with `b` zero.
    pub fn init(&self, device: &Device) -> RnnCell {
        let (d, h) = (self.d_input, self.d_hidden);
        RnnCell {
            w_x: init::packed(&self.input_init, [d, h], 1, device),
            w_h: init::packed(&self.recurrent_init, [h, h], 1, device),
            b: init::packed_bias(&[0.0], h, device),
            activation: self.activation,
        }
    }
}

/// `φ`.
pub(crate) fn activate(activation: Activation, a: Tensor<2>) -> Tensor<2> {
    match activation {
        Activation::Tanh => tanh(a),
        Activation::Relu => relu(a),
        Activation::Identity => a,
    }
}

impl Cell for RnnCell {
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

    fn advance<P: Paths>(&self, projected: Tensor<2>, h: Tensor<2>, paths: &P) -> Tensor<2> {
        assert_shape!(h, [projected.dims()[0], self.d_hidden()]);
        let a = projected + paths.recurrent(h).matmul(self.w_h.val());
        activate(self.activation, a)
    }

    fn output(&self, h: &Tensor<2>) -> Tensor<2> {
        h.clone()
    }

    fn sequence(
        &self,
        projected: Tensor<3>,
        start: Tensor<2>,
        lengths: &Lengths,
        direction: Direction,
    ) -> (Tensor<3>, Tensor<2>) {
        rnn_sequence(projected, self.w_h.val(), start, self.activation, lengths, direction)
    }
}
