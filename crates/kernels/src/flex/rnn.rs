//! Forward: `h' = φ(x_t + h · W_h)`. Backward: `da = dh' ⊙ φ'`, `dh = da · W_hᵀ`.

use burn::backend::{Flex, tensor::FloatTensor};
use pulp::{Simd, WithSimd};

use super::{
    Elements, Real, Sizes, finished,
    panels::{Order, Panels, Turn},
    product::{self, Starts, Write},
    rows::{self, Share, Steps},
    simd::{Isa, Lanes, lanes},
    tensor,
    threads::Shared,
    tile,
};
use crate::{ops::Course, rnn::Activation};

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
        h0: h0.get(),
        w_h: &w_h,
        states: Shared::unwritten(&mut states),
    };
    rows::each_share(course, steps * hidden * hidden, |share| isa.run(ForwardShare(&pass, share)));
    // Every row is in one share, and a share writes all states of its rows.
    let states = finished(states, (steps + 1) * sizes.state());
    tensor(states, &[steps + 1, batch, hidden])
}

struct Forward<'a, F> {
    activation: Activation,
    course: &'a Course,
    sizes: Sizes,
    x: &'a [F],
    h0: &'a [F],
    w_h: &'a Panels<F>,
    states: Shared<F>,
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
            for n in 0..pass.w_h.count() {
                pass.panel(simd, step, n, running);
            }
            for row in resting {
                let from = |n| pass.sizes.at(n, *row);
                // SAFETY: the state before the step is written, the one after it is not yet.
                unsafe {
                    let h = pass.states.slice(from(step.before), hidden);
                    pass.states.slice_mut(from(step.after), hidden).copy_from_slice(h);
                }
            }
        }
    }
}

impl<F: Real> Forward<'_, F> {
    /// The units of one panel at one step, for the rows that run.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn panel<S: Simd>(&self, simd: S, step: crate::Step, n: usize, running: &[usize]) {
        let (panel, units) = (self.w_h.get(n), self.w_h.columns(n));
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
                let x = &self.x[self.sizes.row(step.t, *row) * self.sizes.hidden + units.start..];
                let at = self.sizes.at(step.after, *row) + units.start;
                // SAFETY: these units of this row are this share's own.
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
    rows::each_share(course, steps * hidden * hidden, |share| isa.run(BackwardShare(&pass, share)));
    // Every row is in one share, and a share writes all steps of its rows.
    let da = finished(da, steps * sizes.state());

    let (h_starts, a_starts) = rows::starts_of_steps(course, hidden, hidden);
    let mut dw = vec![F::zero(); hidden * hidden];
    product::outer(
        isa,
        (Starts { elements: states.get(), starts: &h_starts }, hidden),
        (Starts { elements: &da, starts: &a_starts }, hidden),
        product::Target { elements: &mut dw, stride: hidden, sums: None, write: Write::Replace },
    );
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

/// The backward pass of some rows.
struct BackwardShare<'a, F>(&'a Backward<'a, F>, &'a Share);

impl<F: Real> WithSimd for BackwardShare<'_, F> {
    type Output = ();

    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(pass, share) = self;
        let Sizes { steps, hidden, .. } = pass.sizes;
        for step in pass.course.direction.steps(steps).rev() {
            let (running, resting) = share.at(step.t);
            for row in running {
                let h = &pass.states[pass.sizes.at(step.after, *row)..][..hidden];
                // SAFETY: a share's rows are its own, here and below.
                let (da, dh) = unsafe {
                    let da = pass.sizes.row(step.t, *row) * hidden;
                    (pass.da.slice_mut(da, hidden), pass.dh.slice(row * hidden, hidden))
                };
                let register = lanes::<S, F>();
                let known = h.chunks(register).zip(dh.chunks(register));
                for (da, (h, dh)) in da.chunks_mut(register).zip(known) {
                    let (h, dh) = (Lanes::load(simd, h), Lanes::load(simd, dh));
                    let gradient = match pass.activation {
                        Activation::Tanh => dh * h.through_tanh(),
                        Activation::Relu => h.passes(dh),
                        Activation::Identity => dh,
                    };
                    gradient.store(da);
                }
            }
            // `dh = da · W_hᵀ` and what arrives from outside.
            // SAFETY: these rows of `da` have just been written.
            unsafe {
                let da = Steps { memory: pass.da, width: hidden, sizes: pass.sizes };
                rows::times(simd, (da, step.t), running, pass.w_h_t, 0..hidden, |row, at, sum| {
                    let grad = &pass.grad[pass.sizes.at(step.before, row)..][..hidden];
                    let dh = pass.dh.slice_mut(row * hidden, hidden);
                    (sum + Lanes::load(simd, &grad[at..])).store(&mut dh[at..]);
                });
            }
            for row in resting {
                // SAFETY: as above; a step that is padding has no gradient and passes on what arrives.
                unsafe {
                    pass.da
                        .slice_mut(pass.sizes.row(step.t, *row) * hidden, hidden)
                        .fill(F::zero());
                    let dh = pass.dh.slice_mut(row * hidden, hidden);
                    let grad = &pass.grad[pass.sizes.at(step.before, *row)..][..hidden];
                    dh.iter_mut().zip(grad).for_each(|(dh, grad)| *dh = *dh + *grad);
                }
            }
        }
    }
}
