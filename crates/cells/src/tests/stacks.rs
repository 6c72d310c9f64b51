//! Stacks, residual connections, and wrong shapes.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::{assert_close, assert_same_bits, check_gradients};

use super::{drawn, inputs};
use crate::*;

fn lstm(d_input: usize, device: &Device) -> LstmCell {
    drawn(LstmConfig::new(d_input, 4).init(device), DType::F64)
}

/// A stack is its layers one after the other, each with its own state, ragged or not.
#[test]
fn a_stack_is_its_layers_in_turn() {
    let device = Device::flex();
    let (bottom, top) = (lstm(3, &device), lstm(4, &device));
    let stack = Stack::new(vec![bottom.clone(), top.clone()]).with_dropout(0.5);
    let (x, lengths) = (inputs(3, 5, &device), Lengths::new([5, 2, 0], 5));
    let (y, states) = stack.forward(x.clone(), None, &lengths);
    let (middle, first) = Layer::forward(&bottom, x, None, &lengths);
    let (expected, second) = Layer::forward(&top, middle, None, &lengths);
    assert_same_bits(&y, &expected);
    assert_same_bits(&states[0].cell, &first.cell);
    assert_same_bits(&states[1].cell, &second.cell);
}

/// LS-11 for stacks: one step at a time is the whole run, with residual connections as well.
#[test]
fn ls_11_a_stack_streams() {
    let device = Device::flex();
    let layers = vec![Residual::new(lstm(4, &device)), Residual::new(lstm(4, &device))];
    let stack = Stack::new(layers);
    let x = recurrent_testkit::random([2, 5, 4], 9, DType::F64, &device);
    let (y, last) = stack.forward(x.clone(), None, &Lengths::full(2, 5));
    let mut state = stack.start(2);
    for t in 0..5 {
        let (y_t, next) = stack.stream(x.clone().narrow(1, t, 1).squeeze_dim(1), state);
        assert_close(&y_t, y.clone().narrow(1, t, 1).squeeze_dim::<2>(1).into_data(), 1e-14);
        state = next;
    }
    assert_close(&state[1].cell, last[1].cell.to_data(), 1e-14);
}

/// A step goes on from where the lowest cell has projected its input.
#[test]
fn a_stack_streams_what_is_projected() {
    let device = Device::flex();
    let stack = Stack::new(vec![lstm(4, &device), lstm(4, &device)]);
    let x = recurrent_testkit::random([2, 1, 4], 9, DType::F64, &device);
    let start = stack.start(2);
    let one = Lengths::full(x.dims()[0], 1);
    let projected = stack.layers[0].project(x.clone(), &start[0], &one).squeeze_dim(1);
    let (y, next) = stack.stream_projected(projected, start.clone());
    let (expected, after) = stack.stream(x.squeeze_dim(1), start);
    assert_close(&y, expected.into_data(), 1e-14);
    assert_close(&next[1].cell, after[1].cell.to_data(), 1e-14);
}

/// A residual layer adds its input, and puts out zeros at padded steps, whatever stands there.
#[test]
fn a_residual_layer_adds_its_input() {
    let device = Device::flex();
    let lengths = Lengths::new([5, 2], 5);
    let clean = recurrent_testkit::random([2, 5, 4], 9, DType::F64, &device);
    let mask = lengths.pad_mask(&device).unsqueeze_dim::<3>(2).expand(clean.dims());
    let x = clean.clone().mask_fill(mask.clone(), f64::NAN);
    let layer = lstm(4, &device);
    let (y, _) = Residual::new(layer.clone()).forward(x, None, &lengths);
    let (plain, _) = Layer::forward(&layer, clean.clone(), None, &lengths);
    assert_same_bits(&y, &(plain + clean).mask_fill(mask, 0.0));
}

/// Gradients through layers, directions, dropout's absence and residual connections.
#[test]
fn x_1_a_deep_model() {
    let device = Device::flex().autodiff();
    let pair = || Bidirectional::new(lstm(4, &device), lstm(4, &device)).with_merge(Merge::Sum);
    let stack = Stack::new(vec![Residual::new(pair()), Residual::new(pair())]);
    let x = recurrent_testkit::random([2, 3, 4], 9, DType::F64, &device);
    let lengths = Lengths::new([3, 2], 3);
    check_gradients(&stack, 1e-6, |stack| {
        stack.forward(x.clone(), None, &lengths).0.powi_scalar(2).sum()
    });
}

/// Dropout acts between layers while training, and only there.
#[test]
fn dropout_acts_between_layers_while_training() {
    let device = Device::flex().autodiff();
    let (x, lengths) = (inputs(4, 5, &device), Lengths::full(4, 5));
    let one = Stack::new(vec![lstm(3, &device)]).with_dropout(0.9);
    let two = Stack::new(vec![lstm(3, &device), lstm(4, &device)]).with_dropout(0.9);
    let y = |stack: &Stack<LstmCell>, x: &Tensor<3>| {
        stack.forward(x.clone(), None, &lengths).0.into_data()
    };
    assert_eq!(y(&one, &x), y(&one, &x), "nothing above, nothing dropped");
    assert_ne!(y(&two, &x), y(&two, &x));
    let plain = x.inner();
    assert_eq!(y(&two.valid(), &plain), y(&two.valid(), &plain));
}

#[test]
#[should_panic(expected = "axis 2 expected 3, got 5")]
fn an_input_of_the_wrong_width_is_refused() {
    let device = Device::flex();
    let x = Tensor::zeros([2, 4, 5], (&device, DType::F64));
    unroll(&lstm(3, &device), x, None, &Lengths::full(2, 4), Direction::Forward);
}

#[test]
#[should_panic(expected = "axis 1 expected 4, got 6")]
fn a_state_of_the_wrong_width_is_refused() {
    let device = Device::flex();
    let zeros = Tensor::zeros([2, 6], (&device, DType::F64));
    let state = LstmState { hidden: zeros.clone(), cell: zeros };
    lstm(3, &device).step(Tensor::zeros([2, 3], (&device, DType::F64)), state);
}

#[test]
#[should_panic(expected = "a stack of 1 layers needs as many states, got 2")]
fn too_many_states_are_refused() {
    let device = Device::flex();
    let stack = Stack::new(vec![lstm(3, &device)]);
    let states = vec![stack.start(2)[0].clone(); 2];
    stack.forward(inputs(2, 4, &device), states, &Lengths::full(2, 4));
}

#[test]
#[should_panic(expected = "both directions have the same sizes")]
fn directions_of_different_sizes_are_refused() {
    let device = Device::flex();
    Bidirectional::new(lstm(3, &device), lstm(5, &device));
}
