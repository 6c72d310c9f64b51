//! What is done to the columns of a corpus before anything is counted.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{Normalization, NormalizationError, Pair};

/// A normalisation for each column, and whether to keep equal pairs. As data of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairTransform {
    /// What is done to the sources.
    pub source: Normalization,
    /// What is done to the targets.
    pub target: Normalization,
    /// Whether only the first of several pairs is kept that are equal after normalisation.
    pub deduplicate: bool,
}

/// Pairs after a [`PairTransform`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transformed {
    /// The pairs that are kept, in their order.
    pub pairs: Vec<Pair>,
    /// How many were left out because they were there already.
    pub repeated: usize,
}

impl PairTransform {
    /// `pairs` with both columns normalised.
    ///
    /// # Errors
    ///
    /// If a pattern is no regular expression.
    pub fn apply(&self, pairs: Vec<Pair>) -> Result<Transformed, NormalizationError> {
        let (source, target) = (self.source.compile()?, self.target.compile()?);
        let before = pairs.len();
        let mut pairs: Vec<Pair> = pairs
            .into_iter()
            .map(|pair| Pair {
                source: source.apply(&pair.source),
                target: target.apply(&pair.target),
            })
            .collect();
        if self.deduplicate {
            let mut seen = HashSet::new();
            pairs.retain(|pair| seen.insert(pair.clone()));
        }
        let repeated = before - pairs.len();
        Ok(Transformed { pairs, repeated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: &str, target: &str) -> Pair {
        Pair { source: source.to_owned(), target: target.to_owned() }
    }

    /// Stress digits go, and with them what told two pronunciations apart.
    #[test]
    fn pairs_that_become_equal_are_kept_once() {
        let json = r#"{"target":[{"replace":{"pattern":"[0-9]","with":""}}],"deduplicate":true}"#;
        let transform: PairTransform = serde_json::from_str(json).unwrap();
        let pairs = vec![pair("a1", "AH0"), pair("a1", "AH1"), pair("b", "B")];
        let transformed = transform.apply(pairs).unwrap();
        assert_eq!(transformed.pairs, [pair("a1", "AH"), pair("b", "B")]);
        assert_eq!(transformed.repeated, 1);
    }

    #[test]
    fn nothing_is_done_unless_asked_for() {
        let pairs = vec![pair(" A", "b "), pair(" A", "b ")];
        let transformed = PairTransform::default().apply(pairs.clone()).unwrap();
        assert_eq!(transformed, Transformed { pairs, repeated: 0 });
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<PairTransform>(r#"{"dedup":true}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `dedup`"), "{error}");
    }
}
