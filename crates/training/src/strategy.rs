//! Our loop inside burn-train's `SupervisedTraining`.
//!
//! burn-train contributes the dashboard, the metrics behind it, the events and the interrupter. Its
//! learner, loaders, checkpointers and early stopping are passed by: the learner copies the model
//! before every step, the loaders do not know where they are, the checkpointers panic, and early
//! stopping forgets its best value when the program ends.

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    path::Path,
    rc::Rc,
    sync::Arc,
};

use burn::{
    data::{
        dataloader::{DataLoader, DataLoaderIterator, Progress as Count},
        dataset::DatasetError,
    },
    optim::SgdConfig,
    prelude::*,
};
use burn_train::{
    EventProcessorTraining, Interrupter, LearnerEvent, SupervisedLearningStrategy,
    SupervisedTraining, SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents,
    TrainingItem, TrainingStrategy, ValidLoader,
    logger::MetricLogger,
    metric::{
        LearningRateMetric, MetricDefinition, NumericEntry,
        store::{EpochSummary, MetricsUpdate, Split},
    },
    renderer::MetricsRenderer,
};

use crate::{
    Event, Learn, Observer, Scores, StepReport, TrainConfig, TrainError,
    learner::{Learner, Number, Outcome},
};

/// Runs `job` with the listeners of a training; the model goes in and comes back with it.
pub(crate) fn host<M: Learn, T: 'static>(
    learner: Learner<M>,
    config: &TrainConfig,
    renderer: Box<dyn MetricsRenderer>,
    observer: Option<Box<dyn Observer>>,
    interrupter: &Interrupter,
    job: impl FnOnce(Learner<M>, &mut Listeners<M>) -> (Learner<M>, T) + 'static,
) -> T {
    let answer = Rc::new(Cell::new(None));
    let strategy = Strategy {
        job: RefCell::new(Some(Box::new({
            let answer = answer.clone();
            move |learner, listeners: &mut Listeners<M>| {
                let (learner, value) = job(learner, listeners);
                answer.set(Some(value));
                learner
            }
        }))),
        observer: RefCell::new(observer),
    };
    let training: SupervisedTraining<Learner<M>> =
        SupervisedTraining::new(Path::new(""), Arc::new(NoLoader), Arc::new(NoLoader));
    training
        .with_application_logger(None)
        .with_metric_logger(NoLog)
        .with_interrupter(interrupter.clone())
        .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)))
        .renderer(renderer)
        .num_epochs(config.epochs)
        .metric_train_numeric(Number::nll())
        .metric_train_numeric(Number::speed())
        .metric_train_numeric(LearningRateMetric::new())
        .metric_valid_numeric(Number::of(&config.metric))
        .launch(burn_train::Learner::new(learner, SgdConfig::new().init(), 0.0));
    answer.take().expect("the strategy has run")
}

type Job<M> = Box<dyn FnOnce(Learner<M>, &mut Listeners<M>) -> Learner<M>>;

struct Strategy<M: Learn> {
    job: RefCell<Option<Job<M>>>,
    observer: RefCell<Option<Box<dyn Observer>>>,
}

impl<M: Learn> SupervisedLearningStrategy<Learner<M>> for Strategy<M> {
    fn fit(
        &self,
        components: TrainingComponents<Learner<M>>,
        theirs: burn_train::Learner<Learner<M>>,
        _: TrainLoader<Learner<M>>,
        _: ValidLoader<Learner<M>>,
        _: usize,
    ) -> (Learner<M>, SupervisedTrainingEventProcessor<Learner<M>>) {
        let learner = theirs.model();
        // Two owners of the parameters would keep the optimizer from working in place.
        drop(theirs);
        let mut listeners = Listeners {
            processor: components.event_processor,
            interrupter: components.interrupter,
            observer: self.observer.take(),
        };
        let job = self.job.take().expect("a strategy is run once");
        (job(learner, &mut listeners), listeners.processor)
    }
}

/// Who hears of a training.
pub(crate) struct Listeners<M: Learn> {
    processor: SupervisedTrainingEventProcessor<Learner<M>>,
    interrupter: Interrupter,
    observer: Option<Box<dyn Observer>>,
}

impl<M: Learn> Listeners<M> {
    pub(crate) fn tell(&mut self, event: &Event) {
        if let Some(observer) = &mut self.observer {
            observer.observe(event);
        }
    }

    /// Whether somebody asked for a stop.
    ///
    /// # Errors
    ///
    /// If it was burn-train, because something failed.
    pub(crate) fn stop_wanted(&self) -> Result<bool, TrainError> {
        match self.interrupter.error() {
            Some(error) => Err(TrainError::Burn(error)),
            None => Ok(self.interrupter.should_stop()),
        }
    }

    pub(crate) fn start_epoch(&mut self, epoch_number: usize, total_items: usize) {
        self.learning(LearnerEvent::StartSplit { epoch_number, total_items });
    }

    pub(crate) fn step(&mut self, outcomes: Vec<Outcome<M::Carried>>, report: StepReport) {
        let before = report.batch - outcomes.len();
        for (index, mut outcome) in outcomes.into_iter().enumerate() {
            outcome.items_per_second = report.items_per_second;
            let count = Count::new(before + index + 1, report.batches, Some("batches".to_string()));
            let rate = Some(report.learning_rate.into());
            let item = TrainingItem::new(outcome, count, Some(report.step), rate);
            self.learning(LearnerEvent::ProcessedItem(item));
        }
        self.tell(&Event::Step(report));
    }

    pub(crate) fn end_epoch(&mut self, epoch: usize) {
        self.learning(LearnerEvent::EndSplit(epoch));
    }

    pub(crate) fn start_validation(&mut self, epoch_number: usize) {
        self.validating(LearnerEvent::StartSplit { epoch_number, total_items: 1 });
    }

    pub(crate) fn end_validation(&mut self, epoch: usize, scores: &Scores) {
        let count = Count::new(1, 1, None);
        let item = TrainingItem::new(scores.clone(), count, None, None);
        self.validating(LearnerEvent::ProcessedItem(item));
        self.validating(LearnerEvent::EndSplit(epoch));
        self.learning(LearnerEvent::EndEpoch(epoch));
    }

    fn learning(&mut self, event: LearnerEvent<Outcome<M::Carried>>) {
        self.interrupter.fail_on_error(self.processor.process_train(event));
    }

    fn validating(&mut self, event: LearnerEvent<Scores>) {
        self.interrupter.fail_on_error(self.processor.process_valid(event));
    }
}

/// burn-train wants loaders; the loop has its own.
struct NoLoader;

struct NoItems<O>(PhantomData<O>);

impl<O: 'static> DataLoader<O> for NoLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        Box::new(NoItems(PhantomData))
    }

    fn num_items(&self) -> usize {
        0
    }

    fn to_device(&self, _: &Device) -> Arc<dyn DataLoader<O>> {
        Arc::new(Self)
    }

    fn slice(&self, _: usize, _: usize) -> Arc<dyn DataLoader<O>> {
        Arc::new(Self)
    }
}

impl<O> Iterator for NoItems<O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl<O> DataLoaderIterator<O> for NoItems<O> {
    fn progress(&self) -> Count {
        Count::new(0, 0, None)
    }
}

/// Keeps burn-train from writing a file for every metric and epoch: the history is in the
/// checkpoints.
struct NoLog;

impl MetricLogger for NoLog {
    fn log(&mut self, _: MetricsUpdate, _: usize, _: &Split) {}

    fn read_numeric(&mut self, _: &str, _: usize, _: &Split) -> Result<Vec<NumericEntry>, String> {
        Ok(Vec::new())
    }

    fn log_metric_definition(&mut self, _: MetricDefinition) {}

    fn log_epoch_summary(&mut self, _: EpochSummary) {}
}
