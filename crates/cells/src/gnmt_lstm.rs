//! The LSTM of Google's Neural Machine Translation system: the output is not squashed, and the
//! memory can be clipped.
//!
//! ```text
//! [i f g o] = x_t · W_x + b + h · W_h                     [B, 4H]   packed in this order
//! c'        = clip(σ(f) ⊙ c + σ(i) ⊙ φ(g), −δ, δ)         [B, H]
//! h'        = σ(o) ⊙ c'                                   [B, H]
//! ```
//!
//! `W_x` is `[I, 4H]`, `W_h` is `[H, 4H]`, `b` is `[4H]`. Training moves `δ` from 8 to 1, which
//! lets the model be quantised afterwards.
//!
//! Source: Wu et al. (2016), Google's Neural Machine Translation System, equations 5 and 6 and
//! section 6.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{Direction, Gates, Lengths, project_sequence, sigmoid, tanh};

use crate::{Cell, Gated, LstmState, Paths, init, lstm::run_fused};

/// Sizes and initial values of a [`GnmtLstmCell`].
#[derive(Config, Debug)]
pub struct GnmtLstmConfig {
    /// Features of one input step, `I`.
    pub d_input: usize,
    /// Features of the state, `H`.
    pub d_hidden: usize,
    /// The bound `δ` of the memory, above 0; none does not clip.
    #[config(default = "None")]
    pub clip: Option<f64>,
    /// Initial bias of the forget gate.
    #[config(default = 1.0)]
    pub forget_bias: f64,
    /// How `W_x` is drawn, gate by gate.
    #[config(default = "Initializer::Uniform { min: -0.04, max: 0.04 }")]
    pub input_init: Initializer,
    /// How `W_h` is drawn, gate by gate.
    #[config(default = "Initializer::Uniform { min: -0.04, max: 0.04 }")]
    pub recurrent_init: Initializer,
}

/// One layer of GNMT's LSTM, as a [`Cell`].
#[derive(Module, Debug)]
pub struct GnmtLstmCell {
    /// `W_x`, `[I, 4H]`.
    pub w_x: Param<Tensor<2>>,
    /// `W_h`, `[H, 4H]`.
    pub w_h: Param<Tensor<2>>,
    /// `b`, `[4H]`.
    pub b: Param<Tensor<1>>,
    /// The bound `δ` of the memory, above 0; a schedule may change it between two steps of training.
    #[module(skip)]
    pub clip: Option<f64>,
}

impl GnmtLstmConfig {
    /// Draws a new cell, with `b` zero but for the forget gate.
    ///
    /// # Panics
    ///
    /// If the bound is not above 0.
    pub fn init(&self, device: &Device) -> GnmtLstmCell {
        let (d, h) = (self.d_input, self.d_hidden);
        if let Some(clip) = self.clip {
            assert!(clip > 0.0, "the bound of a clipped memory is above 0, got {clip}");
        }
        GnmtLstmCell {
            w_x: init::packed(&self.input_init, [d, h], 4, device),
            w_h: init::packed(&self.recurrent_init, [h, h], 4, device),
            b: init::packed_bias(&[0.0, self.forget_bias, 0.0, 0.0], h, device),
            clip: self.clip,
        }
    }
}

impl Cell for GnmtLstmCell {
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
        let [i, f, g, o] = init::blocks(gates);

        let mut cell = sigmoid(f) * c + paths.update(sigmoid(i) * tanh(g));
        if let Some(delta) = self.clip {
            cell = cell.clamp(-delta, delta);
        }
        let hidden = sigmoid(o) * cell.clone();
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
        let (gates, course) = (Gates::Gnmt { clip: self.clip }, (lengths, direction));
        run_fused(gates, projected, &self.w_h, None, start, course)
    }
}

impl Gated for GnmtLstmCell {}
