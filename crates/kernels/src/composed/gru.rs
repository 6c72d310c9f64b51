//! [`gru_sequence`](crate::gru_sequence) in Burn's operations.

use burn::backend::{Backend, tensor::FloatTensor};

use super::value::{Padding, States, Value, weight_gradient};
use crate::{
    gru::{Reset, Update},
    ops::Course,
};

/// How much of the old state the update gate keeps.
fn kept<B: Backend>(update: Update, z: Value<B>) -> Value<B> {
    match update {
        Update::Keeps => z,
        Update::Writes => z.complement(),
    }
}

pub(crate) fn forward<B: Backend>(
    x: FloatTensor<B>,
    w_h: FloatTensor<B>,
    b_h: FloatTensor<B>,
    h0: FloatTensor<B>,
    reset: Reset,
    update: Update,
    course: &Course,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (x, w_h, b_h) = (Value::<B>(x), Value::<B>(w_h), Value::<B>(b_h));
    let [hidden, width] = w_h.dims();
    let b_h = b_h.reshape([1, width]);
    let (direction, steps) = (course.direction, course.lengths.steps());
    let mut states = States::new(steps + 1);
    let mut activated = States::new(steps);
    states.set(direction.first(steps), Value(h0));
    for step in direction.steps(steps) {
        let pad = Padding::at(step.t, &course.lengths, &x);
        let h = states.get(step.before);
        let [x_r, x_z, x_n] = x.row(step.t).blocks();
        let (r, z, n, acted) = match reset {
            Reset::AfterProduct => {
                let [h_r, h_z, h_n] = (h.clone().matmul(w_h.clone()) + b_h.clone()).blocks();
                let (r, z) = ((x_r + h_r).sigmoid(), (x_z + h_z).sigmoid());
                let n = (x_n + r.clone() * h_n.clone()).tanh();
                (r, z, n, h_n)
            }
            Reset::BeforeProduct => {
                let (w_rz, w_n) = (w_h.columns(0, 2 * hidden), w_h.columns(2 * hidden, hidden));
                let (b_rz, b_n) = (b_h.columns(0, 2 * hidden), b_h.columns(2 * hidden, hidden));
                let [h_r, h_z] = (h.clone().matmul(w_rz) + b_rz).blocks();
                let (r, z) = ((x_r + h_r).sigmoid(), (x_z + h_z).sigmoid());
                let rh = r.clone() * h.clone();
                let n = (x_n + rh.clone().matmul(w_n) + b_n).tanh();
                (r, z, n, rh)
            }
        };
        let keep = kept(update, z.clone());
        let new = keep.clone().complement() * n.clone() + keep * h.clone();
        activated.set(step.t, Value::join(vec![r, z, n, acted]).zero_at(&pad));
        states.set(step.after, new.unless(&pad, h));
    }
    (states.stack().0, activated.stack().0)
}

pub(crate) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    w_h: FloatTensor<B>,
    states: FloatTensor<B>,
    activated: FloatTensor<B>,
    reset: Reset,
    update: Update,
    course: &Course,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (grad, states) = (Value::<B>(grad), Value::<B>(states));
    let (activated, w_h) = (Value::<B>(activated), Value::<B>(w_h));
    let [hidden, _] = w_h.dims();
    let w_rz_t = w_h.columns(0, 2 * hidden).transpose();
    let w_n_t = w_h.columns(2 * hidden, hidden).transpose();
    let (direction, steps) = (course.direction, course.lengths.steps());
    let (mut d_rz, mut d_n) = (States::new(steps), States::new(steps));
    let (mut d_hn, mut acted_on) = (States::new(steps), States::new(steps));
    let mut dh = grad.row(direction.last(steps));
    for step in direction.steps(steps).rev() {
        let pad = Padding::at(step.t, &course.lengths, &grad);
        let h = states.row(step.before);
        let [r, z, n, acted] = activated.row(step.t).blocks();
        let keep = kept(update, z.clone());
        let toward_n = dh.clone() * keep.clone().complement();
        let dn = (toward_n * (n.clone() * n.clone()).complement()).zero_at(&pad);
        let d_keep = dh.clone() * (h.clone() - n);
        let dz = match update {
            Update::Keeps => d_keep,
            Update::Writes => d_keep.negate(),
        };
        let dz = dz * z.clone() * z.complement();
        let through_r = r.clone() * r.clone().complement();
        let (dr, dhn, into_h) = match reset {
            Reset::AfterProduct => {
                let dhn = dn.clone() * r;
                let into_h = dhn.clone().matmul(w_n_t.clone());
                (dn.clone() * acted * through_r, dhn, into_h)
            }
            Reset::BeforeProduct => {
                let d_rh = dn.clone().matmul(w_n_t.clone());
                acted_on.set(step.t, acted);
                (d_rh.clone() * h * through_r, dn.clone(), d_rh * r)
            }
        };
        let drz = Value::join(vec![dr, dz]).zero_at(&pad);
        let dh_new = drz.clone().matmul(w_rz_t.clone()) + into_h + dh.clone() * keep;
        dh = dh_new.unless(&pad, dh) + grad.row(step.before);
        d_rz.set(step.t, drz);
        d_n.set(step.t, dn);
        d_hn.set(step.t, dhn);
    }
    let before = states.rows(direction.inputs_from(), steps);
    let flat = |value: &Value<B>| {
        let [steps, batch, width] = value.dims();
        value.clone().reshape([steps * batch, width])
    };
    let (d_rz, d_n, d_hn) = (d_rz.stack(), d_n.stack(), d_hn.stack());
    let dw_n = match reset {
        Reset::AfterProduct => weight_gradient(&before, &d_hn),
        Reset::BeforeProduct => weight_gradient(&acted_on.stack(), &d_hn),
    };
    let dw = Value::join(vec![weight_gradient(&before, &d_rz), dw_n]);
    let db = Value::join(vec![flat(&d_rz), flat(&d_hn)]).sum_rows();
    let [steps, batch, _] = d_n.dims();
    let dx = Value::join(vec![flat(&d_rz), flat(&d_n)]).reshape([steps, batch, 3 * hidden]);
    (dx.0, dw.0, db.0, dh.0)
}

/// The gradients of `(x, w_h, b_h)` where the reset gate acts after the product, from those of `r`, `z`,
/// of what the reset gate acts on, and of `n`, at all steps, `[T, B, 4H]`.
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
pub(crate) fn gradients_after_product<B: Backend>(
    da: &FloatTensor<B>,
    states: &FloatTensor<B>,
    course: &Course,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let [da, states] = [da, states].map(|tensor| Value::<B>(tensor.clone()));
    let [steps, batch, width] = da.dims();
    let hidden = width / 4;
    let flat = da.reshape([steps * batch, width]);
    let sums = flat.columns(0, 3 * hidden);
    let dx = Value::join(vec![flat.columns(0, 2 * hidden), flat.columns(3 * hidden, hidden)]);
    let before = states.rows(course.direction.inputs_from(), steps);
    let dw = weight_gradient(&before, &sums.clone().reshape([steps, batch, 3 * hidden]));
    (dx.reshape([steps, batch, 3 * hidden]).0, dw.0, sums.sum_rows().0)
}
