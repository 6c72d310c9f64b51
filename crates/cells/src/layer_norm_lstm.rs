//! The LSTM with layer normalisation.
//!
//! ```text
//! LN(a; γ, β) = γ ⊙ (a − mean(a)) / √(var(a) + ε) + β        over the last axis, ε = 1e-5
//!
//! [i f g o] = LN(x_t · W_x; γ_x, β_x) + LN(h · W_h; γ_h, β_h) + b      [B, 4H]   over all 4H
//! c'        = σ(f) ⊙ c + σ(i) ⊙ φ(g)                                   [B, H]    not normalised
//! h'        = σ(o) ⊙ φ(LN(c'; γ_c, β_c))                               [B, H]
//! ```
//!
//! `W_x` is `[I, 4H]`, `W_h` is `[H, 4H]`, `b` is `[4H]`. The result does not change when a weight
//! matrix is scaled. TensorFlow's variant normalises each gate by itself: its weights do not fit.
//!
//! Source: Ba, Kiros & Hinton (2016), Layer Normalization, supplementary equations 20 to 22.

use burn::{
    module::Param,
    nn::{LayerNorm, LayerNormConfig},
    prelude::*,
};
use recurrent_kernels::{
    Direction, LayerNormLstmOperands, Lengths, Norm, layer_norm_lstm_sequence, layer_norm_sequence,
    project_sequence, sigmoid, tanh,
};

use crate::{Cell, Gated, LstmState, Paths, init};

/// `ε` of every norm.
const EPSILON: f64 = 1e-5;

/// Sizes and initial values of a [`LayerNormLstmCell`].
#[derive(Config, Debug)]
pub struct LayerNormLstmConfig {
    /// Features of one input step, `I`.
    pub d_input: usize,
    /// Features of the state, `H`.
    pub d_hidden: usize,
    /// Initial bias of the forget gate. At 1 the cell starts out remembering.
    #[config(default = 1.0)]
    pub forget_bias: f64,
}

/// One layer of the LSTM with layer normalisation, as a [`Cell`].
#[derive(Module, Debug)]
pub struct LayerNormLstmCell {
    /// `W_x`, `[I, 4H]`.
    pub w_x: Param<Tensor<2>>,
    /// `W_h`, `[H, 4H]`.
    pub w_h: Param<Tensor<2>>,
    /// `b`, `[4H]`.
    pub b: Param<Tensor<1>>,
    /// `γ_x`, `β_x`, each `[4H]`. As in every norm here, `ε` is `1e-5` whatever the module says.
    pub norm_x: LayerNorm,
    /// `γ_h`, `β_h`, each `[4H]`.
    pub norm_h: LayerNorm,
    /// `γ_c`, `β_c`, each `[H]`.
    pub norm_c: LayerNorm,
}

impl LayerNormLstmConfig {
    /// Draws a new cell: `W_x` Xavier-uniform, `W_h` orthogonal, `b` zero but for the forget gate,
    /// `γ` one, `β` zero.
    pub fn init(&self, device: &Device) -> LayerNormLstmCell {
        let (d, h) = (self.d_input, self.d_hidden);
        let norm = |width| LayerNormConfig::new(width).with_epsilon(EPSILON).init(device);
        LayerNormLstmCell {
            w_x: init::packed(&init::xavier(), [d, h], 4, device),
            w_h: init::packed(&init::orthogonal(), [h, h], 4, device),
            b: init::packed_bias(&[0.0, self.forget_bias, 0.0, 0.0], h, device),
            norm_x: norm(4 * h),
            norm_h: norm(4 * h),
            norm_c: norm(h),
        }
    }
}

impl Cell for LayerNormLstmCell {
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
        let product = project_sequence(x, self.w_x.val(), None, lengths);
        let Norm { gamma, beta } = rows_of(&self.norm_x);
        let norm = Norm { gamma, beta: beta + self.b.val() };
        layer_norm_sequence(product, norm, EPSILON, lengths)
    }

    fn advance<P: Paths>(&self, projected: Tensor<2>, state: LstmState, paths: &P) -> LstmState {
        let LstmState { hidden: h, cell: c } = state;
        assert_shape!(c, [projected.dims()[0], self.d_hidden()]);

        let recurrent = paths.recurrent(h).matmul(self.w_h.val());
        let gates = projected + self.norm_h.forward(recurrent);
        let [i, f, g, o] = init::blocks(gates);

        let cell = sigmoid(f) * c + paths.update(sigmoid(i) * tanh(g));
        let hidden = sigmoid(o) * tanh(self.norm_c.forward(cell.clone()));
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
        let operands = LayerNormLstmOperands {
            w_h: self.w_h.val(),
            norm_h: rows_of(&self.norm_h),
            norm_c: rows_of(&self.norm_c),
            hidden: start.hidden,
            cell: start.cell,
        };
        let sequence = layer_norm_lstm_sequence(projected, operands, EPSILON, lengths, direction);
        (sequence.outputs, LstmState { hidden: sequence.hidden, cell: sequence.cell })
    }
}

/// `γ` and `β` of a norm; `β` is zero if it has none.
fn rows_of(norm: &LayerNorm) -> Norm {
    let gamma = norm.gamma.val();
    let beta = norm.beta.as_ref().map_or_else(|| gamma.zeros_like(), Param::val);
    Norm { gamma, beta }
}

impl Gated for LayerNormLstmCell {}
