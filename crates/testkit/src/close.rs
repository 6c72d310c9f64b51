//! Comparing tensors, with the tolerance said at every comparison.

use burn::{
    prelude::*,
    tensor::{DType, TensorData},
};

/// The largest `|actual − expected| / max(1, |expected|)`, infinite if one of the two is NaN.
///
/// # Panics
///
/// If the shapes differ.
#[track_caller]
pub fn largest_difference<const D: usize>(
    actual: &Tensor<D>,
    expected: impl Into<TensorData>,
) -> f64 {
    let actual = actual.to_data().convert_dtype(DType::F64);
    let expected = expected.into().convert_dtype(DType::F64);
    assert_eq!(actual.shape(), expected.shape(), "shapes differ");
    let pairs = actual.iter::<f64>().zip(expected.iter::<f64>());
    let worst = pairs.map(|(a, e)| {
        let difference = (a - e).abs() / e.abs().max(1.0);
        if difference.is_nan() { f64::INFINITY } else { difference }
    });
    worst.fold(0.0, f64::max)
}

/// Panics unless every `|actual − expected| ≤ tolerance · max(1, |expected|)`.
#[track_caller]
pub fn assert_close<const D: usize>(
    actual: &Tensor<D>,
    expected: impl Into<TensorData>,
    tolerance: f64,
) {
    let expected = expected.into();
    let difference = largest_difference(actual, expected.clone());
    assert!(
        difference <= tolerance,
        "differ by {difference:.3e}, more than {tolerance:.0e}:\n  actual   {}\n  expected {expected}",
        actual.to_data(),
    );
}

/// Panics unless the two tensors hold the same bits.
#[track_caller]
pub fn assert_same_bits<const D: usize>(actual: &Tensor<D>, expected: &Tensor<D>) {
    actual.to_data().assert_eq(&expected.to_data(), true);
}
