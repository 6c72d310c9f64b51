//! Why a search cannot be done.

use std::{fmt::Display, ops::RangeBounds};

use thiserror::Error;

/// Why a search cannot be done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SearchError {
    /// A setting outside its range.
    #[error("`{field}` must be {range}, got {value}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it is.
        value: String,
    },
    /// A source that must be given more tokens than it may be given.
    #[error("output {output} must have at least {min} tokens and at most {max}")]
    Limits {
        /// The index of the source.
        output: usize,
        /// The fewest tokens.
        min: usize,
        /// The most tokens.
        max: usize,
    },
    /// A coverage penalty over a model that does not look at its source.
    #[error("`coverage_penalty` needs a model with attention")]
    NoWeights,
    /// The model has broken down.
    #[error("the model gives log-probabilities that are not numbers, output {output}, step {step}")]
    NotANumber {
        /// The index of the source.
        output: usize,
        /// The step, from 0.
        step: usize,
    },
    /// A given output with an id that the model does not know.
    #[error("output {output} has the token {token}, the vocabulary has {vocabulary}")]
    Token {
        /// The index of the output.
        output: usize,
        /// The id.
        token: u32,
        /// The ids there are.
        vocabulary: usize,
    },
}

impl SearchError {
    /// Nothing if `value` is within `bounds`, which `range` says in words.
    pub(super) fn unless_within<T: PartialOrd + Display>(
        bounds: impl RangeBounds<T>,
        field: &'static str,
        range: &'static str,
        value: T,
    ) -> Result<(), Self> {
        if bounds.contains(&value) {
            return Ok(());
        }
        Err(Self::Setting { field, range, value: value.to_string() })
    }
}
