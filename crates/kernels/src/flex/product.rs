//! Matrix products that add to what is there.

use gemm::Parallelism;

use super::Real;

/// A row-major matrix that is read, or its transpose, or some of its columns.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, F> {
    elements: &'a [F],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, F> Matrix<'a, F> {
    pub(super) fn new(elements: &'a [F], rows: usize, columns: usize) -> Self {
        assert!(elements.len() >= rows * columns, "a matrix has all its elements");
        Self { elements, rows, columns, row_stride: columns, column_stride: 1 }
    }

    pub(super) fn transpose(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The transpose, laid out anew in row-major order: `gemm` multiplies by a right-hand side that
    /// lies like this as it is, and lays out any other again at every product.
    pub(super) fn transposed(self) -> Vec<F>
    where
        F: Real,
    {
        let mut elements = Vec::with_capacity(self.rows * self.columns);
        for column in 0..self.columns {
            let from = column * self.column_stride;
            let rows = (0..self.rows).map(|row| self.elements[from + row * self.row_stride]);
            elements.extend(rows);
        }
        elements
    }

    /// Columns `from..from + count`.
    pub(super) fn columns(self, from: usize, count: usize) -> Self {
        assert!(from + count <= self.columns, "columns are within the matrix");
        Self { elements: &self.elements[from * self.column_stride..], columns: count, ..self }
    }
}

/// Where a product goes: `[rows, columns]` of a row-major matrix, from column `from` on.
pub(super) struct Target<'a, F> {
    elements: &'a mut [F],
    row_stride: usize,
    from: usize,
}

impl<'a, F> Target<'a, F> {
    pub(super) fn new(elements: &'a mut [F], row_stride: usize) -> Self {
        Self { elements, row_stride, from: 0 }
    }

    pub(super) fn at_column(self, from: usize) -> Self {
        Self { from, ..self }
    }
}

/// From here on a product is worth a second thread.
pub(super) const PARALLEL: usize = 192 * 192 * 192;

/// `target += a · b`.
#[expect(unsafe_code, reason = "`gemm` takes pointers and strides")]
pub(super) fn add_product<F: Real>(target: Target<'_, F>, a: Matrix<'_, F>, b: Matrix<'_, F>) {
    assert_eq!(a.columns, b.rows, "a product's inner sizes agree");
    if a.rows == 0 || b.columns == 0 || a.columns == 0 {
        return;
    }
    assert!(target.from + b.columns <= target.row_stride, "a product fits the target's columns");
    assert!(
        target.from + (a.rows - 1) * target.row_stride + b.columns <= target.elements.len(),
        "a product fits the target's rows"
    );
    let work = a.rows * a.columns * b.columns;
    // What runs on a thread of a pool is a part of something that is split already.
    let alone = work < PARALLEL || rayon::current_thread_index().is_some();
    let parallelism = if alone { Parallelism::None } else { Parallelism::Rayon(0) };
    // SAFETY: `Matrix::new` and `columns` keep every element that the strides can reach inside the
    // slices of `a` and `b`, the assertions above do so for the target, and the target is borrowed
    // mutably, so it overlaps neither. `gemm` takes sizes, then pointer, column and row stride of
    // each matrix, and `F` is `f32` or `f64`, both of which it knows.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            target.elements.as_mut_ptr().add(target.from),
            1,
            target.row_stride as isize,
            true,
            a.elements.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.elements.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            F::one(),
            F::one(),
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` numbers that are all different.
    fn numbers(n: usize) -> Vec<f64> {
        (0..n).map(|k| (k as f64 * 0.7).sin()).collect()
    }

    /// Drives the edges of the pointer arithmetic: one row, one column, sizes around the vector
    /// width, a transposed operand, columns of a wider matrix on every side.
    #[test]
    fn equals_the_sum_of_products_at_every_edge() {
        for (m, k, n) in [(1, 1, 1), (1, 7, 9), (5, 1, 3), (8, 16, 17), (3, 33, 1), (2, 0, 4)] {
            let (a, b) = (numbers(m * k), numbers(n * (k + 3)));
            let mut out = vec![1.0; m * (n + 5)];
            let b_matrix = Matrix::new(&b, n, k + 3).columns(2, k).transpose();
            let target = Target::new(&mut out, n + 5).at_column(4);
            add_product(target, Matrix::new(&a, m, k), b_matrix);
            for i in 0..m {
                for j in 0..n + 5 {
                    let inside = (4..n + 4).contains(&j);
                    let product = |j: usize| -> f64 {
                        (0..k).map(|l| a[i * k + l] * b[(j - 4) * (k + 3) + 2 + l]).sum()
                    };
                    let expected = if inside { 1.0 + product(j) } else { 1.0 };
                    assert!((out[i * (n + 5) + j] - expected).abs() < 1e-13);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a product fits the target's rows")]
    fn a_short_target_is_refused() {
        let a = numbers(6);
        let mut out = vec![0.0; 3];
        add_product(Target::new(&mut out, 2), Matrix::new(&a, 2, 3), Matrix::new(&a, 3, 2));
    }
}
