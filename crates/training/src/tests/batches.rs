use std::sync::Arc;

use crate::{Batches, InOrder, Past, Shuffled, prefetch::Prefetch};

#[test]
fn a_shuffle_is_a_function_of_seed_and_epoch() {
    let batches = Shuffled((0..20).collect::<Vec<u32>>());
    let order = batches.epoch(1, 1);
    assert_eq!(order, batches.epoch(1, 1));
    assert_ne!(order, batches.epoch(1, 2));
    assert_ne!(order, batches.epoch(2, 1));
    let mut sorted = order;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..20).collect::<Vec<usize>>());
}

/// Every place of a shuffle sees every batch about as often: 2000 shuffles of 5, each count within
/// six standard deviations of 400.
#[test]
fn a_shuffle_has_no_favourites() {
    let batches = Shuffled((0..5).collect::<Vec<u32>>());
    let mut counts = [[0_i32; 5]; 5];
    for epoch in 1..=2000 {
        for (place, batch) in batches.epoch(7, epoch).into_iter().enumerate() {
            counts[place][batch] += 1;
        }
    }
    let deviation = (2000.0_f64 * 0.2 * 0.8).sqrt();
    let worst = counts.iter().flatten().map(|count| (count - 400).abs()).max().unwrap();
    assert!(f64::from(worst) < 6.0 * deviation, "{counts:?}");
}

#[test]
fn batches_made_ahead_come_in_order() {
    let batches = Arc::new(InOrder((0..100).collect::<Vec<u32>>()));
    let made: Vec<_> = Prefetch::new(batches.clone(), batches.epoch(1, 1)).collect();
    assert_eq!(made, (0..100).map(|batch| (Past::None, batch)).collect::<Vec<_>>());
}

struct Broken;

impl Batches for Broken {
    type Plan = u32;
    type Batch = u32;

    fn epoch(&self, _: u64, _: usize) -> Vec<u32> {
        vec![1, 0]
    }

    fn batch(&self, plan: &u32) -> u32 {
        10_u32.checked_div(*plan).expect("a plan is not 0")
    }
}

/// A panic while a batch is made is not the end of an epoch.
#[test]
#[should_panic(expected = "a plan is not 0")]
fn a_panic_while_a_batch_is_made_goes_on_where_it_is_needed() {
    Prefetch::new(Arc::new(Broken), vec![1, 0]).for_each(drop);
}

/// Nobody needs the rest: the thread that makes batches ends.
#[test]
fn an_epoch_can_be_left() {
    let batches = Arc::new(InOrder((0..100).collect::<Vec<u32>>()));
    let mut made = Prefetch::new(batches.clone(), batches.epoch(1, 1));
    assert_eq!(made.next(), Some((Past::None, 0)));
    drop(made);
    assert_eq!(Arc::strong_count(&batches), 1);
}
