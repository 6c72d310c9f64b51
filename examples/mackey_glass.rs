//! A chaotic series, foretold by a network that nobody has trained.
//!
//! The Mackey-Glass system models how the body makes blood cells; from a delay of 17 on it is chaotic. First the benchmark that echo
//! state networks are known by: 400 units that hear a constant and their own output learn 3,000 steps, and say the value 84 steps after
//! the last that they heard (Jaeger 2001, GMD Report 148, section 6: 0.00028). Then a layer of leaky units in two ways: frozen, with a
//! readout by linear regression; and, as a cell, trained whole by back-propagation from there on.
//!
//! Run with `cargo run --release --example mackey_glass`; half a minute. Expect a median of 0.0006 for the benchmark, from 0.0004 to 0.0026
//! (1,000 units and 10,000 steps reach 0.00003: `reservoir_tasks.rs`), and a step later 0.0108 by regression, 0.0099 after back-propagation.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{error::Error, process::ExitCode, time::Instant};

use burn::{
    module::Param,
    optim::{AdamConfig, GradientsParams},
    prelude::*,
    tensor::TensorData,
};
use recurrent_cells::{Cell, LeakyCell, Stack};
use recurrent_examples::start;
use recurrent_reservoir::{
    EchoStateNetwork, EsnConfig, FeaturesConfig, OneOrEach, ReservoirConfig, Series, mackey_glass,
    metrics::nrmse,
};
use recurrent_seq2seq::{self as seq2seq, Forecaster, Says, WindowBatches, Windows};
use recurrent_training::{Batches, Learn, Moment};

/// Steps that are learned from, steps of the second part in all, and steps of back-propagation.
const LEARNED: usize = 3000;
const STEPS: usize = 5000;
const UPDATES: usize = 3000;

fn main() -> ExitCode {
    start(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    println!("GMD 148, 400 units    NRMSE 84 steps later");
    let mut errors = Vec::new();
    for seed in 1..=5 {
        let s = mackey_glass::squashed(17, LEARNED + 50 * 1084, seed);
        let network = mackey_glass::learn(&mackey_glass::gmd_148(seed), &s[..LEARNED])?;
        errors.push(mackey_glass::nrmse84(&network, &s[LEARNED..])?);
        println!("seed {seed:<16}  {:.6}", errors[errors.len() - 1]);
    }
    errors.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    println!("median                {:.6}\n", errors[errors.len() / 2]);

    let [u, d] = Series::of(mackey_glass::squashed(17, STEPS, 1)).ahead(1);
    let frozen = frozen(&u.slice(0..LEARNED), &d.slice(0..LEARNED))?;
    let y = frozen.run(&u, &mut frozen.start())?;
    println!("20 leaky units        NRMSE a step later");
    println!("readout by regression {:.6}", nrmse(&y.values()[LEARNED..], &d.values()[LEARNED..]));
    let model = trainable(&frozen)?;
    println!("the same as a cell    {:.6}", measured(&model, &u, &d));
    let began = Instant::now();
    let model = train(model, &u, &d);
    let (error, seconds) = (measured(&model, &u, &d), began.elapsed().as_secs_f64());
    println!("trained by gradient   {error:.6}  ({UPDATES} updates, {seconds:.0} s)");
    Ok(())
}

/// A network of which only the readout was learned; it sees the states alone, as the linear layer of a forecaster.
fn frozen(u: &Series, d: &Series) -> Result<EchoStateNetwork, Box<dyn Error>> {
    let leak = OneOrEach::One(0.5);
    let reservoir =
        ReservoirConfig { units: 20, leak, bias_scaling: 0.2, ..ReservoirConfig::default() };
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
    let (b_o, w_o) = network.readout().ok_or("not fitted")?.weights.split_at(1);
    Ok(Forecaster {
        w_o: Param::from_data(TensorData::new(w_o.to_vec(), [cell.d_hidden(), 1]), &device),
        b_o: Param::from_data(b_o, &device),
        stack: Stack::new(vec![cell]),
        says: Says::Value,
    })
}

fn train(mut model: Forecaster<LeakyCell>, u: &Series, d: &Series) -> Forecaster<LeakyCell> {
    let windows = Windows { steps: 150, lead_in: 50, batch: 10 };
    let learned = |series: &Series| floats(&series.slice(0..LEARNED));
    let batches = WindowBatches::new(learned(u), learned(d), [1, 1], windows);
    let plans = (1..).flat_map(|epoch| batches.epoch(1, epoch));
    let mut optimizer = AdamConfig::new().init();
    for (step, plan) in plans.take(UPDATES).enumerate() {
        let at = Moment { seed: 1, epoch: 1, step };
        let (loss, ()) = model.learn(&batches.batch(&plan), None, &at);
        let gradients = (loss.sum / loss.weight).backward();
        let rate = 3e-4 * (1.0 - step as f64 / UPDATES as f64);
        model = optimizer.step(rate, model.clone(), GradientsParams::from_grads(gradients, &model));
    }
    model
}

/// The NRMSE of what is said to the steps that were not learned from.
fn measured(model: &Forecaster<LeakyCell>, u: &Series, d: &Series) -> f64 {
    let (y, _) = model.valid().forward(&seq2seq::Series::new(&[floats(u)], 1), None);
    let y: Vec<f64> = y.into_data().iter::<f64>().collect();
    nrmse(&y[LEARNED..], &d.values()[LEARNED..])
}

fn floats(series: &Series) -> Vec<f32> {
    series.values().iter().map(|x| *x as f32).collect()
}
