//! The equations are those of [`layer_norm_lstm_sequence`](crate::layer_norm_lstm_sequence).
//!
//! A row can be normalised when all of its product is there, so each step has two phases: the product of
//! some columns for all rows, then everything else for some rows. What a row contributes to the gradients
//! of `γ` and `β` is summed over its steps while it is at hand, and over the rows at the end: in the
//! same order whoever computes it.

use std::ops::Range;

use burn::backend::{Flex, tensor::FloatTensor};
use pulp::{Simd, WithSimd};

use super::{
    Elements, Keep, Sizes, finished,
    layer_norm::{Moments, moments, sum_of, sum_of_rows},
    panels::{Order, Panels, Turn},
    product::{self, Starts, Target, Write},
    rows::{self, Share, Steps},
    simd::{Isa, Lanes, lanes, prefetch},
    tensor,
    threads::Shared,
    wide::{self, Wide},
};
use crate::{Step, ops::Course};

/// `γ` and `β`.
#[derive(Clone, Copy)]
struct Norm<'a, F> {
    gamma: &'a [F],
    beta: &'a [F],
}

impl<'a, F> Norm<'a, F> {
    /// Out of `γ` over `β`.
    fn of(rows: &'a [F]) -> Self {
        let (gamma, beta) = rows.split_at(rows.len() / 2);
        Self { gamma, beta }
    }
}

/// What a forward pass leaves: states and final cell, and for the backward pass activated gates, cells,
/// normalised products and scales.
pub(super) struct Passed {
    pub(super) states: FloatTensor<Flex>,
    pub(super) saved: Option<Saved>,
}

/// Activated gates, cells, normalised products, scales.
pub(super) type Saved =
    (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>);

/// Numbers of a row and a step that are kept as scales.
const SCALES: usize = 3;

pub(super) fn forward<F: Wide>(
    x: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    (norm_h, norm_c): (&FloatTensor<Flex>, &FloatTensor<Flex>),
    (h0, c0): (&FloatTensor<Flex>, &FloatTensor<Flex>),
    epsilon: f64,
    course: &Course,
    keep: Keep,
) -> Passed {
    let isa = Isa::detected();
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let width = 4 * hidden;
    let x = Elements::<F>::of(x);
    let (norm_h, norm_c) = (Elements::<F>::of(norm_h), Elements::<F>::of(norm_c));
    let (h0, c0) = (Elements::<F>::of(h0), Elements::<F>::of(c0));
    let w_h = Panels::of(w_h, Turn::None, Order::Columns, isa);

    // One more state than the recurrence has: the final cell goes out with the hidden states.
    let mut states = Vec::with_capacity((steps + 2) * sizes.state());
    let (kept, kept_states) = match keep {
        Keep::Activations => (steps, steps + 1),
        Keep::Nothing => (1, 1),
    };
    let mut cells = Vec::with_capacity(kept_states * sizes.state());
    let mut products = Vec::with_capacity(kept * batch * width);
    let gates = if keep == Keep::Activations { kept * batch * width } else { 0 };
    let mut activated = Vec::with_capacity(gates);
    let mut scales = Vec::with_capacity(kept * batch * SCALES);
    let products_of = Shared::unwritten(&mut products);
    let pass = Forward {
        course,
        sizes,
        x: x.get(),
        w_h: &w_h,
        norm_h: Norm::of(norm_h.get()),
        norm_c: Norm::of(norm_c.get()),
        epsilon: F::of_double(epsilon),
        keep,
        states: Shared::unwritten(&mut states),
        cells: Shared::unwritten(&mut cells),
        products: products_of,
        activated: match keep {
            Keep::Activations => Shared::unwritten(&mut activated),
            Keep::Nothing => products_of,
        },
        scales: Shared::unwritten(&mut scales),
    };
    pass.begin(h0.get(), c0.get());
    rows::each_share(course, hidden * width, w_h.count(), |share, member| {
        isa.run(ForwardShare(&pass, share, member));
    });
    pass.end();
    // Every row is in one share, and a share writes all steps of its rows.
    let states = tensor(finished(states, (steps + 2) * sizes.state()), &[steps + 2, batch, hidden]);
    let saved = (keep == Keep::Activations).then(|| {
        (
            tensor(finished(activated, steps * batch * width), &[steps, batch, width]),
            tensor(finished(cells, (steps + 1) * sizes.state()), &[steps + 1, batch, hidden]),
            tensor(finished(products, steps * batch * width), &[steps, batch, width]),
            tensor(finished(scales, steps * batch * SCALES), &[steps, batch, SCALES]),
        )
    });
    Passed { states, saved }
}

struct Forward<'a, F> {
    course: &'a Course,
    sizes: Sizes,
    x: &'a [F],
    w_h: &'a Panels<F>,
    norm_h: Norm<'a, F>,
    norm_c: Norm<'a, F>,
    epsilon: F,
    keep: Keep,
    states: Shared<F>,
    /// Of one state if they are not kept.
    cells: Shared<F>,
    /// `h · W_h`, then the same normalised. Of one step if they are not kept.
    products: Shared<F>,
    /// The memory of the products if they are not kept: a gate takes the place of what it is made of.
    activated: Shared<F>,
    scales: Shared<F>,
}

/// The forward pass of some rows, as one of the team.
struct ForwardShare<'a, F>(&'a Forward<'a, F>, &'a Share, usize);

impl<F: Wide> WithSimd for ForwardShare<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(pass, share, member) = self;
        let steps = pass.sizes.steps;
        for (phase, part) in share.team.walk(member, 2 * steps) {
            let step = pass.course.direction.step(phase / 2, steps);
            let (running, resting) = share.at(step.t);
            if phase % 2 == 0 {
                pass.product(simd, step, running, share.team.cut(part, pass.w_h.count()));
                continue;
            }
            let own = &running[share.team.cut(part, running.len())];
            for (n, row) in own.iter().enumerate() {
                pass.row(simd, step, [*row, *own.get(n + 1).unwrap_or(row)]);
            }
            for row in &resting[share.team.cut(part, resting.len())] {
                pass.rest(step, *row);
            }
        }
    }
}

impl<F: Wide> Forward<'_, F> {
    /// Where the cell of `row` at state `n` is.
    #[inline(always)]
    fn cell(&self, n: usize, row: usize) -> usize {
        self.sizes.at(if self.keep == Keep::Activations { n } else { 0 }, row)
    }

    /// The place of a row at step `t` among those that are kept.
    #[inline(always)]
    fn kept(&self, t: usize, row: usize) -> usize {
        self.sizes.row(if self.keep == Keep::Activations { t } else { 0 }, row)
    }

    /// Writes the states before the first step.
    #[expect(unsafe_code, reason = "memory that is shared between threads")]
    fn begin(&self, h0: &[F], c0: &[F]) {
        let (first, state) = (self.course.direction.first(self.sizes.steps), self.sizes.state());
        // SAFETY: nothing else runs yet.
        unsafe {
            rows::start(self.states, self.sizes, self.course, h0);
            self.cells.slice_mut(self.cell(first, 0), state).copy_from_slice(c0);
        }
    }

    /// Writes the final cell.
    #[expect(unsafe_code, reason = "memory that is shared between threads")]
    fn end(&self) {
        let Sizes { steps, .. } = self.sizes;
        let (last, state) = (self.course.direction.last(steps), self.sizes.state());
        // SAFETY: all cells are written and nothing else runs any more; the final cell has its own
        // place behind the states.
        unsafe {
            let c = self.cells.slice(self.cell(last, 0), state);
            self.states.slice_mut(self.sizes.at(steps + 1, 0), state).copy_from_slice(c);
        }
    }

    /// A row at a step that is padding: it goes on as it is.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn rest(&self, step: Step, row: usize) {
        let hidden = self.sizes.hidden;
        // SAFETY: the state before the step is written; the row after it is this call's own.
        unsafe {
            rows::carry(self.states, self.sizes, step, 0..hidden, row);
            if self.keep == Keep::Activations {
                rows::carry(self.cells, self.sizes, step, 0..hidden, row);
                let at = self.sizes.row(step.t, row);
                self.products.slice_mut(at * 4 * hidden, 4 * hidden).fill(F::zero());
                self.activated.slice_mut(at * 4 * hidden, 4 * hidden).fill(F::zero());
                self.scales.slice_mut(at * SCALES, SCALES).fill(F::zero());
            }
        }
    }

    /// Some columns of `h · W_h`, for the rows that run.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn product<S: Simd>(&self, simd: S, step: Step, running: &[usize], panels: Range<usize>) {
        let Sizes { hidden, .. } = self.sizes;
        let h = Steps { memory: self.states, width: hidden, sizes: self.sizes };
        // SAFETY: the states before the step were written in the phase before; these columns of the
        // products are this call's own.
        unsafe {
            let w = (self.w_h, panels);
            rows::times(
                simd,
                (h, step.before),
                running,
                w,
                0..hidden,
                |_, _| {},
                |row, at, sum| {
                    let to = self.kept(step.t, row) * 4 * hidden + at;
                    sum.store(self.products.slice_mut(to, lanes::<S, F>().min(4 * hidden - at)));
                },
            );
        }
    }

    /// Everything but the product, for one row. What is read for the next row is asked for meanwhile.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn row<S: Simd>(&self, simd: S, step: Step, [row, next]: [usize; 2]) {
        let hidden = self.sizes.hidden;
        let at = self.kept(step.t, row) * 4 * hidden;
        // SAFETY: the product was written in the phase before, and the row is this call's own.
        let of_product = unsafe {
            let product = self.products.slice(at, 4 * hidden);
            moments(simd, product, sum_of(simd, product, |a| a), self.epsilon)
        };
        let sum = self.gates(simd, step, [row, next], of_product);
        let after = self.cell(step.after, row);
        // SAFETY: the cell has just been written, and the row is this call's own.
        let cell = unsafe { self.cells.slice(after, hidden) };
        let of_cell = moments(simd, cell, sum, self.epsilon);
        let (mean, scale) = (Lanes::splat(simd, of_cell.mean), Lanes::splat(simd, of_cell.scale));
        for units in registers::<S, F>(hidden) {
            let normalised = (Lanes::load(simd, &cell[units.clone()]) - mean) * scale;
            let gamma = Lanes::load(simd, &self.norm_c.gamma[units.clone()]);
            let beta = Lanes::load(simd, &self.norm_c.beta[units.clone()]);
            let shown = normalised.times_plus(gamma, beta).tanh();
            // SAFETY: the gates have just been written; these units of this row are this call's own.
            unsafe {
                let o = self.activated.slice(at + 3 * hidden + units.start, units.len());
                let h = self.sizes.at(step.after, row) + units.start;
                (Lanes::load(simd, o) * shown).store(self.states.slice_mut(h, units.len()));
            }
        }
        if self.keep == Keep::Activations {
            let at = self.sizes.row(step.t, row) * SCALES;
            // SAFETY: the row is this call's own.
            let scales = unsafe { self.scales.slice_mut(at, SCALES) };
            scales.copy_from_slice(&[of_product.scale, of_cell.mean, of_cell.scale]);
        }
    }

    /// The gates and the cell of a row. Gives the sum of the cell.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn gates<S: Simd>(
        &self,
        simd: S,
        step: Step,
        [row, next]: [usize; 2],
        of_product: Moments<F>,
    ) -> F {
        let hidden = self.sizes.hidden;
        let (mean, scale) =
            (Lanes::splat(simd, of_product.mean), Lanes::splat(simd, of_product.scale));
        let (x, next) = (self.sizes.row(step.t, row), self.sizes.row(step.t, next));
        let (x, next) =
            (&self.x[x * 4 * hidden..][..4 * hidden], &self.x[next * 4 * hidden..][..4 * hidden]);
        let at = self.kept(step.t, row) * 4 * hidden;
        let (before, after) = (self.cell(step.before, row), self.cell(step.after, row));
        let mut sum = Lanes::splat(simd, F::zero());
        for units in registers::<S, F>(hidden) {
            let count = units.len();
            let mut blocks = [Lanes::splat(simd, F::zero()); 4];
            for (n, block) in blocks.iter_mut().enumerate() {
                let of = n * hidden + units.start;
                prefetch(&next[of..][..count]);
                let gamma = Lanes::load(simd, &self.norm_h.gamma[of..][..count]);
                let beta = Lanes::load(simd, &self.norm_h.beta[of..][..count]);
                let x = Lanes::load(simd, &x[of..][..count]);
                // SAFETY: these units of this row are this call's own.
                let product = unsafe { self.products.slice_mut(at + of, count) };
                let normalised = (Lanes::load(simd, product) - mean) * scale;
                normalised.store(product);
                *block = normalised.times_plus(gamma, beta + x);
            }
            let [i, f, g, o] = blocks;
            let (i, f, g, o) = (i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid());
            // SAFETY: as above; where the gates take the place of the products, those have been read.
            unsafe {
                let c = Lanes::load(simd, self.cells.slice(before + units.start, count));
                let cell = f * c + i * g;
                sum = sum + cell;
                cell.store(self.cells.slice_mut(after + units.start, count));
                for (block, gate) in [i, f, g, o].into_iter().enumerate() {
                    let to = at + block * hidden + units.start;
                    gate.store(self.activated.slice_mut(to, count));
                }
            }
        }
        sum.total()
    }
}

/// `0..hidden`, a register at a time.
#[inline(always)]
fn registers<S: pulp::Simd, F: Wide>(hidden: usize) -> impl Iterator<Item = Range<usize>> {
    let register = lanes::<S, F>();
    (0..hidden.div_ceil(register)).map(move |n| n * register..hidden.min((n + 1) * register))
}

/// By the input, `w_h`, both norms, `h0` and `c0`.
type Gradients = (
    FloatTensor<Flex>,
    FloatTensor<Flex>,
    FloatTensor<Flex>,
    FloatTensor<Flex>,
    FloatTensor<Flex>,
    FloatTensor<Flex>,
);

pub(super) fn backward<F: Wide>(
    grad: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    (norm_h, norm_c): (&FloatTensor<Flex>, &FloatTensor<Flex>),
    states: &FloatTensor<Flex>,
    (activated, cells, normalised, scales): Saved,
    course: &Course,
) -> Gradients {
    let isa = Isa::detected();
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let width = 4 * hidden;
    let (norm_h, norm_c) = (Elements::<F>::of(norm_h), Elements::<F>::of(norm_c));
    let (grad, states) = (Elements::<F>::of(grad), Elements::<F>::of(states));
    let (cells, scales) = (Elements::<F>::of(&cells), Elements::<F>::of(&scales));
    let w_h_t = Panels::of(w_h, Turn::Transposed, Order::Columns, isa);

    let (mut da, mut du) = (wide::own::<F>(activated), wide::own::<F>(normalised));
    let mut dh = grad.get()[sizes.range(course.direction.last(steps), 1)].to_vec();
    let mut dc = grad.get()[sizes.range(steps + 1, 1)].to_vec();
    let mut sums = vec![F::zero(); batch * SUMS * hidden];
    let pass = Backward {
        course,
        sizes,
        grad: grad.get(),
        gamma_h: Norm::of(norm_h.get()).gamma,
        norm_c: Norm::of(norm_c.get()),
        cells: cells.get(),
        scales: scales.get(),
        w_h_t: &w_h_t,
        da: Shared::new(da.storage_mut()),
        du: Shared::new(du.storage_mut()),
        dh: Shared::new(&mut dh),
        dc: Shared::new(&mut dc),
        sums: Shared::new(&mut sums),
    };
    rows::each_share(course, hidden * width, w_h_t.count(), |share, member| {
        isa.run(BackwardShare(&pass, share, member));
    });

    let (h_starts, u_starts) = rows::starts_of_steps(course, hidden, width);
    let mut dw = Vec::with_capacity(hidden * width);
    product::outer(
        isa,
        (Starts { elements: states.get(), starts: &h_starts }, hidden),
        (Starts { elements: du.storage(), starts: &u_starts }, width),
        Target {
            elements: Shared::unwritten(&mut dw),
            stride: width,
            sums: None,
            write: Write::Replace,
        },
    );
    // The product writes all of it.
    let dw = finished(dw, hidden * width);
    let mut d_norm_h = sum_of_rows(&sums, SUMS * hidden);
    let d_norm_c = d_norm_h.split_off(2 * width);
    (
        da,
        tensor(dw, &[hidden, width]),
        tensor(d_norm_h, &[2, width]),
        tensor(d_norm_c, &[2, hidden]),
        tensor(dh, &[batch, hidden]),
        tensor(dc, &[batch, hidden]),
    )
}

/// Sums of a row, for each unit: the gradients of `γ_h` and `β_h`, four each, then those of `γ_c` and
/// `β_c`.
const SUMS: usize = 10;

struct Backward<'a, F> {
    course: &'a Course,
    sizes: Sizes,
    grad: &'a [F],
    gamma_h: &'a [F],
    norm_c: Norm<'a, F>,
    cells: &'a [F],
    scales: &'a [F],
    w_h_t: &'a Panels<F>,
    /// The activated gates, and after a step the gradients of what they were before their activations.
    da: Shared<F>,
    /// The normalised products, and after a step the gradients of the products.
    du: Shared<F>,
    dh: Shared<F>,
    dc: Shared<F>,
    sums: Shared<F>,
}

/// The backward pass of some rows, as one of the team.
struct BackwardShare<'a, F>(&'a Backward<'a, F>, &'a Share, usize);

impl<F: Wide> WithSimd for BackwardShare<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(pass, share, member) = self;
        let steps = pass.sizes.steps;
        for (phase, part) in share.team.walk(member, 2 * steps) {
            let step = pass.course.direction.step(steps - 1 - phase / 2, steps);
            if phase % 2 == 1 {
                let panels = share.team.cut(part, pass.w_h_t.count());
                pass.product(simd, step, share.at(step.t), panels);
                continue;
            }
            let running = share.at(step.t).0;
            let own = &running[share.team.cut(part, running.len())];
            for (n, row) in own.iter().enumerate() {
                pass.row(simd, step, [*row, *own.get(n + 1).unwrap_or(row)]);
            }
        }
    }
}

impl<F: Wide> Backward<'_, F> {
    /// `dh = du · W_hᵀ` and what arrives from outside, for the units of some panels.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn product<S: Simd>(
        &self,
        simd: S,
        step: Step,
        (running, resting): (&[usize], &[usize]),
        panels: Range<usize>,
    ) {
        let hidden = self.sizes.hidden;
        let grad = |row: usize| &self.grad[self.sizes.at(step.before, row)..][..hidden];
        let du = Steps { memory: self.du, width: 4 * hidden, sizes: self.sizes };
        let soon = |row: usize, units: Range<usize>| prefetch(&grad(row)[units]);
        // SAFETY: these rows of `du` were written in the phase before; these units of `dh` are this
        // call's own.
        unsafe {
            let w = (self.w_h_t, panels.clone());
            rows::times(simd, (du, step.t), running, w, 0..4 * hidden, soon, |row, at, sum| {
                let grad = &grad(row)[at..];
                let dh = self.dh.slice_mut(row * hidden + at, lanes::<S, F>().min(grad.len()));
                (sum + Lanes::load(simd, grad)).store(dh);
            });
        }
        let units = self.w_h_t.columns_of(panels);
        for row in resting {
            // SAFETY: as above; a step that is padding passes on what arrives.
            unsafe { rows::pass_on(self.dh, self.sizes, units.clone(), *row, grad(*row)) };
        }
    }

    /// The gradients of one row's products and of its cell before the step.
    #[inline(always)]
    fn row<S: Simd>(&self, simd: S, step: Step, [row, next]: [usize; 2]) {
        let through_cell = self.shown(simd, step, row);
        let through_product = self.gates(simd, step, [row, next], through_cell);
        self.through_product(simd, step, row, through_product);
    }

    /// From `dh` to the output gate and, before the cell's norm, `γ_c ⊙ dy`, which takes the place of
    /// `dh`.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn shown<S: Simd>(&self, simd: S, step: Step, row: usize) -> Means<S, F> {
        let hidden = self.sizes.hidden;
        let at = self.sizes.row(step.t, row) * 4 * hidden + 3 * hidden;
        let cell = &self.cells[self.sizes.at(step.after, row)..][..hidden];
        let [_, mean, scale] = self.scales_of(simd, step, row);
        let zero = Lanes::splat(simd, F::zero());
        let (mut sum, mut along) = (zero, zero);
        for units in registers::<S, F>(hidden) {
            let gamma = Lanes::load(simd, &self.norm_c.gamma[units.clone()]);
            let beta = Lanes::load(simd, &self.norm_c.beta[units.clone()]);
            let normalised = (Lanes::load(simd, &cell[units.clone()]) - mean) * scale;
            let tanh = normalised.times_plus(gamma, beta).tanh();
            // SAFETY: a row is one call's own.
            unsafe {
                let gate = self.da.slice_mut(at + units.start, units.len());
                let dh = self.dh.slice_mut(row * hidden + units.start, units.len());
                let (o, arrives) = (Lanes::load(simd, gate), Lanes::load(simd, dh));
                (arrives * tanh * o.through_sigmoid()).store(gate);
                let dy = arrives * o * tanh.through_tanh();
                self.add(simd, [row, 8 * hidden + units.start], units.len(), dy * normalised);
                self.add(simd, [row, 9 * hidden + units.start], units.len(), dy);
                let dy = dy * gamma;
                dy.store(dh);
                sum = sum + dy;
                along = dy.times_plus(normalised, along);
            }
        }
        Means::of(simd, sum, along, hidden)
    }

    /// From `γ_c ⊙ dy` to the cell before the step and the gates before their activations.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn gates<S: Simd>(
        &self,
        simd: S,
        step: Step,
        [row, next]: [usize; 2],
        means: Means<S, F>,
    ) -> Means<S, F> {
        let hidden = self.sizes.hidden;
        let at = self.sizes.row(step.t, row) * 4 * hidden;
        let (c, c_new) = (self.sizes.at(step.before, row), self.sizes.at(step.after, row));
        let next_c = self.sizes.at(step.before, next);
        let [_, mean, scale] = self.scales_of(simd, step, row);
        let zero = Lanes::splat(simd, F::zero());
        let (mut sums, mut alongs) = ([zero; 4], [zero; 4]);
        for units in registers::<S, F>(hidden) {
            let count = units.len();
            prefetch(&self.cells[next_c + units.start..][..count]);
            let c = Lanes::load(simd, &self.cells[c + units.start..][..count]);
            let c_new = Lanes::load(simd, &self.cells[c_new + units.start..][..count]);
            let normalised = (c_new - mean) * scale;
            // SAFETY: a row is one call's own.
            unsafe {
                let mut blocks = [zero; 4];
                for (n, block) in blocks.iter_mut().enumerate() {
                    let from = at + n * hidden + units.start;
                    *block = Lanes::load(simd, self.da.slice(from, count));
                }
                let [i, f, g, d_o] = blocks;
                let dy = Lanes::load(simd, self.dh.slice(row * hidden + units.start, count));
                let dc = self.dc.slice_mut(row * hidden + units.start, count);
                let d_cell = Lanes::load(simd, dc) + means.through(dy, normalised, scale);
                (d_cell * f).store(dc);
                let d_i = d_cell * g * i.through_sigmoid();
                let d_f = d_cell * c * f.through_sigmoid();
                let d_g = d_cell * i * g.through_tanh();
                for (block, d) in [d_i, d_f, d_g, d_o].into_iter().enumerate() {
                    let unit = block * hidden + units.start;
                    d.store(self.da.slice_mut(at + unit, count));
                    let normalised = Lanes::load(simd, self.du.slice(at + unit, count));
                    self.add(simd, [row, unit], count, d * normalised);
                    self.add(simd, [row, 4 * hidden + unit], count, d);
                    let d = d * Lanes::load(simd, &self.gamma_h[unit..][..count]);
                    sums[block] = sums[block] + d;
                    alongs[block] = d.times_plus(normalised, alongs[block]);
                }
            }
        }
        let [a, b, c, d] = sums;
        let sum = (a + b) + (c + d);
        let [a, b, c, d] = alongs;
        Means::of(simd, sum, (a + b) + (c + d), 4 * hidden)
    }

    /// From the gates to the product, whose gradient takes the place of what it was normalised to.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn through_product<S: Simd>(&self, simd: S, step: Step, row: usize, means: Means<S, F>) {
        let width = 4 * self.sizes.hidden;
        let at = self.sizes.row(step.t, row) * width;
        let [scale, _, _] = self.scales_of(simd, step, row);
        for units in registers::<S, F>(width) {
            let gamma = Lanes::load(simd, &self.gamma_h[units.clone()]);
            // SAFETY: a row is one call's own.
            unsafe {
                let da = Lanes::load(simd, self.da.slice(at + units.start, units.len()));
                let du = self.du.slice_mut(at + units.start, units.len());
                means.through(da * gamma, Lanes::load(simd, du), scale).store(du);
            }
        }
    }

    #[inline(always)]
    fn scales_of<S: Simd>(&self, simd: S, step: Step, row: usize) -> [Lanes<S, F>; SCALES] {
        let scales = &self.scales[self.sizes.row(step.t, row) * SCALES..][..SCALES];
        std::array::from_fn(|n| Lanes::splat(simd, scales[n]))
    }

    /// Adds to some of the sums of a row.
    ///
    /// # Safety
    ///
    /// The row is the caller's own.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    unsafe fn add<S: Simd>(&self, simd: S, [row, at]: [usize; 2], count: usize, a: Lanes<S, F>) {
        // SAFETY: the caller's promise.
        let sum = unsafe { self.sums.slice_mut(row * SUMS * self.sizes.hidden + at, count) };
        (Lanes::load(simd, sum) + a).store(sum);
    }
}

/// The mean of a gradient behind a norm, and of its product with what was normalised.
#[derive(Clone, Copy)]
struct Means<S: Simd, F: Wide> {
    mean: Lanes<S, F>,
    along: Lanes<S, F>,
}

impl<S: Simd, F: Wide> Means<S, F> {
    #[inline(always)]
    fn of(simd: S, sum: Lanes<S, F>, along: Lanes<S, F>, width: usize) -> Self {
        let share = F::one() / F::of_double(width as f64);
        let (sum, along) = (sum.total() * share, along.total() * share);
        Self { mean: Lanes::splat(simd, sum), along: Lanes::splat(simd, along) }
    }

    /// The gradient before the norm.
    #[inline(always)]
    fn through(
        self,
        grad: Lanes<S, F>,
        normalised: Lanes<S, F>,
        scale: Lanes<S, F>,
    ) -> Lanes<S, F> {
        (grad - self.mean - normalised * self.along) * scale
    }
}
