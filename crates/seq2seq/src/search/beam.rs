//! The best whole output, as far as a beam of hypotheses finds it.
//!
//! At every step, for every source:
//!
//! - *expand*: every token that may be written after every live hypothesis is a candidate. At the
//!   start there is one live hypothesis a source, so no two are ever alike.
//! - *prune*: the `width` candidates of highest log-probability stay. All are of one length, so
//!   that is the same order as with a length penalty.
//! - *finish*: those with `</s>` have ended and are scored; the others are the live hypotheses of
//!   the next step, and their tokens are rows of one batch for all sources.
//!
//! A source is done when it has as many ended outputs as are wanted and no live hypothesis can
//! reach the worst of them. A hypothesis of log-probability `log P` that may end with at most `n`
//! tokens, `</s>` included, never scores above
//!
//! ```text
//! log P / ((5 + n) / 6)^α
//! ```
//!
//! because its log-probability can only fall, the length penalty is highest for `n` tokens, and the
//! coverage penalty is at most 0. So a search that stops finds what one finds that goes on. A
//! hypothesis at its limit ends with `</s>` and pays its probability: what was [cut](Ending::Cut)
//! is ranked with the rest, by the same score.
//!
//! A beam of width 1 is [`greedy()`](super::greedy()), whatever the penalties. Scores:
//! [`length_penalty`], [`coverage_penalty`].
//!
//! Sources: Sutskever et al. (2014), Sequence to Sequence Learning with Neural Networks, section
//! 3.2, for a beam that ended hypotheses leave; Wu et al. (2016), Google's Neural Machine
//! Translation System, section 7, for scores and pruning.

use recurrent_text::EOS;
use serde::{Deserialize, Serialize};

use super::{
    Ending, Generator, Hypothesis, Limits, SearchError, coverage_penalty, length_penalty,
    normal::highest,
    repetition::repeating,
    seen::Seen,
    shortlist::{Candidate, Shortlist},
    trace::{End, Trace},
    walk::{Choice, Live, walk},
};

/// How the best output is searched for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Beam {
    /// How many hypotheses a source has at every step, above 0.
    pub width: usize,
    /// How many outputs are wanted for each source, from 1 to `width`.
    pub n_best: usize,
    /// `α`, at least 0: the higher, the longer the outputs; 0 leaves lengths out.
    pub length_penalty: f64,
    /// `β`, at least 0: the higher, the more outputs say all that their source says; 0 leaves it
    /// out.
    pub coverage_penalty: f64,
    /// So many tokens in a row, above 0, are never written twice in an output.
    pub no_repeat_ngram: Option<usize>,
    /// What is given up before its time.
    pub pruning: Option<Pruning>,
}

/// What a beam gives up before its time, in nats. Wu et al. (2016) have 3 for both.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pruning {
    /// A token is no candidate if its log-probability is so much below the best token of the step,
    /// over all live hypotheses of its source; at least 0.
    pub token: f64,
    /// An output is dropped if its score is so much below the best of its source; at least 0.
    pub finished: f64,
}

impl Default for Pruning {
    /// Wu et al.'s (2016) values.
    fn default() -> Self {
        Self { token: 3.0, finished: 3.0 }
    }
}

impl Default for Beam {
    /// The best of five by log-probability.
    fn default() -> Self {
        Self::new(5)
    }
}

impl Beam {
    /// The best of `width` by log-probability.
    pub fn new(width: usize) -> Self {
        Self {
            width,
            n_best: 1,
            length_penalty: 0.0,
            coverage_penalty: 0.0,
            no_repeat_ngram: None,
            pruning: None,
        }
    }

    /// Nothing if all settings are within their ranges.
    ///
    /// # Errors
    ///
    /// The first setting that is not.
    pub fn check(&self) -> Result<(), SearchError> {
        let penalty = |field, value: f64| {
            SearchError::unless_within(0.0..f64::INFINITY, field, "at least 0", value)
        };
        SearchError::unless_within(1.., "width", "above 0", self.width)?;
        SearchError::unless_within(1..=self.width, "n_best", "from 1 to `width`", self.n_best)?;
        penalty("length_penalty", self.length_penalty)?;
        penalty("coverage_penalty", self.coverage_penalty)?;
        if let Some(n) = self.no_repeat_ngram {
            SearchError::unless_within(1.., "no_repeat_ngram", "above 0", n)?;
        }
        if let Some(pruning) = self.pruning {
            penalty("pruning.token", pruning.token)?;
            penalty("pruning.finished", pruning.finished)?;
        }
        Ok(())
    }
}

/// The best outputs of each source, best first, in the order of the sources: `n_best` of them, or
/// fewer where there are no more or pruning has dropped them.
///
/// # Errors
///
/// If a setting is out of range, limits contradict each other, coverage counts but the model does
/// not look at its source, or the model gives log-probabilities that are not numbers.
///
/// # Panics
///
/// If there are not as many limits as sources, or what the generator says has the wrong shape.
pub fn beam<G: Generator>(
    generator: &G,
    beam: &Beam,
    limits: &Limits,
) -> Result<Vec<Vec<Hypothesis>>, SearchError> {
    beam.check()?;
    limits.check(generator.sources())?;
    let lengths = generator.source_lengths();
    if beam.coverage_penalty > 0.0 && lengths.is_none() {
        return Err(SearchError::NoWeights);
    }
    let mut search = Search {
        beam,
        limits,
        lengths: lengths.as_deref(),
        rows: Vec::new(),
        ended: vec![Vec::new(); generator.sources()],
    };
    let trace = walk(generator, &mut search)?;
    Ok((0..generator.sources()).map(|source| search.best(source, &trace)).collect())
}

/// What can be written after a live hypothesis.
#[derive(Default)]
struct Row {
    log_probs: Vec<f64>,
    /// How it ends if nothing but `</s>` can.
    closed: Option<Ending>,
}

/// An output.
#[derive(Clone, Copy)]
struct Ended {
    end: End,
    length_penalty: f64,
    coverage_penalty: f64,
    score: f64,
}

struct Search<'a> {
    beam: &'a Beam,
    limits: &'a Limits,
    lengths: Option<&'a [usize]>,
    /// Those of the source at hand, kept for their memory.
    rows: Vec<Row>,
    /// The outputs of each source, best first, of equals the first that was found.
    ended: Vec<Vec<Ended>>,
}

impl Choice for Search<'_> {
    fn choose(
        &mut self,
        live: &[Live],
        seen: &Seen,
        trace: &mut Trace,
    ) -> Result<Vec<Live>, SearchError> {
        let mut next = Vec::new();
        let mut first = 0;
        for group in live.chunk_by(|a, b| a.source == b.source) {
            self.expand(first, group, seen, trace)?;
            let candidates = self.prune(group, trace);
            next.extend(self.finish(first, group, &candidates, trace));
            first += group.len();
        }
        Ok(next)
    }
}

impl Search<'_> {
    /// What can be written after each hypothesis of `group`, whose first row is `first`, goes to
    /// `self.rows`.
    fn expand(
        &mut self,
        first: usize,
        group: &[Live],
        seen: &Seen,
        trace: &Trace,
    ) -> Result<(), SearchError> {
        self.rows.resize_with(group.len(), Row::default);
        for (index, (live, row)) in group.iter().zip(&mut self.rows).enumerate() {
            seen.read(first + index, live.source, &mut row.log_probs)?;
            let banned = match self.beam.no_repeat_ngram {
                Some(n) => repeating(&trace.tokens(live.place), n),
                None => Vec::new(),
            };
            let log_probs = &mut row.log_probs;
            row.closed = self.limits.restrict(live.source, seen.step, &banned, log_probs);
        }
        Ok(())
    }

    /// The best candidates of `self.rows`, best first.
    fn prune(&self, group: &[Live], trace: &Trace) -> Vec<Candidate> {
        let open = || self.rows.iter().filter(|row| row.closed.is_none());
        let least = self.beam.pruning.map_or(f64::NEG_INFINITY, |pruning| {
            open().map(|row| highest(&row.log_probs)).fold(f64::NEG_INFINITY, f64::max)
                - pruning.token
        });
        let mut shortlist = Shortlist::new(self.beam.width);
        for (parent, (live, row)) in group.iter().zip(&self.rows).enumerate() {
            let before = trace.total(live.place);
            if row.closed.is_some() {
                let log_prob = row.log_probs[EOS as usize];
                shortlist.offer(Candidate {
                    total: before + log_prob,
                    log_prob,
                    parent,
                    token: EOS,
                });
            } else {
                shortlist.offer_row(parent, before, &row.log_probs, least);
            }
        }
        shortlist.into_best()
    }

    /// Writes the candidates of one source. Those that end are scored, the others go on, unless the
    /// source is done.
    fn finish(
        &mut self,
        first: usize,
        group: &[Live],
        candidates: &[Candidate],
        trace: &mut Trace,
    ) -> Vec<Live> {
        let source = group[0].source;
        let mut live = Vec::new();
        for &Candidate { log_prob, parent, token, .. } in candidates {
            let from = first + parent;
            let place = trace.write(group[parent].place, from, token, log_prob);
            if token == EOS {
                let ending = self.rows[parent].closed.unwrap_or(Ending::Written);
                self.keep(source, End { place, ending }, trace);
            } else {
                live.push(Live { source, place: Some(place), from });
            }
        }
        if live.iter().any(|live| self.can_matter(live, trace)) { live } else { Vec::new() }
    }

    fn keep(&mut self, source: usize, end: End, trace: &Trace) {
        let (alpha, beta) = (self.beam.length_penalty, self.beam.coverage_penalty);
        let place = Some(end.place);
        let length_penalty = length_penalty(trace.tokens(place).len(), alpha);
        let coverage_penalty = match self.lengths {
            Some(lengths) if beta > 0.0 => {
                coverage_penalty(&trace.coverage(place, lengths[source]), beta)
            }
            Some(_) | None => 0.0,
        };
        let score = trace.total(place) / length_penalty + coverage_penalty;
        let ended = &mut self.ended[source];
        let rank = ended.partition_point(|other| other.score >= score);
        ended.insert(rank, Ended { end, length_penalty, coverage_penalty, score });
    }

    /// Whether a hypothesis may still become one of the best outputs.
    fn can_matter(&self, live: &Live, trace: &Trace) -> bool {
        let most = self.limits.max[live.source] + 1;
        let bound = trace.total(live.place) / length_penalty(most, self.beam.length_penalty);
        let ended = &self.ended[live.source];
        let enters = ended.get(self.beam.n_best - 1).is_none_or(|worst| bound > worst.score);
        enters && bound >= self.least_score(live.source)
    }

    /// What an output of a source is dropped below.
    fn least_score(&self, source: usize) -> f64 {
        match (self.beam.pruning, self.ended[source].first()) {
            (Some(pruning), Some(best)) => best.score - pruning.finished,
            _ => f64::NEG_INFINITY,
        }
    }

    fn best(&self, source: usize, trace: &Trace) -> Vec<Hypothesis> {
        let least = self.least_score(source);
        let kept = self.ended[source].iter().filter(|ended| ended.score >= least);
        let hypothesis = |&Ended { end, length_penalty, coverage_penalty, score }: &Ended| {
            let plain = trace.hypothesis(end, self.lengths.map(|lengths| lengths[source]));
            Hypothesis { length_penalty, coverage_penalty, score, ..plain }
        };
        kept.take(self.beam.n_best).map(hypothesis).collect()
    }
}
