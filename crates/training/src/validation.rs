//! The loss of a model over data it does not learn from.

use crate::{Batches, Learn, Moment, Past, Scores};

/// A negative log-likelihood over a set of batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValidationLoss {
    /// Per item, in nats; 0 without items.
    pub nll: f64,
    /// Items, i.e. tokens or examples.
    pub items: usize,
}

impl ValidationLoss {
    /// The scores "nll" and "ppl", the perplexity `e^nll`.
    pub fn scores(&self) -> Scores {
        Scores::new().with("nll", self.nll).with("ppl", self.nll.exp())
    }
}

/// The negative log-likelihood of `batches` under `model`, averaged over items. State is carried
/// from batch to batch where the batches say so. `at` is handed to the model.
pub fn validation_loss<M, B>(model: &M, batches: &B, at: &Moment) -> ValidationLoss
where
    M: Learn,
    B: Batches<Batch = M::Batch>,
{
    let (mut sum, mut items) = (0.0, 0);
    let mut carried = None;
    for plan in batches.epoch(0, 1) {
        let before = carried.take().filter(|_| batches.past(&plan) == Past::Carried);
        let (loss, state) = model.learn(&batches.batch(&plan), before, at);
        sum += loss.nll.into_data().iter::<f64>().sum::<f64>();
        items += loss.items;
        carried = Some(state);
    }
    ValidationLoss { nll: sum / items.max(1) as f64, items }
}
