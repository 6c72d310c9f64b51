//! Two small worlds of conversation: one in which a reply needs what was said long before, and one in
//! which several replies are as good.
//!
//! In the first, somebody says a name, talks about other things and asks for the name. A model that looks
//! back on the whole conversation (HRED) answers; one that has the last turn alone, a sequence-to-sequence
//! model, can guess one of eight. In the second, every question has four answers of six words. HRED has one
//! likeliest answer; with a latent variable (VHRED) each draw is an answer by itself, and makes sense
//! from its first word to its last. After Serban et al. (2016) and (2017).
//!
//! Run with `cargo run --release --example dialogue -- [--seed N] [--json]`. It takes ten seconds on
//! two cores. The same seed gives the same numbers on the CPU.
//!
//! Expect, with the first seed, 100 % of the names by the whole conversation and 10 % by the last turn; of
//! four replies 1 without a latent variable and 4 with one, which says 1.45 nats of them (ln 4 is 1.39).

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::{collections::HashSet, error::Error, process::ExitCode};

use burn::prelude::*;
use clap::Parser;
use rand::{RngExt, SeedableRng, rngs::ChaCha12Rng};
use recurrent_examples::start;
use recurrent_generative::{
    Annealing, ContextKind, DialogueBatch, DialogueModel, Hred, HredConfig, KlTerm, Turn,
    TurnParts, Vhred, VhredConfig,
};
use recurrent_seq2seq::{
    EncoderConfig, Reading,
    search::{Limits, greedy},
};
use recurrent_training::{
    Batches, Decay, Learn, Moment, Schedule, Scores, TrainConfig, Training, Warmup,
};
use serde::Serialize;
use serde_json::json;

/// Conversations of a batch.
const BATCH: usize = 32;
/// Conversations that are tested.
const TESTED: usize = 200;
/// Ids below this are special.
const SPECIAL: u32 = 4;

fn main() -> ExitCode {
    let options = Options::parse();
    start(|| run(&options))
}

/// Remembers a name, and finds several replies.
#[derive(Parser)]
struct Options {
    /// Of the weights and of the data
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Clone, Copy, Debug, Serialize)]
struct Found {
    /// Names that are right, in percent, by a model of the whole conversation.
    whole: f64,
    /// By one of the last turn.
    last_turn: f64,
    /// Different replies in ten draws, without a latent variable.
    hred: usize,
    /// With one.
    vhred: usize,
    /// What the latent variable says of a reply, in nats; ln 4 = 1.39 tell one of four.
    kl: f64,
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let found = find(options.seed)?;
    if options.json {
        println!("{}", json!(found));
        return Ok(());
    }
    let Found { whole, last_turn, hred, vhred, kl } = found;
    println!("What is my name?   the whole conversation {whole:>5.1} % right");
    println!("                   the last turn alone    {last_turn:>5.1} %");
    println!("Four good replies  HRED   {hred} different in ten");
    println!("                   VHRED  {vhred} different in ten draws, divergence {kl:.2} nats");
    Ok(())
}

fn find(seed: u64) -> Result<Found, Box<dyn Error>> {
    let (hred, vhred, kl) = replies(seed)?;
    Ok(Found {
        whole: names(ContextKind::Rnn { d_hidden: 24 }, seed)?,
        last_turn: names(ContextKind::LastTurn, seed)?,
        hred,
        vhred,
        kl,
    })
}

/// New conversations at every step.
#[derive(Clone, Copy)]
struct Drawn {
    draw: fn(&mut ChaCha12Rng) -> Vec<Turn>,
    updates: usize,
}

impl Batches for Drawn {
    type Plan = u64;
    type Batch = DialogueBatch;

    fn epoch(&self, seed: u64, _: usize) -> Vec<u64> {
        (0..self.updates as u64).map(|n| seed << 32 | n).collect()
    }

    fn batch(&self, plan: &u64) -> DialogueBatch {
        let mut rng = ChaCha12Rng::seed_from_u64(*plan);
        DialogueBatch::whole((0..BATCH).map(|_| (self.draw)(&mut rng)).collect())
    }
}

fn config(context: ContextKind) -> HredConfig {
    HredConfig {
        d_embedding: 16,
        encoder: EncoderConfig { layers: 1, d_hidden: 24, reading: Reading::Forward },
        context,
        d_decoder: 24,
        d_readout: 16,
        ..HredConfig::default()
    }
}

fn learn<M>(model: M, batches: Drawn, seed: u64) -> Result<M, Box<dyn Error>>
where
    M: Learn<Batch = DialogueBatch>,
{
    let settings = TrainConfig {
        seed,
        epochs: 1,
        learning_rate: 1e-2,
        schedule: Schedule { warmup: Warmup::Linear { steps: 20 }, decay: Decay::Linear },
        clip_norm: Some(1.0),
        ..TrainConfig::default()
    };
    let validate = |_: &M, _: &Moment| Ok(Scores::new().with("nll", 0.0));
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_owned();
    Ok(Training::new(model, batches, validate, settings, path).run()?.model)
}

fn device(seed: u64) -> Device {
    let device = Device::flex().autodiff();
    device.seed(seed);
    device
}

const SAY: u32 = SPECIAL;
const ASK: u32 = SPECIAL + 1;
const YES: u32 = SPECIAL + 2;
const NAMES: u32 = 8;
const FIRST_NAME: u32 = SPECIAL + 3;
/// Of what is said in between.
const WORDS: u32 = 5;
const FIRST_WORD: u32 = FIRST_NAME + NAMES;

/// "My name is …", "Yes.", talk about other things, "What is my name?", and the name.
fn name(rng: &mut ChaCha12Rng) -> Vec<Turn> {
    let name = FIRST_NAME + rng.random_range(0..NAMES);
    let mut turns = vec![vec![SAY, name], vec![YES]];
    for _ in 0..rng.random_range(1..3) {
        let words = rng.random_range(1..3);
        turns.push((0..words).map(|_| FIRST_WORD + rng.random_range(0..WORDS)).collect());
    }
    turns.extend([vec![ASK], vec![name]]);
    turns
}

/// How many names are right, in percent.
fn names(context: ContextKind, seed: u64) -> Result<f64, Box<dyn Error>> {
    let drawn = config(context).init((FIRST_WORD + WORDS) as usize, &device(seed));
    let model: Hred = learn(drawn, Drawn { draw: name, updates: 1000 }, seed)?;
    // No conversation to learn from has this seed.
    let mut rng = ChaCha12Rng::seed_from_u64(u64::MAX);
    let mut right = 0;
    for _ in 0..TESTED {
        let mut turns = name(&mut rng);
        let answer = turns.pop().expect("a conversation has an answer");
        let (context, _) = model.after(&turns);
        right += usize::from(reply(&model, &context, 0)? == answer);
    }
    Ok(100.0 * right as f64 / TESTED as f64)
}

const QUESTIONS: u32 = 3;
const REPLIES: u32 = 4;
const LENGTH: u32 = 6;

/// A question, and one of four answers.
fn question(rng: &mut ChaCha12Rng) -> Vec<Turn> {
    let asked = SPECIAL + rng.random_range(0..QUESTIONS);
    let first = SPECIAL + QUESTIONS + rng.random_range(0..REPLIES) * LENGTH;
    vec![vec![asked], (first..first + LENGTH).collect()]
}

/// Different replies in ten without and with a latent variable, and what that says.
fn replies(seed: u64) -> Result<(usize, usize, f64), Box<dyn Error>> {
    let vocabulary = (SPECIAL + QUESTIONS + REPLIES * LENGTH) as usize;
    let context = ContextKind::Rnn { d_hidden: 24 };
    let drawn = config(context).init(vocabulary, &device(seed));
    let hred: Hred = learn(drawn, Drawn { draw: question, updates: 500 }, seed)?;
    let with = VhredConfig {
        hred: HredConfig { word_dropout: 0.5, ..config(context) },
        d_latent: 4,
        variance_scale: 1.0,
        kl: KlTerm { annealing: Annealing::Linear { steps: 600.0 }, ..KlTerm::default() },
        ..VhredConfig::default()
    };
    let batches = Drawn { draw: question, updates: 1000 };
    let vhred: Vhred = learn(with.init(vocabulary, &device(seed)), batches, seed)?;
    let measured = batches.batch(&u64::MAX);
    let TurnParts { kl, .. } = vhred.parts(&measured, None, &mut ChaCha12Rng::seed_from_u64(1));
    // Of every other turn: questions are not replies.
    let kl: Vec<f64> = kl.sum_dim(1).into_data().iter().collect();
    let kl = kl.iter().skip(1).step_by(2).sum::<f64>() / (kl.len() / 2) as f64;
    Ok((different(&hred)?, different(&vhred)?, kl))
}

/// How many of ten replies to the first question are different. One that goes over from an answer into
/// another is none.
fn different(model: &impl DialogueModel) -> Result<usize, Box<dyn Error>> {
    let (context, _) = model.hred().after(&[vec![SPECIAL]]);
    let mut all = HashSet::new();
    for seed in 0..10 {
        let reply = reply(model, &context, seed)?;
        let whole = reply.len() == LENGTH as usize;
        if whole && reply.windows(2).all(|pair| pair[1] == pair[0] + 1) {
            all.insert(reply);
        }
    }
    Ok(all.len())
}

/// The likeliest reply, given what is drawn.
fn reply(
    model: &impl DialogueModel,
    context: &Tensor<2>,
    seed: u64,
) -> Result<Turn, Box<dyn Error>> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let generator = model.generator(context, &mut rng);
    let mut found = greedy(&generator, &Limits::at_most(vec![10]))?;
    Ok(found.remove(0).tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HR-7, and of the specification's section 9.4 the toy: what was said in the first turn is remembered, and of
    /// four replies that are as good one is found without a latent variable, and at least three with one.
    #[test]
    fn hr_7_a_name_is_remembered_and_several_replies_are_found() {
        let found = find(1).expect("numbers");
        assert!(found.whole >= 95.0, "{found:?}");
        // One of eight is 12.5 %.
        assert!(found.last_turn < 30.0, "{found:?}");
        assert!(found.hred == 1 && found.vhred >= 3, "{found:?}");
        assert!(found.kl > 0.7 && found.kl < 3.0, "{found:?}");
    }
}
