//! What the ways around its layers do for a deep GNMT: eight layers on each side, with them and without.
//!
//! Both models learn to write sequences of up to 8 of 20 symbols backward, from the same batches for the
//! same number of updates. Drawn are the loss on sequences that neither has seen, and how long the gradient
//! is that arrives at the lowest layer of the encoder, below all sixteen. It is the observation of section
//! 3.1 of Wu et al. (2016), Google's Neural Machine Translation System: plain stacks learn well up to four
//! layers, barely with six, and very poorly beyond eight.
//!
//! Run with `cargo run --release --example depth -- [--layers N] [--updates N] [--seed N] [--out DIR]
//! [--json]`. It takes a few minutes on two cores. The same seed gives the same numbers on the CPU.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]
#![expect(clippy::print_stderr, reason = "progress is not part of the result")]

use std::{error::Error, path::PathBuf, process::ExitCode};

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::{AdamConfig, GradientsParams},
    prelude::*,
    tensor::Gradients,
};
use clap::{Parser, builder::RangedU64ValueParser};
use rand::{RngExt, SeedableRng, rngs::ChaCha12Rng};
use recurrent_examples::{
    plot::{Chart, Line, Scale, Stroke},
    start,
};
use recurrent_gnmt::{Gnmt, GnmtConfig, Residual};
use recurrent_seq2seq::PairBatch;
use recurrent_training::{Learn, Moment};
use serde::Serialize;
use serde_json::json;

/// Ids below this are special.
const SPECIAL: u32 = 4;
const SYMBOLS: u32 = 20;
const LONGEST: usize = 8;
const BATCH: usize = 32;
/// Updates between two looks.
const EVERY: usize = 25;

fn main() -> ExitCode {
    let options = Options::parse();
    start(|| run(&options))
}

/// Trains a deep GNMT with ways around its layers and without.
#[derive(Parser)]
struct Options {
    /// Layers on each side, at least 2
    #[arg(long, default_value_t = 8, value_parser = RangedU64ValueParser::<usize>::new().range(2..))]
    layers: usize,
    /// Updates of each model
    #[arg(long, default_value_t = 2000)]
    updates: usize,
    /// Of the weights and of the data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where pictures go
    #[arg(long, default_value = "target/depth")]
    out: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is seen of a model after some updates.
#[derive(Clone, Copy, Debug, Serialize)]
struct Seen {
    updates: usize,
    /// Negative log-likelihood of a token that was not learned from, in nats.
    nll: f64,
    /// Length of the gradient of the lowest layer of the encoder.
    gradient: f64,
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&options.out)?;
    let ways = [("with ways around", Residual::FromThird), ("without", Residual::None)];
    let mut json = Vec::new();
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for (n, (name, residual)) in ways.into_iter().enumerate() {
        let seen = learn(residual, options, name)?;
        let (first, last) = (seen[0], seen[seen.len() - 1]);
        if !options.json {
            println!(
                "{name:<17} nll {:.4} after {} updates; gradient of encoder layer 1: {:.2e} at first, \
                 {:.2e} at last",
                last.nll, last.updates, first.gradient, last.gradient
            );
        }
        json.push(json!({ "model": name, "seen": seen }));
        let line = |of: fn(&Seen) -> f64| Line {
            name: name.to_owned(),
            colour: n * 4 + 1,
            stroke: Stroke::Solid,
            points: seen.iter().map(|seen| (seen.updates as f64, of(seen))).collect(),
        };
        losses.push(line(|seen| seen.nll));
        gradients.push(line(|seen| seen.gradient));
    }
    let layers = options.layers;
    let chart = |title: &str, y_label, scale, y, lines| Chart {
        title: format!("{title}, {layers} + {layers} layers"),
        x_label: "updates",
        y_label,
        scale,
        y,
        lines,
    };
    let most = losses.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    chart("loss", "nll, nats a token", Scale::Linear, 0.0..1.05 * most, losses)
        .draw(&options.out.join("depth-loss.svg"))?;
    let all = || gradients.iter().flat_map(|line| &line.points).map(|point| point.1);
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let range = 0.5 * least..2.0 * most;
    chart("gradient of encoder layer 1", "norm", Scale::Logarithmic, range, gradients)
        .draw(&options.out.join("depth-gradient.svg"))?;
    if options.json {
        println!("{}", serde_json::Value::from(json));
    }
    Ok(())
}

/// Sequences, and the same backward, drawn from a seed.
fn batch(seed: u64) -> PairBatch {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let mut source = || -> Vec<u32> {
        let length = rng.random_range(1..=LONGEST);
        (0..length).map(|_| SPECIAL + rng.random_range(0..SYMBOLS)).collect()
    };
    let sources: Vec<Vec<u32>> = (0..BATCH).map(|_| source()).collect();
    let targets: Vec<Vec<u32>> =
        sources.iter().map(|source| source.iter().rev().copied().collect()).collect();
    PairBatch::new(&sources, &targets)
}

fn learn(residual: Residual, options: &Options, name: &str) -> Result<Vec<Seen>, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    device.seed(options.seed);
    let config =
        GnmtConfig { layers: options.layers, d_hidden: 48, residual, ..GnmtConfig::default() };
    let mut model = config.init([(SPECIAL + SYMBOLS) as usize; 2], &device);
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let mut seen = Vec::new();
    for step in 0..=options.updates {
        let at = Moment { seed: options.seed, epoch: 1, step };
        let (loss, ()) = model.learn(&batch(options.seed << 32 | step as u64), None, &at);
        let gradients = (loss.sum / loss.weight).backward();
        if step % EVERY == 0 {
            let now = Seen {
                updates: step,
                nll: held_out(&model, &at),
                gradient: norm(&model.encoder.both, &gradients),
            };
            if !now.nll.is_finite() {
                return Err(format!("{name}: the loss after {step} updates is {}", now.nll).into());
            }
            if !options.json && step % (4 * EVERY) == 0 {
                eprintln!("{name}: {step} updates, nll {:.4}", now.nll);
            }
            seen.push(now);
        }
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = optimizer.step(2e-3, model, gradients);
    }
    Ok(seen)
}

/// The loss on sequences that nobody learns from.
fn held_out(model: &Gnmt, at: &Moment) -> f64 {
    let model = model.valid();
    let losses = (0..8).map(|n| model.learn(&batch(u64::MAX - n), None, at).0);
    let (mut nll, mut items) = (0.0, 0);
    for loss in losses {
        nll += f64::from(loss.nll.into_scalar::<f32>());
        items += loss.items;
    }
    nll / items as f64
}

/// The length of the gradient of all parameters of `module` together.
fn norm<M: Module>(module: &M, gradients: &Gradients) -> f64 {
    struct Squares<'a>(&'a Gradients, f64);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.0) {
                self.1 += gradient.into_data().iter::<f64>().map(|g| g * g).sum::<f64>();
            }
        }
    }
    let mut squares = Squares(gradients, 0.0);
    module.visit(&mut squares);
    squares.1.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_sources_backward() {
        let batch = batch(1);
        for (source, target) in batch.source.rows().zip(batch.ended.rows()) {
            let (source, target) = (&source[..source.len() - 1], &target[..target.len() - 1]);
            assert!(source.iter().rev().eq(target) && source.len() <= LONGEST);
        }
    }

    /// GN-11: at the start more gradient arrives at the lowest layer of the encoder with ways around the
    /// layers than without.
    #[test]
    fn gn_11_more_gradient_arrives_with_ways_around() {
        let out = PathBuf::new();
        let options = Options { layers: 8, updates: 0, seed: 1, out, json: true };
        let gradient = |residual| learn(residual, &options, "").expect("numbers")[0].gradient;
        let ratio = gradient(Residual::FromThird) / gradient(Residual::None);
        assert!(ratio > 1.0, "{ratio}");
    }
}
