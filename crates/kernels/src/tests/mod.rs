//! The fused sequence operations against a recurrence written one step at a time in tensor
//! operations, with Burn's own autodiff, in double precision: values and all gradients, on every
//! backend this build contains.

mod activations;
mod additive_score;
mod cross_entropy;
mod layer_norm;
mod optimizer;
mod products;
mod project;
mod random_shapes;
mod reference;
#[cfg(any(feature = "wgpu", feature = "vulkan"))]
mod wgpu;

use crate::flex::{Isa, forced};
use crate::{
    Activation, CheckpointedOperands, Direction, Gates, GruOperands, LayerNormLstmOperands,
    Lengths, LstmOperands, Norm, Recurrence, Reset, Update, checkpointed_sequence, gru_sequence,
    layer_norm_lstm_sequence, lstm_sequence, rnn_sequence,
};
use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, random};
use rstest::rstest;

/// Which recurrence.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Rnn(Activation),
    Lstm(Gates),
    LayerNormLstm,
    Gru(Reset, Update),
}

/// `ε` of all normalisations: so large that rows of two numbers which are about the same have no
/// gradients beyond what single precision can hold.
const EPSILON: f64 = 1e-2;

/// Cells of the problems here are within ±1 or a little beyond: some are clipped, some are not.
const CLIPPED: Kind = Kind::Lstm(Gates::Gnmt { clip: Some(BOUND) });

/// `bf16` rounds it down: a cell that was clipped must still be found at its bound.
const BOUND: f64 = 0.45;

const KINDS: [Kind; 14] = [
    Kind::Rnn(Activation::Tanh),
    Kind::Rnn(Activation::Relu),
    Kind::Rnn(Activation::Identity),
    Kind::Lstm(Gates::Original),
    Kind::Lstm(Gates::Forget),
    Kind::Lstm(Gates::Peephole),
    Kind::Lstm(Gates::Coupled),
    Kind::Lstm(Gates::Gnmt { clip: None }),
    CLIPPED,
    Kind::LayerNormLstm,
    Kind::Gru(Reset::AfterProduct, Update::Keeps),
    Kind::Gru(Reset::AfterProduct, Update::Writes),
    Kind::Gru(Reset::BeforeProduct, Update::Keeps),
    Kind::Gru(Reset::BeforeProduct, Update::Writes),
];

impl Kind {
    fn blocks(self) -> usize {
        match self {
            Self::Rnn(_) => 1,
            Self::Lstm(gates) => gates.count(),
            Self::LayerNormLstm => 4,
            Self::Gru(..) => 3,
        }
    }
}

/// The operands of a recurrence. Those that a kind does not have are left alone.
#[derive(Clone)]
struct Operands {
    x: Tensor<3>,
    w_h: Tensor<2>,
    peephole: Tensor<2>,
    b_h: Tensor<1>,
    hidden: Tensor<2>,
    cell: Tensor<2>,
    /// `γ` over `β`.
    norm_h: Tensor<2>,
    norm_c: Tensor<2>,
}

/// What comes out. Kinds without a cell repeat the hidden state.
struct Results {
    outputs: Tensor<3>,
    hidden: Tensor<2>,
    cell: Tensor<2>,
}

type Run = fn(Kind, Operands, &Lengths, Direction) -> Results;

fn fused(kind: Kind, o: Operands, lengths: &Lengths, direction: Direction) -> Results {
    match kind {
        Kind::Rnn(activation) => {
            let (outputs, hidden) =
                rnn_sequence(o.x, o.w_h, o.hidden, activation, lengths, direction);
            Results { outputs, cell: hidden.clone(), hidden }
        }
        Kind::Lstm(gates) => {
            let peephole = (gates == Gates::Peephole).then_some(o.peephole);
            let operands = LstmOperands { w_h: o.w_h, peephole, hidden: o.hidden, cell: o.cell };
            let sequence = lstm_sequence(o.x, operands, gates, lengths, direction);
            Results { outputs: sequence.outputs, hidden: sequence.hidden, cell: sequence.cell }
        }
        Kind::LayerNormLstm => {
            let norm = |rows: Tensor<2>| Norm {
                gamma: rows.clone().narrow(0, 0, 1).squeeze_dim(0),
                beta: rows.narrow(0, 1, 1).squeeze_dim(0),
            };
            let operands = LayerNormLstmOperands {
                w_h: o.w_h,
                norm_h: norm(o.norm_h),
                norm_c: norm(o.norm_c),
                hidden: o.hidden,
                cell: o.cell,
            };
            let sequence = layer_norm_lstm_sequence(o.x, operands, EPSILON, lengths, direction);
            Results { outputs: sequence.outputs, hidden: sequence.hidden, cell: sequence.cell }
        }
        Kind::Gru(reset, update) => {
            let operands = GruOperands { w_h: o.w_h, b_h: o.b_h, hidden: o.hidden };
            let (outputs, hidden) = gru_sequence(o.x, operands, reset, update, lengths, direction);
            Results { outputs, cell: hidden.clone(), hidden }
        }
    }
}

/// Which operands are tracked, in the order of [`Operands`].
#[derive(Clone, Copy)]
struct Tracked([bool; 8]);

const ALL: Tracked = Tracked([true; 8]);

/// How much each result counts in the loss.
#[derive(Clone, Copy)]
struct Loss {
    outputs: f64,
    hidden: f64,
    cell: f64,
}

const EVERYTHING: Loss = Loss { outputs: 1.0, hidden: 1.0, cell: 1.0 };

/// Values and gradients of one run, each with its name.
type Record = Vec<(&'static str, Option<Vec<f64>>)>;

/// The numbers of a tensor, read now: on a GPU, `TensorData` is only fetched when it is first
/// looked at, and shows what an operation in place has left there by then.
fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// A problem: what to run on which batch.
#[derive(Clone, Debug)]
struct Problem {
    kind: Kind,
    lengths: Lengths,
    direction: Direction,
    hidden: usize,
}

impl Problem {
    fn new(kind: Kind, lengths: &[usize], steps: usize, hidden: usize) -> Self {
        let lengths = Lengths::new(lengths, steps);
        Self { kind, lengths, direction: Direction::Forward, hidden }
    }

    fn toward(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }

    fn operands(&self, dtype: DType, device: &Device) -> Operands {
        let (b, t, h) = (self.lengths.batch(), self.lengths.steps(), self.hidden);
        let n = self.kind.blocks() * h;
        let scale = (h as f64).powf(-0.5);
        Operands {
            x: random([b, t, n], 1, dtype, device),
            w_h: random([h, n], 2, dtype, device) * scale,
            peephole: random([3, h], 3, dtype, device),
            b_h: random([n], 4, dtype, device),
            hidden: random([b, h], 5, dtype, device),
            cell: random([b, h], 6, dtype, device),
            norm_h: random([2, 4 * h], 10, dtype, device),
            norm_c: random([2, h], 11, dtype, device),
        }
    }

    /// How near a cell comes to a bound at which its gradient jumps.
    fn distance_to_bound(&self) -> f64 {
        let operands = self.operands(DType::F64, &Device::flex());
        reference::beyond_bound(self.kind, &operands, &self.lengths, self.direction)
            .into_iter()
            .fold(f64::INFINITY, |nearest, beyond| nearest.min(beyond.abs()))
    }

    fn run(&self, run: Run, operands: Operands, tracked: Tracked, loss: Loss) -> Record {
        let Tracked(on) = tracked;
        let o = Operands {
            x: operands.x.set_require_grad(on[0]),
            w_h: operands.w_h.set_require_grad(on[1]),
            peephole: operands.peephole.set_require_grad(on[2]),
            b_h: operands.b_h.set_require_grad(on[3]),
            hidden: operands.hidden.set_require_grad(on[4]),
            cell: operands.cell.set_require_grad(on[5]),
            norm_h: operands.norm_h.set_require_grad(on[6]),
            norm_c: operands.norm_c.set_require_grad(on[7]),
        };
        let results = run(self.kind, o.clone(), &self.lengths, self.direction);
        let (device, dtype) = (o.x.device(), o.x.dtype());
        let mut record: Record = vec![
            ("outputs", Some(numbers(results.outputs.clone()))),
            ("hidden", Some(numbers(results.hidden.clone()))),
            ("cell", Some(numbers(results.cell.clone()))),
        ];
        if !device.is_autodiff() || on == [false; 8] {
            return record;
        }
        let mut terms: Vec<Tensor<1>> = Vec::new();
        let outputs = random(results.outputs.dims(), 7, dtype, &device) * loss.outputs;
        let hidden = random(results.hidden.dims(), 8, dtype, &device) * loss.hidden;
        let cell = random(results.cell.dims(), 9, dtype, &device) * loss.cell;
        if loss.outputs != 0.0 {
            terms.push((results.outputs * outputs).sum());
        }
        if loss.hidden != 0.0 {
            terms.push((results.hidden * hidden).sum());
        }
        if loss.cell != 0.0 {
            terms.push((results.cell * cell).sum());
        }
        let total = terms.into_iter().reduce(|a, b| a + b).expect("a loss has a term");
        let grads = total.backward();
        record.push(("grad x", o.x.grad(&grads).map(numbers)));
        record.push(("grad w_h", o.w_h.grad(&grads).map(numbers)));
        record.push(("grad peephole", o.peephole.grad(&grads).map(numbers)));
        record.push(("grad b_h", o.b_h.grad(&grads).map(numbers)));
        record.push(("grad hidden", o.hidden.grad(&grads).map(numbers)));
        record.push(("grad cell", o.cell.grad(&grads).map(numbers)));
        record.push(("grad norm_h", o.norm_h.grad(&grads).map(numbers)));
        record.push(("grad norm_c", o.norm_c.grad(&grads).map(numbers)));
        record
    }

    /// Fused on `device` against step by step in double precision on `flex`.
    ///
    /// A cell so near to its bound that single precision may find it on the other side would compare
    /// two gradients.
    #[track_caller]
    fn check(&self, device: &Device, dtype: DType, tolerance: f64) {
        let nearest = self.distance_to_bound();
        assert!(nearest > tolerance.min(2e-5), "{nearest:e} away from a bound\n{self:?}");
        let oracle = Device::flex().autodiff();
        let expected =
            self.run(reference::step_by_step, self.operands(DType::F64, &oracle), ALL, EVERYTHING);
        let actual = self.run(fused, self.operands(dtype, device), ALL, EVERYTHING);
        assert_records_close(&actual, &expected, tolerance, self);
    }
}

#[track_caller]
fn assert_records_close(actual: &Record, expected: &Record, tolerance: f64, problem: &Problem) {
    assert_eq!(actual.len(), expected.len());
    for ((name, actual), (_, expected)) in actual.iter().zip(expected) {
        match (actual, expected) {
            (None, None) => {}
            (Some(actual), Some(expected)) => {
                for (a, e) in actual.iter().zip(expected) {
                    let off = (a - e).abs() / e.abs().max(1.0);
                    assert!(off <= tolerance, "{name}: {a} for {e}, off by {off:.1e}\n{problem:?}");
                }
            }
            (actual, _) => panic!("{name}: present is {}\n{problem:?}", actual.is_some()),
        }
    }
}

/// Every shape and length that has its own path: ragged with 0 and T, one step, one sequence, a
/// width that fills no vector, a width beyond one vector.
fn shapes(kind: Kind) -> Vec<Problem> {
    let problems = [
        Problem::new(kind, &[4, 0, 2, 1], 4, 3),
        Problem::new(kind, &[1], 1, 5),
        Problem::new(kind, &[3, 3], 3, 8),
        Problem::new(kind, &[2], 6, 13),
        Problem::new(kind, &[2, 5, 5, 3, 1], 7, 33),
    ];
    problems.into_iter().flat_map(|p| [p.clone(), p.toward(Direction::Backward)]).collect()
}

fn check_every_kind_and_shape(device: &Device, dtype: DType, tolerance: f64) {
    for problem in KINDS.into_iter().flat_map(shapes) {
        problem.check(device, dtype, tolerance);
    }
}

#[test]
fn flex_in_f64() {
    check_every_kind_and_shape(&Device::flex().autodiff(), DType::F64, 1e-10);
}

#[test]
fn flex_in_f32() {
    check_every_kind_and_shape(&Device::flex().autodiff(), DType::F32, 1e-5);
}

/// Every instruction set that this processor has, not only the one it would choose.
#[test]
fn flex_with_every_instruction_set() {
    let device = Device::flex().autodiff();
    for isa in Isa::all() {
        forced(isa, || check_every_kind_and_shape(&device, DType::F64, 1e-10));
        forced(isa, || check_every_kind_and_shape(&device, DType::F32, 1e-5));
    }
}

/// `bf16` takes the composed path; its mantissa has 8 bits.
#[test]
fn flex_in_bf16() {
    let device = Device::flex().autodiff();
    for kind in KINDS {
        Problem::new(kind, &[3, 1], 3, 4).check(&device, DType::BF16, 0.1);
    }
}

#[cfg(feature = "ndarray")]
#[test]
#[expect(deprecated, reason = "asked for by users of Burn 0.22")]
fn ndarray_in_f64_and_f32() {
    check_every_kind_and_shape(&Device::ndarray().autodiff(), DType::F64, 1e-10);
    check_every_kind_and_shape(&Device::ndarray().autodiff(), DType::F32, 1e-5);
}

/// A gradient is there exactly for what is tracked, and does not depend on what else is.
#[rstest]
#[case(Kind::Rnn(Activation::Tanh))]
#[case(Kind::Lstm(Gates::Peephole))]
#[case(CLIPPED)]
#[case(Kind::LayerNormLstm)]
#[case(Kind::Gru(Reset::AfterProduct, Update::Keeps))]
#[case(Kind::Gru(Reset::BeforeProduct, Update::Keeps))]
fn every_subset_of_tracked_operands(#[case] kind: Kind) {
    let device = Device::flex().autodiff();
    let problem = Problem::new(kind, &[3, 1], 3, 4);
    for subset in 0..256_u32 {
        let tracked = Tracked(std::array::from_fn(|n| subset >> n & 1 == 1));
        let used = match kind {
            Kind::Rnn(_) => 0b01_0011,
            Kind::Lstm(Gates::Peephole) => 0b11_0111,
            Kind::Lstm(_) => 0b11_0011,
            Kind::LayerNormLstm => 0b1111_0011,
            Kind::Gru(..) => 0b01_1011,
        };
        if subset & used == 0 || subset & !used & 0b1100_0000 != 0 {
            continue;
        }
        let run =
            |run| problem.run(run, problem.operands(DType::F64, &device), tracked, EVERYTHING);
        assert_records_close(&run(fused), &run(reference::step_by_step), 1e-10, &problem);
    }
}

/// With nothing tracked the result is a constant, with the same values.
#[rstest]
fn nothing_tracked(#[values(false, true)] autodiff: bool) {
    let device = if autodiff { Device::flex().autodiff() } else { Device::flex() };
    for kind in KINDS {
        let problem = Problem::new(kind, &[3, 1], 3, 4);
        let run = |run| {
            let operands = problem.operands(DType::F64, &device);
            problem.run(run, operands, Tracked([false; 8]), EVERYTHING)
        };
        assert_records_close(&run(fused), &run(reference::step_by_step), 1e-10, &problem);
    }
}

#[rstest]
#[case::only_the_outputs(Loss { outputs: 1.0, hidden: 0.0, cell: 0.0 })]
#[case::only_the_final_hidden_state(Loss { outputs: 0.0, hidden: 1.0, cell: 0.0 })]
#[case::only_the_final_cell(Loss { outputs: 0.0, hidden: 0.0, cell: 1.0 })]
fn only_one_result_used(#[case] loss: Loss) {
    let device = Device::flex().autodiff();
    for problem in KINDS.map(|kind| Problem::new(kind, &[3, 0, 1], 3, 4)) {
        let run = |run| problem.run(run, problem.operands(DType::F64, &device), ALL, loss);
        assert_records_close(&run(fused), &run(reference::step_by_step), 1e-10, &problem);
    }
}

#[test]
fn under_gradient_checkpointing() {
    let (plain, checkpointing) =
        (Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing());
    for problem in KINDS.map(|kind| Problem::new(kind, &[3, 0, 1], 3, 4)) {
        let run =
            |run, device| problem.run(run, problem.operands(DType::F64, device), ALL, EVERYTHING);
        let expected = run(reference::step_by_step, &plain);
        assert_records_close(&run(fused, &checkpointing), &expected, 1e-10, &problem);
    }
}

/// Views instead of fresh tensors: swapped axes, expanded rows, slices at an odd offset.
#[test]
fn strided_and_expanded_operands() {
    for problem in KINDS.map(|kind| Problem::new(kind, &[3, 2], 3, 5)) {
        let plain = problem.operands(DType::F64, &Device::flex());
        let views = Operands {
            x: plain.x.clone().swap_dims(0, 2).repeat_dim(0, 1).swap_dims(0, 2),
            w_h: Tensor::cat(vec![plain.w_h.clone(), plain.w_h.clone()], 1).narrow(
                1,
                problem.kind.blocks() * 5,
                problem.kind.blocks() * 5,
            ),
            peephole: plain.peephole.clone().flip([0]).flip([0]),
            b_h: plain.b_h.clone(),
            hidden: plain.hidden.clone().narrow(0, 1, 1).expand([2, 5]),
            cell: plain.cell.clone().transpose().transpose(),
            norm_h: plain.norm_h.clone().flip([0]).flip([0]),
            norm_c: plain.norm_c.clone().transpose().mul_scalar(1.0).transpose(),
        };
        let packed = Operands {
            hidden: Tensor::cat(vec![plain.hidden.clone().narrow(0, 1, 1); 2], 0),
            ..plain
        };
        let values = |operands| problem.run(fused, operands, Tracked([false; 8]), EVERYTHING);
        assert_records_close(&values(views), &values(packed), 0.0, &problem);
    }
}

/// X-8 as far as a kernel goes: NaN in padding reaches neither a value nor a gradient, NaN in a
/// real step reaches every result; on the CPU path and, in `bf16`, on the composed one.
#[rstest]
fn nan_in_padding_is_never_read(
    #[values(Direction::Forward, Direction::Backward)] direction: Direction,
    #[values(DType::F64, DType::BF16)] dtype: DType,
) {
    let device = Device::flex().autodiff();
    for problem in KINDS.map(|kind| Problem::new(kind, &[2, 3], 3, 4).toward(direction)) {
        let clean = problem.operands(dtype, &device);
        let width = problem.kind.blocks() * 4;
        let poison = |row: usize, t: usize| {
            let nan = Tensor::full([1, 1, width], f64::NAN, (&device, dtype));
            let x = clean.x.clone().slice_assign(s![row..row + 1, t..t + 1, ..], nan);
            problem.run(fused, Operands { x, ..clean.clone() }, ALL, EVERYTHING)
        };
        let expected = problem.run(fused, clean.clone(), ALL, EVERYTHING);
        assert_records_close(&poison(0, 2), &expected, 0.0, &problem);
        for (name, data) in poison(1, 2).into_iter().take(3) {
            let reached = data.expect("a value").into_iter().any(f64::is_nan);
            assert!(reached, "{name} of {problem:?} hides a NaN");
        }
    }
}

/// Gradients through views: the leaves are laid out the other way round, so that what the
/// operation keeps for its backward pass is strided as well.
#[test]
fn gradients_of_strided_operands() {
    let device = Device::flex().autodiff();
    for problem in KINDS.map(|kind| Problem::new(kind, &[3, 2], 3, 5)) {
        let plain = problem.operands(DType::F64, &device);
        let record = |run: Run| -> Record {
            let leaf = |t: Tensor<2>| t.transpose().detach().require_grad();
            let x = plain.x.clone().swap_dims(0, 2).detach().require_grad();
            let (w_h, peephole) = (leaf(plain.w_h.clone()), leaf(plain.peephole.clone()));
            let row = plain.hidden.clone().narrow(0, 0, 1).detach().require_grad();
            let operands = Operands {
                x: x.clone().swap_dims(0, 2),
                w_h: w_h.clone().transpose(),
                peephole: peephole.clone().transpose(),
                hidden: row.clone().expand([2, 5]),
                ..plain.clone()
            };
            let results = run(problem.kind, operands, &problem.lengths, problem.direction);
            let weights = random(results.outputs.dims(), 7, DType::F64, &device);
            let loss = (results.outputs * weights).sum() + results.cell.sum();
            let grads = loss.backward();
            vec![
                ("grad x", x.grad(&grads).map(numbers)),
                ("grad w_h", w_h.grad(&grads).map(numbers)),
                ("grad peephole", peephole.grad(&grads).map(numbers)),
                ("grad hidden", row.grad(&grads).map(numbers)),
            ]
        };
        assert_records_close(&record(fused), &record(reference::step_by_step), 1e-10, &problem);
    }
}

/// So many rows, and so wide, that the rows are split over threads.
fn many_rows(kind: Kind) -> Problem {
    let lengths: Vec<usize> = (0..150).map(|row| row % 4).collect();
    Problem::new(kind, &lengths, 3, 130)
}

/// A batch whose rows are split is the same batch.
#[test]
fn rows_that_are_split_are_the_same_rows() {
    for kind in KINDS {
        for direction in [Direction::Forward, Direction::Backward] {
            let device = Device::flex().autodiff();
            many_rows(kind).toward(direction).check(&device, DType::F64, 1e-10);
        }
    }
}

/// the number of threads does not change a bit, neither where products are split nor where rows
/// are. Outside a pool of its own a product is split over all threads there are, inside it is not.
#[test]
fn the_number_of_threads_changes_nothing() {
    let device = Device::flex().autodiff();
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let problems = |kind| [Problem::new(kind, &[12; 64], 12, 224), many_rows(kind)];
    for problem in KINDS.into_iter().flat_map(problems) {
        let run = || problem.run(fused, problem.operands(DType::F32, &device), ALL, EVERYTHING);
        let one = pool(1).install(run);
        assert_records_close(&pool(3).install(run), &one, 0.0, &problem);
        assert_records_close(&run(), &one, 0.0, &problem);
    }
}

/// two equal calls give equal bits.
#[test]
fn equal_calls_give_equal_bits() {
    let device = Device::flex().autodiff();
    for problem in KINDS.map(|kind| Problem::new(kind, &[64, 33, 50], 64, 96)) {
        let run = || problem.run(fused, problem.operands(DType::F32, &device), ALL, EVERYTHING);
        assert_records_close(&run(), &run(), 0.0, &problem);
    }
}

/// Outputs at padded steps are zero; a sequence of length 0 keeps its state.
#[test]
fn padding_puts_out_zeros_and_keeps_the_state() {
    let problem = Problem::new(Kind::Lstm(Gates::Forget), &[0, 2], 3, 4);
    let operands = problem.operands(DType::F64, &Device::flex());
    let results = fused(problem.kind, operands.clone(), &problem.lengths, Direction::Forward);
    assert_close(
        &results.outputs.clone().narrow(0, 0, 1),
        Tensor::<3>::zeros([1, 3, 4], &Device::flex()).into_data(),
        0.0,
    );
    assert_close(&results.hidden.narrow(0, 0, 1), operands.hidden.narrow(0, 0, 1).into_data(), 0.0);
    assert_close(&results.cell.narrow(0, 0, 1), operands.cell.narrow(0, 0, 1).into_data(), 0.0);
    let padded = results.outputs.slice(s![1..2, 2..3, ..]);
    assert_close(&padded, [[[0.0; 4]]], 0.0);
}

#[test]
#[should_panic(expected = "axis 2 expected 16, got 15")]
fn an_input_of_the_wrong_width_is_refused() {
    let problem = Problem::new(Kind::Lstm(Gates::Forget), &[3, 3], 3, 4);
    let operands = problem.operands(DType::F32, &Device::flex());
    let x = operands.x.clone().narrow(2, 0, 15);
    fused(problem.kind, Operands { x, ..operands }, &problem.lengths, Direction::Forward);
}

#[test]
#[should_panic(expected = "peephole weights belong to `Gates::Peephole`")]
fn peepholes_without_their_gates_are_refused() {
    let problem = Problem::new(Kind::Lstm(Gates::Forget), &[3, 3], 3, 4);
    let o = problem.operands(DType::F32, &Device::flex());
    let operands =
        LstmOperands { w_h: o.w_h, peephole: Some(o.peephole), hidden: o.hidden, cell: o.cell };
    lstm_sequence(o.x, operands, Gates::Forget, &problem.lengths, Direction::Forward);
}

/// GN-7: the bound of these tests clips some cells and leaves others alone.
#[test]
fn some_cells_are_clipped_and_some_are_not() {
    for problem in shapes(CLIPPED) {
        let operands = problem.operands(DType::F64, &Device::flex());
        let beyond =
            reference::beyond_bound(problem.kind, &operands, &problem.lengths, problem.direction);
        let clipped = beyond.iter().filter(|beyond| **beyond > 0.0).count();
        assert!(0 < clipped && clipped < beyond.len(), "{clipped} of {}", beyond.len());
    }
}

/// GN-7: a bound of infinity is none, to the bit.
#[test]
fn an_infinite_bound_clips_nothing() {
    let device = Device::flex().autodiff();
    let record = |clip| {
        let kind = Kind::Lstm(Gates::Gnmt { clip });
        let problem = Problem::new(kind, &[4, 0, 2, 1], 4, 13);
        (problem.run(fused, problem.operands(DType::F32, &device), ALL, EVERYTHING), problem)
    };
    let (unclipped, problem) = record(None);
    assert_records_close(&record(Some(f64::INFINITY)).0, &unclipped, 0.0, &problem);
}

/// GN-7, by hand: one unit over two steps. The first step clips its cell, so what the second sends back
/// to it ends there, and only the output gate of the first still counts. With a bound that clips the second
/// cell, not even the gradient that arrives from outside goes on.
#[test]
fn nothing_before_a_clipped_cell_has_a_gradient() {
    let device = Device::flex().autodiff();
    let leaf =
        |data: TensorData| Tensor::<2>::from_data(data, (&device, DType::F64)).require_grad();
    let x: [[f64; 4]; 2] = [[0.5, 1.0, 0.8, -0.3], [0.2, -1.0, 0.4, 0.6]];
    let w = [0.3, -0.2, 0.5, 0.1];
    let (h_0, c_0) = (0.25, 2.0);
    let gradients = |bound| {
        let [w_h, hidden, cell] = [leaf([w].into()), leaf([[h_0]].into()), leaf([[c_0]].into())];
        let x = leaf(x.into());
        let operands =
            LstmOperands { w_h, peephole: None, hidden: hidden.clone(), cell: cell.clone() };
        let (gates, lengths) = (Gates::Gnmt { clip: Some(bound) }, Lengths::full(1, 2));
        let input = x.clone().unsqueeze();
        let sequence = lstm_sequence(input, operands, gates, &lengths, Direction::Forward);
        let gradients = sequence.cell.sum().backward();
        [x, hidden, cell].map(|t| t.grad(&gradients).expect("tracked"))
    };

    let sigma = |a: f64| 1.0 / (1.0 + (-a).exp());
    let slope = |a: f64| sigma(a) * (1.0 - sigma(a));
    let bound = 1.0;
    let [i, f, g, o_1] = [0, 1, 2, 3].map(|n| x[0][n] + h_0 * w[n]);
    assert!(sigma(f) * c_0 + sigma(i) * g.tanh() > bound, "the first is clipped");
    let h_1 = sigma(o_1) * bound;
    let [i, f, g, _] = [0, 1, 2, 3].map(|n| x[1][n] + h_1 * w[n]);
    assert!((sigma(f) * bound + sigma(i) * g.tanh()).abs() < bound, "the second is not clipped");
    let d_2 = [g.tanh() * slope(i), bound * slope(f), sigma(i) * (1.0 - g.tanh().powi(2)), 0.0];
    let dh_1: f64 = d_2.iter().zip(w).map(|(d, w)| d * w).sum();
    let d_o_1 = dh_1 * bound * slope(o_1);
    let [dx, dh_0, dc_0] = gradients(bound);
    assert_close(&dx, [[0.0, 0.0, 0.0, d_o_1], d_2], 1e-15);
    assert_close(&dh_0, [[d_o_1 * w[3]]], 1e-15);
    assert_close(&dc_0, [[0.0]], 0.0);

    let [dx, dh_0, dc_0] = gradients(0.1);
    assert_close(&dx, [[0.0; 4]; 2], 0.0);
    assert_close(&dh_0, [[0.0]], 0.0);
    assert_close(&dc_0, [[0.0]], 0.0);
}

#[rstest]
#[should_panic(expected = "the bound of a clipped cell is above 0, got")]
fn a_bound_that_is_not_above_0_is_refused(
    #[values(0.0, -1.0, f64::NAN)] bound: f64,
    #[values(false, true)] checkpointed: bool,
) {
    let gates = Gates::Gnmt { clip: Some(bound) };
    let problem = Problem::new(Kind::Lstm(gates), &[3, 3], 3, 4);
    let o = problem.operands(DType::F32, &Device::flex());
    let course = (&problem.lengths, Direction::Forward);
    if checkpointed {
        let operands = CheckpointedOperands {
            w_x: Tensor::zeros([16, 16], &Device::flex()),
            b: Tensor::zeros([16], &Device::flex()),
            w_h: o.w_h,
            peephole: None,
            b_h: None,
            hidden: o.hidden,
            cell: Some(o.cell),
        };
        checkpointed_sequence(o.x, operands, Recurrence::Lstm(gates), course, 2);
    } else {
        fused(problem.kind, o, course.0, course.1);
    }
}
