//! Series of numbers, step after step.

use serde::{Deserialize, Serialize};

use crate::ReservoirError;

/// A series of rows, one a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// `[T, columns]`.
    values: Vec<f64>,
    columns: usize,
}

/// # Errors
///
/// If a column of the targets has the same value at every step of all series.
pub(crate) fn check_change<'a>(
    targets: impl Iterator<Item = &'a Series> + Clone,
) -> Result<(), ReservoirError> {
    let Some(first) = targets.clone().find(|d| d.steps() > 0) else { return Ok(()) };
    for (column, value) in first.row(0).iter().copied().enumerate() {
        let same = |d: &Series| (0..d.steps()).all(|t| d.row(t)[column] == value);
        if targets.clone().all(same) {
            return Err(ReservoirError::Constant { column, value });
        }
    }
    Ok(())
}

/// Whether inputs and targets, of the series of this number, are as they should be.
///
/// # Errors
///
/// If one has other columns or is not finite, or they have different lengths.
pub(crate) fn check_pair(
    u: &Series,
    d: &Series,
    [inputs, outputs]: [usize; 2],
    series: usize,
) -> Result<(), ReservoirError> {
    u.check_columns("the input", inputs, series)?;
    d.check_columns("the targets", outputs, series)?;
    let (inputs, targets) = (u.steps(), d.steps());
    match inputs == targets {
        true => Ok(()),
        false => Err(ReservoirError::Steps { series, inputs, targets }),
    }
}

/// What is said by something that hears itself: every row it says to `first`, and then to what it has said.
///
/// # Errors
///
/// Whatever `say` has to object to, if there are not as many outputs as inputs, or a number that it says is none.
pub(crate) fn free_run(
    first: &[f64],
    steps: usize,
    [inputs, outputs]: [usize; 2],
    mut say: impl FnMut(&Series) -> Result<Series, ReservoirError>,
) -> Result<Series, ReservoirError> {
    if inputs != outputs {
        return Err(ReservoirError::OpenLoop { outputs, inputs });
    }
    let mut u = Series::new(first.to_vec(), inputs);
    let mut said = Vec::new();
    for step in 0..steps {
        u = say(&u)?;
        if u.values().iter().any(|number| !number.is_finite()) {
            return Err(ReservoirError::RanAway { step });
        }
        said.extend_from_slice(u.values());
    }
    Ok(Series::new(said, outputs))
}

impl Series {
    /// A series `[T, columns]` in row-major order.
    ///
    /// # Panics
    ///
    /// If there are no columns, or the values are not whole rows.
    pub fn new(values: Vec<f64>, columns: usize) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "a series of whole rows");
        Self { values, columns }
    }

    /// A series of one column.
    pub fn of(values: Vec<f64>) -> Self {
        Self::new(values, 1)
    }

    /// Steps, `T`.
    pub fn steps(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All numbers, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One step.
    ///
    /// # Panics
    ///
    /// If there is no such step.
    pub fn row(&self, step: usize) -> &[f64] {
        &self.values[step * self.columns..(step + 1) * self.columns]
    }

    /// Some of its steps, row after row.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn rows(&self, steps: std::ops::Range<usize>) -> &[f64] {
        &self.values[steps.start * self.columns..steps.end * self.columns]
    }

    /// One column.
    pub fn column(&self, column: usize) -> Vec<f64> {
        self.values.iter().skip(column).step_by(self.columns).copied().collect()
    }

    /// Some of its steps.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    #[must_use]
    pub fn slice(&self, steps: std::ops::Range<usize>) -> Self {
        let columns = self.columns;
        Self { values: self.values[steps.start * columns..steps.end * columns].to_vec(), columns }
    }

    /// A step more.
    ///
    /// # Panics
    ///
    /// If the row has not as many columns.
    pub fn push(&mut self, row: &[f64]) {
        assert_eq!(row.len(), self.columns, "a row of the series");
        self.values.extend_from_slice(row);
    }

    /// All but the last `ahead` steps, and all but the first `ahead`: what is known, and what is to be said of
    /// it.
    ///
    /// # Panics
    ///
    /// If there are not so many steps.
    pub fn ahead(&self, ahead: usize) -> [Self; 2] {
        let steps = self.steps();
        [self.slice(0..steps - ahead), self.slice(ahead..steps)]
    }

    /// # Errors
    ///
    /// If it has not as many columns, or a number is NaN or infinite.
    pub(crate) fn check_columns(
        &self,
        what: &'static str,
        expected: usize,
        series: usize,
    ) -> Result<(), ReservoirError> {
        match self.columns == expected {
            true => self.check_finite(series),
            false => Err(ReservoirError::Columns { what, found: self.columns, expected }),
        }
    }

    /// # Errors
    ///
    /// If a number is NaN or infinite.
    pub(crate) fn check_finite(&self, series: usize) -> Result<(), ReservoirError> {
        match self.values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(n) => Err(ReservoirError::NotFinite {
                series,
                step: n / self.columns,
                column: n % self.columns,
                value: self.values[n],
            }),
        }
    }
}
