//! Large products: rows times panels, and the sum of outer products that a weight's gradient is.
//!
//! Rows are given by where they start, so that padded steps are left out and nothing is copied to be
//! multiplied.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Real,
    panels::Panels,
    simd::{Isa, Lanes, lanes},
    threads::{self, LINE, Shared, Team},
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
    // As many blocks for every thread, and enough of them that nobody waits long for the last.
    let threads = threads::parts(work);
    let row_blocks = count.div_ceil(BLOCK).next_multiple_of(threads).min(count);
    let panel_blocks = (4 * threads / row_blocks.max(1)).clamp(1, w.count().max(1));
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
    pub(super) elements: Shared<F>,
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
    let Target { elements: to, stride: to_stride, sums, write } = target;
    assert_eq!(a.starts.len(), b.starts.len(), "every row has its counterpart");
    assert!(to_stride >= n && (m == 0 || to.len() >= (m - 1) * to_stride + n), "a product fits");
    assert!(sums.as_ref().is_none_or(|sums| sums.len() == n), "a sum for every column");
    // So many rows of a panel stay in the cache while all of `a` passes.
    const BLOCK: usize = 512;
    let count = a.starts.len();
    let wide = isa.lanes::<F>() * WIDEST;
    let panels = n.div_ceil(wide);
    let sums = sums.map(Shared::new);
    // Without rows there is one empty block: the sums of nothing are written.
    let blocks = count.div_ceil(BLOCK).max(1);
    let mut columns = Vec::with_capacity(m * count.div_ceil(blocks));
    for part in 0..blocks {
        let block = part * count / blocks..(part + 1) * count / blocks;
        let k = block.len();
        let work = k * m * n;
        // The columns of `a`, a tile's worth side by side.
        let packed = Shared::unwritten(&mut columns);
        let pieces = m.div_ceil(COLUMNS);
        threads::each(pieces.div_ceil(PIECES), work, |part| {
            for piece in part * PIECES..pieces.min((part + 1) * PIECES) {
                let columns = piece * COLUMNS..m.min((piece + 1) * COLUMNS);
                pack_columns(a, block.clone(), columns, k, packed);
            }
        });
        threads::each(panels, work, |panel| {
            isa.run(Outer {
                columns: packed,
                m,
                b: Starts { starts: &b.starts[block.clone()], ..b },
                chosen: panel * wide..n.min((panel + 1) * wide),
                to,
                to_stride,
                sums,
                write: if part > 0 { Write::Add } else { write },
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
    let starts = &a.starts[block];
    let from = |start: &usize| &a.elements[start + columns.start..start + columns.end];
    if columns.len() == COLUMNS {
        // A number known here makes it a few moves instead of a call.
        let (to, _) = to.as_chunks_mut::<COLUMNS>();
        for (to, start) in to.iter_mut().zip(starts) {
            *to = *from(start).first_chunk().expect("so many columns");
        }
    } else {
        for (to, start) in to.chunks_exact_mut(columns.len()).zip(starts) {
            to.copy_from_slice(from(start));
        }
    }
}

/// One panel of columns of a sum of outer products.
struct Outer<'a, F> {
    /// As [`pack_columns`] leaves them.
    columns: Shared<F>,
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
        let size = k * width * register;
        let mut memory = Vec::with_capacity(size + LINE / size_of::<F>());
        let right = Shared::unwritten(&mut memory).aligned();
        let mut total = [Lanes::splat(simd, F::zero()); WIDEST];
        for (row, start) in self.b.starts.iter().enumerate() {
            // SAFETY: the memory is this call's own.
            let to = unsafe { right.slice_mut(row * width * register, width * register) };
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
        // SAFETY: all rows of the panel have just been written; the columns were before this began.
        let (right, columns) = unsafe { (right.slice(0, size), self.columns.slice(0, self.m * k)) };
        let panel = Panel::new(right, width);
        for first in (0..self.m).step_by(COLUMNS) {
            let last = self.m.min(first + COLUMNS);
            let count = last - first;
            let mut sums = tile::no_sums::<S, F>(simd);
            // Without rows the sums are those of nothing.
            if k > 0 {
                let mut starts = [0; MOST_ROWS];
                for (n, start) in starts.iter_mut().enumerate() {
                    *start = first * k + n;
                }
                let left = Rows::new(columns, &starts[..count], k, count);
                // SAFETY: `left` was made with as many elements as there are rows of the panel.
                unsafe { tile::multiply(simd, left, panel, &mut sums) };
            }
            for (n, sums) in sums.iter().take(count).enumerate() {
                let at = (first + n) * self.to_stride + self.chosen.start;
                // SAFETY: these columns are one task's own.
                let to = unsafe { self.to.slice_mut(at, self.chosen.len()) };
                put(simd, sums, to, self.write, None);
            }
        }
    }
}

/// `to += Σ_n a[n]ᵀ · b[n]` for rows of so many elements one behind the other.
pub(crate) fn outer_rows<F: Real>((a, m): (&[F], usize), (b, n): (&[F], usize), to: &mut [F]) {
    let starts_of = |len: usize, of: usize| (0..len).step_by(of).collect::<Vec<_>>();
    let (a_starts, b_starts) = (starts_of(a.len(), m), starts_of(b.len(), n));
    let target = Target { elements: Shared::new(to), stride: n, sums: None, write: Write::Add };
    let a = Starts { elements: a, starts: &a_starts };
    let b = Starts { elements: b, starts: &b_starts };
    outer(Isa::detected(), (a, m), (b, n), target);
}

/// Rows that are summed up before the sums are written: so many of a narrow panel stay in the nearest cache.
const SUMMED: usize = 256;

/// Registers of a narrow panel.
const NARROW: usize = 2;

/// Tiles that are one piece of work, at most: what they read stays in the second cache while all panels
/// pass.
const TOGETHER: usize = 8;

/// Pieces of work that there are for each thread at least, as far as there are tiles: those at the bottom
/// have more to do.
const PIECES_EACH: usize = 3;

/// `to += Σ_n a[n]ᵀ · a[n]` on and below the diagonal, for rows of `m` elements one behind the other; what else a
/// tile there covers is written, too. The terms have the order of the rows.
///
/// # Panics
///
/// If `to` has not room for `m` rows of `m` elements.
pub(crate) fn lower_gram<F: Real>(a: &[F], m: usize, to: &mut [F]) {
    assert!(to.len() >= m * m, "a square fits");
    let isa = Isa::detected();
    let wide = isa.lanes::<F>() * NARROW;
    let (tiles, panels) = (m.div_ceil(COLUMNS), m.div_ceil(wide));
    let most = SUMMED.min(a.len() / m);
    let (mut columns, mut right) =
        (vec![F::zero(); most * m], vec![F::zero(); panels * most * wide]);
    let (packed, panels_of, to) =
        (Shared::new(&mut columns), Shared::new(&mut right), Shared::new(to));
    let members = threads::parts(a.len() * m / 2);
    let together = match members {
        1 => TOGETHER,
        _ => (tiles / (PIECES_EACH * members)).clamp(1, TOGETHER),
    };
    let pieces = tiles.div_ceil(together);
    let blocks: Vec<(&[F], Vec<usize>)> =
        a.chunks(SUMMED * m).map(|block| (block, (0..block.len()).step_by(m).collect())).collect();
    let team = Team::new(pieces);
    let member = |member| {
        for (phase, piece) in team.walk(member, 2 * blocks.len()) {
            let (block, starts) = &blocks[phase / 2];
            let (k, rows) = (starts.len(), Starts { elements: block, starts });
            if phase % 2 == 0 {
                for tile in team.cut(piece, tiles) {
                    let columns = tile * COLUMNS..m.min((tile + 1) * COLUMNS);
                    pack_columns(rows, 0..k, columns, k, packed);
                }
                for panel in team.cut(piece, panels) {
                    let columns = panel * wide..m.min((panel + 1) * wide);
                    pack_panel(rows, columns, wide, panels_of);
                }
            } else {
                // The lowest have the most to do, and are done first.
                let first = (pieces - 1 - piece) * together * COLUMNS;
                let chosen = first..m.min(first + together * COLUMNS);
                isa.run(LowerGram { columns: packed, panels: panels_of, k, m, chosen, to });
            }
        }
    };
    match members.min(pieces) {
        1 => member(0),
        members => (0..members).into_par_iter().with_max_len(1).for_each(member),
    }
}

/// Copies some columns of all rows, and zeros behind them, one row behind the other.
#[expect(unsafe_code, reason = "threads write parts of the same memory")]
fn pack_panel<F: Real>(rows: Starts<'_, F>, columns: Range<usize>, wide: usize, to: Shared<F>) {
    let k = rows.starts.len();
    // SAFETY: this panel is one task's own.
    let to = unsafe { to.slice_mut(columns.start * k, k * wide) };
    for (to, start) in to.chunks_exact_mut(wide).zip(rows.starts) {
        let from = &rows.elements[start + columns.start..start + columns.end];
        to[..from.len()].copy_from_slice(from);
        to[from.len()..].fill(F::zero());
    }
}

/// Some rows of a sum of outer products of rows with themselves, up to the diagonal.
struct LowerGram<F> {
    /// As [`pack_columns`] leaves them.
    columns: Shared<F>,
    /// As [`pack_panel`] leaves them.
    panels: Shared<F>,
    k: usize,
    m: usize,
    chosen: Range<usize>,
    to: Shared<F>,
}

impl<F: Real> WithSimd for LowerGram<F> {
    type Output = ();

    #[inline(always)]
    #[expect(unsafe_code, reason = "the innermost loop checks no bounds")]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { columns, panels, k, m, chosen, to } = self;
        let wide = lanes::<S, F>() * NARROW;
        // SAFETY: all of the columns were written before this began.
        let columns = unsafe { columns.slice(0, m * k) };
        for column in (0..chosen.end).step_by(wide) {
            // SAFETY: this panel was written before this began.
            let panel = Panel::new(unsafe { panels.slice(column * k, k * wide) }, NARROW);
            let highest = chosen.start.max(column / COLUMNS * COLUMNS);
            for first in (highest..chosen.end).step_by(COLUMNS) {
                let count = COLUMNS.min(chosen.end - first);
                let mut starts = [0; MOST_ROWS];
                for (n, start) in starts.iter_mut().enumerate() {
                    *start = first * k + n;
                }
                let left = Rows::new(columns, &starts[..count], k, count);
                let mut sums = tile::no_sums::<S, F>(simd);
                // SAFETY: `left` was made with as many elements as there are rows of the panel.
                unsafe { tile::multiply(simd, left, panel, &mut sums) };
                for (n, sums) in sums.iter().take(count).enumerate() {
                    let at = (first + n) * m + column;
                    // SAFETY: these rows are one task's own.
                    let to = unsafe { to.slice_mut(at, wide.min(m - column)) };
                    put(simd, sums, to, Write::Add, None);
                }
            }
        }
    }
}
