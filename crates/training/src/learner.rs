//! A model as burn-train sees it: one batch forward and backward, and the numbers of its metrics.

use std::sync::Arc;

use crate::{Direction, Learn, Moment, Monitor, Scores};
use burn::{
    module::{Module, ModuleDisplay},
    optim::GradientsParams,
    prelude::*,
    tensor::{ExecutionError, TensorReadError},
};
use burn_train::{
    InferenceStep, ItemLazy, TrainOutput, TrainStep,
    metric::{
        Adaptor, Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes,
        NumericEntry, SerializedEntry,
        state::{FormatOptions, NumericMetricState},
    },
};

/// A model that is trained.
#[derive(Module, Debug)]
pub(crate) struct Learner<M: Module + ModuleDisplay> {
    pub(crate) model: M,
}

/// A batch to learn from.
pub(crate) struct Task<M: Learn> {
    pub(crate) batch: Arc<M::Batch>,
    pub(crate) carried: Option<M::Carried>,
    pub(crate) at: Moment,
    pub(crate) mean: Mean,
}

/// When the gradient of the sum becomes that of the mean.
#[derive(Clone, Copy)]
pub(crate) enum Mean {
    /// At once: the batch is a step of its own.
    Now,
    /// When all batches of the step are known.
    Later,
}

/// What is left of a batch besides its gradients.
pub(crate) struct Outcome<C> {
    /// The sums of [`Loss`](crate::Loss), `[2]`: what is minimised and the negative log-likelihood.
    pub(crate) sums: Tensor<1>,
    /// The same, when they have come to the host.
    pub(crate) loss: f64,
    pub(crate) nll: f64,
    pub(crate) weight: f64,
    pub(crate) items: usize,
    pub(crate) carried: Option<C>,
    pub(crate) items_per_second: f64,
}

impl<M: Learn> TrainStep for Learner<M> {
    type Input = Task<M>;
    type Output = Outcome<M::Carried>;

    fn step(&self, task: Task<M>) -> TrainOutput<Self::Output> {
        let (loss, carried) = self.model.learn(&task.batch, task.carried, &task.at);
        let sums = Tensor::cat(vec![loss.sum.clone().inner(), loss.nll.inner()], 0);
        let minimised = match task.mean {
            // Backwards through a division by a number, Burn rounds it to single precision.
            Mean::Now if loss.weight > 0.0 => {
                let weight = loss.sum.full_like(loss.weight).detach();
                loss.sum / weight
            }
            Mean::Now | Mean::Later => loss.sum,
        };
        let gradients = GradientsParams::from_grads(minimised.backward(), &self.model);
        let item = Outcome {
            sums,
            loss: f64::NAN,
            nll: f64::NAN,
            weight: loss.weight,
            items: loss.items,
            carried: Some(carried),
            items_per_second: 0.0,
        };
        TrainOutput { grads: gradients, item }
    }
}

/// Validation is the caller's, and its scores pass through.
impl<M: Learn> InferenceStep for Learner<M> {
    type Input = Scores;
    type Output = Scores;

    fn step(&self, scores: Scores) -> Scores {
        scores
    }
}

impl<C: Send> ItemLazy for Outcome<C> {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl ItemLazy for Scores {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

/// A number for a metric, and how many items it is a mean over.
pub(crate) type Numbers = Vec<(String, f64, usize)>;

/// The name of a speed, on the dashboard.
const SPEED: &str = "items/s";

impl<C> Adaptor<Numbers> for Outcome<C> {
    fn adapt(&self) -> Numbers {
        vec![
            ("nll".to_string(), self.nll / self.items.max(1) as f64, self.items),
            (SPEED.to_string(), self.items_per_second, self.items),
        ]
    }
}

impl Adaptor<Numbers> for Scores {
    fn adapt(&self) -> Numbers {
        self.iter().map(|(name, value)| (name.to_string(), value, 1)).collect()
    }
}

/// One of the numbers as a metric of burn-train.
#[derive(Clone)]
pub(crate) struct Number {
    name: MetricName,
    direction: Direction,
    state: NumericMetricState,
}

impl Number {
    pub(crate) fn nll() -> Self {
        Self::of(&Monitor::default())
    }

    pub(crate) fn speed() -> Self {
        Self::of(&Monitor { name: SPEED.to_string(), direction: Direction::Highest })
    }

    pub(crate) fn of(score: &Monitor) -> Self {
        Self {
            name: Arc::new(score.name.clone()),
            direction: score.direction,
            state: NumericMetricState::new(),
        }
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name.clone()).precision(4)
    }
}

impl Metric for Number {
    type Input = Numbers;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        let higher_is_better = self.direction == Direction::Highest;
        NumericAttributes { unit: None, higher_is_better }.into()
    }

    fn update(
        &mut self,
        numbers: &Numbers,
        _: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        if let Some((_, value, items)) = numbers.iter().find(|(name, ..)| *name == *self.name) {
            self.state.update(*value, *items);
        }
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for Number {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}
