//! Series beside each other, and series in parts: the same as one after the other and whole.

use rstest::rstest;

use super::{assert_near, number, numbers, one, small};
use crate::*;

/// Series of different lengths, some of them shorter than a piece.
fn series(count: usize) -> Vec<(Series, Series)> {
    let of = |n: usize| {
        let steps = 120 + n * 37 % 190;
        (Series::of(numbers(steps, 50 * n)), Series::of(numbers(steps, 50 * n + 7)))
    };
    (0..count).map(of).collect()
}

fn deep(arrangement: Arrangement) -> EsnConfig {
    let second = ReservoirConfig { units: 20, density: 0.3, ..small() };
    EsnConfig {
        reservoirs: vec![small(), second],
        arrangement,
        features: FeaturesConfig::InputsAndSquares,
        regularization: 1e-3,
        ..EsnConfig::default()
    }
}

/// More than run beside each other at once; the sums are the same up to their order.
#[rstest]
fn many_series_are_learned_as_one_after_the_other(
    #[values(Arrangement::Stacked, Arrangement::Parallel)] arrangement: Arrangement,
    #[values(2, 35)] count: usize,
    #[values(0, 100)] washout: usize,
) {
    let series = series(count);
    let config = EsnConfig { washout, ..deep(arrangement) };
    let mut beside = config.init(1, 1).unwrap();
    beside.fit(&series).unwrap();
    let mut sums: Option<Normal> = None;
    for (u, d) in &series {
        let mut fit = beside.partial_fit();
        fit.add(u, d).unwrap();
        match &mut sums {
            None => sums = Some(fit.sums().clone()),
            Some(sums) => sums.merge(fit.sums()),
        }
    }
    let sums = sums.unwrap();
    let learned: usize = series.iter().map(|(u, _)| u.steps() - washout).sum();
    assert_eq!(sums.rows(), learned);
    let expected = sums.solve(1e-3).unwrap();
    assert_near(&beside.readout().unwrap().weights, &expected.weights, 1e-8);
}

#[rstest]
#[case(deep(Arrangement::Stacked))]
#[case(deep(Arrangement::Parallel))]
#[case(one(ReservoirConfig { feedback_scaling: 0.3, ..small() }))]
fn many_series_are_run_as_one_after_the_other(#[case] config: EsnConfig) {
    let mut network = config.init(1, 1).unwrap();
    network.fit(&series(3)).unwrap();
    let inputs: Vec<Series> = series(35).into_iter().map(|(u, _)| u).collect();
    let mut states: Vec<EsnState> = inputs.iter().map(|_| network.start()).collect();
    // They go on from where they are.
    for _ in 0..2 {
        let mut alone = states.clone();
        let outputs = network.run_all(&inputs, &mut states).unwrap();
        for ((u, found), state) in inputs.iter().zip(&outputs).zip(&mut alone) {
            assert_near(found.values(), network.run(u, state).unwrap().values(), 1e-11);
        }
        for (found, alone) in states.iter().zip(&alone) {
            assert_near(found.output(), alone.output(), 1e-11);
            for (found, alone) in found.states().iter().zip(alone.states()) {
                assert_near(found, alone, 1e-12);
            }
        }
    }
}

/// With noise and feedback, too; and one series after another.
#[test]
fn a_fit_in_parts_is_the_whole_fit() {
    let reservoir = ReservoirConfig { feedback_scaling: 0.3, noise: 1e-3, ..small() };
    let config = EsnConfig { washout: 30, regularization: 1e-3, ..one(reservoir) };
    let mut whole = config.init(1, 1).unwrap();
    let series = series(3);
    whole.fit(&series).unwrap();
    let network = config.init(1, 1).unwrap();
    let mut fit = network.partial_fit();
    for (u, d) in &series {
        for first in (0..u.steps()).step_by(29) {
            let steps = first..u.steps().min(first + 29);
            fit.add(&u.slice(steps.clone()), &d.slice(steps)).unwrap();
        }
        fit.end_series().unwrap();
    }
    let readout = fit.solve(1e-3).unwrap();
    assert_near(&readout.weights, &whole.readout().unwrap().weights, 1e-8);
}

#[test]
fn a_fit_in_parts_says_what_is_wrong() {
    let network = EsnConfig { washout: 10, ..one(small()) }.init(1, 1).unwrap();
    let of = |from: usize, steps: usize| Series::of(numbers(steps, from));
    let mut fit = network.partial_fit();
    assert_eq!(fit.solve(1e-3).unwrap_err(), ReservoirError::Nothing);
    fit.add(&of(0, 8), &of(1, 8)).unwrap();
    let short = ReservoirError::Short { series: 0, steps: 8, washout: 10 };
    assert_eq!(fit.solve(1e-3).unwrap_err(), short);
    assert_eq!(fit.end_series().unwrap_err(), short);
    assert!(matches!(fit.add(&of(0, 3), &of(1, 4)), Err(ReservoirError::Steps { .. })));
    let mut gap = numbers(5, 0);
    gap[3] = f64::NAN;
    let error = fit.add(&Series::of(gap), &of(0, 5)).unwrap_err();
    assert!(matches!(error, ReservoirError::NotFinite { series: 0, step: 3, .. }), "{error}");
    let mut fit = network.partial_fit();
    fit.add(&of(0, 80), &Series::of(vec![2.0; 80])).unwrap();
    assert_eq!(fit.solve(1e-3).unwrap_err(), ReservoirError::Constant { column: 0, value: 2.0 });
    fit.add(&of(0, 80), &Series::of(vec![number(5); 80])).unwrap();
    fit.solve(1e-3).unwrap();
}

/// ESN-9, with a matrix that is factored in blocks and series beside each other.
#[test]
fn many_series_give_the_same_bits_on_any_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut network = one(ReservoirConfig { units: 300, ..small() }).init(1, 1).unwrap();
            network.fit(&series(20)).unwrap();
            let inputs: Vec<Series> = series(20).into_iter().map(|(u, _)| u).collect();
            let mut states = vec![network.start(); 20];
            (network.run_all(&inputs, &mut states).unwrap(), states)
        })
    };
    let alone = run(1);
    for threads in [2, 3] {
        assert!(run(threads) == alone, "{threads} threads");
    }
}
