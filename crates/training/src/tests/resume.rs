use std::{cell::RefCell, rc::Rc};

use recurrent_testkit::in_f64;
use rstest::rstest;
use tempfile::tempdir;

use super::toy::{Pairs, Toy, alone, config, data, train, training};
use crate::{
    AdamThenSgd, Ended, Event, InOrder, Interrupter, Moment, OptimizerConfig, Progress, Scores,
    Shuffled, Start, TrainConfig, Trained, Training,
};

pub(super) fn same(a: &Trained<Toy>, b: &Trained<Toy>) {
    assert_eq!(a.model.bits(), b.model.bits());
    assert_eq!(a.history, b.history);
    assert_eq!(a.steps, b.steps);
    assert_eq!(a.best, b.best);
    assert_eq!(a.average, b.average);
}

/// A training that is asked to stop when it has taken `step` steps.
pub(super) fn stop_at(mut training: Training<Toy, Shuffled<Pairs>>, step: usize) -> Trained<Toy> {
    let interrupter = Interrupter::new();
    training.interrupter = interrupter.clone();
    training.progress = Progress::Observer(Box::new(move |event: &Event| {
        if matches!(event, Event::Step(report) if report.step == step) {
            interrupter.stop(None);
        }
    }));
    training.run().unwrap()
}

/// X-3: the same seed is the same run, bit for bit; another seed is another run.
#[test]
fn x3_the_seed_decides_the_run() {
    let _alone = alone();
    let run = |seed| {
        train(tempdir().unwrap().path(), TrainConfig { seed, ..config(2) }, Start::Fresh).unwrap()
    };
    same(&run(1), &run(1));
    assert_ne!(run(1).model.bits(), run(2).model.bits());
}

/// Stopped after any step, also the last of an epoch, and continued, it ends with the same bits.
#[rstest]
fn a_stopped_run_ends_like_one_that_was_left_alone(#[values(1, 4, 6, 9, 12, 17)] step: usize) {
    let _alone = alone();
    let whole = train(tempdir().unwrap().path(), config(3), Start::Fresh).unwrap();
    let folder = tempdir().unwrap();
    let stopped = stop_at(training(folder.path(), config(3)), step);
    assert_eq!((stopped.ended, stopped.steps), (Ended::Interrupted, step));
    let resumed = train(folder.path(), config(3), Start::Resume).unwrap();
    assert_eq!(resumed.ended, Ended::Finished);
    same(&resumed, &whole);
}

/// The same with every optimizer, whose state goes through the checkpoint, and with accumulation.
#[rstest]
#[case(r#""sgd""#)]
#[case(r#""momentum""#)]
#[case(r#""adam""#)]
#[case(r#""adam_w""#)]
#[case(r#""adagrad""#)]
#[case(r#""adadelta""#)]
#[case(r#""rms_prop""#)]
#[case(r#"{ "adam_then_sgd": { "switch_step": 4, "sgd_rate": 0.1 } }"#)]
fn optimizers_survive_a_stop(#[case] optimizer: &str) {
    let _alone = alone();
    let text = format!(r#"{{ "epochs": 2, "optimizer": {optimizer}, "accumulate": 2 }}"#);
    let config: TrainConfig = serde_json::from_str(&text).unwrap();
    let whole = train(tempdir().unwrap().path(), config.clone(), Start::Fresh).unwrap();
    let folder = tempdir().unwrap();
    stop_at(training(folder.path(), config.clone()), 4);
    same(&train(folder.path(), config, Start::Resume).unwrap(), &whole);
}

/// The toy without dropout and its optimizers, by their formulas, in double precision.
struct ByHand {
    /// `W`, `[3, 2]`, and `b` behind it.
    w: Vec<f64>,
    m: Vec<f64>,
    v: Vec<f64>,
    steps: i32,
}

impl ByHand {
    fn new(toy: &Toy) -> Self {
        let w: Vec<f64> = toy.bits().into_iter().map(|bits| f32::from_bits(bits).into()).collect();
        let zeros = vec![0.0; w.len()];
        Self { w, m: zeros.clone(), v: zeros, steps: 0 }
    }

    /// Of the mean over the rows of the squared errors.
    fn gradient(&self, batch: &Pairs) -> Vec<f64> {
        let mut g = vec![0.0; self.w.len()];
        for (x, y) in batch.x.iter().zip(&batch.y) {
            for (k, y) in y.iter().enumerate() {
                let says = (0..3).map(|i| f64::from(x[i]) * self.w[2 * i + k]).sum::<f64>();
                let error = says + self.w[6 + k] - f64::from(*y);
                let share = 2.0 * error / batch.x.len() as f64;
                for (i, x) in x.iter().enumerate() {
                    g[2 * i + k] += share * f64::from(*x);
                }
                g[6 + k] += share;
            }
        }
        g
    }

    fn adam(&mut self, g: &[f64], rate: f64) {
        self.steps += 1;
        let [one, two] = [0.9_f64, 0.999].map(|beta| 1.0 - beta.powi(self.steps));
        for (n, g) in g.iter().enumerate() {
            self.m[n] = 0.9 * self.m[n] + 0.1 * g;
            self.v[n] = 0.999 * self.v[n] + 0.001 * g * g;
            self.w[n] -= rate * (self.m[n] / one) / ((self.v[n] / two).sqrt() + 1e-8);
        }
    }

    fn descend(&mut self, g: &[f64], rate: f64) {
        self.w.iter_mut().zip(g).for_each(|(w, g)| *w -= rate * g);
    }
}

/// GN-12: Adam's state does not go over to gradient descent: from the switch on, every step is `η g`.
#[test]
fn adam_hands_over_to_gradient_descent() {
    let _alone = alone();
    let both = AdamThenSgd {
        switch_step: 6,
        sgd_rate: 0.5,
        halve_from: 8,
        halve_every: 2,
        ..AdamThenSgd::default()
    };
    let optimizer = OptimizerConfig::AdamThenSgd(both);
    let folder = tempdir().unwrap();
    let rates = Rc::new(RefCell::new(Vec::new()));
    let seen = rates.clone();
    let config = TrainConfig { optimizer, clip_norm: None, ..config(2) };
    // The last epoch is the best.
    let validate = |_: &Toy, at: &Moment| Ok(Scores::new().with("nll", -(at.epoch as f64)));
    let path = folder.path().to_path_buf();
    let (toy, batches) = (Toy::new(0.0), InOrder(data(6)));
    let mut by_hand = ByHand::new(&toy);
    let mut training = Training::new(toy, batches, validate, config, path);
    training.progress = Progress::Observer(Box::new(move |event: &Event| {
        if let Event::Step(report) = event {
            seen.borrow_mut().push(report.learning_rate);
        }
    }));
    let ended = training.run().unwrap().model;
    let expected = [[0.05; 6].as_slice(), &[0.5, 0.5, 0.5, 0.5, 0.25, 0.25]].concat();
    assert_eq!(*rates.borrow(), expected);

    for (step, (batch, rate)) in data(6).iter().cycle().zip(expected).enumerate() {
        let g = by_hand.gradient(batch);
        if step < 6 { by_hand.adam(&g, rate) } else { by_hand.descend(&g, rate) }
    }
    for (found, expected) in ByHand::new(&ended).w.iter().zip(&by_hand.w) {
        assert!((found - expected).abs() < 1e-5, "{found} and {expected}");
    }
}

/// A run can be made longer: two epochs and then a third are three.
#[test]
fn a_finished_run_can_be_extended() {
    let _alone = alone();
    let whole = train(tempdir().unwrap().path(), config(3), Start::Fresh).unwrap();
    let folder = tempdir().unwrap();
    train(folder.path(), config(2), Start::Fresh).unwrap();
    same(&train(folder.path(), config(3), Start::Resume).unwrap(), &whole);
}

/// Resuming what is finished changes nothing.
#[test]
fn a_finished_run_stays_finished() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let whole = train(folder.path(), config(2), Start::Fresh).unwrap();
    same(&train(folder.path(), config(2), Start::Resume).unwrap(), &whole);
}

/// Burn reads optimizer states back in single precision: better an error than other numbers.
#[test]
fn double_precision_is_not_resumed() {
    let folder = tempdir().unwrap();
    let training = training(folder.path(), config(2));
    let double = Training { model: in_f64(Toy::new(0.0)), start: Start::Resume, ..training };
    let error = double.run().unwrap_err();
    let expected = "only a model in single precision can be resumed, this one has f64";
    assert_eq!(error.to_string(), expected);
}
