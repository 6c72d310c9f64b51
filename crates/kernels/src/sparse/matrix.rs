//! Matrices of weights, sparse by rows or dense.

use thiserror::Error;

use super::Number;

/// Why there is no such matrix.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum SparseError {
    /// A weight is outside of the matrix.
    #[error("a weight at [{row}, {column}], expected a place within [{rows}, {columns}]")]
    Place {
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// Rows there are.
        rows: usize,
        /// Columns there are.
        columns: usize,
    },
    /// A weight is NaN or infinite.
    #[error("weight [{row}, {column}] is {value}, expected a finite number")]
    Value {
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// What it is.
        value: f64,
    },
    /// Two weights have the same place, or their order is wrong.
    #[error("weight [{row}, {column}] is not behind the one before it")]
    Order {
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
    },
    /// More columns than an index holds.
    #[error("{columns} columns, expected at most 4,294,967,295")]
    Columns {
        /// Columns asked for.
        columns: usize,
    },
}

/// A sparse matrix by rows (compressed sparse rows).
#[derive(Clone, Debug, PartialEq)]
pub struct SparseMatrix<F> {
    columns: usize,
    /// Where the weights of each row begin, and the end of the last: never falling, up to their number.
    starts: Vec<usize>,
    /// The column of each weight, below `columns`.
    places: Vec<u32>,
    values: Vec<F>,
}

impl<F: Number> SparseMatrix<F> {
    /// A matrix `[rows, columns]` of weights `(row, column, value)`, sorted by row and then by column.
    ///
    /// # Errors
    ///
    /// If a weight is outside of the matrix, is not finite, or is not behind the one before it.
    pub fn new(
        rows: usize,
        columns: usize,
        weights: impl IntoIterator<Item = (usize, usize, F)>,
    ) -> Result<Self, SparseError> {
        if u32::try_from(columns).is_err() {
            return Err(SparseError::Columns { columns });
        }
        let mut starts = vec![0];
        let (mut places, mut values) = (Vec::new(), Vec::new());
        let mut last = None;
        for (row, column, value) in weights {
            if row >= rows || column >= columns {
                return Err(SparseError::Place { row, column, rows, columns });
            }
            if !value.is_finite() {
                return Err(SparseError::Value { row, column, value: value.double() });
            }
            if last.is_some_and(|last| last >= (row, column)) {
                return Err(SparseError::Order { row, column });
            }
            last = Some((row, column));
            starts.resize(row + 1, places.len());
            places.push(column as u32);
            values.push(value);
        }
        starts.resize(rows + 1, places.len());
        Ok(Self { columns, starts, places, values })
    }

    /// How many weights there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no weights.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The weights of a row: their columns and values.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> (&[u32], &[F]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.places[range.clone()], &self.values[range])
    }

    /// `Σ_j W[row, j] · x[j]`, in four sums.
    #[inline(always)]
    #[expect(unsafe_code, reason = "a place has been checked when the matrix was made")]
    pub(super) fn dot(&self, row: usize, x: &[F]) -> F {
        assert_eq!(x.len(), self.columns, "a number for every column");
        let (places, values) = self.row(row);
        // SAFETY: every place is below `columns`, which is the length of `x`.
        let at = |place: u32| unsafe { *x.get_unchecked(place as usize) };
        let mut sums = [F::zero(); 4];
        let (four_places, rest_places) = places.as_chunks::<4>();
        let (four_values, rest_values) = values.as_chunks::<4>();
        for (places, values) in four_places.iter().zip(four_values) {
            for n in 0..4 {
                sums[n] = values[n].mul_add(at(places[n]), sums[n]);
            }
        }
        for ((place, value), sum) in rest_places.iter().zip(rest_values).zip(&mut sums) {
            *sum = value.mul_add(at(*place), *sum);
        }
        (sums[0] + sums[1]) + (sums[2] + sums[3])
    }
}

/// Weights `[rows, columns]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Weights<F> {
    /// Few of them.
    Sparse(SparseMatrix<F>),
    /// All of them.
    Dense {
        /// In row-major order.
        values: Vec<F>,
        /// Columns of a row.
        columns: usize,
    },
}

impl<F: Number> Weights<F> {
    /// All weights, in row-major order.
    ///
    /// # Panics
    ///
    /// If they are not whole rows.
    pub fn dense(values: Vec<F>, columns: usize) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "whole rows");
        Self::Dense { values, columns }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Sparse(matrix) => matrix.starts.len() - 1,
            Self::Dense { values, columns } => values.len() / columns,
        }
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        match self {
            Self::Sparse(matrix) => matrix.columns,
            Self::Dense { columns, .. } => *columns,
        }
    }

    /// Every weight that is there, as `(row, column, value)`, row after row.
    pub fn entries(&self) -> impl Iterator<Item = (usize, usize, F)> + '_ {
        (0..self.rows()).flat_map(move |row| {
            let (places, values) = match self {
                Self::Sparse(matrix) => {
                    let (places, values) = matrix.row(row);
                    (Some(places), values)
                }
                Self::Dense { values, columns } => {
                    (None, &values[row * columns..(row + 1) * columns])
                }
            };
            values
                .iter()
                .enumerate()
                .map(move |(n, value)| (row, places.map_or(n, |places| places[n] as usize), *value))
        })
    }

    /// The same weights through `f`, which takes finite numbers to finite ones.
    pub fn map<G: Number>(&self, f: impl Fn(F) -> G) -> Weights<G> {
        match self {
            Self::Sparse(SparseMatrix { columns, starts, places, values }) => {
                Weights::Sparse(SparseMatrix {
                    columns: *columns,
                    starts: starts.clone(),
                    places: places.clone(),
                    values: values.iter().map(|value| f(*value)).collect(),
                })
            }
            Self::Dense { values, columns } => Weights::Dense {
                values: values.iter().map(|value| f(*value)).collect(),
                columns: *columns,
            },
        }
    }

    /// `y = W · x`.
    ///
    /// # Panics
    ///
    /// If `x` has not a number for every column, or `y` for every row.
    pub fn product(&self, x: &[F], y: &mut [F]) {
        assert_eq!(x.len(), self.columns(), "a number for every column");
        assert_eq!(y.len(), self.rows(), "a number for every row");
        super::leaky::products(self, x, y);
    }
}
