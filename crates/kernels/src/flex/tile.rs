//! The heart of every product: a few rows of one matrix times one panel of another, summed in
//! registers.

use std::ops::Range;

use pulp::Simd;

use super::{Real, simd::lanes};

/// The most rows that are multiplied at once.
pub(super) const MOST_ROWS: usize = 8;

/// The most registers that a panel is wide.
pub(super) const WIDEST: usize = 4;

/// The sums of one tile: row by row, as many registers as the panel is wide.
pub(super) type Sums<S, F> = [[<F as Real>::Vector<S>; WIDEST]; MOST_ROWS];

/// No sums yet.
#[inline(always)]
pub(super) fn no_sums<S: Simd, F: Real>(simd: S) -> Sums<S, F> {
    [[F::splat(simd, F::zero()); WIDEST]; MOST_ROWS]
}

/// Whether the registers hold the sums of six rows by four registers, beside what is multiplied.
const fn many_registers<S: Simd>() -> bool {
    S::REGISTER_COUNT >= 32
}

/// How many rows are multiplied at once by a panel `width` registers wide. More do not fit the
/// registers, and with fewer the processor waits for the panel.
pub(super) const fn rows_at_once<S: Simd>(width: usize) -> usize {
    if many_registers::<S>() && width < WIDEST { MOST_ROWS } else { 6 }
}

/// `0..rows` in pieces of about the same size that are multiplied at once.
#[inline(always)]
pub(super) fn pieces<S: Simd>(rows: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
    let count = rows.div_ceil(rows_at_once::<S>(width));
    (0..count).map(move |n| n * rows / count..(n + 1) * rows / count)
}

/// One panel of the right-hand side: `k` rows of `width` registers, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel<'a, F> {
    elements: &'a [F],
    pub(super) width: usize,
}

impl<'a, F: Real> Panel<'a, F> {
    pub(super) fn new(elements: &'a [F], width: usize) -> Self {
        debug_assert!(width <= WIDEST);
        Self { elements, width }
    }

    /// Rows `k` only.
    #[inline(always)]
    pub(super) fn rows<S: Simd>(self, k: Range<usize>) -> Self {
        let row = self.width * lanes::<S, F>();
        Self { elements: &self.elements[k.start * row..k.end * row], ..self }
    }
}

/// Rows of the left-hand side: where each starts, and how far its elements are apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<F> {
    starts: [*const F; MOST_ROWS],
    count: usize,
    stride: usize,
}

impl<F: Real> Rows<F> {
    /// Rows of `k` elements each that lie `stride` apart, which start at `starts` of `elements`.
    ///
    /// # Panics
    ///
    /// If a row leaves `elements` or there are too many.
    #[inline(always)]
    pub(super) fn new(elements: &[F], starts: &[usize], k: usize, stride: usize) -> Self {
        assert!(starts.len() <= MOST_ROWS, "a tile has few rows");
        let reach = k.saturating_sub(1) * stride + usize::from(k > 0);
        let mut pointers = [elements.as_ptr(); MOST_ROWS];
        for (pointer, start) in pointers.iter_mut().zip(starts) {
            *pointer = elements[*start..*start + reach].as_ptr();
        }
        Self { starts: pointers, count: starts.len(), stride }
    }

    /// Rows that lie in memory which others write elsewhere.
    ///
    /// # Safety
    ///
    /// `k` elements at `stride` from each start stay readable, and unwritten, while this is used.
    #[inline(always)]
    #[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
    pub(super) unsafe fn of_pointers(
        starts: [*const F; MOST_ROWS],
        count: usize,
        stride: usize,
    ) -> Self {
        Self { starts, count, stride }
    }
}

/// `sums[r][w] = Σ_k rows[r][k] · panel[k][w]`, the terms in the order of `k`.
///
/// # Safety
///
/// Each of `rows` has as many elements as `panel` has rows.
#[inline(always)]
#[expect(unsafe_code, reason = "the innermost loop checks no bounds")]
pub(super) unsafe fn multiply<S: Simd, F: Real>(
    simd: S,
    rows: Rows<F>,
    panel: Panel<'_, F>,
    sums: &mut Sums<S, F>,
) {
    /// Picks the loop compiled for this number of rows.
    macro_rules! by_rows {
        ($width:literal, $at:literal, [$($count:literal)*]) => {
            match rows.count {
                $($count => multiply_fixed::<S, F, $count, $width>(simd, rows, panel, $at, sums),)*
                _ => {}
            }
        };
    }
    // SAFETY: the caller's promise is that of the loop.
    unsafe {
        if many_registers::<S>() {
            match panel.width {
                1 => by_rows!(1, 0, [1 2 3 4 5 6 7 8]),
                2 => by_rows!(2, 0, [1 2 3 4 5 6 7 8]),
                3 => by_rows!(3, 0, [1 2 3 4 5 6 7 8]),
                _ => by_rows!(4, 0, [1 2 3 4 5 6]),
            }
        } else {
            if panel.width >= 2 {
                by_rows!(2, 0, [1 2 3 4 5 6]);
            }
            match panel.width {
                1 => by_rows!(1, 0, [1 2 3 4 5 6]),
                3 => by_rows!(1, 2, [1 2 3 4 5 6]),
                4 => by_rows!(2, 2, [1 2 3 4 5 6]),
                _ => {}
            }
        }
    }
}

/// The loop for `R` rows and `W` registers of the panel, from register `at` on.
#[inline(always)]
#[expect(unsafe_code, reason = "the innermost loop checks no bounds")]
#[expect(clippy::needless_range_loop, reason = "numbers known here keep the sums in registers")]
unsafe fn multiply_fixed<S: Simd, F: Real, const R: usize, const W: usize>(
    simd: S,
    rows: Rows<F>,
    panel: Panel<'_, F>,
    at: usize,
    sums: &mut Sums<S, F>,
) {
    let register = lanes::<S, F>();
    let row = panel.width * register;
    let steps = panel.elements.len() / row;
    let mut acc = [[F::splat(simd, F::zero()); W]; R];
    let mut right = panel.elements.as_ptr().wrapping_add(at * register);
    let mut left = 0;
    for _ in 0..steps {
        let mut b = [F::splat(simd, F::zero()); W];
        for w in 0..W {
            // SAFETY: `at + W` registers fit the panel's width, and there are `steps` rows of it.
            b[w] = unsafe { right.add(w * register).cast::<F::Vector<S>>().read_unaligned() };
        }
        for r in 0..R {
            // SAFETY: the caller promises `steps` elements in each row.
            let a = F::splat(simd, unsafe { *rows.starts[r].add(left) });
            for w in 0..W {
                acc[r][w] = F::product_sum(simd, a, b[w], acc[r][w]);
            }
        }
        left += rows.stride;
        right = right.wrapping_add(row);
    }
    for r in 0..R {
        for w in 0..W {
            sums[r][at + w] = acc[r][w];
        }
    }
}
