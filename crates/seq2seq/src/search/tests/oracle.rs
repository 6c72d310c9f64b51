//! Slow and plain searches, written from the definitions alone.

use recurrent_text::{BOS, EOS, PAD};

use super::table::Table;
use crate::search::Beam;

/// An output that was found by the slow way.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) tokens: Vec<u32>,
    pub(super) score: f64,
}

/// One source, and what its outputs may be.
pub(super) struct Task<'a> {
    pub(super) table: &'a Table,
    pub(super) source: usize,
    pub(super) min: usize,
    pub(super) max: usize,
}

impl Task<'_> {
    /// Every output there is, best first.
    pub(super) fn everything(&self, beam: &Beam) -> Vec<Output> {
        let mut outputs = Vec::new();
        let mut live = vec![(Vec::new(), 0.0)];
        while let Some((before, total)) = live.pop() {
            for (token, log_prob) in self.next(beam, &before) {
                let after = (with(&before, token), total + log_prob);
                if token == EOS {
                    outputs.push(self.output(beam, after));
                } else {
                    live.push(after);
                }
            }
        }
        ranked(outputs)
    }

    /// What a beam finds that never stops before the limit, best first.
    pub(super) fn slow_beam(&self, beam: &Beam) -> Vec<Output> {
        let mut outputs = Vec::new();
        let mut live = vec![(Vec::new(), 0.0)];
        for step in 0..=self.max {
            let all: Vec<_> = live.iter().map(|(before, _)| self.next(beam, before)).collect();
            let best = all.iter().flatten().map(|next| next.1).fold(f64::NEG_INFINITY, f64::max);
            let pruning = beam.pruning.filter(|_| step < self.max);
            let least = pruning.map_or(f64::NEG_INFINITY, |pruning| best - pruning.token);
            let mut candidates = Vec::new();
            for ((before, total), next) in live.iter().zip(all) {
                for (token, log_prob) in next.into_iter().filter(|next| next.1 >= least) {
                    candidates.push((with(before, token), total + log_prob));
                }
            }
            candidates.sort_by(|a, b| b.1.total_cmp(&a.1));
            candidates.truncate(beam.width);
            let (ended, going) = candidates.into_iter().partition(|(all, _)| all.ends_with(&[EOS]));
            live = going;
            let ended: Vec<(Vec<u32>, f64)> = ended;
            outputs.extend(ended.into_iter().map(|ended| self.output(beam, ended)));
        }
        let mut outputs = ranked(outputs);
        if let Some(pruning) = beam.pruning {
            let best = outputs[0].score;
            outputs.retain(|output| output.score >= best - pruning.finished);
        }
        outputs
    }

    /// What may be written after `before`.
    fn next(&self, beam: &Beam, before: &[u32]) -> Vec<(u32, f64)> {
        let allowed = |token: u32| match token {
            PAD | BOS => false,
            EOS => before.len() >= self.min,
            _ => before.len() < self.max && !self.repeats(beam, &with(before, token)),
        };
        let row = self.table.log_probs(self.source, before);
        (0..).zip(row).filter(|(token, _)| allowed(*token)).collect()
    }

    /// Whether the last so many tokens were there before.
    fn repeats(&self, beam: &Beam, tokens: &[u32]) -> bool {
        beam.no_repeat_ngram.is_some_and(|n| {
            let windows: Vec<&[u32]> = tokens.windows(n).collect();
            windows.split_last().is_some_and(|(last, others)| others.contains(last))
        })
    }

    /// Wu et al.'s (2016) equation 14. `all` has `</s>` at its end.
    fn output(&self, beam: &Beam, (all, log_prob): (Vec<u32>, f64)) -> Output {
        let tokens = all[..all.len() - 1].to_vec();
        let penalty = ((5.0 + all.len() as f64) / 6.0).powf(beam.length_penalty);
        let mut coverage = 0.0;
        if beam.coverage_penalty > 0.0 {
            let steps: Vec<Vec<f32>> = (0..all.len())
                .map(|step| self.table.weights(self.source, &tokens[..step]))
                .collect();
            for position in 0..steps[0].len() {
                let sum: f64 = steps.iter().map(|step| f64::from(step[position])).sum();
                coverage += beam.coverage_penalty * sum.clamp(1e-9, 1.0).ln();
            }
        }
        Output { tokens, score: log_prob / penalty + coverage }
    }
}

fn with(before: &[u32], token: u32) -> Vec<u32> {
    [before, &[token]].concat()
}

fn ranked(mut outputs: Vec<Output>) -> Vec<Output> {
    outputs.sort_by(|a, b| b.score.total_cmp(&a.score));
    outputs
}
