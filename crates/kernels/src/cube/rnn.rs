//! [`rnn_sequence`](crate::rnn_sequence) on a GPU.

use burn::{backend::TensorMetadata, tensor::DType};
use burn_cubecl::CubeBackend;
use cubecl::prelude::*;

use super::{
    activation::through_tanh,
    buffer, cast, contiguous, element, on_device,
    plan::{Form, Plan, Route, place_of, state_between},
    sums::{recurrent, stage_left, stage_state, stride, unit},
    transposed, uninitialised, weights_backward, weights_forward, with_first,
};
use crate::{Activation, Direction, composed::rnn::weight_gradient, ops::Course};

type Tensor = super::Float;

/// What is compiled into a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kernel {
    form: Form,
    activation: Activation,
    direction: Direction,
}

pub(super) fn forward(
    x: Tensor,
    w_h: Tensor,
    h0: Tensor,
    activation: Activation,
    course: &Course,
) -> Tensor {
    let [batch, hidden] = h0.shape().dims();
    let (direction, steps) = (course.direction, course.lengths.steps());
    let plan = Plan::new(&x, steps, [batch, hidden, hidden]);
    let states = with_first(&h0, steps + 1, direction.first(steps));
    let (x, w_h, lengths) = (contiguous(x), contiguous(w_h), on_device(&course.lengths, &states));
    for passes in plan.launches() {
        let weights = weights_forward(&plan, &passes, course, &states, &w_h);
        steps_forward::launch(
            &x.client,
            plan.count(),
            plan.dim(),
            buffer(&x),
            buffer(&weights),
            buffer(&lengths),
            buffer(&states),
            passes.start as u32,
            passes.end as u32,
            steps as u32,
            batch as u32,
            hidden as u32,
            Kernel { form: plan.form, activation, direction },
            element(&x),
        );
    }
    states
}

pub(super) fn backward(
    grad: Tensor,
    w_h: Tensor,
    states: Tensor,
    activation: Activation,
    course: &Course,
) -> (Tensor, Tensor, Tensor) {
    let [hidden, _] = w_h.shape().dims();
    let (direction, steps, batch) =
        (course.direction, course.lengths.steps(), course.lengths.batch());
    let plan = Plan::new(&grad, steps + 1, [batch, hidden, hidden]);
    let da = uninitialised(&grad, [steps, batch, hidden], grad.dtype());
    let dh = uninitialised(&grad, [batch, hidden], DType::F32);
    let (grad, lengths) = (contiguous(grad), on_device(&course.lengths, &da));
    let (states, w_h_t) = (contiguous(states), transposed(w_h));
    for passes in plan.launches() {
        let weights = weights_backward(&plan, &passes, course, &da, &w_h_t);
        steps_backward::launch(
            &grad.client,
            plan.count(),
            plan.dim(),
            buffer(&grad),
            buffer(&weights),
            buffer(&lengths),
            buffer(&states),
            buffer(&da),
            buffer(&dh),
            passes.start as u32,
            passes.end as u32,
            steps as u32,
            batch as u32,
            hidden as u32,
            Kernel { form: plan.form, activation, direction },
            element(&grad),
        );
    }
    let dw = weight_gradient::<CubeBackend>(&da, &states, course);
    let dtype = da.dtype();
    (da, dw, cast(dh, dtype))
}

/// Steps `from..until` of `T`, in the order in which they are run.
#[cube(launch)]
fn steps_forward<F: Float>(
    x: &[F],
    w_h: &[F],
    lengths: &[u32],
    states: &mut [F],
    from: u32,
    until: u32,
    steps: u32,
    batch: u32,
    hidden: u32,
    #[comptime] kernel: Kernel,
    #[define(F)] _dtype: ElemType,
) {
    let form = comptime!(kernel.form);
    let rows = comptime!(form.rows);
    let (steps, batch, hidden) = (steps as usize, batch as usize, hidden as usize);
    let state = batch * hidden;
    let row = CUBE_POS_Y as usize * rows;

    let mut tile = Shared::<[f32]>::new_slice(comptime!(form.shared()));
    let mut side = 0usize;
    stage_state::<F>(
        &mut tile,
        &*states,
        from as usize,
        steps,
        batch,
        hidden,
        form,
        kernel.direction,
    );
    for n in from as usize..until as usize {
        let place = place_of(n, steps, kernel.direction);
        let other = comptime!(form.tile) - side;
        let mut j = unit();
        while j < hidden {
            let mut sums = Array::<f32>::new(rows);
            recurrent::<F>(&mut sums, &tile, side, w_h, j, hidden, hidden, 1usize, form);
            #[unroll]
            for r in 0..rows {
                let b = row + r;
                if b < batch {
                    let at = b * hidden + j;
                    let mut h = f32::cast_from(states[place.before * state + at]);
                    if (place.t as u32) < lengths[b] {
                        h = f32::cast_from(x[place.t * state + at]) + sums[r];
                        match kernel.activation {
                            Activation::Tanh => h = h.tanh(),
                            Activation::Relu => h = positive(h),
                            Activation::Identity => (),
                        }
                    }
                    states[place.after * state + at] = F::cast_from(h);
                    if comptime!(form.route == Route::Loop) {
                        tile[other + r * hidden + j] = h;
                    }
                }
            }
            j += stride();
        }
        if comptime!(form.route == Route::Loop) {
            sync_cube();
            side = other;
        }
    }
}

/// `max(a, 0)`; NaN stays NaN.
#[cube]
fn positive(a: f32) -> f32 {
    let mut positive = a;
    if a < 0.0f32 {
        positive = 0.0f32;
    }
    positive
}

/// Passes `from..until` of `T + 1`, as those of an [LSTM](super::lstm).
#[cube(launch)]
fn steps_backward<F: Float>(
    grad: &[F],
    w_h_t: &[F],
    lengths: &[u32],
    states: &[F],
    da: &mut [F],
    dh: &mut [f32],
    from: u32,
    until: u32,
    steps: u32,
    batch: u32,
    hidden: u32,
    #[comptime] kernel: Kernel,
    #[define(F)] _dtype: ElemType,
) {
    let form = comptime!(kernel.form);
    let rows = comptime!(form.rows);
    let (steps, batch, hidden) = (steps as usize, batch as usize, hidden as usize);
    let state = batch * hidden;
    let row = CUBE_POS_Y as usize * rows;

    let mut tile = Shared::<[f32]>::new_slice(comptime!(form.shared()));
    let mut side = 0usize;
    stage_left::<F>(
        &mut tile,
        &*da,
        from as usize,
        steps,
        batch,
        hidden,
        hidden,
        form,
        kernel.direction,
    );
    for pass in from as usize..until as usize {
        let between = state_between(pass, steps, kernel.direction);
        let other = comptime!(form.tile) - side;
        let mut j = unit();
        while j < hidden {
            let mut sums = Array::<f32>::new(rows);
            if pass > 0 {
                recurrent::<F>(&mut sums, &tile, side, w_h_t, j, hidden, hidden, 1usize, form);
            }
            #[unroll]
            for r in 0..rows {
                let b = row + r;
                if b < batch {
                    let at = b * hidden + j;
                    let mut d_h = f32::cast_from(grad[between * state + at]);
                    if pass > 0 {
                        d_h += sums[r] + dh[at];
                    }
                    let mut d_a = 0.0f32;
                    if pass < steps {
                        let place = place_of(steps - 1 - pass, steps, kernel.direction);
                        if (place.t as u32) < lengths[b] {
                            let h = f32::cast_from(states[place.after * state + at]);
                            d_a = d_h;
                            match kernel.activation {
                                Activation::Tanh => d_a = d_h * through_tanh(h),
                                Activation::Relu => {
                                    if h <= 0.0f32 {
                                        d_a = 0.0f32;
                                    }
                                }
                                Activation::Identity => (),
                            }
                            d_h = 0.0f32;
                        }
                        da[place.t * state + at] = F::cast_from(d_a);
                    }
                    dh[at] = d_h;
                    if comptime!(form.route == Route::Loop) {
                        tile[other + r * hidden + j] = d_a;
                    }
                }
            }
            j += stride();
        }
        if comptime!(form.route == Route::Loop) {
            sync_cube();
            side = other;
        }
    }
}
