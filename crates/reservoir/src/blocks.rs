//! Cholesky factors in blocks that several threads take.
//!
//! Where a matrix is cut depends on its size alone, and every block is one product on one thread, so that the
//! number of threads changes no bit.

use faer::{
    Accum, MatMut, MatRef, Par,
    dyn_stack::{MemBuffer, MemStack},
    linalg::{
        cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch},
        matmul::{matmul, triangular, triangular::BlockStructure},
        triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place},
    },
    prelude::{Reborrow, ReborrowMut},
};
use rayon::join;

/// Rows and columns of a block of a product.
const BLOCK: usize = 256;

/// From so many columns on a Cholesky factor is made in blocks.
const FACTOR: usize = 128;

/// Where something is cut in two: near its middle, so that one part is whole blocks.
fn middle(count: usize, block: usize) -> usize {
    (count / 2).next_multiple_of(block)
}

/// `sums += α · a · b`.
fn add_product(sums: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>, alpha: f64) {
    let (rows, columns) = (sums.nrows(), sums.ncols());
    if rows.max(columns) <= BLOCK {
        return matmul(sums, Accum::Add, a, b, alpha, Par::Seq);
    }
    if rows > columns {
        let at = middle(rows, BLOCK).min(rows - 1);
        let ((above, below), (a, c)) = (sums.split_at_row_mut(at), a.split_at_row(at));
        join(|| add_product(above, a, b, alpha), || add_product(below, c, b, alpha));
    } else {
        let at = middle(columns, BLOCK).min(columns - 1);
        let ((left, right), (b, c)) = (sums.split_at_col_mut(at), b.split_at_col(at));
        join(|| add_product(left, a, b, alpha), || add_product(right, a, c, alpha));
    }
}

/// The factor `L` of `L·Lᵀ` in the place of the lower triangle; false if there is none.
///
/// ```text
/// A11 = L11·L11ᵀ          L21 = A21·L11⁻ᵀ          A22 − L21·L21ᵀ = L22·L22ᵀ
/// ```
pub(crate) fn factor(a: MatMut<'_, f64>) -> bool {
    let n = a.nrows();
    if n <= FACTOR {
        let scratch = cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default());
        let mut memory = MemBuffer::new(scratch);
        let stack = MemStack::new(&mut memory);
        let found = cholesky_in_place(a, Default::default(), Par::Seq, stack, Default::default());
        return found.is_ok();
    }
    let (mut first, _, mut below, mut rest) = a.split_at_mut(FACTOR, FACTOR);
    if !factor(first.rb_mut()) {
        return false;
    }
    solve_below(first.rb(), below.rb_mut());
    subtract_gram(rest.rb_mut(), below.rb());
    factor(rest)
}

/// `b ← b · l⁻ᵀ`.
fn solve_below(l: MatRef<'_, f64>, b: MatMut<'_, f64>) {
    let rows = b.nrows();
    if rows <= BLOCK {
        return solve_lower_triangular_in_place(l, b.transpose_mut(), Par::Seq);
    }
    let (above, below) = b.split_at_row_mut(middle(rows, BLOCK).min(rows - 1));
    join(|| solve_below(l, above), || solve_below(l, below));
}

/// `a −= l·lᵀ`, the lower triangle.
fn subtract_gram(a: MatMut<'_, f64>, l: MatRef<'_, f64>) {
    let n = a.nrows();
    if n <= BLOCK {
        return triangular::matmul(
            a,
            BlockStructure::TriangularLower,
            Accum::Add,
            l,
            BlockStructure::Rectangular,
            l.transpose(),
            BlockStructure::Rectangular,
            -1.0,
            Par::Seq,
        );
    }
    let at = middle(n, BLOCK).min(n - 1);
    let (first, second) = l.split_at_row(at);
    let (above, _, below, beside) = a.split_at_mut(at, at);
    join(
        || add_product(below, second, first.transpose(), -1.0),
        || join(|| subtract_gram(above, first), || subtract_gram(beside, second)),
    );
}

/// `b ← (l·lᵀ)⁻¹ · b`.
pub(crate) fn solve_factored(l: MatRef<'_, f64>, mut b: MatMut<'_, f64>) {
    let columns = b.ncols();
    if columns <= BLOCK {
        solve_lower_triangular_in_place(l, b.rb_mut(), Par::Seq);
        return solve_upper_triangular_in_place(l.transpose(), b, Par::Seq);
    }
    let (left, right) = b.split_at_col_mut(middle(columns, BLOCK).min(columns - 1));
    join(|| solve_factored(l, left), || solve_factored(l, right));
}
