//! What is done to states from outside, for every cell.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, assert_same_bits};

use super::{ForEveryCell, assert_states_close, busy_state, every_cell, inputs};
use crate::*;

/// Reordering a beam: the selected rows go on as they would have gone on where they were.
#[test]
fn selected_rows_go_on_as_before() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, _: &str, cell: C) {
            let device = Device::flex();
            let start = busy_state(&cell, 3);
            let rows = Tensor::<1, Int>::from_data([2, 0, 2, 1], &device);
            let x = inputs(3, 1, &device).squeeze_dim::<2>(1);
            let step_then_select = cell.step(x.clone(), start.clone()).select(rows.clone());
            let select_then_step = cell.step(x.select(0, rows.clone()), start.select(rows));
            assert_states_close(&select_then_step, &step_then_select, 1e-14);
        }
    }
    every_cell(&Device::flex(), DType::F64, &mut Check);
}

/// The kept rows are taken whole, and a NaN in what is not taken does no harm.
#[test]
fn keeping_rows_selects() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, _: &str, cell: C) {
            let device = Device::flex();
            let old = busy_state(&cell, 2);
            let nan = old.clone().map(&mut |_, part| part.full_like(f64::NAN));
            let mask = Tensor::<1, Bool>::from_data([true, true], &device);
            assert_states_close(&nan.clone().keep_where(&mask, old.clone()), &old, 0.0);
            assert_states_close(&old.clone().keep_where(&mask.bool_not(), nan), &old, 0.0);
        }
    }
    every_cell(&Device::flex(), DType::F64, &mut Check);
}

/// Truncated back-propagation: the second chunk sends nothing into the first.
#[test]
fn detaching_cuts_the_graph() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, name: &str, cell: C) {
            let device = Device::flex().autodiff();
            let x = inputs(2, 4, &device).require_grad();
            let lengths = Lengths::full(2, 2);
            let chunk = |from, state| {
                unroll(&cell, x.clone().narrow(1, from, 2), state, &lengths, Direction::Forward)
            };
            let (_, middle) = chunk(0, None);
            let (y, _) = chunk(2, Some(middle.detach()));
            let grads = y.sum().backward();
            let gradient = x.grad(&grads).expect("a gradient");
            let first = gradient.clone().narrow(1, 0, 2).abs().sum().into_scalar::<f64>();
            let second = gradient.narrow(1, 2, 2).abs().sum().into_scalar::<f64>();
            assert_eq!(first, 0.0, "{name}");
            assert!(second > 1e-6, "{name}");
        }
    }
    every_cell(&Device::flex().autodiff(), DType::F64, &mut Check);
}

/// The masks of a sequence go with its row.
#[test]
fn selecting_takes_the_masks_along() {
    let device = Device::flex().autodiff();
    let cell = VariationalDropout::new(LstmConfig::new(3, 20).init(&device), 0.5, 0.5);
    let state = cell.initial_state(2);
    let swapped = state.clone().select(Tensor::from_data([1, 0], &device));
    assert_same_bits(&swapped.hidden_mask.flip([0]), &state.hidden_mask);
    assert_same_bits(&swapped.input_mask.flip([0]), &state.input_mask);
    assert_close(&swapped.inner.cell, state.inner.cell.into_data(), 0.0);
}
