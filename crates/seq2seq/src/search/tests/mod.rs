//! What holds for every search. Names and doc lines carry the acceptance identifiers they check
//! (S2, GN, X).

mod beam;
mod ensemble;
mod forced;
mod greedy;
mod limits;
mod oracle;
mod penalty;
mod sample;
mod scores;
mod shortlist;
mod table;

use recurrent_text::EOS;

use crate::search::*;

/// The score of each hypothesis.
fn scores(hypotheses: &[Hypothesis]) -> Vec<f64> {
    hypotheses.iter().map(|hypothesis| hypothesis.score).collect()
}

/// The tokens of each hypothesis.
fn tokens(hypotheses: &[Hypothesis]) -> Vec<Vec<u32>> {
    hypotheses.iter().map(|hypothesis| hypothesis.tokens.clone()).collect()
}

#[track_caller]
fn assert_near(actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{actual:?} and {expected:?}");
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() <= tolerance, "{actual:?} and {expected:?}");
    }
}

#[test]
fn no_source_has_no_output() {
    let none = table::Table::drawn(1, 0);
    let limits = Limits::at_most(Vec::new());
    assert!(greedy(&none, &limits).unwrap().is_empty());
    assert!(beam(&none, &Beam::default(), &limits).unwrap().is_empty());
    assert!(sample(&none, &Sampling::default(), &limits).unwrap().is_empty());
    assert!(forced(&none, &[]).unwrap().is_empty());
}

///
#[test]
fn log_probabilities_that_are_not_numbers_are_an_error() {
    let broken = table::Table::new(2, 6, |source, before| {
        let bad = if source == 1 && before.len() == 1 { f64::NAN } else { -1.0 };
        vec![-1.0, -1.0, -1.0, -99.0, -1.0, bad]
    });
    let limits = Limits::at_most(vec![3, 3]);
    let expected = SearchError::NotANumber { output: 1, step: 1 };
    assert_eq!(greedy(&broken, &limits).unwrap_err(), expected);
    assert_eq!(beam(&broken, &Beam::default(), &limits).unwrap_err(), expected);
    assert_eq!(sample(&broken, &Sampling::default(), &limits).unwrap_err(), expected);
    assert_eq!(forced(&broken, &[vec![4], vec![4]]).unwrap_err(), expected);
    let message = "the model gives log-probabilities that are not numbers, output 1, step 1";
    assert_eq!(expected.to_string(), message);
}

#[test]
#[should_panic(expected = "weights come with lengths of sources")]
fn weights_without_lengths_are_refused() {
    let table = table::Table::drawn(1, 1).looking(1, &[3]);
    let _ = greedy(&table::Forgetful(table), &Limits::at_most(vec![2]));
}

/// Every place of a hypothesis agrees with every other.
fn check_parts(table: &table::Table, source: usize, hypothesis: &Hypothesis) {
    let steps = hypothesis.tokens.len() + 1;
    assert_eq!(hypothesis.token_log_probs.len(), steps);
    assert_near(&[hypothesis.token_log_probs.iter().sum()], &[hypothesis.log_prob], 1e-12);
    let written = hypothesis.tokens.iter().copied().chain([EOS]);
    for (step, (token, log_prob)) in written.zip(&hypothesis.token_log_probs).enumerate() {
        let before = &hypothesis.tokens[..step];
        assert_eq!(*log_prob, table.log_probs(source, before)[token as usize]);
        if table.is_looking() {
            assert_eq!(hypothesis.weights[step], table.weights(source, before));
        }
    }
    let parts = hypothesis.log_prob / hypothesis.length_penalty + hypothesis.coverage_penalty;
    assert_eq!(hypothesis.score, parts);
}
