//! LS-2 to LS-10 and GN-7; LS-1 is among the golden vectors, LS-8 and LS-11 hold for every cell.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, assert_same_bits, random};

use super::{drawn, inputs, param};
use crate::{unroll::step_by_step, *};

fn lstm(device: &Device) -> LstmCell {
    drawn(LstmConfig::new(3, 4).init(device), DType::F64)
}

fn full<const D: usize>(shape: [usize; D], value: f64) -> Tensor<D> {
    Tensor::full(shape, value, (&Device::flex(), DType::F64))
}

/// The same bias with `value` for all units of one block.
fn with_block(bias: &Tensor<1>, block: usize, value: f64) -> burn::module::Param<Tensor<1>> {
    param(bias.clone().slice_assign(s![4 * block..4 * block + 4], full([4], value)))
}

fn busy() -> LstmState {
    super::busy_state(&lstm(&Device::flex()), 2)
}

fn run<C: Cell>(cell: &C, x: &Tensor<3>, start: C::State) -> (Tensor<3>, C::State) {
    unroll(cell, x.clone(), start, &Lengths::full(x.dims()[0], x.dims()[1]), Direction::Forward)
}

fn composed<C: Cell>(cell: &C, x: &Tensor<3>, start: C::State) -> Tensor<3> {
    let lengths = Lengths::full(x.dims()[0], x.dims()[1]);
    let projected = cell.project(x.clone(), &start, &lengths);
    step_by_step(cell, projected, start, &lengths, Direction::Forward).0
}

/// LS-2: peepholes of weight 0 are none, bit for bit on the composed path.
#[test]
fn ls_2_zero_peepholes_are_none() {
    let LstmCell { w_x, w_h, b } = lstm(&Device::flex());
    let peephole = PeepholeLstmCell {
        w_x: w_x.clone(),
        w_h: w_h.clone(),
        b: b.clone(),
        p: param(full([3, 4], 0.0)),
    };
    let plain = LstmCell { w_x, w_h, b };
    let x = inputs(2, 6, &Device::flex());
    assert_same_bits(&composed(&peephole, &x, busy()), &composed(&plain, &x, busy()));
    let (y, _) = run(&peephole, &x, busy());
    assert_close(&y, run(&plain, &x, busy()).0.into_data(), 1e-14);
}

/// The gradient of `Σ weights ⊙ c_T` with respect to `c_0`.
fn cell_gradient<C: Cell<State = LstmState>>(cell: &C, steps: usize) -> (Tensor<2>, Tensor<2>) {
    let device = Device::flex().autodiff();
    let mut start = cell.initial_state(2);
    start.cell = random([2, 4], 31, DType::F64, &device).require_grad();
    let c_0 = start.cell.clone();
    let x = random([2, steps, 3], 32, DType::F64, &device);
    let (_, last) = run(cell, &x, start);
    let weights = random([2, 4], 33, DType::F64, &device);
    let grads = (last.cell * weights.clone()).sum().backward();
    (c_0.grad(&grads).expect("a gradient"), weights)
}

/// LS-3: without a forget gate, and with errors that do not leave through the gates,
/// `∂c_T/∂c_0 = I` exactly over 1000 steps.
#[test]
fn ls_3_the_constant_error_carousel() {
    let device = Device::flex().autodiff();
    let carousel = drawn(CarouselConfig::new(3, 4).init(&device), DType::F64);
    let original = drawn(OriginalLstmConfig::new(3, 4).init(&device), DType::F64);

    let (gradient, weights) = cell_gradient(&Truncated::new(carousel.clone()), 1000);
    assert_same_bits(&gradient, &weights);
    let (gradient, weights) = cell_gradient(&Truncated::new(original.clone()), 1000);
    assert_same_bits(&gradient, &weights);

    // Without recurrent weights there is no other way either, fused or not.
    let zero = |w: &Tensor<2>| burn::module::Param::from_tensor(w.zeros_like().detach());
    let original = OriginalLstmCell { w_h: zero(&original.w_h.val()), ..original };
    let (gradient, weights) = cell_gradient(&original, 1000);
    assert_same_bits(&gradient, &weights);
    let carousel = CarouselCell { w_h: zero(&carousel.w_h.val()), ..carousel };
    let (gradient, weights) = cell_gradient(&carousel, 1000);
    assert_same_bits(&gradient, &weights);
}

/// LS-3: with a forget gate `∂c_T/∂c_0 = diag(Π_t f_t)`.
#[test]
fn ls_3_a_forget_gate_scales_the_error() {
    let device = Device::flex().autodiff();
    let cell = lstm(&device);
    let no_feedback = burn::module::Param::from_tensor(cell.w_h.val().zeros_like().detach());
    let cell = LstmCell { w_h: no_feedback, ..cell };
    let (gradient, weights) = cell_gradient(&cell, 20);

    let x = random([2, 20, 3], 32, DType::F64, &Device::flex());
    let plain = cell.valid();
    let projected = plain.project(x, &plain.initial_state(2), &Lengths::full(2, 20));
    let f = burn::tensor::activation::sigmoid(projected.narrow(2, 4, 4));
    let product = f.prod_dim(1).squeeze_dim::<2>(1);
    assert_close(&gradient, (weights.inner() * product).into_data(), 1e-13);
}

/// LS-3: in a plain network whose recurrent matrix has the norm 0.9 the error is gone:
/// `‖∂h_T/∂h_0‖ ≤ 0.9^1000 ≈ 1.7e-46`.
#[test]
fn ls_3_a_plain_network_forgets() {
    let device = Device::flex().autodiff();
    let orthogonal = RnnConfig::new(3, 4).init(&device).w_h.val().detach();
    let drawn = drawn(RnnConfig::new(3, 4).init(&device), DType::F64);
    let w_h = burn::module::Param::from_tensor((orthogonal.cast(DType::F64) * 0.9).detach());
    let cell = RnnCell { w_h, ..drawn };
    let h_0 = random([2, 4], 31, DType::F64, &device).require_grad();
    let (_, last) = run(&cell, &random([2, 1000, 3], 32, DType::F64, &device), h_0.clone());
    let grads = last.sum().backward();
    let norm = h_0.grad(&grads).expect("a gradient").abs().max().into_scalar::<f64>();
    assert!(norm <= 4.0 * 1.7e-46, "{norm:e}");
}

/// LS-4: a forget gate that never closes makes it the LSTM of 1997.
#[test]
fn ls_4_an_open_forget_gate_is_the_lstm_of_1997() {
    let cell = lstm(&Device::flex());
    let igo =
        |t: Tensor<2>| Tensor::cat([0, 2, 3].map(|n| t.clone().narrow(1, 4 * n, 4)).into(), 1);
    // The gate's input must stay far above 0 whatever x and h are.
    let open = LstmCell { b: with_block(&cell.b.val(), 1, 50.0), ..cell.clone() };
    let b = cell.b.val().unsqueeze::<2>();
    let original = OriginalLstmCell {
        w_x: param(igo(cell.w_x.val())),
        w_h: param(igo(cell.w_h.val())),
        b: param(igo(b).squeeze_dim(0)),
        squash: Squash::Tanh,
    };
    let x = inputs(2, 20, &Device::flex());
    let (y, last) = run(&open, &x, busy());
    let (expected, expected_last) = run(&original, &x, busy());
    assert_close(&y, expected.into_data(), 1e-12);
    assert_close(&last.cell, expected_last.cell.into_data(), 1e-12);
}

/// LS-4: shut the input gate, open the forget gate, and the cell keeps its content while `h` moves
/// with the output gate alone.
#[test]
fn ls_4_a_protected_cell_keeps_its_content() {
    let cell = lstm(&Device::flex());
    let b = with_block(&cell.b.val(), 0, -1e3);
    let protected = LstmCell { b: with_block(&b.val(), 1, 1e3), ..cell };
    let (y, last) = run(&protected, &inputs(2, 100, &Device::flex()), busy());
    assert_same_bits(&last.cell, &busy().cell);
    let moves = (y.clone().narrow(1, 50, 1) - y.narrow(1, 99, 1)).abs().max();
    assert!(moves.into_scalar::<f64>() > 1e-3);
}

/// LS-4: a shut output gate shows nothing; a shut forget gate remembers nothing.
#[test]
fn ls_4_shut_gates() {
    let cell = lstm(&Device::flex());
    let x = inputs(2, 5, &Device::flex());
    let silent = LstmCell { b: with_block(&cell.b.val(), 3, -1e3), ..cell.clone() };
    assert_close(&run(&silent, &x, busy()).0, full([2, 5, 4], 0.0).into_data(), 0.0);

    let mut forgetful = LstmCell { b: with_block(&cell.b.val(), 1, -1e3), ..cell };
    forgetful.w_h = param(full([4, 16], 0.0));
    let (_, from_busy) = run(&forgetful, &x, busy());
    let (_, from_zero) = run(&forgetful, &x, forgetful.initial_state(2));
    assert_same_bits(&from_busy.cell, &from_zero.cell);
}

/// A peephole cell whose gate `block` reads nothing but its bias and its peephole.
fn peephole_reading_only(block: usize, weight: f64) -> PeepholeLstmCell {
    let LstmCell { w_x, w_h, b } = lstm(&Device::flex());
    let deaf = |w: Tensor<2>| {
        let rows = w.dims()[0];
        param(w.slice_assign(s![.., 4 * block..4 * block + 4], full([rows, 4], 0.0)))
    };
    PeepholeLstmCell {
        w_x: deaf(w_x.val()),
        w_h: deaf(w_h.val()),
        b,
        p: param(full([3, 4], weight)),
    }
}

/// LS-5: the output gate sees `c_t`, not `c_{t−1}`: a change in `x_t` reaches it in the same step.
#[test]
fn ls_5_the_output_peephole_sees_the_new_cell() {
    let cell = peephole_reading_only(3, 1.0);
    let x = inputs(2, 1, &Device::flex()).squeeze_dim::<2>(1);
    let gate = |x: Tensor<2>| {
        let next = cell.step(x, busy());
        next.hidden / next.cell.tanh()
    };
    let change = (gate(x.clone()) - gate(x + 0.5)).abs().max().into_scalar::<f64>();
    assert!(change > 1e-3, "{change}");
}

/// LS-6: with the output gate shut, only peepholes let the other gates see the cell.
#[test]
fn ls_6_peepholes_see_a_hidden_cell() {
    let x = inputs(2, 1, &Device::flex()).squeeze_dim::<2>(1);
    let hidden_start =
        |cell_value: f64| LstmState { hidden: full([2, 4], 0.0), cell: full([2, 4], cell_value) };
    // The forget gate is c' minus what was written, over c.
    let forget_gate = |p: f64, c: f64| {
        let mut cell = peephole_reading_only(1, p);
        cell.b = with_block(&cell.b.val(), 0, -1e3);
        cell.step(x.clone(), hidden_start(c)).cell / c
    };
    assert_close(&forget_gate(0.0, 0.5), forget_gate(0.0, 2.0).into_data(), 1e-15);
    let change = (forget_gate(1.0, 0.5) - forget_gate(1.0, 2.0)).abs().max();
    assert!(change.into_scalar::<f64>() > 0.1);
}

/// LS-7: numbers of parameters, with one bias.
#[test]
fn ls_7_numbers_of_parameters() {
    let (d, h, device) = (5, 7, Device::flex());
    let level_2 = LstmConfig::new(d, h).init(&device).num_params();
    assert_eq!(level_2, 4 * h * (d + h + 1));
    let level_3 = PeepholeLstmConfig::new(d, h).init(&device).num_params();
    assert_eq!(level_3, level_2 + 3 * h);
    let three_gates = 3 * h * (d + h + 1);
    assert_eq!(CoupledLstmConfig::new(d, h).init(&device).num_params(), three_gates);
    assert_eq!(OriginalLstmConfig::new(d, h).init(&device).num_params(), three_gates);
    assert_eq!(CarouselConfig::new(d, h).init(&device).num_params(), h * (d + h + 1));
}

/// LS-9: layer normalisation takes out the scale of a weight matrix, up to ε.
#[test]
fn ls_9_layer_norm_ignores_the_scale_of_weights() {
    let cell = drawn(LayerNormLstmConfig::new(3, 4).init(&Device::flex()), DType::F64);
    let scaled = LayerNormLstmCell {
        w_x: param(cell.w_x.val() * 50.0),
        w_h: param(cell.w_h.val() * 50.0),
        ..cell.clone()
    };
    let x = inputs(2, 5, &Device::flex());
    let expected = run(&cell, &x, cell.initial_state(2)).0;
    // At the first step h is zero and stays zero under any scale; ε shows in the fourth digit.
    assert_close(&run(&scaled, &x, cell.initial_state(2)).0, expected.into_data(), 2e-3);
}

/// Ba et al. 2016, section 5.1: what is added to all columns of a weight matrix goes into the mean, and
/// is gone.
#[test]
fn layer_norm_ignores_what_all_columns_share() {
    let cell = drawn(LayerNormLstmConfig::new(3, 4).init(&Device::flex()), DType::F64);
    let column = |rows, seed| random::<2>([rows, 1], seed, DType::F64, &Device::flex());
    let shifted = LayerNormLstmCell {
        w_x: param(cell.w_x.val() + column(3, 1)),
        w_h: param(cell.w_h.val() + column(4, 2)),
        ..cell.clone()
    };
    let x = inputs(2, 5, &Device::flex());
    let expected = run(&cell, &x, cell.initial_state(2)).0;
    assert_close(&run(&shifted, &x, cell.initial_state(2)).0, expected.into_data(), 1e-10);
}

/// LS-3: with errors that do not leave through the gates or the peepholes, the memory's own way is all
/// there is, whatever the recurrent weights: `∂c_T/∂c_0 = diag(Π_t f_t)`.
#[test]
fn ls_3_truncated_errors_travel_by_the_forget_gates_alone() {
    let device = Device::flex().autodiff();
    let peephole = drawn(PeepholeLstmConfig::new(3, 4).init(&device), DType::F64);
    let (gradient, weights) = cell_gradient(&Truncated::new(peephole.clone()), 20);

    // The gates, step by step, as the cell has them.
    let plain = peephole.valid();
    let mut state = plain.initial_state(2);
    state.cell = random([2, 4], 31, DType::F64, &Device::flex());
    let x = random([2, 20, 3], 32, DType::F64, &Device::flex());
    let projected = plain.project(x, &state, &Lengths::full(2, 20));
    let mut product = full([2, 4], 1.0);
    for t in 0..20 {
        let projected = projected.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
        let gates = projected.clone() + state.hidden.clone().matmul(plain.w_h.val());
        let p = plain.p.val().narrow(0, 1, 1);
        let f = gates.narrow(1, 4, 4) + state.cell.clone() * p;
        product = product * burn::tensor::activation::sigmoid(f);
        state = plain.advance(projected, state, &Direct);
    }
    assert_close(&gradient, (weights.clone().inner() * product).into_data(), 1e-13);
    // Without the cut there are other ways.
    let whole = cell_gradient(&peephole, 20).0;
    assert!(recurrent_testkit::largest_difference(&whole, gradient.into_data()) > 1e-6);
}

/// LS-10: what is shown stays inside (−1, 1).
#[test]
fn ls_10_the_output_is_bounded() {
    struct Check;
    impl super::ForEveryCell for Check {
        fn check<C: Cell>(&mut self, name: &str, cell: C) {
            if !name.contains("lstm") || name.contains("gnmt") || name.contains("projected") {
                return;
            }
            let x = inputs(2, 300, &Device::flex()) * 3.0;
            let y = run(&cell, &x, cell.initial_state(2)).0;
            let largest = y.abs().max().into_scalar::<f64>();
            assert!(largest < 1.0 && largest > 0.1, "{name}: {largest}");
        }
    }
    super::every_cell(&Device::flex(), DType::F64, &mut Check);
    let cell = OriginalLstmConfig::new(3, 4).init(&Device::flex());
    let cell = drawn(cell, DType::F64);
    let x = inputs(2, 300, &Device::flex()) * 3.0;
    let (y, last) = run(&cell, &x, cell.initial_state(2));
    assert!(y.abs().max().into_scalar::<f64>() <= 1.0);
    let memory = last.cell.abs().max().into_scalar::<f64>();
    assert!(memory > 2.0, "while the memory of 1997 grows: {memory}");
}

/// Gers et al. 2000: without a forget gate the memory grows with the stream, with one it does not.
#[test]
fn the_forget_gate_keeps_the_memory_bounded() {
    let device = Device::flex();
    let x = Tensor::ones([1, 400, 3], (&device, DType::F64));
    let largest = |state: LstmState| state.cell.abs().max().into_scalar::<f64>();
    let original = drawn(OriginalLstmConfig::new(3, 4).init(&device), DType::F64);
    let grown = |steps: usize| {
        let (_, last) = run(&original, &x.clone().narrow(1, 0, steps), original.initial_state(1));
        largest(last)
    };
    let ratio = grown(400) / grown(200);
    assert!((1.8..2.2).contains(&ratio), "grows linearly, by {ratio} over twice the time");
    let forgetting = lstm(&device);
    let (_, last) = run(&forgetting, &x, forgetting.initial_state(1));
    assert!(largest(last) < 30.0);
}

/// The historical squashing functions: `4σ(x) − 2` in, `2σ(x) − 1` out.
#[test]
fn logistic_squash_by_hand() {
    let device = Device::flex();
    let mut cell = drawn(
        OriginalLstmConfig::new(1, 1).with_squash(Squash::Logistic).init(&device),
        DType::F64,
    );
    cell.w_x = param(super::f64s([[0.3, 0.9, -0.2]], &device));
    cell.w_h = param(full([1, 3], 0.0));
    cell.b = param(full([3], 0.0));
    let next = cell.step(full([1, 1], 2.0), cell.initial_state(1));
    let sigma = |z: f64| 1.0 / (1.0 + (-z).exp());
    let c = sigma(0.6) * (4.0 * sigma(1.8) - 2.0);
    assert_close(&next.cell, [[c]], 1e-15);
    assert_close(&next.hidden, [[sigma(-0.4) * (2.0 * sigma(c) - 1.0)]], 1e-15);
}

/// GN-7: no cell leaves its bound at any step, whatever schedule moves it; a bound of infinity is none.
#[test]
fn gn_7_the_memory_stays_within_its_bound() {
    let mut cell = super::clipped_lstm(&Device::flex(), DType::F64);
    // An output gate that is open shows the cell.
    cell.b = with_block(&cell.b.val(), 3, 1e3);
    let x = inputs(2, 30, &Device::flex()) * 3.0;
    let mut largest = |clip| {
        cell.clip = clip;
        let (y, last) = run(&cell, &x, busy());
        assert_close(&y.clone().narrow(1, 29, 1).squeeze_dim::<2>(1), last.cell.into_data(), 1e-15);
        y.abs().max().into_scalar::<f64>()
    };
    let unclipped = largest(None);
    assert!(unclipped > 1.0, "the memory does not reach the bounds: {unclipped}");
    for bound in [1.0, 0.5, 0.1] {
        assert_eq!(largest(Some(bound)), bound);
    }
    assert_eq!(largest(Some(f64::INFINITY)), unclipped);
}
