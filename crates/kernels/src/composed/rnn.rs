//! [`rnn_sequence`](crate::rnn_sequence) in Burn's operations.

use burn::backend::{Backend, tensor::FloatTensor};

use super::value::{self, Padding, States, Value};
use crate::{ops::Course, rnn::Activation};

pub(crate) fn forward<B: Backend>(
    x: FloatTensor<B>,
    w_h: FloatTensor<B>,
    h0: FloatTensor<B>,
    activation: Activation,
    course: &Course,
) -> FloatTensor<B> {
    let (x, w_h) = (Value::<B>(x), Value::<B>(w_h));
    let steps = course.lengths.steps();
    let mut states = States::new(steps + 1);
    states.set(course.direction.first(steps), Value(h0));
    for step in course.direction.steps(steps) {
        let pad = Padding::at(step.t, &course.lengths, &x);
        let h = states.get(step.before);
        let a = x.row(step.t) + h.clone().matmul(w_h.clone());
        let next = match activation {
            Activation::Tanh => a.tanh(),
            Activation::Relu => a.relu(),
            Activation::Identity => a,
        };
        states.set(step.after, next.unless(&pad, h));
    }
    states.stack().0
}

pub(crate) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    w_h: FloatTensor<B>,
    states: FloatTensor<B>,
    activation: Activation,
    course: &Course,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (grad, states) = (Value::<B>(grad), Value::<B>(states));
    let w_h_t = Value::<B>(w_h).transpose();
    let (direction, steps) = (course.direction, course.lengths.steps());
    let mut dx = States::new(steps);
    let mut dh = grad.row(direction.last(steps));
    for step in direction.steps(steps).rev() {
        let pad = Padding::at(step.t, &course.lengths, &grad);
        let h = states.row(step.after);
        let da = match activation {
            Activation::Tanh => dh.clone() * (h.clone() * h).complement(),
            Activation::Relu => h.where_positive(dh.clone()),
            Activation::Identity => dh.clone(),
        };
        let da = da.zero_at(&pad);
        dh = da.clone().matmul(w_h_t.clone()).unless(&pad, dh) + grad.row(step.before);
        dx.set(step.t, da);
    }
    let dx = dx.stack();
    let dw = weight_gradient::<B>(&dx.0, &states.0, course);
    (dx.0, dw, dh.0)
}

/// The gradient of `w_h`, from those of the sums at all steps.
pub(crate) fn weight_gradient<B: Backend>(
    da: &FloatTensor<B>,
    states: &FloatTensor<B>,
    course: &Course,
) -> FloatTensor<B> {
    let [da, states] = [da, states].map(|tensor| Value::<B>(tensor.clone()));
    let before = states.rows(course.direction.inputs_from(), course.lengths.steps());
    value::weight_gradient(&before, &da).0
}
