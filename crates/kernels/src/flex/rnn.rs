//! Forward: `h' = φ(x_t + h · W_h)`. Backward: `da = dh' ⊙ φ'`, `dh = da · W_hᵀ`.

use std::ops::Range;

use burn::backend::{Flex, tensor::FloatTensor};
use pulp::{Simd, WithSimd};

use super::{
    Elements, Real, Sizes, finished,
    panels::{Order, Panels, Turn},
    product::{self, Starts, Target, Write},
    rows::{self, Share, Steps},
    simd::{Isa, Lanes, lanes, prefetch},
    tensor,
    threads::Shared,
    tile,
};
use crate::{Step, ops::Course, rnn::Activation};

pub(super) fn forward<F: Real>(
    x: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    h0: &FloatTensor<Flex>,
    activation: Activation,
    course: &Course,
) -> FloatTensor<Flex> {
    let isa = Isa::detected();
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let (x, h0) = (Elements::<F>::of(x), Elements::<F>::of(h0));
    let w_h = Panels::of(w_h, Turn::None, Order::Columns, isa);
    let mut states = Vec::with_capacity((steps + 1) * sizes.state());
    let pass = Forward {
        activation,
        course,
        sizes,
        x: x.get(),
        w_h: &w_h,
        states: Shared::unwritten(&mut states),
    };
    pass.begin(h0.get());
    rows::each_share(course, hidden * hidden, w_h.count(), |share, member| {
        isa.run(ForwardShare(&pass, share, member));
    });
    // Every row is in one share, and a share writes all states of its rows.
    let states = finished(states, (steps + 1) * sizes.state());
    tensor(states, &[steps + 1, batch, hidden])
}

struct Forward<'a, F> {
    activation: Activation,
    course: &'a Course,
    sizes: Sizes,
    x: &'a [F],
    w_h: &'a Panels<F>,
    states: Shared<F>,
}

/// The forward pass of some rows, as one of the team.
struct ForwardShare<'a, F>(&'a Forward<'a, F>, &'a Share, usize);

impl<F: Real> WithSimd for ForwardShare<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(pass, share, member) = self;
        let steps = pass.sizes.steps;
        for (phase, part) in share.team.walk(member, steps) {
            let step = pass.course.direction.step(phase, steps);
            let (running, resting) = share.at(step.t);
            let panels = share.team.cut(part, pass.w_h.count());
            for n in panels.clone() {
                pass.panel(simd, step, n, running);
            }
            let units = pass.w_h.columns_of(panels);
            for row in resting {
                pass.rest(step, units.clone(), *row);
            }
        }
    }
}

impl<F: Real> Forward<'_, F> {
    /// Writes the states before the first step.
    #[expect(unsafe_code, reason = "memory that is shared between threads")]
    fn begin(&self, h0: &[F]) {
        // SAFETY: nothing else runs yet.
        unsafe { rows::start(self.states, self.sizes, self.course, h0) };
    }

    /// Some units at a step that is padding: they go on as they are.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn rest(&self, step: Step, units: Range<usize>, row: usize) {
        // SAFETY: the state before the step is written; these units after it are this call's own.
        unsafe { rows::carry(self.states, self.sizes, step, units, row) };
    }

    /// The units of one panel at one step, for the rows that run.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn panel<S: Simd>(&self, simd: S, step: Step, n: usize, running: &[usize]) {
        let (panel, units) = (self.w_h.get(n), self.w_h.columns(n));
        for piece in tile::pieces::<S>(running.len(), panel.width) {
            let rows = &running[piece];
            for row in rows {
                let x = self.sizes.row(step.t, *row) * self.sizes.hidden + units.start;
                prefetch(&self.x[x..][..units.len()]);
            }
            let mut sums = tile::no_sums::<S, F>(simd);
            // SAFETY: the states before the step are written and nobody writes them any more; each row
            // has as many elements as the panel has rows.
            unsafe {
                let h = rows::states(self.states, self.sizes, step.before, rows);
                tile::multiply(simd, h, panel, &mut sums);
            }
            for (row, sums) in rows.iter().zip(&sums) {
                let x = &self.x[self.sizes.row(step.t, *row) * self.sizes.hidden + units.start..];
                let at = self.sizes.at(step.after, *row) + units.start;
                // SAFETY: these units of this row are this call's own.
                let h = unsafe { self.states.slice_mut(at, units.len()) };
                let x = x[..units.len()].chunks(lanes::<S, F>());
                for (w, (h, x)) in h.chunks_mut(lanes::<S, F>()).zip(x).enumerate() {
                    let a = Lanes::load(simd, x) + Lanes::new(simd, sums[w]);
                    let activated = match self.activation {
                        Activation::Tanh => a.tanh(),
                        Activation::Relu => a.relu(),
                        Activation::Identity => a,
                    };
                    activated.store(h);
                }
            }
        }
    }
}

pub(super) fn backward<F: Real>(
    grad: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    states: &FloatTensor<Flex>,
    activation: Activation,
    course: &Course,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let isa = Isa::detected();
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let (grad, states) = (Elements::<F>::of(grad), Elements::<F>::of(states));
    let w_h_t = Panels::of(w_h, Turn::Transposed, Order::Columns, isa);
    let mut da = Vec::with_capacity(steps * sizes.state());
    let mut dh = grad.get()[sizes.range(course.direction.last(steps), 1)].to_vec();
    let pass = Backward {
        activation,
        course,
        sizes,
        grad: grad.get(),
        states: states.get(),
        w_h_t: &w_h_t,
        da: Shared::unwritten(&mut da),
        dh: Shared::new(&mut dh),
    };
    rows::each_share(course, hidden * hidden, w_h_t.count(), |share, member| {
        isa.run(BackwardShare(&pass, share, member));
    });
    // Every row is in one share, and a share writes all steps of its rows.
    let da = finished(da, steps * sizes.state());

    let (h_starts, a_starts) = rows::starts_of_steps(course, hidden, hidden);
    let mut dw = Vec::with_capacity(hidden * hidden);
    product::outer(
        isa,
        (Starts { elements: states.get(), starts: &h_starts }, hidden),
        (Starts { elements: &da, starts: &a_starts }, hidden),
        Target {
            elements: Shared::unwritten(&mut dw),
            stride: hidden,
            sums: None,
            write: Write::Replace,
        },
    );
    // The product writes all of it.
    let dw = finished(dw, hidden * hidden);
    (
        tensor(da, &[steps, batch, hidden]),
        tensor(dw, &[hidden, hidden]),
        tensor(dh, &[batch, hidden]),
    )
}

struct Backward<'a, F> {
    activation: Activation,
    course: &'a Course,
    sizes: Sizes,
    grad: &'a [F],
    states: &'a [F],
    w_h_t: &'a Panels<F>,
    da: Shared<F>,
    dh: Shared<F>,
}

/// The backward pass of some rows, as one of the team.
struct BackwardShare<'a, F>(&'a Backward<'a, F>, &'a Share, usize);

impl<F: Real> WithSimd for BackwardShare<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(pass, share, member) = self;
        let steps = pass.sizes.steps;
        let step = |phase: usize| pass.course.direction.step(steps - 1 - phase, steps);
        // The product of a step needs the gradients of all units, so it waits for the next phase; those
        // of a step need no more than the product for the same units.
        for (phase, part) in share.team.walk(member, steps + 1) {
            let panels = share.team.cut(part, pass.w_h_t.count());
            if phase > 0 {
                pass.product(simd, step(phase - 1), share, panels.clone());
            }
            if phase < steps {
                let step = step(phase);
                for row in share.at(step.t).0 {
                    pass.pointwise(simd, step, *row, pass.w_h_t.columns_of(panels.clone()));
                }
            }
        }
    }
}

impl<F: Real> Backward<'_, F> {
    /// `dh = da · W_hᵀ` and what arrives from outside, for the units of some panels.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn product<S: Simd>(&self, simd: S, step: Step, share: &Share, panels: Range<usize>) {
        let hidden = self.sizes.hidden;
        let (running, resting) = share.at(step.t);
        let grad = |row: usize| &self.grad[self.sizes.at(step.before, row)..][..hidden];
        let da = Steps { memory: self.da, width: hidden, sizes: self.sizes };
        let soon = |row: usize, units: Range<usize>| prefetch(&grad(row)[units]);
        // SAFETY: these rows of `da` were written in the phase before; these units of `dh` are this
        // call's own.
        unsafe {
            let w = (self.w_h_t, panels.clone());
            rows::times(simd, (da, step.t), running, w, 0..hidden, soon, |row, at, sum| {
                let grad = &grad(row)[at..];
                let dh = self.dh.slice_mut(row * hidden + at, lanes::<S, F>().min(grad.len()));
                (sum + Lanes::load(simd, grad)).store(dh);
            });
        }
        let units = self.w_h_t.columns_of(panels);
        for row in resting {
            // SAFETY: as above; a step that is padding has no gradient and passes on what arrives.
            unsafe {
                let da = self.sizes.row(step.t, *row) * hidden + units.start;
                self.da.slice_mut(da, units.len()).fill(F::zero());
                rows::pass_on(self.dh, self.sizes, units.clone(), *row, grad(*row));
            }
        }
    }

    /// The gradients of some units in one row before their activation.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn pointwise<S: Simd>(&self, simd: S, step: Step, row: usize, units: Range<usize>) {
        let h = &self.states[self.sizes.at(step.after, row)..][units.clone()];
        // SAFETY: these units of this row are this call's own.
        let (da, dh) = unsafe {
            let da = self.sizes.row(step.t, row) * self.sizes.hidden + units.start;
            let dh = row * self.sizes.hidden + units.start;
            (self.da.slice_mut(da, units.len()), self.dh.slice(dh, units.len()))
        };
        let register = lanes::<S, F>();
        let known = h.chunks(register).zip(dh.chunks(register));
        for (da, (h, dh)) in da.chunks_mut(register).zip(known) {
            let (h, dh) = (Lanes::load(simd, h), Lanes::load(simd, dh));
            let gradient = match self.activation {
                Activation::Tanh => dh * h.through_tanh(),
                Activation::Relu => h.passes(dh),
                Activation::Identity => dh,
            };
            gradient.store(da);
        }
    }
}
