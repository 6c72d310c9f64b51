//! Layer normalisation of a sequence against mean and variance in tensor operations, in double
//! precision.

use burn::{
    backend::{Flex, tensor::FloatTensor},
    prelude::*,
    tensor::DType,
};
use recurrent_testkit::random;

use super::{EPSILON, project::run, reference};
use crate::{
    Direction, Lengths, Norm,
    flex::{Isa, forced},
    layer_norm_sequence,
    ops::{Course, SequenceOps},
};

/// `γ` comes as `[1, K]`.
fn fused(x: Tensor<3>, gamma: Tensor<2>, beta: Tensor<1>, lengths: &Lengths) -> Tensor<3> {
    layer_norm_sequence(x, Norm { gamma: gamma.squeeze_dim(0), beta }, EPSILON, lengths)
}

/// Normalised where a step is real, else zero.
fn expected(x: Tensor<3>, gamma: Tensor<2>, beta: Tensor<1>, lengths: &Lengths) -> Tensor<3> {
    let mask = lengths.pad_mask(&x.device()).unsqueeze_dim::<3>(2).expand(x.dims());
    let x = x.mask_fill(mask.clone(), 0.0);
    let norm = Tensor::cat(vec![gamma, beta.unsqueeze()], 0);
    let rows = x.clone().flatten::<2>(0, 1);
    reference::layer_norm(rows, &norm).reshape(x.shape()).mask_fill(mask, 0.0)
}

fn check(device: &Device, dtype: DType, tolerance: f64) {
    let batches = [
        Lengths::full(1, 1),
        Lengths::full(3, 2),
        Lengths::new([4, 0, 2, 1, 4, 3, 1, 2], 4),
        Lengths::new([0, 0], 3),
        // More rows than one block of a sum takes.
        Lengths::full(13, 41),
    ];
    for lengths in batches {
        for width in [1, 2, 5, 8, 16, 70, 130] {
            let shape = [lengths.batch(), lengths.steps(), width];
            let operands = |dtype, device: &Device| {
                [shape, [1, 1, width], [1, 1, width]].map(|s| random(s, 3, dtype, device))
            };
            let oracle = Device::flex().autodiff();
            let expected = run(operands(DType::F64, &oracle), &lengths, expected);
            let actual = run(operands(dtype, device), &lengths, fused);
            for (actual, expected) in actual.iter().zip(&expected) {
                let size = expected.iter().fold(1.0_f64, |size, a| size.max(a.abs()));
                for (a, e) in actual.iter().zip(expected) {
                    assert!((a - e).abs() <= tolerance * size, "{a} for {e}: {shape:?}");
                }
            }
        }
    }
}

#[test]
fn on_flex_with_every_instruction_set() {
    for isa in Isa::all() {
        forced(isa, || check(&Device::flex().autodiff(), DType::F64, 1e-11));
        forced(isa, || check(&Device::flex().autodiff(), DType::F32, 1e-5));
    }
    check(&Device::flex().autodiff(), DType::BF16, 0.1);
}

#[cfg(feature = "ndarray")]
#[test]
#[expect(deprecated, reason = "asked for by users of Burn 0.22")]
fn on_ndarray() {
    check(&Device::ndarray().autodiff(), DType::F64, 1e-11);
}

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
#[test]
fn on_wgpu() {
    let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    check(&device.autodiff(), DType::F32, 1e-5);
}

/// A row that lies far from zero is as exact as one around it: the variance is that of the centred row.
#[test]
fn a_far_mean_costs_no_digits() {
    let device = Device::flex();
    let x = random([1, 3, 40], 5, DType::F32, &device);
    let one = |value: f64| Tensor::full([40], value, (&device, DType::F32));
    let normalised = |x| {
        let norm = Norm { gamma: one(1.0), beta: one(0.0) };
        layer_norm_sequence(x, norm, EPSILON, &Lengths::full(1, 3))
    };
    let near = normalised(x.clone());
    let far = normalised(x + 1000.0);
    assert!((near - far).abs().max().into_scalar::<f64>() < 1e-3);
}

/// the number of threads changes no bit, where there are enough rows for several.
#[test]
fn the_number_of_threads_changes_nothing() {
    let lengths = Lengths::new((0..90).collect::<Vec<_>>(), 90);
    let device = Device::flex().autodiff();
    let shapes = [[90, 90, 520], [1, 1, 520], [1, 1, 520]];
    let operands = || shapes.map(|shape| random(shape, 4, DType::F32, &device));
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let one = pool(1).install(|| run(operands(), &lengths, fused));
    assert_eq!(pool(3).install(|| run(operands(), &lengths, fused)), one);
    assert_eq!(run(operands(), &lengths, fused), one);
}

/// what stands in the padding reaches neither a value nor a gradient; what stands in a row stays
/// there.
#[test]
fn padding_is_not_read_and_rows_are_alone() {
    let lengths = Lengths::new([1, 2], 2);
    let device = Device::flex().autodiff();
    let shapes = [[2, 2, 3], [1, 1, 3], [1, 1, 3]];
    let clean = shapes.map(|shape| random(shape, 5, DType::F64, &device));
    let mut spoiled = clean.clone();
    spoiled[0] = clean[0].clone().slice_fill(s![0, 1, ..], f64::NAN);
    let expected = run(clean.clone(), &lengths, fused);
    assert_eq!(run(spoiled.clone(), &lengths, fused), expected);
    spoiled[0] = clean[0].clone().slice_fill(s![1, 0, ..], f64::NAN);
    let found = &run(spoiled, &lengths, fused)[0];
    for (n, (a, e)) in found.iter().zip(&expected[0]).enumerate() {
        assert!(if (6..9).contains(&n) { a.is_nan() } else { a == e }, "{a} for {e}");
    }
}

#[test]
#[should_panic(expected = "axis 0 expected 4, got 3")]
fn a_norm_of_the_wrong_width_is_refused() {
    let device = Device::flex();
    let norm = Norm { gamma: Tensor::ones([3], &device), beta: Tensor::zeros([4], &device) };
    layer_norm_sequence(Tensor::zeros([1, 2, 4], &device), norm, EPSILON, &Lengths::full(1, 2));
}

fn drawn<const D: usize>(shape: [usize; D], seed: u64) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(random(shape, seed, DType::F64, &Device::flex()).into_data())
}

fn numbers(tensor: &FloatTensor<Flex>) -> Vec<f64> {
    tensor.as_slice().unwrap().to_vec()
}

/// A backward pass takes the memory of what was kept for it, but not if somebody else has it too.
#[test]
fn what_others_hold_is_not_overwritten() {
    let lengths = Lengths::new([3, 1], 3);
    let (grad, x, gamma) = (drawn([3, 2, 5], 1), drawn([3, 2, 5], 2), drawn([5], 3));
    let before = numbers(&x);
    let run =
        |x| Flex::layer_norm_backward(grad.clone(), x, gamma.clone(), EPSILON, lengths.clone());
    let held = run(x.clone());
    assert_eq!(numbers(&x), before);
    let taken = run(x);
    for (held, taken) in [(held.0, taken.0), (held.1, taken.1), (held.2, taken.2)] {
        assert_eq!(numbers(&held), numbers(&taken));
    }
}

/// The same of the recurrence.
#[test]
fn what_others_hold_of_a_recurrence_is_not_overwritten() {
    let course = Course { lengths: Lengths::new([3, 1], 3), direction: Direction::Backward };
    let (w_h, norm_h, norm_c) = (drawn([5, 20], 2), drawn([2, 20], 3), drawn([2, 5], 4));
    let (states, activated, cells, normalised, scales) = Flex::layer_norm_lstm_forward(
        drawn([3, 2, 20], 1),
        w_h.clone(),
        norm_h.clone(),
        norm_c.clone(),
        drawn([2, 5], 5),
        drawn([2, 5], 6),
        EPSILON,
        course.clone(),
    );
    let before = [numbers(&activated), numbers(&normalised)];
    let run = |activated, normalised| {
        let (da, dw, d_norm_h, d_norm_c, dh, dc) = Flex::layer_norm_lstm_backward(
            drawn([5, 2, 5], 7),
            w_h.clone(),
            norm_h.clone(),
            norm_c.clone(),
            states.clone(),
            activated,
            cells.clone(),
            normalised,
            scales.clone(),
            course.clone(),
        );
        [da, dw, d_norm_h, d_norm_c, dh, dc].map(|gradient| numbers(&gradient))
    };
    let held = run(activated.clone(), normalised.clone());
    assert_eq!([numbers(&activated), numbers(&normalised)], before);
    assert_eq!(run(activated, normalised), held);
}
