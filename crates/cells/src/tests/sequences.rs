//! Every cell over time: fused and composed, padded and single, streamed and whole, saved and
//! loaded.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, assert_same_bits, random};

use super::{ForEveryCell, assert_states_close, busy_state, every_cell, inputs, parts};
use crate::{unroll::step_by_step, *};

const BOTH: [Direction; 2] = [Direction::Forward, Direction::Backward];

/// A fused recurrence is its steps: values to 1e-12 in double precision, gradients in
/// `gradients.rs`.
#[test]
fn fused_equals_step_by_step() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, _: &str, cell: C) {
            let device = Device::flex();
            let (x, start) = (inputs(4, 5, &device), busy_state(&cell, 4));
            for (lengths, direction) in
                [[5, 5, 5, 5], [2, 5, 0, 1]].into_iter().flat_map(|l| BOTH.map(|d| (l, d)))
            {
                let lengths = Lengths::new(lengths, 5);
                let projected = cell.project(x.clone(), &start, &lengths);
                let (y, last) =
                    cell.sequence(projected.clone(), start.clone(), &lengths, direction);
                let (expected_y, expected) =
                    step_by_step(&cell, projected, start.clone(), &lengths, direction);
                assert_close(&y, expected_y.into_data(), 1e-12);
                assert_states_close(&last, &expected, 1e-12);
            }
        }
    }
    every_cell(&Device::flex(), DType::F64, &mut Check);
}

/// X-2, LS-11, SK-5: a padded batch is its sequences one by one, whatever stands in the padding.
#[test]
fn x_2_a_padded_batch_equals_single_runs() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, name: &str, cell: C) {
            let device = Device::flex();
            let (lens, start) = ([3, 5, 1, 4], busy_state(&cell, 4));
            let lengths = Lengths::new(lens, 5);
            let clean = inputs(4, 5, &device);
            let mask = lengths.pad_mask(&device).unsqueeze_dim::<3>(2).expand(clean.dims());
            let x = clean.mask_fill(mask, f64::NAN);
            for direction in BOTH {
                let (y, last) = unroll(&cell, x.clone(), start.clone(), &lengths, direction);
                for (row, len) in lens.into_iter().enumerate() {
                    let index = Tensor::<1, Int>::from_data([row as i64], &device);
                    let alone = x.clone().slice(s![row..row + 1, 0..len, ..]);
                    let from = start.clone().select(index.clone());
                    let (y_alone, last_alone) =
                        unroll(&cell, alone, from, &Lengths::full(1, len), direction);
                    let y_row = y.clone().slice(s![row..row + 1, 0..len, ..]);
                    assert_close(&y_row, y_alone.into_data(), 1e-12);
                    assert_states_close(&last.clone().select(index), &last_alone, 1e-12);
                    if len < 5 {
                        let padded = y.clone().slice(s![row..row + 1, len..5, ..]);
                        let sum = padded.abs().sum().into_scalar::<f64>();
                        assert_eq!(sum, 0.0, "{name}: outputs at padded steps are zero");
                    }
                }
            }
        }
    }
    every_cell(&Device::flex(), DType::F64, &mut Check);
}

/// LS-11, SK-5: one step at a time is the whole run, and two halves are one run.
#[test]
fn ls_11_streaming_and_carrying_equal_one_run() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, _: &str, cell: C) {
            let (x, start) = (inputs(2, 6, &Device::flex()), busy_state(&cell, 2));
            let run = |x: Tensor<3>, start| {
                let lengths = Lengths::full(2, x.dims()[1]);
                unroll(&cell, x, start, &lengths, Direction::Forward)
            };
            let (y, last) = run(x.clone(), start.clone());

            let (first, middle) = run(x.clone().narrow(1, 0, 4), start.clone());
            let (second, carried) = run(x.clone().narrow(1, 4, 2), middle);
            assert_close(&Tensor::cat(vec![first, second], 1), y.to_data(), 1e-12);
            assert_states_close(&carried, &last, 1e-12);

            let mut state = start;
            for t in 0..6 {
                let x_t = x.clone().narrow(1, t, 1).squeeze_dim(1);
                let (y_t, next) = cell.stream(x_t, state);
                let expected = y.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
                assert_close(&y_t, expected.into_data(), 1e-12);
                state = next;
            }
            assert_states_close(&state, &last, 1e-12);
        }
    }
    every_cell(&Device::flex(), DType::F64, &mut Check);
}

/// What a cell calls its input weight is all that it does to its input, but for a constant.
#[test]
fn input_weights_project() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, name: &str, cell: C) {
            let Some(w_x) = cell.input_weight() else { return };
            let (x, start) = (inputs(2, 3, &Device::flex()), busy_state(&cell, 2));
            let lengths = Lengths::full(2, 3);
            let constant = cell.project(x.zeros_like(), &start, &lengths);
            let expected = x.clone().matmul(w_x.unsqueeze()) + constant;
            println!("{name}");
            assert_close(&cell.project(x, &start, &lengths), expected.into_data(), 1e-12);
        }
    }
    every_cell(&Device::flex(), DType::F64, &mut Check);
}

/// one step, one sequence, a sequence of length 0.
#[test]
fn x_7_the_smallest_batches() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, _: &str, cell: C) {
            let start = busy_state(&cell, 1);
            for direction in BOTH {
                let x = inputs(1, 1, &Device::flex());
                let one = Lengths::full(1, 1);
                let (y, last) = unroll(&cell, x.clone(), start.clone(), &one, direction);
                let stepped = cell.step(x.clone().squeeze_dim(1), start.clone());
                assert_states_close(&last, &stepped, 1e-12);
                let projected = cell.project(x.clone(), &start, &one).squeeze_dim(1);
                let advanced = cell.advance(projected, start.clone(), &Direct);
                assert_states_close(&stepped, &advanced, 1e-12);
                assert_close(&y.squeeze_dim::<2>(1), cell.output(&stepped).into_data(), 1e-12);

                let none = Lengths::new([0], 1);
                let (y, last) = unroll(&cell, x, start.clone(), &none, direction);
                assert_close(&y, [[[0.0; 4]]], 0.0);
                assert_states_close(&last, &start, 0.0);
            }
        }
    }
    every_cell(&Device::flex(), DType::F64, &mut Check);
}

/// a NaN in a real step shows in the output.
#[test]
fn x_8_nan_is_not_hidden() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, name: &str, cell: C) {
            let x = inputs(2, 3, &Device::flex());
            let nan = Tensor::full([1, 1, 3], f64::NAN, (&x.device(), DType::F64));
            let x = x.slice_assign(s![1..2, 1..2, ..], nan);
            let (y, _) = unroll(&cell, x, None, &Lengths::full(2, 3), Direction::Forward);
            let nan_in = |row: usize| {
                let row = y.clone().narrow(0, row, 1).narrow(1, 1, 1);
                row.into_data().iter::<f64>().any(f64::is_nan)
            };
            assert!(nan_in(1), "{name} hides a NaN");
            assert!(!nan_in(0), "{name} lets a NaN into another sequence");
        }
    }
    every_cell(&Device::flex(), DType::F64, &mut Check);
}

/// the same seed draws the same cell, and the same cell gives the same bits every time.
#[test]
fn x_3_equal_seeds_give_equal_bits() {
    let device = Device::flex();
    let draw = || {
        device.seed(3);
        LstmConfig::new(16, 24).init(&device)
    };
    // Other tests draw from the same generator and may disturb a draw: try again.
    let weights = || draw().w_x.val().into_data();
    assert!((0..20).any(|_| weights() == weights()), "the same seed gives the same weights");
    let cell = draw();
    let x = random([8, 20, 16], 1, DType::F32, &device);
    let run =
        || unroll(&cell, x.clone(), None, &Lengths::full(8, 20), Direction::Forward).0.into_data();
    let first = run();
    assert!((0..20).all(|_| run() == first), "the same cell gives the same bits");
}

/// what is saved is what is loaded, bit for bit, for every parameter of every cell.
#[test]
fn x_4_saving_and_loading_is_bit_exact() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, name: &str, cell: C) {
            let bytes = cell.clone().into_record().into_bytes().expect("a record");
            let x = inputs(2, 3, &Device::flex());
            let run = |cell: &C| {
                unroll(cell, x.clone(), None, &Lengths::full(2, 3), Direction::Forward).0
            };
            // A cell with other weights, so that loading has something to do.
            let other = cell.clone().map(&mut Double);
            assert_ne!(run(&cell).into_data(), run(&other).into_data(), "{name}");
            let record = burn::store::ModuleRecord::from_bytes(bytes).expect("a record");
            let loaded = other.load_record(record);
            assert_same_bits(&run(&loaded), &run(&cell));
        }
    }
    every_cell(&Device::flex(), DType::F64, &mut Check);
}

struct Double;

impl burn::module::ModuleMapper for Double {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        param.map(|value| value * 2.0 + 0.1)
    }
}

/// Every cell gives on every backend what it gives on flex in double precision.
fn check_backend(device: &Device) {
    struct Record(Vec<f64>, DType);
    impl ForEveryCell for Record {
        fn check<C: Cell>(&mut self, _: &str, cell: C) {
            let start = busy_state(&cell, 3);
            let device = cell.output(&start).device();
            let x = random([3, 4, 3], 11, self.1, &device);
            let lengths = Lengths::new([4, 1, 3], 4);
            for direction in BOTH {
                let (y, last) = unroll(&cell, x.clone(), start.clone(), &lengths, direction);
                self.0.extend(y.into_data().iter::<f64>());
                parts(&last).into_iter().for_each(|part| {
                    self.0.extend(part.into_data().iter::<f64>());
                });
            }
        }
    }
    let run = |device: &Device, dtype| {
        let mut record = Record(Vec::new(), dtype);
        every_cell(device, dtype, &mut record);
        record.0
    };
    let (actual, expected) = (run(device, DType::F32), run(&Device::flex(), DType::F64));
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(&expected) {
        let off = (actual - expected).abs() / expected.abs().max(1.0);
        assert!(off < 1e-5, "{actual} for {expected}");
    }
}

#[test]
fn every_cell_on_flex_in_f32() {
    check_backend(&Device::flex());
}

#[cfg(feature = "ndarray")]
#[test]
#[expect(deprecated, reason = "asked for by users of Burn 0.22")]
fn every_cell_on_ndarray() {
    check_backend(&Device::ndarray());
}

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
#[test]
fn every_cell_on_wgpu() {
    check_backend(&Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
}
