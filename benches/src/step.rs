//! A whole step of training: loss, gradients, their norm and clipping, Adam, as `Training` does it.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use burn::prelude::*;
use recurrent_seq2seq::PairBatch;
use recurrent_training::{
    Batches, Event, Interrupter, Learn, Progress, Scores, StepReport, TrainConfig, Training,
};
use serde_json::{Value, json};

use crate::{
    case::{Case, Numbers, Work},
    model::{Drawn, Model},
};

/// The learning rate.
const RATE: f64 = 2e-3;
/// The norm that gradients are brought down to.
const CLIP: f64 = 1.0;
/// Steps that are compared with a peer's.
const COMPARED: usize = 4;

/// A step of one model.
#[derive(Clone, Copy, Debug)]
pub struct StepCase(Model);

/// Every model.
pub fn all() -> impl Iterator<Item = StepCase> {
    [Model::G2P, Model::GNMT, Model::DEEP_GNMT].into_iter().map(StepCase)
}

/// Every model, small.
pub fn small() -> impl Iterator<Item = StepCase> {
    all().map(|case| StepCase(case.0.small()))
}

impl Case for StepCase {
    fn name(&self) -> String {
        format!("step/{}", self.0.name())
    }

    fn described(&self) -> Value {
        let [sources, targets] = self.0.pairs();
        json!({
            "family": "step", "model": self.0, "rate": RATE, "clip": CLIP, "compared": COMPARED,
            "sources": sources, "targets": targets,
        })
    }

    fn numbers(&self) -> Numbers {
        self.0.draw(&Device::flex()).numbers()
    }

    fn ours(&self, device: &Device) -> Work {
        let training = StepByStep::start(self.0, device.clone().autodiff());
        Box::new(move || {
            training.step();
        })
    }

    /// Loss and norm of the gradient in the first steps: they say that clipping and Adam do the same.
    fn results(&self, device: &Device) -> Vec<f64> {
        let training = StepByStep::start(self.0, device.clone().autodiff());
        let steps = (0..COMPARED).map(|_| training.step());
        steps.flat_map(|report| [report.loss, report.gradient_norm]).collect()
    }
}

/// A training that takes a step when it is asked to.
struct StepByStep {
    go: SyncSender<()>,
    done: Receiver<StepReport>,
}

impl StepByStep {
    fn start(model: Model, device: Device) -> Self {
        let (go, wait) = sync_channel(0);
        let (report, done) = sync_channel(0);
        let train = move || {
            let batch = model.pair_batch();
            match model.draw(&device) {
                Drawn::Seq2seq(model) => train(model, batch, wait, report),
                Drawn::Gnmt(model) => train(model, batch, wait, report),
            }
        };
        // On a thread of the pool, as the command trains.
        thread::spawn(move || rayon::scope(|_| train()));
        Self { go, done }
    }

    /// Takes a step.
    fn step(&self) -> StepReport {
        self.go.send(()).expect("the training runs");
        self.done.recv_timeout(Duration::from_secs(600)).expect("a step comes to its end")
    }
}

fn train<M: Learn<Batch = PairBatch>>(
    model: M,
    batch: PairBatch,
    go: Receiver<()>,
    report: SyncSender<StepReport>,
) {
    let folder = tempfile::tempdir().expect("there is room for a checkpoint");
    let config = TrainConfig {
        epochs: 1,
        learning_rate: RATE,
        clip_norm: Some(CLIP),
        ..TrainConfig::default()
    };
    let validate = |_: &_, _: &_| Ok(Scores::new().with("nll", 0.0));
    let path = folder.path().to_owned();
    let mut training = Training::new(model, Same(batch), validate, config, path);
    let interrupter = Interrupter::new();
    training.interrupter = interrupter.clone();
    training.progress = Progress::Observer(Box::new(move |event: &Event| {
        let reported = match event {
            Event::Step(step) => report.send(step.clone()).is_ok(),
            // The first step waits for its call, too.
            Event::Saved { .. } => true,
            _ => return,
        };
        if !reported || go.recv().is_err() {
            interrupter.stop(None);
        }
    }));
    // Nobody is there any more who could be told of an error.
    drop(training.run());
}

/// One batch, over and over.
struct Same(PairBatch);

impl Batches for Same {
    type Plan = ();
    type Batch = PairBatch;

    fn epoch(&self, _: u64, _: usize) -> Vec<()> {
        // No memory is spent on plans that say nothing.
        vec![(); 1_000_000]
    }

    fn batch(&self, (): &()) -> PairBatch {
        self.0.clone()
    }
}
