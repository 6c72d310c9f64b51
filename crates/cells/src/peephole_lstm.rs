//! The LSTM with peepholes: level 3, gates that see the cell even when nothing of it is shown.
//!
//! ```text
//! [i f g o] = x_t · W_x + b + h · W_h                    [B, 4H]   packed in this order
//! i, f      = σ(i + p_i ⊙ c), σ(f + p_f ⊙ c)             [B, H]    see the cell as it was
//! c'        = f ⊙ c + i ⊙ φ(g)                           [B, H]
//! o         = σ(o + p_o ⊙ c')                            [B, H]    sees the cell as it is now
//! h'        = o ⊙ φ(c')                                  [B, H]
//! ```
//!
//! `W_x` is `[I, 4H]`, `W_h` is `[H, 4H]`, `b` is `[4H]`, and the peepholes `p_i`, `p_f`, `p_o` are
//! the rows of `[3, H]`: one weight a unit, not a matrix.
//!
//! Source: Gers, Schraudolph & Schmidhuber (2002), Learning Precise Timing with LSTM Recurrent
//! Networks, section 2. The paper drops the output squash and, in its experiments, the input squash;
//! both are kept here.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{Direction, Gates, Lengths, project_sequence, sigmoid, tanh};

use crate::{Cell, Gated, LstmState, Paths, init, lstm::run_fused};

/// Sizes and initial values of a [`PeepholeLstmCell`].
#[derive(Config, Debug)]
pub struct PeepholeLstmConfig {
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

/// One layer of the LSTM with peepholes, as a [`Cell`].
#[derive(Module, Debug)]
pub struct PeepholeLstmCell {
    /// `W_x`, `[I, 4H]`.
    pub w_x: Param<Tensor<2>>,
    /// `W_h`, `[H, 4H]`.
    pub w_h: Param<Tensor<2>>,
    /// `b`, `[4H]`.
    pub b: Param<Tensor<1>>,
    /// `p_i`, `p_f`, `p_o`, `[3, H]`.
    pub p: Param<Tensor<2>>,
}

impl PeepholeLstmConfig {
    /// Draws a new cell, with peepholes in ±0.1 and `b` zero but for the forget gate.
    pub fn init(&self, device: &Device) -> PeepholeLstmCell {
        let (d, h) = (self.d_input, self.d_hidden);
        let peepholes = Initializer::Uniform { min: -0.1, max: 0.1 };
        PeepholeLstmCell {
            w_x: init::packed(&self.input_init, [d, h], 4, device),
            w_h: init::packed(&self.recurrent_init, [h, h], 4, device),
            b: init::packed_bias(&[0.0, self.forget_bias, 0.0, 0.0], h, device),
            p: init::packed(&peepholes, [3, h], 1, device),
        }
    }
}

impl Cell for PeepholeLstmCell {
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
        let p = self.p.val();
        let [p_i, p_f, p_o] = std::array::from_fn(|n| p.clone().narrow(0, n, 1));

        let gates = projected + paths.recurrent(h).matmul(self.w_h.val());
        let [i, f, g, o] = init::blocks(gates);

        let i = sigmoid(i + p_i * paths.peephole(c.clone()));
        let f = sigmoid(f + p_f * paths.peephole(c.clone()));
        let cell = f * c + paths.update(i * tanh(g));
        let o = sigmoid(o + p_o * paths.peephole(cell.clone()));
        let hidden = o * tanh(cell.clone());
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
        run_fused(Gates::Peephole, projected, &self.w_h, Some(&self.p), start, course)
    }
}

impl Gated for PeepholeLstmCell {}
