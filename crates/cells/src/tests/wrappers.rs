//! Zoneout, recurrent and variational dropout, learned start, truncation: LS-9 and X-5.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, assert_same_bits};
use rstest::rstest;

use super::{busy_state, drawn, inputs};
use crate::{unroll::step_by_step, *};

fn lstm(device: &Device) -> LstmCell {
    drawn(LstmConfig::new(3, 4).init(device), DType::F64)
}

fn run<C: Cell>(cell: &C, device: &Device) -> (Tensor<3>, C::State) {
    let x = inputs(2, 6, device);
    unroll(cell, x, None, &Lengths::full(2, 6), Direction::Forward)
}

fn composed<C: Cell>(cell: &C, device: &Device) -> Tensor<3> {
    let start = cell.initial_state(2);
    let lengths = Lengths::full(2, 6);
    let projected = cell.project(inputs(2, 6, device), &start, &lengths);
    step_by_step(cell, projected, start, &lengths, Direction::Forward).0
}

/// A step in the operations that wrappers change, with nothing changed.
fn advanced<C: Cell>(cell: &C, x: Tensor<2>, state: C::State) -> C::State {
    let one = Lengths::full(x.dims()[0], 1);
    let projected = cell.project(x.unsqueeze_dim(1), &state, &one).squeeze_dim(1);
    cell.advance(projected, state, &Direct)
}

/// LS-9: rates of 0 are the cell itself, in training and out of it.
#[rstest]
fn ls_9_rates_of_zero_are_the_cell(#[values(false, true)] training: bool) {
    let device = if training { Device::flex().autodiff() } else { Device::flex() };
    let cell = lstm(&device);
    let expected = composed(&cell, &device);
    assert_same_bits(&run(&Zoneout::new(cell.clone(), 0.0, 0.0), &device).0, &expected);
    assert_same_bits(&run(&RecurrentDropout::new(cell.clone(), 0.0), &device).0, &expected);
    assert_same_bits(&run(&VariationalDropout::new(cell, 0.0, 0.0), &device).0, &expected);
}

/// LS-9: at z = 1 nothing ever changes.
#[rstest]
fn ls_9_full_zoneout_freezes_the_state(#[values(false, true)] training: bool) {
    let device = if training { Device::flex().autodiff() } else { Device::flex() };
    let cell = Zoneout::new(lstm(&device), 1.0, 1.0);
    let start = busy_state(&cell, 2);
    let x = inputs(2, 6, &device);
    let (_, last) = unroll(&cell, x, start.clone(), &Lengths::full(2, 6), Direction::Forward);
    assert_same_bits(&last.cell, &start.cell);
    assert_same_bits(&last.hidden, &start.hidden);
}

/// Krueger et al. 2017: out of training a step is the expectation over the masks, and `h` comes
/// from the cell before zoneout.
#[test]
fn zoneout_out_of_training_is_the_expectation() {
    let device = Device::flex();
    let (cell, z_h, z_c) = (lstm(&device), 0.2, 0.6);
    let (x, start) = (inputs(2, 1, &device).squeeze_dim(1), busy_state(&cell, 2));
    let plain = advanced(&cell, x.clone(), start.clone());
    let zoned = Zoneout::new(cell, z_h, z_c).step(x, start.clone());
    let expected = start.cell * z_c + plain.cell * (1.0 - z_c);
    assert_close(&zoned.cell, expected.into_data(), 1e-15);
    let expected = start.hidden * z_h + plain.hidden * (1.0 - z_h);
    assert_close(&zoned.hidden, expected.into_data(), 1e-15);
}

/// In training every unit is either the old one or the new one, each about as often as it should.
#[test]
fn zoneout_in_training_keeps_or_takes() {
    let device = Device::flex().autodiff();
    let cell = drawn(LstmConfig::new(3, 50).init(&device), DType::F64);
    let start = busy_state(&cell, 40);
    let x = inputs(40, 1, &device).squeeze_dim(1);
    let plain = advanced(&cell, x.clone(), start.clone());
    let zoned = Zoneout::new(cell, 0.0, 0.3).step(x, start.clone());
    let kept = zoned.cell.clone().equal(start.cell);
    let taken = zoned.cell.equal(plain.cell);
    let share = kept.clone().float().mean().into_scalar::<f32>();
    // 2000 draws: four standard deviations are 0.041.
    assert!((share - 0.3).abs() < 0.041, "{share}");
    assert!(kept.bool_or(taken).all().into_scalar::<bool>());
}

/// A shifted history is not zoned out; only the newest state is.
#[test]
fn zoneout_leaves_the_past_of_a_skip_cell() {
    let device = Device::flex();
    let cell =
        Zoneout::new(drawn(SkipConfig::new(3, 4, vec![2]).init(&device), DType::F64), 1.0, 1.0);
    let start = busy_state(&cell, 2);
    let next = cell.step(inputs(2, 1, &device).squeeze_dim(1), start.clone());
    assert_same_bits(&next.past[0], &start.past[0]);
    assert_same_bits(&next.past[1], &start.past[0]);
}

/// Semeniuta et al. 2016: the memory itself is never dropped.
#[test]
fn recurrent_dropout_never_drops_the_memory() {
    let device = Device::flex().autodiff();
    let cell = drawn(LstmConfig::new(3, 50).init(&device), DType::F64);
    let start = busy_state(&cell, 40);
    let x = inputs(40, 1, &device).squeeze_dim(1);
    let plain = advanced(&cell, x.clone(), start.clone());
    let dropping = RecurrentDropout::new(cell.clone(), 0.25);
    let dropped = dropping.step(x.clone(), start.clone());
    // c' = f ⊙ c + d ⊙ u with d either 0 or 1 / 0.75, and u = c'_plain − f ⊙ c.
    let no_update = RecurrentDropout::new(cell, 0.0);
    struct Nothing;
    impl Paths for Nothing {
        fn update(&self, u: Tensor<2>) -> Tensor<2> {
            u * 0.0
        }
    }
    let projected =
        no_update.project(x.unsqueeze_dim(1), &start, &Lengths::full(40, 1)).squeeze_dim(1);
    let kept = no_update.advance(projected, start, &Nothing).cell;
    let d = (dropped.cell - kept.clone()) / (plain.cell - kept);
    let (mut zeros, mut all) = (0, 0);
    for d in d.into_data().iter::<f64>() {
        assert!(d.abs() < 1e-6 || (d - 1.0 / 0.75).abs() < 1e-6, "{d}");
        zeros += usize::from(d.abs() < 1e-6);
        all += 1;
    }
    let share = zeros as f64 / f64::from(all);
    assert!((share - 0.25).abs() < 0.04, "{share}");
}

/// Gal & Ghahramani 2016: one mask a sequence. Streaming with the state gives the run over the
/// whole sequence, masks and all.
#[test]
fn variational_masks_last_a_sequence() {
    let device = Device::flex().autodiff();
    let cell = VariationalDropout::new(lstm(&device), 0.5, 0.5);
    let x = inputs(8, 6, &device);
    let start = cell.initial_state(8);
    let lengths = Lengths::full(8, 6);
    let (y, _) = unroll(&cell, x.clone(), start.clone(), &lengths, Direction::Forward);
    let mut state = start.clone();
    for t in 0..6 {
        state = cell.step(x.clone().narrow(1, t, 1).squeeze_dim(1), state);
        let expected = y.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
        assert_close(&state.inner.hidden, expected.into_data(), 1e-14);
    }
    assert_same_bits(&state.hidden_mask, &start.hidden_mask);
    let dropped = start.hidden_mask.clone().equal_elem(0.0).float().sum().into_scalar::<f32>();
    assert!((1.0..=31.0).contains(&dropped), "some of 32 are dropped: {dropped}");

    // A dropped unit feeds nothing back: its value does not matter.
    let mask = start.hidden_mask.clone();
    let mut other = start;
    other.inner.hidden =
        other.inner.hidden + (-mask.clone() + 2.0) * mask.equal_elem(0.0).float().cast(DType::F64);
    let (z, _) = unroll(&cell, x, other, &lengths, Direction::Forward);
    assert_close(&z, y.into_data(), 1e-14);
}

/// nothing is random out of training, and frozen modules do not draw either.
#[test]
fn x_5_no_randomness_out_of_training() {
    let device = Device::flex().autodiff();
    let cell = lstm(&device);
    let zoneout = Zoneout::new(cell.clone(), 0.4, 0.4);
    let recurrent = RecurrentDropout::new(cell.clone(), 0.4);
    let variational = VariationalDropout::new(cell, 0.4, 0.4);
    let plain = Device::flex();
    let twice = |a: Tensor<3>, b: Tensor<3>| assert_same_bits(&a, &b);
    twice(run(&zoneout.valid(), &plain).0, run(&zoneout.valid(), &plain).0);
    twice(run(&recurrent.valid(), &plain).0, run(&recurrent.valid(), &plain).0);
    twice(run(&variational.valid(), &plain).0, run(&variational.valid(), &plain).0);
    let frozen = zoneout.freeze();
    twice(run(&frozen, &device).0, run(&frozen, &device).0);
}

/// Wrappers go over each other: each keeps what the others do.
#[test]
fn wrappers_compose() {
    let device = Device::flex().autodiff();
    let cell = Zoneout::new(VariationalDropout::new(lstm(&device), 0.9, 0.0), 0.0, 0.0);
    let start = cell.initial_state(2);
    let (x, lengths) = (inputs(2, 6, &device), Lengths::full(2, 6));
    let masked = x.clone() * start.input_mask.clone().unsqueeze_dim(1);
    let masked = cell.cell.cell.project(masked, &start.inner, &lengths);
    assert_same_bits(&cell.project(x, &start, &lengths), &masked);

    // The gradient of 1997 holds below dropout on the update as well.
    let original = drawn(OriginalLstmConfig::new(3, 4).init(&device), DType::F64);
    let cell = RecurrentDropout::new(Truncated::new(original), 0.3);
    let mut start = cell.initial_state(2);
    start.cell = start.cell.require_grad();
    let c_0 = start.cell.clone();
    let x = inputs(2, 6, &device);
    let (_, last) = unroll(&cell, x, start, &Lengths::full(2, 6), Direction::Forward);
    let grads = last.cell.sum().backward();
    assert_close(&c_0.grad(&grads).expect("a gradient"), [[1.0; 4]; 2], 0.0);
}

/// A learned start begins at the cell's own, is shared by all sequences, and learns.
#[test]
fn learned_start() {
    let device = Device::flex().autodiff();
    let cell = lstm(&device);
    let learned = LearnedStart::new(cell.clone());
    assert_same_bits(&run(&learned, &device).0, &run(&cell, &device).0);
    assert_eq!(learned.num_params(), cell.num_params() + 8);
    let grads = run(&learned, &device).0.sum().backward();
    for part in &learned.start {
        let gradient = part.val().grad(&grads).expect("a gradient");
        assert!(gradient.abs().sum().into_scalar::<f64>() > 1e-6);
    }
}

#[test]
#[should_panic(expected = "a zoneout rate is in [0, 1], got 1.5")]
fn a_zoneout_rate_above_one_is_refused() {
    Zoneout::new(lstm(&Device::flex()), 0.1, 1.5);
}
