//! Long short-term memory (LSTM).
//!
//! One step, for input `x_t` and previous state `(h, c)`; `·` is a matrix product, `⊙` elementwise:
//!
//! ```text
//! [i f g o] = x_t · W_x + b  +  h · W_h        [B, 4H]   the four gates, packed in this order
//! c'        = σ(f) ⊙ c + σ(i) ⊙ φ(g)           [B, H]    cell: what is remembered
//! h'        = σ(o) ⊙ φ(c')                     [B, H]    hidden: what is shown
//! ```
//!
//! `W_x` is `[I, 4H]`, `W_h` is `[H, 4H]`, `b` is `[4H]` (one bias; PyTorch's two are summed).
//!
//! The gate order `i f g o` is PyTorch's, so its weights load by transposing. Burn's `Lstm` keeps
//! four separate gates, Haste packs `i g f o`: neither loads as is.
//!
//! This is level 2 of four: before it come the bare [constant error carousel](crate::CarouselCell)
//! and the [gates of 1997](crate::OriginalLstmCell), after it the
//! [peepholes](crate::PeepholeLstmCell).
//!
//! Sources: for the cell, Hochreiter & Schmidhuber (1997), Long Short-Term Memory; for `f`, Gers,
//! Schmidhuber & Cummins (2000), Learning to Forget; for its initial bias of 1, Jozefowicz et al.
//! (2015), An Empirical Exploration of Recurrent Network Architectures.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_kernels::{
    Direction, Gates, Lengths, LstmOperands, lstm_sequence, project_sequence, sigmoid, tanh,
};

use crate::{Cell, Gated, Part, Paths, State, init};

/// Sizes and initial values of an [`LstmCell`].
#[derive(Config, Debug)]
pub struct LstmConfig {
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

/// One LSTM layer, as a [`Cell`]. [`unroll`](crate::unroll) runs it over a sequence.
#[derive(Module, Debug)]
pub struct LstmCell {
    /// `W_x`, `[I, 4H]`.
    pub w_x: Param<Tensor<2>>,
    /// `W_h`, `[H, 4H]`.
    pub w_h: Param<Tensor<2>>,
    /// `b`, `[4H]`.
    pub b: Param<Tensor<1>>,
}

/// What one step of an LSTM hands to the next. Both tensors are `[B, H]`.
#[derive(Clone, Debug)]
pub struct LstmState {
    /// What is shown, `h`. Also the output of the step.
    pub hidden: Tensor<2>,
    /// What is remembered, `c`.
    pub cell: Tensor<2>,
}

impl State for LstmState {
    fn map(self, f: &mut dyn FnMut(Part, Tensor<2>) -> Tensor<2>) -> Self {
        Self { hidden: f(Part::Hidden, self.hidden), cell: f(Part::Cell, self.cell) }
    }

    fn zip(self, other: Self, f: &mut dyn FnMut(Part, Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        Self {
            hidden: f(Part::Hidden, self.hidden, other.hidden),
            cell: f(Part::Cell, self.cell, other.cell),
        }
    }
}

impl LstmConfig {
    /// Draws a new cell, with `b` zero but for the forget gate.
    pub fn init(&self, device: &Device) -> LstmCell {
        let (d, h) = (self.d_input, self.d_hidden);
        LstmCell {
            w_x: init::packed(&self.input_init, [d, h], 4, device),
            w_h: init::packed(&self.recurrent_init, [h, h], 4, device),
            b: init::packed_bias(&[0.0, self.forget_bias, 0.0, 0.0], h, device),
        }
    }
}

impl Cell for LstmCell {
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
        assert_shape!(h, [projected.dims()[0], self.d_hidden()]);
        assert_shape!(c, [projected.dims()[0], self.d_hidden()]);

        let gates = projected + paths.recurrent(h).matmul(self.w_h.val());
        let [i, f, g, o] = init::blocks(gates);

        let cell = sigmoid(f) * c + paths.update(sigmoid(i) * tanh(g));
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
        run_fused(Gates::Forget, projected, &self.w_h, None, start, (lengths, direction))
    }
}

impl Gated for LstmCell {}

/// The fused recurrence of an LSTM with these gates.
pub(crate) fn run_fused(
    gates: Gates,
    projected: Tensor<3>,
    w_h: &Param<Tensor<2>>,
    peephole: Option<&Param<Tensor<2>>>,
    start: LstmState,
    (lengths, direction): (&Lengths, Direction),
) -> (Tensor<3>, LstmState) {
    let operands = LstmOperands {
        w_h: w_h.val(),
        peephole: peephole.map(Param::val),
        hidden: start.hidden,
        cell: start.cell,
    };
    let sequence = lstm_sequence(projected, operands, gates, lengths, direction);
    (sequence.outputs, LstmState { hidden: sequence.hidden, cell: sequence.cell })
}
