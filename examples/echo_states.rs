//! Does a reservoir forget what it started from? Ten states, one input, and how far apart they are after every step.
//!
//! That it does is the echo state property (Jaeger 2001, GMD Report 148, section 2): the state is then a function of the input alone. Drawn
//! is the largest distance of two of ten states that begin in [−1, 1] at random and hear the same numbers, evenly random in ±0.5, as a share
//! of what it was: for spectral radii below 1, above 1, far above 1, and once more above 1 without the input.
//!
//! Run with `cargo run --release --example echo_states -- [--out FILE.svg]`; a second. Expect one state after 60 steps with a radius of 0.6,
//! after 200 with 0.9 and after 540 with 1.2; 1.2 without the input keeps them apart, and so does 2 with it.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::Parser;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use recurrent_examples::{
    plot::{Chart, Line, Scale, Stroke},
    start,
};
use recurrent_kernels::sparse::Rows;
use recurrent_reservoir::{Reservoir, ReservoirConfig, ReservoirError};

/// Units, states that are begun from, and steps.
const UNITS: usize = 100;
const STARTS: usize = 10;
const STEPS: usize = 600;

/// Spectral radius, and how strong the input is.
const CASES: [[f64; 2]; 5] = [[0.6, 0.5], [0.9, 0.5], [1.2, 0.5], [1.2, 0.0], [2.0, 0.5]];

fn main() -> ExitCode {
    let options = Options::parse();
    start(|| run(&options))
}

/// Draws whether reservoirs forget what they started from.
#[derive(Parser)]
struct Options {
    /// Where the picture goes
    #[arg(long, default_value = "target/esn-echo-states.svg")]
    out: PathBuf,
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    println!("radius  input  echo states  distance after {STEPS} steps");
    let mut lines = Vec::new();
    for (n, [radius, input]) in CASES.into_iter().enumerate() {
        let reservoir = drawn(radius)?;
        let distances = distances(&reservoir, input);
        let known = format!("{:?}", reservoir.echo_states()?);
        println!("{radius:<6}  ±{input:<4}  {known:<11}  {:.1e}", distances[STEPS - 1]);
        let (without, stroke) = match input {
            0.0 => (", no input", Stroke::Dashed),
            _ => ("", Stroke::Solid),
        };
        lines.push(Line {
            name: format!("radius {radius}{without}"),
            colour: [5, 3, 1, 1, 4][n],
            stroke,
            points: (1..).map(f64::from).zip(distances).collect(),
        });
    }
    let chart = Chart {
        title: format!("{STARTS} states of {UNITS} units that hear the same"),
        x_label: "step",
        y_label: "largest distance, at first 1",
        scale: Scale::Logarithmic,
        y: 1e-15..10.0,
        lines,
    };
    chart.draw(&options.out)?;
    println!("\nThe picture is in {}.", options.out.display());
    Ok(())
}

fn drawn(spectral_radius: f64) -> Result<Reservoir, ReservoirError> {
    ReservoirConfig { units: UNITS, spectral_radius, ..ReservoirConfig::default() }.init(1, 1, 1)
}

/// The largest distance of two of the states after every step, as a share of what it was.
fn distances(reservoir: &Reservoir, input: f64) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(1);
    let u: Vec<f64> = (0..STEPS).map(|_| input * rng.random_range(-1.0..1.0)).collect();
    let starts: Vec<Vec<f64>> =
        (0..STARTS).map(|_| (0..UNITS).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
    let runs: Vec<Vec<f64>> = starts.iter().map(|start| states(reservoir, &u, start)).collect();
    let first = spread(&starts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let at = |t: usize| runs.iter().map(|run| &run[t * UNITS..(t + 1) * UNITS]).collect::<Vec<_>>();
    (0..STEPS).map(|t| spread(&at(t)) / first).collect()
}

fn states(reservoir: &Reservoir, u: &[f64], start: &[f64]) -> Vec<f64> {
    let mut elements = vec![0.0; u.len() * UNITS];
    let rows = Rows { elements: &mut elements, stride: UNITS, offset: 0 };
    reservoir.harvest(u, None, &mut start.to_vec(), rows);
    elements
}

/// The largest distance of two states.
fn spread(states: &[&[f64]]) -> f64 {
    let distance =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    states.iter().flat_map(|a| states.iter().map(move |b| distance(a, b))).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ESN-4, as the picture shows it.
    #[test]
    fn states_merge_unless_the_radius_is_too_large_for_the_input() {
        let last =
            CASES.map(|[radius, input]| distances(&drawn(radius).unwrap(), input)[STEPS - 1]);
        let merged = last.map(|distance| distance < 1e-12);
        assert_eq!(merged, [true, true, true, false, false], "{last:?}");
    }
}
