//! The LSTM of 1997: level 1, a constant error carousel behind an input and an output gate.
//!
//! ```text
//! [i g o] = x_t · W_x + b + h · W_h            [B, 3H]   packed in this order
//! c'      = c + σ(i) ⊙ φ_in(g)                 [B, H]    no forgetting: c only ever adds up
//! h'      = σ(o) ⊙ φ_out(c')                   [B, H]
//! ```
//!
//! `W_x` is `[I, 3H]`, `W_h` is `[H, 3H]`, `b` is `[3H]`. Over a long stream without resets `c`
//! grows without bound, which is why the [forget gate](crate::LstmCell) came.
//!
//! Source: Hochreiter & Schmidhuber (1997), Long Short-Term Memory, section 4; the squashing
//! functions `4σ − 2` and `2σ − 1` are those of its appendix. The paper also cuts gradients that
//! leave a cell through its gates: wrap the cell in [`Truncated`](crate::Truncated).

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{Direction, Gates, Lengths, project_sequence, sigmoid, tanh};

use crate::{Cell, Gated, LstmState, Paths, init, lstm::run_fused, unroll::step_by_step};

/// What squashes the input and the output of the memory.
#[derive(Config, Copy, Debug, PartialEq, Eq)]
pub enum Squash {
    /// `tanh` for both, as in every LSTM since.
    Tanh,
    /// `φ_in = 4σ − 2` and `φ_out = 2σ − 1`, as in the paper.
    Logistic,
}

impl Squash {
    fn input(self, g: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Tanh => tanh(g),
            Self::Logistic => sigmoid(g) * 4.0 - 2.0,
        }
    }

    fn output(self, c: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Tanh => tanh(c),
            Self::Logistic => sigmoid(c) * 2.0 - 1.0,
        }
    }
}

/// Sizes and initial values of an [`OriginalLstmCell`].
#[derive(Config, Debug)]
pub struct OriginalLstmConfig {
    /// Features of one input step, `I`.
    pub d_input: usize,
    /// Features of the state, `H`.
    pub d_hidden: usize,
    /// Initial bias of the input gate. The paper makes it negative, −2 to −6, so that the memory
    /// does not drift before it is of use.
    #[config(default = 0.0)]
    pub input_bias: f64,
    /// What squashes the input and the output of the memory.
    #[config(default = "Squash::Tanh")]
    pub squash: Squash,
    /// How `W_x` is drawn, gate by gate.
    #[config(default = "init::xavier()")]
    pub input_init: Initializer,
    /// How `W_h` is drawn, gate by gate.
    #[config(default = "init::orthogonal()")]
    pub recurrent_init: Initializer,
}

/// One layer of the LSTM of 1997, as a [`Cell`].
#[derive(Module, Debug)]
pub struct OriginalLstmCell {
    /// `W_x`, `[I, 3H]`.
    pub w_x: Param<Tensor<2>>,
    /// `W_h`, `[H, 3H]`.
    pub w_h: Param<Tensor<2>>,
    /// `b`, `[3H]`.
    pub b: Param<Tensor<1>>,
    /// What squashes the input and the output of the memory.
    #[module(skip)]
    pub squash: Squash,
}

impl OriginalLstmConfig {
    /// Draws a new cell, with `b` zero but for the input gate.
    pub fn init(&self, device: &Device) -> OriginalLstmCell {
        let (d, h) = (self.d_input, self.d_hidden);
        OriginalLstmCell {
            w_x: init::packed(&self.input_init, [d, h], 3, device),
            w_h: init::packed(&self.recurrent_init, [h, h], 3, device),
            b: init::packed_bias(&[self.input_bias, 0.0, 0.0], h, device),
            squash: self.squash,
        }
    }
}

impl Cell for OriginalLstmCell {
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
        let [i, g, o] = init::blocks(gates);

        let cell = c + paths.update(sigmoid(i) * self.squash.input(g));
        let hidden = sigmoid(o) * self.squash.output(cell.clone());
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
        match self.squash {
            Squash::Tanh => {
                let course = (lengths, direction);
                run_fused(Gates::Original, projected, &self.w_h, None, start, course)
            }
            Squash::Logistic => step_by_step(self, projected, start, lengths, direction),
        }
    }
}

impl Gated for OriginalLstmCell {}
