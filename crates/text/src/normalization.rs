//! One spelling for text that can be written in several, as data of a configuration.

use std::borrow::Cow;

use regex::Regex;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// Steps that are applied to a text one after the other.
///
/// In a configuration this is a list: `["lowercase", { unicode = "nfkc" }, "collapse_spaces"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Normalization {
    /// The steps, in the order in which they are applied.
    pub steps: Vec<Step>,
}

/// One change of spelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Every letter in lower case.
    Lowercase,
    /// One of several equivalent sequences of code points.
    Unicode(Form),
    /// No white space at either end.
    Trim,
    /// One blank for every run of white space, none at either end.
    CollapseSpaces,
    /// Every match of a regular expression replaced.
    Replace {
        /// The regular expression, in the syntax of the crate `regex`.
        pattern: String,
        /// The replacement; `$1` is the first group.
        with: String,
    },
}

/// A normal form of Unicode (UAX 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Composed, canonically equivalent.
    Nfc,
    /// Composed, and compatibility variants such as full-width letters made plain.
    Nfkc,
}

/// Why a step cannot be applied.
#[derive(Debug, Error)]
pub enum NormalizationError {
    /// A pattern is no regular expression.
    #[error("step {step} of the normalization: `{pattern}` is no regular expression: {reason}")]
    Pattern {
        /// The index of the step.
        step: usize,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: Box<regex::Error>,
    },
}

/// A [`Normalization`] that is ready to run. It is written to files as the data it came from.
#[derive(Clone, Debug, Default)]
pub struct Normalizer {
    steps: Vec<Compiled>,
    source: Normalization,
}

#[derive(Clone, Debug)]
enum Compiled {
    Lowercase,
    Unicode(Form),
    Trim,
    CollapseSpaces,
    Replace(Regex, String),
}

impl Normalization {
    /// Compiles the regular expressions.
    ///
    /// # Errors
    ///
    /// If a pattern is no regular expression.
    pub fn compile(&self) -> Result<Normalizer, NormalizationError> {
        let compile = |(index, step): (usize, &Step)| {
            Ok(match step {
                Step::Lowercase => Compiled::Lowercase,
                Step::Unicode(form) => Compiled::Unicode(*form),
                Step::Trim => Compiled::Trim,
                Step::CollapseSpaces => Compiled::CollapseSpaces,
                Step::Replace { pattern, with } => {
                    let regex =
                        Regex::new(pattern).map_err(|reason| NormalizationError::Pattern {
                            step: index,
                            pattern: pattern.clone(),
                            reason: Box::new(reason),
                        })?;
                    Compiled::Replace(regex, with.clone())
                }
            })
        };
        let steps = self.steps.iter().enumerate().map(compile).collect::<Result<_, _>>()?;
        Ok(Normalizer { steps, source: self.clone() })
    }
}

impl Normalizer {
    /// `text` after all steps.
    pub fn apply(&self, text: &str) -> String {
        self.steps.iter().fold(text.to_owned(), |text, step| step.apply(text))
    }

    /// The steps this was compiled from.
    pub fn normalization(&self) -> &Normalization {
        &self.source
    }
}

impl Compiled {
    fn apply(&self, text: String) -> String {
        match self {
            Self::Lowercase => text.to_lowercase(),
            Self::Unicode(Form::Nfc) => text.nfc().collect(),
            Self::Unicode(Form::Nfkc) => text.nfkc().collect(),
            Self::Trim => text.trim().to_owned(),
            Self::CollapseSpaces => text.split_whitespace().collect::<Vec<_>>().join(" "),
            Self::Replace(regex, with) => match regex.replace_all(&text, with.as_str()) {
                Cow::Owned(replaced) => replaced,
                Cow::Borrowed(_) => text,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// `json` is the list of steps as a configuration has it.
    #[rstest]
    #[case(r#"["lowercase"]"#, "ÉTÉ ΣΑΣ", "été σας")]
    #[case(r#"[{"unicode":"nfc"}]"#, "e\u{301} ﬁ", "é ﬁ")]
    #[case(r#"[{"unicode":"nfkc"}]"#, "Ａﬁ\u{a0}ｶﾞ", "Afi ガ")]
    #[case(r#"["trim"]"#, " a  b\n", "a  b")]
    #[case(r#"["collapse_spaces"]"#, " a\u{3000} b\t", "a b")]
    #[case(r#"[{"replace":{"pattern":"[0-9]","with":""}}]"#, "HH AH0 L OW1", "HH AH L OW")]
    #[case(r#"[{"replace":{"pattern":"(\\w)'","with":"$1’"}}]"#, "l'eau", "l’eau")]
    #[case(r#"["lowercase",{"replace":{"pattern":"a","with":"B"}}]"#, "A", "B")]
    #[case("[]", " A ", " A ")]
    fn steps_do_what_they_say(#[case] json: &str, #[case] text: &str, #[case] expected: &str) {
        let normalization: Normalization = serde_json::from_str(json).unwrap();
        assert_eq!(normalization.compile().unwrap().apply(text), expected);
        assert_eq!(serde_json::to_string(&normalization).unwrap(), json);
    }

    #[rstest]
    #[case(r#"["uppercase"]"#, "unknown variant `uppercase`")]
    #[case(r#"[{"unicode":"nfd"}]"#, "unknown variant `nfd`")]
    #[case(r#"[{"replace":{"pattern":"a","with":"b","flags":""}}]"#, "unknown field `flags`")]
    fn unknown_keys_are_refused(#[case] json: &str, #[case] message: &str) {
        let error = serde_json::from_str::<Normalization>(json).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn a_broken_pattern_is_refused_with_its_step() {
        let replace = Step::Replace { pattern: "[0-9".to_owned(), with: String::new() };
        let steps = vec![Step::Trim, replace];
        let error = Normalization { steps }.compile().unwrap_err().to_string();
        let expected = "step 1 of the normalization: `[0-9` is no regular expression: ";
        assert!(error.starts_with(expected), "{error}");
    }
}
