//! The benchmark that echo state networks are known by: the Mackey–Glass series, foretold 84 steps ahead.
//!
//! ```text
//! s = tanh(y − 1)
//! NRMSE84 = √( mean (y' − y)² / var(y) )          84 steps after the last value that was heard
//! ```
//!
//! The network hears nothing but a constant and its own output. Each of the blocks is 1,000 steps in which the
//! output is forced, and 84 in which it goes on by itself. Plain least squares, as in the report, fit the last digits of
//! a step and pay for it 84 steps later; [`learn_by_free_runs`] chooses `λ` by what is asked for.
//!
//! Source: Jaeger (2001), GMD Report 148, section 6, eq. 23 and 25.

use crate::{
    EchoStateNetwork, EsnConfig, InputTopology, OneOrEach, ReservoirConfig, ReservoirError,
    Selection, Series, Solver, Topology, metrics::variance, signals,
};

/// The constant that the network hears.
pub const INPUT: f64 = 0.2;

/// Steps in which the output is forced.
const FORCED: usize = 1000;

/// Steps in which it is not.
const FREE: usize = 84;

/// Steps from one free run to the next where `λ` is chosen.
const EVERY: usize = 12;

/// `λ` to choose from: plain least squares, and in wide steps up to where the digits of a step begin to be lost.
pub const LAMBDAS: [f64; 7] = [0.0, 1e-18, 1e-16, 1e-14, 1e-12, 1e-10, 1e-8];

/// The network of GMD 148 for `τ` = 17: 400 units, five connections each, plain least squares.
pub fn gmd_148(seed: u64) -> EsnConfig {
    let reservoir = ReservoirConfig {
        units: 400,
        topology: Topology::Bernoulli,
        density: 0.0125,
        spectral_radius: 0.79,
        // δC and 1 − δCa' of C = 0.44 and a' = 0.9.
        leak: OneOrEach::One(0.44),
        keep: Some(1.0 - 0.44 * 0.9),
        input_scaling: OneOrEach::One(0.14),
        input_topology: InputTopology::Bernoulli,
        input_density: 0.5,
        feedback_scaling: 0.56,
        ..ReservoirConfig::default()
    };
    EsnConfig {
        reservoirs: vec![reservoir],
        regularization: 0.0,
        solver: Solver::Svd,
        washout: 1000,
        seed,
        ..EsnConfig::default()
    }
}

/// The series as a network learns it, `s`.
pub fn squashed(tau: usize, steps: usize, seed: u64) -> Vec<f64> {
    signals::mackey_glass(tau, steps, seed).into_iter().map(|y| (y - 1.0).tanh()).collect()
}

/// What was squashed.
fn original(s: f64) -> f64 {
    s.clamp(-1.0 + 1e-12, 1.0 - 1e-12).atanh() + 1.0
}

/// So many steps of the constant.
fn constant(steps: usize) -> Series {
    Series::of(vec![INPUT; steps])
}

/// Learns a squashed series.
///
/// # Errors
///
/// As [`EchoStateNetwork::fit`].
pub fn learn(config: &EsnConfig, s: &[f64]) -> Result<EchoStateNetwork, ReservoirError> {
    let mut network = config.init(1, 1)?;
    network.fit(&[(constant(s.len()), Series::of(s.to_vec()))])?;
    Ok(network)
}

/// Learns a squashed series with the one of [`LAMBDAS`] by which the network that has learned four fifths of it errs
/// least after 84 steps by itself, from places all over the last fifth. One factorisation serves all of them.
///
/// # Errors
///
/// As [`EchoStateNetwork::fit`].
///
/// # Panics
///
/// If a fifth of the series is shorter than 84 steps.
pub fn learn_by_free_runs(
    config: &EsnConfig,
    s: &[f64],
) -> Result<EchoStateNetwork, ReservoirError> {
    let from = s.len() * 4 / 5;
    assert!(s.len() - from >= FREE, "a last fifth of at least {FREE} steps");
    let network = config.init(1, 1)?;
    let first = [(constant(from), Series::of(s[..from].to_vec()))];
    let mut errors = Vec::new();
    for (lambda, readout) in LAMBDAS.into_iter().zip(network.readouts(&first, &LAMBDAS)?) {
        errors.push((free_error(&network.clone().with_readout(readout), s, from)?, lambda));
    }
    let best = errors.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let (_, regularization) = best.expect("several λ");
    learn(&EsnConfig { regularization, selection: Selection::Given, ..config.clone() }, s)
}

/// The mean squared error after 84 free steps that begin at places of a squashed series from `from` on.
pub(crate) fn free_error(
    network: &EchoStateNetwork,
    s: &[f64],
    from: usize,
) -> Result<f64, ReservoirError> {
    let (mut state, mut heard, mut squares) = (network.start(), 0, Vec::new());
    for at in (from..=s.len() - FREE).step_by(EVERY) {
        let truth = Series::of(s[heard..at].to_vec());
        network.warm_up(&constant(at - heard), &truth, &mut state)?;
        heard = at;
        let said = network.run(&constant(FREE), &mut state.clone())?;
        let last = at + FREE - 1;
        squares.push((original(said.values()[FREE - 1]) - original(s[last])).powi(2));
    }
    Ok(squares.iter().sum::<f64>() / squares.len() as f64)
}

/// NRMSE84 over as many blocks as the squashed series has.
///
/// # Errors
///
/// If the network has not been fitted, or has other inputs or outputs.
///
/// # Panics
///
/// If there is not one whole block of 1,084 steps.
pub fn nrmse84(network: &EchoStateNetwork, s: &[f64]) -> Result<f64, ReservoirError> {
    let blocks = s.len() / (FORCED + FREE);
    assert!(blocks > 0, "at least one block of {} steps", FORCED + FREE);
    let mut squares = 0.0;
    for block in s.chunks_exact(FORCED + FREE) {
        let mut state = network.start();
        let heard = Series::of(block[..FORCED].to_vec());
        network.warm_up(&constant(FORCED), &heard, &mut state)?;
        let said = network.run(&constant(FREE), &mut state)?;
        let last = said.values()[FREE - 1];
        squares += (original(last) - original(block[FORCED + FREE - 1])).powi(2);
    }
    let all: Vec<f64> = s.iter().map(|s| original(*s)).collect();
    Ok((squares / blocks as f64 / variance(&all)).sqrt())
}
