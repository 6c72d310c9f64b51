//! The additive score against plain loops in double precision, and its gradients.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, check_input_gradient, random};

use crate::{
    additive_score,
    flex::{Isa, forced},
};

/// `[B, T, S, A]`.
type Sizes = [usize; 4];

/// Neither a multiple of a register; the last is worth several threads.
const SIZES: [Sizes; 5] =
    [[1, 1, 1, 1], [2, 3, 4, 5], [3, 1, 7, 16], [1, 5, 2, 37], [6, 9, 21, 67]];

fn operands(
    [b, t, s, a]: Sizes,
    dtype: DType,
    device: &Device,
) -> (Tensor<3>, Tensor<3>, Tensor<1>) {
    let q = random([b, t, a], 1, dtype, device) * 2.0;
    let k = random([b, s, a], 2, dtype, device);
    (q, k, random([a], 3, dtype, device))
}

fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().iter().collect()
}

/// The scores, and the gradients of `Σ w ⊙ scores` for `q`, `k` and `v`.
fn by_loops([b, t, s, a]: Sizes, [q, k, v, w]: [&[f64]; 4]) -> [Vec<f64>; 4] {
    let mut scores = vec![0.0; b * t * s];
    let (mut dq, mut dk, mut dv) = (vec![0.0; b * t * a], vec![0.0; b * s * a], vec![0.0; a]);
    for (pair, score) in scores.iter_mut().enumerate() {
        let (query, key) = (pair / s, pair / (t * s) * s + pair % s);
        for n in 0..a {
            let y = (q[query * a + n] + k[key * a + n]).tanh();
            *score += v[n] * y;
            let d = w[pair] * v[n] * (1.0 - y * y);
            dq[query * a + n] += d;
            dk[key * a + n] += d;
            dv[n] += w[pair] * y;
        }
    }
    [scores, dq, dk, dv]
}

fn check(sizes: Sizes, dtype: DType, tolerance: f64, device: &Device) {
    let [b, t, s, _] = sizes;
    let device = device.clone().autodiff();
    let (q, k, v) = operands(sizes, dtype, &device);
    let [q, k] = [q, k].map(|x| x.detach().require_grad());
    let v = v.detach().require_grad();
    let w = random([b, t, s], 4, dtype, &device);
    let scores = additive_score(q.clone(), k.clone(), v.clone());
    let gradients = (scores.clone() * w.clone()).sum().backward();
    let operands = [numbers(&q), numbers(&k), numbers(&v), numbers(&w)];
    let expected = by_loops(sizes, operands.each_ref().map(Vec::as_slice));
    let actual = [
        numbers(&scores),
        numbers(&q.grad(&gradients).unwrap()),
        numbers(&k.grad(&gradients).unwrap()),
        numbers(&v.grad(&gradients).unwrap()),
    ];
    for (what, (actual, expected)) in
        ["scores", "dq", "dk", "dv"].iter().zip(actual.iter().zip(&expected))
    {
        let largest = expected.iter().fold(1.0_f64, |largest, a| largest.max(a.abs()));
        assert_eq!(actual.len(), expected.len());
        for (a, e) in actual.iter().zip(expected) {
            assert!(
                (a - e).abs() <= tolerance * largest,
                "{what} of {sizes:?} in {dtype:?}: {a} for {e}"
            );
        }
    }
}

#[test]
fn scores_and_gradients() {
    for sizes in SIZES {
        check(sizes, DType::F64, 1e-12, &Device::flex());
        check(sizes, DType::F32, 3e-6, &Device::flex());
    }
    check([2, 3, 4, 5], DType::BF16, 5e-2, &Device::flex());
}

#[test]
fn with_every_instruction_set() {
    for isa in Isa::all() {
        forced(isa, || check([2, 3, 4, 37], DType::F32, 3e-6, &Device::flex()));
    }
}

#[cfg(feature = "ndarray")]
#[test]
#[expect(deprecated, reason = "asked for by users of Burn 0.22")]
fn on_ndarray() {
    check([2, 3, 4, 5], DType::F64, 1e-12, &Device::ndarray());
}

/// One query and more keys than a cube takes, more of both, more columns than it holds.
#[cfg(any(feature = "wgpu", feature = "vulkan"))]
const BEYOND_A_CUBE: [Sizes; 3] = [[2, 1, 70, 40], [3, 9, 17, 33], [1, 20, 40, 70]];

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
#[test]
fn on_wgpu() {
    let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    for sizes in SIZES.into_iter().chain(BEYOND_A_CUBE) {
        check(sizes, DType::F32, 1e-5, &device);
    }
    without_elements_on(&device);
}

#[test]
fn gradients_match_finite_differences() {
    let device = Device::flex().autodiff();
    let (q, k, v) = operands([2, 3, 4, 5], DType::F64, &device);
    let loss = |q, k, v| additive_score(q, k, v).powi_scalar(2).sum();
    check_input_gradient(q.clone(), 1e-8, |q| loss(q, k.clone(), v.clone()));
    check_input_gradient(k.clone(), 1e-8, |k| loss(q.clone(), k, v.clone()));
    check_input_gradient(v, 1e-8, |v| loss(q.clone(), k.clone(), v));
}

/// No queries, no keys, nothing to compare: sums of nothing.
fn without_elements_on(device: &Device) {
    for [b, t, s, a] in [[2, 0, 3, 4], [2, 3, 0, 4], [0, 3, 2, 4], [2, 3, 4, 0]] {
        let (q, k) = (Tensor::<3>::zeros([b, t, a], device), Tensor::zeros([b, s, a], device));
        let scores = additive_score(q, k, Tensor::zeros([a], device));
        assert_close(&scores, TensorData::zeros::<f32, _>([b, t, s]), 0.0);
    }
}

#[test]
fn without_elements() {
    without_elements_on(&Device::flex());
}

#[test]
fn what_is_not_a_number_stays_in_its_sequence() {
    let device = Device::flex();
    let (q, k, v) = operands([3, 2, 4, 5], DType::F32, &device);
    let spoilt = k.clone().slice_fill([1..2, 2..3, 0..1], f32::NAN);
    let (clean, spoilt) = (additive_score(q.clone(), k, v.clone()), additive_score(q, spoilt, v));
    for (n, (clean, spoilt)) in numbers(&clean).into_iter().zip(numbers(&spoilt)).enumerate() {
        assert_eq!(spoilt.is_nan(), n / 8 == 1 && n % 4 == 2, "{n}");
        assert!(spoilt.is_nan() || clean == spoilt);
    }
}
