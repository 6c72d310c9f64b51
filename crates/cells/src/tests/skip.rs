//! SK-1 to SK-7.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, assert_same_bits};
use rstest::rstest;

use super::{drawn, f64s, inputs, param};
use crate::{unroll::step_by_step, *};

fn plain() -> RnnCell {
    drawn(RnnConfig::new(3, 4).init(&Device::flex()), DType::F64)
}

/// The plain network with more edges.
fn with_edges(rnn: &RnnCell, edges: Vec<(usize, Tensor<2>)>) -> SkipCell {
    SkipCell {
        w_x: rnn.w_x.clone(),
        u: edges.iter().map(|(_, u)| param(u.clone())).collect(),
        b: rnn.b.clone(),
        delays: edges.into_iter().map(|(s, _)| s).collect(),
        activation: rnn.activation,
    }
}

fn composed<C: Cell>(cell: &C, x: &Tensor<3>) -> Tensor<3> {
    let lengths = Lengths::full(x.dims()[0], x.dims()[1]);
    let start = cell.initial_state(lengths.batch());
    let projected = cell.project(x.clone(), &start, &lengths);
    step_by_step(cell, projected, start, &lengths, Direction::Forward).0
}

/// SK-1: with the delays {1} it is the plain network, bit for bit.
#[test]
fn sk_1_one_delay_of_one_step_is_the_plain_network() {
    let rnn = plain();
    let skip = with_edges(&rnn, vec![(1, rnn.w_h.val())]);
    let x = inputs(2, 6, &Device::flex());
    assert_same_bits(&composed(&skip, &x), &composed(&rnn, &x));
}

/// SK-2: an edge without weight is no edge.
#[test]
fn sk_2_a_zero_edge_changes_nothing() {
    let rnn = plain();
    let zero = Tensor::zeros([4, 4], (&Device::flex(), DType::F64));
    let skip = with_edges(&rnn, vec![(1, rnn.w_h.val()), (3, zero)]);
    let x = inputs(2, 6, &Device::flex());
    assert_same_bits(&composed(&skip, &x), &composed(&rnn, &x));
}

/// SK-3: with the delays {d} it is d networks on interleaved subsequences.
#[test]
fn sk_3_only_long_edges_split_the_sequence() {
    let rnn = plain();
    let skip = with_edges(&rnn, vec![(3, rnn.w_h.val())]);
    let x = inputs(2, 9, &Device::flex());
    let y = composed(&skip, &x);
    for r in 0..3 {
        let every_third = Tensor::<1, Int>::from_data([r, r + 3, r + 6], &Device::flex());
        let part = composed(&rnn, &x.clone().select(1, every_third.clone()));
        assert_same_bits(&y.clone().select(1, every_third), &part);
    }
}

/// A linear network without input; its derivative by the state is its response to a unit start.
fn linear_response(edges: Vec<(usize, Tensor<2>)>, size: usize, steps: usize) -> Tensor<3> {
    let device = Device::flex();
    let drawn = RnnConfig::new(1, size).init(&device);
    let mut cell = with_edges(&drawn, edges);
    cell.activation = Activation::Identity;
    cell.w_x = param(Tensor::zeros([1, size], &device));
    cell.b = param(Tensor::zeros([size], &device));
    let mut start = cell.initial_state(size);
    start.past[0] = Tensor::<2>::eye(size, &device).cast(DType::F64);
    let x = Tensor::zeros([size, steps, 1], (&device, DType::F64));
    unroll(&cell, x, start, &Lengths::full(size, steps), Direction::Forward).0
}

fn binomial(n: u64, k: u64) -> f64 {
    (0..k).fold(1.0, |product, j| product * (n - j) as f64 / (j + 1) as f64)
}

/// SK-4: `∂h_T/∂h_0 = Σ_k C(T − kd + k, k) u^(T − kd) v^k`; with T = 4, d = 2, u = v = ½: 0.6875.
#[rstest]
#[case(2, 0.5, 0.5)]
#[case(3, 0.7, -0.4)]
fn sk_4_paths_are_counted_by_binomials(#[case] d: usize, #[case] u: f64, #[case] v: f64) {
    let scalar = |value: f64| f64s([[value]], &Device::flex());
    let y = linear_response(vec![(1, scalar(u)), (d, scalar(v))], 1, 8);
    let expected: Vec<f64> = (1..=8_usize)
        .map(|t| {
            (0..=t / d)
                .map(|k| {
                    let straight = t - k * d;
                    binomial((straight + k) as u64, k as u64)
                        * u.powi(straight as i32)
                        * v.powi(k as i32)
                })
                .sum()
        })
        .collect();
    if d == 2 {
        assert_eq!(expected[..4], [0.5, 0.75, 0.625, 0.6875]);
    }
    assert_close(&y.reshape([8]), expected.as_slice(), 1e-14);
}

/// SK-7: with identity edges of delay d alone, `∂h_T/∂h_0` is I every d steps and else 0.
#[test]
fn sk_7_a_long_identity_edge_does_not_fade() {
    let device = Device::flex();
    let eye = Tensor::<2>::eye(2, &device).cast(DType::F64);
    let zero = Tensor::zeros([2, 2], (&device, DType::F64));
    let y = linear_response(vec![(1, zero.clone()), (5, eye.clone())], 2, 20);
    for t in 1..=20 {
        let response = y.clone().narrow(1, t - 1, 1).squeeze_dim::<2>(1);
        let expected = if t % 5 == 0 { &eye } else { &zero };
        assert_close(&response, expected.to_data(), 0.0);
    }
}

#[rstest]
#[case(&[], "at least one delay")]
#[case(&[1, 0], "at least 1 step, got 0 in [1, 0]")]
#[case(&[2, 3, 2], "the delay 2 stands twice in [2, 3, 2]")]
fn delays_are_checked(#[case] delays: &[usize], #[case] message: &str) {
    let config = SkipConfig::new(3, 4, delays.to_vec());
    let panic = std::panic::catch_unwind(|| config.init(&Device::flex())).expect_err("refused");
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    assert!(text.expect("a message").contains(message));
}

/// Edges start with norms that sum to 1: each is orthogonal times 1 / |S|.
#[test]
fn edges_share_the_norm() {
    let cell = SkipConfig::new(3, 8, vec![1, 4]).init(&Device::flex());
    for u in &cell.u {
        let product = u.val().transpose().matmul(u.val()) * 4.0;
        assert_close(&product, Tensor::<2>::eye(8, &Device::flex()).into_data(), 1e-5);
    }
}
