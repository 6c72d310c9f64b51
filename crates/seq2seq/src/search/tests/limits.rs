use proptest::prelude::*;

use super::table::Table;
use crate::search::{repetition::repeating, *};

proptest! {
    /// Every pair is below its limit, and no other line above all pairs is lower on average.
    #[test]
    fn a_ratio_is_the_lowest_line_above_all_pairs(
        pairs in prop::collection::vec((0usize..30, 0usize..60), 1..40),
        slope in 0.0f64..4.0,
    ) {
        let ratio = LengthRatio::fit(pairs.iter().copied()).unwrap();
        prop_assert!(ratio.slope >= 0.0);
        let intercept = |slope: f64| {
            pairs.iter().map(|(x, y)| *y as f64 - slope * *x as f64).fold(f64::MIN, f64::max)
        };
        let mean = pairs.iter().map(|pair| pair.0 as f64).sum::<f64>() / pairs.len() as f64;
        prop_assert!((ratio.intercept - intercept(ratio.slope)).abs() < 1e-9);
        let height = ratio.slope * mean + ratio.intercept;
        prop_assert!(height <= slope * mean + intercept(slope) + 1e-9);
        for (source, target) in pairs {
            let most = ratio.most(source);
            prop_assert!(most > target);
            prop_assert!(most <= ratio.most(source + 1));
        }
    }
}

/// Targets of one token more than twice the source: `⌈1.1 · (2 · 10 + 1)⌉ + 1 = 25`.
#[test]
fn a_ratio_is_learned() {
    let ratio = LengthRatio::fit((3..12).map(|source| (source, 2 * source + 1))).unwrap();
    assert_eq!(ratio, LengthRatio { slope: 2.0, intercept: 1.0 });
    assert_eq!(ratio.limits(&[10, 0]).max, [25, 3]);
    assert_eq!(LengthRatio::fit([]), None);
    assert_eq!(
        LengthRatio::fit([(4, 7), (4, 9)]),
        Some(LengthRatio { slope: 0.0, intercept: 9.0 })
    );
}

#[test]
fn twice_is_twice() {
    assert_eq!(Limits::twice(&[3, 0]), Limits::at_most(vec![6, 0]));
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    let limits = Limits::at_most(vec![3, 3]).at_least(vec![0, 4]);
    let error = greedy(&Table::drawn(1, 2), &limits).unwrap_err();
    assert_eq!(error, SearchError::Limits { output: 1, min: 4, max: 3 });
    assert_eq!(error.to_string(), "output 1 must have at least 4 tokens and at most 3");
}

#[test]
#[should_panic(expected = "as many upper limits as sources")]
fn limits_of_other_sources_are_refused() {
    let _ = greedy(&Table::drawn(1, 2), &Limits::at_most(vec![3]).at_least(vec![0, 0]));
}

/// `<unk>` is never written where it is forbidden, by any search.
#[test]
fn unknown_tokens_may_be_forbidden() {
    let likes_unknown = || Table::new(1, 6, |_, _| vec![0.0, -0.1, 0.0, -4.0, -3.0, -5.0]);
    for (unknown, expected) in [(Unknown::Allowed, 1), (Unknown::Forbidden, 4)] {
        let limits = Limits::at_most(vec![3]).with_unknown(unknown);
        let likely = Sampling { temperature: 1e-4, ..Sampling::default() };
        let found = [
            greedy(&likes_unknown(), &limits).unwrap().remove(0),
            beam(&likes_unknown(), &Beam::new(1), &limits).unwrap().remove(0).remove(0),
            sample(&likes_unknown(), &likely, &limits).unwrap().remove(0).remove(0),
        ];
        assert!(found.iter().all(|found| found.tokens == [expected; 3]));
    }
}

#[test]
fn what_would_repeat_is_known() {
    assert_eq!(repeating(&[4, 5, 6, 4, 5], 3), [6]);
    assert_eq!(repeating(&[4, 5, 4, 6, 4], 2), [5, 6]);
    assert_eq!(repeating(&[4, 4], 2), [4]);
    assert_eq!(repeating(&[4, 5], 1), [4, 5]);
    assert_eq!(repeating(&[4, 5], 3), [0; 0]);
    assert_eq!(repeating(&[], 2), [0; 0]);
}
