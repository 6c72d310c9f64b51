//! How well a model reads what is longer than all it has learned from, with attention and without.
//!
//! Sequences of 1 to 20 of 20 symbols are to be copied, or written backward; both models have 64 units
//! and the same number of updates. Then they are given sequences of up to 40 symbols. The thought vector
//! of Sutskever et al. (2014) has to hold all of a sequence in one state; attention looks it up. It is
//! the question of figure 2 of Bahdanau, Cho & Bengio (2015), Neural Machine Translation by Jointly
//! Learning to Align and Translate, on a task where the right alignment is known.
//!
//! Run with `cargo run --release --example lengths -- [--updates N] [--seed N] [--out DIR] [--json]`.
//! It takes some minutes on two cores. The same seed gives the same numbers on the CPU.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]
#![expect(clippy::print_stderr, reason = "progress is not part of the result")]

use std::{error::Error, path::PathBuf, process::ExitCode};

use burn::prelude::*;
use clap::Parser;
use rand::{RngExt, SeedableRng, rngs::ChaCha12Rng};
use recurrent_attention::AttentionConfig;
use recurrent_cells::AnyCell;
use recurrent_examples::{
    plot::{Chart, Line, Scale, Stroke},
    start,
};
use recurrent_seq2seq::{
    BridgeKind, Context, DecoderConfig, DecoderKind, EncoderConfig, PairBatch, Reading, Readout,
    Seq2Seq, Seq2SeqConfig, Translator,
    search::{Hypothesis, LengthRatio, greedy},
};
use recurrent_training::{
    Batches, Decay, Moment, Progress, Schedule, Scores, TrainConfig, Training, Warmup,
};

/// Ids below this are special.
const SPECIAL: u32 = 4;
const SYMBOLS: u32 = 20;
/// The longest sequence to learn from.
const LONGEST: usize = 20;
const BUCKETS: [[usize; 2]; 4] = [[1, 10], [11, 20], [21, 30], [31, 40]];
/// Sequences that each bucket is tested on.
const TESTED: usize = 500;
const BATCH: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Copy,
    Reverse,
}

impl Task {
    const ALL: [Self; 2] = [Self::Copy, Self::Reverse];

    fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Reverse => "reverse",
        }
    }

    fn target(self, source: &[u32]) -> Vec<u32> {
        match self {
            Self::Copy => source.to_vec(),
            Self::Reverse => source.iter().rev().copied().collect(),
        }
    }

    /// Where a model should look when it writes symbol `i` of `length`.
    fn aligned(self, i: usize, length: usize) -> usize {
        match self {
            Self::Copy => i,
            Self::Reverse => length - 1 - i,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    Attention,
    Thought,
}

impl Model {
    const ALL: [Self; 2] = [Self::Attention, Self::Thought];

    fn name(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::Thought => "thought vector",
        }
    }

    fn draw(self, device: &Device) -> Seq2Seq<AnyCell> {
        let kind = match self {
            Self::Attention => DecoderKind::Bahdanau {
                attention: AttentionConfig::Additive { d_attention: 64 },
                d_readout: 64,
                readout: Readout::Current,
            },
            Self::Thought => DecoderKind::Thought { context: Context::EveryStep },
        };
        let config = Seq2SeqConfig {
            d_embedding: 32,
            encoder: EncoderConfig { layers: 1, d_hidden: 64, reading: Reading::Both },
            bridge: BridgeKind::Dense,
            decoder: DecoderConfig { layers: 1, d_hidden: 64, kind },
            ..Seq2SeqConfig::default()
        };
        let vocabulary = (SPECIAL + SYMBOLS) as usize;
        config.init([vocabulary; 2], device)
    }
}

/// What a model made of the sequences of a bucket.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// Outputs that are right from the first symbol to the last, in percent.
    exact: f64,
    /// How far from the right place the most weight is, in symbols; none without attention.
    alignment: Option<f64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    start(|| run(&options))
}

/// Reads what is longer than all it has learned from.
#[derive(Parser)]
struct Options {
    /// Updates of each model
    #[arg(long, default_value_t = 3000)]
    updates: usize,
    /// Of the weights and of the data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where pictures go
    #[arg(long, default_value = "target/lengths")]
    out: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&options.out)?;
    let mut json = Vec::new();
    for task in Task::ALL {
        let mut lines = Vec::new();
        for (colour, model) in Model::ALL.into_iter().enumerate() {
            let trained = learn(task, model, options)?;
            let mut points = Vec::new();
            for [least, most] in BUCKETS {
                let found = test(task, &trained, [least, most])?;
                points.push((most as f64, found.exact));
                json.push(as_json(task, model, [least, most], found));
                if !options.json {
                    println!("{}", as_text(task, model, [least, most], found));
                }
            }
            let (name, stroke) = (model.name().to_owned(), Stroke::Solid);
            lines.push(Line { name, colour: colour * 4 + 1, stroke, points });
        }
        let chart = Chart {
            title: format!("{}: learned from 1 to {LONGEST} symbols", task.name()),
            x_label: "symbols, at most",
            y_label: "right, %",
            scale: Scale::Linear,
            y: -2.0..102.0,
            lines,
        };
        chart.draw(&options.out.join(format!("lengths-{}.svg", task.name())))?;
    }
    if options.json {
        println!("[{}]", json.join(","));
    }
    Ok(())
}

fn as_text(task: Task, model: Model, [least, most]: [usize; 2], found: Found) -> String {
    let aligned = found.alignment.map_or(String::new(), |off| format!("  {off:.2} symbols off"));
    let (task, model, exact) = (task.name(), model.name(), found.exact);
    format!("{task:<8} {model:<15} {least:>2}–{most} symbols  {exact:>5.1} % right{aligned}")
}

fn as_json(task: Task, model: Model, [least, most]: [usize; 2], found: Found) -> String {
    let off = found.alignment.map_or("null".to_owned(), |off| off.to_string());
    format!(
        "{{\"task\":\"{}\",\"model\":\"{}\",\"symbols\":[{least},{most}],\"exact\":{},\"off\":{off}}}",
        task.name(),
        model.name(),
        found.exact
    )
}

/// Sequences of the given lengths, drawn from a seed.
fn sources(seed: u64, count: usize, [least, most]: [usize; 2]) -> Vec<Vec<u32>> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let mut source = || {
        let length = rng.random_range(least..=most);
        (0..length).map(|_| SPECIAL + rng.random_range(0..SYMBOLS)).collect()
    };
    (0..count).map(|_| source()).collect()
}

/// New sequences at every step.
struct Drawn {
    task: Task,
    updates: usize,
}

impl Batches for Drawn {
    type Plan = u64;
    type Batch = PairBatch;

    fn epoch(&self, seed: u64, _: usize) -> Vec<u64> {
        (0..self.updates as u64).map(|n| seed << 32 | n).collect()
    }

    fn batch(&self, plan: &u64) -> PairBatch {
        let sources = sources(*plan, BATCH, [1, LONGEST]);
        let targets: Vec<Vec<u32>> =
            sources.iter().map(|source| self.task.target(source)).collect();
        PairBatch::new(&sources, &targets)
    }
}

fn learn(task: Task, model: Model, options: &Options) -> Result<Seq2Seq<AnyCell>, Box<dyn Error>> {
    let device = Device::flex().autodiff();
    device.seed(options.seed);
    let drawn = model.draw(&device);
    let batches = Drawn { task, updates: options.updates };
    let settings = TrainConfig {
        seed: options.seed,
        epochs: 1,
        learning_rate: 3e-3,
        schedule: Schedule { warmup: Warmup::Linear { steps: 200 }, decay: Decay::Linear },
        clip_norm: Some(1.0),
        ..TrainConfig::default()
    };
    let validate = |_: &Seq2Seq<AnyCell>, _: &Moment| Ok(Scores::new().with("nll", 0.0));
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_owned();
    let mut training = Training::new(drawn, batches, validate, settings, path);
    if !options.json {
        eprintln!("{} with {}", task.name(), model.name());
        training.progress = Progress::Plain(Box::new(std::io::stderr()));
    }
    Ok(training.run()?.model)
}

fn test(
    task: Task,
    model: &Seq2Seq<AnyCell>,
    lengths: [usize; 2],
) -> Result<Found, Box<dyn Error>> {
    // No sequence to learn from has this seed.
    let sources = sources(u64::MAX - lengths[0] as u64, TESTED, lengths);
    let lengths: Vec<usize> = sources.iter().map(Vec::len).collect();
    let limits = LengthRatio { slope: 1.0, intercept: 1.0 }.limits(&lengths);
    let outputs = greedy(&model.generator(&sources), &limits)?;
    let right = |(source, output): (&Vec<u32>, &Hypothesis)| output.tokens == task.target(source);
    let exact = sources.iter().zip(&outputs).filter(|pair| right(*pair)).count();
    let mut off = Vec::new();
    for (source, output) in sources.iter().zip(&outputs) {
        for (i, weights) in output.weights.iter().take(source.len()).enumerate() {
            let most = weights.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
            let most = most.map_or(0, |(place, _)| place);
            off.push(most.abs_diff(task.aligned(i, source.len())) as f64);
        }
    }
    Ok(Found {
        exact: 100.0 * exact as f64 / sources.len() as f64,
        alignment: (!off.is_empty()).then(|| off.iter().sum::<f64>() / off.len() as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_what_they_are_called() {
        assert_eq!(Task::Copy.target(&[4, 5, 6]), [4, 5, 6]);
        assert_eq!(Task::Reverse.target(&[4, 5, 6]), [6, 5, 4]);
        assert_eq!([0, 2].map(|i| Task::Reverse.aligned(i, 3)), [2, 0]);
    }

    #[test]
    fn sequences_are_as_long_as_they_should_be() {
        let drawn = sources(1, 100, [3, 5]);
        assert!(drawn.iter().all(|source| (3..=5).contains(&source.len())));
        assert!(drawn.iter().flatten().all(|id| (SPECIAL..SPECIAL + SYMBOLS).contains(id)));
        assert_ne!(drawn, sources(2, 100, [3, 5]));
    }
}
