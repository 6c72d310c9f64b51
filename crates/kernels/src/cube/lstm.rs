//! [`lstm_sequence`](crate::lstm_sequence) on a GPU.

use burn::{backend::TensorMetadata, tensor::DType};
use burn_cubecl::CubeBackend;
use cubecl::prelude::*;

use super::{
    Keep,
    activation::{sigmoid, through_sigmoid, through_tanh},
    buffer, cast, contiguous, element, elementwise_count, elementwise_dim, on_device,
    plan::{Form, Plan, Route, place_of, state_between},
    sums::{recurrent, stage_left, stage_state, stride, unit},
    transposed, uninitialised, weights_backward, weights_forward,
};
use crate::{Direction, composed, composed::lstm::weight_gradients, lstm::Gates, ops::Course};

type Tensor = super::Float;

/// What a sequence is made of.
pub(super) struct Operands {
    pub(super) x: Tensor,
    pub(super) w_h: Tensor,
    pub(super) peephole: Tensor,
    pub(super) h0: Tensor,
    pub(super) c0: Tensor,
}

impl Operands {
    /// The results in Burn's own operations.
    pub(super) fn composed(self, gates: Gates, course: &Course) -> (Tensor, Tensor, Tensor) {
        let Self { x, w_h, peephole, h0, c0 } = self;
        composed::lstm::forward::<CubeBackend>(x, w_h, peephole, h0, c0, gates, course)
    }
}

/// What the forward pass keeps.
pub(super) struct Saved {
    pub(super) states: Tensor,
    pub(super) activated: Tensor,
    pub(super) cells: Tensor,
}

/// [`Gates`], of which a kernel is compiled for each. The bound of a clipped cell is an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Cell {
    Original,
    Forget,
    Peephole,
    Coupled,
    Gnmt,
    Clipped,
}

impl Cell {
    fn of(gates: Gates) -> Self {
        match gates {
            Gates::Original => Self::Original,
            Gates::Forget => Self::Forget,
            Gates::Peephole => Self::Peephole,
            Gates::Coupled => Self::Coupled,
            Gates::Gnmt { clip: None } => Self::Gnmt,
            Gates::Gnmt { clip: Some(_) } => Self::Clipped,
        }
    }

    /// Blocks of `H` columns, `G`. The last two are `g` and `o`.
    fn blocks(self) -> usize {
        match self {
            Self::Original | Self::Coupled => 3,
            Self::Forget | Self::Peephole | Self::Gnmt | Self::Clipped => 4,
        }
    }

    /// Whether there is a block of `i`, which is the first then.
    fn has_input(self) -> bool {
        self != Self::Coupled
    }

    /// Whether there is a block of `f`, which stands before `g` then.
    fn has_forget(self) -> bool {
        self != Self::Original
    }

    /// Whether the output gate stands before `φ(c')`, not before `c'` itself.
    fn squashes(self) -> bool {
        match self {
            Self::Original | Self::Forget | Self::Peephole | Self::Coupled => true,
            Self::Gnmt | Self::Clipped => false,
        }
    }
}

/// What is compiled into a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kernel {
    form: Form,
    cell: Cell,
    direction: Direction,
}

pub(super) fn forward(
    operands: Operands,
    gates: Gates,
    course: &Course,
    keep: Keep,
) -> (Tensor, Tensor, Tensor) {
    let Operands { x, w_h, peephole, h0, c0 } = operands;
    let [batch, hidden] = h0.shape().dims();
    let (direction, steps) = (course.direction, course.lengths.steps());
    let plan = Plan::new(&x, steps, [batch, hidden, hidden]);
    let cell = Cell::of(gates);
    let states = uninitialised(&x, [steps + 2, batch, hidden], x.dtype());
    let (cells, activated) = match keep {
        Keep::Activations => (
            uninitialised(&x, [steps + 1, batch, hidden], x.dtype()),
            uninitialised(&x, [steps, batch, cell.blocks() * hidden], x.dtype()),
        ),
        Keep::Nothing => {
            (uninitialised(&x, [1; 3], x.dtype()), uninitialised(&x, [1; 3], x.dtype()))
        }
    };
    let running = uninitialised(&x, [batch, hidden], DType::F32);
    let (x, w_h, lengths) = (contiguous(x), contiguous(w_h), on_device(&course.lengths, &states));
    begin::launch(
        &x.client,
        elementwise_count(batch * hidden),
        elementwise_dim(),
        buffer(&h0),
        buffer(&c0),
        buffer(&states),
        buffer(&cells),
        buffer(&running),
        direction.first(steps) as u32,
        keep,
        element(&x),
    );
    let kernel = Kernel { form: plan.form, cell, direction };
    for passes in plan.launches() {
        let weights = weights_forward(&plan, &passes, course, &states, &w_h);
        steps_forward::launch(
            &x.client,
            plan.count(),
            plan.dim(),
            buffer(&x),
            buffer(&weights),
            buffer(&peephole),
            buffer(&lengths),
            buffer(&states),
            buffer(&cells),
            buffer(&activated),
            buffer(&running),
            passes.start as u32,
            passes.end as u32,
            steps as u32,
            batch as u32,
            hidden as u32,
            gates.clip().unwrap_or(0.0) as f32,
            keep,
            kernel,
            element(&x),
        );
    }
    (states, activated, cells)
}

pub(super) fn backward(
    grad: Tensor,
    w_h: Tensor,
    peephole: Tensor,
    saved: Saved,
    gates: Gates,
    course: &Course,
) -> (Tensor, Tensor, Tensor, Tensor, Tensor) {
    let Saved { states, activated, cells } = saved;
    let [hidden, width] = w_h.shape().dims();
    let (direction, steps, batch) =
        (course.direction, course.lengths.steps(), course.lengths.batch());
    let plan = Plan::new(&grad, steps + 1, [batch, hidden, width]);
    let da = uninitialised(&grad, [steps, batch, width], grad.dtype());
    let [dh, dc] = [(); 2].map(|()| uninitialised(&grad, [batch, hidden], DType::F32));
    let (grad, lengths) = (contiguous(grad), on_device(&course.lengths, &da));
    let (activated, cells) = (contiguous(activated), contiguous(cells));
    let w_h_t = transposed(w_h);
    let kernel = Kernel { form: plan.form, cell: Cell::of(gates), direction };
    for passes in plan.launches() {
        let weights = weights_backward(&plan, &passes, course, &da, &w_h_t);
        steps_backward::launch(
            &grad.client,
            plan.count(),
            plan.dim(),
            buffer(&grad),
            buffer(&weights),
            buffer(&peephole),
            buffer(&lengths),
            buffer(&activated),
            buffer(&cells),
            buffer(&da),
            buffer(&dh),
            buffer(&dc),
            passes.start as u32,
            passes.end as u32,
            steps as u32,
            batch as u32,
            hidden as u32,
            gates.clip().unwrap_or(0.0) as f32,
            kernel,
            element(&grad),
        );
    }
    let (dw, dp) = weight_gradients::<CubeBackend>(&da, &states, &cells, peephole, gates, course);
    let dtype = da.dtype();
    (da, dw, dp, cast(dh, dtype), cast(dc, dtype))
}

/// Puts the initial state where the steps find it: `h` in its row of the states, `c` in that of the
/// cells, if they are kept, and in the running one.
#[cube(launch)]
fn begin<F: Float>(
    h0: &[F],
    c0: &[F],
    states: &mut [F],
    cells: &mut [F],
    running: &mut [f32],
    first: u32,
    #[comptime] keep: Keep,
    #[define(F)] _dtype: ElemType,
) {
    let place = ABSOLUTE_POS;
    let size = h0.len();
    if place < size {
        states[first as usize * size + place] = h0[place];
        running[place] = f32::cast_from(c0[place]);
        if comptime!(keep == Keep::Activations) {
            cells[first as usize * size + place] = c0[place];
        }
    }
}

/// The gates of one unit at one step, and the cell and output that they lead to.
#[derive(CubeType, Clone, Copy)]
struct Unit {
    i: f32,
    f: f32,
    g: f32,
    o: f32,
    c: f32,
    h: f32,
}

/// The four blocks of one unit: sums, or peepholes, or gradients.
#[derive(CubeType, Clone, Copy)]
struct Blocks {
    i: f32,
    f: f32,
    g: f32,
    o: f32,
}

#[cube]
fn no_blocks() -> Blocks {
    Blocks { i: 0.0f32, f: 0.0f32, g: 0.0f32, o: 0.0f32 }
}

#[cube]
fn set(blocks: &mut Blocks, to: &Blocks) {
    blocks.i = to.i;
    blocks.f = to.f;
    blocks.g = to.g;
    blocks.o = to.o;
}

/// One step of one unit, from the sums `a` before the activations, the peepholes `p` and the cell.
#[cube]
fn step(a: &Blocks, p: &Blocks, c: f32, bound: f32, #[comptime] cell: Cell) -> Unit {
    let mut f = 1.0f32;
    if comptime!(cell.has_forget()) {
        f = sigmoid(a.f + p.f * c);
    }
    let mut i = 1.0f32 - f;
    if comptime!(cell.has_input()) {
        i = sigmoid(a.i + p.i * c);
    }
    let g = a.g.tanh();
    let mut c_new = f * c + i * g;
    if comptime!(cell == Cell::Clipped) {
        if c_new > bound {
            c_new = bound;
        }
        if c_new < 0.0f32 - bound {
            c_new = 0.0f32 - bound;
        }
    }
    let o = sigmoid(a.o + p.o * c_new);
    let mut h = o * c_new;
    if comptime!(cell.squashes()) {
        h = o * c_new.tanh();
    }
    Unit { i, f, g, o, c: c_new, h }
}

/// The peepholes of unit `j`, zeros without them.
#[cube]
fn peepholes_of<F: Float>(
    peephole: &[F],
    j: usize,
    hidden: usize,
    #[comptime] cell: Cell,
) -> Blocks {
    let mut p = no_blocks();
    if comptime!(cell == Cell::Peephole) {
        p.i = f32::cast_from(peephole[j]);
        p.f = f32::cast_from(peephole[hidden + j]);
        p.o = f32::cast_from(peephole[2 * hidden + j]);
    }
    p
}

/// Steps `from..until` of `T`, in the order in which they are run.
#[cube(launch)]
fn steps_forward<F: Float>(
    x: &[F],
    w_h: &[F],
    peephole: &[F],
    lengths: &[u32],
    states: &mut [F],
    cells: &mut [F],
    activated: &mut [F],
    running: &mut [f32],
    from: u32,
    until: u32,
    steps: u32,
    batch: u32,
    hidden: u32,
    bound: f32,
    #[comptime] keep: Keep,
    #[comptime] kernel: Kernel,
    #[define(F)] _dtype: ElemType,
) {
    let form = comptime!(kernel.form);
    let rows = comptime!(form.rows);
    let blocks = comptime!(kernel.cell.blocks());
    // Rounded as the cells are when they are stored: what was clipped is found at its bound.
    let bound = f32::cast_from(F::cast_from(bound));
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
            let mut sums = Array::<f32>::new(comptime!(blocks * rows));
            recurrent::<F>(&mut sums, &tile, side, w_h, j, hidden, hidden, blocks, form);
            let p = peepholes_of::<F>(peephole, j, hidden, kernel.cell);
            #[unroll]
            for r in 0..rows {
                let b = row + r;
                if b < batch {
                    let at = b * hidden + j;
                    let gates = (place.t * batch + b) * blocks * hidden + j;
                    let c = running[at];
                    let mut unit =
                        Unit { i: 0.0f32, f: 0.0f32, g: 0.0f32, o: 0.0f32, c, h: 0.0f32 };
                    if (place.t as u32) < lengths[b] {
                        let a = sums_of::<F>(x, gates, &sums, hidden, r, kernel);
                        let stepped = step(&a, &p, c, bound, kernel.cell);
                        unit.i = stepped.i;
                        unit.f = stepped.f;
                        unit.g = stepped.g;
                        unit.o = stepped.o;
                        unit.c = stepped.c;
                        unit.h = stepped.h;
                        running[at] = stepped.c;
                    } else {
                        unit.h = f32::cast_from(states[place.before * state + at]);
                    }
                    states[place.after * state + at] = F::cast_from(unit.h);
                    if n + 1 == steps {
                        states[(steps + 1) * state + at] = F::cast_from(unit.c);
                    }
                    if comptime!(keep == Keep::Activations) {
                        cells[place.after * state + at] = F::cast_from(unit.c);
                        let kept = Blocks { i: unit.i, f: unit.f, g: unit.g, o: unit.o };
                        write_blocks::<F>(activated, gates, &kept, hidden, kernel.cell);
                    }
                    if comptime!(form.route == Route::Loop) {
                        tile[other + r * hidden + j] = unit.h;
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

/// Both sides of the sums before the activations.
#[cube]
fn sums_of<F: Float>(
    x: &[F],
    gates: usize,
    sums: &Array<f32>,
    hidden: usize,
    #[comptime] r: usize,
    #[comptime] kernel: Kernel,
) -> Blocks {
    let rows = comptime!(kernel.form.rows);
    let blocks = comptime!(kernel.cell.blocks());
    let x = read_blocks::<F>(x, gates, hidden, kernel.cell);
    let mut a = Blocks {
        i: x.i,
        f: x.f,
        g: x.g + sums[comptime!((blocks - 2) * rows + r)],
        o: x.o + sums[comptime!((blocks - 1) * rows + r)],
    };
    if comptime!(kernel.cell.has_input()) {
        a.i += sums[r];
    }
    if comptime!(kernel.cell.has_forget()) {
        a.f += sums[comptime!((blocks - 3) * rows + r)];
    }
    a
}

/// The blocks of a unit whose first is at `gates`; those that a cell does not have are 0.
#[cube]
fn read_blocks<F: Float>(
    from: &[F],
    gates: usize,
    hidden: usize,
    #[comptime] cell: Cell,
) -> Blocks {
    let blocks = comptime!(cell.blocks());
    let mut a = Blocks {
        i: 0.0f32,
        f: 0.0f32,
        g: f32::cast_from(from[gates + comptime!(blocks - 2) * hidden]),
        o: f32::cast_from(from[gates + comptime!(blocks - 1) * hidden]),
    };
    if comptime!(cell.has_input()) {
        a.i = f32::cast_from(from[gates]);
    }
    if comptime!(cell.has_forget()) {
        a.f = f32::cast_from(from[gates + comptime!(blocks - 3) * hidden]);
    }
    a
}

/// Writes those that the cell has.
#[cube]
fn write_blocks<F: Float>(
    to: &mut [F],
    gates: usize,
    a: &Blocks,
    hidden: usize,
    #[comptime] cell: Cell,
) {
    let blocks = comptime!(cell.blocks());
    if comptime!(cell.has_input()) {
        to[gates] = F::cast_from(a.i);
    }
    if comptime!(cell.has_forget()) {
        to[gates + comptime!(blocks - 3) * hidden] = F::cast_from(a.f);
    }
    to[gates + comptime!(blocks - 2) * hidden] = F::cast_from(a.g);
    to[gates + comptime!(blocks - 1) * hidden] = F::cast_from(a.o);
}

/// The gradients of the sums of one unit, and of its cell before the step.
#[derive(CubeType, Clone, Copy)]
struct UnitGradients {
    a: Blocks,
    c: f32,
}

/// The gradients of a step, from those of its output and of its cell: the activated gates `s`, the
/// peepholes `p`, and the cell before and after.
#[cube]
fn step_backward(
    s: &Blocks,
    p: &Blocks,
    c: f32,
    c_new: f32,
    dh: f32,
    dc: f32,
    bound: f32,
    #[comptime] cell: Cell,
) -> UnitGradients {
    let mut shown = c_new;
    let mut dc_new = dc;
    if comptime!(cell.squashes()) {
        shown = c_new.tanh();
        dc_new += dh * s.o * through_tanh(shown);
    } else {
        dc_new += dh * s.o;
    }
    if comptime!(cell == Cell::Clipped) {
        let at_bound = c_new.abs() >= bound;
        if at_bound {
            dc_new = 0.0f32;
        }
    }
    let d_o = dh * shown * through_sigmoid(s.o);
    dc_new += d_o * p.o;
    let mut d_i = 0.0f32;
    let mut d_f = 0.0f32;
    let mut i = 1.0f32 - s.f;
    if comptime!(cell.has_input()) {
        i = s.i;
        d_i = dc_new * s.g * through_sigmoid(s.i);
        if comptime!(cell.has_forget()) {
            d_f = dc_new * c * through_sigmoid(s.f);
        }
    } else {
        d_f = dc_new * (c - s.g) * through_sigmoid(s.f);
    }
    let d_g = dc_new * i * through_tanh(s.g);
    let mut d_c = dc_new;
    if comptime!(cell.has_forget()) {
        d_c = dc_new * s.f;
    }
    d_c += d_i * p.i + d_f * p.f;
    UnitGradients { a: Blocks { i: d_i, f: d_f, g: d_g, o: d_o }, c: d_c }
}

/// Passes `from..until` of `T + 1`, from the last state to the first. Each brings `dh` through the
/// product of the step that was left, then goes through the cell of the step before, of which there is
/// none in the last pass. Between two passes `dh` holds what reaches the state beside the product:
/// nothing, and everything at a padded step.
#[cube(launch)]
fn steps_backward<F: Float>(
    grad: &[F],
    w_h_t: &[F],
    peephole: &[F],
    lengths: &[u32],
    activated: &[F],
    cells: &[F],
    da: &mut [F],
    dh: &mut [f32],
    dc: &mut [f32],
    from: u32,
    until: u32,
    steps: u32,
    batch: u32,
    hidden: u32,
    bound: f32,
    #[comptime] kernel: Kernel,
    #[define(F)] _dtype: ElemType,
) {
    // Rounded as the cells are when they are stored: what was clipped is found at its bound.
    let bound = f32::cast_from(F::cast_from(bound));
    let form = comptime!(kernel.form);
    let rows = comptime!(form.rows);
    let (steps, batch, hidden) = (steps as usize, batch as usize, hidden as usize);
    let width = comptime!(kernel.cell.blocks()) * hidden;
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
        width,
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
            let p = peepholes_of::<F>(peephole, j, hidden, kernel.cell);
            #[unroll]
            for r in 0..rows {
                let b = row + r;
                if b < batch {
                    let at = b * hidden + j;
                    let mut d_h = f32::cast_from(grad[between * state + at]);
                    let mut d_c = f32::cast_from(grad[(steps + 1) * state + at]);
                    if pass > 0 {
                        d_h += sums[r] + dh[at];
                        d_c = dc[at];
                    }
                    let mut d_a = no_blocks();
                    if pass < steps {
                        let place = place_of(steps - 1 - pass, steps, kernel.direction);
                        let gates = (place.t * batch + b) * width + j;
                        if (place.t as u32) < lengths[b] {
                            let s = read_blocks::<F>(activated, gates, hidden, kernel.cell);
                            let c = f32::cast_from(cells[place.before * state + at]);
                            let c_new = f32::cast_from(cells[place.after * state + at]);
                            let d = step_backward(&s, &p, c, c_new, d_h, d_c, bound, kernel.cell);
                            set(&mut d_a, &d.a);
                            d_c = d.c;
                            d_h = 0.0f32;
                        }
                        write_blocks::<F>(da, gates, &d_a, hidden, kernel.cell);
                    }
                    dh[at] = d_h;
                    dc[at] = d_c;
                    if comptime!(form.route == Route::Loop) {
                        write_blocks::<f32>(
                            &mut tile,
                            other + r * width + j,
                            &d_a,
                            hidden,
                            kernel.cell,
                        );
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
