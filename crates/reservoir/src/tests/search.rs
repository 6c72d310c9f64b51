//! The search for settings.

use std::collections::BTreeMap;

use rstest::rstest;

use crate::{
    EsnConfig, ReservoirError,
    search::{Method, Outcome, Parameter, SearchConfig, Space, best, folds, with_values},
};

fn search(method: Method) -> SearchConfig {
    SearchConfig {
        trials: 120,
        method,
        folds: 3,
        draws: 1,
        seed: 1,
        space: BTreeMap::from([
            (Parameter::SpectralRadius, Space::Uniform([0.1, 1.5])),
            (Parameter::Regularization, Space::LogUniform([1e-8, 1.0])),
            (Parameter::Units, Space::Choice(vec![10.0, 20.0, 40.0])),
        ]),
    }
}

/// A bowl: best at a radius of 0.8, λ = 1e-3 and 20 units.
fn bowl(config: &EsnConfig) -> Result<f64, ReservoirError> {
    let reservoir = &config.reservoirs[0];
    let radius = (reservoir.spectral_radius - 0.8).powi(2);
    let lambda = (config.regularization.log10() + 3.0).powi(2) / 10.0;
    Ok(radius + lambda + f64::from(u8::from(reservoir.units != 20)))
}

/// Every value lies in its range, whichever way it was chosen; random search covers ranges evenly, in the
/// logarithm where that is asked for.
#[rstest]
fn values_lie_in_their_ranges(#[values(Method::Random, Method::Tpe)] method: Method) {
    let trials = search(method).run(&EsnConfig::default(), bowl, |_| ()).unwrap();
    assert_eq!(trials.len(), 120);
    let of = |parameter| trials.iter().map(move |trial| trial.values[&parameter]);
    assert!(of(Parameter::SpectralRadius).all(|radius| (0.1..=1.5).contains(&radius)));
    assert!(of(Parameter::Regularization).all(|lambda| (1e-8..=1.0).contains(&lambda)));
    assert!(of(Parameter::Units).all(|units| [10.0, 20.0, 40.0].contains(&units)));
    if method == Method::Random {
        // Half of the λ lie below the middle of the exponents: 60 ± 4 deviations of √30.
        let small = of(Parameter::Regularization).filter(|lambda| *lambda < 1e-4).count();
        assert!((38..=82).contains(&small), "{small}");
    }
}

/// The estimator comes nearer to the best than chance.
#[test]
fn the_estimator_finds_the_bottom_of_a_bowl() {
    let found = |method| {
        let trials = search(method).run(&EsnConfig::default(), bowl, |_| ()).unwrap();
        let late: f64 = trials[90..].iter().filter_map(|trial| trial.loss()).sum::<f64>() / 30.0;
        (best(&trials).unwrap().loss().unwrap(), late)
    };
    let ((tpe, late), (random, late_random)) = (found(Method::Tpe), found(Method::Random));
    assert!(tpe < 0.02, "{tpe}");
    assert!(late < 0.5 * late_random, "{late} {late_random} {random}");
}

/// ESN-9: the same on any number of threads, and told in order.
#[test]
fn a_search_is_the_same_on_any_number_of_threads() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut told = Vec::new();
        let trials = pool.install(|| {
            search(Method::Tpe).run(&EsnConfig::default(), bowl, |trial| told.push(trial.clone()))
        });
        assert_eq!(trials.unwrap(), told);
        told
    };
    assert_eq!(on(1), on(4));
}

/// A setting that fails does not end the search, and is never the best.
#[test]
fn a_failure_is_a_trial_too() {
    let config = SearchConfig { trials: 40, draws: 3, ..search(Method::Tpe) };
    let loss = |config: &EsnConfig| match config.reservoirs[0].units {
        20 => bowl(config),
        _ => Err(ReservoirError::NotFitted),
    };
    let trials = config.run(&EsnConfig::default(), loss, |_| ()).unwrap();
    let failed = trials.iter().filter(|trial| matches!(trial.outcome, Outcome::Failed(_))).count();
    assert!(failed > 0 && failed < 40, "{failed}");
    assert_eq!(best(&trials).unwrap().values[&Parameter::Units], 20.0);
    let none =
        config.run(&EsnConfig::default(), |_| Err(ReservoirError::NotFitted), |_| ()).unwrap();
    assert_eq!(best(&none), None);
    let not_finite =
        config.run(&EsnConfig::default(), |_| Ok::<f64, ReservoirError>(f64::NAN), |_| ()).unwrap();
    assert_eq!(best(&not_finite), None);
}

/// Every draw has a seed of its own, and the loss is their mean.
#[test]
fn draws_have_seeds() {
    let config = SearchConfig { trials: 1, draws: 4, ..search(Method::Random) };
    let base = EsnConfig { seed: 10, ..EsnConfig::default() };
    let trials =
        config.run(&base, |config| Ok::<f64, ReservoirError>(config.seed as f64), |_| ()).unwrap();
    assert_eq!(trials[0].loss(), Some(11.5));
}

#[test]
fn every_setting_gets_its_value() {
    let all = [
        Parameter::Units,
        Parameter::SpectralRadius,
        Parameter::Leak,
        Parameter::InputScaling,
        Parameter::BiasScaling,
        Parameter::FeedbackScaling,
        Parameter::Density,
        Parameter::Noise,
        Parameter::Regularization,
    ];
    let base = EsnConfig::default();
    for parameter in all {
        let changed = with_values(&base, &BTreeMap::from([(parameter, 0.625)]));
        assert_ne!(changed, base, "{}", parameter.name());
    }
}

#[test]
fn folds_are_all_steps() {
    assert_eq!(folds(10, 3), [0..3, 3..6, 6..10]);
}

#[rstest]
#[case(Space::Uniform([1.0, 1.0]), "`space.leak` is [1.0, 1.0], expected two numbers, the smaller one first")]
#[case(Space::LogUniform([0.0, 1.0]), "`space.leak` is [0.0, 1.0], expected two numbers above 0, the smaller one first")]
#[case(Space::Choice(vec![]), "`space.leak` is [], expected at least one number")]
fn a_wrong_space_is_named(#[case] space: Space, #[case] message: &str) {
    let config = SearchConfig {
        space: BTreeMap::from([(Parameter::Leak, space)]),
        ..search(Method::Random)
    };
    assert_eq!(config.validate(&EsnConfig::default()).unwrap_err().to_string(), message);
}
