//! A chaotic series, foretold by a network that nobody has trained.
//!
//! The Mackey-Glass system models how the body makes blood cells; from a delay of 17 on it is chaotic. First the
//! benchmark that echo state networks are known by: 400 units that hear a constant and their own output learn 3,000
//! steps, and say the value 84 steps after the last one that they heard (Jaeger 2001, GMD Report 148, section 6:
//! 0.00028). Then the same kind of layer in two ways: frozen, with a readout by linear regression; and trained whole
//! by back-propagation, from there on.
//!
//! Run with `cargo run --release --example mackey_glass -- [--seeds N] [--steps N]`.
//!
//! Expect: not yet measured.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{error::Error, process::ExitCode, time::Instant};

use burn::{
    module::Param,
    optim::{AdamConfig, GradientsParams},
    prelude::*,
    tensor::TensorData,
};
use clap::Parser;
use recurrent_cells::{Cell, LeakyCell, Stack};
use recurrent_examples::start;
use recurrent_reservoir::{
    EchoStateNetwork, EsnConfig, FeaturesConfig, OneOrEach, ReservoirConfig, Series, mackey_glass,
    metrics::nrmse,
};
use recurrent_seq2seq::{self as seq2seq, Forecaster, Says, WindowBatches, Windows};
use recurrent_training::{Batches, Learn, Moment};

/// Steps of the second part that are learned from, and the steps in all.
const LEARNED: usize = 3000;
const STEPS: usize = 5000;

fn main() -> ExitCode {
    let options = Options::parse();
    start(|| run(&options))
}

/// Foretells the Mackey-Glass series.
#[derive(Parser)]
struct Options {
    /// How many networks are drawn
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Steps of back-propagation
    #[arg(long, default_value_t = 300)]
    steps: usize,
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    println!("GMD 148, 400 units    NRMSE 84 steps later");
    let mut errors = Vec::new();
    for seed in 1..=options.seeds {
        let s = mackey_glass::squashed(17, LEARNED + 50 * 1084, seed);
        let network = mackey_glass::learn(&mackey_glass::gmd_148(seed), &s[..LEARNED])?;
        errors.push(mackey_glass::nrmse84(&network, &s[LEARNED..])?);
        println!("seed {seed:<16}  {:.6}", errors[errors.len() - 1]);
    }
    errors.sort_by(f64::total_cmp);
    println!("median                {:.6}\n", errors[errors.len() / 2]);

    let [u, d] = Series::of(mackey_glass::squashed(17, STEPS, 1)).ahead(1);
    let frozen = frozen(&u.slice(0..LEARNED), &d.slice(0..LEARNED))?;
    let mut state = frozen.start();
    frozen.run(&u.slice(0..LEARNED), &mut state)?;
    let y = frozen.run(&u.slice(LEARNED..STEPS - 1), &mut state)?;
    println!("100 leaky units       NRMSE a step later");
    println!(
        "readout by regression {:.6}",
        nrmse(y.values(), d.slice(LEARNED..STEPS - 1).values())
    );

    let model = trainable(&frozen)?;
    println!("the same as a cell    {:.6}", measured(&model, &u, &d));
    let began = Instant::now();
    let model = train(model, (&u, &d), options.steps);
    let (error, seconds) = (measured(&model, &u, &d), began.elapsed().as_secs_f64());
    println!("trained by gradient   {error:.6}  ({} steps, {seconds:.0} s)", options.steps);
    Ok(())
}

/// A network of which only the readout was learned; it sees the states alone, as the linear layer of a forecaster.
fn frozen(u: &Series, d: &Series) -> Result<EchoStateNetwork, Box<dyn Error>> {
    let leak = OneOrEach::One(0.5);
    let reservoir =
        ReservoirConfig { units: 100, leak, bias_scaling: 0.2, ..ReservoirConfig::default() };
    let features = FeaturesConfig::States;
    let config = EsnConfig { reservoirs: vec![reservoir], features, ..EsnConfig::default() };
    let mut network = config.init(1, 1)?;
    network.fit(&[(u.clone(), d.clone())])?;
    Ok(network)
}

/// The same network as a model that learns whole.
fn trainable(network: &EchoStateNetwork) -> Result<Forecaster<LeakyCell>, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let cell = network.reservoirs()[0].cell(&device)?;
    let readout = network.readout().ok_or("it has been fitted")?;
    let (b_o, w_o) = readout.weights.split_at(1);
    Ok(Forecaster {
        w_o: Param::from_data(TensorData::new(w_o.to_vec(), [cell.d_hidden(), 1]), &device),
        b_o: Param::from_data(b_o, &device),
        stack: Stack::new(vec![cell]),
        says: Says::Value,
    })
}

fn floats(series: &Series) -> Vec<f32> {
    series.values().iter().map(|x| *x as f32).collect()
}

fn train(
    mut model: Forecaster<LeakyCell>,
    (u, d): (&Series, &Series),
    steps: usize,
) -> Forecaster<LeakyCell> {
    let learned = |series: &Series| floats(&series.slice(0..LEARNED));
    let windows = Windows { steps: 150, lead_in: 50, batch: 10 };
    let batches = WindowBatches::new(learned(u), learned(d), [1, 1], windows);
    let mut optimizer = AdamConfig::new().init();
    let plans = (1..).flat_map(|epoch| batches.epoch(1, epoch));
    for (step, plan) in plans.take(steps).enumerate() {
        let (loss, ()) =
            model.learn(&batches.batch(&plan), None, &Moment { seed: 1, epoch: 1, step });
        let gradients = (loss.sum / loss.weight).backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        let rate = 3e-4 * (1.0 - step as f64 / steps as f64);
        model = optimizer.step(rate, model, gradients);
    }
    model
}

/// The NRMSE of what is said to the steps that were not learned from.
fn measured(model: &Forecaster<LeakyCell>, u: &Series, d: &Series) -> f64 {
    let (y, _) = model.valid().forward(&seq2seq::Series::new(&[floats(u)], 1), None);
    let y: Vec<f64> = y.into_data().iter::<f64>().collect();
    nrmse(&y[LEARNED..], &d.values()[LEARNED..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cell says what the network says, up to single precision.
    #[test]
    fn a_cell_is_its_reservoir() {
        let [u, d] = Series::of(mackey_glass::squashed(17, STEPS, 1)).ahead(1);
        let frozen = frozen(&u.slice(0..LEARNED), &d.slice(0..LEARNED)).unwrap();
        let y = frozen.run(&u, &mut frozen.start()).unwrap();
        let expected = nrmse(&y.values()[LEARNED..], &d.values()[LEARNED..]);
        let found = measured(&trainable(&frozen).unwrap(), &u, &d);
        assert!((found - expected).abs() < 0.1 * expected + 1e-4, "{found} {expected}");
    }
}
