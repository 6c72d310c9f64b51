//! The equations are those of [`lstm_sequence`](crate::lstm_sequence), one unit at a time.

use std::ops::Range;

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};

use super::{
    Elements, Real, Sizes, neighbours,
    product::{Matrix, Target, add_product},
    rows, tensor,
};
use crate::{lstm::Gates, ops::Course};

/// The peephole weights of one unit.
#[derive(Clone, Copy)]
struct Peephole<F> {
    i: F,
    f: F,
    o: F,
}

/// One unit's gates, before or after their activations. Those that the LSTM at hand does not have
/// are left at 0.
#[derive(Clone, Copy)]
struct Unit<F> {
    i: F,
    f: F,
    g: F,
    o: F,
}

impl<F: Real> Unit<F> {
    /// Reads unit `k` of a row of packed blocks.
    fn read(gates: Gates, row: &[F], k: usize) -> Self {
        let hidden = row.len() / gates.count();
        let block = |n: usize| row[n * hidden + k];
        let zero = F::zero();
        match gates {
            Gates::Original => Self { i: block(0), f: zero, g: block(1), o: block(2) },
            Gates::Coupled => Self { i: zero, f: block(0), g: block(1), o: block(2) },
            Gates::Forget | Gates::Peephole => {
                Self { i: block(0), f: block(1), g: block(2), o: block(3) }
            }
        }
    }

    fn write(self, gates: Gates, row: &mut [F], k: usize) {
        let hidden = row.len() / gates.count();
        let Self { i, f, g, o } = self;
        let mut put = |blocks: &[F]| {
            for (n, value) in blocks.iter().enumerate() {
                row[n * hidden + k] = *value;
            }
        };
        match gates {
            Gates::Original => put(&[i, g, o]),
            Gates::Coupled => put(&[f, g, o]),
            Gates::Forget | Gates::Peephole => put(&[i, f, g, o]),
        }
    }

    /// The activated gates and the cell they lead to.
    fn activate(self, gates: Gates, p: Peephole<F>, c: F) -> (Self, F) {
        let g = self.g.squashed();
        match gates {
            Gates::Original => {
                let (i, o) = (self.i.sigmoid(), self.o.sigmoid());
                (Self { i, f: F::zero(), g, o }, c + i * g)
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
                (Self { i: F::zero(), f, g, o }, f * c + (F::one() - f) * g)
            }
        }
    }

    /// The gradients of the gates before their activations and of the cell before the step, from
    /// the activated gates, the cell before and after, and the gradients that arrive.
    fn backward(self, gates: Gates, p: Peephole<F>, cells: (F, F), dh: F, dc: F) -> (Self, F) {
        let Self { i, f, g, o } = self;
        let (c, c_new) = cells;
        let tanh_c = c_new.squashed();
        let d_o = dh * tanh_c * o.through_sigmoid();
        let dc = dc + dh * o * tanh_c.through_tanh();
        let zero = F::zero();
        match gates {
            Gates::Original => {
                let d_i = dc * g * i.through_sigmoid();
                (Self { i: d_i, f: zero, g: dc * i * g.through_tanh(), o: d_o }, dc)
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
                let d_g = dc * (F::one() - f) * g.through_tanh();
                (Self { i: zero, f: d_f, g: d_g, o: d_o }, dc * f)
            }
        }
    }
}

/// The peephole weights of unit `k`, out of `[3, H]`.
fn peephole_of<F: Real>(peephole: &[F], k: usize) -> Peephole<F> {
    let hidden = peephole.len() / 3;
    Peephole { i: peephole[k], f: peephole[hidden + k], o: peephole[2 * hidden + k] }
}

/// One row of the LSTM with a forget gate, `i f g o` before their activations in `a`: block by block,
/// so that every pass becomes vector instructions.
fn forward_forget<F: Real>(a: &mut [F], c: &[F], c_new: &mut [F], h_new: &mut [F]) {
    let hidden = c.len();
    let (i_f, g_o) = a.split_at_mut(2 * hidden);
    let (g, o) = g_o.split_at_mut(hidden);
    i_f.iter_mut().for_each(|a| *a = a.sigmoid());
    g.iter_mut().for_each(|a| *a = a.squashed());
    o.iter_mut().for_each(|a| *a = a.sigmoid());
    let (i, f) = i_f.split_at(hidden);
    for ((c_new, c), ((i, f), g)) in c_new.iter_mut().zip(c).zip(i.iter().zip(f).zip(g.iter())) {
        *c_new = *f * *c + *i * *g;
    }
    for ((h_new, c_new), o) in h_new.iter_mut().zip(c_new.iter()).zip(o.iter()) {
        *h_new = *o * c_new.squashed();
    }
}

/// The gradients of one row of the LSTM with a forget gate, over its activated gates in `da`.
fn backward_forget<F: Real>(da: &mut [F], c: &[F], c_new: &[F], dh: &mut [F], dc: &mut [F]) {
    let hidden = c.len();
    let (i_f, g_o) = da.split_at_mut(2 * hidden);
    let ((i, f), (g, o)) = (i_f.split_at_mut(hidden), g_o.split_at_mut(hidden));
    let (dh, dc, c_new) = (&mut dh[..hidden], &mut dc[..hidden], &c_new[..hidden]);
    for k in 0..hidden {
        let tanh_c = c_new[k].squashed();
        let d = dc[k] + dh[k] * o[k] * tanh_c.through_tanh();
        let (d_i, d_f) = (d * g[k] * i[k].through_sigmoid(), d * c[k] * f[k].through_sigmoid());
        o[k] = dh[k] * tanh_c * o[k].through_sigmoid();
        g[k] = d * i[k] * g[k].through_tanh();
        dc[k] = d * f[k];
        (i[k], f[k]) = (d_i, d_f);
    }
    dh.fill(F::zero());
}

pub(super) fn forward<F: Real>(
    x: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    peephole: &FloatTensor<Flex>,
    h0: &FloatTensor<Flex>,
    c0: &FloatTensor<Flex>,
    gates: Gates,
    course: &Course,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let [hidden, width] = [w_h.shape()[0], w_h.shape()[1]];
    let parts = rows::parts(course.lengths.batch(), hidden, width);
    let run = |part: &Range<usize>| {
        let (x, course) = (rows::of(x, 1, part), rows::course(course, part));
        let (h0, c0) = (rows::of(h0, 0, part), rows::of(c0, 0, part));
        forward_rows::<F>(&x, w_h, peephole, &h0, &c0, gates, &course)
    };
    if parts.len() == 1 {
        return forward_rows::<F>(x, w_h, peephole, h0, c0, gates, course);
    }
    let (states, (activated, cells)): (Vec<_>, (Vec<_>, Vec<_>)) =
        rows::each(&parts, run).into_iter().map(|(states, a, c)| (states, (a, c))).unzip();
    (rows::joined(states, 1), rows::joined(activated, 1), rows::joined(cells, 1))
}

fn forward_rows<F: Real>(
    x: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    peephole: &FloatTensor<Flex>,
    h0: &FloatTensor<Flex>,
    c0: &FloatTensor<Flex>,
    gates: Gates,
    course: &Course,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let width = gates.count() * hidden;
    let (x, w_h) = (Elements::<F>::of(x), Elements::<F>::of(w_h));
    let (h0, c0) = (Elements::<F>::of(h0), Elements::<F>::of(c0));
    let peephole = Elements::<F>::of(peephole);
    let w_h = Matrix::new(w_h.get(), hidden, width);

    let mut activated = x.get().to_vec();
    // One more state than the recurrence has: the final cell goes out with the hidden states.
    let mut states = vec![F::zero(); (steps + 2) * sizes.state()];
    let mut cells = vec![F::zero(); (steps + 1) * sizes.state()];
    let first = sizes.range(course.direction.first(steps), 1);
    states[first.clone()].copy_from_slice(h0.get());
    cells[first].copy_from_slice(c0.get());

    for step in course.direction.steps(steps) {
        let a = &mut activated[sizes.range(step.t, gates.count())];
        let (h, h_new) = neighbours(&mut states, sizes, step.before, step.after);
        let (c, c_new) = neighbours(&mut cells, sizes, step.before, step.after);
        add_product(Target::new(a, width), Matrix::new(h, batch, hidden), w_h);
        for (row, length) in course.lengths.as_slice().iter().enumerate() {
            let a = &mut a[row * width..(row + 1) * width];
            let row = row * hidden..(row + 1) * hidden;
            if step.t >= *length {
                a.fill(F::zero());
                h_new[row.clone()].copy_from_slice(&h[row.clone()]);
                c_new[row.clone()].copy_from_slice(&c[row]);
                continue;
            }
            let (c, h_new, c_new) = (&c[row.clone()], &mut h_new[row.clone()], &mut c_new[row]);
            if gates == Gates::Forget {
                forward_forget(a, c, c_new, h_new);
                continue;
            }
            for k in 0..hidden {
                let p = peephole_of(peephole.get(), k);
                let (unit, cell) = Unit::read(gates, a, k).activate(gates, p, c[k]);
                unit.write(gates, a, k);
                c_new[k] = cell;
                h_new[k] = unit.o * cell.squashed();
            }
        }
    }
    let last_cell = cells[sizes.range(course.direction.last(steps), 1)].to_vec();
    states[sizes.range(steps + 1, 1)].copy_from_slice(&last_cell);
    (
        tensor(states, &[steps + 2, batch, hidden]),
        tensor(activated, &[steps, batch, width]),
        tensor(cells, &[steps + 1, batch, hidden]),
    )
}

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
    let [hidden, width] = [w_h.shape()[0], w_h.shape()[1]];
    let parts = rows::parts(course.lengths.batch(), hidden, width);
    if parts.len() == 1 {
        return backward_rows::<F>(grad, w_h, peephole, states, activated, cells, gates, course);
    }
    let run = |part: &Range<usize>| {
        let [grad, states, activated, cells] =
            [grad, states, activated, cells].map(|tensor| rows::of(tensor, 1, part));
        let course = rows::course(course, part);
        backward_rows::<F>(&grad, w_h, peephole, &states, &activated, &cells, gates, &course)
    };
    let [mut da, mut dw, mut dp, mut dh, mut dc] = [const { Vec::new() }; 5];
    for part in rows::each(&parts, run) {
        da.push(part.0);
        dw.push(part.1);
        dp.push(part.2);
        dh.push(part.3);
        dc.push(part.4);
    }
    (
        rows::joined(da, 1),
        rows::summed(dw),
        rows::summed(dp),
        rows::joined(dh, 0),
        rows::joined(dc, 0),
    )
}

/// By the gates before their activations, `w_h`, the peepholes, `h0` and `c0`.
type Gradients =
    (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>);

fn backward_rows<F: Real>(
    grad: &FloatTensor<Flex>,
    w_h: &FloatTensor<Flex>,
    peephole: &FloatTensor<Flex>,
    states: &FloatTensor<Flex>,
    activated: &FloatTensor<Flex>,
    cells: &FloatTensor<Flex>,
    gates: Gates,
    course: &Course,
) -> Gradients {
    let sizes = Sizes::new(&course.lengths, w_h);
    let Sizes { steps, batch, hidden } = sizes;
    let width = gates.count() * hidden;
    let (grad, w_h) = (Elements::<F>::of(grad), Elements::<F>::of(w_h));
    let (states, cells) = (Elements::<F>::of(states), Elements::<F>::of(cells));
    let (activated, peephole) = (Elements::<F>::of(activated), Elements::<F>::of(peephole));
    let (cells, peephole) = (cells.get(), peephole.get());
    let w_h_t = Matrix::new(w_h.get(), hidden, width).transposed();
    let w_h_t = Matrix::new(&w_h_t, width, hidden);

    // Padded steps have all their gates at zero, so what is taken from here is zero there too.
    let mut da = activated.get().to_vec();
    let mut dp = vec![F::zero(); 3 * hidden];
    let mut dh = grad.get()[sizes.range(course.direction.last(steps), 1)].to_vec();
    let mut dc = grad.get()[sizes.range(steps + 1, 1)].to_vec();

    for step in course.direction.steps(steps).rev() {
        let c = &cells[sizes.range(step.before, 1)];
        let c_new = &cells[sizes.range(step.after, 1)];
        let da_t = &mut da[sizes.range(step.t, gates.count())];
        for (row, length) in course.lengths.as_slice().iter().enumerate() {
            if step.t >= *length {
                continue;
            }
            let da_row = &mut da_t[row * width..(row + 1) * width];
            if gates == Gates::Forget {
                let own = row * hidden..(row + 1) * hidden;
                let (dh, dc) = (&mut dh[own.clone()], &mut dc[own.clone()]);
                backward_forget(da_row, &c[own.clone()], &c_new[own], dh, dc);
                continue;
            }
            for k in 0..hidden {
                let n = row * hidden + k;
                let p = peephole_of(peephole, k);
                let (d, dc_before) =
                    Unit::read(gates, da_row, k).backward(gates, p, (c[n], c_new[n]), dh[n], dc[n]);
                d.write(gates, da_row, k);
                dc[n] = dc_before;
                dh[n] = F::zero();
                if gates == Gates::Peephole {
                    dp[k] = dp[k] + d.i * c[n];
                    dp[hidden + k] = dp[hidden + k] + d.f * c[n];
                    dp[2 * hidden + k] = dp[2 * hidden + k] + d.o * c_new[n];
                }
            }
        }
        // Padded rows keep their `dh`: their `da` is zero.
        let da_t = Matrix::new(da_t, batch, width);
        add_product(Target::new(&mut dh, hidden), da_t, w_h_t);
        for (dh, grad) in dh.iter_mut().zip(&grad.get()[sizes.range(step.before, 1)]) {
            *dh = *dh + *grad;
        }
    }

    let before = &states.get()[course.direction.inputs_from() * sizes.state()..];
    let before = Matrix::new(before, steps * batch, hidden);
    let mut dw = vec![F::zero(); hidden * width];
    let da_all = Matrix::new(&da, steps * batch, width);
    add_product(Target::new(&mut dw, width), before.transpose(), da_all);
    (
        tensor(da, &[steps, batch, width]),
        tensor(dw, &[hidden, width]),
        tensor(dp, &[3, hidden]),
        tensor(dh, &[batch, hidden]),
        tensor(dc, &[batch, hidden]),
    )
}
