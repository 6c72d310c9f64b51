//! The share of outputs that are right to the letter.

use crate::{ScoreError, references::paired};

/// The share of outputs that equal one of their references.
///
/// # Errors
///
/// If there is no output, an output without a reference, or not a list of references for each.
pub fn exact_match<O: AsRef<str>, R: AsRef<str>>(
    outputs: &[O],
    references: &[Vec<R>],
) -> Result<f64, ScoreError> {
    let right = paired(outputs, references)?.filter(|(output, references)| {
        references.iter().any(|reference| reference.as_ref() == output.as_ref())
    });
    Ok(right.count() as f64 / outputs.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_reference_will_do_and_blanks_count() {
        let outputs = ["a", "b", "c "];
        let references = [vec!["x", "a"], vec!["x"], vec!["c"]];
        assert_eq!(exact_match(&outputs, &references).unwrap(), 1.0 / 3.0);
    }

    #[test]
    fn nothing_cannot_be_scored() {
        let nothing: [&str; 0] = [];
        let references: [Vec<&str>; 0] = [];
        assert_eq!(exact_match(&nothing, &references).unwrap_err(), ScoreError::Nothing);
    }
}
