//! The input side of a sequence against a product written in tensor operations, in double precision.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, random};

use crate::{
    Lengths,
    flex::{Isa, forced},
    linear, project_sequence,
};

/// Values, and the gradients of `x`, `W_x` and `b`.
pub(super) fn run(
    [x, w_x, b]: [Tensor<3>; 3],
    lengths: &Lengths,
    project: impl Fn(Tensor<3>, Tensor<2>, Tensor<1>, &Lengths) -> Tensor<3>,
) -> Vec<Vec<f64>> {
    let leaves = [x, w_x, b].map(|leaf| leaf.detach().require_grad());
    let [x, w_x, b] = leaves.clone();
    let y = project(x, w_x.squeeze_dim(0), b.squeeze_dims(&[0, 1]), lengths);
    let weights = random(y.dims(), 9, y.dtype(), &y.device());
    let gradients = (y.clone() * weights).sum().backward();
    let numbers = |t: Tensor<3>| t.into_data().iter::<f64>().collect();
    let mut record = vec![numbers(y)];
    record.extend(leaves.map(|leaf| numbers(leaf.grad(&gradients).expect("it is tracked"))));
    record
}

/// `x · W + b` where a step is real, else zero.
fn reference(x: Tensor<3>, w_x: Tensor<2>, b: Tensor<1>, lengths: &Lengths) -> Tensor<3> {
    let mask = lengths.pad_mask(&x.device()).unsqueeze_dim::<3>(2);
    let x = x.clone().mask_fill(mask.clone().expand(x.dims()), 0.0);
    let y = x.matmul(w_x.unsqueeze()) + b.unsqueeze::<3>();
    y.clone().mask_fill(mask.expand(y.dims()), 0.0)
}

fn fused(x: Tensor<3>, w_x: Tensor<2>, b: Tensor<1>, lengths: &Lengths) -> Tensor<3> {
    project_sequence(x, w_x, Some(b), lengths)
}

fn check(device: &Device, dtype: DType, tolerance: f64) {
    let batches = [
        Lengths::full(1, 1),
        Lengths::full(3, 2),
        Lengths::new([4, 0, 2, 1, 4, 3, 1, 2], 4),
        Lengths::new([0, 0], 3),
        // More rows than one block of a weight gradient takes.
        Lengths::full(13, 41),
    ];
    for lengths in batches {
        for (input, width) in [(1, 1), (3, 5), (17, 70), (33, 64), (7, 130)] {
            let shape = [lengths.batch(), lengths.steps(), input];
            let operands = |dtype, device: &Device| {
                [shape, [1, input, width], [1, 1, width]].map(|s| random(s, 3, dtype, device))
            };
            let oracle = Device::flex().autodiff();
            let expected = run(operands(DType::F64, &oracle), &lengths, reference);
            let actual = run(operands(dtype, device), &lengths, fused);
            for (actual, expected) in actual.iter().zip(&expected) {
                let size = expected.iter().fold(1.0_f64, |size, a| size.max(a.abs()));
                for (a, e) in actual.iter().zip(expected) {
                    assert!((a - e).abs() <= tolerance * size, "{a} for {e}: {shape:?}, {width}");
                }
            }
        }
    }
}

#[test]
fn on_flex_with_every_instruction_set() {
    for isa in Isa::all() {
        forced(isa, || check(&Device::flex().autodiff(), DType::F64, 1e-12));
        forced(isa, || check(&Device::flex().autodiff(), DType::F32, 1e-5));
    }
    check(&Device::flex().autodiff(), DType::BF16, 5e-2);
}

#[cfg(feature = "ndarray")]
#[test]
#[expect(deprecated, reason = "asked for by users of Burn 0.22")]
fn on_ndarray() {
    check(&Device::ndarray().autodiff(), DType::F64, 1e-12);
}

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
#[test]
fn on_wgpu() {
    let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    check(&device.autodiff(), DType::F32, 1e-5);
}

/// So deep that a product takes the depth in pieces, and so wide that it is split over threads.
/// A layer without time is a sequence without padding, whatever the rank.
#[test]
fn linear_layers_are_products() {
    let device = Device::flex().autodiff();
    let lengths = Lengths::full(3, 4);
    let operands = || [[3, 4, 5], [1, 5, 7], [1, 1, 7]].map(|s| random(s, 3, DType::F64, &device));
    let layer = |x: Tensor<3>, w: Tensor<2>, b: Tensor<1>, _: &Lengths| linear(x, w, Some(b));
    let flat = |x: Tensor<3>, w: Tensor<2>, b: Tensor<1>, _: &Lengths| {
        linear(x.reshape([12, 5]), w, Some(b)).reshape([3, 4, 7])
    };
    let transposed = |x: Tensor<3>, w: Tensor<2>, b: Tensor<1>, _: &Lengths| {
        linear(x.swap_dims(0, 1), w, Some(b)).swap_dims(0, 1)
    };
    let expected = run(operands(), &lengths, reference);
    for actual in [
        run(operands(), &lengths, layer),
        run(operands(), &lengths, flat),
        run(operands(), &lengths, transposed),
    ] {
        for (actual, expected) in actual.iter().flatten().zip(expected.iter().flatten()) {
            assert!((actual - expected).abs() < 1e-12, "{actual} for {expected}");
        }
    }
    let x = random([2, 5], 4, DType::F32, &Device::flex());
    let w = random([5, 3], 5, DType::F32, &Device::flex());
    assert_close(&linear(x.clone(), w.clone(), None), x.matmul(w).into_data(), 1e-6);
}

#[test]
fn deep_and_wide_products() {
    let lengths = Lengths::full(20, 2);
    let device = Device::flex().autodiff();
    let shapes = [[20, 2, 1300], [1, 1300, 150], [1, 1, 150]];
    let operands = || shapes.map(|shape| random(shape, 4, DType::F64, &device));
    let expected = run(operands(), &lengths, reference);
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let actual = pool(1).install(|| run(operands(), &lengths, fused));
    for (actual, expected) in actual.iter().flatten().zip(expected.iter().flatten()) {
        assert!((actual - expected).abs() < 1e-10, "{actual} for {expected}");
    }
    assert_eq!(pool(3).install(|| run(operands(), &lengths, fused)), actual);
}

/// what stands in the padding reaches neither a value nor a gradient.
#[test]
fn padding_is_not_read() {
    let lengths = Lengths::new([1, 2], 2);
    let device = Device::flex().autodiff();
    let shapes = [[2, 2, 3], [1, 3, 4], [1, 1, 4]];
    let clean = shapes.map(|shape| random(shape, 5, DType::F64, &device));
    let mut spoiled = clean.clone();
    spoiled[0] = clean[0].clone().slice_fill(s![0, 1, ..], f64::NAN);
    assert_eq!(run(spoiled, &lengths, fused), run(clean, &lengths, fused));
}

/// Inputs that are turned, and weights that are part of others, are read where they lie.
#[test]
fn views_are_read_rightly() {
    let lengths = Lengths::new([3, 2], 3);
    let device = Device::flex();
    let x = random([2, 3, 5], 6, DType::F64, &device);
    let (wide, b) = (random([9, 8], 7, DType::F64, &device), random([4], 8, DType::F64, &device));
    let views = [
        x.clone(),
        x.clone().swap_dims(0, 1).mul_scalar(1.0).swap_dims(0, 1),
        x.clone().swap_dims(0, 2).mul_scalar(1.0).swap_dims(0, 2),
        x.clone().flip([1]).flip([1]),
        Tensor::cat(vec![x.clone(), x.clone()], 2).narrow(2, 5, 5),
    ];
    let w_x = wide.narrow(0, 2, 5).narrow(1, 3, 4);
    let expected = reference(x, w_x.clone(), b.clone(), &lengths).into_data();
    for view in views {
        assert_close(&fused(view, w_x.clone(), b.clone(), &lengths), expected.clone(), 1e-12);
        let turned = w_x.clone().transpose().mul_scalar(1.0).transpose();
        let x = random([2, 3, 5], 6, DType::F64, &device);
        assert_close(&fused(x, turned, b.clone(), &lengths), expected.clone(), 1e-12);
    }
}
