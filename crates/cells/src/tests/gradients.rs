//! X-1, SK-6, LS-8: gradients of every cell by central differences, in double precision.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{check_gradients, check_input_gradient, random};

use super::{ForEveryCell, busy_state, clipped_lstm, every_cell, inputs, parts};
use crate::*;

/// A number that depends on every output and on every part of the final state.
fn loss<S: State>(y: Tensor<3>, last: &S) -> Tensor<1> {
    let weights = random(y.dims(), 21, y.dtype(), &y.device());
    let outputs = (y * weights).sum();
    parts(last).into_iter().enumerate().fold(outputs, |sum, (n, part)| {
        let weights = random(part.dims(), 22 + n as u64, part.dtype(), &part.device());
        sum + (part * weights).sum()
    })
}

/// Every parameter of every cell, over a ragged batch, in both directions.
#[test]
fn x_1_parameters() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, name: &str, cell: C) {
            let device = Device::flex().autodiff();
            let x = inputs(3, 4, &device);
            let lengths = Lengths::new([4, 1, 3], 4);
            for direction in [Direction::Forward, Direction::Backward] {
                // Fixed leak rates are constants; everything else is learned.
                let cell = if name.starts_with("leaky, average") {
                    Learnable::of(cell.clone())
                } else {
                    cell.clone()
                };
                check_gradients(&cell, 1e-6, |cell| {
                    let (y, last) = unroll(cell, x.clone(), None, &lengths, direction);
                    loss(y, &last)
                });
            }
        }
    }
    every_cell(&Device::flex().autodiff(), DType::F64, &mut Check);
}

/// Turns fixed leak rates into tracked ones, so that their gradient can be checked as well.
struct Learnable;

impl Learnable {
    fn of<M: Module>(module: M) -> M {
        module.map(&mut Self)
    }
}

impl burn::module::ModuleMapper for Learnable {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        param.set_require_grad(true)
    }
}

/// The input and every part of the initial state.
#[test]
fn x_1_input_and_initial_state() {
    struct Check;
    impl ForEveryCell for Check {
        fn check<C: Cell>(&mut self, _: &str, cell: C) {
            let device = Device::flex().autodiff();
            let (x, start) = (inputs(2, 3, &device), busy_state(&cell, 2));
            let lengths = Lengths::new([3, 2], 3);
            let run = |x: Tensor<3>, start: C::State| {
                let (y, last) = unroll(&cell, x, start, &lengths, Direction::Forward);
                loss(y, &last)
            };
            check_input_gradient(x.clone(), 1e-6, |x| run(x, start.clone()));
            for (n, part) in parts(&start).into_iter().enumerate() {
                check_input_gradient(part, 1e-6, |part| {
                    let mut at = 0..;
                    let start = start.clone().map(&mut |_, other| {
                        if at.next() == Some(n) { part.clone() } else { other }
                    });
                    run(x.clone(), start)
                });
            }
        }
    }
    every_cell(&Device::flex().autodiff(), DType::F64, &mut Check);
}

/// How far beyond its bound the cell of each real step is before it is clipped.
fn beyond_bound(start: &LstmState, lens: &[usize], direction: Direction) -> Vec<f64> {
    let cell = clipped_lstm(&Device::flex(), DType::F64);
    let bound = cell.clip.expect("a bound");
    let unclipped = GnmtLstmCell { clip: None, ..cell.clone() };
    let x = inputs(lens.len(), lens[0], &Device::flex());
    let mut beyond = Vec::new();
    for (row, len) in lens.iter().enumerate() {
        let index = Tensor::<1, Int>::from_data([row as i64], &Device::flex());
        let mut state = start.clone().select(index);
        for n in 0..*len {
            let t = match direction {
                Direction::Forward => n,
                Direction::Backward => len - 1 - n,
            };
            let x_t = x.clone().slice(s![row..row + 1, t..t + 1, ..]).squeeze_dim(1);
            let next = unclipped.step(x_t.clone(), state.clone()).cell;
            beyond.extend(next.into_data().iter::<f64>().map(|c| c.abs() - bound));
            state = cell.step(x_t, state);
        }
    }
    beyond
}

/// GN-7: the differences above are taken where some cells are clipped and some are not, and none is so
/// near to its bound that a difference reaches over it.
#[test]
fn gn_7_differences_do_not_reach_over_a_bound() {
    let cell = clipped_lstm(&Device::flex(), DType::F64);
    let checked = [
        beyond_bound(&cell.initial_state(3), &[4, 1, 3], Direction::Forward),
        beyond_bound(&cell.initial_state(3), &[4, 1, 3], Direction::Backward),
        beyond_bound(&busy_state(&cell, 2), &[3, 2], Direction::Forward),
    ];
    for beyond in checked {
        let nearest = beyond.iter().fold(f64::INFINITY, |nearest, b| nearest.min(b.abs()));
        assert!(nearest > 1e-3, "a cell is only {nearest:e} away from its bound");
        let clipped = beyond.iter().filter(|beyond| **beyond > 0.0).count();
        assert!(0 < clipped && clipped < beyond.len(), "{clipped} of {}", beyond.len());
    }
}
