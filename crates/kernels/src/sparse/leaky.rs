//! Leaky units: the recurrence of an echo state network.

use std::ops::Range;

use rayon::prelude::*;

use super::{Number, Weights, matrix::WINDOW};
use crate::flex::{
    threads::{Shared, Team, parts},
    wide::wide,
};

/// What a sum passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Squash {
    /// The hyperbolic tangent.
    Tanh,
    /// Nothing: the units are linear.
    Identity,
}

/// Units that average over time, with weights that never change.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakyUnits<F> {
    /// `W`, `[N, N]`.
    pub w: Weights<F>,
    /// `W_in`, `[N, K]`.
    pub w_in: Weights<F>,
    /// `b`, `[N]`.
    pub b: Vec<F>,
    /// The share of the state that is kept, `[N]`.
    pub keep: Vec<F>,
    /// What the new is multiplied by, `[N]`.
    pub gain: Vec<F>,
    /// `f`.
    pub squash: Squash,
}

/// Where the states of a sequence go: one row a step, of which they take `N` numbers from `offset` on.
#[derive(Debug)]
pub struct Rows<'a, F> {
    /// `[T, stride]`.
    pub elements: &'a mut [F],
    /// Numbers of a row.
    pub stride: usize,
    /// Where the states begin in a row.
    pub offset: usize,
}

/// How many sequences lie side by side in a batch.
const SIDE_BY_SIDE: usize = 16;

/// Multiplications of a step that are worth a second thread: the threads meet at every step.
const WORTH_MEETING: usize = 12_000;

impl<F: Number> LeakyUnits<F> {
    /// Units, `N`.
    pub fn units(&self) -> usize {
        self.b.len()
    }

    /// Inputs, `K`.
    pub fn inputs(&self) -> usize {
        self.w_in.columns()
    }

    /// Runs one sequence and leaves all of its states, and the last one in `state`.
    ///
    /// # Shapes
    ///
    /// - `u`: `[T, K]`; `noise`: `[T, N]`, or nothing; `state`: `[N]`, before the first step
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn sequence(&self, u: &[F], noise: Option<&[F]>, state: &mut [F], rows: Rows<'_, F>) {
        let (n, k) = (self.units(), self.inputs());
        let steps = self.check(u, state, &rows);
        assert!(noise.is_none_or(|noise| noise.len() == steps * n), "noise [T, N]");
        if steps == 0 {
            return;
        }
        let each_step = weights(&self.w) + n * k;
        // A thread that is woken up late is no loss: the others take its part.
        let members = match each_step < WORTH_MEETING {
            true => 1,
            false => parts(each_step * steps * 8).min(n.div_ceil(WINDOW)),
        };
        let before = state.to_vec();
        let run = Run {
            units: self,
            u,
            noise,
            before: &before,
            to: Shared::new(rows.elements),
            stride: rows.stride,
            offset: rows.offset,
            steps,
        };
        let team = Team::new(members);
        if members == 1 {
            member(&run, &team, 0);
        } else {
            (0..members).into_par_iter().with_max_len(1).for_each(|m| member(&run, &team, m));
        }
        let last = (steps - 1) * rows.stride + rows.offset;
        state.copy_from_slice(&rows.elements[last..last + n]);
    }

    /// Runs as many sequences as there are `rows`, each as [`sequence`](Self::sequence) does, beside each
    /// other. They may have different lengths.
    ///
    /// # Shapes
    ///
    /// - `u`: `[T_s, K]` each; `states`: `[N]` each
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn batch(&self, u: &[&[F]], states: &mut [Vec<F>], rows: &mut [Rows<'_, F>]) {
        assert!(u.len() == states.len() && u.len() == rows.len(), "as many of each as sequences");
        let mut all: Vec<Sequence<'_, '_, F>> = u
            .iter()
            .zip(states)
            .zip(rows)
            .map(|((u, state), rows)| {
                let steps = self.check(u, state, rows);
                Sequence { u, state, rows, steps }
            })
            .collect();
        // Those that end together stand together.
        all.sort_by_key(|sequence| std::cmp::Reverse(sequence.steps));
        let many = all.len() > SIDE_BY_SIDE;
        let mut groups: Vec<_> = all.chunks_mut(SIDE_BY_SIDE).collect();
        if many {
            groups.par_iter_mut().with_max_len(1).for_each(|group| side_by_side(self, group));
        } else {
            groups.iter_mut().for_each(|group| side_by_side(self, group));
        }
    }

    /// The number of steps, once all shapes are right.
    fn check(&self, u: &[F], state: &[F], rows: &Rows<'_, F>) -> usize {
        let (n, k) = (self.units(), self.inputs());
        assert!(self.w.rows() == n && self.w.columns() == n, "weights [N, N]");
        assert!(self.w_in.rows() == n, "weights of the input [N, K]");
        assert!(self.keep.len() == n && self.gain.len() == n, "a rate for every unit");
        assert_eq!(state.len(), n, "a state [N]");
        assert!(rows.offset + n <= rows.stride, "a row has room for the states");
        assert!(u.len().is_multiple_of(k), "inputs [T, K]");
        let steps = u.len() / k;
        assert_eq!(rows.elements.len(), steps * rows.stride, "a row for every step");
        steps
    }
}

/// How many multiplications a product with these weights takes.
fn weights<F: Number>(weights: &Weights<F>) -> usize {
    match weights {
        Weights::Sparse(matrix) => matrix.len(),
        Weights::Dense { values, .. } => values.len() / 4,
    }
}

/// What the members of a team have in common.
struct Run<'a, F> {
    units: &'a LeakyUnits<F>,
    u: &'a [F],
    noise: Option<&'a [F]>,
    before: &'a [F],
    to: Shared<F>,
    stride: usize,
    offset: usize,
    steps: usize,
}

impl<F: Number> Run<'_, F> {
    /// One step of some units; the step before is done.
    #[inline(always)]
    #[expect(unsafe_code, reason = "threads write parts of the same memory")]
    fn step(&self, t: usize, units: Range<usize>) {
        let LeakyUnits { w, w_in, b, keep, gain, squash } = self.units;
        let (n, k) = (b.len(), w_in.columns());
        let start = t * self.stride + self.offset;
        let before = match t {
            0 => self.before,
            // SAFETY: the step before is done, and nobody writes it any more.
            _ => unsafe { self.to.slice(start - self.stride, n) },
        };
        // SAFETY: these units of this step are this call's own.
        let x = unsafe { self.to.slice_mut(start + units.start, units.len()) };
        let u = &self.u[t * k..(t + 1) * k];
        x.copy_from_slice(&b[units.clone()]);
        add_product(w_in, units.clone(), u, x);
        add_product(w, units.clone(), before, x);
        if let Some(noise) = self.noise {
            for (x, noise) in x.iter_mut().zip(&noise[t * n + units.start..]) {
                *x = *x + *noise;
            }
        }
        if *squash == Squash::Tanh {
            for x in x.iter_mut() {
                *x = x.tangent();
            }
        }
        let rates = keep[units.clone()].iter().zip(&gain[units.clone()]);
        for ((x, before), (keep, gain)) in x.iter_mut().zip(&before[units]).zip(rates) {
            *x = keep.mul_add(*before, *gain * *x);
        }
    }
}

wide! {
    /// The steps and units that fall to one of a team.
    fn member<F: Number>(run: &Run<'_, F>, team: &Team, member: usize) {
        let n = run.units.units();
        for (t, part) in team.walk(member, run.steps) {
            let windows = team.cut(part, n.div_ceil(WINDOW));
            run.step(t, windows.start * WINDOW..n.min(windows.end * WINDOW));
        }
    }

    /// `y += W · x`.
    pub(super) fn add_products<F: Number>(w: &Weights<F>, x: &[F], y: &mut [F]) {
        add_product(w, 0..y.len(), x, y);
    }
}

/// Sums of a dense row.
const LANES: usize = 16;

/// `y[row] += Σ_j W[row, j] · x[j]` for some rows, whole windows of them. Fewer than [`LANES`] columns are added
/// one after the other, and so are those that a sparse matrix has.
#[inline(always)]
fn add_product<F: Number>(w: &Weights<F>, rows: Range<usize>, x: &[F], y: &mut [F]) {
    match w {
        Weights::Sparse(matrix) => matrix.add(rows, x, y),
        Weights::Dense { values, columns: 1 } => {
            for (y, value) in y.iter_mut().zip(&values[rows]) {
                *y = value.mul_add(x[0], *y);
            }
        }
        Weights::Dense { values, columns } => {
            let weights = values[rows.start * columns..].chunks_exact(*columns);
            for (y, row) in y.iter_mut().zip(weights) {
                *y = dot(row, x, *y);
            }
        }
    }
}

/// `sum + Σ_j w[j] · x[j]`.
#[inline(always)]
fn dot<F: Number>(w: &[F], x: &[F], sum: F) -> F {
    let mut sum = sum;
    let ((blocks, rest), (x_blocks, x_rest)) = (w.as_chunks::<LANES>(), x.as_chunks::<LANES>());
    if !blocks.is_empty() {
        let mut sums = [F::zero(); LANES];
        for (w, x) in blocks.iter().zip(x_blocks) {
            for n in 0..LANES {
                sums[n] = w[n].mul_add(x[n], sums[n]);
            }
        }
        let mut all = F::zero();
        for lane in sums {
            all = all + lane;
        }
        sum = sum + all;
    }
    for (w, x) in rest.iter().zip(x_rest) {
        sum = w.mul_add(*x, sum);
    }
    sum
}

/// One sequence of a batch.
struct Sequence<'a, 'b, F> {
    u: &'a [F],
    state: &'a mut Vec<F>,
    rows: &'a mut Rows<'b, F>,
    steps: usize,
}

/// A number of each of the sequences that lie side by side.
type Side<F> = [F; SIDE_BY_SIDE];

wide! {
    /// Up to [`SIDE_BY_SIDE`] sequences, the longest first.
    fn side_by_side<F: Number>(units: &LeakyUnits<F>, sequences: &mut [Sequence<'_, '_, F>]) {
        let LeakyUnits { w, w_in, b, keep, gain, squash } = units;
        let (n, k) = (b.len(), w_in.columns());
        let zero = [F::zero(); SIDE_BY_SIDE];
        let mut before = vec![zero; n];
        for (s, sequence) in sequences.iter().enumerate() {
            for (before, state) in before.iter_mut().zip(sequence.state.iter()) {
                before[s] = *state;
            }
        }
        let mut after = vec![zero; n];
        let mut u = vec![zero; k];
        for t in 0..sequences.first().map_or(0, |longest| longest.steps) {
            let running = sequences.iter().take_while(|sequence| sequence.steps > t).count();
            for (s, sequence) in sequences[..running].iter().enumerate() {
                for (u, number) in u.iter_mut().zip(&sequence.u[t * k..]) {
                    u[s] = *number;
                }
            }
            for (unit, x) in after.iter_mut().enumerate() {
                let mut sum = [b[unit]; SIDE_BY_SIDE];
                add(w_in, unit, &u, &mut sum);
                add(w, unit, &before, &mut sum);
                if *squash == Squash::Tanh {
                    for sum in &mut sum {
                        *sum = sum.tangent();
                    }
                }
                for s in 0..SIDE_BY_SIDE {
                    x[s] = keep[unit].mul_add(before[unit][s], gain[unit] * sum[s]);
                }
            }
            for (s, sequence) in sequences[..running].iter_mut().enumerate() {
                let start = t * sequence.rows.stride + sequence.rows.offset;
                for (to, x) in sequence.rows.elements[start..start + n].iter_mut().zip(&after) {
                    *to = x[s];
                }
            }
            std::mem::swap(&mut before, &mut after);
        }
        for sequence in sequences {
            if sequence.steps > 0 {
                let start = (sequence.steps - 1) * sequence.rows.stride + sequence.rows.offset;
                sequence.state.copy_from_slice(&sequence.rows.elements[start..start + n]);
            }
        }
    }
}

/// `sum += W[row] · x`.
#[inline(always)]
fn add<F: Number>(w: &Weights<F>, row: usize, x: &[Side<F>], sum: &mut Side<F>) {
    let mut join = |x: &Side<F>, value: F| {
        for s in 0..SIDE_BY_SIDE {
            sum[s] = value.mul_add(x[s], sum[s]);
        }
    };
    match w {
        Weights::Sparse(matrix) => {
            let (places, values) = matrix.row(row);
            for (place, value) in places.iter().zip(values) {
                join(&x[*place as usize], *value);
            }
        }
        Weights::Dense { values, columns } => {
            for (value, x) in values[row * columns..].iter().zip(x) {
                join(x, *value);
            }
        }
    }
}
