//! What reservoirs are measured by: seven tasks, several draws of each, the median.
//!
//! The Mackey-Glass series 84 steps ahead (Jaeger 2001, GMD Report 148; Jaeger & Haas 2004, Science 304), NARMA-10 (Atiya & Parlos
//! 2000), and how much of its past a reservoir holds (Jaeger 2002, GMD Report 152).
//!
//! Run with `cargo run --release --example reservoir_tasks`; a minute. Expect medians of 6.0e-4, 2.8e-4, 3.2e-5, 0.100, 0.200, 0.136, 98.1.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{error::Error, process::ExitCode, time::Instant};

use recurrent_examples::start;
use recurrent_reservoir::{
    EsnConfig, FeaturesConfig, ReservoirActivation, ReservoirConfig, ReservoirError, Series,
    Topology,
    mackey_glass::{gmd_148, learn, learn_by_free_runs, nrmse84, squashed},
    memory_capacity::memory_capacity,
    metrics::nrmse,
    signals,
};

/// Blocks in which a forecast is measured, and steps of one.
const BLOCKS: usize = 50;
const BLOCK: usize = 1084;

/// Networks that are drawn for each task.
const SEEDS: u64 = 5;

fn main() -> ExitCode {
    start(run)
}

type Task = fn(u64) -> Result<f64, ReservoirError>;

fn run() -> Result<(), Box<dyn Error>> {
    let tasks: [(&str, Task); 7] = [
        ("Mackey-Glass 17, 400 units, 3,000 steps, NRMSE84", |seed| {
            foretell(gmd_148(seed), 17, 3000, seed)
        }),
        ("the same, λ by free runs over the last 600 steps", |seed| {
            let s = squashed(17, 3000 + BLOCKS * BLOCK, seed);
            nrmse84(&learn_by_free_runs(&gmd_148(seed), &s[..3000])?, &s[3000..])
        }),
        ("Mackey-Glass 17, 1,000 units, 10,000 steps, NRMSE84", |seed| {
            foretell(larger(1000, seed), 17, 10_000, seed)
        }),
        ("Mackey-Glass 30, 400 units, 3,000 steps, NRMSE84", |seed| {
            let mut config = gmd_148(seed);
            config.reservoirs[0].noise = 1e-5;
            foretell(config, 30, 3000, seed)
        }),
        ("NARMA-10, 200 units, NRMSE", |seed| narma(FeaturesConfig::Inputs, seed)),
        ("NARMA-10, 200 units and their squares, NRMSE", |seed| {
            narma(FeaturesConfig::InputsAndSquares, seed)
        }),
        ("memory capacity, 100 linear units", capacity),
    ];
    println!("{:<53} {:>10} {:>10} {:>10}  seconds", "", "least", "median", "most");
    for (name, task) in tasks {
        let began = Instant::now();
        let mut found = (1..=SEEDS).map(task).collect::<Result<Vec<f64>, _>>()?;
        // What has run away is the worst.
        found.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        let [least, median, most] =
            [found[0], found[found.len() / 2], found[found.len() - 1]].map(|x| match x < 0.01 {
                true => format!("{x:.2e}"),
                false => format!("{x:.3}"),
            });
        let seconds = began.elapsed().as_secs_f64();
        println!("{name:<53} {least:>10} {median:>10} {most:>10}  {seconds:.1}");
    }
    Ok(())
}

/// The recipe of GMD 148 with more units and as many connections of each.
fn larger(units: usize, seed: u64) -> EsnConfig {
    let mut config = gmd_148(seed);
    config.reservoirs[0].units = units;
    config.reservoirs[0].density = 5.0 / units as f64;
    config
}

/// The error 84 steps after the last that was heard, on steps behind those that were learned.
fn foretell(config: EsnConfig, tau: usize, steps: usize, seed: u64) -> Result<f64, ReservoirError> {
    let s = squashed(tau, steps + BLOCKS * BLOCK, seed);
    nrmse84(&learn(&config, &s[..steps])?, &s[steps..])
}

/// 3,000 steps are learned from and 2,000 others measured.
fn narma(features: FeaturesConfig, seed: u64) -> Result<f64, ReservoirError> {
    let [u, d] = signals::narma10(5000, seed).map(Series::of);
    let reservoir = ReservoirConfig {
        density: 0.05,
        input_scaling: recurrent_reservoir::OneOrEach::One(0.2),
        bias_scaling: 0.1,
        ..ReservoirConfig::default()
    };
    let regularization = 1e-8;
    let reservoirs = vec![reservoir];
    let config = EsnConfig { reservoirs, features, regularization, seed, ..EsnConfig::default() };
    let mut network = config.init(1, 1)?;
    network.fit(&[(u.slice(0..3000), d.slice(0..3000))])?;
    let y = network.run(&u, &mut network.start())?;
    Ok(nrmse(&y.values()[3000..], &d.values()[3000..]))
}

/// An orthogonal matrix, linear: what it hears turns in it and fades slowly.
fn capacity(seed: u64) -> Result<f64, ReservoirError> {
    let reservoir = ReservoirConfig {
        units: 100,
        topology: Topology::Orthogonal,
        spectral_radius: 0.95,
        activation: ReservoirActivation::Identity,
        ..ReservoirConfig::default()
    };
    let (reservoirs, features) = (vec![reservoir], FeaturesConfig::States);
    let config =
        EsnConfig { reservoirs, features, regularization: 0.0, seed, ..EsnConfig::default() };
    memory_capacity(&config, 4000, seed)
}
