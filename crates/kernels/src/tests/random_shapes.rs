//! Random sizes, lengths, directions and instruction sets against the recurrence step by step in
//! double precision. What fails is shrunk to the smallest case that does.

use burn::{prelude::*, tensor::DType};
use proptest::prelude::*;

use super::{KINDS, Kind, Problem};
use crate::{
    Direction, Lengths,
    flex::{Isa, forced},
    lstm_sequence,
};

prop_compose! {
    fn problems()(steps in 1_usize..7)(
        kind in prop::sample::select(&KINDS[..]),
        lengths in prop::collection::vec(0..=steps, 1..20),
        hidden in 1_usize..70,
        backward in any::<bool>(),
        steps in Just(steps),
    ) -> Problem {
        let direction = if backward { Direction::Backward } else { Direction::Forward };
        Problem::new(kind, &lengths, steps, hidden).toward(direction)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn values_and_gradients_hold_for_any_shape(problem in problems(), isa in prop::sample::select(Isa::all())) {
        prop_assume!(problem.distance_to_bound() > 2e-5);
        let device = Device::flex().autodiff();
        forced(isa, || problem.check(&device, DType::F64, 1e-10));
        forced(isa, || problem.check(&device, DType::F32, 2e-5));
    }

    /// A sequence gives the same numbers alone and among others, to the bit, and NaN in one stays there.
    #[test]
    fn a_sequence_does_not_see_its_neighbours(problem in problems(), chosen in any::<prop::sample::Index>()) {
        let row = chosen.index(problem.lengths.batch());
        let operands = problem.operands(DType::F32, &Device::flex());
        let width = operands.x.dims()[2];
        let run = |operands, lengths: &Lengths| super::fused(problem.kind, operands, lengths, problem.direction);
        let numbers = |outputs: Tensor<3>| outputs.into_data().iter::<f32>().map(f32::to_bits).collect::<Vec<_>>();
        let together = run(operands.clone(), &problem.lengths).outputs.narrow(0, row, 1);

        let mut spoiled = Tensor::<3>::full([problem.lengths.batch(), 1, 1], f32::NAN, &Device::flex());
        spoiled = spoiled.slice_fill(s![row, .., ..], 0.0);
        let x = operands.x.clone() + spoiled.expand([problem.lengths.batch(), problem.lengths.steps(), width]);
        let beside_nan = run(super::Operands { x, ..operands.clone() }, &problem.lengths);
        let beside_nan = beside_nan.outputs.narrow(0, row, 1);
        prop_assert_eq!(numbers(beside_nan), numbers(together.clone()));

        let alone = super::Operands {
            x: operands.x.narrow(0, row, 1),
            hidden: operands.hidden.narrow(0, row, 1),
            cell: operands.cell.narrow(0, row, 1),
            ..operands
        };
        let length = problem.lengths.as_slice()[row];
        let alone = run(alone, &Lengths::new([length], problem.lengths.steps()));
        prop_assert_eq!(numbers(alone.outputs), numbers(together));
    }
}

/// Panels are remembered with the weights they were made of: weights that were changed, in place or not,
/// are other weights.
#[test]
fn changed_weights_are_laid_out_anew() {
    let problem = Problem::new(Kind::Lstm(crate::Gates::Forget), &[2, 3], 3, 20);
    let device = Device::flex();
    let operands = problem.operands(DType::F64, &device);
    let run = |w_h: Tensor<2>| {
        let super::Operands { x, hidden, cell, .. } = operands.clone();
        let operands = crate::LstmOperands { w_h, peephole: None, hidden, cell };
        lstm_sequence(x, operands, crate::Gates::Forget, &problem.lengths, Direction::Forward)
    };
    let numbers = |w_h| run(w_h).outputs.into_data().iter::<f64>().collect::<Vec<_>>();
    let mut w_h = operands.w_h.clone().mul_scalar(1.0);
    for n in 0..4 {
        let fresh = Tensor::from_data(w_h.to_data(), (&device, DType::F64));
        assert_eq!(numbers(w_h.clone()), numbers(fresh), "after {n} changes");
        w_h = w_h.mul_scalar(0.7);
    }
}
