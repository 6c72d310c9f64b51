//! The equations are those of [`lstm_sequence`](crate::lstm_sequence), a register of units at a time.

use std::ops::Range;

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use pulp::{Simd, WithSimd};

use super::{
    Elements, Keep, Real, Sizes, finished,
    panels::{Order, Panels, Turn},
    product::{self, Starts, Target, Write},
    rows::{self, Share, Steps},
    simd::{Isa, Lanes, lanes, prefetch},
    tensor,
    threads::{self, Shared},
    tile,
};
use crate::{Step, lstm::Gates, ops::Course};

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
            Gates::Forget | Gates::Peephole | Gates::Gnmt { .. } => Self { i: a, f: b, g: c, o: d },
        }
    }

    #[inline(always)]
    fn pack(self, gates: Gates) -> [Lanes<S, F>; 4] {
        let Self { i, f, g, o } = self;
        match gates {
            Gates::Original => [i, g, o, f],
            Gates::Coupled => [f, g, o, i],
            Gates::Forget | Gates::Peephole | Gates::Gnmt { .. } => [i, f, g, o],
        }
    }

    /// The activated gates, and the cell and the hidden state they lead to.
    #[inline(always)]
    fn activate(
        self,
        gates: Gates,
        p: Peephole<Lanes<S, F>>,
        c: Lanes<S, F>,
    ) -> (Self, Lanes<S, F>, Lanes<S, F>) {
        let g = self.g.tanh();
        let (unit, cell) = match gates {
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
            Gates::Gnmt { clip } => {
                let (i, f, o) = (self.i.sigmoid(), self.f.sigmoid(), self.o.sigmoid());
                let cell = f * c + i * g;
                let cell = match clip {
                    Some(bound) => cell.clip(bound),
                    None => cell,
                };
                return (Self { i, f, g, o }, cell, o * cell);
            }
        };
        (unit, cell, unit.o * cell.tanh())
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
        let (d_o, dc) = match gates {
            Gates::Original | Gates::Forget | Gates::Peephole | Gates::Coupled => {
                let tanh_c = c_new.tanh();
                (dh * tanh_c * o.through_sigmoid(), dc + dh * o * tanh_c.through_tanh())
            }
            Gates::Gnmt { clip } => {
                let dc = dc + dh * o;
                let dc = match clip {
                    Some(bound) => c_new.passes_inside(bound, dc),
                    None => dc,
                };
                (dh * c_new * o.through_sigmoid(), dc)
            }
        };
        match gates {
            Gates::Original => {
                let d_i = dc * g * i.through_sigmoid();
                (Self { i: d_i, f, g: dc * i * g.through_tanh(), o: d_o }, dc)
            }
            Gates::Forget | Gates::Gnmt { .. } => {
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

/// One step of some units without peepholes, from their gates, packed as `gates` has them, and their cell:
/// the new cell and the hidden state.
#[inline(always)]
pub(super) fn advance<S: Simd, F: Real>(
    simd: S,
    gates: Gates,
    blocks: [Lanes<S, F>; 4],
    c: Lanes<S, F>,
) -> (Lanes<S, F>, Lanes<S, F>) {
    let zero = Lanes::splat(simd, F::zero());
    let none = Peephole { i: zero, f: zero, o: zero };
    let (_, cell, hidden) = Unit::unpack(simd, gates, blocks).activate(gates, none, c);
    (cell, hidden)
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
        w_h: &w_h,
        states: Shared::unwritten(&mut states),
        activated: saves.then(|| Shared::unwritten(&mut activated)),
        cells: Shared::unwritten(&mut cells),
    };
    pass.begin(h0.get(), c0.get());
    rows::each_share(course, hidden * width, w_h.count(), |share, member| {
        isa.run(ForwardShare(&pass, share, member));
    });
    pass.end();
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

    /// Some units at a step that is padding: they go on as they are.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn rest(&self, step: Step, units: Range<usize>, row: usize) {
        // SAFETY: the state before the step is written; these units after it are this call's own.
        unsafe {
            rows::carry(self.states, self.sizes, step, units.clone(), row);
            if let Some(activated) = self.activated {
                rows::carry(self.cells, self.sizes, step, units.clone(), row);
                let gates = self.gates.count();
                let at = self.sizes.row(step.t, row) * gates * self.sizes.hidden + units.start;
                for g in 0..gates {
                    activated.slice_mut(at + g * self.sizes.hidden, units.len()).fill(F::zero());
                }
            }
        }
    }

    /// The units of one panel at one step, for the rows that run.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn panel<S: Simd>(&self, simd: S, step: Step, n: usize, running: &[usize]) {
        let hidden = self.sizes.hidden;
        let gates = self.gates.count();
        let width = gates * hidden;
        let panel = self.w_h.get(n);
        let units = self.w_h.columns(n);
        let count = units.len();
        let p = peephole_of(simd, self.peephole, units.start);
        for piece in tile::pieces::<S>(running.len(), panel.width) {
            let rows = &running[piece];
            for row in rows {
                let at = self.sizes.row(step.t, *row) * width + units.start;
                (0..gates).for_each(|g| prefetch(&self.x[at + g * hidden..][..count]));
            }
            let mut sums = tile::no_sums::<S, F>(simd);
            // SAFETY: the states before the step are written and nobody writes them any more; each row
            // has `hidden` elements, as many as the panel has rows.
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
                // SAFETY: these units of this row are this call's own.
                unsafe {
                    let before = self.cell(step.before, *row) + units.start;
                    let c = Lanes::load(simd, self.cells.slice(before, count));
                    let unit = Unit::unpack(simd, self.gates, blocks);
                    let (unit, cell, h) = unit.activate(self.gates, p, c);
                    let after = self.cell(step.after, *row) + units.start;
                    cell.store(self.cells.slice_mut(after, count));
                    let shown = self.sizes.at(step.after, *row) + units.start;
                    h.store(self.states.slice_mut(shown, count));
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
    rows::each_share(course, hidden * width, w_h_t.count(), |share, member| {
        isa.run(BackwardShare(&pass, share, member));
    });
    // Every row is in one share, and a share writes all steps of its rows.
    let da = finished(da, steps * batch * width);

    let (h_starts, a_starts) = rows::starts_of_steps(course, hidden, width);
    let mut dw = Vec::with_capacity(hidden * width);
    product::outer(
        isa,
        (Starts { elements: states.get(), starts: &h_starts }, hidden),
        (Starts { elements: &da, starts: &a_starts }, width),
        Target {
            elements: Shared::unwritten(&mut dw),
            stride: width,
            sums: None,
            write: Write::Replace,
        },
    );
    // The product writes all of it.
    let dw = finished(dw, hidden * width);
    let dp = match gates {
        Gates::Peephole => peephole_gradients(isa, &da, cells.get(), sizes, course),
        Gates::Original | Gates::Forget | Gates::Coupled | Gates::Gnmt { .. } => {
            vec![F::zero(); 3 * hidden]
        }
    };
    (
        tensor(da, &[steps, batch, width]),
        tensor(dw, &[hidden, width]),
        tensor(dp, &[3, hidden]),
        tensor(dh, &[batch, hidden]),
        tensor(dc, &[batch, hidden]),
    )
}

/// `dp_i = Σ di ⊙ c`, `dp_f = Σ df ⊙ c`, `dp_o = Σ do ⊙ c'`, `[3, H]`.
fn peephole_gradients<F: Real>(
    isa: Isa,
    da: &[F],
    cells: &[F],
    sizes: Sizes,
    course: &Course,
) -> Vec<F> {
    /// A term waits for memory about as long as so many multiplications take.
    const TERM: usize = 16;
    let Sizes { steps, batch, hidden } = sizes;
    let mut dp = vec![F::zero(); 3 * hidden];
    let to = Shared::new(&mut dp);
    let work = 3 * steps * batch * hidden * TERM;
    let registers = hidden.div_ceil(isa.lanes::<F>());
    let parts = threads::parts(work).min(registers);
    threads::each(parts, work, |part| {
        let from = |part: usize| hidden.min(part * registers / parts * isa.lanes::<F>());
        let units = from(part)..from(part + 1);
        isa.run(PeepholeGradients { da, cells, sizes, course, units, to });
    });
    dp
}

/// The gradients of some units' peepholes, the terms in the order of the steps, then of the rows.
struct PeepholeGradients<'a, F> {
    da: &'a [F],
    cells: &'a [F],
    sizes: Sizes,
    course: &'a Course,
    units: Range<usize>,
    to: Shared<F>,
}

impl<F: Real> WithSimd for PeepholeGradients<'_, F> {
    type Output = ();

    #[inline(always)]
    #[expect(unsafe_code, reason = "threads write parts of the same memory")]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { da, cells, sizes, course, units, to } = self;
        let (hidden, register) = (sizes.hidden, lanes::<S, F>());
        // SAFETY: these units are one task's own.
        let [dp_i, dp_f, dp_o] =
            [0, 1, 2].map(|gate| unsafe { to.slice_mut(gate * hidden + units.start, units.len()) });
        let load = |from: &[F]| Lanes::load(simd, from);
        for step in course.direction.steps(sizes.steps) {
            let running = course.lengths.as_slice().iter().enumerate();
            for (row, _) in running.filter(|(_, length)| step.t < **length) {
                let da = &da[4 * hidden * sizes.row(step.t, row) + units.start..];
                let block = |n: usize| da[n * hidden..][..units.len()].chunks(register);
                let cell =
                    |n| cells[sizes.at(n, row) + units.start..][..units.len()].chunks(register);
                let d = block(0).zip(block(1)).zip(block(3));
                let cells = cell(step.before).zip(cell(step.after));
                let sums = dp_i.chunks_mut(register).zip(dp_f.chunks_mut(register));
                let sums = sums.zip(dp_o.chunks_mut(register));
                for ((((d_i, d_f), d_o), (c, c_new)), ((dp_i, dp_f), dp_o)) in
                    d.zip(cells).zip(sums)
                {
                    let (c, c_new) = (load(c), load(c_new));
                    (load(dp_i) + load(d_i) * c).store(dp_i);
                    (load(dp_f) + load(d_f) * c).store(dp_f);
                    (load(dp_o) + load(d_o) * c_new).store(dp_o);
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

/// The backward pass of some rows, as one of the team.
struct BackwardShare<'a, F>(&'a Backward<'a, F>, &'a Share, usize);

impl<F: Real> WithSimd for BackwardShare<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(pass, share, member) = self;
        let steps = pass.sizes.steps;
        let step = |phase: usize| pass.course.direction.step(steps - 1 - phase, steps);
        // The product of a step needs the gates of all units, so it waits for the next phase; the gates
        // of a step need no more than the product for the same units.
        for (phase, part) in share.team.walk(member, steps + 1) {
            let panels = share.team.cut(part, pass.w_h_t.count());
            if phase > 0 {
                pass.product(simd, step(phase - 1), share, panels.clone());
            }
            if phase < steps {
                let step = step(phase);
                let units = pass.w_h_t.columns_of(panels);
                let running = share.at(step.t).0;
                for (n, row) in running.iter().enumerate() {
                    let next = running.get(n + 1).unwrap_or(row);
                    pass.pointwise(simd, step, [*row, *next], units.clone());
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
        let width = self.gates.count() * hidden;
        let (running, resting) = share.at(step.t);
        let grad = |row: usize| &self.grad[self.sizes.at(step.before, row)..][..hidden];
        let da = Steps { memory: self.da, width, sizes: self.sizes };
        let soon = |row: usize, units: Range<usize>| prefetch(&grad(row)[units]);
        // SAFETY: these rows of `da` were written in the phase before; these units of `dh` are this
        // call's own.
        unsafe {
            let w = (self.w_h_t, panels.clone());
            rows::times(simd, (da, step.t), running, w, 0..width, soon, |row, at, sum| {
                let grad = &grad(row)[at..];
                let dh = self.dh.slice_mut(row * hidden + at, lanes::<S, F>().min(grad.len()));
                (sum + Lanes::load(simd, grad)).store(dh);
            });
        }
        let units = self.w_h_t.columns_of(panels);
        for row in resting {
            let at = self.sizes.row(step.t, *row) * width + units.start;
            // SAFETY: as above; a step that is padding has no gradient and passes on what arrives.
            unsafe {
                for g in 0..self.gates.count() {
                    self.da.slice_mut(at + g * hidden, units.len()).fill(F::zero());
                }
                rows::pass_on(self.dh, self.sizes, units.clone(), *row, grad(*row));
            }
        }
    }

    /// The gradients of some units' gates in one row, and of their cells before the step. What is read
    /// for the next row is asked for meanwhile.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn pointwise<S: Simd>(
        &self,
        simd: S,
        step: Step,
        [row, next]: [usize; 2],
        units: Range<usize>,
    ) {
        let hidden = self.sizes.hidden;
        let gates = self.gates.count();
        let activated = self.sizes.row(step.t, row) * gates * hidden;
        let next_activated = self.sizes.row(step.t, next) * gates * hidden;
        let (c, c_new) = (self.sizes.at(step.before, row), self.sizes.at(step.after, row));
        let mut from = units.start;
        while from < units.end {
            let count = lanes::<S, F>().min(units.end - from);
            let mut blocks = [Lanes::splat(simd, F::zero()); 4];
            for (g, block) in blocks.iter_mut().take(gates).enumerate() {
                *block =
                    Lanes::load(simd, &self.activated[activated + g * hidden + from..][..count]);
            }
            let cell = |at: usize| Lanes::load(simd, &self.cells[at + from..][..count]);
            for g in 0..gates {
                prefetch(&self.activated[next_activated + g * hidden + from..][..count]);
            }
            prefetch(&self.cells[self.sizes.at(step.before, next) + from..][..count]);
            let p = peephole_of(simd, self.peephole, from);
            // SAFETY: these units of this row are this call's own.
            unsafe {
                let dh = self.dh.slice(row * hidden + from, count);
                let dc = self.dc.slice_mut(row * hidden + from, count);
                let (unit, before) = Unit::unpack(simd, self.gates, blocks).backward(
                    self.gates,
                    p,
                    (cell(c), cell(c_new)),
                    Lanes::load(simd, dh),
                    Lanes::load(simd, dc),
                );
                before.store(dc);
                for (g, block) in unit.pack(self.gates).iter().take(gates).enumerate() {
                    block.store(self.da.slice_mut(activated + g * hidden + from, count));
                }
            }
            from += count;
        }
    }
}
