//! The loop: epochs of steps, each epoch validated and saved.

use std::{sync::Arc, time::Instant};

use burn::{
    optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer},
    prelude::*,
    tensor::{DType, FloatDType},
};
use burn_train::TrainStep;

use crate::{
    Batches, Carried, Ended, EpochRecord, Event, Learn, Moment, Past, Position, Scores, Standing,
    StepReport, TrainConfig, TrainError, Validate,
    checkpoint::{Checkpoints, Done, Running},
    gradients,
    learner::{Learner, Mean, Outcome, Task},
    prefetch::Prefetch,
    strategy::Listeners,
};

/// A training that is on its way.
pub(crate) struct Run<M: Learn, B> {
    /// Absent only while the optimizer has it.
    pub(crate) learner: Option<Learner<M>>,
    pub(crate) optimizer: ModuleOptimizer,
    pub(crate) batches: Arc<B>,
    pub(crate) validate: Box<Validate<M>>,
    pub(crate) config: TrainConfig,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) device: Device,
    pub(crate) done: Done,
    pub(crate) clock: Clock,
}

/// Steps that a stop waits for a place where nothing is lost.
const PATIENCE: usize = 100;

/// Whether an epoch came to its end.
enum Flow {
    Done,
    Stopped,
}

impl<M: Learn, B: Batches<Batch = M::Batch>> Run<M, B> {
    /// Trains to the end, whatever ends it.
    pub(crate) fn run(&mut self, to: &mut Listeners<M>) -> Result<Ended, TrainError> {
        loop {
            if let Some(ended) = self.ended() {
                return Ok(ended);
            }
            if to.stop_wanted()? {
                return Ok(Ended::Interrupted);
            }
            match self.epoch(to)? {
                Flow::Done => self.close(to)?,
                Flow::Stopped => return Ok(Ended::Interrupted),
            }
        }
    }

    /// Writes where the run stands.
    pub(crate) fn save(&self, to: &mut Listeners<M>) -> Result<(), TrainError> {
        let path = self.checkpoints.save(&self.done, &self.learner().model, &self.optimizer)?;
        to.tell(&Event::Saved { path });
        Ok(())
    }

    fn ended(&self) -> Option<Ended> {
        let stale = self.config.metric.stale(&self.done.history);
        let patience = self.config.early_stopping.map(|early| early.patience);
        if patience.is_some_and(|patience| stale >= patience) {
            return Some(Ended::EarlyStopped);
        }
        (self.done.epochs >= self.config.epochs).then_some(Ended::Finished)
    }

    /// Learns from what is left of the next epoch.
    fn epoch(&mut self, to: &mut Listeners<M>) -> Result<Flow, TrainError> {
        let epoch = self.done.epochs + 1;
        self.done.average = None;
        let mut plans = self.batches.epoch(self.config.seed, epoch);
        let all = plans.len();
        if all == 0 {
            return Err(TrainError::NoBatches { epoch });
        }
        plans.drain(..self.done.batches.min(all));
        to.start_epoch(epoch, all);
        let mut batches = Prefetch::new(self.batches.clone(), plans).peekable();
        let (mut carried, mut waited) = (None, 0);
        while batches.peek().is_some() {
            let window: Vec<_> = batches.by_ref().take(self.config.accumulate).collect();
            self.step(window, &mut carried, all, to)?;
            if !to.stop_wanted()? {
                continue;
            }
            // In the middle of a chain there is a state that no checkpoint holds: its end is waited for.
            if batches.peek().is_none_or(|(past, _)| *past == Past::None) {
                self.check_parameters()?;
                self.save(to)?;
                return Ok(Flow::Stopped);
            }
            // If it is long, the epoch is done again from the checkpoint before it.
            if waited == PATIENCE {
                return Ok(Flow::Stopped);
            }
            waited += 1;
        }
        to.end_epoch(epoch);
        Ok(Flow::Done)
    }

    /// One step of the optimiser, over one batch or several.
    fn step(
        &mut self,
        window: Vec<(Past, M::Batch)>,
        carried: &mut Option<M::Carried>,
        all: usize,
        to: &mut Listeners<M>,
    ) -> Result<(), TrainError> {
        let began = Instant::now();
        if self.config.optimizer.switches_at(self.done.steps) {
            self.optimizer = self.config.optimizer.at(self.done.steps);
        }
        let learning_rate = self.learning_rate(all);
        let window: Vec<_> =
            window.into_iter().map(|(past, batch)| (past, Arc::new(batch))).collect();
        let (mut outcomes, gradients) = self.backward(&window, carried);
        let (gradients, norm) = self.measure(&mut outcomes, gradients, &window)?;
        if outcomes.iter().any(|outcome| outcome.weight > 0.0) {
            self.update(gradients, norm, learning_rate);
        }
        self.clock.step(began, outcomes.iter().map(|outcome| outcome.items).sum());
        let report = self.count(&outcomes, all, norm, learning_rate);
        to.step(outcomes, report);
        Ok(())
    }

    /// The gradients of the batches, summed, and what else is left of them.
    fn backward(
        &mut self,
        window: &[(Past, Arc<M::Batch>)],
        carried: &mut Option<M::Carried>,
    ) -> (Vec<Outcome<M::Carried>>, GradientsParams) {
        let mean = if self.config.accumulate == 1 { Mean::Now } else { Mean::Later };
        let mut sum = GradientsAccumulator::new();
        let mut outcomes = Vec::new();
        for (part, (past, batch)) in window.iter().enumerate() {
            let at = self.moment().part(part);
            let before = carried.take().filter(|_| *past == Past::Carried);
            self.device.seed(at.mixed());
            let task = Task { batch: batch.clone(), carried: before, at, mean };
            let mut output = TrainStep::step(self.learner(), task);
            *carried = output.item.carried.take().map(Carried::detach);
            sum.accumulate(self.learner(), output.grads);
            outcomes.push(output.item);
        }
        (outcomes, sum.grads())
    }

    /// The gradients of the mean, clipped by value, with their norm; the sums of the outcomes come
    /// to the host with it. The device is waited for once.
    fn measure(
        &self,
        outcomes: &mut [Outcome<M::Carried>],
        mut gradients: GradientsParams,
        window: &[(Past, Arc<M::Batch>)],
    ) -> Result<(GradientsParams, f64), TrainError> {
        let weight: f64 = outcomes.iter().map(|outcome| outcome.weight).sum();
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(self.not_finite("the weight of the loss"));
        }
        if self.config.accumulate > 1 && weight > 0.0 {
            gradients = gradients::scale(gradients, self.learner(), weight.recip());
        }
        if let Some(limit) = self.config.clip_value {
            gradients = gradients::clip_value(gradients, self.learner(), limit);
        }
        let squares = gradients::squares(&gradients, self.learner());
        let sums = outcomes.iter().map(|outcome| outcome.sums.clone());
        let numbers = to_host(sums.chain(squares).collect());
        let (sums, squares) = numbers.split_at(2 * outcomes.len());
        for (part, (outcome, sums)) in outcomes.iter_mut().zip(sums.chunks(2)).enumerate() {
            if !sums[0].is_finite() || !sums[1].is_finite() {
                return Err(self.not_finite(&self.loss_by_terms(part, &window[part].1)));
            }
            (outcome.loss, outcome.nll) = (sums[0], sums[1]);
        }
        let norm = squares.iter().sum::<f64>().sqrt();
        match norm.is_finite() {
            true => Ok((gradients, norm)),
            false => Err(self.not_finite("the norm of the gradient")),
        }
    }

    fn update(&mut self, mut gradients: GradientsParams, norm: f64, learning_rate: f64) {
        let limit = self.config.clip_norm;
        if let Some(factor) = limit.and_then(|limit| gradients::norm_factor(norm, limit)) {
            gradients = gradients::scale(gradients, self.learner(), factor);
        }
        // The optimizer works in place only while nobody else has the parameters.
        let learner = self.learner.take().expect("the model is here between two steps");
        self.learner = Some(self.optimizer.step(learning_rate, learner, gradients));
    }

    /// Counts a step as done and reports it.
    fn count(
        &mut self,
        outcomes: &[Outcome<M::Carried>],
        all: usize,
        norm: f64,
        learning_rate: f64,
    ) -> StepReport {
        let mut step = Running { norms: norm, steps: 1, learning_rate, ..Running::default() };
        for outcome in outcomes {
            step.loss += outcome.loss;
            step.weight += outcome.weight;
            step.nll += outcome.nll;
            step.items += outcome.items;
        }
        self.done.running.add(&step);
        self.done.batches += outcomes.len();
        self.done.steps += 1;
        let left = self.total().saturating_sub(self.done.steps);
        StepReport {
            epoch: self.done.epochs + 1,
            epochs: self.config.epochs,
            batch: self.done.batches,
            batches: all,
            step: self.done.steps,
            loss: step.mean_loss(),
            nll: step.mean_nll(),
            items: step.items,
            learning_rate,
            gradient_norm: norm,
            seconds: self.clock.seconds(),
            items_per_second: self.clock.items_per_second(),
            seconds_left: self.clock.seconds_a_step() * left as f64,
        }
    }

    /// Validates the epoch that is over, and saves.
    fn close(&mut self, to: &mut Listeners<M>) -> Result<(), TrainError> {
        self.check_parameters()?;
        let moment = self.moment();
        let epoch = moment.epoch;
        to.start_validation(epoch);
        self.device.seed(moment.mixed());
        let model = self.learner().model.valid();
        let scores = (self.validate)(&model, &moment)
            .map_err(|source| TrainError::Validation { epoch, source })?;
        self.check_scores(&scores)?;
        to.end_validation(epoch, &scores);

        let running = std::mem::take(&mut self.done.running);
        let record = EpochRecord {
            epoch,
            steps: self.done.steps,
            loss: running.mean_loss(),
            nll: running.mean_nll(),
            items: running.items,
            learning_rate: running.learning_rate,
            gradient_norm: running.norms / running.steps as f64,
            scores,
        };
        self.done.history.push(record.clone());
        self.done.epochs = epoch;
        self.done.batches = 0;
        self.save(to)?;
        let best = match self.config.metric.stale(&self.done.history) {
            0 => Standing::Best,
            epochs => Standing::Behind { epochs },
        };
        to.tell(&Event::Epoch { record, best, seconds: self.clock.seconds() });
        Ok(())
    }

    /// Nothing that is not finite goes into a checkpoint.
    fn check_parameters(&self) -> Result<(), TrainError> {
        match gradients::all_finite(self.learner()) {
            true => Ok(()),
            false => Err(self.not_finite("a parameter")),
        }
    }

    /// The score that decides has to be there, and a number.
    fn check_scores(&self, scores: &Scores) -> Result<(), TrainError> {
        let name = &self.config.metric.name;
        match scores.get(name) {
            Some(value) if value.is_finite() => Ok(()),
            Some(_) => Err(self.not_finite(&format!("the validation score `{name}`"))),
            None => Err(TrainError::NoScore {
                name: name.clone(),
                given: scores.iter().map(|(name, _)| format!("`{name}`")).collect(),
            }),
        }
    }

    fn learning_rate(&self, all: usize) -> f64 {
        let schedule = &self.config.schedule;
        let plateaus = schedule
            .patience()
            .map_or(0, |patience| self.config.metric.plateaus(&self.done.history, patience));
        let at = Position {
            step: self.done.steps,
            total: self.total(),
            epochs: self.done.epochs as f64 + self.done.batches as f64 / all as f64,
            plateaus,
        };
        let scheduled = self.config.learning_rate * schedule.factor(&at);
        self.config.optimizer.rate(self.done.steps, scheduled)
    }

    /// Steps of the whole training, if every epoch is as long as the first.
    fn total(&self) -> usize {
        self.config.epochs * self.done.first.div_ceil(self.config.accumulate)
    }

    fn moment(&self) -> Moment {
        Moment { seed: self.config.seed, epoch: self.done.epochs + 1, step: self.done.steps }
    }

    pub(crate) fn learner(&self) -> &Learner<M> {
        self.learner.as_ref().expect("the model is here between two steps")
    }

    /// The loss of a batch that is not finite, with those of its terms that are not.
    fn loss_by_terms(&self, part: usize, batch: &M::Batch) -> String {
        let at = self.moment().part(part);
        self.device.seed(at.mixed());
        match self.learner().model.not_finite(batch, &at).as_slice() {
            [] => "the loss".to_string(),
            terms => format!("the loss ({})", terms.join(", ")),
        }
    }

    fn not_finite(&self, what: &str) -> TrainError {
        let Moment { epoch, step, .. } = self.moment();
        TrainError::NotFinite { epoch, step, what: what.to_string() }
    }
}

impl Running {
    fn add(&mut self, step: &Self) {
        self.loss += step.loss;
        self.weight += step.weight;
        self.nll += step.nll;
        self.items += step.items;
        self.norms += step.norms;
        self.steps += step.steps;
        self.learning_rate = step.learning_rate;
    }

    fn mean_loss(&self) -> f64 {
        if self.weight > 0.0 { self.loss / self.weight } else { 0.0 }
    }

    fn mean_nll(&self) -> f64 {
        self.nll / self.items.max(1) as f64
    }
}

/// Numbers of several devices' tensors, `[·]` each, read at once.
fn to_host(tensors: Vec<Tensor<1>>) -> Vec<f64> {
    let double = tensors.iter().any(|tensor| tensor.dtype() == DType::F64);
    let dtype = if double { FloatDType::F64 } else { FloatDType::F32 };
    let tensors = tensors.into_iter().map(|tensor| tensor.cast(dtype)).collect();
    Tensor::cat(tensors, 0).into_data().iter().collect()
}

/// The time a training takes.
pub(crate) struct Clock {
    began: Instant,
    learning: f64,
    items: usize,
    steps: usize,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), learning: 0.0, items: 0, steps: 0 }
    }

    fn step(&mut self, began: Instant, items: usize) {
        self.learning += began.elapsed().as_secs_f64();
        self.items += items;
        self.steps += 1;
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn items_per_second(&self) -> f64 {
        self.items as f64 / self.learning.max(f64::MIN_POSITIVE)
    }

    fn seconds_a_step(&self) -> f64 {
        self.learning / self.steps.max(1) as f64
    }
}
