//! [`gru_sequence`](crate::gru_sequence) on a GPU, where the reset gate acts after the product. Before it,
//! a step is two products, one after the other: that takes the composed path.

use burn::{backend::TensorMetadata, tensor::DType};
use burn_cubecl::CubeBackend;
use cubecl::prelude::*;

use super::{
    Keep,
    activation::{sigmoid, through_sigmoid, through_tanh},
    buffer, cast, contiguous, element, on_device,
    plan::{Form, Plan, Route, place_of, state_between},
    sums::{recurrent, stage_left, stage_state, stride, unit},
    transposed, uninitialised, weights_backward, weights_forward, with_first,
};
use crate::{Direction, composed, gru::Update, ops::Course};

type Tensor = super::Float;

/// What is compiled into a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kernel {
    form: Form,
    update: Update,
    direction: Direction,
}

/// Weights and initial state.
pub(super) struct Operands {
    pub(super) w_h: Tensor,
    pub(super) b_h: Tensor,
    pub(super) h0: Tensor,
}

pub(super) fn forward(
    x: Tensor,
    operands: Operands,
    update: Update,
    course: &Course,
    keep: Keep,
) -> (Tensor, Tensor) {
    let Operands { w_h, b_h, h0 } = operands;
    let [batch, hidden] = h0.shape().dims();
    let (direction, steps) = (course.direction, course.lengths.steps());
    let plan = Plan::new(&x, steps, [batch, hidden, hidden]);
    let states = with_first(&h0, steps + 1, direction.first(steps));
    let activated = match keep {
        Keep::Activations => uninitialised(&x, [steps, batch, 4 * hidden], x.dtype()),
        Keep::Nothing => uninitialised(&x, [1; 3], x.dtype()),
    };
    let (x, w_h, lengths) = (contiguous(x), contiguous(w_h), on_device(&course.lengths, &states));
    for passes in plan.launches() {
        let weights = weights_forward(&plan, &passes, course, &states, &w_h);
        steps_forward::launch(
            &x.client,
            plan.count(),
            plan.dim(),
            buffer(&x),
            buffer(&weights),
            buffer(&b_h),
            buffer(&lengths),
            buffer(&states),
            buffer(&activated),
            passes.start as u32,
            passes.end as u32,
            steps as u32,
            batch as u32,
            hidden as u32,
            keep,
            Kernel { form: plan.form, update, direction },
            element(&x),
        );
    }
    (states, activated)
}

pub(super) fn backward(
    grad: Tensor,
    w_h: Tensor,
    states: Tensor,
    activated: Tensor,
    update: Update,
    course: &Course,
) -> (Tensor, Tensor, Tensor, Tensor) {
    let [hidden, width] = w_h.shape().dims();
    let (direction, steps, batch) =
        (course.direction, course.lengths.steps(), course.lengths.batch());
    let plan = Plan::new(&grad, steps + 1, [batch, hidden, width]);
    let da = uninitialised(&grad, [steps, batch, 4 * hidden], grad.dtype());
    let dh = uninitialised(&grad, [batch, hidden], DType::F32);
    let (grad, lengths) = (contiguous(grad), on_device(&course.lengths, &da));
    let (states, activated, w_h_t) = (contiguous(states), contiguous(activated), transposed(w_h));
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
            buffer(&activated),
            buffer(&da),
            buffer(&dh),
            passes.start as u32,
            passes.end as u32,
            steps as u32,
            batch as u32,
            hidden as u32,
            Kernel { form: plan.form, update, direction },
            element(&grad),
        );
    }
    let (dx, dw, db) = composed::gru::gradients_after_product::<CubeBackend>(&da, &states, course);
    (dx, dw, db, cast(dh, states.dtype()))
}

/// `r`, `z` and `n` of one unit at one step, what the reset gate acted on, and the new state; or the
/// gradients of these.
#[derive(CubeType, Clone, Copy)]
struct Unit {
    r: f32,
    z: f32,
    n: f32,
    acted: f32,
    h: f32,
}

/// How much of the old state the update gate keeps.
#[cube]
fn kept(z: f32, #[comptime] update: Update) -> f32 {
    match update {
        Update::Keeps => z,
        Update::Writes => 1.0f32 - z,
    }
}

/// One step of one unit, from both sides of the sums of each block and the state.
#[cube]
fn step(
    x_r: f32,
    x_z: f32,
    x_n: f32,
    h_r: f32,
    h_z: f32,
    h_n: f32,
    h: f32,
    #[comptime] update: Update,
) -> Unit {
    let r = sigmoid(x_r + h_r);
    let z = sigmoid(x_z + h_z);
    let n = (x_n + r * h_n).tanh();
    let keep = kept(z, update);
    Unit { r, z, n, acted: h_n, h: (1.0f32 - keep) * n + keep * h }
}

/// Steps `from..until` of `T`, in the order in which they are run.
#[cube(launch)]
fn steps_forward<F: Float>(
    x: &[F],
    w_h: &[F],
    b_h: &[F],
    lengths: &[u32],
    states: &mut [F],
    activated: &mut [F],
    from: u32,
    until: u32,
    steps: u32,
    batch: u32,
    hidden: u32,
    #[comptime] keep: Keep,
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
            let mut sums = Array::<f32>::new(comptime!(3 * rows));
            recurrent::<F>(&mut sums, &tile, side, w_h, j, hidden, hidden, 3usize, form);
            #[unroll]
            for r in 0..rows {
                let b = row + r;
                if b < batch {
                    let at = b * hidden + j;
                    let h = f32::cast_from(states[place.before * state + at]);
                    let mut new = Unit { r: 0.0f32, z: 0.0f32, n: 0.0f32, acted: 0.0f32, h };
                    if (place.t as u32) < lengths[b] {
                        let gates = (place.t * batch + b) * 3 * hidden + j;
                        let stepped = step(
                            f32::cast_from(x[gates]),
                            f32::cast_from(x[gates + hidden]),
                            f32::cast_from(x[gates + 2 * hidden]),
                            sums[r] + f32::cast_from(b_h[j]),
                            sums[comptime!(rows + r)] + f32::cast_from(b_h[hidden + j]),
                            sums[comptime!(2 * rows + r)] + f32::cast_from(b_h[2 * hidden + j]),
                            h,
                            kernel.update,
                        );
                        new.r = stepped.r;
                        new.z = stepped.z;
                        new.n = stepped.n;
                        new.acted = stepped.acted;
                        new.h = stepped.h;
                    }
                    states[place.after * state + at] = F::cast_from(new.h);
                    if comptime!(keep == Keep::Activations) {
                        let kept = (place.t * batch + b) * 4 * hidden + j;
                        activated[kept] = F::cast_from(new.r);
                        activated[kept + hidden] = F::cast_from(new.z);
                        activated[kept + 2 * hidden] = F::cast_from(new.n);
                        activated[kept + 3 * hidden] = F::cast_from(new.acted);
                    }
                    if comptime!(form.route == Route::Loop) {
                        tile[other + r * hidden + j] = new.h;
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

/// The gradients of the sums of one unit, and what reaches the state before the step beside them, from
/// that of the state after it. Its activations stand at `gates`.
#[cube]
fn step_backward<F: Float>(
    activated: &[F],
    gates: usize,
    hidden: usize,
    h: f32,
    d_h: f32,
    #[comptime] update: Update,
) -> Unit {
    let r = f32::cast_from(activated[gates]);
    let z = f32::cast_from(activated[gates + hidden]);
    let n = f32::cast_from(activated[gates + 2 * hidden]);
    let acted = f32::cast_from(activated[gates + 3 * hidden]);
    let keep = kept(z, update);
    let d_n = d_h * (1.0f32 - keep) * through_tanh(n);
    let mut d_z = d_h * (h - n) * through_sigmoid(z);
    if comptime!(update == Update::Writes) {
        d_z = 0.0f32 - d_z;
    }
    Unit { r: d_n * acted * through_sigmoid(r), z: d_z, n: d_n, acted: d_n * r, h: d_h * keep }
}

/// Passes `from..until` of `T + 1`, as those of an [LSTM](super::lstm). The blocks of `da` are the
/// gradients of `r`, `z`, of what the reset gate acts on, and of `n`: the first three came out of the
/// product.
#[cube(launch)]
fn steps_backward<F: Float>(
    grad: &[F],
    w_h_t: &[F],
    lengths: &[u32],
    states: &[F],
    activated: &[F],
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
    let width = 3 * hidden;
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
        width,
        4 * hidden,
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
                recurrent::<F>(&mut sums, &tile, side, w_h_t, j, width, hidden, 1usize, form);
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
                    let mut d_r = 0.0f32;
                    let mut d_z = 0.0f32;
                    let mut d_acted = 0.0f32;
                    if pass < steps {
                        let place = place_of(steps - 1 - pass, steps, kernel.direction);
                        let gates = (place.t * batch + b) * 4 * hidden + j;
                        let mut d_n = 0.0f32;
                        if (place.t as u32) < lengths[b] {
                            let h = f32::cast_from(states[place.before * state + at]);
                            let d =
                                step_backward::<F>(activated, gates, hidden, h, d_h, kernel.update);
                            d_r = d.r;
                            d_z = d.z;
                            d_n = d.n;
                            d_acted = d.acted;
                            d_h = d.h;
                        }
                        da[gates] = F::cast_from(d_r);
                        da[gates + hidden] = F::cast_from(d_z);
                        da[gates + 2 * hidden] = F::cast_from(d_acted);
                        da[gates + 3 * hidden] = F::cast_from(d_n);
                    }
                    dh[at] = d_h;
                    if comptime!(form.route == Route::Loop) {
                        let next = other + r * width + j;
                        tile[next] = d_r;
                        tile[next + hidden] = d_z;
                        tile[next + 2 * hidden] = d_acted;
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
