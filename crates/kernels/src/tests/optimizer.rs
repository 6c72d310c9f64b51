//! Steps of optimizers against their equations in double precision, element by element.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, assert_same_bits, random};
use rstest::rstest;

use crate::{AdamStep, adam_step, descent_step, momentum_step, scaled, squares};

const STEP: AdamStep =
    AdamStep { rate: 0.1, beta_1: 0.9, beta_2: 0.99, epsilon: 1e-8, weight_decay: 0.2, time: 3 };

/// A parameter, its averages, not negative, and its gradient.
fn operands(shape: [usize; 2], dtype: DType) -> [Tensor<2>; 4] {
    operands_on(shape, dtype, &Device::flex())
}

fn operands_on(shape: [usize; 2], dtype: DType, device: &Device) -> [Tensor<2>; 4] {
    let of = |seed| random(shape, seed, dtype, device);
    [of(1), of(2).abs(), of(3).abs(), of(4)]
}

fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().iter::<f64>().collect()
}

/// Fewer numbers than a lane, around a block, and so many that threads share them.
#[rstest]
fn equations(
    #[values([1, 3], [1, 4095], [17, 241], [131, 1001])] shape: [usize; 2],
    #[values((DType::F64, 1e-12), (DType::F32, 1e-5), (DType::BF16, 0.1))] precision: (DType, f64),
) {
    let (dtype, tolerance) = precision;
    check_equations(operands(shape, dtype), tolerance);
}

#[cfg(feature = "ndarray")]
#[test]
#[expect(deprecated, reason = "asked for by users of Burn 0.22")]
fn on_ndarray() {
    check_equations(operands_on([17, 241], DType::F64, &Device::ndarray()), 1e-12);
}

/// The last has more numbers than a launch has units.
#[cfg(any(feature = "wgpu", feature = "vulkan"))]
#[test]
fn on_wgpu() {
    let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    for shape in [[1, 3], [17, 241], [1049, 1003]] {
        check_equations(operands_on(shape, DType::F32, &device), 1e-5);
    }
    check_left_alone(operands_on([5, 7], DType::F32, &device));
}

fn check_equations([w, m, v, g]: [Tensor<2>; 4], tolerance: f64) {
    let shape = w.dims();
    let (stepped, moments) = adam_step(w.clone(), [m.clone(), v.clone()], g.clone(), STEP);
    let (rolled, velocity) = momentum_step(w.clone(), m.clone(), g.clone(), 0.9, 0.1);
    let descended = descent_step(w.clone(), g.clone(), 0.1);
    let halved = scaled(g.clone(), 0.5);
    let [w, m, v, g] = [w, m, v, g].map(|tensor| numbers(&tensor));
    let each =
        |f: &dyn Fn(usize) -> f64| TensorData::new((0..w.len()).map(f).collect::<Vec<_>>(), shape);
    let first = |n: usize| 0.9 * m[n] + 0.1 * g[n];
    let second = |n: usize| 0.99 * v[n] + 0.01 * g[n] * g[n];
    assert_close(&moments[0], each(&first), tolerance);
    assert_close(&moments[1], each(&second), tolerance);
    let adam = |n: usize| {
        let (m, v) = (first(n) / (1.0 - 0.9_f64.powi(3)), second(n) / (1.0 - 0.99_f64.powi(3)));
        0.98 * w[n] - 0.1 * m / (v.sqrt() + 1e-8)
    };
    assert_close(&stepped, each(&adam), tolerance);
    assert_close(&velocity, each(&|n| 0.9 * m[n] + g[n]), tolerance);
    assert_close(&rolled, each(&|n| w[n] - 0.1 * (0.9 * m[n] + g[n])), tolerance);
    assert_close(&descended, each(&|n| w[n] - 0.1 * g[n]), tolerance);
    assert_close(&halved, each(&|n| 0.5 * g[n]), tolerance);
}

#[rstest]
fn sums_of_squares(
    #[values([1, 3], [1, 4096], [17, 241], [131, 1001])] shape: [usize; 2],
    #[values((DType::F64, 1e-13), (DType::F32, 1e-6))] precision: (DType, f64),
) {
    let (dtype, tolerance) = precision;
    let [g, ..] = operands(shape, dtype);
    let expected: f64 = numbers(&g).into_iter().map(|g| g * g).sum();
    assert_close(&squares(g.clone()), [expected], tolerance);
    assert_close(&squares(g.transpose()), [expected], tolerance);
    assert_close(&squares(Tensor::<1>::from_data([3.0, 4.0], &Device::flex())), [25.0], 0.0);
}

/// Operands that somebody else has, or that are views, keep their numbers.
#[test]
fn operands_are_left_alone() {
    check_left_alone(operands([5, 7], DType::F32));
}

fn check_left_alone([w, m, v, g]: [Tensor<2>; 4]) {
    let before = [&w, &m, &v, &g].map(|tensor| tensor.to_data());
    let moments = [m.clone(), v.clone()];
    let (stepped, _) = adam_step(w.clone(), moments.clone(), g.clone(), STEP);
    let turned = moments.map(Tensor::transpose);
    let (views, _) = adam_step(w.clone().transpose(), turned, g.clone().transpose(), STEP);
    assert_same_bits(&views.transpose(), &stepped);
    for (tensor, before) in [w, m, v, g].iter().zip(before) {
        assert_close(tensor, before, 0.0);
    }
}

/// the number of threads does not change a bit.
#[test]
fn the_number_of_threads_changes_nothing() {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let [w, m, v, g] = operands([301, 1007], DType::F32);
    let run = || {
        let moments = [m.clone(), v.clone()];
        (adam_step(w.clone(), moments, g.clone(), STEP).0, squares(g.clone()))
    };
    let one = pool(1).install(run);
    let three = pool(3).install(run);
    assert_same_bits(&three.0, &one.0);
    assert_same_bits(&three.1, &one.1);
}
