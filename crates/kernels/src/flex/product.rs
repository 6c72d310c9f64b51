//! Large products: rows times panels, and the sum of outer products that a weight's gradient is.
//!
//! Rows are given by where they start, so that padded steps are left out and nothing is copied to be
//! multiplied.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{
    Real,
    panels::{Aligned, Panels},
    simd::{Isa, Lanes, lanes},
    threads::{self, Shared},
    tile::{self, MOST_ROWS, Panel, Rows, WIDEST},
};

/// Rows of a matrix: where each starts in its memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starts<'a, F> {
    pub(super) elements: &'a [F],
    pub(super) starts: &'a [usize],
}

/// Multiplies rows by panels: `to[n] = rows[n] · w (+ bias)`.
pub(super) fn rows_times<F: Real>(
    isa: Isa,
    rows: Starts<'_, F>,
    w: &Panels<F>,
    bias: Option<&[F]>,
    to: Shared<F>,
    to_starts: &[usize],
) {
    assert_eq!(rows.starts.len(), to_starts.len(), "every row has a result");
    // So many rows stay in the cache while all panels pass.
    const BLOCK: usize = 96;
    let (count, k) = (rows.starts.len(), w.rows());
    let work = count * k * w.count() * w.columns(0).len();
    let row_blocks = count.div_ceil(BLOCK);
    let enough = 4 * threads::parts(work);
    let panel_blocks = (enough / row_blocks.max(1)).clamp(1, w.count().max(1));
    threads::each(row_blocks * panel_blocks, work, |n| {
        let cut = |part: usize, of: usize, all: usize| part * all / of..(part + 1) * all / of;
        isa.run(RowsTimes {
            rows,
            w,
            bias,
            to,
            to_starts,
            chosen: cut(n / panel_blocks, row_blocks, count),
            panels: cut(n % panel_blocks, panel_blocks, w.count()),
        });
    });
}

/// Some rows times some panels.
struct RowsTimes<'a, F> {
    rows: Starts<'a, F>,
    w: &'a Panels<F>,
    bias: Option<&'a [F]>,
    to: Shared<F>,
    to_starts: &'a [usize],
    chosen: Range<usize>,
    panels: Range<usize>,
}

impl<F: Real> WithSimd for RowsTimes<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // More rows of a panel would not stay in the cache.
        const AT_ONCE: usize = 1024;
        let k = self.w.rows();
        let mut from = 0;
        loop {
            let some = from..k.min(from + AT_ONCE);
            for n in self.panels.clone() {
                self.one_panel(simd, n, some.clone());
            }
            from = some.end;
            if from >= k {
                return;
            }
        }
    }
}

impl<F: Real> RowsTimes<'_, F> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "the innermost loop checks no bounds")]
    fn one_panel<S: Simd>(&self, simd: S, n: usize, k: Range<usize>) {
        let panel = self.w.get(n).rows::<S>(k.clone());
        let columns = self.w.columns(n);
        let write = if k.start > 0 { Write::Add } else { Write::Replace };
        for piece in tile::pieces::<S>(self.chosen.len(), panel.width) {
            let first = self.chosen.start + piece.start;
            let last = self.chosen.start + piece.end;
            let mut starts = [0; MOST_ROWS];
            for (start, from) in starts.iter_mut().zip(&self.rows.starts[first..last]) {
                *start = from + k.start;
            }
            let left = Rows::new(self.rows.elements, &starts[..piece.len()], k.len(), 1);
            let mut sums = tile::no_sums::<S, F>(simd);
            // SAFETY: `left` was made with as many elements as there are rows of the panel.
            unsafe { tile::multiply(simd, left, panel, &mut sums) };
            for (sums, start) in sums.iter().zip(&self.to_starts[first..last]) {
                // SAFETY: every row and every panel is one task's own, and no two of them overlap.
                let to = unsafe { self.to.slice_mut(start + columns.start, columns.len()) };
                let bias = self.bias.map(|bias| &bias[columns.clone()]);
                put(simd, sums, to, write, bias);
            }
        }
    }
}

/// Writes the sums of a row, with a bias if they replace what is there.
#[inline(always)]
fn put<S: Simd, F: Real>(
    simd: S,
    sums: &[F::Vector<S>; WIDEST],
    to: &mut [F],
    write: Write,
    bias: Option<&[F]>,
) {
    let register = lanes::<S, F>();
    for (w, to) in to.chunks_mut(register).enumerate() {
        let mut sum = Lanes::new(simd, sums[w]);
        match (write, bias) {
            (Write::Add, _) => sum = sum + Lanes::load(simd, to),
            (Write::Replace, Some(bias)) => {
                sum = sum + Lanes::load(simd, &bias[w * register..]);
            }
            (Write::Replace, None) => {}
        }
        sum.store(to);
    }
}

/// What becomes of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// It may be anything.
    Replace,
    /// It is added to.
    Add,
}

/// Where a sum of outer products goes.
#[derive(Debug)]
pub(super) struct Target<'a, F> {
    /// `[M, N]`, its rows `stride` apart.
    pub(super) elements: &'a mut [F],
    pub(super) stride: usize,
    /// `[N]`, for the sum of the right-hand side's rows.
    pub(super) sums: Option<&'a mut [F]>,
    pub(super) write: Write,
}

/// `to = Σ_n a[n]ᵀ · b[n]`, and `sums = Σ_n b[n]`, for rows of `m` and of `n` elements, the terms in the
/// order of the rows.
pub(super) fn outer<F: Real>(
    isa: Isa,
    (a, m): (Starts<'_, F>, usize),
    (b, n): (Starts<'_, F>, usize),
    target: Target<'_, F>,
) {
    let Target { elements: to, stride: to_stride, mut sums, write } = target;
    assert_eq!(a.starts.len(), b.starts.len(), "every row has its counterpart");
    assert!(to_stride >= n && (m == 0 || to.len() >= (m - 1) * to_stride + n), "a product fits");
    assert!(sums.as_ref().is_none_or(|sums| sums.len() == n), "a sum for every column");
    // So many rows of a panel stay in the cache while all of `a` passes.
    const BLOCK: usize = 512;
    let count = a.starts.len();
    if count == 0 {
        if write == Write::Add {
            return;
        }
        for row in to.chunks_mut(to_stride).take(m) {
            row[..n].fill(F::zero());
        }
        if let Some(sums) = sums {
            sums.fill(F::zero());
        }
        return;
    }
    let wide = isa.lanes::<F>() * WIDEST;
    let panels = n.div_ceil(wide);
    let to = Shared::new(to);
    let sums = sums.as_mut().map(|sums| Shared::new(sums));
    let mut columns = Aligned::zeros(m * BLOCK.min(count));
    for first in (0..count).step_by(BLOCK) {
        let block = first..count.min(first + BLOCK);
        let k = block.len();
        let work = k * m * n;
        // The columns of `a`, a tile's worth side by side.
        let packed = Shared::new(columns.get_mut());
        let pieces = m.div_ceil(COLUMNS);
        threads::each(pieces.div_ceil(PIECES), work, |part| {
            for piece in part * PIECES..pieces.min((part + 1) * PIECES) {
                let columns = piece * COLUMNS..m.min((piece + 1) * COLUMNS);
                pack_columns(a, block.clone(), columns, k, packed);
            }
        });
        let columns = columns.get();
        threads::each(panels, work, |panel| {
            isa.run(Outer {
                columns,
                m,
                b: Starts { starts: &b.starts[block.clone()], ..b },
                chosen: panel * wide..n.min((panel + 1) * wide),
                to,
                to_stride,
                sums,
                write: if first > 0 { Write::Add } else { write },
            });
        });
    }
}

/// Columns of the left-hand side that a tile takes at once.
const COLUMNS: usize = 6;

/// Tiles that are packed as one piece of work.
const PIECES: usize = 8;

/// Copies some columns of the rows `block`, so that a tile reads them from one end to the other.
#[expect(unsafe_code, reason = "threads write parts of the same memory")]
fn pack_columns<F: Real>(
    a: Starts<'_, F>,
    block: Range<usize>,
    columns: Range<usize>,
    k: usize,
    packed: Shared<F>,
) {
    // SAFETY: these columns are one task's own.
    let to = unsafe { packed.slice_mut(columns.start * k, columns.len() * k) };
    for (to, start) in to.chunks_exact_mut(columns.len()).zip(&a.starts[block]) {
        to.copy_from_slice(&a.elements[start + columns.start..start + columns.end]);
    }
}

/// One panel of columns of a sum of outer products.
struct Outer<'a, F> {
    columns: &'a [F],
    m: usize,
    b: Starts<'a, F>,
    chosen: Range<usize>,
    to: Shared<F>,
    to_stride: usize,
    sums: Option<Shared<F>>,
    write: Write,
}

impl<F: Real> WithSimd for Outer<'_, F> {
    type Output = ();

    #[inline(always)]
    #[expect(unsafe_code, reason = "the innermost loop checks no bounds")]
    fn with_simd<S: Simd>(self, simd: S) {
        let register = lanes::<S, F>();
        let width = self.chosen.len().div_ceil(register);
        let k = self.b.starts.len();
        let mut right = Aligned::zeros(k * width * register);
        let mut total = [Lanes::splat(simd, F::zero()); WIDEST];
        for (to, start) in right.get_mut().chunks_exact_mut(width * register).zip(self.b.starts) {
            let from = &self.b.elements[start + self.chosen.start..start + self.chosen.end];
            for w in 0..width {
                let numbers = Lanes::load(simd, &from[w * register..]);
                numbers.store(&mut to[w * register..(w + 1) * register]);
                total[w] = total[w] + numbers;
            }
        }
        if let Some(sums) = self.sums {
            // SAFETY: these columns are one task's own.
            let sums = unsafe { sums.slice_mut(self.chosen.start, self.chosen.len()) };
            for (total, to) in total.into_iter().zip(sums.chunks_mut(register)) {
                let total = match self.write {
                    Write::Replace => total,
                    Write::Add => total + Lanes::load(simd, to),
                };
                total.store(to);
            }
        }
        let panel = Panel::new(right.get(), width);
        for first in (0..self.m).step_by(COLUMNS) {
            let last = self.m.min(first + COLUMNS);
            let count = last - first;
            let mut starts = [0; MOST_ROWS];
            for (n, start) in starts.iter_mut().enumerate() {
                *start = first * k + n;
            }
            let left = Rows::new(self.columns, &starts[..count], k, count);
            let mut sums = tile::no_sums::<S, F>(simd);
            // SAFETY: `left` was made with as many elements as there are rows of the panel.
            unsafe { tile::multiply(simd, left, panel, &mut sums) };
            for (n, sums) in sums.iter().take(count).enumerate() {
                let at = (first + n) * self.to_stride + self.chosen.start;
                // SAFETY: these columns are one task's own.
                let to = unsafe { self.to.slice_mut(at, self.chosen.len()) };
                put(simd, sums, to, self.write, None);
            }
        }
    }
}
