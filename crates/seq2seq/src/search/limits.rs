//! What an output may be, whatever the model thinks.

use recurrent_text::{BOS, EOS, PAD, UNK};
use serde::{Deserialize, Serialize};

use super::{Ending, SearchError, greedy::likeliest};

/// Whether `<unk>` may be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Like any other token.
    #[default]
    Allowed,
    /// Never.
    Forbidden,
}

/// How long outputs may be, in tokens without `</s>`, and whether they may have `<unk>` in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The fewest tokens of the output of each source, `[B]`: `</s>` is forbidden before.
    pub min: Vec<usize>,
    /// The most tokens of the output of each source, `[B]`: then only `</s>` is allowed.
    pub max: Vec<usize>,
    /// Whether `<unk>` may be written.
    pub unknown: Unknown,
}

impl Limits {
    /// At most so many tokens for each source, `[B]`, at least none, `<unk>` allowed.
    pub fn at_most(max: Vec<usize>) -> Self {
        Self { min: vec![0; max.len()], max, unknown: Unknown::Allowed }
    }

    /// Twice as many tokens as the source has, Wu et al.'s (2016) rule: for want of a
    /// [`LengthRatio`](super::LengthRatio).
    pub fn twice(sources: &[usize]) -> Self {
        Self::at_most(sources.iter().map(|length| 2 * length).collect())
    }

    /// The same with at least `min` tokens for each source, `[B]`.
    #[must_use]
    pub fn at_least(self, min: Vec<usize>) -> Self {
        Self { min, ..self }
    }

    /// The same with `<unk>` allowed or forbidden.
    #[must_use]
    pub fn with_unknown(self, unknown: Unknown) -> Self {
        Self { unknown, ..self }
    }

    /// # Panics
    ///
    /// If there are not as many limits as sources.
    pub(super) fn check(&self, sources: usize) -> Result<(), SearchError> {
        assert_eq!(self.min.len(), sources, "as many lower limits as sources");
        assert_eq!(self.max.len(), sources, "as many upper limits as sources");
        for (output, (&min, &max)) in self.min.iter().zip(&self.max).enumerate() {
            if min > max {
                return Err(SearchError::Limits { output, min, max });
            }
        }
        Ok(())
    }

    /// Puts `−∞` where nothing may be written after `step` tokens. What is in `banned` may not be,
    /// either. If nothing but `</s>` is left, because the output is as long as it may be or nothing
    /// else is allowed, this is how it ends.
    pub(super) fn restrict(
        &self,
        source: usize,
        step: usize,
        banned: &[u32],
        row: &mut [f64],
    ) -> Option<Ending> {
        let forbid = |row: &mut [f64], token: u32| row[token as usize] = f64::NEG_INFINITY;
        forbid(row, PAD);
        forbid(row, BOS);
        if self.unknown == Unknown::Forbidden {
            forbid(row, UNK);
        }
        if step >= self.max[source] {
            let ending = if likeliest(row) == EOS { Ending::Written } else { Ending::Cut };
            close(row);
            return Some(ending);
        }
        let end = row[EOS as usize];
        if step < self.min[source] {
            forbid(row, EOS);
        }
        banned.iter().for_each(|token| forbid(row, *token));
        if row.iter().any(|log_prob| *log_prob > f64::NEG_INFINITY) {
            return None;
        }
        row[EOS as usize] = end;
        Some(Ending::Cut)
    }
}

/// Leaves `</s>` alone.
fn close(row: &mut [f64]) {
    let end = row[EOS as usize];
    row.fill(f64::NEG_INFINITY);
    row[EOS as usize] = end;
}
