//! Training any cell on any task, the same for all.

use std::time::Instant;

use burn::{
    nn::{Linear, LinearConfig},
    optim::{AdamConfig, GradientsParams},
    prelude::*,
};
use recurrent_cells::{Cell, Layer, Lengths};

use crate::{
    clip::clip_global_norm,
    tasks::{Batch, Task},
};

const BATCH: usize = 50;
const HELD_OUT: usize = 1000;
const EVALUATE_EVERY: usize = 100;
const LEARNING_RATE: f64 = 2e-3;
const NORM_LIMIT: f64 = 1.0;

/// A cell and what reads its outputs.
#[derive(Module, Debug)]
pub(crate) struct Model<C: Cell> {
    /// The recurrence.
    pub(crate) cell: C,
    /// From each output of the cell to an answer.
    pub(crate) readout: Linear,
}

impl<C: Cell> Model<C> {
    /// `x`, `[B, T, I]`, to an answer at every step, `[B, T, O]`.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, steps, _] = x.dims();
        let (outputs, _) = self.cell.forward(x, None, &Lengths::full(batch, steps));
        self.readout.forward(outputs)
    }
}

/// How well a model does on sequences that it was not trained on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    /// See [`Target::loss`](crate::target::Target::loss).
    pub(crate) loss: f64,
    /// Where the answers are classes.
    pub(crate) accuracy: Option<f64>,
}

/// How a model learned.
#[derive(Debug)]
pub(crate) struct Fit {
    /// Which model.
    pub(crate) name: &'static str,
    /// How many numbers it has.
    pub(crate) parameters: usize,
    /// Updates done, and the score then; from 0 to the last.
    pub(crate) curve: Vec<(usize, Score)>,
    /// Accuracy on sequences of twice the training length, where the task has them.
    pub(crate) twice_as_long: Option<f64>,
    /// Wall clock, evaluation included.
    pub(crate) seconds: f64,
}

impl Fit {
    /// The score after the last update.
    pub(crate) fn last(&self) -> Score {
        self.curve.last().expect("a curve has its start").1
    }

    /// After how many updates the task was solved: a loss below 0.01, or 99 % right.
    pub(crate) fn solved_after(&self) -> Option<usize> {
        let solved = |score: &Score| match score.accuracy {
            Some(accuracy) => accuracy >= 0.99,
            None => score.loss < 0.01,
        };
        self.curve.iter().find(|(_, score)| solved(score)).map(|(updates, _)| *updates)
    }
}

/// What all models of one task share: data, device, and number of updates.
#[derive(Debug)]
pub(crate) struct Training {
    /// What is learned.
    pub(crate) task: Task,
    /// Where, with autodiff.
    pub(crate) device: Device,
    updates: usize,
    seed: u64,
    held_out: Batch,
}

impl Training {
    /// Draws the held-out sequences. `device` is without autodiff.
    pub(crate) fn new(task: Task, updates: usize, seed: u64, device: &Device) -> Self {
        let held_out = task.batch(HELD_OUT, seed, u64::MAX, device);
        Self { task, device: device.clone().autodiff(), updates, seed, held_out }
    }

    /// Draws a cell with `init` and trains it. Weights come from the seed and not from what was
    /// drawn before.
    pub(crate) fn fit<C: Cell>(&self, name: &'static str, init: impl FnOnce(&Device) -> C) -> Fit {
        let started = Instant::now();
        self.device.seed(self.seed);
        let cell = init(&self.device);
        let readout = LinearConfig::new(cell.d_hidden(), self.task.d_output()).init(&self.device);
        let mut model = Model { cell, readout };
        let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
        let mut curve = vec![(0, score(&model.valid(), &self.held_out))];
        for update in 1..=self.updates {
            let batch = self.task.batch(BATCH, self.seed, update as u64, &self.device);
            let loss = batch.target.loss(model.forward(batch.x));
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            let gradients = clip_global_norm(gradients, &model, NORM_LIMIT);
            model = optimizer.step(LEARNING_RATE, model, gradients);
            if update % EVALUATE_EVERY == 0 || update == self.updates {
                curve.push((update, score(&model.valid(), &self.held_out)));
            }
        }
        let twice_as_long = self.twice_as_long(&model.valid());
        let seconds = started.elapsed().as_secs_f64();
        Fit { name, parameters: model.num_params(), curve, twice_as_long, seconds }
    }

    fn twice_as_long<C: Cell>(&self, model: &Model<C>) -> Option<f64> {
        let Task::Parity { bits } = self.task else { return None };
        let longer = Task::Parity { bits: 2 * bits };
        let device = self.device.clone().without_autodiff();
        score(model, &longer.batch(HELD_OUT, self.seed, u64::MAX, &device)).accuracy
    }
}

fn score<C: Cell>(model: &Model<C>, batch: &Batch) -> Score {
    let y = model.forward(batch.x.clone());
    Score {
        loss: batch.target.loss(y.clone()).into_scalar::<f32>().into(),
        accuracy: batch.target.accuracy(y),
    }
}
