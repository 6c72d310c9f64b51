//! A chaotic series, foretold by a network that nobody has trained.
//!
//! The Mackey-Glass system is chaotic for delays of 17 and more. First the benchmark that echo state networks are known by: 400 units
//! that hear a constant and their own output learn 3,000 steps, and say the value 84 steps after the last that they heard (Jaeger 2001, GMD
//! Report 148, section 6: 0.00028), with λ by free runs over the last fifth of them. Then a layer of leaky units in two ways: frozen, with a readout by linear regression; and, as a
//! cell, trained whole by back-propagation from there on.
//!
//! Run with `cargo run --release --example mackey_glass -- [--device NAME]`, the device of the back-propagation; half a minute. Expect a
//! median of 0.00028 for the benchmark, from 0.00024 to 0.00044 (plain least squares 0.0006; 1,000 units and 10,000 steps 0.00003:
//! `reservoir_tasks.rs`), and a step later 0.0108 by regression, 0.0099 after back-propagation.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{error::Error, process::ExitCode};

use burn::{module::Param, optim, prelude::*};
use clap::Parser;
use recurrent::device::DeviceName;
use recurrent_cells::{Cell, LeakyCell, Stack};
use recurrent_examples::start;
use recurrent_reservoir::{
    EchoStateNetwork, EsnConfig, FeaturesConfig, OneOrEach, ReservoirConfig, ReservoirError,
    Series, mackey_glass as benchmark, metrics::nrmse,
};
use recurrent_seq2seq::{self as seq2seq, Forecaster, Says, WindowBatches, Windows};
use recurrent_training::{Batches, Learn, Moment};

/// Steps that are learned from, steps of the second part in all, and steps of back-propagation.
const LEARNED: usize = 3000;
const STEPS: usize = 5000;
const UPDATES: usize = 3000;
type Model = Forecaster<LeakyCell>;

/// Foretells the Mackey-Glass series.
#[derive(Parser)]
struct Options {
    /// Where the layer is trained: flex, or another backend that is built in
    #[arg(long, default_value_t)]
    device: DeviceName,
}

fn main() -> ExitCode {
    let options = Options::parse();
    start(|| run(&options))
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let device = options.device.open()?.autodiff();
    println!("GMD 148, 400 units    NRMSE 84 steps later");
    let mut errors = [0.0; 5];
    for (seed, error) in (1..).zip(&mut errors) {
        let s = benchmark::squashed(17, LEARNED + 50 * 1084, seed);
        let network = benchmark::learn_by_free_runs(&benchmark::gmd_148(seed), &s[..LEARNED])?;
        *error = benchmark::nrmse84(&network, &s[LEARNED..])?;
        println!("seed {seed:<16}  {error:.6}");
    }
    errors.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    println!("median                {:.6}\n", errors[2]);

    let [u, d] = Series::of(benchmark::squashed(17, STEPS, 1)).ahead(1);
    let learned = (u.slice(0..LEARNED), d.slice(0..LEARNED));
    let frozen = frozen(&learned)?;
    let y = frozen.run(&u, &mut frozen.start())?;
    println!("20 leaky units        NRMSE a step later");
    println!("readout by regression {:.6}", nrmse(&y.values()[LEARNED..], &d.values()[LEARNED..]));
    let model = trainable(&frozen, &device)?;
    println!("the same as a cell    {:.6}", measured(&model, &u, &d));
    let model = train(model, &learned);
    println!("trained by gradient   {:.6}  ({UPDATES} updates)", measured(&model, &u, &d));
    Ok(())
}

/// A network of which only the readout was learned; it sees the states alone, as the linear layer of a forecaster.
fn frozen(learned: &(Series, Series)) -> Result<EchoStateNetwork, ReservoirError> {
    let (leak, features) = (OneOrEach::One(0.5), FeaturesConfig::States);
    let reservoir = ReservoirConfig { units: 20, leak, bias_scaling: 0.2, ..Default::default() };
    let config = EsnConfig { reservoirs: vec![reservoir], features, ..EsnConfig::default() };
    let mut network = config.init(1, 1)?;
    network.fit(std::slice::from_ref(learned))?;
    Ok(network)
}

/// The same network as a model that learns whole.
fn trainable(network: &EchoStateNetwork, device: &Device) -> Result<Model, Box<dyn Error>> {
    let cell = network.reservoirs()[0].cell(device)?;
    let (b_o, w_o) = network.readout().ok_or("not fitted")?.weights.split_at(1);
    Ok(Forecaster {
        w_o: Param::from_data(TensorData::new(w_o.to_vec(), [cell.d_hidden(), 1]), device),
        b_o: Param::from_data(b_o, device),
        stack: Stack::new(vec![cell]),
        says: Says::Value,
    })
}

fn train(mut model: Model, (u, d): &(Series, Series)) -> Model {
    let windows = Windows { steps: 150, lead_in: 50, batch: 10 };
    let batches = WindowBatches::new(floats(u), floats(d), [1, 1], windows);
    let mut optimizer = optim::AdamConfig::new().init();
    let plans = (1..).flat_map(|epoch| batches.epoch(1, epoch)).take(UPDATES);
    for (step, plan) in plans.enumerate() {
        let at = Moment { seed: 1, epoch: 1, step };
        let (loss, ()) = model.learn(&batches.batch(&plan), None, &at);
        let gradients = (loss.sum / loss.weight).backward();
        let gradients = optim::GradientsParams::from_grads(gradients, &model);
        let rate = 3e-4 * (1.0 - step as f64 / UPDATES as f64);
        model = optimizer.step(rate, model, gradients);
    }
    model
}

/// The NRMSE of what is said to the steps that were not learned from.
fn measured(model: &Model, u: &Series, d: &Series) -> f64 {
    let (y, _) = model.valid().forward(&seq2seq::Series::new(&[floats(u)], 1), None);
    let y: Vec<f64> = y.into_data().iter::<f64>().collect();
    nrmse(&y[LEARNED..], &d.values()[LEARNED..])
}

fn floats(series: &Series) -> Vec<f32> {
    series.values().iter().map(|x| *x as f32).collect()
}
