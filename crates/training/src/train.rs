//! A training from its first step, or from a checkpoint, to its end.

use std::{error::Error, fmt, path::PathBuf, sync::Arc};

use burn::module::Module;
use burn_train::Interrupter;
use serde::Serialize;

use crate::{
    AverageRecord, Batches, Best, EpochRecord, Event, Json, Learn, Moment, Progress, Scores,
    Skipped, TrainConfig, TrainError,
    checkpoint::{Checkpoints, Done, load},
    disk::{Disk, FileSystem},
    gradients::{initialise, other_precision},
    learner::Learner,
    plain::Plain,
    run::{Clock, Run},
    strategy::{Audience, Listeners, host},
};

/// Seconds between two lines of plain progress.
const EVERY: f64 = 10.0;

/// Measures a model, which is on a device without autodiff, at the end of an epoch. What it draws
/// at random has to come from the device or the moment.
pub type Validate<M> = dyn FnMut(&M, &Moment) -> Result<Scores, Box<dyn Error + Send + Sync>>;

/// All that a training needs.
pub struct Training<M: Learn, B> {
    /// The model, on a device with autodiff.
    pub model: M,
    /// What it learns from.
    pub batches: B,
    /// Measures it at the end of an epoch.
    pub validate: Box<Validate<M>>,
    /// How to train.
    pub config: TrainConfig,
    /// The folder of the checkpoints; it is made if it is not there.
    pub folder: PathBuf,
    /// Whether to begin or to go on.
    pub start: Start,
    /// Who is told.
    pub progress: Progress,
    /// Stops the training after the step that is running. Stop it from another thread, e.g. on
    /// Ctrl-C; a checkpoint is written then, and a training that goes on from it ends as if it had
    /// not been stopped.
    pub interrupter: Interrupter,
}

/// Whether to begin or to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// Begin, in a folder without checkpoints.
    #[default]
    Fresh,
    /// Go on from the newest complete checkpoint.
    Resume,
}

/// Why a training is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All epochs are done.
    Finished,
    /// The score did not get better for too long.
    EarlyStopped,
    /// Somebody asked for it; it can be resumed.
    Interrupted,
}

/// What a training leaves.
#[derive(Clone, Debug)]
pub struct Trained<M> {
    /// The best model, on a device without autodiff. If no epoch is over, it is the model as it is.
    pub model: M,
    /// Whose weights the model has: those of the best epoch, or the mean of the last ones if it is
    /// as good at least. None if no epoch is over.
    pub best: Option<Best>,
    /// The mean of the last epochs, if training is over and was asked for it, better or not.
    pub average: Option<AverageRecord>,
    /// All epochs that are over, those before a resume too.
    pub history: Vec<EpochRecord>,
    /// Optimiser steps taken, those before a resume too.
    pub steps: usize,
    /// Why it is over.
    pub ended: Ended,
    /// Checkpoints that were passed over because they are incomplete or damaged.
    pub skipped: Vec<Skipped>,
}

impl<M: Learn, B> fmt::Debug for Training<M, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Training")
            .field("config", &self.config)
            .field("folder", &self.folder)
            .field("start", &self.start)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl<M: Learn, B: Batches<Batch = M::Batch>> Training<M, B> {
    /// A fresh training that nobody is told of.
    pub fn new<V>(model: M, batches: B, validate: V, config: TrainConfig, folder: PathBuf) -> Self
    where
        V: FnMut(&M, &Moment) -> Result<Scores, Box<dyn Error + Send + Sync>> + 'static,
    {
        Self {
            model,
            batches,
            validate: Box::new(validate),
            config,
            folder,
            start: Start::default(),
            progress: Progress::Silent,
            interrupter: Interrupter::new(),
        }
    }

    /// Trains.
    ///
    /// # Errors
    ///
    /// If the configuration is out of range, the folder does not fit `start`, a checkpoint cannot
    /// be written, validation fails or a number is not finite. Checkpoints that are complete stay,
    /// so [`load_best`](crate::load_best) finds the best model even then.
    pub fn run(self) -> Result<Trained<M>, TrainError> {
        self.run_on(Box::new(FileSystem))
    }

    /// Trains, with checkpoints on a disk of the caller's.
    pub(crate) fn run_on(self, disk: Box<dyn Disk>) -> Result<Trained<M>, TrainError> {
        self.config.validate()?;
        let checkpoints = Checkpoints::new(&self.folder, &self.config, disk);
        let device = self.model.devices().into_iter().next().ok_or(TrainError::NotTrainable)?;
        if !device.is_autodiff() {
            return Err(TrainError::NotTrainable);
        }
        let first = self.batches.epoch(self.config.seed, 1).len();
        let mut run = Run {
            learner: None,
            optimizer: self.config.optimizer.at(0),
            batches: Arc::new(self.batches),
            validate: self.validate,
            config: self.config,
            checkpoints,
            device,
            done: Done { first, ..Done::default() },
            clock: Clock::start(),
        };
        let (model, skipped) = run.prepare(self.model, self.start)?;
        let audience = audience(self.progress);
        let config = run.config.clone();
        let (start, folder) = (self.start, self.folder);
        let job = move |learner: Learner<M>, to: &mut Listeners<M>| {
            run.learner = Some(learner);
            let ended = run.announced(start, &skipped, to);
            let learner = run.learner.take().expect("the model is here between two steps");
            let trained = ended.and_then(|ended| {
                let best = Best::of(&run.config.metric, &run.done);
                let model = learner.model.valid();
                let model = match &best {
                    Some(best) => load(model, &folder, best)?,
                    None => model,
                };
                let Done { history, average, steps, .. } = run.done;
                Ok(Trained { model, best, average, history, steps, ended, skipped })
            });
            (learner, trained)
        };
        host(Learner { model }, &config, audience, &self.interrupter, job)
    }
}

impl<M: Learn, B: Batches<Batch = M::Batch>> Run<M, B> {
    /// Makes the model and everything else ready to begin or to go on.
    fn prepare(&mut self, model: M, start: Start) -> Result<(M, Vec<Skipped>), TrainError> {
        // Parameters that have no values yet draw them from the seed.
        self.device.seed(Moment { seed: self.config.seed, epoch: 0, step: 0 }.mixed());
        initialise(&model);
        match start {
            Start::Fresh => {
                self.checkpoints.begin()?;
                Ok((model, Vec::new()))
            }
            Start::Resume => {
                if let Some(dtype) = other_precision(&model) {
                    return Err(TrainError::Precision { dtype: dtype.name().to_string() });
                }
                let (checkpoint, skipped) = self.checkpoints.newest()?;
                let (then, now) = (checkpoint.done.first, self.done.first);
                if then != now {
                    return Err(TrainError::OtherConfig {
                        field: "batches of the first epoch".to_string(),
                        then: then.to_string(),
                        now: now.to_string(),
                    });
                }
                let optimizer = self.config.optimizer.at(checkpoint.done.steps);
                self.optimizer = checkpoint.load_optimizer(optimizer)?;
                let model = checkpoint.load_model(model)?;
                self.done = checkpoint.done;
                Ok((model, skipped))
            }
        }
    }

    /// Runs, and tells of the beginning and the end.
    fn announced(
        &mut self,
        start: Start,
        skipped: &[Skipped],
        to: &mut Listeners<M>,
    ) -> Result<Ended, TrainError> {
        to.tell(&Event::Started {
            epochs: self.config.epochs,
            done: self.done.epochs,
            step: self.done.steps,
            parameters: self.learner().num_params(),
        });
        for skipped in skipped {
            to.tell(&Event::Skipped(skipped.clone()));
        }
        if start == Start::Fresh {
            // A run that is killed in its first epoch can be resumed too, and a disk that cannot
            // be written to is found out at once.
            self.save(to)?;
        }
        let ended = self.run(to)?;
        if ended != Ended::Interrupted {
            self.average(to)?;
        }
        let best = Best::of(&self.config.metric, &self.done);
        to.tell(&Event::Ended { ended, best, seconds: self.clock.seconds() });
        Ok(ended)
    }
}

fn audience(progress: Progress) -> Audience {
    match progress {
        Progress::Dashboard => Audience::Dashboard,
        Progress::Plain(out) => Audience::Observer(Box::new(Plain::new(out, EVERY))),
        Progress::Json(out) => Audience::Observer(Box::new(Json(out))),
        Progress::Observer(observer) => Audience::Observer(observer),
        Progress::Silent => Audience::Nobody,
    }
}
