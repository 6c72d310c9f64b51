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
    /// [`LengthRatio`].
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

/// How long outputs get, as the training data says.
///
/// ```text
/// max(|X|) = ⌈1.1 · (a · |X| + b)⌉ + 1
/// ```
///
/// `a · |X| + b` is the line that no pair of the training data is above and that is lowest on
/// average over their sources, `a ≥ 0`. A tenth and a token are added for outputs that are a little
/// longer than any that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthRatio {
    /// `a`, tokens of the target for each token of the source.
    pub slope: f64,
    /// `b`, tokens of the target for a source without tokens.
    pub intercept: f64,
}

impl LengthRatio {
    /// Learns from `(|X|, |Y|)` of every pair, in tokens without `</s>`. None if there is no pair.
    pub fn fit(pairs: impl IntoIterator<Item = (usize, usize)>) -> Option<Self> {
        let mut points: Vec<(f64, f64)> =
            pairs.into_iter().map(|(source, target)| (source as f64, target as f64)).collect();
        let sum: f64 = points.iter().map(|point| point.0).sum();
        let mean = sum / points.len() as f64;
        let hull = upper_hull(&mut points);
        let (&first, &last) = (hull.first()?, hull.last()?);
        // Of all lines above the hull, one along the edge over the mean is lowest there.
        let edge = hull.windows(2).find(|edge| edge[0].0 <= mean && mean <= edge[1].0);
        let slope = match edge {
            Some(edge) => (edge[1].1 - edge[0].1) / (edge[1].0 - edge[0].0),
            None => 0.0,
        };
        let slope = f64::max(slope, 0.0);
        let above = |point: &(f64, f64)| point.1 - slope * point.0;
        let intercept = hull.iter().map(above).fold(above(&first).max(above(&last)), f64::max);
        Some(Self { slope, intercept })
    }

    /// The most tokens of an output whose source has `source` tokens, `</s>` left out.
    pub fn most(&self, source: usize) -> usize {
        let line = (self.slope * source as f64 + self.intercept).max(0.0);
        (1.1 * line).ceil() as usize + 1
    }

    /// The limits of outputs whose sources have so many tokens, `[B]`.
    pub fn limits(&self, sources: &[usize]) -> Limits {
        Limits::at_most(sources.iter().map(|length| self.most(*length)).collect())
    }
}

/// The corners of the upper side of the convex hull, from left to right: Andrew's monotone chain.
fn upper_hull(points: &mut [(f64, f64)]) -> Vec<(f64, f64)> {
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut hull: Vec<(f64, f64)> = Vec::new();
    for &mut point in points {
        // Of points above each other only the highest counts, and it comes last.
        hull.pop_if(|last| last.0 == point.0);
        while let [.., a, b] = hull[..]
            && (b.1 - a.1) * (point.0 - a.0) <= (point.1 - a.1) * (b.0 - a.0)
        {
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

#[cfg(test)]
mod tests;
