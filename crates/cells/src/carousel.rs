//! The constant error carousel (CEC): level 0 of the LSTM, a memory without gates.
//!
//! ```text
//! g  = x_t · W_x + b + h · W_h        [B, H]
//! c' = c + φ(g)                       [B, H]    ∂c'/∂c = 1: an error circulates unchanged
//! h' = φ(c')                          [B, H]
//! ```
//!
//! `W_x` is `[I, H]`, `W_h` is `[H, H]`, `b` is `[H]`. A unit whose own connection has weight `w`
//! keeps an error constant exactly when `f'(u) · w = 1`; a linear self-connection of weight 1 does.
//! What the carousel lacks is a way to protect what it holds: see
//! [`OriginalLstmCell`](crate::OriginalLstmCell).
//!
//! Source: Hochreiter & Schmidhuber (1997), Long Short-Term Memory, section 3.2.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{Lengths, project_sequence, tanh};

use crate::{Cell, Gated, LstmState, Paths, init};

/// Sizes and initial values of a [`CarouselCell`].
#[derive(Config, Debug)]
pub struct CarouselConfig {
    /// Features of one input step, `I`.
    pub d_input: usize,
    /// Features of the state, `H`.
    pub d_hidden: usize,
    /// How `W_x` is drawn.
    #[config(default = "init::xavier()")]
    pub input_init: Initializer,
    /// How `W_h` is drawn.
    #[config(default = "init::orthogonal()")]
    pub recurrent_init: Initializer,
}

/// One layer of constant error carousels, as a [`Cell`].
#[derive(Module, Debug)]
pub struct CarouselCell {
    /// `W_x`, `[I, H]`.
    pub w_x: Param<Tensor<2>>,
    /// `W_h`, `[H, H]`.
    pub w_h: Param<Tensor<2>>,
    /// `b`, `[H]`.
    pub b: Param<Tensor<1>>,
}

impl CarouselConfig {
    /// Draws a new cell, with `b` zero.
    pub fn init(&self, device: &Device) -> CarouselCell {
        let (d, h) = (self.d_input, self.d_hidden);
        CarouselCell {
            w_x: init::packed(&self.input_init, [d, h], 1, device),
            w_h: init::packed(&self.recurrent_init, [h, h], 1, device),
            b: init::packed_bias(&[0.0], h, device),
        }
    }
}

impl Cell for CarouselCell {
    type State = LstmState;

    fn d_input(&self) -> usize {
        self.w_x.dims()[0]
    }

    fn d_hidden(&self) -> usize {
        self.w_h.dims()[0]
    }

    fn initial_state(&self, batch: usize) -> LstmState {
        let zeros = init::zeros_like_weight(&self.w_h, batch, self.d_hidden());
        LstmState { hidden: zeros.clone(), cell: zeros }
    }

    fn project(&self, x: Tensor<3>, _start: &LstmState, lengths: &Lengths) -> Tensor<3> {
        project_sequence(x, self.w_x.val(), Some(self.b.val()), lengths)
    }

    fn input_weight(&self) -> Option<Tensor<2>> {
        Some(self.w_x.val())
    }

    fn advance<P: Paths>(&self, projected: Tensor<2>, state: LstmState, paths: &P) -> LstmState {
        let LstmState { hidden: h, cell: c } = state;
        assert_shape!(c, [projected.dims()[0], self.d_hidden()]);
        let g = projected + paths.recurrent(h).matmul(self.w_h.val());
        let cell = c + paths.update(tanh(g));
        LstmState { hidden: tanh(cell.clone()), cell }
    }

    fn output(&self, state: &LstmState) -> Tensor<2> {
        state.hidden.clone()
    }
}

impl Gated for CarouselCell {}
