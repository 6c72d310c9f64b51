//! The mean of the models at the ends of the last epochs.
//!
//! ```text
//! θ̄ = (θ_first + … + θ_last) / N        N = last − first + 1
//! ```
//!
//! Sums are in double precision, over the models that the checkpoints hold, and rounded once at the
//! end. Parameters that are no floats stay those of the last epoch.
//!
//! Sources: Junczys-Dowmunt, Dwojak & Sennrich (2016), The AMU-UEDIN Submission to the WMT16 News
//! Translation Task; Vaswani et al. (2017), Attention Is All You Need, section 6.1.

use std::ops::RangeInclusive;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    prelude::*,
};
use serde::{Deserialize, Serialize};

use crate::{
    Averaging, Batches, EpochRecord, Event, Learn, Moment, Monitor, Scores, TrainError,
    checkpoint::Done, run::Run, strategy::Listeners,
};

/// The mean of the models of several epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AverageRecord {
    /// The first of the epochs, from 1.
    pub first: usize,
    /// The last of them, with which training ended.
    pub last: usize,
    /// What validation measured of the mean. A score that is not finite may be among them.
    pub scores: Scores,
}

/// Whose weights are the best of a training.
#[derive(Clone, Debug, PartialEq)]
pub enum Best {
    /// Those of an epoch.
    Epoch(EpochRecord),
    /// The mean of those of the last epochs.
    Average(AverageRecord),
}

impl Best {
    /// The best epoch, or the mean of the last ones if it is as good at least.
    pub(crate) fn of(metric: &Monitor, done: &Done) -> Option<Self> {
        let epoch = metric.best(&done.history)?;
        Some(match &done.average {
            Some(average) if metric.as_good(&average.scores, &epoch.scores) => {
                Self::Average(average.clone())
            }
            _ => Self::Epoch(epoch.clone()),
        })
    }

    /// What validation measured of them.
    pub fn scores(&self) -> &Scores {
        match self {
            Self::Epoch(record) => &record.scores,
            Self::Average(record) => &record.scores,
        }
    }
}

impl<M: Learn, B: Batches<Batch = M::Batch>> Run<M, B> {
    /// Averages the last epochs of a training that is over, measures what comes out and saves it.
    pub(crate) fn average(&mut self, to: &mut Listeners<M>) -> Result<(), TrainError> {
        let Some(Averaging { last: count }) = self.config.average else {
            self.done.average = None;
            return self.checkpoints.forget_averages();
        };
        let epochs = self.done.last_epochs(count);
        let there = self.done.average.as_ref().map(|there| there.first..=there.last);
        if there != Some(epochs.clone()) {
            self.make_average(epochs, to)?;
        }
        let best = Best::of(&self.config.metric, &self.done);
        if let (Some(record), Some(best)) = (self.done.average.clone(), best) {
            to.tell(&Event::Average { record, best, seconds: self.clock.seconds() });
        }
        Ok(())
    }

    fn make_average(
        &mut self,
        epochs: RangeInclusive<usize>,
        to: &mut Listeners<M>,
    ) -> Result<(), TrainError> {
        let (first, last) = (*epochs.start(), *epochs.end());
        let mut sums = Sums::default();
        let mut model = self.learner().model.valid();
        for epoch in epochs {
            model = self.checkpoints.model_to_average(epoch, model)?;
            sums.add(&model);
        }
        let model = sums.mean(model);
        // What is drawn at random is what it was for the last epoch, so the two compare.
        let moment = Moment { seed: self.config.seed, epoch: last, step: self.done.steps };
        self.device.seed(moment.mixed());
        let scores = (self.validate)(&model, &moment)
            .map_err(|source| TrainError::Validation { epoch: last, source })?;
        self.done.average = Some(AverageRecord { first, last, scores });
        let path = self.checkpoints.save_average(&self.done, &model)?;
        to.tell(&Event::Saved { path });
        Ok(())
    }
}

/// Sums over models, parameter by parameter in the order in which a module shows them.
#[derive(Default)]
struct Sums {
    models: usize,
    sums: Vec<Vec<f64>>,
    /// The parameter that is next.
    at: usize,
}

impl Sums {
    fn add<M: Module>(&mut self, model: &M) {
        self.at = 0;
        model.visit(self);
        self.models += 1;
    }

    /// `model` with the mean for its parameters.
    fn mean<M: Module>(mut self, model: M) -> M {
        self.at = 0;
        model.map(&mut self)
    }
}

impl ModuleVisitor for Sums {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let numbers = param.val().into_data();
        if self.models == 0 {
            self.sums.push(numbers.iter().collect());
        } else {
            let sums = self.sums[self.at].iter_mut();
            sums.zip(numbers.iter::<f64>()).for_each(|(sum, number)| *sum += number);
        }
        self.at += 1;
    }
}

impl ModuleMapper for Sums {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, value, mapper) = param.consume();
        let mut numbers = std::mem::take(&mut self.sums[self.at]);
        numbers.iter_mut().for_each(|number| *number /= self.models as f64);
        self.at += 1;
        let dtype = value.dtype();
        // Converted here, for devices without double precision.
        let mean = TensorData::new(numbers, value.dims()).convert_dtype(dtype);
        let mean = Tensor::from_data(mean, (&value.device(), dtype));
        Param::from_mapped_value(id, mean, mapper)
    }
}
