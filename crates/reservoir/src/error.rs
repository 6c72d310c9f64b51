//! What can be wrong with a setting or a series.

use thiserror::Error;

/// Why there is no such reservoir, or nothing can be learned.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ReservoirError {
    /// A setting has a value that it may not have.
    #[error("`{field}` is {value}, expected {range}")]
    OutOfRange {
        /// The setting.
        field: String,
        /// Its value.
        value: String,
        /// What it may be.
        range: String,
    },
    /// No matrix could be drawn whose spectral radius can be set.
    #[error(
        "{draws} matrices of {units} units with a density of {density} had no eigenvalue above 1e-8: expected \
         enough connections for a cycle"
    )]
    Nilpotent {
        /// How many were drawn.
        draws: usize,
        /// Units.
        units: usize,
        /// The share of weights.
        density: f64,
    },
    /// The eigenvalues could not be computed.
    #[error("the spectral radius of a matrix of {units} units did not converge")]
    Spectrum {
        /// Units.
        units: usize,
    },
    /// A series ends before anything can be learned of it.
    #[error(
        "series {series} has {steps} steps, expected more than the {washout} that are washed out"
    )]
    Short {
        /// Which series, from 0.
        series: usize,
        /// Its steps.
        steps: usize,
        /// Steps that are not learned from.
        washout: usize,
    },
    /// A series has a number that is none.
    #[error("series {series}, step {step}, column {column} is {value}, expected a finite number")]
    NotFinite {
        /// Which series, from 0.
        series: usize,
        /// Which step, from 0.
        step: usize,
        /// Which column, from 0.
        column: usize,
        /// What it is.
        value: f64,
    },
    /// A series never changes, so that there is nothing to predict and nothing to measure against.
    #[error(
        "column {column} of the targets is {value} at every step, expected a series that changes"
    )]
    Constant {
        /// Which column, from 0.
        column: usize,
        /// What it always is.
        value: f64,
    },
    /// A series has more or fewer columns than expected.
    #[error("{what} has {found} columns, expected {expected}")]
    Columns {
        /// Which series.
        what: &'static str,
        /// Its columns.
        found: usize,
        /// Those it should have.
        expected: usize,
    },
    /// Inputs and targets have different lengths.
    #[error(
        "series {series} has {inputs} steps of inputs and {targets} of targets, expected as many"
    )]
    Steps {
        /// Which series, from 0.
        series: usize,
        /// Steps of the inputs.
        inputs: usize,
        /// Steps of the targets.
        targets: usize,
    },
    /// There is nothing to learn from.
    #[error("no series to learn from")]
    Nothing,
    /// More unknowns than equations, and nothing else to choose between them.
    #[error(
        "`regularization` is 0 with {features} features and {rows} rows to learn from, expected above 0, at least \
         as many rows, or `solver = \"svd\"`"
    )]
    Underdetermined {
        /// Unknowns.
        features: usize,
        /// Equations.
        rows: usize,
    },
    /// A Cholesky factorisation does not exist.
    #[error(
        "the features are linearly dependent up to rounding with `regularization` = {regularization:e}: expected a \
         larger one, or `solver = \"svd\"`"
    )]
    NotPositiveDefinite {
        /// What was added to the diagonal.
        regularization: f64,
    },
    /// Targets beyond what the readout's activation can give.
    #[error("a target is {value}, expected a number within (−1, 1) for `output = \"tanh\"`")]
    BeyondTanh {
        /// The target.
        value: f64,
    },
    /// The parts of a network do not belong together.
    #[error("a network with {found} {what}, expected {expected}")]
    Parts {
        /// Which part.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// It has not been fitted.
    #[error("the network has no readout yet: fit it first")]
    NotFitted,
    /// What is fed back does not exist.
    #[error("`feedback_scaling` is {scaling} with a readout that gives classes, expected 0")]
    FeedbackWithClasses {
        /// How strongly it is fed back.
        scaling: f64,
    },
    /// A sequence has fewer steps than there are places in it that are looked at.
    #[error("sequence {sequence} has {steps} steps, expected at least {least}")]
    ShortSequence {
        /// Which sequence, from 0.
        sequence: usize,
        /// Its steps.
        steps: usize,
        /// What it should have.
        least: usize,
    },
    /// A sequence is of a class that there is not.
    #[error("sequence {sequence} is of class {class}, expected one of 0 to {}", classes - 1)]
    UnknownClass {
        /// Which sequence, from 0.
        sequence: usize,
        /// Its class.
        class: usize,
        /// How many there are.
        classes: usize,
    },
    /// A class has nothing that it could be learned from.
    #[error("class {class} of 0 to {} has no sequence to learn from", classes - 1)]
    EmptyClass {
        /// The class.
        class: usize,
        /// How many there are.
        classes: usize,
    },
    /// Delays reach back beyond what has been heard.
    #[error(
        "{heard} steps have been heard, expected at least the {needed} that the delays reach back"
    )]
    NotWarm {
        /// Steps heard.
        heard: usize,
        /// Steps that a readout needs.
        needed: usize,
    },
    /// A readout that learns step after step has left all bounds.
    #[error(
        "the weights were no longer finite at step {step}: expected a smaller `step_size`, or a `forgetting` nearer 1"
    )]
    Diverged {
        /// The first step whose error is no number, from 0.
        step: usize,
    },
    /// A unit that adapts its gain and bias has left their range.
    #[error(
        "unit {unit} has a gain of {gain} and a bias of {bias} after step {step} of series {series} in epoch {epoch}, \
         expected finite numbers and a gain above 0, as with a `learning_rate` below {learning_rate}"
    )]
    GainRanAway {
        /// Which unit, from 0.
        unit: usize,
        /// Its gain.
        gain: f64,
        /// Its bias.
        bias: f64,
        /// Which time the series were gone through, from 0.
        epoch: usize,
        /// Which series, from 0.
        series: usize,
        /// Which step of it, from 0.
        step: usize,
        /// What was too large.
        learning_rate: f64,
    },
    /// What hears itself has left all bounds.
    #[error(
        "what is said is no longer finite at step {step} of going on by itself: expected a series that it knows"
    )]
    RanAway {
        /// Which step, from 0.
        step: usize,
    },
    /// Outputs cannot be the next inputs.
    #[error("{outputs} outputs cannot be the {inputs} inputs of the next step: expected as many")]
    OpenLoop {
        /// Outputs.
        outputs: usize,
        /// Inputs.
        inputs: usize,
    },
}

impl ReservoirError {
    /// A setting that is out of its range.
    pub(crate) fn out_of_range(field: &str, value: impl ToString, range: &str) -> Self {
        let (field, range) = (field.to_owned(), range.to_owned());
        Self::OutOfRange { field, value: value.to_string(), range }
    }

    /// The same with the name of what the setting belongs to in front.
    #[must_use]
    pub fn under(self, parent: &str) -> Self {
        match self {
            Self::OutOfRange { field, value, range } => {
                Self::OutOfRange { field: format!("{parent}.{field}"), value, range }
            }
            other => other,
        }
    }
}

/// Refuses a value out of its range.
pub(crate) fn check(
    field: &str,
    value: f64,
    holds: impl FnOnce(f64) -> bool,
    range: &str,
) -> Result<(), ReservoirError> {
    match value.is_finite() && holds(value) {
        true => Ok(()),
        false => Err(ReservoirError::out_of_range(field, value, range)),
    }
}
