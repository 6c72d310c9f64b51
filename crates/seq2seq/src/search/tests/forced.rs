use super::{check_parts, table::Table, tokens};
use crate::search::*;

/// S2-2, on the side of the search.
#[test]
fn given_outputs_are_scored_step_by_step() {
    let table = Table::drawn(2, 4).looking(2, &[3, 1, 2, 6]);
    let outputs = [vec![4, 5, 4], vec![], vec![0, 2, 3, 1], vec![5]];
    let scored = forced(&table, &outputs).unwrap();
    assert_eq!(tokens(&scored), outputs);
    for (source, scored) in scored.iter().enumerate() {
        check_parts(&table, source, scored);
    }
    assert_eq!(*table.rows.borrow(), [4, 3, 2, 2, 1]);
}

/// What a search has found has the log-probability that it says.
#[test]
fn found_outputs_are_scored_alike() {
    let table = Table::drawn(6, 3).looking(6, &[2, 3, 4]);
    let limits = Limits::at_most(vec![5; 3]).at_least(vec![2; 3]);
    let found: Vec<_> = beam(&table, &Beam::new(3), &limits).unwrap().concat();
    for (found, scored) in found.iter().zip(forced(&table, &tokens(&found)).unwrap()) {
        assert_eq!(scored, Hypothesis { ending: Ending::Written, ..found.clone() });
    }
}

#[test]
fn ids_outside_the_vocabulary_are_refused() {
    let error = forced(&Table::drawn(1, 2), &[vec![4], vec![4, 6]]).unwrap_err();
    assert_eq!(error.to_string(), "output 1 has the token 6, the vocabulary has 6");
}
