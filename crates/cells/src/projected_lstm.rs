//! The LSTM with a projection (LSTMP): a wide memory, a narrow output.
//!
//! ```text
//! [i f g o] = x_t · W_x + b + h · W_h          [B, 4H]   packed in this order
//! c'        = σ(f) ⊙ c + σ(i) ⊙ φ(g)           [B, H]
//! h'        = (σ(o) ⊙ φ(c')) · W_p             [B, P]    shown and fed back
//! ```
//!
//! `W_x` is `[I, 4H]`, `W_h` is `[P, 4H]`, `b` is `[4H]`, `W_p` is `[H, P]` (PyTorch's `weight_hr`,
//! transposed).
//!
//! Source: Sak, Senior & Beaufays (2014), Long Short-Term Memory Recurrent Neural Network
//! Architectures for Large Scale Acoustic Modeling, section 2.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{Lengths, project_sequence, sigmoid, tanh};

use crate::{Cell, Gated, LstmState, Paths, init};

/// Sizes and initial values of a [`ProjectedLstmCell`].
#[derive(Config, Debug)]
pub struct ProjectedLstmConfig {
    /// Features of one input step, `I`.
    pub d_input: usize,
    /// Features of the memory, `H`.
    pub d_cell: usize,
    /// Features of the output, `P`.
    pub d_hidden: usize,
    /// Initial bias of the forget gate. At 1 the cell starts out remembering.
    #[config(default = 1.0)]
    pub forget_bias: f64,
    /// How all weights are drawn, gate by gate.
    #[config(default = "init::xavier()")]
    pub initializer: Initializer,
}

/// One layer of the LSTM with a projection, as a [`Cell`]. Its state has `h` of `[B, P]` and `c` of
/// `[B, H]`.
#[derive(Module, Debug)]
pub struct ProjectedLstmCell {
    /// `W_x`, `[I, 4H]`.
    pub w_x: Param<Tensor<2>>,
    /// `W_h`, `[P, 4H]`.
    pub w_h: Param<Tensor<2>>,
    /// `b`, `[4H]`.
    pub b: Param<Tensor<1>>,
    /// `W_p`, `[H, P]`.
    pub w_p: Param<Tensor<2>>,
}

impl ProjectedLstmConfig {
    /// Draws a new cell, with `b` zero but for the forget gate.
    pub fn init(&self, device: &Device) -> ProjectedLstmCell {
        let (d, h, p) = (self.d_input, self.d_cell, self.d_hidden);
        ProjectedLstmCell {
            w_x: init::packed(&self.initializer, [d, h], 4, device),
            w_h: init::packed(&self.initializer, [p, h], 4, device),
            b: init::packed_bias(&[0.0, self.forget_bias, 0.0, 0.0], h, device),
            w_p: init::packed(&self.initializer, [h, p], 1, device),
        }
    }
}

impl Cell for ProjectedLstmCell {
    type State = LstmState;

    fn d_input(&self) -> usize {
        self.w_x.dims()[0]
    }

    fn d_hidden(&self) -> usize {
        self.w_p.dims()[1]
    }

    fn initial_state(&self, batch: usize) -> LstmState {
        LstmState {
            hidden: init::zeros_like_weight(&self.w_h, batch, self.d_hidden()),
            cell: init::zeros_like_weight(&self.w_h, batch, self.w_p.dims()[0]),
        }
    }

    fn project(&self, x: Tensor<3>, _start: &LstmState, lengths: &Lengths) -> Tensor<3> {
        project_sequence(x, self.w_x.val(), Some(self.b.val()), lengths)
    }

    fn input_weight(&self) -> Option<Tensor<2>> {
        Some(self.w_x.val())
    }

    fn advance<P: Paths>(&self, projected: Tensor<2>, state: LstmState, paths: &P) -> LstmState {
        let LstmState { hidden: h, cell: c } = state;
        assert_shape!(h, [projected.dims()[0], self.d_hidden()]);
        assert_shape!(c, [projected.dims()[0], self.w_p.dims()[0]]);

        let gates = projected + paths.recurrent(h).matmul(self.w_h.val());
        let [i, f, g, o] = init::blocks(gates);

        let cell = sigmoid(f) * c + paths.update(sigmoid(i) * tanh(g));
        let hidden = (sigmoid(o) * tanh(cell.clone())).matmul(self.w_p.val());
        LstmState { hidden, cell }
    }

    fn output(&self, state: &LstmState) -> Tensor<2> {
        state.hidden.clone()
    }
}

impl Gated for ProjectedLstmCell {}
