//! How much of its past a reservoir holds (Jaeger 2002, GMD Report 152).
//!
//! ```text
//! MC = Σ_k corr²( u(n−k), y_k(n) )          k = 1 … 2N          u ~ U[−0.8, 0.8]
//! ```
//!
//! `y_k` is the best linear readout for the input of `k` steps before, measured on steps it was not fitted to. A
//! reservoir of `N` units has at most `N`.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{EsnConfig, ReservoirError, Series, metrics::squared_correlation};

/// The capacity of a network of one input, fitted to `steps` steps and measured on as many others.
///
/// # Errors
///
/// If a setting is out of its range, or the regression has no solution.
pub fn memory_capacity(config: &EsnConfig, steps: usize, seed: u64) -> Result<f64, ReservoirError> {
    let units: usize = config.reservoirs.iter().map(|reservoir| reservoir.units).sum();
    let delays = 2 * units;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut drawn = || -> (Series, Series) {
        let count = config.washout + delays + steps;
        let u: Vec<f64> = (0..count).map(|_| rng.random_range(-0.8..0.8)).collect();
        let past = |n: usize, k: usize| if k <= n { u[n - k] } else { 0.0 };
        let d = (0..count).flat_map(|n| (1..=delays).map(move |k| (n, k)));
        let d = d.map(|(n, k)| past(n, k)).collect();
        (Series::of(u.clone()), Series::new(d, delays))
    };
    let (learned, measured) = (drawn(), drawn());
    let mut network = config.init(1, delays)?;
    network.fit(&[learned])?;
    let y = network.run(&measured.0, &mut network.start())?;
    let from = config.washout + delays;
    let of = |k: usize| {
        let (y, d) = (y.column(k), measured.1.column(k));
        squared_correlation(&y[from..], &d[from..])
    };
    Ok((0..delays).map(of).sum())
}
