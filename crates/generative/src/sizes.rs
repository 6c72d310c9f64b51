//! Ranges that the configurations of all models have in common.

use recurrent_training::OutOfRange;

pub(crate) fn at_least_one(field: &str, value: usize) -> Result<(), OutOfRange> {
    OutOfRange::check(field, value, |&value| value > 0, "at least 1")
}

pub(crate) fn share(field: &str, value: f64) -> Result<(), OutOfRange> {
    OutOfRange::check(field, value, |value| (0.0..1.0).contains(value), "in [0, 1)")
}
