//! The acceptance list of echo state networks, ESN-1 to ESN-9, and what is refused.

mod classifier;
mod flows_and_maps;
mod intrinsic_plasticity;
mod nvar;
mod online;

use faer::{Mat, linalg::solvers::Solve};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use recurrent_kernels::sparse::{Rows, Weights};
use rstest::rstest;

use crate::{
    esn::*, mackey_glass, matrix::*, memory_capacity::memory_capacity, metrics::*, reservoir::*,
    ridge::*, spectrum::*, *,
};

mod cell;
mod memory;
mod parts;
mod search;

/// Numbers in ±1 without a generator.
fn number(n: usize) -> f64 {
    ((n as f64 + 1.0) * 12.9898).sin()
}

fn numbers(count: usize, from: usize) -> Vec<f64> {
    (0..count).map(|n| number(n + from)).collect()
}

fn one(reservoir: ReservoirConfig) -> EsnConfig {
    EsnConfig { reservoirs: vec![reservoir], ..EsnConfig::default() }
}

fn small() -> ReservoirConfig {
    ReservoirConfig { units: 30, bias_scaling: 0.2, ..ReservoirConfig::default() }
}

fn states(reservoir: &Reservoir, u: &[f64], start: &[f64]) -> Vec<f64> {
    let n = reservoir.size();
    let mut elements = vec![0.0; u.len() / reservoir.units.inputs() * n];
    let rows = Rows { elements: &mut elements, stride: n, offset: 0 };
    reservoir.harvest(u, None, &mut start.to_vec(), rows);
    elements
}

fn assert_near(found: &[f64], expected: &[f64], within: f64) {
    assert_eq!(found.len(), expected.len());
    for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= within, "number {n}: {found} is not {expected}");
    }
}

/// ESN-1.
#[test]
fn fitting_changes_the_readout_alone() {
    let mut network = one(small()).init(1, 1).unwrap();
    let before = network.reservoirs().to_vec();
    network.fit(&[(Series::of(numbers(300, 0)), Series::of(numbers(300, 1)))]).unwrap();
    assert_eq!(network.reservoirs(), before);
    assert!(network.readout().is_some());
}

/// ESN-2, on both sides of where all eigenvalues are computed.
#[rstest]
fn the_spectral_radius_is_the_one_asked_for(
    #[values(40, 300)] units: usize,
    #[values(
        Topology::Uniform, Topology::Normal, Topology::Bernoulli, Topology::Orthogonal, Topology::Ring,
        Topology::SmallWorld { neighbours: 6, rewired: 0.2 }
    )]
    topology: Topology,
) {
    let w = recurrent_weights(topology, units, 0.1, 0.83, 5).unwrap();
    let mut matrix = Mat::<f64>::zeros(units, units);
    for (row, column, value) in w.entries() {
        matrix[(row, column)] = value;
    }
    let exact = matrix.eigenvalues().unwrap().iter().map(|value| value.norm()).fold(0.0, f64::max);
    assert!((exact / 0.83 - 1.0).abs() < 1e-6, "{exact}");
    let sigma = matrix.singular_values().unwrap()[0];
    let found = Spectrum::of(&w).unwrap();
    assert!((found.spectral_radius / exact - 1.0).abs() < 1e-6, "{found:?}, not {exact}");
    assert!((found.largest_singular_value / sigma - 1.0).abs() < 1e-6, "{found:?}, not {sigma}");
}

/// ESN-2.
#[test]
fn as_many_weights_are_there_as_the_density_says() {
    for (units, density) in [(200, 0.1), (100, 0.03), (80, 0.7)] {
        let w = recurrent_weights(Topology::Normal, units, density, 0.9, 3).unwrap();
        let count = w.entries().filter(|(_, _, value)| *value != 0.0).count() as f64;
        let all = (units * units) as f64;
        let deviation = (all * density * (1.0 - density)).sqrt();
        assert!((count - all * density).abs() < 3.0 * deviation, "{count} of {all} at {density}");
    }
}

/// ESN-2.
#[test]
fn scaling_a_column_of_the_input_is_scaling_its_weights() {
    let scaled = |scaling: [f64; 2]| ReservoirConfig {
        input_scaling: OneOrEach::Each(scaling.to_vec()),
        ..small()
    };
    let u = numbers(40, 3);
    let larger: Vec<f64> =
        u.iter().enumerate().map(|(n, u)| if n % 2 == 1 { 3.0 * u } else { *u }).collect();
    let start = vec![0.0; 30];
    let by_weights = states(&scaled([1.0, 3.0]).init(2, 1, 7).unwrap(), &u, &start);
    let by_input = states(&scaled([1.0, 1.0]).init(2, 1, 7).unwrap(), &larger, &start);
    assert_near(&by_weights, &by_input, 1e-12);
}

/// ESN-3.
#[test]
fn the_leak_rate_goes_from_a_plain_network_to_one_that_holds() {
    let with = |leak| ReservoirConfig { leak: OneOrEach::One(leak), ..small() };
    let (u, start) = (numbers(1, 2), numbers(30, 9));
    let plain = with(1.0).init(1, 1, 7).unwrap();
    let mut sums = plain.units.b.clone();
    for (row, column, value) in plain.units.w_in.entries() {
        sums[row] += value * u[column];
    }
    for (row, column, value) in plain.units.w.entries() {
        sums[row] += value * start[column];
    }
    let expected: Vec<f64> = sums.iter().map(|sum| sum.tanh()).collect();
    assert_near(&states(&plain, &u, &start), &expected, 1e-14);
    assert_near(&states(&with(1e-12).init(1, 1, 7).unwrap(), &u, &start), &start, 1e-11);
}

/// ESN-3: without input a linear reservoir is a power of `(1 − a) I + a W`.
#[test]
fn a_linear_reservoir_is_a_power_of_its_matrix() {
    let config = ReservoirConfig {
        leak: OneOrEach::One(0.3),
        bias_scaling: 0.0,
        activation: ReservoirActivation::Identity,
        ..small()
    };
    let reservoir = config.init(1, 1, 7).unwrap();
    let mut matrix = Mat::<f64>::identity(30, 30) * faer::Scale(0.7);
    for (row, column, value) in reservoir.units.w.entries() {
        matrix[(row, column)] += 0.3 * value;
    }
    let start = numbers(30, 9);
    let mut x = Mat::from_fn(30, 1, |n, _| start[n]);
    for _ in 0..12 {
        x = &matrix * x;
    }
    let found = states(&reservoir, &[0.0; 12], &start);
    let expected: Vec<f64> = (0..30).map(|n| x[(n, 0)]).collect();
    assert_near(&found[11 * 30..], &expected, 1e-12);
}

/// ESN-4: contraction by `σ_max` for every input, and none without input beyond a radius of 1.
#[test]
fn echo_states_are_where_the_propositions_say() {
    let drawn = recurrent_weights(Topology::Uniform, 50, 0.2, 1.0, 3).unwrap();
    let sigma = largest_singular_value(&drawn).unwrap();
    let mut reservoir = ReservoirConfig { units: 50, ..small() }.init(1, 1, 3).unwrap();
    reservoir.units.w = drawn.map(|value| value * 0.9 / sigma);
    assert_eq!(reservoir.echo_states().unwrap(), EchoStates::Always);
    let distance =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    let (first, second) = (numbers(50, 0), numbers(50, 77));
    let u: Vec<f64> = numbers(60, 5).iter().map(|u| 3.0 * u).collect();
    let (a, b) = (states(&reservoir, &u, &first), states(&reservoir, &u, &second));
    let begin = distance(&first, &second);
    for t in 0..60 {
        let now = distance(&a[t * 50..(t + 1) * 50], &b[t * 50..(t + 1) * 50]);
        let bound = 0.9_f64.powi(t as i32 + 1) * begin;
        assert!(now <= bound * (1.0 + 1e-9), "{now} after {t}, at most {bound}");
    }
    let config = ReservoirConfig { spectral_radius: 1.5, bias_scaling: 0.0, ..small() };
    let wild = config.init(1, 1, 3).unwrap();
    assert_eq!(wild.echo_states().unwrap(), EchoStates::Never);
    // With biases zero is no fixed point, and the proposition says nothing.
    let biased = ReservoirConfig { spectral_radius: 1.5, bias_scaling: 0.1, ..small() };
    let biased = biased.init(1, 1, 3).unwrap();
    assert_eq!(biased.echo_states().unwrap(), EchoStates::Unknown);
    let u = [0.0; 300];
    assert!(states(&wild, &u, &[0.0; 30]).iter().all(|x| *x == 0.0));
    let grown = states(&wild, &u, &[1e-6; 30]);
    assert!(distance(&grown[299 * 30..], &[0.0; 30]) > 0.1);
    let usual = ReservoirConfig { units: 100, ..ReservoirConfig::default() }.init(1, 1, 3).unwrap();
    assert_eq!(usual.echo_states().unwrap(), EchoStates::Unknown);
}

/// Features with a constant in front, and targets.
fn problem(rows: usize, features: usize) -> [Vec<f64>; 2] {
    let p = (0..rows * features)
        .map(|n| if n % features == 0 { 1.0 } else { number(n * n % 7919) + 0.3 });
    [p.collect(), numbers(rows * 2, 11)]
}

/// ESN-5.
#[test]
fn every_way_to_solve_gives_the_same_readout() {
    let (rows, features) = (80, 12);
    let [p, y] = problem(rows, features);
    let mut sums = Normal::new(features, 2);
    let mut design = Design::new(features, 2);
    sums.add(&p, &y);
    design.add(&p, &y);
    for lambda in [0.0, 1e-3, 0.7, 20.0] {
        // A dense solve by an LU factorisation.
        let at = |m: usize, n: usize| p[m * features + n];
        let gram = Mat::from_fn(features, features, |i, j| {
            let sum: f64 = (0..rows).map(|m| at(m, i) * at(m, j)).sum();
            sum + if i == j && i > 0 { lambda } else { 0.0 }
        });
        let cross = Mat::from_fn(features, 2, |i, l| {
            (0..rows).map(|m| at(m, i) * y[m * 2 + l]).sum::<f64>()
        });
        let exact = gram.partial_piv_lu().solve(&cross);
        let expected: Vec<f64> =
            (0..2 * features).map(|n| exact[(n % features, n / features)]).collect();
        assert_near(&sums.solve(lambda).unwrap().weights, &expected, 1e-8);
        assert_near(&design.solve(lambda).unwrap().weights, &expected, 1e-8);
        assert_near(&sums.path(&[lambda]).unwrap()[0].weights, &expected, 1e-8);
    }
}

/// ESN-5.
#[test]
fn regression_has_its_limits_and_does_not_see_chunks() {
    let (rows, features) = (80, 12);
    let [p, y] = problem(rows, features);
    let mut whole = Normal::new(features, 2);
    whole.add(&p, &y);
    let mut parts = [Normal::new(features, 2), Normal::new(features, 2)];
    for (n, (p, y)) in p.chunks(7 * features).zip(y.chunks(14)).enumerate() {
        parts[n % 2].add(p, y);
    }
    let [mut merged, other] = parts;
    merged.merge(&other);
    assert_eq!(merged.rows(), rows);
    let readout = whole.solve(0.0).unwrap();
    assert_near(&merged.solve(0.0).unwrap().weights, &readout.weights, 1e-10);
    // What is left is orthogonal to every feature.
    let residuals: Vec<f64> = (0..rows)
        .flat_map(|m| {
            let y = &y[m * 2..];
            let said: Vec<f64> = readout.apply(&p[m * features..(m + 1) * features]).collect();
            [y[0] - said[0], y[1] - said[1]]
        })
        .collect();
    for feature in 0..features {
        let product: f64 = (0..rows).map(|m| p[m * features + feature] * residuals[m * 2]).sum();
        assert!(product.abs() < 1e-10, "{product}");
    }
    // The constant is not penalised: all that is left is the mean.
    let mean = y.iter().step_by(2).sum::<f64>() / rows as f64;
    let far = whole.solve(1e12).unwrap();
    assert!(
        (far.weights[0] - mean).abs() < 1e-8
            && far.weights[1..features].iter().all(|w| w.abs() < 1e-8)
    );
}

/// The leave-one-out error from one factorisation is that of as many regressions.
#[test]
fn leaving_one_out_is_as_good_as_doing_it() {
    let (rows, features) = (25, 5);
    let [p, y] = problem(rows, features);
    let mut all = Design::new(features, 2);
    all.add(&p, &y);
    for (n, lambda) in [0.0, 0.3].into_iter().enumerate() {
        let mut squares = 0.0;
        for left_out in 0..rows {
            let mut rest = Design::new(features, 2);
            for m in (0..rows).filter(|m| *m != left_out) {
                rest.add(&p[m * features..(m + 1) * features], &y[m * 2..m * 2 + 2]);
            }
            let readout = rest.solve(lambda).unwrap();
            let said = readout.apply(&p[left_out * features..(left_out + 1) * features]);
            squares += said.zip(&y[left_out * 2..]).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        }
        let found = &all.left_out(&[0.0, 0.3]).unwrap()[n];
        let expected = squares / (rows * 2) as f64;
        // A centred design knows the mean of all rows; for λ > 0 this is not exactly what is left out.
        let within = if lambda == 0.0 { 1e-10 } else { 0.02 * expected };
        assert!((found.error - expected).abs() < within, "{} is not {expected}", found.error);
    }
}

/// The `λ` that is chosen is the best there is by what it is chosen by, and the readout is that of fitting with it.
#[rstest]
#[case(Selection::LeaveOneOut(vec![1e-8, 1e-3, 1e3]))]
#[case(Selection::HoldOut(vec![1e-8, 1e-3, 1e3]))]
fn the_best_of_several_regularizations_is_chosen(#[case] selection: Selection) {
    // Targets with noise that nothing can foretell: with 30 units and few steps the least λ fits it.
    let mut rng = StdRng::seed_from_u64(3);
    let u: Vec<f64> = (0..90).map(|_| rng.random_range(-1.0..1.0)).collect();
    let d: Vec<f64> = u.iter().map(|u| 0.5 * u + rng.random_range(-0.5..0.5)).collect();
    let series = [(Series::of(u), Series::of(d))];
    let config = EsnConfig { washout: 20, selection, ..one(small()) };
    let mut network = config.init(1, 1).unwrap();
    let lambda = network.fit(&series).unwrap();
    assert!(lambda > 1e-8, "{lambda}");
    let given = EsnConfig { selection: Selection::Given, regularization: lambda, ..config };
    let mut again = given.init(1, 1).unwrap();
    again.fit(&series).unwrap();
    let (found, expected) = (network.readout().unwrap(), again.readout().unwrap());
    assert_near(&found.weights, &expected.weights, 1e-7);
}

/// Where the steps that are held out begin within a chunk of features, and go on through others.
#[test]
fn held_out_steps_may_be_many() {
    let [u, d] = signals::narma10(9000, 5).map(Series::of);
    let selection = Selection::HoldOut(vec![1e-6, 1e6]);
    let config = EsnConfig { selection, ..one(small()) };
    assert_eq!(config.init(1, 1).unwrap().fit(&[(u, d)]).unwrap(), 1e-6);
}

/// What a network says to itself may grow beyond all numbers.
#[test]
fn a_run_that_leaves_all_bounds_is_ended() {
    let linear = ReservoirConfig { activation: ReservoirActivation::Identity, ..small() };
    let mut network = one(linear).init(1, 1).unwrap();
    // Twice as much at every step.
    let u: Vec<f64> = numbers(300, 0);
    let d: Vec<f64> = u.iter().map(|u| 2.0 * u).collect();
    network.fit(&[(Series::of(u), Series::of(d))]).unwrap();
    let said = network.generate(&[1.0], 3000, &mut network.start());
    assert!(matches!(said, Err(ReservoirError::RanAway { step }) if step > 900), "{said:?}");
}

fn linear(units: usize) -> EsnConfig {
    let reservoir = ReservoirConfig {
        units,
        topology: Topology::Orthogonal,
        spectral_radius: 0.95,
        input_scaling: OneOrEach::One(0.1),
        activation: ReservoirActivation::Identity,
        ..ReservoirConfig::default()
    };
    EsnConfig { regularization: 1e-9, features: FeaturesConfig::States, ..one(reservoir) }
}

/// ESN-6.
#[test]
fn memory_is_bounded_by_the_units_and_grows_with_them() {
    let of = |units| memory_capacity(&linear(units), 3000, 4).unwrap();
    let (twenty, fifty) = (of(20), of(50));
    assert!(twenty <= 20.0 * 1.02 && fifty <= 50.0 * 1.02, "{twenty}, {fifty}");
    assert!(twenty > 17.0 && fifty > 45.0, "{twenty}, {fifty}");
    let squashed = |scaling| {
        let reservoir = ReservoirConfig {
            units: 50,
            input_scaling: OneOrEach::One(scaling),
            ..ReservoirConfig::default()
        };
        memory_capacity(&one(reservoir), 3000, 4).unwrap()
    };
    let (weak, strong) = (squashed(0.1), squashed(1.0));
    assert!(strong < weak - 3.0, "{weak} with a weak input, {strong} with a strong one");
}

/// ESN-7: what is not fed back is not heard.
#[test]
fn without_feedback_forcing_outputs_changes_nothing() {
    let network = one(small()).init(1, 1).unwrap();
    let u = Series::of(numbers(50, 0));
    let after = |d: Vec<f64>| {
        let mut state = network.start();
        network.warm_up(&u, &Series::of(d), &mut state).unwrap();
        state.states().to_vec()
    };
    assert_eq!(after(vec![0.0; 50]), after(numbers(50, 9)));
}

/// ESN-7: a readout that is exact goes on by itself as if it were forced.
#[test]
fn an_exact_readout_runs_freely_as_it_is_taught() {
    let sine: Vec<f64> = (0..600).map(|t| 0.5 * (t as f64 * 0.2).sin()).collect();
    let reservoir = ReservoirConfig {
        feedback_scaling: 0.5,
        activation: ReservoirActivation::Identity,
        bias_scaling: 0.0,
        ..small()
    };
    let config = EsnConfig { regularization: 0.0, solver: Solver::Svd, ..one(reservoir) };
    let mut network = config.init(1, 1).unwrap();
    let u = Series::of(vec![0.2; 600]);
    let d = Series::of(sine.clone());
    network.fit(&[(u.slice(0..500), d.slice(0..500))]).unwrap();
    let mut state = network.start();
    network.warm_up(&u.slice(0..500), &d.slice(0..500), &mut state).unwrap();
    let free = network.run(&u.slice(500..600), &mut state).unwrap();
    assert_near(free.values(), &sine[500..], 1e-6);
}

/// ESN-7: what is said while the truth is forced is what would have been said to each step, in any number of parts.
#[test]
fn what_is_said_while_taught_is_heard_from_the_truth() {
    let reservoir = ReservoirConfig { feedback_scaling: 0.5, ..small() };
    let mut network = one(reservoir).init(1, 1).unwrap();
    let [u, d] = Series::of(signals::mackey_glass(17, 2600, 1)).ahead(1);
    network.fit(&[(u.slice(0..600), d.slice(0..600))]).unwrap();
    let mut whole = network.start();
    let taught = network.run_taught(&u, &d, &mut whole).unwrap();
    let mut state = network.start();
    for t in 0..u.steps() {
        let (u, d) = (u.slice(t..t + 1), d.slice(t..t + 1));
        let said = network.run(&u, &mut state.clone()).unwrap();
        assert_near(said.values(), taught.row(t), 1e-11);
        network.warm_up(&u, &d, &mut state).unwrap();
    }
    assert_eq!(whole.output(), state.output());
    let alone = network.run(&u, &mut network.start()).unwrap();
    assert!((alone.values()[1] - taught.values()[1]).abs() > 1e-6);
    assert_eq!(
        network.run_taught(&u, &d.slice(0..5), &mut network.start()).unwrap_err(),
        ReservoirError::Steps { series: 0, inputs: 2599, targets: 5 }
    );
}

/// ESN-8: the recipe of GMD 148 on Mackey–Glass, median of five seeds.
#[test]
fn mackey_glass_is_foretold_84_steps_ahead() {
    let s = mackey_glass::squashed(17, 3000, 1);
    let test = mackey_glass::squashed(17, 10 * 1084, 2);
    let mut errors: Vec<f64> = (1..=5)
        .map(|seed| {
            let network = mackey_glass::learn(&mackey_glass::gmd_148(seed), &s).unwrap();
            mackey_glass::nrmse84(&network, &test).unwrap()
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    assert!(errors[2] < 1.5e-3, "{errors:?}");
}

/// The same network is nearer with a `λ` that free runs over the end of what is learned have chosen, whatever comes
/// behind; it is the one that is best where each is tried anew.
#[test]
fn free_runs_choose_a_regularization() {
    let s = mackey_glass::squashed(17, 3000, 1);
    let test = mackey_glass::squashed(17, 10 * 1084, 2);
    let mut errors: Vec<f64> = (1..=5)
        .map(|seed| {
            let config = mackey_glass::gmd_148(seed);
            let network = mackey_glass::learn_by_free_runs(&config, &s).unwrap();
            mackey_glass::nrmse84(&network, &test).unwrap()
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    assert!(errors[2] < 5e-4, "{errors:?}");

    let config = mackey_glass::gmd_148(1);
    let error = |lambda: f64| {
        let config = EsnConfig { regularization: lambda, ..config.clone() };
        let network = mackey_glass::learn(&config, &s[..2400]).unwrap();
        mackey_glass::free_error(&network, &s, 2400).unwrap()
    };
    let best = |a: &f64, b: &f64| error(*a).total_cmp(&error(*b));
    let best = mackey_glass::LAMBDAS.into_iter().min_by(best).unwrap();
    let chosen = mackey_glass::learn_by_free_runs(&config, &s).unwrap();
    assert_eq!(chosen.config().regularization, best);
}

/// ESN-8: NARMA-10, and that it takes more than a linear memory of the input.
#[test]
fn narma_is_learned_better_than_by_a_linear_memory() {
    let [u, y] = signals::narma10(5000, 3);
    let (u, y) = (Series::of(u), Series::of(y));
    let reservoir = ReservoirConfig {
        units: 200,
        density: 0.05,
        input_scaling: OneOrEach::One(0.2),
        bias_scaling: 0.1,
        ..ReservoirConfig::default()
    };
    let mut network = EsnConfig { regularization: 1e-8, ..one(reservoir) }.init(1, 1).unwrap();
    network.fit(&[(u.slice(0..3000), y.slice(0..3000))]).unwrap();
    let said = network.run(&u, &mut network.start()).unwrap();
    let error = nrmse(&said.values()[3000..], &y.values()[3000..]);
    let taps = |t: usize| (0..20).map(move |k| t.checked_sub(k));
    let features = |t: usize| {
        let past = taps(t).map(|t| t.map_or(0.0, |t| u.values()[t]));
        std::iter::once(1.0).chain(past).collect::<Vec<f64>>()
    };
    let mut sums = Normal::new(21, 1);
    (0..3000).for_each(|t| sums.add(&features(t), y.row(t)));
    let readout = sums.solve(1e-8).unwrap();
    let linear: Vec<f64> =
        (3000..5000).flat_map(|t| readout.apply(&features(t)).collect::<Vec<_>>()).collect();
    let baseline = nrmse(&linear, &y.values()[3000..]);
    assert!(error < 0.30 && error < baseline, "{error}, {baseline} by a linear memory");
}

/// ESN-9, whichever way a matrix is drawn, a regression solved and its `λ` chosen.
#[rstest]
#[case(Topology::Uniform, Solver::Cholesky, Selection::Given)]
#[case(Topology::Orthogonal, Solver::Svd, Selection::Given)]
#[case(Topology::Uniform, Solver::Svd, Selection::LeaveOneOut(vec![1e-8, 1e-4]))]
#[case(Topology::Uniform, Solver::Cholesky, Selection::HoldOut(vec![1e-8, 1e-4]))]
fn a_seed_gives_the_same_numbers_on_any_number_of_threads(
    #[case] topology: Topology,
    #[case] solver: Solver,
    #[case] selection: Selection,
) {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let reservoir = ReservoirConfig { units: 300, density: 0.2, topology, ..small() };
            let selection = selection.clone();
            let config = EsnConfig { solver, selection, ..one(reservoir) };
            let mut network = config.init(1, 1).unwrap();
            let [u, y] = signals::narma10(1500, 3);
            network.fit(&[(Series::of(u.clone()), Series::of(y))]).unwrap();
            let said = network.run(&Series::of(u), &mut network.start()).unwrap();
            (network.reservoirs()[0].units.w.clone(), said)
        })
    };
    let (w, said) = run(1);
    for threads in [1, 2, 3] {
        let again = run(threads);
        assert!(again == (w.clone(), said.clone()), "{threads} threads");
    }
}

/// A series in pieces, and by itself or behind another reservoir.
#[test]
fn a_state_carries_all_that_the_next_step_needs() {
    for arrangement in [Arrangement::Stacked, Arrangement::Parallel] {
        let feedback = ReservoirConfig { feedback_scaling: 0.3, ..small() };
        let config =
            EsnConfig { reservoirs: vec![small(), feedback], arrangement, ..EsnConfig::default() };
        let mut network = config.init(1, 1).unwrap();
        let series = Series::of(signals::mackey_glass(17, 600, 1));
        let [u, d] = series.ahead(1);
        network.fit(&[(u.clone(), d)]).unwrap();
        let whole = network.run(&u.slice(0..40), &mut network.start()).unwrap();
        let mut state = network.start();
        let mut parts = network.run(&u.slice(0..13), &mut state).unwrap().values().to_vec();
        parts.extend_from_slice(network.run(&u.slice(13..40), &mut state).unwrap().values());
        assert_near(&parts, whole.values(), 1e-12);
    }
}

/// The delay is exact: by Euler's rule with the same history, written out.
#[test]
fn mackey_glass_follows_its_equation() {
    let (tau, steps, seed) = (17, 50, 5);
    let mut rng = StdRng::seed_from_u64(seed);
    let history = 10 * tau;
    let mut y: Vec<f64> = (0..=history).map(|_| 1.2 + rng.random_range(-0.1..0.1)).collect();
    for n in history..history + 10 * (1000 + steps) {
        let delayed = y[n - 10 * tau];
        y.push(y[n] + 0.1 * (0.2 * delayed / (1.0 + delayed.powi(10)) - 0.1 * y[n]));
    }
    let kept = (1..=steps).map(|n| y[history + 10 * (1000 + n)]);
    assert_eq!(signals::mackey_glass(tau, steps, seed), kept.collect::<Vec<f64>>());
    let y = signals::mackey_glass(2, 400, 5);
    // After 1,000 steps with τ = 2 it rests where 0.2 y / (1 + y^10) = 0.1 y.
    assert!(y.iter().all(|y| (y - 1.0).abs() < 1e-6), "{:?}", &y[..3]);
    // With τ = 17 it is chaotic, between 0.2 and 1.4, with a mean near 0.9.
    let y = signals::mackey_glass(17, 5000, 5);
    let mean = y.iter().sum::<f64>() / 5000.0;
    assert!(y.iter().all(|y| (0.2..1.4).contains(y)) && (0.85..0.97).contains(&mean), "{mean}");
}

#[rstest]
#[case(ReservoirConfig { units: 0, ..small() }, "`units` is 0, expected at least 1")]
#[case(ReservoirConfig { spectral_radius: 0.0, ..small() }, "`spectral_radius` is 0, expected above 0")]
#[case(ReservoirConfig { leak: OneOrEach::One(0.0), ..small() }, "`leak` is 0, expected in (0, 1]")]
#[case(ReservoirConfig { leak: OneOrEach::One(1.5), ..small() }, "`leak` is 1.5, expected in (0, 1]")]
#[case(ReservoirConfig { noise: f64::NAN, ..small() }, "`noise` is NaN, expected from 0 to 1e6")]
#[case(
    ReservoirConfig { leak: OneOrEach::Each(vec![0.5; 3]), ..small() },
    "`leak` is 3 numbers, expected one, or one for each of the 30 units"
)]
#[case(
    ReservoirConfig { density: 1e-9, ..small() },
    "10 matrices of 30 units with a density of 0.000000001 had no eigenvalue above 1e-8: expected enough connections \
     for a cycle"
)]
fn a_wrong_setting_is_named_with_its_range(
    #[case] config: ReservoirConfig,
    #[case] expected: &str,
) {
    assert_eq!(config.init(1, 1, 1).unwrap_err().to_string(), expected);
}

#[test]
fn a_wrong_series_is_named_with_its_place() {
    let fit = |config: EsnConfig, u: Vec<f64>, d: Vec<f64>| {
        let mut network = config.init(1, 1).unwrap();
        network.fit(&[(Series::of(u), Series::of(d))]).unwrap_err().to_string()
    };
    let usual = || EsnConfig { washout: 10, ..one(small()) };
    assert_eq!(
        fit(usual(), numbers(10, 0), numbers(10, 1)),
        "series 0 has 10 steps, expected more than the 10 that are washed out"
    );
    assert_eq!(
        fit(usual(), numbers(50, 0), vec![2.0; 50]),
        "column 0 of the targets is 2 at every step, expected a series that changes"
    );
    let gap: Vec<f64> = (0..50).map(|n| if n == 7 { f64::NAN } else { number(n) }).collect();
    assert_eq!(
        fit(usual(), gap, numbers(50, 1)),
        "series 0, step 7, column 0 is NaN, expected a finite number"
    );
    let none = EsnConfig { regularization: 0.0, ..usual() };
    assert_eq!(
        fit(none, numbers(30, 0), numbers(30, 1)),
        "`regularization` is 0 with 32 features and 20 rows to learn from, expected above 0, at least as many rows, \
         or `solver = \"svd\"`"
    );
    let far = EsnConfig { output: OutputActivation::Tanh, ..usual() };
    let targets: Vec<f64> = numbers(50, 1).iter().map(|d| 2.0 * d).collect();
    assert!(
        fit(far, numbers(50, 0), targets)
            .ends_with("expected a number within (−1, 1) for `output = \"tanh\"`")
    );
    let network = usual().init(1, 2).unwrap();
    assert_eq!(
        network.generate(&[0.0], 3, &mut network.start()).unwrap_err(),
        ReservoirError::OpenLoop { outputs: 2, inputs: 1 }
    );
    let run = network.run(&Series::of(numbers(5, 0)), &mut network.start());
    assert_eq!(run.unwrap_err(), ReservoirError::NotFitted);
}

/// A line has no eigenvalue but zero, and the weights that are asked for.
#[test]
fn a_line_has_its_weights() {
    let w = recurrent_weights(Topology::Line, 5, 0.1, 0.7, 1).unwrap();
    let expected: Vec<_> = (1..5).map(|unit| (unit, unit - 1, 0.7)).collect();
    assert_eq!(w.entries().collect::<Vec<_>>(), expected);
    assert!(matches!(w, Weights::Sparse(_)));
}
