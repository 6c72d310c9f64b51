//! The equations are those of [`layer_norm_sequence`](crate::layer_norm_sequence), row by row.
//!
//! A row is read three times while it is in the nearest cache: for its mean, for the variance of what is
//! left, and to be written. Sums over rows are taken in blocks whose bounds follow from the shape alone.

use std::ops::Range;

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Elements, finished,
    simd::{Isa, Lanes, lanes},
    tensor,
    threads::{self, Shared},
    wide::{self, Wide, wide},
};
use crate::Lengths;

/// Blocks of rows that are summed by themselves.
const BLOCKS: usize = 32;

/// Sums that do not wait for each other.
const SUMS: usize = 4;

/// What a point-wise operation on a number costs, in multiplications, so that threads are called for what
/// is worth it.
const POINTWISE: usize = 16;

/// The mean of a row, and `1 / √(var + ε)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments<F> {
    pub(super) mean: F,
    pub(super) scale: F,
}

/// Of a row of which `sum` is known.
#[inline(always)]
pub(super) fn moments<S: Simd, F: Wide>(simd: S, row: &[F], sum: F, epsilon: F) -> Moments<F> {
    let share = F::one() / F::of_double(row.len() as f64);
    let mean = sum * share;
    let centre = Lanes::splat(simd, mean);
    let squares = sum_of(simd, row, |a| {
        let a = a - centre;
        a * a
    });
    Moments { mean, scale: F::one() / (squares * share + epsilon).sqrt() }
}

/// `Σ f(a)` over a row.
#[inline(always)]
pub(super) fn sum_of<S: Simd, F: Wide>(
    simd: S,
    row: &[F],
    f: impl Fn(Lanes<S, F>) -> Lanes<S, F>,
) -> F {
    let register = lanes::<S, F>();
    let mut sums = [Lanes::splat(simd, F::zero()); SUMS];
    let mut chunks = row.chunks_exact(SUMS * register);
    for chunk in &mut chunks {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum = *sum + f(Lanes::load(simd, &chunk[n * register..]));
        }
    }
    for (sum, rest) in sums.iter_mut().zip(chunks.remainder().chunks(register)) {
        // What is beyond the row does not count, whatever `f` makes of it.
        let a = f(Lanes::load(simd, rest));
        *sum = *sum + a.first(simd, rest.len());
    }
    let [a, b, c, d] = sums;
    ((a + b) + (c + d)).total()
}

impl<S: Simd, F: Wide> Lanes<S, F> {
    /// The first `count` numbers, then zeros.
    #[inline(always)]
    fn first(self, simd: S, count: usize) -> Self {
        let mut register = [self.register];
        bytemuck::cast_slice_mut::<_, F>(&mut register)[count..].fill(F::zero());
        Self::new(simd, register[0])
    }
}

/// Rows of which some are padding.
#[derive(Clone, Copy)]
struct Rows<'a> {
    lengths: &'a Lengths,
    width: usize,
}

impl Rows<'_> {
    fn count(self) -> usize {
        self.lengths.steps() * self.lengths.batch()
    }

    fn is_real(self, row: usize) -> bool {
        let batch = self.lengths.batch();
        row / batch < self.lengths.as_slice()[row % batch]
    }

    fn blocks(self) -> usize {
        BLOCKS.min(self.count())
    }

    fn block(self, n: usize) -> Range<usize> {
        n * self.count() / self.blocks()..(n + 1) * self.count() / self.blocks()
    }

    /// Runs every block, several at a time if it is worth it.
    fn each_block(self, run: impl Fn(usize) + Send + Sync) {
        threads::each(self.blocks(), self.count() * self.width * POINTWISE, run);
    }
}

pub(super) fn forward<F: Wide>(
    x: &FloatTensor<Flex>,
    gamma: &FloatTensor<Flex>,
    beta: &FloatTensor<Flex>,
    epsilon: f64,
    lengths: &Lengths,
) -> FloatTensor<Flex> {
    let isa = Isa::detected();
    let rows = Rows { lengths, width: gamma.shape()[0] };
    let (x, gamma, beta) =
        (Elements::<F>::of(x), Elements::<F>::of(gamma), Elements::<F>::of(beta));
    let mut y = Vec::with_capacity(rows.count() * rows.width);
    let to = Shared::unwritten(&mut y);
    let (x, gamma, beta) = (x.get(), gamma.get(), beta.get());
    rows.each_block(|n| isa.run(ForwardBlock { rows, n, x, gamma, beta, epsilon, to }));
    // Every row is in one block, and a block writes all of its rows.
    let y = finished(y, rows.count() * rows.width);
    tensor(y, &[lengths.steps(), lengths.batch(), rows.width])
}

/// The forward pass of a block of rows.
struct ForwardBlock<'a, F> {
    rows: Rows<'a>,
    n: usize,
    x: &'a [F],
    gamma: &'a [F],
    beta: &'a [F],
    epsilon: f64,
    to: Shared<F>,
}

impl<F: Wide> WithSimd for ForwardBlock<'_, F> {
    type Output = ();

    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn with_simd<S: Simd>(self, simd: S) {
        let (width, register) = (self.rows.width, lanes::<S, F>());
        for row in self.rows.block(self.n) {
            // SAFETY: a block's rows are its own.
            let y = unsafe { self.to.slice_mut(row * width, width) };
            if !self.rows.is_real(row) {
                y.fill(F::zero());
                continue;
            }
            let x = &self.x[row * width..][..width];
            let sum = sum_of(simd, x, |a| a);
            let Moments { mean, scale } = moments(simd, x, sum, F::of_double(self.epsilon));
            let (mean, scale) = (Lanes::splat(simd, mean), Lanes::splat(simd, scale));
            let affine = self.gamma.chunks(register).zip(self.beta.chunks(register));
            let columns = x.chunks(register).zip(y.chunks_mut(register)).zip(affine);
            for ((x, y), (gamma, beta)) in columns {
                let normalised = (Lanes::load(simd, x) - mean) * scale;
                let beta = Lanes::load(simd, beta);
                normalised.times_plus(Lanes::load(simd, gamma), beta).store(y);
            }
        }
    }
}

/// By `x`, in its memory if nobody else has it, `γ` and `β`.
pub(super) fn backward<F: Wide>(
    grad: &FloatTensor<Flex>,
    x: FloatTensor<Flex>,
    gamma: &FloatTensor<Flex>,
    epsilon: f64,
    lengths: &Lengths,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let isa = Isa::detected();
    let rows = Rows { lengths, width: gamma.shape()[0] };
    let (grad, gamma) = (Elements::<F>::of(grad), Elements::<F>::of(gamma));
    let mut x = wide::own::<F>(x);
    let mut sums = vec![F::zero(); rows.blocks() * 2 * rows.width];
    let (grad, gamma) = (grad.get(), gamma.get());
    let (in_place, sums_of) = (Shared::new(x.storage_mut()), Shared::new(&mut sums));
    rows.each_block(|n| {
        isa.run(BackwardBlock { rows, n, grad, gamma, epsilon, x: in_place, sums: sums_of });
    });
    let mut d_gamma = sum_of_rows(&sums, 2 * rows.width);
    let d_beta = d_gamma.split_off(rows.width);
    (x, tensor(d_gamma, &[rows.width]), tensor(d_beta, &[rows.width]))
}

/// The backward pass of a block of rows.
struct BackwardBlock<'a, F> {
    rows: Rows<'a>,
    n: usize,
    grad: &'a [F],
    gamma: &'a [F],
    epsilon: f64,
    /// Where the gradient goes.
    x: Shared<F>,
    /// `[blocks, 2 · K]`.
    sums: Shared<F>,
}

impl<F: Wide> WithSimd for BackwardBlock<'_, F> {
    type Output = ();

    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.rows.width;
        // SAFETY: a block's sums are its own.
        let sums = unsafe { self.sums.slice_mut(self.n * 2 * width, 2 * width) };
        let (d_gamma, d_beta) = sums.split_at_mut(width);
        for row in self.rows.block(self.n) {
            // SAFETY: a block's rows are its own.
            let x = unsafe { self.x.slice_mut(row * width, width) };
            if self.rows.is_real(row) {
                let grad = &self.grad[row * width..][..width];
                let sum = sum_of(simd, x, |a| a);
                let moments = moments(simd, x, sum, F::of_double(self.epsilon));
                backward_row(simd, grad, (self.gamma, moments), x, [&mut *d_gamma, &mut *d_beta]);
            } else {
                x.fill(F::zero());
            }
        }
    }
}

/// Turns a row into its gradient, and adds what it contributes to the gradients of `γ` and `β`.
#[inline(always)]
fn backward_row<S: Simd, F: Wide>(
    simd: S,
    grad: &[F],
    (gamma, moments): (&[F], Moments<F>),
    x: &mut [F],
    [d_gamma, d_beta]: [&mut [F]; 2],
) {
    let register = lanes::<S, F>();
    let share = F::one() / F::of_double(x.len() as f64);
    let (mean, scale) = (Lanes::splat(simd, moments.mean), Lanes::splat(simd, moments.scale));
    let zero = Lanes::splat(simd, F::zero());
    let (mut sum, mut along) = (zero, zero);
    let columns = x.chunks(register).zip(grad.chunks(register)).zip(gamma.chunks(register));
    let sums = d_gamma.chunks_mut(register).zip(d_beta.chunks_mut(register));
    for (((x, grad), gamma), (d_gamma, d_beta)) in columns.zip(sums) {
        let normalised = (Lanes::load(simd, x) - mean) * scale;
        let grad = Lanes::load(simd, grad);
        grad.times_plus(normalised, Lanes::load(simd, d_gamma)).store(d_gamma);
        (grad + Lanes::load(simd, d_beta)).store(d_beta);
        let grad = grad * Lanes::load(simd, gamma);
        sum = sum + grad;
        along = grad.times_plus(normalised, along);
    }
    let (sum, along) = (sum.total() * share, along.total() * share);
    let (sum, along) = (Lanes::splat(simd, sum), Lanes::splat(simd, along));
    let columns = x.chunks_mut(register).zip(grad.chunks(register)).zip(gamma.chunks(register));
    for ((x, grad), gamma) in columns {
        let normalised = (Lanes::load(simd, x) - mean) * scale;
        let grad = Lanes::load(simd, grad) * Lanes::load(simd, gamma);
        ((grad - sum - normalised * along) * scale).store(x);
    }
}

/// The sum of rows of `width`, one after the other.
pub(super) fn sum_of_rows<F: Wide>(rows: &[F], width: usize) -> Vec<F> {
    let mut sums = vec![F::zero(); width];
    let columns = |(n, sums): (usize, &mut [F])| {
        for row in rows.chunks_exact(width) {
            add(sums, &row[n * wide::BLOCK..][..sums.len()]);
        }
    };
    if rows.len() < wide::LONG {
        sums.chunks_mut(wide::BLOCK).enumerate().for_each(columns);
    } else {
        sums.par_chunks_mut(wide::BLOCK).enumerate().for_each(columns);
    }
    sums
}

wide! {
    /// `to ← to + from`.
    fn add(to: &mut [F], from: &[F]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *to + *from;
        }
    }
}
