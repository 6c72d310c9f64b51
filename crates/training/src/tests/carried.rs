//! State that goes from batch to batch: its numbers do, its gradients do not.

use burn::{
    module::{Module, Param},
    prelude::*,
};
use tempfile::tempdir;

use super::toy::{alone, names};
use crate::{
    Batches, Carried, Ended, Event, InOrder, Interrupter, Learn, Loss, Moment, OptimizerConfig,
    Past, Progress, Scores, Start, TrainConfig, Trained, Training, validation_loss,
};

/// `s ← w s + x`, and the loss is `s`.
#[derive(Module, Debug)]
struct Chain {
    weight: Param<Tensor<1>>,
}

#[derive(Clone)]
struct Sum(Tensor<1>);

impl Carried for Sum {
    fn detach(self) -> Self {
        Self(self.0.detach())
    }
}

/// `x`, the weight of the loss, and what is before it.
type Link = (f64, f64, Past);

impl Learn for Chain {
    type Batch = Link;
    type Carried = Sum;

    fn learn(&self, (x, weight, _): &Link, carried: Option<Sum>, _: &Moment) -> (Loss, Sum) {
        let w = self.weight.val();
        let before = carried.map_or_else(|| w.zeros_like(), |sum| sum.0);
        let s = (w * before).add_scalar(*x);
        let loss = Loss { sum: s.clone(), weight: *weight, nll: s.clone(), items: 1 };
        (loss, Sum(s))
    }
}

#[derive(Clone)]
struct Links(Vec<Link>);

impl Batches for Links {
    type Plan = Link;
    type Batch = Link;

    fn epoch(&self, _: u64, _: usize) -> Vec<Link> {
        self.0.clone()
    }

    fn batch(&self, plan: &Link) -> Link {
        *plan
    }

    fn past(&self, plan: &Link) -> Past {
        plan.2
    }
}

const RATE: f64 = 0.1;

fn links() -> Links {
    let (new, on) = (Past::None, Past::Carried);
    Links(vec![(1.0, 1.0, new), (0.5, 1.0, on), (-2.0, 1.0, on), (3.0, 1.0, new), (1.0, 1.0, on)])
}

fn training(folder: &std::path::Path, links: Links) -> Training<Chain, Links> {
    let model = Chain { weight: Param::from_data([0.5], &Device::flex().autodiff()) };
    let optimizer = OptimizerConfig::Sgd {};
    let config =
        TrainConfig { epochs: 2, optimizer, learning_rate: RATE, ..TrainConfig::default() };
    let validate = |model: &Chain, _: &Moment| {
        Ok(Scores::new().with("nll", -model.weight.val().into_scalar::<f64>()))
    };
    Training::new(model, links, validate, config, folder.to_path_buf())
}

fn weight(trained: &Trained<Chain>) -> f64 {
    trained.model.weight.val().into_scalar()
}

/// `∂s/∂w` is the state before, as a number: what `w` did to it earlier does not count.
#[test]
fn numbers_flow_and_gradients_do_not() {
    let _alone = alone();
    let (mut w, mut s) = (0.5, 0.0);
    let mut best = w;
    for _ in 0..2 {
        for (x, _, past) in links().0 {
            let before = if past == Past::Carried { s } else { 0.0 };
            s = w * before + x;
            w -= RATE * before;
        }
        best = w.max(best);
    }
    let folder = tempdir().unwrap();
    let trained = training(folder.path(), links()).run().unwrap();
    let last = trained.history.last().unwrap().scores.get("nll").unwrap();
    assert!((last + w).abs() < 1e-6, "{last} for {w}");
}

/// A step whose weight is 0 has nothing to learn from and changes nothing.
#[test]
fn x7_a_step_without_weight_changes_nothing() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let nothing = Links(vec![(1.0, 1.0, Past::None), (1.0, 0.0, Past::Carried)]);
    let trained = training(folder.path(), nothing).run().unwrap();
    assert_eq!((weight(&trained), trained.steps), (0.5, 4));
}

/// Stopped where the next batch needs the state, it goes on to where none does, and is saved there; of a
/// chain that is too long the epoch is done again. Either has the same end.
#[test]
fn a_stop_inside_a_chain_waits_for_its_end() {
    let _alone = alone();
    let long = Links(
        (0..200).map(|n| (0.01, 1.0, if n == 0 { Past::None } else { Past::Carried })).collect(),
    );
    let cases = [
        (links(), 1, "epoch-0000-batch-000003"),
        (links(), 3, "epoch-0000-batch-000003"),
        (long, 5, "epoch-0000"),
    ];
    for (links, step, saved) in cases {
        let links = || links.clone();
        let whole = training(tempdir().unwrap().path(), links()).run().unwrap();
        let folder = tempdir().unwrap();
        let mut stopped = training(folder.path(), links());
        let interrupter = Interrupter::new();
        stopped.interrupter = interrupter.clone();
        stopped.progress = Progress::Observer(Box::new(move |event: &Event| {
            if matches!(event, Event::Step(report) if report.step == step) {
                interrupter.stop(None);
            }
        }));
        assert_eq!(stopped.run().unwrap().ended, Ended::Interrupted);
        assert_eq!(names(folder.path()).last().unwrap(), saved);
        let resumed = Training { start: Start::Resume, ..training(folder.path(), links()) };
        let resumed = resumed.run().unwrap();
        assert_eq!((weight(&resumed), &resumed.history), (weight(&whole), &whole.history));
    }
}

/// Validation carries state as training does: `s` is 1, 1, −1.5, 3, 2.5 with `w = ½`.
#[test]
fn validation_carries_state() {
    let model = Chain { weight: Param::from_data([0.5], &Device::flex()) };
    let at = Moment { seed: 1, epoch: 1, step: 0 };
    let loss = validation_loss(&model, &links(), &at);
    assert!((loss.nll - (1.0 + 1.0 - 1.5 + 3.0 + 2.5) / 5.0).abs() < 1e-6);
    assert_eq!(loss.items, 5);
    let none = validation_loss(&model, &InOrder(Vec::new()), &at);
    assert_eq!((none.nll, none.items), (0.0, 0));
}
