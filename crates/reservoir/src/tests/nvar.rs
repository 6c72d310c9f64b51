//! Next-generation reservoirs.

use rstest::rstest;

use super::{assert_near, numbers};
use crate::{signals, *};

/// `C(n, k)` by Pascal's triangle.
fn choose(n: usize, k: usize) -> usize {
    if k == 0 || k == n { 1 } else { choose(n - 1, k - 1) + choose(n - 1, k) }
}

#[rstest]
#[case(3, 2, vec![1, 2], 28)]
#[case(1, 2, vec![1], 3)]
#[case(2, 3, vec![1, 3], 1 + 6 + 56)]
#[case(1, 1, vec![2, 4], 3)]
fn there_are_as_many_features_as_monomials(
    #[case] inputs: usize,
    #[case] delays: usize,
    #[case] orders: Vec<usize>,
    #[case] count: usize,
) {
    let linear = inputs * delays;
    let formula: usize = orders.iter().map(|p| choose(linear + p - 1, *p)).sum();
    assert_eq!(1 + formula, count);
    let config = NvarConfig { delays, orders, regularization: 1e-3, ..NvarConfig::default() };
    assert_eq!(config.features(inputs), Some(count));
    // As many as the formula says are really made.
    let mut nvar = config.init(inputs, 1).unwrap();
    let (u, d) = (Series::new(numbers(40 * inputs, 0), inputs), Series::of(numbers(40, 5)));
    nvar.fit(&[(u, d)]).unwrap();
    assert_eq!((nvar.features(), nvar.readout().unwrap().features), (count, count));
}

/// Weights that are known find the features: delays, strides and the order of products.
#[test]
fn features_are_delayed_inputs_and_their_products() {
    let config = NvarConfig { delays: 2, stride: 3, orders: vec![1, 2], ..NvarConfig::default() };
    // 1, then a b c d, then aa ab ac ad bb bc bd cc cd dd, of [a, b] now and [c, d] three steps before.
    let weights: Vec<f64> = (1..=15).map(f64::from).collect();
    let nvar = config.init(2, 1).unwrap().with_readout(Readout { weights, features: 15 });
    assert_eq!(nvar.reach(), 3);
    let u = Series::new(numbers(20, 0), 2);
    let mut state = nvar.start();
    nvar.warm_up(&u.slice(0..3), &mut state).unwrap();
    let said = nvar.run(&u.slice(3..10), &mut state).unwrap();
    let expected: Vec<f64> = (3..10)
        .map(|t| {
            let ([a, b], [c, d]) = ([u.row(t)[0], u.row(t)[1]], [u.row(t - 3)[0], u.row(t - 3)[1]]);
            let linear = 1.0 + 2.0 * a + 3.0 * b + 4.0 * c + 5.0 * d;
            let first = 6.0 * a * a + 7.0 * a * b + 8.0 * a * c + 9.0 * a * d + 10.0 * b * b;
            linear
                + first
                + 11.0 * b * c
                + 12.0 * b * d
                + 13.0 * c * c
                + 14.0 * c * d
                + 15.0 * d * d
        })
        .collect();
    assert_near(said.values(), &expected, 1e-12);
}

/// The Hénon map is a polynomial of two delays, so its weights are found, and it goes on as the map does.
#[rstest]
#[case(Solver::Svd, Predicts::Value)]
#[case(Solver::Cholesky, Predicts::Change)]
fn the_henon_map_is_exact(#[case] solver: Solver, #[case] predicts: Predicts) {
    let config = NvarConfig { regularization: 0.0, solver, predicts, ..NvarConfig::default() };
    let x = Series::of(signals::henon(400, 2));
    let [u, d] = x.ahead(1);
    let mut nvar = config.init(1, 1).unwrap();
    nvar.fit(&[(u.slice(0..150), d.slice(0..150)), (u.slice(150..300), d.slice(150..300))])
        .unwrap();
    // 1, x(t), x(t−1), x(t)², x(t) x(t−1), x(t−1)².
    let own = if predicts == Predicts::Change { -1.0 } else { 0.0 };
    assert_near(&nvar.readout().unwrap().weights, &[1.0, own, 0.3, -1.4, 0.0, 0.0], 1e-9);
    let mut state = nvar.start();
    nvar.warm_up(&u.slice(0..300), &mut state).unwrap();
    let said = nvar.run(&u.slice(300..399), &mut state).unwrap();
    assert_near(said.values(), d.slice(300..399).values(), 1e-9);
    // By itself: an error grows by 1.52 a step.
    let mut state = nvar.start();
    nvar.warm_up(&x.slice(0..300), &mut state).unwrap();
    let free = nvar.generate(x.row(300), 10, &mut state).unwrap();
    assert_near(free.values(), x.slice(301..311).values(), 1e-7);
}

/// The Lorenz system, from 1,000 steps of 0.025: what follows is foretold for three Lyapunov times of 1.104 and more.
#[test]
fn lorenz_is_foretold_for_some_lyapunov_times() {
    let config =
        NvarConfig { predicts: Predicts::Change, regularization: 1.0, ..NvarConfig::default() };
    let mut times: Vec<f64> = (1..=5)
        .map(|seed| {
            let series = signals::lorenz(0.025, 1403, seed);
            let [u, d] = series.slice(0..1003).ahead(1);
            let mut nvar = config.init(3, 3).unwrap();
            nvar.fit(&[(u, d)]).unwrap();
            let mut state = nvar.start();
            nvar.warm_up(&series.slice(0..1002), &mut state).unwrap();
            // Until it is off by 0.4 of the attractor's size, √(Σ var) = 14.8.
            let off = |y: &[f64], d: &[f64]| {
                y.iter().zip(d).map(|(y, d)| (y - d).powi(2)).sum::<f64>().sqrt() > 0.4 * 14.8
            };
            let mut u = series.slice(1002..1003);
            let good = (1003..1403).take_while(|t| {
                u = nvar.generate(u.values(), 1, &mut state).unwrap();
                !off(u.values(), series.row(*t))
            });
            good.count() as f64 * 0.025 / 1.104
        })
        .collect();
    times.sort_by(f64::total_cmp);
    assert!(times[2] > 3.0, "{times:?}");
}

#[test]
fn a_state_carries_the_delays_over() {
    let config = NvarConfig { delays: 3, stride: 2, ..NvarConfig::default() };
    let x = Series::of(signals::mackey_glass(17, 500, 1));
    let [u, d] = x.ahead(1);
    let mut nvar = config.init(1, 1).unwrap();
    nvar.fit(&[(u.clone(), d)]).unwrap();
    let mut state = nvar.start();
    nvar.warm_up(&u.slice(0..4), &mut state).unwrap();
    let whole = nvar.run(&u.slice(4..60), &mut state.clone()).unwrap();
    let mut parts = nvar.run(&u.slice(4..5), &mut state).unwrap().values().to_vec();
    parts.extend_from_slice(nvar.run(&u.slice(5..60), &mut state).unwrap().values());
    assert_eq!(parts, whole.values());
}

#[test]
fn what_nvar_cannot_do_is_said() {
    let wrong = |config: NvarConfig| config.init(2, 1).unwrap_err().to_string();
    let usual = NvarConfig::default;
    assert_eq!(
        wrong(NvarConfig { delays: 0, ..usual() }),
        "`delays` is 0, expected from 1 to 10000"
    );
    assert_eq!(
        wrong(NvarConfig { stride: 0, ..usual() }),
        "`stride` is 0, expected from 1 to 10000"
    );
    let several = [vec![], vec![0, 1], vec![2, 2], vec![1, 21]];
    for orders in several {
        let shown = format!("{orders:?}");
        assert_eq!(
            wrong(NvarConfig { orders, ..usual() }),
            format!("`orders` is {shown}, expected rising numbers from 1 to 20")
        );
    }
    assert_eq!(
        wrong(NvarConfig { delays: 50, orders: vec![3], ..usual() }),
        "`delays` is 50 with `orders` [3], which makes 171701 features, expected at most 20000 features"
    );
    assert!(
        wrong(NvarConfig { delays: 5000, orders: vec![20], ..usual() })
            .contains("more than can be counted")
    );
    assert_eq!(
        wrong(NvarConfig { predicts: Predicts::Change, ..usual() }),
        "1 outputs cannot be the 2 inputs of the next step: expected as many"
    );
    let mut nvar = NvarConfig { stride: 5, ..usual() }.init(1, 1).unwrap();
    let short = (Series::of(numbers(5, 0)), Series::of(numbers(5, 1)));
    assert_eq!(
        nvar.fit(&[short]).unwrap_err().to_string(),
        "series 0 has 5 steps, expected more than the 5 that are washed out"
    );
    let still = (Series::of(numbers(50, 0)), Series::of(vec![1.0; 50]));
    assert_eq!(
        nvar.fit(&[still]).unwrap_err().to_string(),
        "column 0 of the targets is 1 at every step, expected a series that changes"
    );
    let few = NvarConfig { regularization: 0.0, ..usual() };
    let six = (Series::of(numbers(6, 0)), Series::of(numbers(6, 1)));
    assert!(matches!(
        few.init(1, 1).unwrap().fit(&[six]).unwrap_err(),
        ReservoirError::Underdetermined { features: 6, rows: 5 }
    ));
    let u = Series::of(numbers(50, 0));
    nvar.fit(&[(u.clone(), Series::of(numbers(50, 1)))]).unwrap();
    let mut state = nvar.start();
    nvar.warm_up(&u.slice(0..4), &mut state).unwrap();
    assert_eq!(
        nvar.run(&u, &mut state).unwrap_err().to_string(),
        "4 steps have been heard, expected at least the 5 that the delays reach back"
    );
}
