//! How long outputs get, as the training data says.
//!
//! ```text
//! max(|X|) = ⌈1.1 · (a · |X| + b)⌉ + 1
//! ```
//!
//! `a · |X| + b` is the line that no pair of the training data is above and that is lowest on
//! average over their sources, `a ≥ 0`. A tenth and a token are added for outputs that are a little
//! longer than any that was seen.

use serde::{Deserialize, Serialize};

use super::Limits;

/// How long outputs get for the length of their source.
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
