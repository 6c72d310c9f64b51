//! `tanh` and `sigmoid` against the standard library's, and their gradients.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, check_input_gradient, random};
use rstest::rstest;

use crate::{sigmoid, tanh};

type Function = fn(Tensor<2>) -> Tensor<2>;

fn logistic(a: f64) -> f64 {
    1.0 / (1.0 + (-a).exp())
}

/// So few that one thread does them, and so many that several do, neither a multiple of a block.
#[rstest]
#[case(tanh::<2>, f64::tanh)]
#[case(sigmoid::<2>, logistic)]
fn values_and_gradients(
    #[case] function: Function,
    #[case] expected: fn(f64) -> f64,
    #[values([3, 7], [211, 1000])] shape: [usize; 2],
) {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-6), (DType::BF16, 2e-2)] {
        let device = Device::flex().autodiff();
        let x = (random(shape, 1, dtype, &device) * 4.0).detach().require_grad();
        let y = function(x.clone());
        let numbers: Vec<f64> = x.to_data().iter().map(expected).collect();
        assert_close(&y, TensorData::new(numbers.clone(), shape), tolerance);
        let gradients = (y * 3.0).sum().backward();
        let slope = |y: f64| match expected(0.0) == 0.0 {
            true => 3.0 * (1.0 - y * y),
            false => 3.0 * y * (1.0 - y),
        };
        let slopes: Vec<f64> = numbers.into_iter().map(slope).collect();
        assert_close(&x.grad(&gradients).unwrap(), TensorData::new(slopes, shape), 4.0 * tolerance);
    }
}

#[rstest]
fn gradients_match_finite_differences(#[values(tanh::<2>, sigmoid::<2>)] function: Function) {
    let x = random([2, 5], 1, DType::F64, &Device::flex().autodiff());
    check_input_gradient(x, 1e-8, |x| function(x).powi_scalar(2).sum());
}

/// An operand that somebody else has, or that is a view, keeps its numbers.
#[rstest]
fn operands_are_left_alone(#[values(tanh::<2>, sigmoid::<2>)] function: Function) {
    let wide = random([4, 6], 1, DType::F32, &Device::flex());
    let before = wide.to_data();
    let views = [wide.clone(), wide.clone().narrow(0, 1, 2), wide.clone().transpose()];
    for view in views {
        let y = function(view.clone());
        let alone = function(Tensor::from_data(view.into_data(), &Device::flex()));
        assert_close(&y, alone.into_data(), 0.0);
    }
    assert_close(&wide, before, 0.0);
}

#[test]
fn without_a_graph_and_without_elements() {
    let device = Device::flex();
    assert_close(&tanh(Tensor::<1>::from_data([0.0], &device)), [0.0], 0.0);
    assert_eq!(sigmoid(Tensor::<2>::zeros([0, 3], &device)).dims(), [0, 3]);
}
