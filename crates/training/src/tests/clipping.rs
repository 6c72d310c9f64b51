use burn::{optim::GradientsParams, prelude::*};
use rstest::rstest;

use super::toy::Toy;
use crate::gradients::{clip_value, norm_factor, scale, squares};

/// Gradients of the toy's weight `[3, 2]` and bias `[2]`.
const WEIGHT: [[f32; 2]; 3] = [[0.3, -0.1], [2.0, 0.7], [-1.5, 0.05]];
const BIAS: [f32; 2] = [0.4, -0.9];

fn gradients(model: &Toy) -> GradientsParams {
    let device = Device::flex();
    let mut gradients = GradientsParams::new();
    gradients.register(model.linear.weight.id, Tensor::<2>::from_data(WEIGHT, &device));
    let bias = model.linear.bias.as_ref().unwrap().id;
    gradients.register(bias, Tensor::<1>::from_data(BIAS, &device));
    gradients
}

fn numbers(gradients: &GradientsParams, model: &Toy) -> Vec<f32> {
    let weight = gradients.get::<2>(model.linear.weight.id).unwrap().into_data();
    let bias = gradients.get::<1>(model.linear.bias.as_ref().unwrap().id).unwrap().into_data();
    weight.iter::<f32>().chain(bias.iter::<f32>()).collect()
}

fn norm(gradients: &GradientsParams, model: &Toy) -> f64 {
    let sums = squares(gradients, model).into_iter().map(|sum| sum.into_scalar::<f64>());
    sums.sum::<f64>().sqrt()
}

fn all() -> impl Iterator<Item = f32> {
    WEIGHT.into_iter().flatten().chain(BIAS)
}

/// One norm over all parameters: `√Σ g²` in double precision.
#[test]
fn the_norm_is_over_all_parameters() {
    let model = Toy::new(0.0);
    let expected = all().map(|g| f64::from(g).powi(2)).sum::<f64>().sqrt();
    assert!((norm(&gradients(&model), &model) - expected).abs() < 1e-6);
}

/// `g · θ / ‖g‖`, to the norm `θ`.
#[test]
fn a_norm_above_the_threshold_is_brought_down_to_it() {
    let model = Toy::new(0.0);
    let before = norm(&gradients(&model), &model);
    let factor = norm_factor(before, 0.5).unwrap();
    let clipped = scale(gradients(&model), &model, factor);
    for (clipped, g) in numbers(&clipped, &model).into_iter().zip(all()) {
        assert!((f64::from(clipped) - f64::from(g) * 0.5 / before).abs() < 1e-7);
    }
    assert!((norm(&clipped, &model) - 0.5).abs() < 1e-6);
}

/// at or below the threshold nothing is touched.
#[rstest]
#[case(0.5, 0.5)]
#[case(0.5, 0.6)]
#[case(0.0, 1.0)]
fn x6_a_norm_within_the_threshold_is_left_alone(#[case] norm: f64, #[case] limit: f64) {
    assert_eq!(norm_factor(norm, limit), None);
}

/// `min(c, max(−c, g))`, and X-6 for values: what is within is the same bits.
#[test]
fn values_are_clipped_one_by_one() {
    let model = Toy::new(0.0);
    let clipped = numbers(&clip_value(gradients(&model), &model, 0.8), &model);
    let expected: Vec<f32> = all().map(|g| g.clamp(-0.8, 0.8)).collect();
    assert_eq!(clipped, expected);
}
