//! What every metric asks of outputs and their references.

use thiserror::Error;

/// Why outputs cannot be scored.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ScoreError {
    /// There is nothing to score.
    #[error("there is no output to score")]
    Nothing,
    /// Outputs and references do not belong together.
    #[error("there are {outputs} outputs and references for {references}")]
    Unequal {
        /// The number of outputs.
        outputs: usize,
        /// The number of lists of references.
        references: usize,
    },
    /// An output has no reference.
    #[error("output {output} has no reference")]
    NoReference {
        /// The index of the output.
        output: usize,
    },
    /// No word of the references has a vector.
    #[error(
        "0 of {words} words of the references have a vector, `{example}` has none: the word vectors \
         must be of the vocabulary of the references"
    )]
    OtherVocabulary {
        /// The words of all references together, as often as they are said.
        words: usize,
        /// One of them.
        example: String,
    },
}

/// Outputs with their references, after a check.
pub(crate) fn paired<'a, O, R>(
    outputs: &'a [O],
    references: &'a [Vec<R>],
) -> Result<impl Iterator<Item = (&'a O, &'a [R])>, ScoreError> {
    if outputs.len() != references.len() {
        let (outputs, references) = (outputs.len(), references.len());
        return Err(ScoreError::Unequal { outputs, references });
    }
    if outputs.is_empty() {
        return Err(ScoreError::Nothing);
    }
    if let Some(output) = references.iter().position(Vec::is_empty) {
        return Err(ScoreError::NoReference { output });
    }
    Ok(outputs.iter().zip(references.iter().map(Vec::as_slice)))
}

/// The number of references of each output as sacreBLEU writes it, `var` if they differ.
pub(crate) fn count_name<R>(references: &[Vec<R>]) -> String {
    match references.first().map(Vec::len) {
        Some(count) if references.iter().all(|list| list.len() == count) => count.to_string(),
        Some(_) | None => "var".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(outputs: &[&str], references: &[Vec<&str>]) -> String {
        match paired(outputs, references) {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        }
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        assert_eq!(message(&[], &[]), "there is no output to score");
        assert_eq!(message(&["a"], &[]), "there are 1 outputs and references for 0");
        assert_eq!(message(&["a", "b"], &[vec!["a"], vec![]]), "output 1 has no reference");
    }
}
