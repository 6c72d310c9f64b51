//! The recurrences as the specification writes them: one step at a time, in tensor operations.

use crate::{Activation, Direction, Gates, Lengths, Reset, Update};
use burn::{
    prelude::*,
    tensor::activation::{relu, sigmoid},
};

use super::{EPSILON, Kind, Operands, Results};

/// The hidden state and the cell (of those that have one).
type State = (Tensor<2>, Tensor<2>);

pub(super) fn step_by_step(
    kind: Kind,
    operands: Operands,
    lengths: &Lengths,
    direction: Direction,
) -> Results {
    let mut outputs = vec![operands.hidden.clone(); lengths.steps()];
    let state = walk(kind, &operands, lengths, direction, &mut |t, pad, _, (h, _)| {
        outputs[t] = h.clone().mask_fill(pad, 0.0);
    });
    let outputs = Tensor::stack(outputs, 1);
    let cell = match kind {
        Kind::Lstm(_) | Kind::LayerNormLstm => state.1,
        Kind::Rnn(_) | Kind::Gru(..) => state.0.clone(),
    };
    Results { outputs, hidden: state.0, cell }
}

/// How near to `±δ` each cell of each real step comes before it is clipped, `|c'| − δ` and so above 0
/// where it is clipped. Nothing for what is not clipped.
pub(super) fn beyond_bound(
    kind: Kind,
    operands: &Operands,
    lengths: &Lengths,
    direction: Direction,
) -> Vec<f64> {
    let Kind::Lstm(Gates::Gnmt { clip: Some(bound) }) = kind else { return Vec::new() };
    let mut beyond = Vec::new();
    walk(kind, operands, lengths, direction, &mut |t, _, before, _| {
        let (_, c) = advance(Kind::Lstm(Gates::Gnmt { clip: None }), operands, t, before);
        for (row, length) in lengths.as_slice().iter().enumerate() {
            if t < *length {
                let row = c.clone().slice(s![row..row + 1, ..]).into_data();
                beyond.extend(row.iter::<f64>().map(|c| c.abs() - bound));
            }
        }
    });
    beyond
}

/// Goes through all steps and shows each: `t`, what is padding, the state before, and after where it is
/// no padding. Gives the final state.
fn walk(
    kind: Kind,
    operands: &Operands,
    lengths: &Lengths,
    direction: Direction,
    show: &mut dyn FnMut(usize, Tensor<2, Bool>, &State, &State),
) -> State {
    let mask = lengths.pad_mask(&operands.x.device());
    let steps = lengths.steps();
    let order: Vec<usize> = match direction {
        Direction::Forward => (0..steps).collect(),
        Direction::Backward => (0..steps).rev().collect(),
    };
    let mut state: State = (operands.hidden.clone(), operands.cell.clone());
    for t in order {
        let pad = mask.clone().slice(s![.., t..t + 1]).expand(state.0.dims());
        let after = advance(kind, operands, t, &state);
        show(t, pad.clone(), &state, &after);
        let (h, c) = after;
        state = (h.mask_where(pad.clone(), state.0), c.mask_where(pad, state.1));
    }
    state
}

fn advance(kind: Kind, operands: &Operands, t: usize, state: &State) -> State {
    let x_t = operands.x.clone().slice(s![.., t..t + 1, ..]).squeeze_dim(1);
    match kind {
        Kind::Rnn(activation) => rnn(activation, operands, x_t, state),
        Kind::Lstm(gates) => lstm(gates, operands, x_t, state),
        Kind::LayerNormLstm => layer_norm_lstm(operands, x_t, state),
        Kind::Gru(reset, update) => gru(reset, update, operands, x_t, state),
    }
}

fn rnn(activation: Activation, o: &Operands, x: Tensor<2>, (h, c): &State) -> State {
    let a = x + h.clone().matmul(o.w_h.clone());
    let h = match activation {
        Activation::Tanh => a.tanh(),
        Activation::Relu => relu(a),
        Activation::Identity => a,
    };
    (h, c.clone())
}

fn lstm(gates: Gates, o: &Operands, x: Tensor<2>, (h, c): &State) -> State {
    let a = x + h.clone().matmul(o.w_h.clone());
    let blocks = a.chunk(gates.count(), 1);
    let c = c.clone();
    match gates {
        Gates::Original => {
            let [i, g, out] = blocks.try_into().unwrap();
            let c = c + sigmoid(i) * g.tanh();
            (sigmoid(out) * c.clone().tanh(), c)
        }
        Gates::Forget => {
            let [i, f, g, out] = blocks.try_into().unwrap();
            let c = sigmoid(f) * c + sigmoid(i) * g.tanh();
            (sigmoid(out) * c.clone().tanh(), c)
        }
        Gates::Peephole => {
            let [i, f, g, out] = blocks.try_into().unwrap();
            let p = |n: usize| o.peephole.clone().slice(s![n..n + 1, ..]);
            let i = sigmoid(i + p(0) * c.clone());
            let f = sigmoid(f + p(1) * c.clone());
            let c = f * c + i * g.tanh();
            let out = sigmoid(out + p(2) * c.clone());
            (out * c.clone().tanh(), c)
        }
        Gates::Coupled => {
            let [f, g, out] = blocks.try_into().unwrap();
            let f = sigmoid(f);
            let c = f.clone() * c + (-f + 1.0) * g.tanh();
            (sigmoid(out) * c.clone().tanh(), c)
        }
        Gates::Gnmt { clip } => {
            let [i, f, g, out] = blocks.try_into().unwrap();
            let c = sigmoid(f) * c + sigmoid(i) * g.tanh();
            let c = match clip {
                Some(bound) => c.clamp(-bound, bound),
                None => c,
            };
            (sigmoid(out) * c.clone(), c)
        }
    }
}

/// `γ ⊙ (a − mean) / √(var + ε) + β` over the last axis, where `var = mean(a²) − mean(a)²`; `norm` is
/// `γ` over `β`.
pub(super) fn layer_norm(a: Tensor<2>, norm: &Tensor<2>) -> Tensor<2> {
    let mean = a.clone().mean_dim(1);
    let variance = (a.clone() * a.clone()).mean_dim(1) - mean.clone() * mean.clone();
    let row = |n: usize| norm.clone().slice(s![n..n + 1, ..]);
    (a - mean) / (variance + EPSILON).sqrt() * row(0) + row(1)
}

fn layer_norm_lstm(o: &Operands, x: Tensor<2>, (h, c): &State) -> State {
    let a = x + layer_norm(h.clone().matmul(o.w_h.clone()), &o.norm_h);
    let [i, f, g, out] = a.chunk(4, 1).try_into().unwrap();
    let c = sigmoid(f) * c.clone() + sigmoid(i) * g.tanh();
    (sigmoid(out) * layer_norm(c.clone(), &o.norm_c).tanh(), c)
}

fn gru(reset: Reset, update: Update, o: &Operands, x: Tensor<2>, (h, c): &State) -> State {
    let hidden = h.dims()[1];
    let part = |t: &Tensor<2>, n: usize| t.clone().slice(s![.., n * hidden..(n + 1) * hidden]);
    let (w, b) = (o.w_h.clone(), o.b_h.clone().unsqueeze::<2>());
    let h = h.clone();
    let gate = |n: usize| sigmoid(part(&x, n) + h.clone().matmul(part(&w, n)) + part(&b, n));
    let (r, z) = (gate(0), gate(1));
    let n = match reset {
        Reset::AfterProduct => r * (h.clone().matmul(part(&w, 2)) + part(&b, 2)),
        Reset::BeforeProduct => (r * h.clone()).matmul(part(&w, 2)) + part(&b, 2),
    };
    let n = (part(&x, 2) + n).tanh();
    let one_minus_z = -z.clone() + 1.0;
    let h = match update {
        Update::Keeps => one_minus_z * n + z * h,
        Update::Writes => one_minus_z * h + z * n,
    };
    (h, c.clone())
}
