//! The recurrences on a GPU, on the adapter of `CUBECL_WGPU_DEFAULT_DEVICE`: `Cpu` is a software driver.

use burn::tensor::DeviceKind;

use super::*;
use crate::cube::{Route, routed};

const GRU: Kind = Kind::Gru(Reset::AfterProduct, Update::Keeps);

/// Those that have kernels of their own.
fn with_kernels() -> impl Iterator<Item = Kind> {
    let composed =
        |kind: &Kind| matches!(kind, Kind::LayerNormLstm | Kind::Gru(Reset::BeforeProduct, _));
    KINDS.into_iter().filter(move |kind| !composed(kind))
}

fn device() -> Device {
    Device::wgpu(DeviceKind::DefaultDevice).autodiff()
}

#[test]
fn in_f32() {
    check_every_kind_and_shape(&device(), DType::F32, 1e-5);
}

/// Every way of splitting a recurrence into launches, on more sequences than one cube takes and more
/// units than one has in a step; a loop also over more steps than one launch runs.
#[rstest]
#[case::in_a_loop(Route::Loop)]
#[case::a_launch_a_step(Route::Step)]
#[case::a_product_and_a_launch_a_step(Route::Product)]
fn by_every_route(#[case] route: Route) {
    let wide = [2, 7, 7, 3, 0, 1, 4, 7, 5];
    routed(route, || {
        for kind in with_kernels() {
            let forward = Problem::new(kind, &wide, 7, 70);
            forward.check(&device(), DType::F32, 2e-5);
            forward.toward(Direction::Backward).check(&device(), DType::F32, 2e-5);
        }
        for kind in [Kind::Rnn(Activation::Tanh), Kind::Lstm(Gates::Forget), GRU] {
            Problem::new(kind, &[131, 129, 128], 131, 3).check(&device(), DType::F32, 5e-5);
        }
    });
}

/// two equal calls give equal bits.
#[test]
fn equal_calls_give_equal_bits() {
    for kind in with_kernels() {
        let problem = Problem::new(kind, &[5, 2, 4], 5, 70);
        let run = || problem.run(fused, problem.operands(DType::F32, &device()), ALL, EVERYTHING);
        assert_records_close(&run(), &run(), 0.0, &problem);
    }
}

/// Sums and equations are in single precision whatever the operands: what half precision costs is the
/// rounding of the numbers that are stored, whose mantissa has 11 bits.
#[test]
fn in_f16() {
    if !device().supports_dtype(DType::F16) {
        return;
    }
    for kind in with_kernels() {
        Problem::new(kind, &[4, 0, 2, 1], 4, 13).check(&device(), DType::F16, 1e-2);
    }
}

/// The cell is carried in single precision: steps of a fifth of what `f16` can tell apart add up.
#[test]
fn a_cell_of_f16_does_not_lose_small_steps() {
    let (steps, small) = (100, 2e-4);
    let place = (&device().without_autodiff(), DType::F16);
    let block = |a: f64| Tensor::<3>::full([1, steps, 1], a, place);
    let x = Tensor::cat(vec![block(20.0), block(small), block(0.0)], 2);
    let [hidden, cell] = [0.0, 1.0].map(|a| Tensor::<2>::full([1, 1], a, place));
    let w_h = Tensor::zeros([1, 3], place);
    let operands = LstmOperands { w_h, peephole: None, hidden, cell };
    let lengths = Lengths::full(1, steps);
    for route in [Route::Loop, Route::Step, Route::Product] {
        let run = || {
            let (x, operands) = (x.clone(), operands.clone());
            lstm_sequence(x, operands, Gates::Original, &lengths, Direction::Forward)
        };
        let expected = 1.0 + steps as f64 * small;
        assert_close(&routed(route, run).cell, [[expected]], 1e-3);
    }
}

/// Sums far beyond where the activations end give their ends, and gradients of zero, no NaN.
#[test]
fn saturated_gates_stay_numbers() {
    for kind in with_kernels().filter(|kind| !matches!(kind, Kind::Rnn(_))) {
        let problem = Problem::new(kind, &[3, 2], 3, 4);
        let operands = problem.operands(DType::F32, &device());
        let operands = Operands { x: operands.x * 1e4, ..operands };
        let record = problem.run(fused, operands, ALL, EVERYTHING);
        for (name, numbers) in record {
            let mut numbers = numbers.into_iter().flatten();
            assert!(numbers.all(f64::is_finite), "{name}\n{problem:?}");
        }
    }
}

/// The fused operation behind an input side that changes nothing.
fn in_chunks_of_three(kind: Kind, o: Operands, lengths: &Lengths, direction: Direction) -> Results {
    let [_, _, width] = o.x.dims();
    let (device, dtype) = (o.x.device(), o.x.dtype());
    let recurrence = match kind {
        Kind::Rnn(activation) => Recurrence::Rnn(activation),
        Kind::Lstm(gates) => Recurrence::Lstm(gates),
        Kind::Gru(reset, update) => Recurrence::Gru(reset, update),
        Kind::LayerNormLstm => unreachable!("it has no chunks"),
    };
    let operands = CheckpointedOperands {
        w_x: Tensor::<2>::eye(width, &device).cast(dtype),
        b: Tensor::zeros([width], (&device, dtype)),
        w_h: o.w_h,
        peephole: (kind == Kind::Lstm(Gates::Peephole)).then_some(o.peephole),
        b_h: matches!(kind, Kind::Gru(..)).then_some(o.b_h),
        hidden: o.hidden,
        cell: matches!(kind, Kind::Lstm(_)).then_some(o.cell),
    };
    let (outputs, hidden, cell) =
        checkpointed_sequence(o.x, operands, recurrence, (lengths, direction), 3);
    Results { outputs, cell: cell.unwrap_or_else(|| hidden.clone()), hidden }
}

/// In chunks, whose states alone are kept, as in one.
#[test]
fn checkpointed() {
    for problem in with_kernels().map(|kind| Problem::new(kind, &[7, 0, 5, 2], 7, 33)) {
        let run = |run| problem.run(run, problem.operands(DType::F32, &device()), ALL, EVERYTHING);
        assert_records_close(&run(in_chunks_of_three), &run(fused), 1e-5, &problem);
    }
}
