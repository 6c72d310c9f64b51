//! Why a series is of no use.

use std::io;

use thiserror::Error;

use crate::weights::listed;

/// Why a series is of no use.
#[derive(Debug, Error)]
pub enum SeriesError {
    /// It cannot be read.
    #[error("cannot read {file}: {reason}")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        reason: io::Error,
    },
    /// Its rows are not of one length, or are not text.
    #[error("{file}:{line}: {reason}")]
    Row {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// There are no numbers in it.
    #[error("{file} has no row of numbers")]
    Empty {
        /// The file.
        file: String,
    },
    /// Something else than a number.
    #[error("{file}:{line}: column `{column}` is `{found}`, expected a number")]
    NoNumber {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Which column.
        column: String,
        /// What is there.
        found: String,
    },
    /// Numbers are missing.
    #[error("{file} has gaps, expected a number in every row and column: {}", shown(gaps))]
    Gaps {
        /// The file.
        file: String,
        /// The line, from 1, and the column of each.
        gaps: Vec<(u64, String)>,
    },
    /// Two columns have the same name.
    #[error("{file}:1: two columns are called `{name}`")]
    Twice {
        /// The file.
        file: String,
        /// The name.
        name: String,
    },
    /// There is no such column.
    #[error("{key}: {file} has no column `{name}`, only {}", listed(names))]
    NoColumn {
        /// What asks for it.
        key: String,
        /// The file or signal.
        file: String,
        /// Its name.
        name: String,
        /// The names there are.
        names: Vec<String>,
    },
    /// There are not as many columns, and they have no names to go by.
    #[error("{file} has {found} columns without names, expected {}: {}", names.len(), listed(names))]
    Columns {
        /// The file.
        file: String,
        /// How many it has.
        found: usize,
        /// The names of those that the model needs.
        names: Vec<String>,
    },
    /// What is to be measured on never changes.
    #[error(
        "column `{name}` is {value} at every step that is measured, expected a column that changes"
    )]
    Still {
        /// Its name.
        name: String,
        /// What it is.
        value: f64,
    },
    /// Nothing would be left.
    #[error(
        "`data.series.valid` + `data.series.test` is {held_out}, expected below the {steps} steps of the series \
         less the {ahead} of `ahead`"
    )]
    HeldOut {
        /// What is not learned from.
        held_out: usize,
        /// Steps there are.
        steps: usize,
        /// Steps that have no target.
        ahead: usize,
    },
    /// A column cannot be scaled.
    #[error(
        "column `{name}` is {value} at every step that is learned from, expected a column that changes for \
         `scaling = \"standard\"`"
    )]
    Constant {
        /// Its name.
        name: String,
        /// What it is.
        value: f64,
    },
}

/// The first few gaps.
fn shown(gaps: &[(u64, String)]) -> String {
    const MOST: usize = 5;
    let each = gaps.iter().take(MOST).map(|(line, column)| format!("line {line} `{column}`"));
    let listed = each.collect::<Vec<_>>().join(", ");
    match gaps.len() {
        count if count > MOST => format!("{listed} and {} more", count - MOST),
        _ => listed,
    }
}
