//! Readouts that learn step after step.

use super::{assert_near, number, numbers, one, problem, small};
use crate::*;

/// ESN-5 for a constant that is penalised as well: a dense solve of the normal equations.
#[test]
fn recursive_least_squares_are_ridge_regression() {
    let (rows, f) = (80, 12);
    let [p, y] = problem(rows, f);
    for (gamma, lambda) in [(1.0, 0.3), (1.0, 1e-3), (0.97, 0.3)] {
        let mut learner =
            RlsConfig { forgetting: gamma, regularization: lambda }.init(f, 2).unwrap();
        for (z, d) in p.chunks(f).zip(y.chunks(2)) {
            learner.update(z, d);
        }
        let age = |m: usize| f64::powi(gamma, (rows - 1 - m) as i32);
        let gram = faer::Mat::from_fn(f, f, |i, j| {
            let sum: f64 = (0..rows).map(|m| age(m) * p[m * f + i] * p[m * f + j]).sum();
            sum + if i == j { lambda * f64::powi(gamma, rows as i32) } else { 0.0 }
        });
        let cross = faer::Mat::from_fn(f, 2, |i, l| {
            (0..rows).map(|m| age(m) * p[m * f + i] * y[m * 2 + l]).sum::<f64>()
        });
        use faer::linalg::solvers::Solve;
        let exact = gram.partial_piv_lu().solve(&cross);
        let expected: Vec<f64> = (0..2 * f).map(|n| exact[(n % f, n / f)]).collect();
        assert_near(&learner.readout().weights, &expected, 1e-8);
        // `Q` is the inverse, symmetric to the bit.
        let q = learner.inverse();
        let product: Vec<f64> =
            (0..f * f).map(|n| (0..f).map(|m| q[n / f * f + m] * gram[(m, n % f)]).sum()).collect();
        let identity: Vec<f64> =
            (0..f * f).map(|n| if n % (f + 1) == 0 { 1.0 } else { 0.0 }).collect();
        assert_near(&product, &identity, 1e-8);
        assert!((0..f * f).all(|n| q[n] == q[n % f * f + n / f]));
    }
}

/// Without noise the true weights are found, and the error falls at every look.
#[test]
fn least_mean_squares_find_the_true_weights() {
    let w = [0.3, -1.2, 0.7, 0.05];
    for (rule, step_size) in [(LmsRule::Plain, 0.2), (LmsRule::Normalised, 1.0)] {
        let mut learner = LmsConfig { rule, step_size }.init(4, 1).unwrap();
        let mut last = f64::INFINITY;
        for n in 0..3000_usize {
            let z = [0, 1, 2, 3]
                .map(|i| if i == 0 { 1.0 } else { number((3 * n + i) * (3 * n + i) % 7919) });
            let d: f64 = w.iter().zip(z).map(|(w, z)| w * z).sum();
            learner.update(&z, &[d]);
            if n % 500 == 499 {
                let weights = &learner.readout().weights;
                let away: f64 = weights.iter().zip(w).map(|(a, b)| (a - b).powi(2)).sum();
                assert!(away < last || away < 1e-24, "{away} after {last}");
                last = away;
            }
        }
        assert_near(&learner.readout().weights, &w, 1e-9);
    }
}

/// A step of the normalised rule takes the share `η` of the error away, and of the plain one `η zᵀz`.
#[test]
fn a_step_takes_its_share_of_the_error() {
    let (z, d) = ([1.0, -2.0, 0.5], [3.0, -1.0]);
    for (rule, share) in [(LmsRule::Plain, 0.1 * 5.25), (LmsRule::Normalised, 0.1)] {
        let mut learner = LmsConfig { rule, step_size: 0.1 }.init(3, 2).unwrap();
        assert_eq!(learner.update(&z, &d), d);
        let left: Vec<f64> = d.iter().map(|d| (1.0 - share) * d).collect();
        assert_near(learner.update(&z, &d), &left, 1e-12);
    }
}

/// ESN-1 and ESN-7: nothing but the readout changes, errors are those of predictions, and parts are as good as
/// the whole.
#[test]
fn a_network_learns_online_what_it_is_fitted_to() {
    let reservoir = ReservoirConfig { feedback_scaling: 0.2, ..small() };
    let config = EsnConfig { regularization: 1e-4, washout: 50, ..one(reservoir) };
    let mut network = config.init(1, 1).unwrap();
    let [u, y] = signals::narma10(900, 3);
    let (u, d) = (Series::of(u), Series::of(y));
    let mut fitted = network.clone();
    fitted.fit(&[(u.clone(), d.clone())]).unwrap();
    let reservoirs = network.reservoirs().to_vec();

    let f = network.feature_count();
    let rls = RlsConfig { regularization: 1e-4, ..RlsConfig::default() };
    let mut learner = rls.init(f, 1).unwrap();
    let mut state = network.start();
    network.warm_up(&u.slice(0..50), &d.slice(0..50), &mut state).unwrap();
    let mut errors = Vec::new();
    for part in [50..51, 51..400, 400..900] {
        let (u, d) = (u.slice(part.clone()), d.slice(part));
        let some = network.learn_online(&mut learner, &u, &d, &mut state).unwrap();
        errors.extend_from_slice(some.values());
    }
    // Before anything is learned, the output is 0.
    assert_eq!(errors[0], d.values()[50]);
    assert_eq!(network.reservoirs(), reservoirs);
    assert_eq!(network.readout(), Some(learner.readout()));
    // They differ by the penalty of the constant alone.
    let said = |network: &EchoStateNetwork| {
        let mut state = network.start();
        network.warm_up(&u.slice(0..500), &d.slice(0..500), &mut state).unwrap();
        network.run(&u.slice(500..560), &mut state).unwrap()
    };
    assert_near(said(&network).values(), said(&fitted).values(), 1e-3);
}

/// A target that changes is followed by forgetting, and by nothing else.
#[test]
fn forgetting_follows_a_change() {
    let error = |forgetting: f64| {
        let mut learner = RlsConfig { forgetting, regularization: 1e-2 }.init(2, 1).unwrap();
        let mut last = 0.0;
        for n in 0..1200 {
            let slope = if n < 600 { 1.0 } else { -1.0 };
            last = learner.update(&[1.0, number(n)], &[slope * number(n)])[0];
        }
        f64::abs(last / number(1199))
    };
    assert!(error(0.95) < 1e-9 && error(1.0) > 0.5, "{}, {}", error(0.95), error(1.0));
}

#[test]
fn what_cannot_be_learned_online_is_said() {
    let rls = |forgetting, regularization| {
        RlsConfig { forgetting, regularization }.init(3, 1).unwrap_err().to_string()
    };
    assert_eq!(rls(0.0, 1.0), "`forgetting` is 0, expected in (0, 1]");
    assert_eq!(rls(1.01, 1.0), "`forgetting` is 1.01, expected in (0, 1]");
    assert_eq!(rls(1.0, 0.0), "`regularization` is 0, expected above 0");
    let lms = |rule, step_size| LmsConfig { rule, step_size }.init(3, 1).unwrap_err().to_string();
    assert_eq!(lms(LmsRule::Plain, -0.1), "`step_size` is -0.1, expected above 0");
    assert_eq!(
        lms(LmsRule::Normalised, 2.0),
        "`step_size` is 2, expected in (0, 2) for `rule = \"normalised\"`"
    );
    // Beyond 2 / Σ mean z², the plain rule leaves all bounds; the network keeps what it had.
    let mut network = one(small()).init(1, 1).unwrap();
    let mut wild = LmsConfig { rule: LmsRule::Plain, step_size: 50.0 }
        .init(network.feature_count(), 1)
        .unwrap();
    let (u, d) = (Series::of(numbers(2000, 0)), Series::of(numbers(2000, 1)));
    let error = network.learn_online(&mut wild, &u, &d, &mut network.start()).unwrap_err();
    assert!(matches!(error, ReservoirError::Diverged { step } if step < 2000), "{error}");
    assert!(network.readout().is_none());
    let gap = Series::of(vec![f64::NAN; 2000]);
    let error = network.learn_online(&mut wild, &gap, &d, &mut network.start()).unwrap_err();
    assert_eq!(error.to_string(), "series 0, step 0, column 0 is NaN, expected a finite number");
}
