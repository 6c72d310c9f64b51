//! BI-1 to BI-6.

use burn::{module::Param, prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, assert_same_bits};
use rstest::rstest;

use super::{drawn, inputs};
use crate::*;

fn lstm(device: &Device) -> LstmCell {
    drawn(LstmConfig::new(3, 4).init(device), DType::F64)
}

/// Two cells with different weights.
fn pair(device: &Device) -> Bidirectional<LstmCell> {
    let mut backward = lstm(device);
    backward.w_x = Param::from_tensor((backward.w_x.val() * 0.7 + 0.1).detach());
    backward.w_h = Param::from_tensor((backward.w_h.val() * -0.9).detach());
    Bidirectional::new(lstm(device), backward)
}

/// Every sequence turned around inside its own length.
fn turned(x: &Tensor<3>, lengths: &Lengths) -> Tensor<3> {
    let rows = lengths.as_slice().iter().enumerate().map(|(row, len)| {
        let order = (0..lengths.steps()).map(|t| if t < *len { len - 1 - t } else { t } as i64);
        let order: Vec<i64> = order.collect();
        let order = Tensor::<1, Int>::from_data(order.as_slice(), &x.device());
        x.clone().narrow(0, row, 1).select(1, order)
    });
    Tensor::cat(rows.collect(), 0)
}

fn forward<C: Cell>(layer: &Bidirectional<C>, x: &Tensor<3>, lengths: &Lengths) -> Tensor<3> {
    Layer::forward(layer, x.clone(), None, lengths).0
}

/// BI-1: reading backwards with the two networks swapped gives the same, turned and swapped.
#[test]
fn bi_1_reversal_is_a_symmetry() {
    let device = Device::flex();
    let (x, lengths) = (inputs(3, 5, &device), Lengths::new([5, 3, 1], 5));
    let there = pair(&device);
    let back = Bidirectional::new(there.backward.clone(), there.forward.clone());
    let y = forward(&there, &x, &lengths);
    let y_turned = turned(&forward(&back, &turned(&x, &lengths), &lengths), &lengths);
    let swapped = Tensor::cat(vec![y_turned.clone().narrow(2, 4, 4), y_turned.narrow(2, 0, 4)], 2);
    assert_close(&y, swapped.into_data(), 1e-14);
}

/// BI-2: with tied weights and a sum, reading backwards is the same, turned.
#[rstest]
fn bi_2_tied_weights(#[values(Merge::Sum, Merge::Mean, Merge::Product)] merge: Merge) {
    let device = Device::flex();
    let (x, lengths) = (inputs(3, 5, &device), Lengths::new([5, 3, 1], 5));
    let tied = Bidirectional::new(lstm(&device), lstm(&device)).with_merge(merge);
    let y = forward(&tied, &x, &lengths);
    let y_turned = forward(&tied, &turned(&x, &lengths), &lengths);
    assert_close(&y, turned(&y_turned, &lengths).into_data(), 1e-14);
}

/// The merges are what their names say.
#[test]
fn merges() {
    let device = Device::flex();
    let (x, lengths) = (inputs(2, 4, &device), Lengths::new([4, 2], 4));
    let layer = pair(&device);
    let both = forward(&layer, &x, &lengths);
    let (a, b) = (both.clone().narrow(2, 0, 4), both.narrow(2, 4, 4));
    let merged = |merge| forward(&layer.clone().with_merge(merge), &x, &lengths);
    assert_same_bits(&merged(Merge::Sum), &(a.clone() + b.clone()));
    assert_same_bits(&merged(Merge::Mean), &((a.clone() + b.clone()) / 2.0));
    assert_same_bits(&merged(Merge::Product), &(a * b));
}

/// BI-3: the forward half does not see the future, the backward half does not see the past.
#[test]
fn bi_3_each_half_sees_one_side() {
    let device = Device::flex();
    let (x, lengths) = (inputs(1, 6, &device), Lengths::full(1, 6));
    let layer = pair(&device);
    let other = x.clone() + 1.0;
    let future = Tensor::cat(vec![x.clone().narrow(1, 0, 3), other.clone().narrow(1, 3, 3)], 1);
    let past = Tensor::cat(vec![other.narrow(1, 0, 3), x.clone().narrow(1, 3, 3)], 1);
    let y = forward(&layer, &x, &lengths);
    let half = |y: &Tensor<3>, half: usize, from: usize| {
        y.clone().narrow(2, 4 * half, 4).narrow(1, from, 3)
    };
    let (with_future, with_past) =
        (forward(&layer, &future, &lengths), forward(&layer, &past, &lengths));
    assert_same_bits(&half(&with_future, 0, 0), &half(&y, 0, 0));
    assert_same_bits(&half(&with_past, 1, 3), &half(&y, 1, 3));
    assert_ne!(half(&with_future, 1, 0).into_data(), half(&y, 1, 0).into_data());
    assert_ne!(half(&with_past, 0, 3).into_data(), half(&y, 0, 3).into_data());
}

/// BI-4: a padded batch is its sequences one by one, whatever stands in the padding.
#[test]
fn bi_4_padding_is_not_reversed() {
    let device = Device::flex();
    let (lens, layer) = ([2, 5, 1, 4], pair(&device));
    let lengths = Lengths::new(lens, 5);
    let clean = inputs(4, 5, &device);
    let mask = lengths.pad_mask(&device).unsqueeze_dim::<3>(2).expand(clean.dims());
    let x = clean.mask_fill(mask, f64::NAN);
    let y = forward(&layer, &x, &lengths);
    for (row, len) in lens.into_iter().enumerate() {
        let alone =
            forward(&layer, &x.clone().slice(s![row..row + 1, 0..len, ..]), &Lengths::full(1, len));
        assert_close(&y.clone().slice(s![row..row + 1, 0..len, ..]), alone.into_data(), 1e-12);
    }
}

/// BI-5: both networks learn.
#[test]
fn bi_5_both_halves_get_gradients() {
    let device = Device::flex().autodiff();
    let layer = pair(&device);
    let y = forward(&layer, &inputs(2, 3, &device), &Lengths::full(2, 3));
    let grads = y.powi_scalar(2).sum().backward();
    for cell in [&layer.forward, &layer.backward] {
        let norm = cell.w_h.val().grad(&grads).expect("a gradient").powi_scalar(2).sum();
        assert!(norm.into_scalar::<f64>() > 1e-6);
    }
}

/// BI-6: exactly twice the parameters.
#[test]
fn bi_6_twice_the_parameters() {
    let device = Device::flex();
    assert_eq!(pair(&device).num_params(), 2 * lstm(&device).num_params());
}

/// The final states are those after the last real step forward, and at the first step backward.
#[test]
fn final_states_are_at_the_ends() {
    let device = Device::flex();
    let (x, lengths) = (inputs(2, 4, &device), Lengths::new([4, 2], 4));
    let (y, last) = Layer::forward(&pair(&device), x, None, &lengths);
    let at = |row: usize, t: usize, half: usize| {
        y.clone().slice(s![row..row + 1, t..t + 1, 4 * half..4 * half + 4]).squeeze_dim::<2>(1)
    };
    let forward = Tensor::cat(vec![at(0, 3, 0), at(1, 1, 0)], 0);
    let backward = Tensor::cat(vec![at(0, 0, 1), at(1, 0, 1)], 0);
    assert_same_bits(&last.forward.hidden, &forward);
    assert_same_bits(&last.backward.hidden, &backward);
}
