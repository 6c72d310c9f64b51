//! The equations are those of [`lstm_sequence`](crate::lstm_sequence), a register of units at a time.

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
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
use crate::{lstm::Gates, ops::Course};

/// The peephole weights of some units.
#[derive(Clone, Copy)]
struct Peephole<V> {
    i: V,
    f: V,
    o: V,
}

/// Some units' gates, before or after their activations. Those that the LSTM at hand does not have
/// are left at 0.
#[derive(Clone, Copy)]
struct Unit<V> {
    i: V,
    f: V,
    g: V,
    o: V,
}

impl<S: Simd, F: Real> Unit<Lanes<S, F>> {
    /// Out of packed blocks.
    #[inline(always)]
    fn unpack(simd: S, gates: Gates, blocks: [Lanes<S, F>; 4]) -> Self {
        let zero = Lanes::splat(simd, F::zero());
        let [a, b, c, d] = blocks;
        match gates {
            Gates::Original => Self { i: a, f: zero, g: b, o: c },
            Gates::Coupled => Self { i: zero, f: a, g: b, o: c },
            Gates::Forget | Gates::Peephole => Self { i: a, f: b, g: c, o: d },
        }
    }

    #[inline(always)]
    fn pack(self, gates: Gates) -> [Lanes<S, F>; 4] {
        let Self { i, f, g, o } = self;
        match gates {
            Gates::Original => [i, g, o, f],
            Gates::Coupled => [f, g, o, i],
            Gates::Forget | Gates::Peephole => [i, f, g, o],
        }
    }

    /// The activated gates and the cell they lead to.
    #[inline(always)]
    fn activate(
        self,
        gates: Gates,
        p: Peephole<Lanes<S, F>>,
        c: Lanes<S, F>,
    ) -> (Self, Lanes<S, F>) {
        let g = self.g.tanh();
        match gates {
            Gates::Original => {
                let (i, o) = (self.i.sigmoid(), self.o.sigmoid());
                (Self { i, g, o, ..self }, c + i * g)
            }
            Gates::Forget => {
                let (i, f, o) = (self.i.sigmoid(), self.f.sigmoid(), self.o.sigmoid());
                (Self { i, f, g, o }, f * c + i * g)
            }
            Gates::Peephole => {
                let i = (self.i + p.i * c).sigmoid();
                let f = (self.f + p.f * c).sigmoid();
                let cell = f * c + i * g;
                let o = (self.o + p.o * cell).sigmoid();
                (Self { i, f, g, o }, cell)
            }
            Gates::Coupled => {
                let (f, o) = (self.f.sigmoid(), self.o.sigmoid());
                (Self { f, g, o, ..self }, f * c + f.complement() * g)
            }
        }
    }

    /// The gradients of the gates before their activations and of the cell before the step, from
    /// the activated gates, the cell before and after, and the gradients that arrive.
    #[inline(always)]
    fn backward(
        self,
        gates: Gates,
        p: Peephole<Lanes<S, F>>,
        (c, c_new): (Lanes<S, F>, Lanes<S, F>),
        dh: Lanes<S, F>,
        dc: Lanes<S, F>,
    ) -> (Self, Lanes<S, F>) {
        let Self { i, f, g, o } = self;
        let tanh_c = c_new.tanh();
        let d_o = dh * tanh_c * o.through_sigmoid();
        let dc = dc + dh * o * tanh_c.through_tanh();
        match gates {
            Gates::Original => {
                let d_i = dc * g * i.through_sigmoid();
                (Self { i: d_i, f, g: dc * i * g.through_tanh(), o: d_o }, dc)
            }
            Gates::Forget => {
                let d_i = dc * g * i.through_sigmoid();
                let d_f = dc * c * f.through_sigmoid();
                (Self { i: d_i, f: d_f, g: dc * i * g.through_tanh(), o: d_o }, dc * f)
            }
            Gates::Peephole => {
                let dc = dc + d_o * p.o;
                let d_i = dc * g * i.through_sigmoid();
                let d_f = dc * c * f.through_sigmoid();
                let d_g = dc * i * g.through_tanh();
                (Self { i: d_i, f: d_f, g: d_g, o: d_o }, dc * f + d_i * p.i + d_f * p.f)
            }
            Gates::Coupled => {
                let d_f = dc * (c - g) * f.through_sigmoid();
                let d_g = dc * f.complement() * g.through_tanh();
                (Self { i, f: d_f, g: d_g, o: d_o }, dc * f)
            }
        }
    }
}

/// The peephole weights from unit `from` on, out of `[3, H]`.
#[inline(always)]
fn peephole_of<S: Simd, F: Real>(simd: S, peephole: &[F], from: usize) -> Peephole<Lanes<S, F>> {
    let hidden = peephole.len() / 3;
    let of = |n: usize| &peephole[n * hidden + from..(n + 1) * hidden];
    Peephole {
        i: Lanes::load(simd, of(0)),
        f: Lanes::load(simd, of(1)),
        o: Lanes::load(simd, of(2)),
    }
}

/// What a forward pass leaves: states and final cell, activated gates, cells.
pub(super) struct Passed {
    pub(super) states: FloatTensor<Flex>,
    /// Activated gates and cells, for the backward pass.
    pub(super) saved: Option<(FloatTensor<Flex>, FloatTensor<Flex>)>,
}

pub(super) fn forward<F: Real>(
    x: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    peephole: &FloatTensor<Flex>,
    (h0, c0): (&FloatTensor<Flex>, &FloatTensor<Flex>),
    gates: Gates,
    course: &Course,
    keep: Keep,
) -> Passed {
    let isa = Isa::detected();
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let width = gates.count() * hidden;
    let (x, peephole) = (Elements::<F>::of(x), Elements::<F>::of(peephole));
    let (h0, c0) = (Elements::<F>::of(h0), Elements::<F>::of(c0));
    let w_h =
        Panels::of(w_h, Turn::None, Order::Blocks { count: gates.count(), of: gates.count() }, isa);

    // One more state than the recurrence has: the final cell goes out with the hidden states.
    let mut states = Vec::with_capacity((steps + 2) * sizes.state());
    let saves = keep == Keep::Activations;
    let mut activated = Vec::with_capacity(if saves { steps * batch * width } else { 0 });
    let mut cells =
        Vec::with_capacity(if saves { (steps + 1) * sizes.state() } else { sizes.state() });
    let pass = Forward {
        gates,
        course,
        sizes,
        x: x.get(),
        peephole: peephole.get(),
        h0: h0.get(),
        c0: c0.get(),
        w_h: &w_h,
        states: Shared::unwritten(&mut states),
        activated: saves.then(|| Shared::unwritten(&mut activated)),
        cells: Shared::unwritten(&mut cells),
    };
    rows::each_share(course, steps * hidden * width, |share| isa.run(ForwardShare(&pass, share)));
    // Every row is in one share, and a share writes all steps of its rows: states, cells and gates.
    let states = finished(states, (steps + 2) * sizes.state());
    let saved = saves.then(|| {
        let activated = finished(activated, steps * batch * width);
        let cells = finished(cells, (steps + 1) * sizes.state());
        (tensor(activated, &[steps, batch, width]), tensor(cells, &[steps + 1, batch, hidden]))
    });
    Passed { states: tensor(states, &[steps + 2, batch, hidden]), saved }
}

struct Forward<'a, F> {
    gates: Gates,
    course: &'a Course,
    sizes: Sizes,
    x: &'a [F],
    peephole: &'a [F],
    h0: &'a [F],
    c0: &'a [F],
    w_h: &'a Panels<F>,
    states: Shared<F>,
    activated: Option<Shared<F>>,
    /// One for every state if they are saved, else one.
    cells: Shared<F>,
}

impl<F: Real> Forward<'_, F> {
    /// Where the cell of `row` at state `n` is.
    #[inline(always)]
    fn cell(&self, n: usize, row: usize) -> usize {
        let n = if self.activated.is_some() { n } else { 0 };
        self.sizes.at(n, row)
    }
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
            let own = row * hidden..(row + 1) * hidden;
            // SAFETY: a share's rows are its own, here and below.
            unsafe {
                let h = pass.states.slice_mut(pass.sizes.at(first, *row), hidden);
                h.copy_from_slice(&pass.h0[own.clone()]);
                let c = pass.cells.slice_mut(pass.cell(first, *row), hidden);
                c.copy_from_slice(&pass.c0[own]);
            }
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
                    if let Some(activated) = pass.activated {
                        let c = pass.cells.slice(from(step.before), hidden);
                        pass.cells.slice_mut(from(step.after), hidden).copy_from_slice(c);
                        let width = pass.gates.count() * hidden;
                        let gates = pass.sizes.row(step.t, *row) * width;
                        activated.slice_mut(gates, width).fill(F::zero());
                    }
                }
            }
        }
        let last = pass.course.direction.last(steps);
        for row in &share.rows {
            // SAFETY: all cells are written, and the final cell has its own place behind the states.
            unsafe {
                let c = pass.cells.slice(pass.cell(last, *row), hidden);
                let to = pass.states.slice_mut(pass.sizes.at(steps + 1, *row), hidden);
                to.copy_from_slice(c);
            }
        }
    }
}

impl<F: Real> Forward<'_, F> {
    /// The units of one panel at one step, for the rows that run.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn panel<S: Simd>(&self, simd: S, step: crate::Step, n: usize, running: &[usize]) {
        let hidden = self.sizes.hidden;
        let gates = self.gates.count();
        let width = gates * hidden;
        let panel = self.w_h.get(n);
        let units = self.w_h.columns(n);
        let count = units.len();
        let p = peephole_of(simd, self.peephole, units.start);
        for piece in tile::pieces::<S>(running.len(), panel.width) {
            let rows = &running[piece];
            let mut sums = tile::no_sums::<S, F>(simd);
            // SAFETY: the states before the step are written and are read by this share alone; each
            // row has `hidden` elements, as many as the panel has rows.
            unsafe {
                let h = rows::states(self.states, self.sizes, step.before, rows);
                tile::multiply(simd, h, panel, &mut sums);
            }
            for (row, sums) in rows.iter().zip(&sums) {
                let at = self.sizes.row(step.t, *row) * width + units.start;
                let mut blocks = [Lanes::splat(simd, F::zero()); 4];
                for (g, (block, sum)) in blocks.iter_mut().zip(sums).take(gates).enumerate() {
                    let x = &self.x[at + g * hidden..][..count];
                    *block = Lanes::new(simd, *sum) + Lanes::load(simd, x);
                }
                // SAFETY: these units of this row are this share's own.
                unsafe {
                    let before = self.cell(step.before, *row) + units.start;
                    let c = Lanes::load(simd, self.cells.slice(before, count));
                    let unit = Unit::unpack(simd, self.gates, blocks);
                    let (unit, cell) = unit.activate(self.gates, p, c);
                    let after = self.cell(step.after, *row) + units.start;
                    cell.store(self.cells.slice_mut(after, count));
                    let h = self.sizes.at(step.after, *row) + units.start;
                    (unit.o * cell.tanh()).store(self.states.slice_mut(h, count));
                    if let Some(activated) = self.activated {
                        for (g, block) in unit.pack(self.gates).iter().take(gates).enumerate() {
                            block.store(activated.slice_mut(at + g * hidden, count));
                        }
                    }
                }
            }
        }
    }
}

/// By the gates before their activations, `w_h`, the peepholes, `h0` and `c0`.
type Gradients =
    (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>);

pub(super) fn backward<F: Real>(
    grad: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    peephole: &FloatTensor<Flex>,
    states: &FloatTensor<Flex>,
    activated: &FloatTensor<Flex>,
    cells: &FloatTensor<Flex>,
    gates: Gates,
    course: &Course,
) -> Gradients {
    let isa = Isa::detected();
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let width = w_h.shape()[1];
    let (grad, peephole) = (Elements::<F>::of(grad), Elements::<F>::of(peephole));
    let (states, cells) = (Elements::<F>::of(states), Elements::<F>::of(cells));
    let activated = Elements::<F>::of(activated);
    let w_h_t = Panels::of(w_h, Turn::Transposed, Order::Columns, isa);

    let mut da = Vec::with_capacity(steps * batch * width);
    let mut dh = grad.get()[sizes.range(course.direction.last(steps), 1)].to_vec();
    let mut dc = grad.get()[sizes.range(steps + 1, 1)].to_vec();
    let pass = Backward {
        gates,
        course,
        sizes,
        grad: grad.get(),
        peephole: peephole.get(),
        activated: activated.get(),
        cells: cells.get(),
        w_h_t: &w_h_t,
        da: Shared::unwritten(&mut da),
        dh: Shared::new(&mut dh),
        dc: Shared::new(&mut dc),
    };
    rows::each_share(course, steps * hidden * width, |share| isa.run(BackwardShare(&pass, share)));
    // Every row is in one share, and a share writes all steps of its rows.
    let da = finished(da, steps * batch * width);

    let (h_starts, a_starts) = rows::starts_of_steps(course, hidden, width);
    let mut dw = vec![F::zero(); hidden * width];
    product::outer(
        isa,
        (Starts { elements: states.get(), starts: &h_starts }, hidden),
        (Starts { elements: &da, starts: &a_starts }, width),
        product::Target { elements: &mut dw, stride: width, sums: None, write: Write::Replace },
    );
    let mut dp = vec![F::zero(); 3 * hidden];
    if gates == Gates::Peephole {
        peephole_gradients(&mut dp, &da, cells.get(), sizes, course);
    }
    (
        tensor(da, &[steps, batch, width]),
        tensor(dw, &[hidden, width]),
        tensor(dp, &[3, hidden]),
        tensor(dh, &[batch, hidden]),
        tensor(dc, &[batch, hidden]),
    )
}

/// `dp_i = Σ di ⊙ c`, `dp_f = Σ df ⊙ c`, `dp_o = Σ do ⊙ c'`.
fn peephole_gradients<F: Real>(dp: &mut [F], da: &[F], cells: &[F], sizes: Sizes, course: &Course) {
    let hidden = sizes.hidden;
    for step in course.direction.steps(sizes.steps) {
        for (row, length) in course.lengths.as_slice().iter().enumerate() {
            if step.t >= *length {
                continue;
            }
            let da = &da[4 * hidden * sizes.row(step.t, row)..][..4 * hidden];
            let c = &cells[sizes.at(step.before, row)..][..hidden];
            let c_new = &cells[sizes.at(step.after, row)..][..hidden];
            for (n, (block, c)) in [(0, c), (1, c), (3, c_new)].into_iter().enumerate() {
                let dp = &mut dp[n * hidden..(n + 1) * hidden];
                for ((dp, d), c) in dp.iter_mut().zip(&da[block * hidden..]).zip(c) {
                    *dp = *dp + *d * *c;
                }
            }
        }
    }
}

struct Backward<'a, F> {
    gates: Gates,
    course: &'a Course,
    sizes: Sizes,
    grad: &'a [F],
    peephole: &'a [F],
    activated: &'a [F],
    cells: &'a [F],
    w_h_t: &'a Panels<F>,
    da: Shared<F>,
    dh: Shared<F>,
    dc: Shared<F>,
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
        let width = pass.gates.count() * hidden;
        for step in pass.course.direction.steps(steps).rev() {
            let (running, resting) = share.at(step.t);
            for row in running {
                pass.pointwise(simd, step, *row);
            }
            // `dh = da · W_hᵀ` and what arrives from outside.
            // SAFETY: these rows of `da` have just been written, those of `dh` are this share's own.
            unsafe {
                let da = Steps { memory: pass.da, width, sizes: pass.sizes };
                rows::times(simd, (da, step.t), running, pass.w_h_t, 0..width, |row, at, sum| {
                    let grad = &pass.grad[pass.sizes.at(step.before, row)..][..hidden];
                    let dh = pass.dh.slice_mut(row * hidden, hidden);
                    (sum + Lanes::load(simd, &grad[at..])).store(&mut dh[at..]);
                });
            }
            for row in resting {
                // SAFETY: as above; a step that is padding has no gradient and passes on what arrives.
                unsafe {
                    pass.da.slice_mut(pass.sizes.row(step.t, *row) * width, width).fill(F::zero());
                    let dh = pass.dh.slice_mut(row * hidden, hidden);
                    let grad = &pass.grad[pass.sizes.at(step.before, *row)..][..hidden];
                    dh.iter_mut().zip(grad).for_each(|(dh, grad)| *dh = *dh + *grad);
                }
            }
        }
    }
}

impl<F: Real> Backward<'_, F> {
    /// The gradients of one row's gates and of its cell before the step.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn pointwise<S: Simd>(&self, simd: S, step: crate::Step, row: usize) {
        let hidden = self.sizes.hidden;
        let gates = self.gates.count();
        let width = gates * hidden;
        let activated = &self.activated[self.sizes.row(step.t, row) * width..][..width];
        let c = &self.cells[self.sizes.at(step.before, row)..][..hidden];
        let c_new = &self.cells[self.sizes.at(step.after, row)..][..hidden];
        // SAFETY: a share's rows are its own.
        let (da, dh, dc) = unsafe {
            (
                self.da.slice_mut(self.sizes.row(step.t, row) * width, width),
                self.dh.slice_mut(row * hidden, hidden),
                self.dc.slice_mut(row * hidden, hidden),
            )
        };
        let mut from = 0;
        while from < hidden {
            let to = hidden.min(from + lanes::<S, F>());
            let mut blocks = [Lanes::splat(simd, F::zero()); 4];
            for (g, block) in blocks.iter_mut().take(gates).enumerate() {
                *block = Lanes::load(simd, &activated[g * hidden..][from..to]);
            }
            let load = |values: &[F]| Lanes::load(simd, &values[from..to]);
            let p = peephole_of(simd, self.peephole, from);
            let (unit, before) = Unit::unpack(simd, self.gates, blocks).backward(
                self.gates,
                p,
                (load(c), load(c_new)),
                load(dh),
                load(dc),
            );
            before.store(&mut dc[from..to]);
            for (g, block) in unit.pack(self.gates).iter().take(gates).enumerate() {
                block.store(&mut da[g * hidden..][from..to]);
            }
            from = to;
        }
    }
}
