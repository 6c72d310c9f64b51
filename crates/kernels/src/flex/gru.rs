//! The equations are those of [`gru_sequence`](crate::gru_sequence), a register of units at a time.

use std::ops::Range;

use burn::backend::{Flex, tensor::FloatTensor};
use pulp::{Simd, WithSimd};

use super::{
    Elements, Keep, Real, Sizes, finished,
    panels::{Order, Panels, Turn},
    product::{self, Starts, Target, Write},
    rows::{self, Share, Steps},
    simd::{Isa, Lanes, lanes, prefetch},
    tensor,
    threads::Shared,
    tile,
};
use crate::{
    Step,
    gru::{Reset, Update},
    ops::Course,
};

/// How much of the old state the update gate keeps.
#[inline(always)]
fn kept<S: Simd, F: Real>(update: Update, z: Lanes<S, F>) -> Lanes<S, F> {
    match update {
        Update::Keeps => z,
        Update::Writes => z.complement(),
    }
}

/// The states, and the activated gates for the backward pass if they are saved.
pub(super) fn forward<F: Real>(
    x: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    b_h: &FloatTensor<Flex>,
    h0: &FloatTensor<Flex>,
    (reset, update): (Reset, Update),
    course: &Course,
    keep: Keep,
) -> (FloatTensor<Flex>, Option<FloatTensor<Flex>>) {
    let isa = Isa::detected();
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let (x, b_h, h0) = (Elements::<F>::of(x), Elements::<F>::of(b_h), Elements::<F>::of(h0));
    let count = match reset {
        Reset::AfterProduct => 3,
        Reset::BeforeProduct => 2,
    };
    let w_gates = Panels::of(w_h, Turn::None, Order::Blocks { count, of: 3 }, isa);
    let w_n = match reset {
        Reset::AfterProduct => None,
        Reset::BeforeProduct => Some(Panels::of(w_h, Turn::None, Order::LastBlock { of: 3 }, isa)),
    };

    let mut states = Vec::with_capacity((steps + 1) * sizes.state());
    let saves = keep == Keep::Activations;
    let gates = if saves { 4 * steps * sizes.state() } else { 4 * sizes.state() };
    let mut activated = Vec::with_capacity(gates);
    let pass = Forward {
        reset,
        update,
        course,
        sizes,
        x: x.get(),
        b_h: b_h.get(),
        w_gates: &w_gates,
        w_n: w_n.as_deref(),
        states: Shared::unwritten(&mut states),
        activated: Shared::unwritten(&mut activated),
        keep,
    };
    pass.begin(h0.get());
    let panels = w_n.as_ref().map_or(w_gates.count(), |w_n| w_n.count());
    rows::each_share(course, 3 * hidden * hidden, panels, |share, member| {
        isa.run(ForwardShare(&pass, share, member));
    });
    // Every row is in one share, and a share writes all steps of its rows.
    let states = tensor(finished(states, (steps + 1) * sizes.state()), &[steps + 1, batch, hidden]);
    let activated = saves.then(|| tensor(finished(activated, gates), &[steps, batch, 4 * hidden]));
    (states, activated)
}

struct Forward<'a, F> {
    reset: Reset,
    update: Update,
    course: &'a Course,
    sizes: Sizes,
    x: &'a [F],
    b_h: &'a [F],
    /// For all gates, or for `r` and `z` where `n` needs `r` first.
    w_gates: &'a Panels<F>,
    w_n: Option<&'a Panels<F>>,
    states: Shared<F>,
    /// `r`, `z`, `n` and what the reset gate acted on: of all steps if they are saved, else of one.
    activated: Shared<F>,
    keep: Keep,
}

/// The forward pass of some rows, as one of the team.
struct ForwardShare<'a, F>(&'a Forward<'a, F>, &'a Share, usize);

impl<F: Real> WithSimd for ForwardShare<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(pass, share, member) = self;
        let steps = pass.sizes.steps;
        // Where `n` needs all units of `r`, it waits for the next phase.
        let phases = if pass.w_n.is_some() { 2 } else { 1 };
        for (phase, part) in share.team.walk(member, phases * steps) {
            let step = pass.course.direction.step(phase / phases, steps);
            let (running, resting) = share.at(step.t);
            match pass.w_n {
                Some(w_n) if phase % phases == 1 => {
                    for n in share.team.cut(part, w_n.count()) {
                        pass.candidate(simd, step, (w_n, n), running);
                    }
                }
                _ => {
                    let panels = share.team.cut(part, pass.w_gates.count());
                    for n in panels.clone() {
                        pass.gates(simd, step, n, running);
                    }
                    let units = pass.w_gates.columns_of(panels);
                    for row in resting {
                        pass.rest(step, units.clone(), *row);
                    }
                }
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
        unsafe {
            rows::carry(self.states, self.sizes, step, units.clone(), row);
            for block in 0..4 {
                let at = self.at(step.t, row) + block * self.sizes.hidden + units.start;
                self.activated.slice_mut(at, units.len()).fill(F::zero());
            }
        }
    }

    /// Where the activated gates of a row start.
    #[inline(always)]
    fn at(&self, t: usize, row: usize) -> usize {
        self.sizes.row(if self.keep == Keep::Activations { t } else { 0 }, row)
            * 4
            * self.sizes.hidden
    }

    /// Some units of all gates, or of `r` and `z` and what they need to go on.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn gates<S: Simd>(&self, simd: S, step: Step, n: usize, running: &[usize]) {
        let hidden = self.sizes.hidden;
        let (panel, units) = (self.w_gates.get(n), self.w_gates.columns(n));
        let count = units.len();
        let bias = |block: usize| Lanes::load(simd, &self.b_h[block * hidden..][units.clone()]);
        let (b_r, b_z, b_n) = (bias(0), bias(1), bias(2));
        for piece in tile::pieces::<S>(running.len(), panel.width) {
            let rows = &running[piece];
            for row in rows {
                let x = self.sizes.row(step.t, *row) * 3 * hidden + units.start;
                (0..3).for_each(|block| prefetch(&self.x[x + block * hidden..][..count]));
            }
            let mut sums = tile::no_sums::<S, F>(simd);
            // SAFETY: the states before the step are written and nobody writes them any more; each row
            // has as many elements as the panel has rows.
            unsafe {
                let h = rows::states(self.states, self.sizes, step.before, rows);
                tile::multiply(simd, h, panel, &mut sums);
            }
            for (row, sums) in rows.iter().zip(&sums) {
                let x = &self.x[self.sizes.row(step.t, *row) * 3 * hidden..][..3 * hidden];
                let x_of = |block: usize| Lanes::load(simd, &x[block * hidden..][units.clone()]);
                let r = (x_of(0) + Lanes::new(simd, sums[0]) + b_r).sigmoid();
                let z = (x_of(1) + Lanes::new(simd, sums[1]) + b_z).sigmoid();
                let at = self.at(step.t, *row) + units.start;
                // SAFETY: these units of this row are this call's own.
                unsafe {
                    let before = self.sizes.at(step.before, *row) + units.start;
                    let h = Lanes::load(simd, self.states.slice(before, count));
                    let to = |block: usize| self.activated.slice_mut(at + block * hidden, count);
                    match self.reset {
                        Reset::AfterProduct => {
                            let acted = Lanes::new(simd, sums[2]) + b_n;
                            let n = (x_of(2) + r * acted).tanh();
                            let keep = kept(self.update, z);
                            let after = self.sizes.at(step.after, *row) + units.start;
                            let h_new = keep.complement() * n + keep * h;
                            h_new.store(self.states.slice_mut(after, count));
                            if self.keep == Keep::Activations {
                                r.store(to(0));
                                z.store(to(1));
                                n.store(to(2));
                                acted.store(to(3));
                            }
                        }
                        Reset::BeforeProduct => {
                            r.store(to(0));
                            z.store(to(1));
                            (r * h).store(to(3));
                        }
                    }
                }
            }
        }
    }

    /// Some units of `n` and of the new state, where the reset gate acts before the product.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn candidate<S: Simd>(
        &self,
        simd: S,
        step: Step,
        (w_n, n): (&Panels<F>, usize),
        running: &[usize],
    ) {
        let hidden = self.sizes.hidden;
        let (panel, units) = (w_n.get(n), w_n.columns(n));
        for piece in tile::pieces::<S>(running.len(), panel.width) {
            let rows = &running[piece];
            let mut sums = tile::no_sums::<S, F>(simd);
            // SAFETY: what the reset gate acted on was written in the phase before; each row has as many
            // elements as the panel has rows.
            unsafe {
                let acted = |row| self.at(step.t, row) + 3 * hidden;
                let acted = rows::shared(self.activated, rows, hidden, acted);
                tile::multiply(simd, acted, panel, &mut sums);
            }
            for (row, sums) in rows.iter().zip(&sums) {
                let x = &self.x[self.sizes.row(step.t, *row) * 3 * hidden + 2 * hidden..][..hidden];
                let mut unit = units.start;
                for sum in sums.iter().take(panel.width) {
                    let count = lanes::<S, F>().min(units.end - unit);
                    let of = unit..unit + count;
                    let at = self.at(step.t, *row) + unit;
                    let b_n = Lanes::load(simd, &self.b_h[2 * hidden..][of.clone()]);
                    let n = (Lanes::load(simd, &x[of]) + Lanes::new(simd, *sum) + b_n).tanh();
                    // SAFETY: these units of this row are this call's own.
                    unsafe {
                        let z = Lanes::load(simd, self.activated.slice(at + hidden, count));
                        let before = self.sizes.at(step.before, *row) + unit;
                        let h = Lanes::load(simd, self.states.slice(before, count));
                        let keep = kept(self.update, z);
                        let after = self.sizes.at(step.after, *row) + unit;
                        let h_new = keep.complement() * n + keep * h;
                        h_new.store(self.states.slice_mut(after, count));
                        n.store(self.activated.slice_mut(at + 2 * hidden, count));
                    }
                    unit += count;
                }
            }
        }
    }
}

/// By the gates before their activations, `w_h`, `b_h` and `h0`.
type Gradients = (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>);

pub(super) fn backward<F: Real>(
    grad: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    states: &FloatTensor<Flex>,
    activated: &FloatTensor<Flex>,
    (reset, update): (Reset, Update),
    course: &Course,
) -> Gradients {
    let isa = Isa::detected();
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let (grad, states) = (Elements::<F>::of(grad), Elements::<F>::of(states));
    let activated = Elements::<F>::of(activated);
    let w_h_t = Panels::of(w_h, Turn::Transposed, Order::Columns, isa);

    let mut dx = Vec::with_capacity(3 * steps * sizes.state());
    let mut d_product_n = Vec::with_capacity(steps * sizes.state());
    let mut dh = grad.get()[sizes.range(course.direction.last(steps), 1)].to_vec();
    let pass = Backward {
        reset,
        update,
        course,
        sizes,
        grad: grad.get(),
        states: states.get(),
        activated: activated.get(),
        w_h_t: &w_h_t,
        dx: Shared::unwritten(&mut dx),
        d_product_n: Shared::unwritten(&mut d_product_n),
        dh: Shared::new(&mut dh),
    };
    rows::each_share(course, 3 * hidden * hidden, w_h_t.count(), |share, member| {
        isa.run(BackwardShare(&pass, share, member));
    });
    // Every row is in one share, and a share writes all steps of its rows.
    let dx = finished(dx, 3 * steps * sizes.state());
    let d_product_n = finished(d_product_n, steps * sizes.state());

    // `r` and `z` read the states, `n` reads what its product was made of.
    let (h_starts, x_starts) = rows::starts_of_steps(course, hidden, 3 * hidden);
    let n_starts: Vec<usize> = x_starts.iter().map(|start| start / 3).collect();
    let acted_starts: Vec<usize> = n_starts.iter().map(|start| 4 * start + 3 * hidden).collect();
    let h = Starts { elements: states.get(), starts: &h_starts };
    let acted_on = match reset {
        Reset::AfterProduct => h,
        Reset::BeforeProduct => Starts { elements: activated.get(), starts: &acted_starts },
    };
    let mut dw = Vec::with_capacity(3 * hidden * hidden);
    let to = Shared::unwritten(&mut dw);
    let mut db = vec![F::zero(); 3 * hidden];
    let (db_gates, db_n) = db.split_at_mut(2 * hidden);
    let drz = Starts { elements: &dx, starts: &x_starts };
    let dn = Starts { elements: &d_product_n, starts: &n_starts };
    let to_gates =
        Target { elements: to, stride: 3 * hidden, sums: Some(db_gates), write: Write::Replace };
    product::outer(isa, (h, hidden), (drz, 2 * hidden), to_gates);
    let to_n = Target {
        elements: to.skip(2 * hidden),
        stride: 3 * hidden,
        sums: Some(db_n),
        write: Write::Replace,
    };
    product::outer(isa, (acted_on, hidden), (dn, hidden), to_n);
    // The two products write all of it.
    let dw = finished(dw, 3 * hidden * hidden);
    (
        tensor(dx, &[steps, batch, 3 * hidden]),
        tensor(dw, &[hidden, 3 * hidden]),
        tensor(db, &[3 * hidden]),
        tensor(dh, &[batch, hidden]),
    )
}

struct Backward<'a, F> {
    reset: Reset,
    update: Update,
    course: &'a Course,
    sizes: Sizes,
    grad: &'a [F],
    states: &'a [F],
    activated: &'a [F],
    w_h_t: &'a Panels<F>,
    /// Of `r`, `z`, `n` before their activations.
    dx: Shared<F>,
    /// Of what the product for `n` gives.
    d_product_n: Shared<F>,
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
        let step = |n: usize| pass.course.direction.step(steps - 1 - n, steps);
        // A product needs the gradients of all units, so it waits for the next phase; what is point by
        // point needs no more than the product for the same units. Where `r` acts before the product
        // for `n`, its gradient comes out of that product, and the one for the gates waits for it.
        let phases = match pass.reset {
            Reset::AfterProduct => 1,
            Reset::BeforeProduct => 2,
        };
        for (phase, part) in share.team.walk(member, phases * steps + 1) {
            let panels = share.team.cut(part, pass.w_h_t.count());
            let n = phase / phases;
            if phase % phases == 1 {
                pass.product_n(simd, step(n), share, panels);
                continue;
            }
            if n > 0 {
                if pass.reset == Reset::AfterProduct {
                    pass.product_n(simd, step(n - 1), share, panels.clone());
                }
                pass.product_gates(simd, step(n - 1), share, panels.clone());
            }
            if n < steps {
                let step = step(n);
                for row in share.at(step.t).0 {
                    pass.pointwise(simd, step, *row, pass.w_h_t.columns_of(panels.clone()));
                }
            }
        }
    }
}

impl<F: Real> Backward<'_, F> {
    /// What the product for `n` passes on to the state, and to `r` where that acts before it, for the
    /// units of some panels.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn product_n<S: Simd>(&self, simd: S, step: Step, share: &Share, panels: Range<usize>) {
        let hidden = self.sizes.hidden;
        let running = share.at(step.t).0;
        let product_n = Steps { memory: self.d_product_n, width: hidden, sizes: self.sizes };
        let k = 2 * hidden..3 * hidden;
        // SAFETY: what is multiplied was written in the phase before; these units of the results are
        // this call's own.
        unsafe {
            let (w, soon) = ((self.w_h_t, panels), |_, _| ());
            rows::times(simd, (product_n, step.t), running, w, k, soon, |row, at, sum| {
                let count = lanes::<S, F>().min(hidden - at);
                let dh = self.dh.slice_mut(row * hidden + at, count);
                match self.reset {
                    Reset::AfterProduct => (Lanes::load(simd, dh) + sum).store(dh),
                    Reset::BeforeProduct => {
                        let own = self.sizes.row(step.t, row) * hidden;
                        let r = Lanes::load(simd, &self.activated[4 * own + at..][..count]);
                        let h = self.sizes.at(step.before, row) + at;
                        let h = Lanes::load(simd, &self.states[h..][..count]);
                        let dr = self.dx.slice_mut(3 * own + at, count);
                        (sum * h * r.through_sigmoid()).store(dr);
                        (Lanes::load(simd, dh) + sum * r).store(dh);
                    }
                }
            });
        }
    }

    /// What the products for the gates pass on to the state, and what arrives from outside, for the units
    /// of some panels.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn product_gates<S: Simd>(&self, simd: S, step: Step, share: &Share, panels: Range<usize>) {
        let hidden = self.sizes.hidden;
        let (running, resting) = share.at(step.t);
        let grad = |row: usize| &self.grad[self.sizes.at(step.before, row)..][..hidden];
        let gates = Steps { memory: self.dx, width: 3 * hidden, sizes: self.sizes };
        let soon = |row: usize, units: Range<usize>| prefetch(&grad(row)[units]);
        // SAFETY: as for `n`.
        unsafe {
            let (w, k) = ((self.w_h_t, panels.clone()), 0..2 * hidden);
            rows::times(simd, (gates, step.t), running, w, k, soon, |row, at, sum| {
                let grad = &grad(row)[at..];
                let dh = self.dh.slice_mut(row * hidden + at, lanes::<S, F>().min(grad.len()));
                (Lanes::load(simd, dh) + sum + Lanes::load(simd, grad)).store(dh);
            });
        }
        let units = self.w_h_t.columns_of(panels);
        for row in resting {
            let own = self.sizes.row(step.t, *row) * hidden;
            // SAFETY: as above; a step that is padding has no gradient and passes on what arrives.
            unsafe {
                for block in 0..3 {
                    let at = 3 * own + block * hidden + units.start;
                    self.dx.slice_mut(at, units.len()).fill(F::zero());
                }
                self.d_product_n.slice_mut(own + units.start, units.len()).fill(F::zero());
                rows::pass_on(self.dh, self.sizes, units.clone(), *row, grad(*row));
            }
        }
    }

    /// The gradients of some units' gates in one row, as far as they need no product, and of its state.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn pointwise<S: Simd>(&self, simd: S, step: Step, row: usize, units: Range<usize>) {
        let hidden = self.sizes.hidden;
        let own = self.sizes.row(step.t, row) * hidden;
        let saved = &self.activated[4 * own..][..4 * hidden];
        let h = &self.states[self.sizes.at(step.before, row)..][..hidden];
        let mut from = units.start;
        while from < units.end {
            let count = lanes::<S, F>().min(units.end - from);
            let of = |block: usize| Lanes::load(simd, &saved[block * hidden + from..][..count]);
            let (r, z, n, acted) = (of(0), of(1), of(2), of(3));
            let h = Lanes::load(simd, &h[from..][..count]);
            // SAFETY: these units of this row are this call's own.
            unsafe {
                let dx = |block: usize| self.dx.slice_mut(3 * own + block * hidden + from, count);
                let d_product_n = self.d_product_n.slice_mut(own + from, count);
                let dh = self.dh.slice_mut(row * hidden + from, count);
                let d = Lanes::load(simd, dh);
                let keep = kept(self.update, z);
                let through_z = match self.update {
                    Update::Keeps => d * (h - n),
                    Update::Writes => d * (n - h),
                };
                let dn = d * keep.complement() * n.through_tanh();
                (through_z * z.through_sigmoid()).store(dx(1));
                dn.store(dx(2));
                (d * keep).store(dh);
                match self.reset {
                    Reset::AfterProduct => {
                        (dn * acted * r.through_sigmoid()).store(dx(0));
                        (dn * r).store(d_product_n);
                    }
                    Reset::BeforeProduct => dn.store(d_product_n),
                }
            }
            from += count;
        }
    }
}
