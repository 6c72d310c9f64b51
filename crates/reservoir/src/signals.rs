//! Signals that reservoirs are measured on.

use rand::{RngExt, SeedableRng, rngs::StdRng};

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
