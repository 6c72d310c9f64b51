//! GN-5: the worked numbers of Wu et al.'s (2016) equation 14.

use recurrent_text::EOS;

use super::{assert_near, table::Table};
use crate::search::*;

/// From `((5 + |Y|) / 6)^α` in Python.
#[test]
fn gn_5_length_penalties() {
    let table = [
        (0.2, [1.0, 1.031310, 1.107566, 1.201124, 1.330325]),
        (0.6, [1.0, 1.096903, 1.358655, 1.732862, 2.354362]),
        (1.0, [1.0, 1.166667, 1.666667, 2.5, 4.166667]),
    ];
    for (alpha, expected) in table {
        let penalties = [1, 2, 5, 10, 20].map(|tokens| length_penalty(tokens, alpha));
        assert_near(&penalties, &expected, 1e-6);
    }
}

/// Sums of 0.8, 1.0 and 0.2: `ln 0.8 + ln 1.0 + ln 0.2 = −1.832581`.
#[test]
fn gn_5_coverage_penalties() {
    let coverage = [0.8, 1.0, 0.2];
    assert_near(&[coverage_penalty(&coverage, 1.0)], &[-1.832581], 1e-6);
    assert_near(&[coverage_penalty(&coverage, 0.2)], &[-0.366516], 1e-6);
    assert_eq!(coverage_penalty(&[1.0, 1.7], 0.2), 0.0);
    assert_near(&[coverage_penalty(&[0.0], 1.0)], &[1e-9f64.ln()], 1e-12);
}

/// The whole score of one output, `log P = −4` of two tokens with the weights of the sums above.
#[test]
fn gn_5_a_whole_score() {
    let table = Table::new(1, 6, |_, before| {
        let mut row = vec![-99.0; 6];
        row[if before.is_empty() { 4 } else { EOS as usize }] = -2.0;
        row
    });
    let table = table.looking_by(|_, before| match before {
        [] => vec![0.6, 0.3, 0.1],
        _ => vec![0.2, 0.7, 0.1],
    });
    let settings = Beam { length_penalty: 0.2, coverage_penalty: 0.2, ..Beam::new(1) };
    let found = beam(&table, &settings, &Limits::at_most(vec![3])).unwrap().remove(0).remove(0);
    assert_eq!((found.tokens.len(), found.log_prob), (1, -4.0));
    assert_near(&[found.score], &[-4.245077], 1e-6);
}

/// `−4.0` of 3 tokens and `−4.6` of 8: the first has the better log-probability, the second the
/// better score at `α = 1`.
#[test]
fn gn_5_lengths_change_ranks() {
    let score = |log_prob: f64, tokens, alpha| log_prob / length_penalty(tokens, alpha);
    assert!(score(-4.0, 3, 0.0) > score(-4.6, 8, 0.0));
    assert_near(&[score(-4.0, 3, 1.0), score(-4.6, 8, 1.0)], &[-3.0, -2.123], 1e-3);
}
