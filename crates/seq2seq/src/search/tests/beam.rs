use proptest::prelude::*;
use recurrent_text::EOS;
use rstest::rstest;

use super::{
    assert_near, check_parts,
    oracle::{Output, Task},
    scores,
    table::{Table, log_softmax},
    tokens,
};
use crate::search::*;

/// As wide as there are prefixes of up to three tokens: nothing is ever left out.
fn exhaustive() -> Beam {
    Beam { n_best: 20, ..Beam::new(6 * 6 * 6) }
}

#[track_caller]
fn assert_found(found: &[Hypothesis], expected: &[Output]) {
    assert_eq!(tokens(found), expected.iter().map(|o| o.tokens.clone()).collect::<Vec<_>>());
    let expected_scores: Vec<f64> = expected.iter().map(|output| output.score).collect();
    assert_near(&scores(found), &expected_scores, 1e-12);
}

/// S2-3: the beam that holds everything is exhaustive search, for the whole list of outputs.
#[rstest]
#[case::log_prob(exhaustive(), 0)]
#[case::length(Beam { length_penalty: 1.0, ..exhaustive() }, 0)]
#[case::much_length(Beam { length_penalty: 3.0, ..exhaustive() }, 0)]
#[case::coverage(Beam { coverage_penalty: 0.2, ..exhaustive() }, 0)]
#[case::both(Beam { length_penalty: 0.6, coverage_penalty: 1.0, ..exhaustive() }, 0)]
#[case::minimum(Beam { length_penalty: 0.2, ..exhaustive() }, 2)]
#[case::no_bigram_twice(Beam { no_repeat_ngram: Some(2), ..exhaustive() }, 0)]
#[case::no_token_twice(Beam { no_repeat_ngram: Some(1), ..exhaustive() }, 2)]
fn s2_3_a_beam_of_everything_is_exhaustive(#[case] settings: Beam, #[case] min: usize) {
    let table = Table::drawn(7, 3).looking(7, &[4, 2, 5]);
    let limits = Limits::at_most(vec![3; 3]).at_least(vec![min; 3]);
    let found = beam(&table, &settings, &limits).unwrap();
    for (source, found) in found.iter().enumerate() {
        let all = Task { table: &table, source, min, max: 3 }.everything(&settings);
        assert_found(found, &all[..settings.n_best.min(all.len())]);
        found.iter().for_each(|hypothesis| check_parts(&table, source, hypothesis));
    }
}

/// S2-3, GN-6, whatever the penalties.
#[rstest]
#[case(Beam::new(1))]
#[case(Beam { length_penalty: 2.0, ..Beam::new(1) })]
#[case(Beam { length_penalty: 0.2, coverage_penalty: 0.2, ..Beam::new(1) })]
fn s2_3_a_beam_of_one_is_greedy(#[case] settings: Beam) {
    for seed in 0..20 {
        let table = Table::drawn(seed, 4).looking(seed, &[3, 1, 2, 6]);
        let limits = Limits::at_most(vec![7, 0, 5, 9]).at_least(vec![2, 0, 0, 1]);
        let found = beam(&table, &settings, &limits).unwrap();
        for (one, greedy) in found.iter().zip(greedy(&table, &limits).unwrap()) {
            let [one] = &one[..] else { panic!("one output") };
            let plain = Hypothesis {
                length_penalty: 1.0,
                coverage_penalty: 0.0,
                score: one.log_prob,
                ..one.clone()
            };
            assert_eq!(plain, greedy);
        }
    }
}

/// S2-3.
#[test]
fn s2_3_an_exhaustive_beam_is_never_below_greedy() {
    for seed in 0..50 {
        let table = Table::drawn(seed, 2);
        let limits = Limits::at_most(vec![3, 3]);
        let best = beam(&table, &exhaustive(), &limits).unwrap();
        for (best, greedy) in best.iter().zip(greedy(&table, &limits).unwrap()) {
            assert!(best[0].log_prob >= greedy.log_prob);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// A search that stops finds what one finds that goes on to the limit.
    #[test]
    fn the_stop_rule_loses_nothing(
        seed: u64,
        (width, n_best) in (1usize..7).prop_flat_map(|width| (Just(width), 1..=width)),
        (max, min) in (0usize..14).prop_flat_map(|max| (Just(max), 0..=max.min(4))),
        length_penalty in prop_oneof![Just(0.0), 0.0f64..3.0],
        coverage_penalty in prop_oneof![Just(0.0), 0.0f64..1.0],
        ngram in prop::option::of(1usize..4),
        pruning in prop::option::of(
            (0.0f64..4.0, 0.0f64..4.0).prop_map(|(token, finished)| Pruning { token, finished })
        ),
    ) {
        let settings = Beam {
            width,
            n_best,
            length_penalty,
            coverage_penalty,
            no_repeat_ngram: ngram.filter(|_| min == 0),
            pruning,
        };
        let limits = Limits::at_most(vec![max]).at_least(vec![min]);
        for table in [Table::drawn(seed, 1), Table::sure(seed, 1)] {
            let table = table.looking(seed, &[4]);
            let found = beam(&table, &settings, &limits).unwrap().remove(0);
            let expected = Task { table: &table, source: 0, min, max }.slow_beam(&settings);
            assert_found(&found, &expected[..n_best.min(expected.len())]);
        }
    }
}

/// Batched runs are single runs, weights and all, though sources end at different times.
#[test]
fn gn_6_a_batch_is_single_runs() {
    let lengths = [4, 2, 5, 1, 3];
    let table = Table::drawn(3, 5).looking(3, &lengths);
    let max = vec![9, 3, 0, 6, 6];
    let settings = Beam { n_best: 3, length_penalty: 0.6, coverage_penalty: 0.1, ..Beam::new(4) };
    let together = beam(&table, &settings, &Limits::at_most(max.clone())).unwrap();
    for (source, together) in together.iter().enumerate() {
        let limits = Limits::at_most(vec![max[source]]);
        let alone = beam(&table.only(&[source]), &settings, &limits).unwrap();
        assert_eq!(*together, alone[0]);
    }
}

/// ParlAI #2007: a first step from as many equal hypotheses as the beam is wide keeps them equal.
#[test]
fn no_two_hypotheses_are_alike() {
    for seed in 0..20 {
        let settings = Beam { n_best: 5, ..Beam::new(5) };
        let limits = Limits::at_most(vec![4]);
        let mut found = tokens(&beam(&Table::drawn(seed, 1), &settings, &limits).unwrap()[0]);
        assert_eq!(found.len(), 5);
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 5);
    }
}

/// Of a batch of one source that ends at once, and one that does not.
#[test]
fn what_is_done_leaves_the_batch() {
    let table = Table::new(2, 6, |source, before| {
        let end = if source == 0 || before.len() == 5 { 6.0 } else { -6.0 };
        log_softmax(vec![0.0, 0.0, 0.0, end, 0.0, 0.0])
    });
    let limits = Limits::at_most(vec![9, 9]);
    let found = beam(&table, &Beam::new(3), &limits).unwrap();
    assert_eq!((found[0][0].tokens.len(), found[1][0].tokens.len()), (0, 5));
    assert_eq!(*table.rows.borrow(), [2, 3, 3, 3, 3, 3]);
}

/// At most `width` rows a source.
#[test]
fn a_batch_has_no_more_rows_than_the_beams_are_wide() {
    let table = Table::drawn(5, 3);
    let settings = Beam { n_best: 4, length_penalty: 2.0, ..Beam::new(4) };
    beam(&table, &settings, &Limits::at_most(vec![8; 3])).unwrap();
    let rows = table.rows.borrow();
    assert_eq!(rows[0], 3);
    assert!(rows.iter().all(|rows| *rows <= 12));
}

/// `</s>` at once has `log P = ln 0.45`; `4 4 4 </s>` has `ln 0.33` and a better score for its
/// length.
fn short_or_long() -> Table {
    Table::new(1, 6, |_, before| {
        let probabilities: [f64; 6] = match before {
            [] => [0.0, 0.0, 0.0, 0.45, 0.33, 0.22],
            [4] | [4, 4] => [0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            [4, 4, 4] => [0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
            _ => [0.0, 0.0, 0.0, 0.01, 0.0, 0.99],
        };
        probabilities.map(f64::ln).to_vec()
    })
}

/// joeynmt #149: the first output to end is not yet the best if lengths count.
#[rstest]
#[case(0.0, vec![])]
#[case(1.0, vec![4, 4, 4])]
fn a_search_goes_on_while_a_longer_output_may_win(#[case] alpha: f64, #[case] best: Vec<u32>) {
    let settings = Beam { length_penalty: alpha, ..Beam::new(2) };
    let table = short_or_long();
    let found = beam(&table, &settings, &Limits::at_most(vec![6])).unwrap().remove(0);
    assert_eq!(found[0].tokens, best);
    // ln 0.45 = −0.799 and ln 0.33 / (9/6) = −0.739.
    let expected = if best.is_empty() { 0.45f64.ln() } else { 0.33f64.ln() / 1.5 };
    assert_near(&scores(&found), &[expected], 1e-12);
}

/// With `α = 0` nothing that is below an ended output can rise above it.
#[test]
fn a_search_stops_when_nothing_can_win() {
    let table = short_or_long();
    beam(&table, &Beam::new(2), &Limits::at_most(vec![6])).unwrap();
    assert_eq!(*table.rows.borrow(), [1]);
}

/// `ln 0.25` at once, and `ln 0.5 + ln 0.5` a step later.
#[test]
fn of_equals_the_first_that_was_found_is_first() {
    let half = Table::new(1, 6, |_, before| {
        let end: f64 = if before.is_empty() { 0.25 } else { 0.5 };
        [0.0, 0.0, 0.0, end, 0.5, 0.0].map(f64::ln).to_vec()
    });
    let settings = Beam { n_best: 2, ..Beam::new(2) };
    let found = beam(&half, &settings, &Limits::at_most(vec![2])).unwrap().remove(0);
    assert_eq!(tokens(&found), [vec![], vec![4]]);
    assert_eq!(found[0].score, found[1].score);
}

/// Token 5 is 3.1 nats below token 4 at the first step, and its outputs are the best.
#[rstest]
#[case(None, 5)]
#[case(Some(Pruning { token: 3.2, finished: 9.0 }), 5)]
#[case(Some(Pruning { token: 3.0, finished: 9.0 }), 4)]
fn tokens_far_below_the_best_are_no_candidates(
    #[case] pruning: Option<Pruning>,
    #[case] first: u32,
) {
    let no = f64::NEG_INFINITY;
    let table = Table::new(1, 6, move |_, before| match before {
        [] => vec![no, no, no, no, -0.1, -3.2],
        [4] => vec![no, no, no, -9.0, no, no],
        _ => vec![no, no, no, -0.1, no, no],
    });
    let settings = Beam { pruning, ..Beam::new(2) };
    let found = beam(&table, &settings, &Limits::at_most(vec![4])).unwrap();
    assert_eq!(found[0][0].tokens, [first]);
}

#[test]
fn outputs_far_below_the_best_are_dropped() {
    let all = Beam { n_best: 20, ..exhaustive() };
    let limits = Limits::at_most(vec![3]);
    let kept = |pruning| {
        beam(&Table::drawn(2, 1), &Beam { pruning, ..all.clone() }, &limits).unwrap().remove(0)
    };
    let everything = kept(None);
    let near = kept(Some(Pruning { token: 99.0, finished: 1.5 }));
    let count = everything.iter().filter(|h| h.score >= everything[0].score - 1.5).count();
    assert!(count > 1 && count < everything.len());
    assert_eq!(near, everything[..count]);
}

/// What the model cannot end is cut, and pays for `</s>`.
#[test]
fn what_is_at_its_limit_is_cut() {
    let table = Table::new(1, 6, |_, _| log_softmax(vec![0.0, 0.0, 0.0, -8.0, 1.0, 0.0]));
    let found = beam(&table, &Beam::new(3), &Limits::at_most(vec![2])).unwrap().remove(0);
    assert_eq!((&found[0].tokens[..], found[0].ending), (&[4, 4][..], Ending::Cut));
    assert_eq!(found[0].token_log_probs[2], table.log_probs(0, &[])[EOS as usize]);
    let willing = Table::new(1, 6, |_, before| {
        log_softmax(vec![0.0, 0.0, 0.0, if before.len() == 2 { 8.0 } else { -8.0 }, 1.0, 0.0])
    });
    let found = beam(&willing, &Beam::new(3), &Limits::at_most(vec![2])).unwrap().remove(0);
    assert_eq!(found[0].ending, Ending::Written);
}

/// Where all that is not forbidden is impossible, the output ends, though it is too short.
#[test]
fn a_dead_end_is_cut() {
    let table = Table::new(1, 5, |_, _| log_softmax(vec![0.0; 5]));
    let limits = Limits::at_most(vec![9]).at_least(vec![9]).with_unknown(Unknown::Forbidden);
    let settings = Beam { no_repeat_ngram: Some(2), ..Beam::new(3) };
    let found = beam(&table, &settings, &limits).unwrap().remove(0);
    assert_eq!(tokens(&found), [[4, 4]]);
    assert_eq!(found[0].ending, Ending::Cut);
    assert_near(&scores(&found), &[3.0 * 0.2f64.ln()], 1e-12);
}

#[test]
fn coverage_needs_a_model_that_looks() {
    let settings = Beam { coverage_penalty: 0.1, ..Beam::new(2) };
    let error = beam(&Table::drawn(1, 1), &settings, &Limits::at_most(vec![2])).unwrap_err();
    assert_eq!(error, SearchError::NoWeights);
    assert_eq!(error.to_string(), "`coverage_penalty` needs a model with attention");
}

/// GN-5: padding counts for nothing. The second source is padded in the batch, not alone.
#[test]
fn gn_5_scores_are_invariant_to_padding() {
    let table = Table::drawn(9, 2).looking(9, &[8, 2]);
    let settings = Beam { coverage_penalty: 0.5, ..Beam::new(3) };
    let padded = beam(&table, &settings, &Limits::at_most(vec![4, 4])).unwrap().remove(1);
    let alone = beam(&table.only(&[1]), &settings, &Limits::at_most(vec![4])).unwrap().remove(0);
    assert_eq!(padded, alone);
    assert!(padded[0].coverage_penalty < 0.0);
    assert!(padded[0].weights.iter().all(|row| row.len() == 2));
}

#[rstest]
#[case(Beam::new(0), "`width` must be above 0, got 0")]
#[case(Beam { n_best: 3, ..Beam::new(2) }, "`n_best` must be from 1 to `width`, got 3")]
#[case(Beam { length_penalty: -0.1, ..Beam::new(2) }, "`length_penalty` must be at least 0, got -0.1")]
#[case(
    Beam { coverage_penalty: f64::NAN, ..Beam::new(2) },
    "`coverage_penalty` must be at least 0, got NaN"
)]
#[case(Beam { no_repeat_ngram: Some(0), ..Beam::new(2) }, "`no_repeat_ngram` must be above 0, got 0")]
#[case(
    Beam { pruning: Some(Pruning { token: -1.0, finished: 3.0 }), ..Beam::new(2) },
    "`pruning.token` must be at least 0, got -1"
)]
fn settings_out_of_range_are_refused(#[case] settings: Beam, #[case] message: &str) {
    let error = beam(&Table::drawn(1, 1), &settings, &Limits::at_most(vec![2])).unwrap_err();
    assert_eq!(error.to_string(), message);
}
