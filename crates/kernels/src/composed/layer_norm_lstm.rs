//! [`layer_norm_lstm_sequence`](crate::layer_norm_lstm_sequence) in Burn's operations.

use burn::backend::{Backend, tensor::FloatTensor};

use super::{
    layer_norm::{normalise, through},
    value::{Padding, States, Value, weight_gradient},
};
use crate::ops::Course;

/// States and final cell, activated gates, cells, normalised products, scales.
type Passed<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// Activated gates, cells, normalised products, scales.
type Saved<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// By the input, `w_h`, both norms, `h0` and `c0`.
type Gradients<B> = (
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
);

/// `γ` and `β`, each `[1, K]`, of `[2, K]`.
fn rows<B: Backend>(norm: Value<B>) -> [Value<B>; 2] {
    let [_, width] = norm.dims();
    norm.reshape([1, 2 * width]).blocks()
}

pub(crate) fn forward<B: Backend>(
    x: FloatTensor<B>,
    w_h: FloatTensor<B>,
    (norm_h, norm_c): (FloatTensor<B>, FloatTensor<B>),
    (h0, c0): (FloatTensor<B>, FloatTensor<B>),
    epsilon: f64,
    course: &Course,
) -> Passed<B> {
    let (x, w_h) = (Value::<B>(x), Value::<B>(w_h));
    let [gamma_h, beta_h] = rows(Value::<B>(norm_h));
    let [gamma_c, beta_c] = rows(Value::<B>(norm_c));
    let (direction, steps) = (course.direction, course.lengths.steps());
    let (mut hidden, mut cells) = (States::new(steps + 1), States::new(steps + 1));
    let (mut activated, mut normalised) = (States::new(steps), States::new(steps));
    let mut scales = States::new(steps);
    hidden.set(direction.first(steps), Value(h0));
    cells.set(direction.first(steps), Value(c0));
    for step in direction.steps(steps) {
        let pad = Padding::at(step.t, &course.lengths, &x);
        let (h, c) = (hidden.get(step.before), cells.get(step.before));
        let product = normalise(&h.clone().matmul(w_h.clone()), epsilon);
        let a = x.row(step.t) + product.rows.clone() * gamma_h.clone() + beta_h.clone();
        let [i, f, g, o] = a.blocks();
        let (i, f, g, o) = (i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid());
        let c_new = f.clone() * c.clone() + i.clone() * g.clone();
        let shown = normalise(&c_new, epsilon);
        let h_new = o.clone() * (shown.rows * gamma_c.clone() + beta_c.clone()).tanh();
        activated.set(step.t, Value::join(vec![i, f, g, o]).zero_at(&pad));
        normalised.set(step.t, product.rows.zero_at(&pad));
        scales.set(step.t, Value::join(vec![product.scale, shown.mean, shown.scale]).zero_at(&pad));
        hidden.set(step.after, h_new.unless(&pad, h));
        cells.set(step.after, c_new.unless(&pad, c));
    }
    let last_cell = cells.get(direction.last(steps));
    let mut packed = hidden.into_rows();
    packed.push(last_cell);
    let states = Value::stack(packed).0;
    (states, activated.stack().0, cells.stack().0, normalised.stack().0, scales.stack().0)
}

pub(crate) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    w_h: FloatTensor<B>,
    (norm_h, norm_c): (FloatTensor<B>, FloatTensor<B>),
    states: FloatTensor<B>,
    saved: Saved<B>,
    course: &Course,
) -> Gradients<B> {
    let (grad, states) = (Value::<B>(grad), Value::<B>(states));
    let (activated, cells, normalised, scales) = saved;
    let (activated, cells) = (Value::<B>(activated), Value::<B>(cells));
    let (normalised, scales) = (Value::<B>(normalised), Value::<B>(scales));
    let [gamma_h, _] = rows(Value::<B>(norm_h));
    let [gamma_c, beta_c] = rows(Value::<B>(norm_c));
    let w_h_t = Value::<B>(w_h).transpose();
    let (direction, steps) = (course.direction, course.lengths.steps());
    let (mut da, mut du) = (States::new(steps), States::new(steps));
    let (mut dy, mut shown) = (States::new(steps), States::new(steps));
    let mut dh = grad.row(direction.last(steps));
    let mut dc = grad.row(steps + 1);
    let through_sigmoid = |s: Value<B>| s.clone() * s.complement();
    let through_tanh = |t: Value<B>| (t.clone() * t).complement();
    for step in direction.steps(steps).rev() {
        let pad = Padding::at(step.t, &course.lengths, &grad);
        let [i, f, g, o] = activated.row(step.t).blocks();
        let [scale_h, mean_c, scale_c] = scales.row(step.t).blocks();
        let c_hat = (cells.row(step.after) - mean_c) * scale_c.clone();
        let tanh_y = (c_hat.clone() * gamma_c.clone() + beta_c.clone()).tanh();
        let dy_t = dh.clone() * o.clone() * through_tanh(tanh_y.clone());
        let dc_new = dc.clone() + through(dy_t.clone(), gamma_c.clone(), c_hat.clone(), scale_c);
        let d_o = dh.clone() * tanh_y * through_sigmoid(o);
        let d_i = dc_new.clone() * g.clone() * through_sigmoid(i.clone());
        let d_f = dc_new.clone() * cells.row(step.before) * through_sigmoid(f.clone());
        let d_g = dc_new.clone() * i * through_tanh(g);
        let da_t = Value::join(vec![d_i, d_f, d_g, d_o]).zero_at(&pad);
        let du_t = through(da_t.clone(), gamma_h.clone(), normalised.row(step.t), scale_h);
        dh = du_t.clone().matmul(w_h_t.clone()).unless(&pad, dh) + grad.row(step.before);
        dc = (dc_new * f).unless(&pad, dc);
        da.set(step.t, da_t);
        du.set(step.t, du_t.zero_at(&pad));
        dy.set(step.t, dy_t.zero_at(&pad));
        shown.set(step.t, c_hat.zero_at(&pad));
    }
    let (da, du) = (da.stack(), du.stack());
    let dw = weight_gradient(&states.rows(direction.inputs_from(), steps), &du);
    let d_norm_h = norm_gradient(&da, &normalised);
    let d_norm_c = norm_gradient(&dy.stack(), &shown.stack());
    (da.0, dw.0, d_norm_h.0, d_norm_c.0, dh.0, dc.0)
}

/// `[2, K]`: `Σ grad ⊙ rows` and `Σ grad` over all steps and sequences.
fn norm_gradient<B: Backend>(grad: &Value<B>, rows: &Value<B>) -> Value<B> {
    let [steps, batch, width] = grad.dims();
    let flat = |value: &Value<B>| value.clone().reshape([steps * batch, width]);
    let d_gamma = (flat(grad) * flat(rows)).sum_rows().reshape([1, width]);
    let d_beta = flat(grad).sum_rows().reshape([1, width]);
    Value::join(vec![d_gamma, d_beta]).reshape([2, width])
}
