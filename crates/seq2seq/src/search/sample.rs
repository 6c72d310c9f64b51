//! Outputs by chance.
//!
//! ```text
//! p_i ∝ exp(log P(i) / τ)     for every token i that may be written
//! ```
//!
//! of which the `k` likeliest are kept (top-k), and of these the fewest likeliest whose
//! probabilities sum to `p` or more (top-p); the next token is drawn from what is kept.
//!
//! Sources: Fan et al. (2018), Hierarchical Neural Story Generation, for top-k;
//! Holtzman et al. (2020), The Curious Case of Neural Text Degeneration, section 3.1, for top-p and
//! section 3.3 for the temperature.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    ops::Bound::{Excluded, Included},
};

use rand::{Rng, SeedableRng, rngs::ChaCha12Rng};
use recurrent_text::EOS;
use serde::{Deserialize, Serialize};

use super::{
    Ending, Generator, Hypothesis, Limits, SearchError,
    greedy::hypotheses,
    normal::highest,
    seen::Seen,
    trace::{End, Trace},
    walk::{Choice, Live, walk},
};

/// How outputs are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// `τ`, above 0: 1 draws as the model says, less makes likely tokens likelier; towards 0 the
    /// output is that of [`greedy()`](super::greedy()).
    pub temperature: f64,
    /// How many of the likeliest tokens are kept, above 0; all if none. Of equals those with the
    /// lowest ids are kept.
    pub top_k: Option<usize>,
    /// How much probability is kept, in `(0, 1]`; all if none.
    pub top_p: Option<f64>,
    /// What the draws depend on, with the number of the source and of the draw.
    pub seed: u64,
    /// How many outputs are drawn for each source, above 0.
    pub count: usize,
}

impl Default for Sampling {
    /// One output for each source, as the model says.
    fn default() -> Self {
        Self { temperature: 1.0, top_k: None, top_p: None, seed: 0, count: 1 }
    }
}

impl Sampling {
    /// Nothing if all settings are within their ranges.
    ///
    /// # Errors
    ///
    /// The first setting that is not.
    pub fn check(&self) -> Result<(), SearchError> {
        let positive = (Excluded(0.0), Excluded(f64::INFINITY));
        SearchError::unless_within(positive, "temperature", "above 0", self.temperature)?;
        SearchError::unless_within(1.., "count", "above 0", self.count)?;
        if let Some(k) = self.top_k {
            SearchError::unless_within(1.., "top_k", "above 0", k)?;
        }
        if let Some(p) = self.top_p {
            let share = (Excluded(0.0), Included(1.0));
            SearchError::unless_within(share, "top_p", "above 0 and at most 1", p)?;
        }
        Ok(())
    }
}

/// `count` outputs for each source, in the order of the sources. Their scores are
/// log-probabilities, the model's own whatever the temperature.
///
/// The draws of a source depend on its place in the batch; [`sample_numbered`] is for sources that
/// are put into batches in any order.
///
/// # Errors
///
/// If a setting is out of range, limits contradict each other, or the model gives log-probabilities
/// that are not numbers.
///
/// # Panics
///
/// If there are not as many limits as sources, or what the generator says has the wrong shape.
pub fn sample<G: Generator>(
    generator: &G,
    sampling: &Sampling,
    limits: &Limits,
) -> Result<Vec<Vec<Hypothesis>>, SearchError> {
    let numbers: Vec<u64> = (0..generator.sources() as u64).collect();
    sample_numbered(generator, sampling, limits, &numbers)
}

/// As [`sample()`], with draws that depend on the number of each source, `[B]`, and not on its place:
/// what is drawn for a source is the same in any batch.
///
/// # Errors
///
/// As [`sample()`].
///
/// # Panics
///
/// As [`sample()`], and if there are not as many numbers as sources.
pub fn sample_numbered<G: Generator>(
    generator: &G,
    sampling: &Sampling,
    limits: &Limits,
    numbers: &[u64],
) -> Result<Vec<Vec<Hypothesis>>, SearchError> {
    let (sources, count) = (generator.sources(), sampling.count);
    assert_eq!(numbers.len(), sources, "as many numbers as sources");
    sampling.check()?;
    limits.check(sources)?;
    let draws = |source: usize| source * count..(source + 1) * count;
    let rngs = numbers
        .iter()
        .flat_map(|number| (0..count as u64).map(move |draw| rng(sampling.seed, *number, draw)));
    let mut drawing = Drawing {
        sampling,
        limits,
        row: Vec::new(),
        rngs: rngs.collect(),
        rows: (0..sources).map(|source| draws(source).collect()).collect(),
        ends: vec![None; sources * count],
    };
    let trace = walk(generator, &mut drawing)?;
    let lengths: Option<Vec<usize>> = generator.source_lengths().map(|lengths| {
        lengths.into_iter().flat_map(|length| std::iter::repeat_n(length, count)).collect()
    });
    let drawn = hypotheses(&trace, &drawing.ends, lengths.as_deref());
    Ok(drawn.chunks(count).map(<[Hypothesis]>::to_vec).collect())
}

/// A generator of its own for every output, so that outputs do not depend on each other's lengths.
fn rng(seed: u64, source: u64, draw: u64) -> ChaCha12Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&source.to_le_bytes());
    key[16..24].copy_from_slice(&draw.to_le_bytes());
    ChaCha12Rng::from_seed(key)
}

/// The draws in the making. Those of a source that agree so far are one row of the batch.
struct Drawing<'a> {
    sampling: &'a Sampling,
    limits: &'a Limits,
    row: Vec<f64>,
    rngs: Vec<ChaCha12Rng>,
    /// The draws of each row.
    rows: Vec<Vec<usize>>,
    ends: Vec<Option<End>>,
}

impl Choice for Drawing<'_> {
    fn choose(
        &mut self,
        live: &[Live],
        seen: &Seen,
        trace: &mut Trace,
    ) -> Result<Vec<Live>, SearchError> {
        let mut next = Vec::new();
        let draws = std::mem::take(&mut self.rows);
        for (from, (&Live { source, place, .. }, draws)) in live.iter().zip(draws).enumerate() {
            seen.read(from, source, &mut self.row)?;
            let closed = self.limits.restrict(source, seen.step, &[], &mut self.row);
            let by_token = match closed {
                Some(_) => BTreeMap::from([(EOS, draws)]),
                None => self.draw(draws),
            };
            for (token, draws) in by_token {
                let place = trace.write(place, from, token, self.row[token as usize]);
                if token == EOS {
                    let ending = closed.unwrap_or(Ending::Written);
                    draws.iter().for_each(|draw| self.ends[*draw] = Some(End { place, ending }));
                } else {
                    next.push(Live { source, place: Some(place), from });
                    self.rows.push(draws);
                }
            }
        }
        Ok(next)
    }
}

impl Drawing<'_> {
    /// The next token of each draw, as the draws of each token.
    fn draw(&mut self, draws: Vec<usize>) -> BTreeMap<u32, Vec<usize>> {
        let kept = Kept::new(&self.row, self.sampling);
        let mut by_token = BTreeMap::<u32, Vec<usize>>::new();
        for draw in draws {
            let token = kept.draw(&mut self.rngs[draw]);
            by_token.entry(token).or_default().push(draw);
        }
        by_token
    }
}

/// The tokens that may be drawn, by id, and the sums of their probabilities up to each, of any
/// scale.
struct Kept {
    tokens: Vec<u32>,
    sums: Vec<f64>,
}

impl Kept {
    /// What is kept of a row with at least one token that may be written.
    fn new(row: &[f64], sampling: &Sampling) -> Self {
        let likelier = |a: &u32, b: &u32| -> Ordering {
            row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b))
        };
        let highest = highest(row);
        let mass = |token: u32| ((row[token as usize] - highest) / sampling.temperature).exp();
        let written = |token: &u32| row[*token as usize] > f64::NEG_INFINITY;
        let mut tokens: Vec<u32> = (0..row.len() as u32).filter(written).collect();
        if let Some(k) = sampling.top_k.filter(|k| *k < tokens.len()) {
            tokens.select_nth_unstable_by(k - 1, likelier);
            tokens.truncate(k);
        }
        if let Some(p) = sampling.top_p {
            keep_mass(&mut tokens, p, mass, likelier);
        }
        // In an order that no sorting of a library has a say in.
        tokens.sort_unstable();
        let mut sum = 0.0;
        let mut add = |token: &u32| {
            sum += mass(*token);
            sum
        };
        Self { sums: tokens.iter().map(&mut add).collect(), tokens }
    }

    fn draw(&self, rng: &mut ChaCha12Rng) -> u32 {
        let uniform = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let sum = self.sums.last().expect("the likeliest token is kept");
        let index = self.sums.partition_point(|sum_here| *sum_here <= uniform * sum);
        self.tokens[index.min(self.tokens.len() - 1)]
    }
}

/// Keeps the fewest likeliest tokens whose share of the mass is `share` or more. Only as many are
/// sorted as are needed.
fn keep_mass(
    tokens: &mut Vec<u32>,
    share: f64,
    mass: impl Fn(u32) -> f64,
    likelier: impl Fn(&u32, &u32) -> Ordering,
) {
    // A sum that falls short by rounding alone is enough.
    let goal = share * (1.0 - 1e-12) * tokens.iter().map(|token| mass(*token)).sum::<f64>();
    let (mut sum, mut sorted, mut ahead) = (0.0, 0, 64);
    while sorted < tokens.len() {
        let end = tokens.len().min(sorted + ahead);
        if end < tokens.len() {
            tokens[sorted..].select_nth_unstable_by(ahead - 1, &likelier);
        }
        tokens[sorted..end].sort_unstable_by(&likelier);
        for index in sorted..end {
            sum += mass(tokens[index]);
            if sum >= goal {
                tokens.truncate(index + 1);
                return;
            }
        }
        (sorted, ahead) = (end, 2 * ahead);
    }
}
