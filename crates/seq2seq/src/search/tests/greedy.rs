use proptest::prelude::*;
use recurrent_text::{BOS, EOS, PAD, UNK};

use super::{check_parts, table::Table, tokens};
use crate::search::*;

proptest! {
    /// Every token is the likeliest of those that may be written, and every part of the output is
    /// that of its source, however rows have moved.
    #[test]
    fn every_token_is_the_likeliest(seed: u64, min in 0usize..4) {
        let table = Table::drawn(seed, 4).looking(seed, &[3, 1, 2, 6]);
        let limits = Limits::at_most(vec![4, 5, 6, 7]).at_least(vec![min; 4]);
        for (source, found) in greedy(&table, &limits).unwrap().iter().enumerate() {
            check_parts(&table, source, found);
            let written = found.tokens.iter().copied().chain([EOS]);
            for (step, token) in written.enumerate().take(limits.max[source]) {
                let row = table.log_probs(source, &found.tokens[..step]);
                let may_end = step >= min;
                let others = (0..6).filter(|t| ![PAD, BOS].contains(t) && (may_end || *t != EOS));
                let best = others.max_by(|a, b| row[*a as usize].total_cmp(&row[*b as usize]));
                prop_assert_eq!(Some(token), best);
            }
            prop_assert!((min..=limits.max[source]).contains(&found.tokens.len()));
        }
    }
}

#[test]
fn of_equals_the_lowest_id_is_written() {
    let equal = Table::new(1, 6, |_, _| vec![0.0; 6]);
    let limits = Limits::at_most(vec![2]);
    assert_eq!(tokens(&greedy(&equal, &limits).unwrap()), [[UNK, UNK]]);
    let known = limits.with_unknown(Unknown::Forbidden);
    assert_eq!(tokens(&greedy(&equal, &known).unwrap()), [[0; 0]]);
}

/// Sources end after 3, 1 and 2 tokens, and come back in their order.
#[test]
fn what_has_ended_leaves_the_batch() {
    let table = Table::new(3, 6, |source, before| {
        let end = if before.len() == [3, 1, 2][source] { 0.0 } else { -9.0 };
        vec![-9.0, -9.0, -9.0, end, -9.0, -5.0]
    });
    let found = greedy(&table, &Limits::at_most(vec![9; 3])).unwrap();
    assert_eq!(found.iter().map(|found| found.tokens.len()).collect::<Vec<_>>(), [3, 1, 2]);
    assert_eq!(*table.rows.borrow(), [3, 3, 2, 1]);
    assert!(found.iter().all(|found| found.ending == Ending::Written));
}

#[test]
fn what_does_not_end_is_cut() {
    let table = Table::new(1, 6, |_, _| vec![-9.0, -9.0, -9.0, -2.0, -1.0, -9.0]);
    let found = greedy(&table, &Limits::at_most(vec![2])).unwrap().remove(0);
    assert_eq!((found.tokens, found.ending), (vec![4, 4], Ending::Cut));
    assert_eq!(found.log_prob, -4.0);
}

/// S2-3 with 32 bits: the same tokens, and sums that are those of the 32-bit numbers.
#[test]
fn models_may_have_32_bits() {
    struct Single(Table);
    impl Generator for Single {
        type State = <Table as Generator>::State;
        fn sources(&self) -> usize {
            self.0.sources()
        }
        fn vocabulary(&self) -> usize {
            self.0.vocabulary()
        }
        fn start(&self) -> Self::State {
            self.0.start()
        }
        fn step(&self, last: &[u32], state: Self::State) -> Predicted<Self::State> {
            let predicted = self.0.step(last, state);
            let log_probs = predicted.scores.log_probs().cast(burn::tensor::DType::F32);
            Predicted { scores: Scores::LogProbs(log_probs), ..predicted }
        }
        fn reorder(&self, state: Self::State, rows: &[usize]) -> Self::State {
            self.0.reorder(state, rows)
        }
    }
    let limits = Limits::at_most(vec![6; 3]);
    let double = greedy(&Table::drawn(4, 3), &limits).unwrap();
    let single = greedy(&Single(Table::drawn(4, 3)), &limits).unwrap();
    for (single, double) in single.iter().zip(&double) {
        assert_eq!(single.tokens, double.tokens);
        let rounded: f64 = double.token_log_probs.iter().map(|p| f64::from(*p as f32)).sum();
        assert_eq!(single.log_prob, rounded);
    }
}
