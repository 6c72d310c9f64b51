//! The best of many candidates, without sorting them all.

use std::{cmp::Ordering, collections::BinaryHeap};

/// A token that may come next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// The log-probability of the hypothesis with this token at its end.
    pub(super) total: f64,
    /// That of the token alone.
    pub(super) log_prob: f64,
    /// Which hypothesis of the source it continues.
    pub(super) parent: usize,
    /// The token.
    pub(super) token: u32,
}

impl Ord for Candidate {
    /// The better is less: the likelier, of equals the one of the earlier parent, then the one with
    /// the lower id.
    fn cmp(&self, other: &Self) -> Ordering {
        let tie = || (self.parent, self.token).cmp(&(other.parent, other.token));
        other.total.total_cmp(&self.total).then_with(tie)
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

/// The best `room` of all candidates that were offered.
pub(super) struct Shortlist {
    room: usize,
    best: BinaryHeap<Candidate>,
}

impl Shortlist {
    /// Nothing yet. `room` is above 0.
    pub(super) fn new(room: usize) -> Self {
        Self { room, best: BinaryHeap::new() }
    }

    /// Offers one candidate.
    pub(super) fn offer(&mut self, candidate: Candidate) {
        if self.best.len() < self.room {
            self.best.push(candidate);
        } else if let Some(mut worst) = self.best.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// Offers every token of `row` that may be written and is at least `least` likely, after a
    /// hypothesis of log-probability `before`.
    pub(super) fn offer_row(&mut self, parent: usize, before: f64, row: &[f64], least: f64) {
        const CHUNK: usize = 64;
        for (chunk, log_probs) in row.chunks(CHUNK).enumerate() {
            // Nearly no chunk has a candidate, and to see that takes a few vector instructions.
            let bar = self.bar();
            if !log_probs.iter().fold(false, |any, log_prob| any | (before + log_prob > bar)) {
                continue;
            }
            for (index, &log_prob) in log_probs.iter().enumerate() {
                let total = before + log_prob;
                if log_prob >= least && total > self.bar() {
                    let token = (chunk * CHUNK + index) as u32;
                    self.offer(Candidate { total, log_prob, parent, token });
                }
            }
        }
    }

    /// The best candidates, best first.
    pub(super) fn into_best(self) -> Vec<Candidate> {
        self.best.into_sorted_vec()
    }

    /// What a candidate must be above.
    fn bar(&self) -> f64 {
        match self.best.peek() {
            Some(worst) if self.best.len() == self.room => worst.total,
            Some(_) | None => f64::NEG_INFINITY,
        }
    }
}
