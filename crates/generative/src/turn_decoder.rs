//! From what a conversation was about to the next turn.
//!
//! ```text
//! d_0  = tanh(c · W_0 + b_0)                                    for an LSTM both parts of its state
//! d_n  = RNN(E[w_{n−1}], d_{n−1} | c)                           w_0 = <s>
//!        first       c is in d_0 alone
//!        all         c · W_s is added to every gate
//!        selective   c' = σ(E[w_{n−1}] · W_e + d_{n−1} · W_h + c · W_c + b) ⊙ c;  c' · W_s is added to
//!                    the candidate of a GRU, to every gate of an LSTM
//! o_n  = d_n · W_out + E[w_{n−1}] · W_eo + c · W_so + b         deep output
//! ```
//!
//! `c` is whatever the turn is made from: a context, a latent variable, or both side by side.
//!
//! Sources: Serban et al. (2016), section 4; the three ways to use `c` are those of the authors' code;
//! for the deep output, Pascanu et al. (2014), How to Construct Deep Recurrent Neural Networks.

use burn::{
    module::Param,
    nn::Initializer,
    prelude::*,
    tensor::activation::{sigmoid, tanh},
};
use recurrent_cells::{AnyCell, AnyState, Cell, CellKind, Direction, Lengths, State};
use recurrent_kernels::{linear, project_sequence};
use recurrent_seq2seq::steps;
use serde::{Deserialize, Serialize};

use crate::Dense;

/// How a decoder uses what the turn is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextBias {
    /// It starts from it.
    First,
    /// It starts from it, and every gate sees it at every step.
    #[default]
    All,
    /// It starts from it, and at every step a gate chooses which features of it are seen.
    Selective,
}

/// Writes turns.
#[derive(Module, Debug)]
pub struct TurnDecoder {
    /// `W_0`, `b_0`.
    pub start: Dense,
    /// The recurrent layer; its input is a token's vector.
    pub cell: AnyCell,
    /// `W_s`, `[s, G]`, or `[s, H]` for the candidate alone; none where the start is all.
    pub w_s: Option<Param<Tensor<2>>>,
    /// What chooses features.
    pub gate: Option<ContextGate>,
    /// `W_out`, `b`.
    pub out: Dense,
    /// `W_eo`, `[d, R]`.
    pub w_eo: Param<Tensor<2>>,
    /// `W_so`, `[s, R]`.
    pub w_so: Param<Tensor<2>>,
}

/// Chooses features of a context, step by step.
#[derive(Module, Debug)]
pub struct ContextGate {
    /// `W_e`, `[d, s]`.
    pub w_e: Param<Tensor<2>>,
    /// `W_h`, `[H, s]`.
    pub w_h: Param<Tensor<2>>,
    /// `W_c`, `b`.
    pub w_c: Dense,
}

/// Sizes of a [`TurnDecoder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecoderSizes {
    /// Of a token's vector, `d`.
    pub(crate) d_embedding: usize,
    /// Of what a turn is made from, `s`.
    pub(crate) d_context: usize,
    /// Of the state, `H`.
    pub(crate) d_hidden: usize,
    /// Of what the logits are made of, `R`.
    pub(crate) d_readout: usize,
}

fn glorot([from, to]: [usize; 2], device: &Device) -> Param<Tensor<2>> {
    let drawn = Initializer::XavierUniform { gain: 1.0 };
    let drawn = drawn.init_with([from, to], Some(from), Some(to), device);
    Param::from_tensor(drawn.into_value().detach())
}

impl TurnDecoder {
    /// Draws a decoder.
    ///
    /// # Panics
    ///
    /// If the cell is neither an LSTM nor a GRU.
    pub(crate) fn new(
        cell: &CellKind,
        bias: ContextBias,
        sizes: DecoderSizes,
        device: &Device,
    ) -> Self {
        let DecoderSizes { d_embedding: d, d_context: s, d_hidden: h, d_readout: r } = sizes;
        let (parts, gates) = match cell {
            CellKind::Gru | CellKind::OriginalGru => (1, 3),
            CellKind::Lstm => (2, 4),
            other => panic!("a decoder of turns is an LSTM or a GRU, got {other:?}"),
        };
        let seen = match bias {
            ContextBias::First => None,
            ContextBias::All => Some(gates * h),
            ContextBias::Selective if gates == 3 => Some(h),
            ContextBias::Selective => Some(gates * h),
        };
        let gate = || ContextGate {
            w_e: glorot([d, s], device),
            w_h: glorot([h, s], device),
            w_c: Dense::new(s, s, device),
        };
        Self {
            start: Dense::new(s, parts * h, device),
            cell: cell.init(d, h, device),
            w_s: seen.map(|wide| glorot([s, wide], device)),
            gate: (bias == ContextBias::Selective).then(gate),
            out: Dense::new(h, r, device),
            w_eo: glorot([d, r], device),
            w_so: glorot([s, r], device),
        }
    }

    /// The state in front of the first token of turns that are made from `c`, `[R, s]`.
    ///
    /// # Panics
    ///
    /// If the features do not fit.
    pub fn begin(&self, c: &Tensor<2>) -> AnyState {
        let parts = tanh(self.start.forward(c.clone()));
        let h = self.cell.d_hidden();
        let mut from = 0;
        self.cell.initial_state(c.dims()[0]).map(&mut |_, _| {
            let part = parts.clone().narrow(1, from, h);
            from += h;
            part
        })
    }

    /// What is added to the projection of a token, `[R, G]`, for what is seen of a context, `[R, s]`.
    fn added(&self, seen: Tensor<2>, w_s: &Param<Tensor<2>>, gates: usize) -> Tensor<2> {
        let w_s = w_s.val();
        let wide = w_s.dims()[1];
        let sums = linear(seen, w_s, None);
        if wide == gates {
            return sums;
        }
        // The candidate is the last block of a GRU.
        let rows = sums.dims()[0];
        let like = (&sums.device(), sums.dtype());
        Tensor::cat(vec![Tensor::zeros([rows, gates - wide], like), sums], 1)
    }

    /// All steps: the vectors of the tokens read, `[R, N, d]`, to what logits are made of, `[R, N, R']`.
    /// What comes out at padded steps is of no meaning.
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn sequence(&self, e: Tensor<3>, c: &Tensor<2>, lengths: &Lengths) -> Tensor<3> {
        let start = self.begin(c);
        let d = match &self.gate {
            Some(gate) => self.selective(e.clone(), c, gate, start),
            None => {
                let projected = self.cell.project(e.clone(), &start, lengths);
                let projected = match &self.w_s {
                    None => projected,
                    Some(w_s) => {
                        let gates = projected.dims()[2];
                        projected + self.added(c.clone(), w_s, gates).unsqueeze_dim(1)
                    }
                };
                self.cell.sequence(projected, start, lengths, Direction::Forward).0
            }
        };
        let (w_out, b) = (self.out.w.as_ref().map(Param::val), self.out.b.val());
        let o = project_sequence(d, w_out.expect("it has weights"), Some(b), lengths);
        let o = o + project_sequence(e, self.w_eo.val(), None, lengths);
        o + linear(c.clone(), self.w_so.val(), None).unsqueeze_dim(1)
    }

    /// The outputs of all steps where each waits for the one before it.
    fn selective(
        &self,
        e: Tensor<3>,
        c: &Tensor<2>,
        gate: &ContextGate,
        start: AnyState,
    ) -> Tensor<3> {
        let known = gate.known(e.clone(), c);
        let rows = c.dims()[0];
        let projected = self.cell.project(e.clone(), &start, &Lengths::full(rows, e.dims()[1]));
        let (mut state, mut outputs) = (start, Vec::with_capacity(e.dims()[1]));
        for (projected, known) in steps(projected).into_iter().zip(steps(known)) {
            state = self.chosen(projected, known, c, state);
            outputs.push(self.cell.output(&state));
        }
        Tensor::stack(outputs, 1)
    }

    /// One step with the features that the gate chooses; what it knows of the token is `[R, s]`.
    fn chosen(
        &self,
        projected: Tensor<2>,
        known: Tensor<2>,
        c: &Tensor<2>,
        state: AnyState,
    ) -> AnyState {
        let (Some(gate), Some(w_s)) = (&self.gate, &self.w_s) else { return state };
        let open = sigmoid(known + linear(self.cell.output(&state), gate.w_h.val(), None));
        let [rows, gates] = projected.dims();
        let projected = projected + self.added(open * c.clone(), w_s, gates);
        let lengths = Lengths::full(rows, 1);
        self.cell.sequence(projected.unsqueeze_dim(1), state, &lengths, Direction::Forward).1
    }

    /// One step: the vector of the last token, `[R, d]`, and a state to what logits are made of, `[R, R']`,
    /// and the next state.
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn step(&self, e: Tensor<2>, c: &Tensor<2>, state: AnyState) -> (Tensor<2>, AnyState) {
        let lengths = Lengths::full(e.dims()[0], 1);
        let projected = self.cell.project(e.clone().unsqueeze_dim(1), &state, &lengths);
        let gates = projected.dims()[2];
        let state = match (&self.gate, &self.w_s) {
            (Some(gate), _) => {
                let known = gate.known(e.clone().unsqueeze_dim(1), c).squeeze_dim(1);
                self.chosen(projected.squeeze_dim(1), known, c, state)
            }
            (None, w_s) => {
                let projected = match w_s {
                    None => projected,
                    Some(w_s) => projected + self.added(c.clone(), w_s, gates).unsqueeze_dim(1),
                };
                self.cell.sequence(projected, state, &lengths, Direction::Forward).1
            }
        };
        let o = self.out.forward(self.cell.output(&state));
        let o = o + linear(e, self.w_eo.val(), None);
        (o + linear(c.clone(), self.w_so.val(), None), state)
    }
}

impl ContextGate {
    /// What is known of a gate before the steps run: `E[w] · W_e + c · W_c + b`, `[R, N, s]`.
    fn known(&self, e: Tensor<3>, c: &Tensor<2>) -> Tensor<3> {
        linear(e, self.w_e.val(), None) + self.w_c.forward(c.clone()).unsqueeze_dim(1)
    }
}
