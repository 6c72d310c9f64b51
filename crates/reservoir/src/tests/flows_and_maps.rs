//! Signals follow their equations.

use crate::signals::*;

/// Halving the step of a method of fourth order divides the error of a given time by 16.
#[test]
fn runge_kutta_is_of_fourth_order() {
    // A turning that grows, `x(t) = e^(0.1 t) (cos t, sin t)`.
    let f = |[x, y]: [f64; 2]| [0.1 * x - y, x + 0.1 * y];
    let error = |steps: usize| {
        let h = 2.0 / steps as f64;
        let [x, y] = (0..steps).fold([1.0, 0.0], |x, _| runge_kutta(f, x, h));
        let (size, angle) = (0.2_f64.exp(), 2.0_f64);
        (x - size * angle.cos()).hypot(y - size * angle.sin())
    };
    for steps in [10, 20, 40] {
        let order = (error(steps) / error(2 * steps)).log2();
        assert!((order - 4.0).abs() < 0.15, "order {order} from {steps} steps on");
    }
    // A cubic in time is exact.
    let [_, x] = runge_kutta(|[t, _]: [f64; 2]| [1.0, 4.0 * t * t * t], [1.0, 1.0], 0.5);
    assert!((x - 1.5_f64.powi(4)).abs() < 1e-14, "{x}");
}

/// The divergence of a flow at a point, by central differences.
fn divergence(f: impl Fn([f64; 3]) -> [f64; 3], x: [f64; 3]) -> f64 {
    let part = |n: usize| {
        let (mut above, mut below) = (x, x);
        above[n] += 1e-5;
        below[n] -= 1e-5;
        (f(above)[n] - f(below)[n]) / 2e-5
    };
    (0..3).map(part).sum()
}

#[test]
fn lorenz_has_its_fixed_points_and_shrinks_volumes() {
    // x = y = ±√(β (ρ − 1)), z = ρ − 1.
    let x = (8.0 / 3.0 * 27.0_f64).sqrt();
    for fixed in [[0.0; 3], [x, x, 27.0], [-x, -x, 27.0]] {
        assert!(lorenz_derivative(fixed).iter().all(|d| d.abs() < 1e-12), "{fixed:?}");
    }
    // −(σ + 1 + β) everywhere.
    for x in [[1.0, -2.0, 3.0], [-8.0, 4.0, 30.0]] {
        assert!((divergence(lorenz_derivative, x) + 41.0 / 3.0).abs() < 1e-6);
    }
    // A small box of neighbours becomes smaller by as much.
    let corners = [[0.0; 3], [1e-6, 0.0, 0.0], [0.0, 1e-6, 0.0], [0.0, 0.0, 1e-6]];
    let corners = corners.map(|add| {
        let start = std::array::from_fn(|n| [1.0, 2.0, 20.0][n] + add[n]);
        (0..100).fold(start, |x, _| runge_kutta(lorenz_derivative, x, 0.002))
    });
    let edge = |n: usize| -> [f64; 3] { std::array::from_fn(|i| corners[n][i] - corners[0][i]) };
    let [a, b, c] = [edge(1), edge(2), edge(3)];
    let volume = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
        + a[2] * (b[0] * c[1] - b[1] * c[0]);
    let shrunk = (volume / 1e-18).ln() / 0.2;
    assert!((shrunk + 41.0 / 3.0).abs() < 0.01, "{shrunk}");
}

/// Its long means are known: `z` near 23.5, `x` near 0, and `mean(x y) = β mean(z)` as `z` stays within bounds.
#[test]
fn lorenz_is_on_its_attractor() {
    let series = lorenz(0.01, 50_000, 3);
    let mean = |of: &dyn Fn(&[f64]) -> f64| {
        (0..series.steps()).map(|t| of(series.row(t))).sum::<f64>() / series.steps() as f64
    };
    let z = mean(&|x| x[2]);
    assert!((23.0..24.1).contains(&z), "{z}");
    assert!((mean(&|x| x[0] * x[1]) - 8.0 / 3.0 * z).abs() < 0.1);
    assert!(
        series.column(0).iter().any(|x| *x > 10.0) && series.column(0).iter().any(|x| *x < -10.0)
    );
    // What is kept are steps of the method, one after the other.
    let row = |t: usize| -> [f64; 3] { series.row(t).try_into().unwrap() };
    assert_eq!(runge_kutta(lorenz_derivative, row(70), 0.01), row(71));
    assert_eq!(lorenz(0.01, 5, 3), series.slice(0..5));
    assert_ne!(lorenz(0.01, 5, 4), series.slice(0..5));
}

#[test]
fn roessler_has_its_fixed_points_and_turns() {
    // x = a z, y = −z, a z² − c z + b = 0.
    for sign in [-1.0, 1.0] {
        let z = (5.7 + sign * (5.7_f64.powi(2) - 4.0 * 0.2 * 0.2).sqrt()) / (2.0 * 0.2);
        let d = roessler_derivative([0.2 * z, -z, z]);
        assert!(d.iter().all(|d| d.abs() < 1e-10), "{d:?}");
    }
    // a + x − c.
    let x = [3.0, 1.0, 2.0];
    assert!((divergence(roessler_derivative, x) - (0.2 + 3.0 - 5.7)).abs() < 1e-6);
    let series = roessler(0.05, 20_000, 1);
    assert!(series.values().iter().all(|x| x.abs() < 30.0));
    // A turn takes 5.86 units of time on average.
    let x = series.column(0);
    let turns = x.windows(2).filter(|x| x[0] < 0.0 && x[1] >= 0.0).count() as f64;
    let period = 1000.0 / turns;
    assert!((5.75..6.0).contains(&period), "{period}");
}

#[test]
fn henon_follows_its_recurrence() {
    let x = henon(2000, 7);
    for x in x.windows(3) {
        assert!((x[2] - (1.0 - 1.4 * x[1] * x[1] + 0.3 * x[0])).abs() < 1e-12);
    }
    assert!(x.iter().all(|x| (-1.3..1.3).contains(x)) && x.iter().any(|x| *x < -1.2));
    assert_ne!(x, henon(2000, 8));
    // The sum of the logarithms of how far neighbours part, 0.419 a step: products of the derivative.
    let mut tangent = [1.0_f64, 0.0];
    let mut sum = 0.0;
    for x in &x {
        tangent = [-2.8 * x * tangent[0] + 0.3 * tangent[1], tangent[0]];
        let length = tangent[0].hypot(tangent[1]);
        sum += length.ln();
        tangent = tangent.map(|t| t / length);
    }
    let exponent = sum / 2000.0;
    assert!((exponent - 0.419).abs() < 0.03, "{exponent}");
}

#[test]
fn oscillators_are_superimposed() {
    let y = superimposed_oscillators(5, 300);
    assert_eq!(y[0], 0.0);
    let expected = |t: f64| {
        (0.2 * t).sin() + (0.311 * t).sin() + (0.42 * t).sin() + (0.51 * t).sin() + (0.63 * t).sin()
    };
    for (t, y) in y.iter().enumerate() {
        assert!((y - expected(t as f64)).abs() < 1e-12, "step {t}");
    }
    let [all, but_one] = [12, 11].map(|n| superimposed_oscillators(n, 100));
    assert!((all[77] - but_one[77] - (1.32_f64 * 77.0).sin()).abs() < 1e-12);
}

#[test]
#[should_panic(expected = "1 to 12 oscillators, not 13")]
fn there_are_no_more_oscillators() {
    superimposed_oscillators(13, 1);
}

#[test]
#[should_panic(expected = "a step in (0, 0.1], not 0.5")]
fn a_step_may_not_be_too_large() {
    lorenz(0.5, 1, 1);
}
