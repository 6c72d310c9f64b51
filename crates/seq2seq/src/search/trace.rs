//! How hypotheses came about: every token points back to the one before it, so histories are shared
//! and written out for results alone.

use recurrent_text::BOS;

use super::{Ending, Hypothesis, seen::Looks};

/// A token somewhere in a [`Trace`]; none is the start, in front of the first token.
pub(super) type Place = Option<usize>;

/// Where a hypothesis ends, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// The place of `</s>`.
    pub(super) place: usize,
    /// How it came to its end.
    pub(super) ending: Ending,
}

struct Token {
    before: Place,
    token: u32,
    log_prob: f64,
    /// The sum up to here.
    total: f64,
    step: usize,
    /// The row of the batch that it was written after.
    row: usize,
}

/// All tokens that were kept, of all hypotheses.
#[derive(Default)]
pub(super) struct Trace {
    tokens: Vec<Token>,
    looks: Vec<Option<Looks>>,
}

impl Trace {
    /// Begins a step, in which rows looked as `looks` says.
    pub(super) fn begin(&mut self, looks: Option<Looks>) {
        self.looks.push(looks);
    }

    /// Writes `token` after `before`, which is in row `row` of this step.
    pub(super) fn write(&mut self, before: Place, row: usize, token: u32, log_prob: f64) -> usize {
        let (step, total) = (self.looks.len() - 1, self.total(before) + log_prob);
        self.tokens.push(Token { before, token, log_prob, total, step, row });
        self.tokens.len() - 1
    }

    /// The token at a place, `<s>` at the start.
    pub(super) fn token(&self, place: Place) -> u32 {
        place.map_or(BOS, |place| self.tokens[place].token)
    }

    /// The log-probability of all tokens up to a place.
    pub(super) fn total(&self, place: Place) -> f64 {
        place.map_or(0.0, |place| self.tokens[place].total)
    }

    /// The tokens up to a place, in order.
    pub(super) fn tokens(&self, place: Place) -> Vec<u32> {
        self.path(place).iter().map(|token| token.token).collect()
    }

    /// How much each of the `length` positions of the source was looked at up to a place.
    pub(super) fn coverage(&self, place: Place, length: usize) -> Vec<f64> {
        let mut coverage = vec![0.0; length];
        for look in self.path(place).iter().filter_map(|token| self.look(token, length)) {
            coverage.iter_mut().zip(look).for_each(|(sum, weight)| *sum += f64::from(*weight));
        }
        coverage
    }

    /// All of the hypothesis that ends at `end`, its score the log-probability alone. `length` is
    /// that of the source, if the model looks at it.
    pub(super) fn hypothesis(&self, end: End, length: Option<usize>) -> Hypothesis {
        let path = self.path(Some(end.place));
        let log_prob = self.total(Some(end.place));
        let looks = path.iter().filter_map(|token| self.look(token, length?));
        let before_end = &path[..path.len() - 1];
        Hypothesis {
            tokens: before_end.iter().map(|token| token.token).collect(),
            ending: end.ending,
            log_prob,
            length_penalty: 1.0,
            coverage_penalty: 0.0,
            score: log_prob,
            token_log_probs: path.iter().map(|token| token.log_prob).collect(),
            weights: looks.map(<[f32]>::to_vec).collect(),
        }
    }

    fn look(&self, token: &Token, length: usize) -> Option<&[f32]> {
        Some(self.looks[token.step].as_ref()?.row(token.row, length))
    }

    fn path(&self, place: Place) -> Vec<&Token> {
        let at = |place: usize| &self.tokens[place];
        let mut path: Vec<_> =
            std::iter::successors(place.map(at), |token| token.before.map(at)).collect();
        path.reverse();
        path
    }
}
