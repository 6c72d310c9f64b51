//! How varied outputs are: distinct-1, distinct-2 and so on.

use std::{collections::HashSet, hash::Hash};

/// Different n-grams over all n-grams of the outputs taken together; 0 where there is none.
///
/// Source: Li et al. (2016), A Diversity-Promoting Objective Function for Neural Conversation
/// Models, section 5.
///
/// # Panics
///
/// If `order` is 0.
pub fn distinct<T: Eq + Hash>(outputs: &[Vec<T>], order: usize) -> f64 {
    assert!(order > 0, "the order of n-grams must be above 0, got 0");
    let ngrams = || outputs.iter().flat_map(|output| output.windows(order));
    let different = ngrams().collect::<HashSet<_>>().len();
    different as f64 / ngrams().count().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden numbers of the specification, 13.4.
    #[test]
    fn repeated_ngrams_count_once() {
        let outputs = ["i do not know", "i do"].map(|text| text.split(' ').collect::<Vec<_>>());
        assert_eq!(distinct(&outputs, 1), 4.0 / 6.0);
        assert_eq!(distinct(&outputs, 2), 3.0 / 4.0);
        assert_eq!(distinct(&outputs, 5), 0.0);
    }

    #[test]
    #[should_panic(expected = "the order of n-grams must be above 0, got 0")]
    fn order_0_is_refused() {
        distinct(&[vec!["a"]], 0);
    }
}
