//! The golden vectors of the specification, section 13.1: `I = H = 2`, `T = 3`, zero start.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, fill, in_f64};

use super::{f64s, param};
use crate::*;

const TOLERANCE: f64 = 1e-7;

/// The specification writes weights `(out, in)`; here they are `[in, out]`.
fn weight(rows: usize, k: usize) -> Tensor<2> {
    fill([rows, 2], k, DType::F64, &Device::flex()).transpose()
}

fn bias(n: usize, k: usize) -> Tensor<1> {
    fill([n], k, DType::F64, &Device::flex())
}

/// Rows of gate blocks of two units, picked out of a longer fill.
fn pick<const D: usize>(t: Tensor<D>, dim: usize, blocks: &[usize]) -> Tensor<D> {
    let blocks = blocks.iter().map(|block| t.clone().narrow(dim, 2 * block, 2));
    Tensor::cat(blocks.collect(), dim)
}

fn x() -> Tensor<3> {
    f64s([[[0.5, -1.0], [1.0, 0.25], [-0.75, 0.5]]], &Device::flex())
}

/// The final state, fused or composed as the cell has it, and composed.
fn run<C: Cell>(cell: C) -> [C::State; 2] {
    let lengths = Lengths::full(1, 3);
    let (_, last) = unroll(&cell, x(), None, &lengths, Direction::Forward);
    let stepped = x()
        .iter_dim(1)
        .fold(cell.initial_state(1), |state, x_t| cell.step(x_t.squeeze_dim(1), state));
    [last, stepped]
}

#[track_caller]
fn assert_golden<C: Cell<State = LstmState>>(cell: C, h: [f64; 2], c: [f64; 2]) {
    for last in run(cell) {
        assert_close(&last.hidden, [h], TOLERANCE);
        assert_close(&last.cell, [c], TOLERANCE);
    }
}

#[track_caller]
fn assert_golden_hidden<C: Cell<State = Tensor<2>>>(cell: C, h: [f64; 2]) {
    for last in run(cell) {
        assert_close(&last, [h], TOLERANCE);
    }
}

fn lstm() -> LstmCell {
    LstmCell { w_x: param(weight(8, 1)), w_h: param(weight(8, 2)), b: param(bias(8, 3)) }
}

#[test]
fn ls_1_lstm() {
    assert_golden(lstm(), [-0.09874755, -0.23086375], [-0.21557160, -0.43450582]);
}

#[test]
fn ls_1_lstm_with_forget_bias_1() {
    let mut cell = lstm();
    let one = f64s([0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], &Device::flex());
    cell.b = param(bias(8, 3) + one);
    assert_golden(cell, [-0.09766359, -0.25776130], [-0.21444852, -0.49214898]);
}

#[test]
fn ls_1_original_lstm() {
    let igo = [0, 2, 3];
    let mut cell = in_f64(OriginalLstmConfig::new(2, 2).init(&Device::flex()));
    cell.w_x = param(pick(weight(8, 1), 1, &igo));
    cell.w_h = param(pick(weight(8, 2), 1, &igo));
    cell.b = param(pick(bias(8, 3), 0, &igo));
    assert_golden(cell, [-0.08783792, -0.28610474], [-0.19371080, -0.55600059]);
}

fn peephole() -> PeepholeLstmCell {
    let rows = [4, 5, 6].map(|k| bias(2, k).unsqueeze::<2>());
    let LstmCell { w_x, w_h, b } = lstm();
    PeepholeLstmCell { w_x, w_h, b, p: param(Tensor::cat(rows.into(), 0)) }
}

#[test]
fn ls_1_peephole_lstm() {
    assert_golden(peephole(), [-0.09655274, -0.23635231], [-0.21595149, -0.42808610]);
}

#[test]
fn ls_1_coupled_lstm() {
    let fgo = [1, 2, 3];
    let cell = CoupledLstmCell {
        w_x: param(pick(weight(8, 1), 1, &fgo)),
        w_h: param(pick(weight(8, 2), 1, &fgo)),
        b: param(pick(bias(8, 3), 0, &fgo)),
    };
    assert_golden(cell, [-0.08869931, -0.18512661], [-0.19367999, -0.34091057]);
}

/// LS-1, GN-7.
#[test]
fn ls_1_gnmt_lstm() {
    let LstmCell { w_x, w_h, b } = lstm();
    let cell = GnmtLstmCell { w_x, w_h, b, clip: None };
    assert_golden(cell.clone(), [-0.10018004, -0.24525211], [-0.21542379, -0.43448357]);
    let clipped = GnmtLstmCell { clip: Some(0.1), ..cell };
    assert_golden(clipped, [-0.04697454, -0.05600034], [-0.1, -0.1]);
}

#[test]
fn ls_1_layer_norm_lstm() {
    let LstmCell { w_x, w_h, b } = lstm();
    let drawn = in_f64(LayerNormLstmConfig::new(2, 2).init(&Device::flex()));
    let cell = LayerNormLstmCell { w_x, w_h, b, ..drawn };
    assert_golden(cell, [-0.52854114, 0.52334527], [-0.74756386, 0.34767115]);
}

fn gru(reset: Reset) -> GruCell {
    GruCell {
        w_x: param(weight(6, 1)),
        w_h: param(weight(6, 2)),
        b_x: param(bias(6, 3)),
        b_h: param(bias(6, 4)),
        reset,
        update: Update::Keeps,
    }
}

#[test]
fn gr_1_where_the_reset_gate_acts_matters() {
    assert_golden_hidden(gru(Reset::AfterProduct), [-0.07844734, -0.47358505]);
    assert_golden_hidden(gru(Reset::BeforeProduct), [0.00631755, -0.51832155]);
}

#[test]
fn rnn() {
    let cell = RnnCell {
        w_x: param(weight(2, 1)),
        w_h: param(weight(2, 2)),
        b: param(bias(2, 3)),
        activation: Activation::Tanh,
    };
    assert_golden_hidden(cell, [0.68385740, -0.14338426]);
}

#[test]
fn leaky() {
    let config = LeakyConfig::new(2, 2, LeakRate::Shared { rate: 0.3 });
    let mut cell = in_f64(config.init(&Device::flex()));
    cell.w_x = param(weight(2, 1));
    cell.w_h = param(weight(2, 2));
    cell.b = param(bias(2, 3));
    cell.leak = Leak::Fixed(param(f64s([0.3, 0.3], &Device::flex())));
    assert_golden_hidden(cell, [0.22632656, -0.01175051]);
}

#[test]
fn skip() {
    let cell = SkipCell {
        w_x: param(weight(2, 1)),
        u: vec![param(weight(2, 2)), param(weight(2, 4))],
        b: param(bias(2, 3)),
        delays: vec![1, 2],
        activation: Activation::Tanh,
    };
    for last in run(cell) {
        assert_close(&last.past[0], [[0.76830906, -0.28473692]], TOLERANCE);
    }
}
