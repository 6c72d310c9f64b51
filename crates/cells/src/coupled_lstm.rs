//! The LSTM with coupled gates (CIFG): what is not forgotten is not overwritten.
//!
//! ```text
//! [f g o] = x_t · W_x + b + h · W_h            [B, 3H]   packed in this order
//! c'      = σ(f) ⊙ c + (1 − σ(f)) ⊙ φ(g)       [B, H]    i = 1 − f
//! h'      = σ(o) ⊙ φ(c')                       [B, H]
//! ```
//!
//! `W_x` is `[I, 3H]`, `W_h` is `[H, 3H]`, `b` is `[3H]`. A quarter fewer weights than the
//! [`LstmCell`](crate::LstmCell), and `|c|` stays below 1. Burn's `input_forget` couples the gates
//! as well but keeps the weights of the input gate.
//!
//! Source: Greff et al. (2017), LSTM: A Search Space Odyssey, section 3.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{Direction, Gates, Lengths, project_sequence, sigmoid, tanh};

use crate::{Cell, Gated, LstmState, Paths, init, lstm::run_fused};

/// Sizes and initial values of a [`CoupledLstmCell`].
#[derive(Config, Debug)]
pub struct CoupledLstmConfig {
    /// Features of one input step, `I`.
    pub d_input: usize,
    /// Features of the state, `H`.
    pub d_hidden: usize,
    /// Initial bias of the forget gate. At 1 the cell starts out remembering.
    #[config(default = 1.0)]
    pub forget_bias: f64,
    /// How `W_x` is drawn, gate by gate.
    #[config(default = "init::xavier()")]
    pub input_init: Initializer,
    /// How `W_h` is drawn, gate by gate.
    #[config(default = "init::orthogonal()")]
    pub recurrent_init: Initializer,
}

/// One layer of the LSTM with coupled gates, as a [`Cell`].
#[derive(Module, Debug)]
pub struct CoupledLstmCell {
    /// `W_x`, `[I, 3H]`.
    pub w_x: Param<Tensor<2>>,
    /// `W_h`, `[H, 3H]`.
    pub w_h: Param<Tensor<2>>,
    /// `b`, `[3H]`.
    pub b: Param<Tensor<1>>,
}

impl CoupledLstmConfig {
    /// Draws a new cell, with `b` zero but for the forget gate.
    pub fn init(&self, device: &Device) -> CoupledLstmCell {
        let (d, h) = (self.d_input, self.d_hidden);
        CoupledLstmCell {
            w_x: init::packed(&self.input_init, [d, h], 3, device),
            w_h: init::packed(&self.recurrent_init, [h, h], 3, device),
            b: init::packed_bias(&[self.forget_bias, 0.0, 0.0], h, device),
        }
    }
}

impl Cell for CoupledLstmCell {
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

        let gates = projected + paths.recurrent(h).matmul(self.w_h.val());
        let [f, g, o] = init::blocks(gates);

        let f = sigmoid(f);
        let i = -f.clone() + 1.0;
        let cell = f * c + paths.update(i * tanh(g));
        let hidden = sigmoid(o) * tanh(cell.clone());
        LstmState { hidden, cell }
    }

    fn output(&self, state: &LstmState) -> Tensor<2> {
        state.hidden.clone()
    }

    fn sequence(
        &self,
        projected: Tensor<3>,
        start: LstmState,
        lengths: &Lengths,
        direction: Direction,
    ) -> (Tensor<3>, LstmState) {
        let course = (lengths, direction);
        run_fused(Gates::Coupled, projected, &self.w_h, None, start, course)
    }
}

impl Gated for CoupledLstmCell {}
