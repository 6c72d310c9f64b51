//! Every kind of model on every backend that is built in: trained for ten steps and asked for an output, it
//! does what it does on flex. A model trained on one backend loads on any other, with the same bits and the
//! same outputs.
//!
//! All start from the same weights, drawn on flex and handed on as a file, and nothing is dropped; what is
//! drawn by chance is drawn on the host. Models are as small as they can be: a driver in software takes its time
//! for every kernel. A backend that is built in must be there: without its driver the
//! tests fail.

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
mod in_half;
mod recurrent_networks;
mod text_and_pictures;
mod translators;

use std::{cell::RefCell, rc::Rc};

use burn::prelude::*;
use recurrent_seq2seq::search::{Beam, Generator, Hypothesis, Limits, beam, greedy};
use recurrent_testkit::redrawn;
use recurrent_training::{
    Event, InOrder, Learn, Moment, Progress, TrainConfig, Training, validation_loss,
};

use super::backends;
use crate::{
    device::Kind,
    weights::{from_bytes, to_bytes},
};

/// Steps of a training.
const STEPS: usize = 10;

/// How far a loss may be from that of flex, relative to it. Backends sum in another order, so the first
/// losses differ in their last bits, and each step takes the differences of the one before along.
const LOSSES: f64 = 1e-4;

/// How far numbers that are put out may be from those of flex, where the weights differ as above; relative
/// to the larger of them and 1.
const TRAINED: f64 = 1e-3;

/// The same where the weights are equal to the bit.
const LOADED: f64 = 1e-5;

const AT: Moment = Moment { seed: 1, epoch: 1, step: 0 };

/// What a model puts out: tokens or labels, and numbers.
#[derive(Clone, Debug, Default)]
struct Output {
    ids: Vec<Vec<u32>>,
    numbers: Vec<f64>,
}

/// What a training leaves on one backend.
struct Trained {
    kind: Kind,
    /// What each step minimised, and after the last step what validation measured.
    losses: Vec<f64>,
    output: Output,
    /// Its weights as a file.
    file: Vec<u8>,
}

/// Trains the model on every backend and holds each to flex; then loads what flex has trained on every other, and
/// what others have trained on flex.
fn holds_everywhere<M: Learn>(
    init: impl Fn(&Device) -> M,
    batch: &M::Batch,
    put_out: impl Fn(&M) -> Output,
) {
    let backends = backends();
    let start = to_bytes(&redrawn(init(&Device::flex()), 3000)).unwrap();
    let train = |(kind, device): &(Kind, Device)| {
        let model = from_bytes(init(&device.clone().autodiff()), &start).unwrap();
        let (model, losses) = trained(model, batch);
        let file = to_bytes(&model).unwrap();
        Trained { kind: *kind, losses, output: put_out(&model), file }
    };
    let all: Vec<Trained> = backends.iter().map(train).collect();
    let (flex, others) = all.split_first().expect("flex is always built in");
    assert_eq!(flex.losses.len(), STEPS + 1);
    assert!(flex.losses[STEPS] < flex.losses[0], "it learns: {:?}", flex.losses);
    for other in others {
        let name = other.kind.name();
        for (step, (loss, expected)) in other.losses.iter().zip(&flex.losses).enumerate() {
            let apart = (loss - expected).abs() / expected.abs();
            assert!(apart <= LOSSES, "{name}, step {step}: {loss} for {expected}, {apart:.1e}");
        }
        assert_same(&other.output, &flex.output, TRAINED, name);
    }
    let there = others.iter().map(|from| (from, &backends[0]));
    let back = backends[1..].iter().map(|to| (flex, to));
    for (from, (kind, device)) in there.chain(back) {
        let case = format!("trained on {}, loaded on {}", from.kind.name(), kind.name());
        let model = from_bytes(init(device), &from.file).unwrap();
        assert!(to_bytes(&model).unwrap() == from.file, "{case}: other bits");
        assert_same(&put_out(&model), &from.output, LOADED, &case);
    }
}

/// The model behind a whole training of one epoch, checkpoints included, on a device without autodiff;
/// and its losses.
fn trained<M: Learn>(model: M, batch: &M::Batch) -> (M, Vec<f64>) {
    let folder = tempfile::tempdir().unwrap();
    let losses = Rc::new(RefCell::new(Vec::new()));
    let told = losses.clone();
    let observer = move |event: &Event| {
        if let Event::Step(report) = event {
            told.borrow_mut().push(report.loss);
        }
    };
    let measured = InOrder(vec![batch.clone()]);
    let config = TrainConfig {
        epochs: 1,
        learning_rate: 0.01,
        clip_norm: Some(5.0),
        ..TrainConfig::default()
    };
    let training = Training {
        progress: Progress::Observer(Box::new(observer)),
        ..Training::new(
            model,
            InOrder(vec![batch.clone(); STEPS]),
            move |model: &M, at: &Moment| Ok(validation_loss(model, &measured, at).scores()),
            config,
            folder.path().to_owned(),
        )
    };
    let done = training.run().unwrap();
    let mut losses = losses.take();
    losses.push(done.history[0].scores.get("nll").unwrap());
    (done.model, losses)
}

#[track_caller]
fn assert_same(actual: &Output, expected: &Output, tolerance: f64, case: &str) {
    assert_eq!(actual.ids, expected.ids, "{case}");
    assert_eq!(actual.numbers.len(), expected.numbers.len(), "{case}");
    for (actual, expected) in actual.numbers.iter().zip(&expected.numbers) {
        let apart = (actual - expected).abs() / expected.abs().max(1.0);
        assert!(apart <= tolerance, "{case}: {actual} for {expected}, {apart:.1e}");
    }
}

/// What greedy search and a beam write.
fn written<G: Generator>(generator: &G) -> Output {
    let limits =
        Limits::at_most(vec![3; generator.sources()]).at_least(vec![1; generator.sources()]);
    let one = greedy(generator, &limits).unwrap();
    let wide = Beam { n_best: 2, length_penalty: 0.6, ..Beam::new(2) };
    let several = beam(generator, &wide, &limits).unwrap();
    let mut output = Output::default();
    for hypothesis in one.into_iter().chain(several.into_iter().flatten()) {
        let Hypothesis { tokens, score, token_log_probs, weights, .. } = hypothesis;
        output.ids.push(tokens);
        output.numbers.push(score);
        output.numbers.extend(token_log_probs);
        output.numbers.extend(weights.concat().into_iter().map(f64::from));
    }
    output
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}
