use proptest::prelude::*;

use crate::search::shortlist::{Candidate, Shortlist};

proptest! {
    /// What a sort of all candidates has in front, ties in the order of parents and ids.
    #[test]
    fn the_best_are_those_of_a_sort(
        rows in prop::collection::vec(prop::collection::vec(-9i8..0, 150), 1..4),
        room in 1usize..30,
        least in -10i8..0,
    ) {
        let number = |log_prob: i8| if log_prob < -7 { f64::NEG_INFINITY } else { f64::from(log_prob) };
        let mut shortlist = Shortlist::new(room);
        let mut all = Vec::new();
        for (parent, row) in rows.iter().enumerate() {
            let row: Vec<f64> = row.iter().map(|log_prob| number(*log_prob)).collect();
            let before = -(parent as f64);
            shortlist.offer_row(parent, before, &row, number(least));
            let written = (0u32..).zip(&row).filter(|(_, p)| **p >= number(least) && p.is_finite());
            all.extend(written.map(|(token, p)| (before + p, parent, token)));
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        all.truncate(room);
        let best = shortlist.into_best();
        let best: Vec<_> = best.iter().map(|c: &Candidate| (c.total, c.parent, c.token)).collect();
        prop_assert_eq!(best, all);
    }
}
