//! The equations are those of [`gru_sequence`](crate::gru_sequence), a register of units at a time.

use burn::backend::{Flex, tensor::FloatTensor};
use pulp::{Simd, WithSimd};

use super::{
    Elements, Keep, Real, Sizes, finished,
    panels::{Order, Panels, Turn},
    product::{self, Starts, Write},
    rows::{self, Share, Steps},
    simd::{Isa, Lanes, lanes},
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
        h0: h0.get(),
        w_gates: &w_gates,
        w_n: w_n.as_deref(),
        states: Shared::unwritten(&mut states),
        activated: Shared::unwritten(&mut activated),
        keep,
    };
    let work = 3 * steps * hidden * hidden;
    rows::each_share(course, work, |share| isa.run(ForwardShare(&pass, share)));
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
    h0: &'a [F],
    /// For all gates, or for `r` and `z` where `n` needs `r` first.
    w_gates: &'a Panels<F>,
    w_n: Option<&'a Panels<F>>,
    states: Shared<F>,
    /// `r`, `z`, `n` and what the reset gate acted on: of all steps if they are saved, else of one.
    activated: Shared<F>,
    keep: Keep,
}

/// The forward pass of some rows.
struct ForwardShare<'a, F>(&'a Forward<'a, F>, &'a Share);

impl<F: Real> WithSimd for ForwardShare<'_, F> {
    type Output = ();

    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(pass, share) = self;
        let Sizes { steps, hidden, .. } = pass.sizes;
        let first = pass.course.direction.first(steps);
        for row in &share.rows {
            // SAFETY: a share's rows are its own, here and below.
            let h = unsafe { pass.states.slice_mut(pass.sizes.at(first, *row), hidden) };
            h.copy_from_slice(&pass.h0[row * hidden..(row + 1) * hidden]);
        }
        for step in pass.course.direction.steps(steps) {
            let (running, resting) = share.at(step.t);
            for n in 0..pass.w_gates.count() {
                pass.gates(simd, step, n, running);
            }
            if let Some(w_n) = pass.w_n {
                for n in 0..w_n.count() {
                    pass.candidate(simd, step, (w_n, n), running);
                }
            }
            for row in resting {
                let from = |n| pass.sizes.at(n, *row);
                // SAFETY: the state before the step is written, the one after it is not yet.
                unsafe {
                    let h = pass.states.slice(from(step.before), hidden);
                    pass.states.slice_mut(from(step.after), hidden).copy_from_slice(h);
                    pass.activated.slice_mut(pass.at(step.t, *row), 4 * hidden).fill(F::zero());
                }
            }
        }
    }
}

impl<F: Real> Forward<'_, F> {
    /// Where the activated gates of a row start.
    #[inline(always)]
    fn at(&self, t: usize, row: usize) -> usize {
        self.sizes.row(if self.keep == Keep::Activations { t } else { 0 }, row) * 4 * self.sizes.hidden
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
            let mut sums = tile::no_sums::<S, F>(simd);
            // SAFETY: the states before the step are written and are read by this share alone; each
            // row has as many elements as the panel has rows.
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
                // SAFETY: these units of this row are this share's own.
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
            // SAFETY: what the reset gate acted on has just been written, by this share; each row has
            // as many elements as the panel has rows.
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
                    // SAFETY: these units of this row are this share's own.
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
    let work = 3 * steps * hidden * hidden;
    rows::each_share(course, work, |share| isa.run(BackwardShare(&pass, share)));
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
    let mut dw = vec![F::zero(); 3 * hidden * hidden];
    let mut db = vec![F::zero(); 3 * hidden];
    let (db_gates, db_n) = db.split_at_mut(2 * hidden);
    let drz = Starts { elements: &dx, starts: &x_starts };
    let dn = Starts { elements: &d_product_n, starts: &n_starts };
    let to_gates = product::Target {
        elements: &mut dw,
        stride: 3 * hidden,
        sums: Some(db_gates),
        write: Write::Replace,
    };
    product::outer(isa, (h, hidden), (drz, 2 * hidden), to_gates);
    let to_n = product::Target {
        elements: &mut dw[2 * hidden..],
        stride: 3 * hidden,
        sums: Some(db_n),
        write: Write::Replace,
    };
    product::outer(isa, (acted_on, hidden), (dn, hidden), to_n);
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

/// The backward pass of some rows.
struct BackwardShare<'a, F>(&'a Backward<'a, F>, &'a Share);

impl<F: Real> WithSimd for BackwardShare<'_, F> {
    type Output = ();

    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(pass, share) = self;
        let Sizes { steps, hidden, .. } = pass.sizes;
        let gates = Steps { memory: pass.dx, width: 3 * hidden, sizes: pass.sizes };
        let product_n = Steps { memory: pass.d_product_n, width: hidden, sizes: pass.sizes };
        let (k_gates, k_n) = (0..2 * hidden, 2 * hidden..3 * hidden);
        for step in pass.course.direction.steps(steps).rev() {
            let (running, resting) = share.at(step.t);
            for row in running {
                pass.pointwise(simd, step, *row);
            }
            // SAFETY: what is multiplied has just been written; a share's rows are its own.
            unsafe {
                rows::times(
                    simd,
                    (product_n, step.t),
                    running,
                    pass.w_h_t,
                    k_n.clone(),
                    |row, at, sum| {
                        let dh = &mut pass.dh.slice_mut(row * hidden, hidden)[at..];
                        match pass.reset {
                            Reset::AfterProduct => (Lanes::load(simd, dh) + sum).store(dh),
                            Reset::BeforeProduct => {
                                let h = &pass.states[pass.sizes.at(step.before, row)..][at..hidden];
                                let r = &pass.activated[pass.sizes.row(step.t, row) * 4 * hidden..];
                                let r = Lanes::load(simd, &r[at..hidden]);
                                let h = Lanes::load(simd, h);
                                let dr = pass.sizes.row(step.t, row) * 3 * hidden;
                                let dr = &mut pass.dx.slice_mut(dr, hidden)[at..];
                                (sum * h * r.through_sigmoid()).store(dr);
                                (Lanes::load(simd, dh) + sum * r).store(dh);
                            }
                        }
                    },
                );
                rows::times(
                    simd,
                    (gates, step.t),
                    running,
                    pass.w_h_t,
                    k_gates.clone(),
                    |row, at, sum| {
                        let dh = &mut pass.dh.slice_mut(row * hidden, hidden)[at..];
                        let grad = &pass.grad[pass.sizes.at(step.before, row)..][at..hidden];
                        (Lanes::load(simd, dh) + sum + Lanes::load(simd, grad)).store(dh);
                    },
                );
            }
            for row in resting {
                // SAFETY: as above; a step that is padding has no gradient and passes on what arrives.
                unsafe {
                    let own = pass.sizes.row(step.t, *row) * hidden;
                    pass.dx.slice_mut(3 * own, 3 * hidden).fill(F::zero());
                    pass.d_product_n.slice_mut(own, hidden).fill(F::zero());
                    let dh = pass.dh.slice_mut(row * hidden, hidden);
                    let grad = &pass.grad[pass.sizes.at(step.before, *row)..][..hidden];
                    dh.iter_mut().zip(grad).for_each(|(dh, grad)| *dh = *dh + *grad);
                }
            }
        }
    }
}

impl<F: Real> Backward<'_, F> {
    /// The gradients of one row's gates, as far as they need no product, and of its state.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn pointwise<S: Simd>(&self, simd: S, step: Step, row: usize) {
        let hidden = self.sizes.hidden;
        let own = self.sizes.row(step.t, row) * hidden;
        let saved = &self.activated[4 * own..][..4 * hidden];
        let h = &self.states[self.sizes.at(step.before, row)..][..hidden];
        // SAFETY: a share's rows are its own.
        let (dx, d_product_n, dh) = unsafe {
            (
                self.dx.slice_mut(3 * own, 3 * hidden),
                self.d_product_n.slice_mut(own, hidden),
                self.dh.slice_mut(row * hidden, hidden),
            )
        };
        let mut from = 0;
        while from < hidden {
            let units = from..hidden.min(from + lanes::<S, F>());
            let of = |block: usize| Lanes::load(simd, &saved[block * hidden..][units.clone()]);
            let (r, z, n, acted) = (of(0), of(1), of(2), of(3));
            let h = Lanes::load(simd, &h[units.clone()]);
            let d = Lanes::load(simd, &dh[units.clone()]);
            let keep = kept(self.update, z);
            let through_z = match self.update {
                Update::Keeps => d * (h - n),
                Update::Writes => d * (n - h),
            };
            let dn = d * keep.complement() * n.through_tanh();
            (through_z * z.through_sigmoid()).store(&mut dx[hidden..][units.clone()]);
            dn.store(&mut dx[2 * hidden..][units.clone()]);
            (d * keep).store(&mut dh[units.clone()]);
            match self.reset {
                Reset::AfterProduct => {
                    (dn * acted * r.through_sigmoid()).store(&mut dx[units.clone()]);
                    (dn * r).store(&mut d_product_n[units.clone()]);
                }
                Reset::BeforeProduct => dn.store(&mut d_product_n[units.clone()]),
            }
            from = units.end;
        }
    }
}
