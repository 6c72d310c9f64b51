use std::collections::{BTreeMap, BTreeSet};

use recurrent_text::EOS;
use rstest::rstest;

use super::{
    check_parts,
    table::{Table, log_softmax},
    tokens,
};
use crate::search::*;

const DRAWS: usize = 20_000;

/// One token with the given probabilities of ids 3 to 7, then `</s>`.
fn one_token(probabilities: [f64; 5]) -> Table {
    Table::new(1, 8, move |_, before| {
        if before.is_empty() {
            let forbidden = [f64::NEG_INFINITY; 3];
            [&forbidden[..], &probabilities.map(f64::ln)].concat()
        } else {
            log_softmax(vec![-99.0, -99.0, -99.0, 9.0, -99.0, -99.0, -99.0, -99.0])
        }
    })
}

const UNEQUAL: [f64; 5] = [0.05, 0.4, 0.1, 0.25, 0.2];

/// How often each first token was drawn; `</s>` if there is none.
fn first_tokens(sampling: &Sampling) -> BTreeMap<u32, usize> {
    let drawn = sample(&one_token(UNEQUAL), sampling, &Limits::at_most(vec![1])).unwrap();
    let mut counts = BTreeMap::new();
    for hypothesis in &drawn[0] {
        *counts.entry(*hypothesis.tokens.first().unwrap_or(&EOS)).or_default() += 1;
    }
    counts
}

/// Within four standard deviations of a binomial.
#[track_caller]
fn assert_frequency(count: usize, probability: f64) {
    let expected = probability * DRAWS as f64;
    let deviation = (expected * (1.0 - probability)).sqrt();
    assert!((count as f64 - expected).abs() <= 4.0 * deviation, "{count} for {expected}");
}

/// S2-4, for whole outputs: of everything that may be written, `P(Y)` among what may be written.
#[test]
fn s2_4_outputs_are_as_frequent_as_they_are_likely() {
    fn probabilities(table: &Table, before: &[u32], p: f64, all: &mut BTreeMap<Vec<u32>, f64>) {
        if before.len() == 2 {
            all.insert(before.to_vec(), p);
            return;
        }
        let row: Vec<f64> = table.log_probs(0, before).iter().map(|p| p.exp()).collect();
        let allowed = row[1] + row[3] + row[4] + row[5];
        all.insert(before.to_vec(), p * row[3] / allowed);
        for token in [1, 4, 5] {
            let after = [before, &[token]].concat();
            probabilities(table, &after, p * row[token as usize] / allowed, all);
        }
    }
    let table = Table::drawn(3, 1);
    let mut expected = BTreeMap::new();
    probabilities(&table, &[], 1.0, &mut expected);
    let sampling = Sampling { count: DRAWS, seed: 1, ..Sampling::default() };
    let drawn = sample(&table, &sampling, &Limits::at_most(vec![2])).unwrap().remove(0);
    let mut counts = BTreeMap::<Vec<u32>, usize>::new();
    tokens(&drawn).into_iter().for_each(|tokens| *counts.entry(tokens).or_default() += 1);
    assert_eq!(expected.len(), 13);
    for (tokens, probability) in expected {
        assert_frequency(counts.get(&tokens).copied().unwrap_or(0), probability);
    }
}

/// S2-4: `p_i ∝ P(i)^(1/τ)`.
#[rstest]
#[case(0.5)]
#[case(1.0)]
#[case(3.0)]
fn s2_4_temperatures_change_frequencies(#[case] temperature: f64) {
    let counts = first_tokens(&Sampling { temperature, count: DRAWS, ..Sampling::default() });
    let powers = UNEQUAL.map(|p| p.powf(1.0 / temperature));
    let sum: f64 = powers.iter().sum();
    for (token, power) in (3..).zip(powers) {
        assert_frequency(counts[&token], power / sum);
    }
}

/// By likelihood the ids are 4 (0.4), 6 (0.25), 7 (0.2), 5 (0.1), 3 (0.05).
#[rstest]
#[case::one(Some(1), None, &[4])]
#[case::three(Some(3), None, &[4, 6, 7])]
#[case::more_than_there_are(Some(99), None, &[3, 4, 5, 6, 7])]
#[case::little(None, Some(0.1), &[4])]
#[case::exactly_the_first(None, Some(0.4), &[4])]
#[case::just_over_the_first(None, Some(0.4001), &[4, 6])]
#[case::exactly_three(None, Some(0.85), &[4, 6, 7])]
#[case::nearly_all(None, Some(0.96), &[3, 4, 5, 6, 7])]
#[case::all(None, Some(1.0), &[3, 4, 5, 6, 7])]
// Of the first three, 0.4 / 0.85 = 0.47 and 0.65 / 0.85 = 0.76.
#[case::both(Some(3), Some(0.7), &[4, 6])]
fn s2_4_what_may_be_drawn_is_exact(
    #[case] top_k: Option<usize>,
    #[case] top_p: Option<f64>,
    #[case] expected: &[u32],
) {
    let counts = first_tokens(&Sampling { top_k, top_p, count: DRAWS, ..Sampling::default() });
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), expected);
    let probability = |token: u32| UNEQUAL[token as usize - 3];
    let kept: f64 = expected.iter().map(|token| probability(*token)).sum();
    expected.iter().for_each(|token| assert_frequency(counts[token], probability(*token) / kept));
}

/// 1000 tokens, so that only some are sorted; of equals the lowest ids are kept.
#[test]
fn the_likeliest_of_many_are_kept() {
    let table =
        || Table::new(1, 1000, |_, _| (0..1000).map(|id| f64::from(id % 10).ln()).collect());
    let drawn = |top_k, top_p| {
        let sampling = Sampling { top_k, top_p, count: DRAWS, ..Sampling::default() };
        let drawn = sample(&table(), &sampling, &Limits::at_most(vec![1])).unwrap().remove(0);
        tokens(&drawn).concat().into_iter().collect::<BTreeSet<u32>>()
    };
    let nines: BTreeSet<u32> = (0..100).map(|n| 10 * n + 9).collect();
    assert_eq!(drawn(Some(7), None), nines.iter().copied().take(7).collect());
    assert_eq!(drawn(Some(100), None), nines);
    // Weights sum to 4500 without ids 0 and 2: 100 nines are 900 of 4498, 90 of them 810.
    assert_eq!(drawn(None, Some(810.0 / 4498.0)), nines.iter().copied().take(90).collect());
}

/// S2-4.
#[test]
fn s2_4_a_temperature_near_0_is_greedy() {
    for seed in 0..10 {
        let table = Table::drawn(seed, 3).looking(seed, &[3, 2, 4]);
        let limits = Limits::at_most(vec![6; 3]);
        let sampling = Sampling { temperature: 1e-4, seed, ..Sampling::default() };
        assert_eq!(
            sample(&table, &sampling, &limits).unwrap().concat(),
            greedy(&table, &limits).unwrap()
        );
    }
}

/// S2-4, X-3.
#[test]
fn s2_4_the_seed_decides() {
    let draw = |seed| {
        let sampling = Sampling { count: 50, seed, ..Sampling::default() };
        sample(&Table::drawn(1, 2), &sampling, &Limits::at_most(vec![4, 4])).unwrap()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let alike = Table::new(2, 6, |_, _| log_softmax(vec![0.0; 6]));
    let limits = Limits::at_most(vec![4, 4]);
    let sampling = Sampling { count: 50, ..Sampling::default() };
    let drawn = sample(&alike, &sampling, &limits).unwrap();
    assert_ne!(tokens(&drawn[0]), tokens(&drawn[1]));
}

/// What is drawn for a source is the same in any batch, and its first draws in any number of draws.
#[test]
fn draws_do_not_depend_on_the_batch() {
    let table = Table::drawn(8, 4).looking(8, &[3, 2, 4, 1]);
    let sampling = |count| Sampling { count, top_p: Some(0.9), ..Sampling::default() };
    let limits = Limits::at_most(vec![5; 4]);
    let together = sample(&table, &sampling(6), &limits).unwrap();
    let two = table.only(&[3, 1]);
    let limits = Limits::at_most(vec![5; 2]);
    let apart = sample_numbered(&two, &sampling(4), &limits, &[3, 1]).unwrap();
    assert_eq!(apart[0], together[3][..4]);
    assert_eq!(apart[1], together[1][..4]);
}

/// Log-probabilities are the model's at any temperature; draws that agree are one row.
#[test]
fn draws_have_all_their_parts() {
    let table = Table::drawn(8, 2).looking(8, &[3, 2]);
    let sampling = Sampling { count: 500, temperature: 2.0, top_k: Some(3), ..Sampling::default() };
    let drawn = sample(&table, &sampling, &Limits::at_most(vec![2, 3])).unwrap();
    for (source, drawn) in drawn.iter().enumerate() {
        assert_eq!(drawn.len(), 500);
        drawn.iter().for_each(|hypothesis| check_parts(&table, source, hypothesis));
    }
    let rows = table.rows.borrow();
    assert!(rows[1] <= 2 * 3 && rows[2] <= 2 * 9, "{rows:?}");
}

#[rstest]
#[case(Sampling { temperature: 0.0, ..Sampling::default() }, "`temperature` must be above 0, got 0")]
#[case(Sampling { count: 0, ..Sampling::default() }, "`count` must be above 0, got 0")]
#[case(Sampling { top_k: Some(0), ..Sampling::default() }, "`top_k` must be above 0, got 0")]
#[case(
    Sampling { top_p: Some(1.5), ..Sampling::default() },
    "`top_p` must be above 0 and at most 1, got 1.5"
)]
fn settings_out_of_range_are_refused(#[case] sampling: Sampling, #[case] message: &str) {
    let error = sample(&Table::drawn(1, 1), &sampling, &Limits::at_most(vec![2])).unwrap_err();
    assert_eq!(error.to_string(), message);
}
