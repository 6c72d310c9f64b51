//! A value of a configuration that cannot be.

use thiserror::Error;

/// A value that is not in its range.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{field}` must be {range}, got {value}")]
pub struct OutOfRange {
    /// The path of its key, `training.clip_norm`.
    pub field: String,
    /// The value.
    pub value: String,
    /// Where it should be: "above 0", "from 0 to 1".
    pub range: String,
}

impl OutOfRange {
    /// `value` of `field` is not in `range`.
    pub fn new(field: impl Into<String>, value: impl ToString, range: impl Into<String>) -> Self {
        Self { field: field.into(), value: value.to_string(), range: range.into() }
    }

    /// The error unless the value is as it should be: `check("rate", rate, |&x| x > 0.0, "above 0")`.
    ///
    /// # Errors
    ///
    /// If `holds` says no.
    pub fn check<T: ToString>(
        field: &str,
        value: T,
        holds: impl FnOnce(&T) -> bool,
        range: &str,
    ) -> Result<(), Self> {
        match holds(&value) {
            true => Ok(()),
            false => Err(Self::new(field, value, range)),
        }
    }

    /// The same in settings that lie under a key of others: `inside` becomes `outside.inside`.
    #[must_use]
    pub fn under(mut self, key: &str) -> Self {
        self.field = format!("{key}.{}", self.field);
        self
    }
}
