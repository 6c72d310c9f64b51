//! Signals that reservoirs are measured on.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::Series;

/// The Mackey–Glass system, a model of the making of blood cells (Mackey & Glass 1977):
///
/// ```text
/// dy/dt = 0.2 · y(t−τ) / (1 + y(t−τ)^10) − 0.1 · y(t)
/// ```
///
/// By Euler's steps of 0.1, of which every tenth is kept; the first 1,000 that are kept are passed over. It is
/// chaotic for `τ` from 16.8 on; 17 and 30 are usual. The delayed value is that of exactly `10 τ` steps before. The
/// seed draws the history it begins with, around 1.2.
///
/// Source: Jaeger (2001), GMD Report 148, section 6.
pub fn mackey_glass(tau: usize, steps: usize, seed: u64) -> Vec<f64> {
    const PER_UNIT: usize = 10;
    const PASSED_OVER: usize = 1000;
    let step = 1.0 / PER_UNIT as f64;
    let mut rng = StdRng::seed_from_u64(seed);
    let delay = tau * PER_UNIT;
    // The last `delay + 1` values, the newest one before `at`.
    let mut past: Vec<f64> = (0..=delay).map(|_| 1.2 + rng.random_range(-0.1..0.1)).collect();
    let mut at = 0;
    let mut kept = Vec::with_capacity(steps);
    for n in 1..=(PASSED_OVER + steps) * PER_UNIT {
        let now = past[(at + delay) % (delay + 1)];
        let delayed = past[at];
        past[at] = now + step * (0.2 * delayed / (1.0 + delayed.powi(10)) - 0.1 * now);
        if n % PER_UNIT == 0 && n > PASSED_OVER * PER_UNIT {
            kept.push(past[at]);
        }
        at = (at + 1) % (delay + 1);
    }
    kept
}

/// Inputs and targets of NARMA-10, a nonlinear moving average that needs ten steps of memory (Atiya & Parlos 2000):
///
/// ```text
/// y(t+1) = 0.3 y(t) + 0.05 y(t) Σ_{i=0..9} y(t−i) + 1.5 u(t−9) u(t) + 0.1          u ~ U[0, 0.5]
/// ```
///
/// At each step the input is `u(t)` and the target `y(t+1)`. It diverges for some inputs; those are drawn anew.
pub fn narma10(steps: usize, seed: u64) -> [Vec<f64>; 2] {
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        let u: Vec<f64> = (0..steps).map(|_| rng.random_range(0.0..0.5)).collect();
        let mut y = vec![0.0];
        for t in 0..steps {
            let last = |n: usize| if n <= t { y[t - n] } else { 0.0 };
            let sum: f64 = (0..10).map(last).sum();
            let product = if t >= 9 { u[t - 9] * u[t] } else { 0.0 };
            y.push(0.3 * y[t] + 0.05 * y[t] * sum + 1.5 * product + 0.1);
        }
        if y.iter().all(|y| y.abs() <= 2.0) {
            return [u, y.split_off(1)];
        }
    }
}

/// One step of the classical Runge–Kutta method of fourth order for `dx/dt = f(x)`:
///
/// ```text
/// k1 = f(x)     k2 = f(x + h/2 · k1)     k3 = f(x + h/2 · k2)     k4 = f(x + h · k3)
/// x(t + h) = x + h/6 · (k1 + 2 k2 + 2 k3 + k4)
/// ```
///
/// The error of a step falls with `h^5`, that of a given time with `h^4`.
///
/// Source: W. Kutta (1901), Beitrag zur näherungsweisen Integration totaler Differentialgleichungen.
pub fn runge_kutta<const D: usize>(
    f: impl Fn([f64; D]) -> [f64; D],
    x: [f64; D],
    h: f64,
) -> [f64; D] {
    let plus = |k: [f64; D], h: f64| std::array::from_fn(|n| x[n] + h * k[n]);
    let k1 = f(x);
    let k2 = f(plus(k1, h / 2.0));
    let k3 = f(plus(k2, h / 2.0));
    let k4 = f(plus(k3, h));
    std::array::from_fn(|n| x[n] + h / 6.0 * (k1[n] + 2.0 * k2[n] + 2.0 * k3[n] + k4[n]))
}

/// The derivative of the Lorenz system at `[x, y, z]`, with `σ` = 10, `ρ` = 28, `β` = 8/3.
pub fn lorenz_derivative([x, y, z]: [f64; 3]) -> [f64; 3] {
    const SIGMA: f64 = 10.0;
    const RHO: f64 = 28.0;
    const BETA: f64 = 8.0 / 3.0;
    [SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z]
}

/// The Lorenz system, a model of rising warm air, as columns `x`, `y`, `z`:
///
/// ```text
/// dx/dt = σ (y − x)          dy/dt = x (ρ − z) − y          dz/dt = x y − β z          σ = 10, ρ = 28, β = 8/3
/// ```
///
/// By [Runge–Kutta](runge_kutta) steps of `step` units of time, each of which is kept; 0.02 is usual. The first 50
/// units of time are passed over. Its largest Lyapunov exponent is 0.906: two neighbours part by `e` in 1.1 units
/// of time. The seed draws where it begins.
///
/// Source: E. N. Lorenz (1963), Deterministic Nonperiodic Flow, Journal of the Atmospheric Sciences 20.
///
/// # Panics
///
/// If `step` is not in (0, 0.1]: beyond that the method does not follow the equations.
pub fn lorenz(step: f64, steps: usize, seed: u64) -> Series {
    assert!(step > 0.0 && step <= 0.1, "a step in (0, 0.1], not {step}");
    flow(lorenz_derivative, [0.0, 1.0, 20.0], 50.0, step, steps, seed)
}

/// The derivative of the Rössler system at `[x, y, z]`, with `a` = 0.2, `b` = 0.2, `c` = 5.7.
pub fn roessler_derivative([x, y, z]: [f64; 3]) -> [f64; 3] {
    const A: f64 = 0.2;
    const B: f64 = 0.2;
    const C: f64 = 5.7;
    [-y - z, x + A * y, B + z * (x - C)]
}

/// The Rössler system, the simplest flow with a folded band, as columns `x`, `y`, `z`:
///
/// ```text
/// dx/dt = −y − z          dy/dt = x + a y          dz/dt = b + z (x − c)          a = 0.2, b = 0.2, c = 5.7
/// ```
///
/// By [Runge–Kutta](runge_kutta) steps of `step` units of time, each of which is kept; 0.1 is usual, about 60 a turn.
/// The first 500 units of time are passed over. Its largest Lyapunov exponent is 0.071. The seed draws where it
/// begins.
///
/// Source: O. E. Rössler (1976), An Equation for Continuous Chaos, Physics Letters A 57.
///
/// # Panics
///
/// If `step` is not in (0, 0.2]: beyond that the method does not follow the equations.
pub fn roessler(step: f64, steps: usize, seed: u64) -> Series {
    assert!(step > 0.0 && step <= 0.2, "a step in (0, 0.2], not {step}");
    flow(roessler_derivative, [1.0, 1.0, 0.0], 500.0, step, steps, seed)
}

/// A flow from near `start`, what comes within the time `passed_over` left out.
fn flow<const D: usize>(
    f: impl Fn([f64; D]) -> [f64; D],
    start: [f64; D],
    passed_over: f64,
    step: f64,
    steps: usize,
    seed: u64,
) -> Series {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut x = start.map(|x| x + rng.random_range(-0.5..0.5));
    for _ in 0..(passed_over / step).ceil() as usize {
        x = runge_kutta(&f, x, step);
    }
    let mut kept = Vec::with_capacity(D * steps);
    for _ in 0..steps {
        x = runge_kutta(&f, x, step);
        kept.extend_from_slice(&x);
    }
    Series::new(kept, D)
}

/// The Hénon map, a chaotic one of two steps of memory:
///
/// ```text
/// x(t+1) = 1 − a x(t)² + b x(t−1)          a = 1.4, b = 0.3
/// ```
///
/// The first 1,000 are passed over. Its largest Lyapunov exponent is 0.419 a step. The seed draws where it begins,
/// near 0, from where it does not escape.
///
/// Source: M. Hénon (1976), A Two-dimensional Mapping with a Strange Attractor, Communications in Mathematical
/// Physics 50.
pub fn henon(steps: usize, seed: u64) -> Vec<f64> {
    const A: f64 = 1.4;
    const B: f64 = 0.3;
    const PASSED_OVER: usize = 1000;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut x = [rng.random_range(-0.1..0.1), rng.random_range(-0.1..0.1)];
    let mut next = || {
        x = [x[1], 1.0 - A * x[1] * x[1] + B * x[0]];
        x[1]
    };
    (0..PASSED_OVER + steps).map(|_| next()).skip(PASSED_OVER).collect()
}

/// The frequencies of [`superimposed_oscillators`], in radians a step.
pub const OSCILLATORS: [f64; 12] =
    [0.2, 0.311, 0.42, 0.51, 0.63, 0.74, 0.85, 0.97, 1.08, 1.19, 1.27, 1.32];

/// Multiple superimposed oscillators, MSO-`n`: sines whose frequencies have no common period, so that a free run has
/// to keep the phase of each.
///
/// ```text
/// y(t) = Σ_{i=1..n} sin(φ_i t)          t = 0, 1, 2, …
/// ```
///
/// Sources: Y. Xue, L. Yang & S. Haykin (2007), Decoupled Echo State Networks with Lateral Inhibition, Neural
/// Networks 20, for two to five; D. Koryakin, J. Lohmann & M. V. Butz (2012), Balanced Echo State Networks, Neural
/// Networks 36, for eight.
///
/// # Panics
///
/// If `n` is not in 1 to 12, as many as there are [frequencies](OSCILLATORS).
pub fn superimposed_oscillators(n: usize, steps: usize) -> Vec<f64> {
    assert!((1..=OSCILLATORS.len()).contains(&n), "1 to 12 oscillators, not {n}");
    let y = |t: usize| OSCILLATORS[..n].iter().map(|phi| (phi * t as f64).sin()).sum();
    (0..steps).map(y).collect()
}
