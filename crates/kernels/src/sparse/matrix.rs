//! Matrices of weights, sparse by rows or dense.
//!
//! A sparse matrix is kept twice: by rows, where one number is looked up for many sequences at once, and in slices of
//! rows (Kreutzer et al. 2014, SELL-C-σ), where many numbers are looked up for one sequence.

use std::ops::Range;

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
    slices: Slices<F>,
}

/// Rows of a slice: their sums are independent of each other, so that none waits for the one before.
const SLICE: usize = 8;

/// Rows among which those of about the same length are put into a slice. Rows of different windows are in
/// different slices, so that threads can share a matrix by windows.
pub(super) const WINDOW: usize = 64;

/// A number of each of the rows of a slice.
type Side<T> = [T; SLICE];

/// The weights of a matrix, some rows beside each other.
#[derive(Clone, Debug, PartialEq)]
struct Slices<F> {
    /// Which rows a slice has; the last ones of a window may be fewer, and then are repeated.
    rows: Vec<Side<u32>>,
    /// Where the weights of each slice begin, and the end of the last.
    starts: Vec<usize>,
    /// The columns, below `columns`. Rows that are shorter than their neighbours are filled up with zeros.
    places: Vec<Side<u32>>,
    values: Vec<Side<F>>,
}

impl<F: Number> Slices<F> {
    fn of(starts: &[usize], places: &[u32], values: &[F]) -> Self {
        let mut slices =
            Self { rows: Vec::new(), starts: vec![0], places: Vec::new(), values: Vec::new() };
        let length = |row: usize| starts[row + 1] - starts[row];
        let all: Vec<usize> = (0..starts.len() - 1).collect();
        for window in all.chunks(WINDOW) {
            let mut window = window.to_vec();
            window.sort_by_key(|row| std::cmp::Reverse(length(*row)));
            for rows in window.chunks(SLICE) {
                // Where rows are missing, the last is written again with what it has.
                let rows: Side<usize> = std::array::from_fn(|n| rows[n.min(rows.len() - 1)]);
                for k in 0..length(rows[0]) {
                    let there = rows.map(|row| (k < length(row)).then(|| starts[row] + k));
                    let last = |row: usize| places[starts[row]..starts[row + 1]].last();
                    slices.places.push(std::array::from_fn(|n| match there[n] {
                        Some(at) => places[at],
                        None => last(rows[n]).copied().unwrap_or_default(),
                    }));
                    slices.values.push(there.map(|at| at.map_or(F::zero(), |at| values[at])));
                }
                slices.rows.push(rows.map(|row| row as u32));
                slices.starts.push(slices.places.len());
            }
        }
        slices
    }
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
        let slices = Slices::of(&starts, &places, &values);
        Ok(Self { columns, starts, places, values, slices })
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

    /// `y[row] += Σ_j W[row, j] · x[j]` for some rows, one weight of a row after the other; `y` are the numbers of
    /// these rows.
    ///
    /// # Panics
    ///
    /// If the rows are not whole windows, or `x` has not a number for every column.
    #[inline(always)]
    #[expect(unsafe_code, reason = "places have been checked when the matrix was made")]
    pub(super) fn add(&self, rows: Range<usize>, x: &[F], y: &mut [F]) {
        let all = self.starts.len() - 1;
        assert!(rows.start.is_multiple_of(WINDOW), "rows begin with a window");
        assert!(rows.end == all || rows.end.is_multiple_of(WINDOW), "rows end with a window");
        assert_eq!(y.len(), rows.len(), "a number for every row");
        assert_eq!(x.len(), self.columns, "a number for every column");
        let Slices { rows: all_rows, starts, places, values } = &self.slices;
        let slices = rows.start / SLICE..rows.end.div_ceil(SLICE);
        for slice in slices {
            let at = all_rows[slice].map(|row| row as usize - rows.start);
            let weights = starts[slice]..starts[slice + 1];
            let mut sums = at.map(|row| y[row]);
            for (places, values) in places[weights.clone()].iter().zip(&values[weights]) {
                // SAFETY: every place is below `columns`, which is the length of `x`.
                let x = places.map(|place| unsafe { *x.get_unchecked(place as usize) });
                for n in 0..SLICE {
                    sums[n] = values[n].mul_add(x[n], sums[n]);
                }
            }
            for (row, sum) in at.into_iter().zip(sums) {
                y[row] = sum;
            }
        }
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
            Self::Sparse(SparseMatrix { columns, starts, places, values, .. }) => {
                let (columns, starts, places) = (*columns, starts.clone(), places.clone());
                let values: Vec<G> = values.iter().map(|value| f(*value)).collect();
                let slices = Slices::of(&starts, &places, &values);
                Weights::Sparse(SparseMatrix { columns, starts, places, values, slices })
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
        y.fill(F::zero());
        super::leaky::add_products(self, x, y);
    }
}
