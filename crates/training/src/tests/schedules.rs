use proptest::prelude::*;
use rstest::rstest;

use crate::{Decay, Position, Schedule, Warmup};

fn decayed(decay: &Decay, step: usize, total: usize) -> f64 {
    let schedule = Schedule { decay: decay.clone(), ..Schedule::default() };
    schedule.factor(&Position { step, total, epochs: 0.0, plateaus: 0 })
}

fn after(decay: Decay, epochs: f64) -> f64 {
    let schedule = Schedule { decay, ..Schedule::default() };
    schedule.factor(&Position { step: 0, total: 100, epochs, plateaus: 0 })
}

fn warmed(warmup: Warmup, step: usize) -> f64 {
    let schedule = Schedule { warmup, ..Schedule::default() };
    schedule.factor(&Position { step, total: 1000, epochs: 0.0, plateaus: 0 })
}

/// Section 0.2 of the specification, after Sutskever et al. (2014), section 3.4.
#[rstest]
#[case(0.0, 0.7)]
#[case(4.99, 0.7)]
#[case(5.0, 0.35)]
#[case(5.5, 0.175)]
#[case(6.0, 0.0875)]
#[case(6.5, 0.04375)]
#[case(7.0, 0.021875)]
#[case(7.5, 0.0)]
fn sutskever_halves_every_half_epoch(#[case] epochs: f64, #[case] rate: f64) {
    assert!((0.7 * after(Decay::Sutskever, epochs) - rate).abs() < 1e-12);
}

/// Twelve thousand steps. `start` itself still has the full rate, and the first cut comes a
/// distance of `⌊(total − start) / times⌋` later.
#[rstest]
#[case(Decay::Luong5, 6000, 1200, 5)]
#[case(Decay::Luong10, 6000, 600, 10)]
#[case(Decay::Luong234, 8000, 1000, 4)]
fn luong_cuts_in_stairs(
    #[case] decay: Decay,
    #[case] start: usize,
    #[case] distance: usize,
    #[case] times: i32,
) {
    let rate = |step| decayed(&decay, step, 12_000);
    assert_eq!(rate(0), 1.0);
    assert_eq!(rate(start), 1.0);
    assert_eq!(rate(start + distance - 1), 1.0);
    assert_eq!(rate(start + distance), 0.5);
    assert_eq!(rate(start + 3 * distance), 0.125);
    assert_eq!(rate(11_999), 0.5_f64.powi(times - 1));
}

/// `w^(warmup − step)` with `w = 0.01^(1/warmup)`: a hundredth at step 0, a tenth half way.
#[rstest]
#[case(0, 0.01)]
#[case(100, 0.1)]
#[case(150, 0.1_f64.sqrt())]
#[case(200, 1.0)]
#[case(900, 1.0)]
fn exponential_warmup(#[case] step: usize, #[case] factor: f64) {
    assert!((warmed(Warmup::Exponential { steps: 200 }, step) - factor).abs() < 1e-12);
}

#[rstest]
#[case(0, 0.01)]
#[case(49, 0.5)]
#[case(99, 1.0)]
#[case(100, 1.0)]
fn linear_warmup(#[case] step: usize, #[case] factor: f64) {
    assert_eq!(warmed(Warmup::Linear { steps: 100 }, step), factor);
}

#[rstest]
#[case(Decay::Linear, [1.0, 0.75, 0.5, 0.0])]
#[case(Decay::Cosine, [1.0, (1.0 + 0.5_f64.sqrt()) / 2.0, 0.5, 0.0])]
fn falls_to_nothing_after_the_warmup(#[case] decay: Decay, #[case] factors: [f64; 4]) {
    let schedule = Schedule { warmup: Warmup::Linear { steps: 200 }, decay };
    for (step, factor) in [200, 400, 600, 1000].into_iter().zip(factors) {
        let at = Position { step, total: 1000, epochs: 0.0, plateaus: 0 };
        assert!((schedule.factor(&at) - factor).abs() < 1e-12, "step {step}");
    }
}

#[test]
fn inverse_square_root() {
    let decay = Decay::InverseSqrt { steps: 400 };
    assert_eq!([100, 400, 1600, 6400].map(|step| decayed(&decay, step, 0)), [1.0, 1.0, 0.5, 0.25]);
}

#[test]
fn by_the_epoch() {
    assert!((after(Decay::Exponential { factor: 0.25 }, 1.5) - 0.125).abs() < 1e-12);
    let step = Decay::Step { factor: 0.1, every: 3 };
    assert_eq!(after(step.clone(), 2.9), 1.0);
    assert!((after(step, 6.0) - 0.01).abs() < 1e-12);
}

#[test]
fn a_plateau_cuts_each_time() {
    let decay = Decay::Plateau { factor: 0.5, patience: 2 };
    let schedule = Schedule { decay, ..Schedule::default() };
    let at = Position { step: 7, total: 9, epochs: 3.0, plateaus: 3 };
    assert_eq!(schedule.factor(&at), 0.125);
}

fn any_decay() -> impl Strategy<Value = Decay> {
    let part = 0.01..1.0;
    prop_oneof![
        Just(Decay::Constant),
        Just(Decay::Sutskever),
        Just(Decay::Luong5),
        Just(Decay::Luong10),
        Just(Decay::Luong234),
        Just(Decay::Linear),
        Just(Decay::Cosine),
        (1_usize..50).prop_map(|steps| Decay::InverseSqrt { steps }),
        part.clone().prop_map(|factor| Decay::Exponential { factor }),
        (part, 1_usize..4).prop_map(|(factor, every)| Decay::Step { factor, every }),
    ]
}

proptest! {
    /// However short the training, the factor is within `[0, 1]` and never rises after the warm-up.
    #[test]
    fn a_decay_only_falls(decay in any_decay(), total in 1_usize..60) {
        let mut before = 1.0;
        for step in 0..total + 5 {
            let epochs = step as f64 / 6.0;
            let at = Position { step, total, epochs, plateaus: 0 };
            let factor = Schedule { decay: decay.clone(), ..Schedule::default() }.factor(&at);
            prop_assert!((0.0..=before).contains(&factor), "{factor} after {before}");
            before = factor;
        }
    }
}
