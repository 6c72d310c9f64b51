//! LK-1 to LK-8.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, assert_same_bits, random};
use rstest::rstest;

use super::{drawn, f64s, inputs, param};
use crate::{unroll::step_by_step, *};

/// A leaky cell with the given rate for all units, in double precision.
fn leaky(rate: f64, average: Average, activation: Activation) -> LeakyCell {
    let config = LeakyConfig::new(3, 4, LeakRate::Shared { rate })
        .with_average(average)
        .with_activation(activation);
    let mut cell = drawn(config.init(&Device::flex()), DType::F64);
    cell.leak = Leak::Fixed(param(Tensor::full([4], rate, (&Device::flex(), DType::F64))));
    cell
}

/// The same, with no recurrent weights and an input that passes through.
fn integrator(rate: f64) -> LeakyCell {
    let device = Device::flex();
    let mut cell = leaky(rate, Average::Output, Activation::Identity);
    cell.w_x = param(Tensor::full([3, 4], 1.0 / 3.0, (&device, DType::F64)));
    cell.w_h = param(Tensor::zeros([4, 4], &device));
    cell.b = param(Tensor::zeros([4], &device));
    cell
}

fn run<C: Cell>(cell: &C, x: Tensor<3>, start: Option<C::State>) -> Tensor<3> {
    let lengths = Lengths::full(x.dims()[0], x.dims()[1]);
    unroll(cell, x, start, &lengths, Direction::Forward).0
}

/// LK-1: at a = 1 both forms are the plain network.
#[rstest]
fn lk_1_no_leak_is_the_plain_network(#[values(Average::Output, Average::Sum)] average: Average) {
    let cell = leaky(1.0, average, Activation::Tanh);
    let LeakyCell { w_x, w_h, b, activation, .. } = cell.clone();
    let rnn = RnnCell { w_x, w_h, b, activation };
    let (x, lengths) = (inputs(2, 5, &Device::flex()), Lengths::full(2, 5));
    let start = rnn.initial_state(2);
    let projected = rnn.project(x.clone(), &start, &lengths);
    let (y, _) = step_by_step(&rnn, projected, start, &lengths, Direction::Forward);
    assert_same_bits(&run(&cell, x, None), &y);
}

/// LK-2: at a = 0 the state is held for ever.
#[rstest]
fn lk_2_a_closed_leak_holds(#[values(Average::Output, Average::Sum)] average: Average) {
    let cell = leaky(0.0, average, Activation::Tanh);
    let start = random([2, 4], 1, DType::F64, &Device::flex());
    let lengths = Lengths::full(2, 50);
    let x = inputs(2, 50, &Device::flex());
    let (_, last) = unroll(&cell, x, start.clone(), &lengths, Direction::Forward);
    assert_same_bits(&last, &start);
}

/// LK-3: the running average of a constant v is v (1 − (1 − a)^t): its gain is 1.
#[test]
fn lk_3_the_average_of_a_constant() {
    let (a, v) = (0.3, 0.8);
    let x = Tensor::full([1, 20, 3], v, (&Device::flex(), DType::F64));
    let y = run(&integrator(a), x, None);
    let expected: Vec<f64> = (1..=20).flat_map(|t| [v * (1.0 - (1.0 - a).powi(t)); 4]).collect();
    assert_close(&y.reshape([80]), expected.as_slice(), 1e-14);
}

/// LK-4: the response to one impulse is a (1 − a)^n.
#[test]
fn lk_4_the_response_to_an_impulse() {
    let a = 0.25;
    let device = Device::flex();
    let impulse = Tensor::full([1, 1, 3], 1.0, (&device, DType::F64));
    let silence = Tensor::zeros([1, 9, 3], (&device, DType::F64));
    let y = run(&integrator(a), Tensor::cat(vec![impulse, silence], 1), None);
    let expected: Vec<f64> = (0..10).flat_map(|n| [a * (1.0 - a).powi(n); 4]).collect();
    assert_close(&y.reshape([40]), expected.as_slice(), 1e-15);
}

/// LK-5: without recurrent weights `∂h_t/∂h_{t−k}` is (1 − a)^k I.
#[test]
fn lk_5_the_path_through_the_leak() {
    let (a, k) = (0.1, 30);
    let device = Device::flex();
    let start = Tensor::<2>::eye(4, &device).cast(DType::F64);
    let x = Tensor::zeros([4, k, 3], (&device, DType::F64));
    let y = run(&integrator(a), x, Some(start.clone()));
    let last = y.narrow(1, k - 1, 1).squeeze_dim::<2>(1);
    assert_close(&last, (start * (1.0 - a).powi(30)).into_data(), 1e-15);
}

/// LK-6: a leaky unit is a GRU with r ≡ 1 and z ≡ 1 − a.
#[test]
fn lk_6_a_leaky_unit_is_a_gru_with_fixed_gates() {
    let (a, device) = (0.3, Device::flex());
    let cell = leaky(a, Average::Output, Activation::Tanh);
    let zeros = |rows: usize| Tensor::zeros([rows, 8], (&device, DType::F64));
    let gate = |value: f64| Tensor::full([4], value, (&device, DType::F64));
    let z = (1.0_f64 - a).ln() - a.ln();
    let gru = GruCell {
        w_x: param(Tensor::cat(vec![zeros(3), cell.w_x.val()], 1)),
        w_h: param(Tensor::cat(vec![zeros(4), cell.w_h.val()], 1)),
        b_x: param(Tensor::cat(vec![gate(50.0), gate(z), cell.b.val()], 0)),
        b_h: param(Tensor::zeros([12], &device)),
        reset: Reset::AfterProduct,
        update: Update::Keeps,
    };
    let x = inputs(2, 8, &device);
    assert_close(&run(&cell, x.clone(), None), run(&gru, x, None).into_data(), 1e-14);
}

/// LK-7: squashed averages stay in [−1, 1].
#[test]
fn lk_7_the_state_stays_bounded() {
    let cell = leaky(0.7, Average::Output, Activation::Tanh);
    let x = inputs(4, 200, &Device::flex()) * 100.0;
    let largest = run(&cell, x, None).abs().max().into_scalar::<f64>();
    assert!(largest <= 1.0 && largest > 0.9, "{largest}");
}

/// LK-8: a learned rate stays inside (0, 1) wherever training takes it, but for what single precision rounds
/// to 1, and starts on the spectrum.
#[test]
fn lk_8_learned_rates_stay_inside() {
    let device = Device::flex();
    let rates = |theta: Tensor<1>| Leak::Learned(param(theta)).rates();
    let wild = rates(f64s([-30.0, 0.0, 3.0, 30.0], &device));
    for rate in wild.into_data().iter::<f64>() {
        assert!(rate > 0.0 && rate < 1.0, "{rate}");
    }
    let single = rates(Tensor::from_data([-80.0_f32, -20.0, 20.0, 80.0], &device));
    for rate in single.into_data().iter::<f32>() {
        assert!(rate > 0.0 && rate <= 1.0, "{rate}");
    }
    let config = LeakyConfig::new(3, 3, LeakRate::Learned { longest: 100.0 });
    let start = config.init(&device).leak.rates();
    assert_close(&start, [0.99, 0.1, 0.01], 1e-6);
}

#[rstest]
#[case(LeakRate::Shared { rate: 1.5 }, "a leak rate is in [0, 1], got 1.5")]
#[case(LeakRate::PerUnit { rates: vec![0.1] }, "a leak rate for each of the 4 units")]
#[case(LeakRate::Spectrum { longest: 0.5 }, "a longest time constant is at least 1, got 0.5")]
fn rates_are_checked(#[case] leak: LeakRate, #[case] message: &str) {
    let config = LeakyConfig::new(3, 4, leak);
    let panic = std::panic::catch_unwind(|| config.init(&Device::flex())).expect_err("refused");
    assert!(panic.downcast_ref::<String>().expect("a message").contains(message));
}
