//! GR-2 to GR-7; GR-1 is among the golden vectors.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, random};
use rstest::rstest;

use super::{drawn, f64s, inputs, param};
use crate::*;

fn gru(reset: Reset, update: Update) -> GruCell {
    let config = GruConfig::new(3, 4).with_reset(reset).with_update(update);
    drawn(config.init(&Device::flex()), DType::F64)
}

/// The same cell with `value` in the bias of one gate: 0 is r, 1 is z.
fn with_gate_bias(mut cell: GruCell, gate: usize, value: f64) -> GruCell {
    let fill = Tensor::full([4], value, (&Device::flex(), DType::F64));
    cell.b_x = param(cell.b_x.val().slice_assign(s![4 * gate..4 * gate + 4], fill));
    cell
}

fn run(cell: &GruCell, x: &Tensor<3>, start: &Tensor<2>) -> Tensor<3> {
    let lengths = Lengths::full(x.dims()[0], x.dims()[1]);
    unroll(cell, x.clone(), start.clone(), &lengths, Direction::Forward).0
}

fn start() -> Tensor<2> {
    random([2, 4], 5, DType::F64, &Device::flex())
}

/// GR-2: with the reset gate open the place where it acts does not matter.
#[test]
fn gr_2_an_open_reset_gate_makes_the_two_forms_one() {
    let open = |reset| with_gate_bias(gru(reset, Update::Keeps), 0, 50.0);
    let x = inputs(2, 5, &Device::flex());
    let after = run(&open(Reset::AfterProduct), &x, &start());
    let before = run(&open(Reset::BeforeProduct), &x, &start());
    assert_close(&after, before.into_data(), 1e-14);
}

/// GR-2: nor does it with a diagonal `U_n` and no bias in the recurrent product of `n`.
#[test]
fn gr_2_a_diagonal_product_makes_the_two_forms_one() {
    let diagonal = |reset| {
        let mut cell = gru(reset, Update::Keeps);
        let device = Device::flex();
        let mask = Tensor::<2>::eye(4, &device).cast(DType::F64);
        let n = cell.w_h.val().narrow(1, 8, 4) * mask;
        cell.w_h = param(Tensor::cat(vec![cell.w_h.val().narrow(1, 0, 8), n], 1));
        let zero = Tensor::zeros([4], (&device, DType::F64));
        cell.b_h = param(cell.b_h.val().slice_assign(s![8..12], zero));
        cell
    };
    let x = inputs(2, 5, &Device::flex());
    let after = run(&diagonal(Reset::AfterProduct), &x, &start());
    let before = run(&diagonal(Reset::BeforeProduct), &x, &start());
    assert_close(&after, before.into_data(), 1e-14);
    let full = run(&gru(Reset::BeforeProduct, Update::Keeps), &x, &start());
    let difference = (run(&gru(Reset::AfterProduct, Update::Keeps), &x, &start()) - full).abs();
    assert!(difference.max().into_scalar::<f64>() > 1e-3, "else this test shows nothing");
}

/// GR-3: negating the weights of `z` turns one convention into the other.
#[rstest]
fn gr_3_the_conventions_differ_by_a_sign(
    #[values(Reset::AfterProduct, Reset::BeforeProduct)] reset: Reset,
) {
    let keeps = gru(reset, Update::Keeps);
    let sign = f64s::<1>([1., 1., 1., 1., -1., -1., -1., -1., 1., 1., 1., 1.], &Device::flex());
    let row = sign.clone().unsqueeze::<2>();
    let writes = GruCell {
        w_x: param(keeps.w_x.val() * row.clone()),
        w_h: param(keeps.w_h.val() * row),
        b_x: param(keeps.b_x.val() * sign.clone()),
        b_h: param(keeps.b_h.val() * sign),
        reset,
        update: Update::Writes,
    };
    let x = inputs(2, 5, &Device::flex());
    let expected = run(&keeps, &x, &start()).into_data();
    assert_close(&run(&writes, &x, &start()), expected, 1e-14);
}

/// GR-4: an update gate that keeps everything keeps it exactly; GR-6: then `∂h'/∂h` is I.
#[rstest]
#[case(Update::Keeps, 1e3)]
#[case(Update::Writes, -1e3)]
fn gr_4_and_gr_6_a_kept_state(#[case] update: Update, #[case] bias: f64) {
    let cell = with_gate_bias(gru(Reset::AfterProduct, update), 1, bias);
    let y = run(&cell, &inputs(2, 50, &Device::flex()), &start());
    assert_close(&y.narrow(1, 49, 1).squeeze_dim::<2>(1), start().into_data(), 0.0);

    let device = Device::flex().autodiff();
    let cell = cell.fork(&device);
    let h = random([2, 4], 5, DType::F64, &device).require_grad();
    let next = cell.step(inputs(2, 1, &device).squeeze_dim(1), h.clone());
    let weights = random([2, 4], 6, DType::F64, &device);
    let grads = (next * weights.clone()).sum().backward();
    assert_close(&h.grad(&grads).expect("a gradient"), weights.into_data(), 0.0);
}

/// GR-4: with the reset gate shut and everything written, the past is forgotten.
#[rstest]
fn gr_4_a_shut_reset_gate_forgets(
    #[values(Reset::AfterProduct, Reset::BeforeProduct)] reset: Reset,
) {
    let cell = with_gate_bias(gru(reset, Update::Keeps), 0, -1e3);
    let cell = with_gate_bias(cell, 1, -1e3);
    let x = inputs(2, 1, &Device::flex());
    let zero = Tensor::zeros([2, 4], (&Device::flex(), DType::F64));
    assert_close(&run(&cell, &x, &start()), run(&cell, &x, &zero).into_data(), 0.0);
}

/// GR-5: three quarters of the weights of an LSTM; and both biases, as PyTorch has them.
#[test]
fn gr_5_three_quarters_of_an_lstm() {
    let (d, h, device) = (5, 7, Device::flex());
    let gru = GruConfig::new(d, h).init(&device);
    let lstm = LstmConfig::new(d, h).init(&device);
    let weights =
        |a: &Tensor<2>, b: &Tensor<2>| a.shape().num_elements() + b.shape().num_elements();
    let (of_gru, of_lstm) =
        (weights(&gru.w_x.val(), &gru.w_h.val()), weights(&lstm.w_x.val(), &lstm.w_h.val()));
    assert_eq!(4 * of_gru, 3 * of_lstm);
    assert_eq!(gru.num_params(), 3 * h * (d + h + 2));
}

/// GR-7: the new state lies between the old one and [−1, 1].
#[test]
fn gr_7_a_convex_combination() {
    let cell = gru(Reset::AfterProduct, Update::Keeps);
    let from = start() * 3.0;
    let y = run(&cell, &(inputs(2, 30, &Device::flex()) * 50.0), &from);
    let bound = from.abs().max_dim(1).into_data();
    let largest = y.abs().max_dim(1).squeeze_dim::<2>(1).max_dim(1).into_data();
    for (largest, bound) in largest.iter::<f64>().zip(bound.iter::<f64>()) {
        assert!(largest <= bound.max(1.0), "{largest} above {bound}");
    }
}
