use std::error::Error;

use rstest::rstest;
use tempfile::tempdir;

use super::toy::{Pairs, Toy, alone, config, data, names, scripted, train, training};
use crate::{
    Batches, Best, Decay, Direction, EarlyStopping, Ended, EpochRecord, Moment, Monitor, Schedule,
    Scores, Start, TrainConfig, TrainError, Training, load_best,
};

fn accuracy(direction: Direction) -> Monitor {
    Monitor { name: "accuracy".to_string(), direction }
}

fn epoch_of(best: Best) -> usize {
    match best {
        Best::Epoch(record) => record.epoch,
        Best::Average(_) => panic!("nothing is averaged"),
    }
}

fn patient(patience: usize, direction: Direction) -> TrainConfig {
    TrainConfig {
        early_stopping: Some(EarlyStopping { patience }),
        metric: accuracy(direction),
        ..config(8)
    }
}

/// The best is of its epoch, not of the last, and the direction decides which it is.
#[rstest]
#[case(Direction::Highest, 2, 4)]
#[case(Direction::Lowest, 3, 5)]
fn training_stops_when_the_score_gets_no_better(
    #[case] direction: Direction,
    #[case] best: usize,
    #[case] last: usize,
) {
    let _alone = alone();
    const SCORES: &[f64] = &[0.5, 0.8, 0.1, 0.8, 0.2, 0.3, 0.4, 0.5];
    let folder = tempdir().unwrap();
    let trained = scripted(folder.path(), patient(2, direction), SCORES).run().unwrap();
    assert_eq!(trained.ended, Ended::EarlyStopped);
    assert_eq!((epoch_of(trained.best.unwrap()), trained.history.len()), (best, last));

    let until_best = TrainConfig { metric: accuracy(direction), ..config(best) };
    let shorter = scripted(tempdir().unwrap().path(), until_best, SCORES).run().unwrap();
    assert_eq!(trained.model.bits(), shorter.model.bits());
    let (loaded, record) =
        load_best(Toy::new(0.2), folder.path(), &accuracy(direction)).unwrap().unwrap();
    assert_eq!((loaded.bits(), epoch_of(record)), (shorter.model.bits(), best));
}

/// The newest two and the best are kept.
#[test]
fn older_checkpoints_are_removed() {
    let _alone = alone();
    const SCORES: &[f64] = &[0.5, 0.8, 0.1, 0.6, 0.2];
    let folder = tempdir().unwrap();
    let config = TrainConfig { metric: accuracy(Direction::Highest), ..config(5) };
    scripted(folder.path(), config, SCORES).run().unwrap();
    assert_eq!(names(folder.path()), ["epoch-0002", "epoch-0004", "epoch-0005"]);
}

/// A plateau is counted anew after each cut: of five epochs that are no better than the second,
/// the second and the fourth cut.
#[test]
fn plateaus_are_counted_from_the_history() {
    let record = |(index, value): (usize, &f64)| EpochRecord {
        epoch: index + 1,
        steps: 0,
        loss: 0.0,
        nll: 0.0,
        items: 0,
        learning_rate: 0.0,
        gradient_norm: 0.0,
        scores: Scores::new().with("nll", *value),
    };
    let history: Vec<_> =
        [3.0, 2.0, 2.5, 2.0, 2.1, 2.2, 2.3].iter().enumerate().map(record).collect();
    let plateaus: Vec<_> =
        (0..=7).map(|epochs| Monitor::default().plateaus(&history[..epochs], 2)).collect();
    assert_eq!(plateaus, [0, 0, 0, 0, 1, 1, 2, 2]);
}

/// The rate of an epoch is cut by what the epochs before it scored.
#[test]
fn the_rate_is_cut_on_a_plateau() {
    let _alone = alone();
    let decay = Decay::Plateau { factor: 0.5, patience: 1 };
    let schedule = Schedule { decay, ..Schedule::default() };
    let metric = accuracy(Direction::Highest);
    let config = TrainConfig { schedule, metric, ..config(5) };
    const SCORES: &[f64] = &[0.5, 0.4, 0.6, 0.6, 0.6];
    let trained = scripted(tempdir().unwrap().path(), config, SCORES).run().unwrap();
    let rates: Vec<f64> = trained.history.iter().map(|record| record.learning_rate).collect();
    assert_eq!(rates, [0.05, 0.05, 0.025, 0.025, 0.0125]);
}

/// Batches of which one has a number that is not finite, in the second epoch.
struct Poisoned(f32);

impl Batches for Poisoned {
    type Plan = (usize, usize);
    type Batch = Pairs;

    fn epoch(&self, _: u64, epoch: usize) -> Vec<(usize, usize)> {
        (0..6).map(|batch| (epoch, batch)).collect()
    }

    fn batch(&self, plan: &(usize, usize)) -> Pairs {
        let mut batch = data(6).swap_remove(plan.1);
        if *plan == (2, 3) {
            batch.x[1][2] = self.0;
        }
        batch
    }
}

/// training ends at the step that is not finite, with its number, and keeps the best epoch.
#[rstest]
#[case(f32::NAN, "the loss")]
#[case(f32::INFINITY, "the loss")]
#[case(1e19, "the norm of the gradient")]
fn x8_what_is_not_finite_ends_the_training(#[case] value: f32, #[case] culprit: &str) {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let (model, folder_of_run) = (Toy::new(0.0), folder.path().to_path_buf());
    let poisoned = Training::new(model, Poisoned(value), content, config(3), folder_of_run);
    let Err(TrainError::NotFinite { epoch, step, what }) = poisoned.run() else {
        panic!("the training has to end");
    };
    assert_eq!((epoch, step, what.as_str()), (2, 9, culprit));
    assert_eq!(names(folder.path()), ["epoch-0000", "epoch-0001"]);
    let best = load_best(Toy::new(0.0), folder.path(), &Monitor::default()).unwrap();
    assert_eq!(epoch_of(best.unwrap().1), 1);
}

/// Validation that is content with any model.
fn content(_: &Toy, at: &Moment) -> Result<Scores, Box<dyn Error + Send + Sync>> {
    Ok(Scores::new().with("nll", at.epoch as f64))
}

/// weights that are not finite never reach a checkpoint, whatever validation says.
#[test]
fn x8_weights_that_are_not_finite_are_not_saved() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let config = TrainConfig { learning_rate: 1e300, ..config(2) };
    let mut training = training(folder.path(), config);
    training.batches.0.truncate(1);
    training.validate = Box::new(content);
    let error = training.run().unwrap_err();
    assert!(
        error.to_string().starts_with("a parameter is not finite in epoch 1, step 1"),
        "{error}"
    );
    assert_eq!(names(folder.path()), ["epoch-0000"]);
}

/// a score that decides and is not a number is an error too.
#[test]
fn x8_a_score_that_is_not_finite_is_an_error() {
    let _alone = alone();
    let config = TrainConfig { metric: accuracy(Direction::Highest), ..config(2) };
    let error = scripted(tempdir().unwrap().path(), config, &[0.5, f64::NAN]).run().unwrap_err();
    let expected = "the validation score `accuracy` is not finite in epoch 2, step 12; \
                    the last checkpoint is kept";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_score_that_is_not_there_is_an_error() {
    let _alone = alone();
    let metric = Monitor { name: "bleu".to_string(), direction: Direction::Highest };
    let config = TrainConfig { metric, ..config(1) };
    let error = train(tempdir().unwrap().path(), config, Start::Fresh).unwrap_err();
    assert_eq!(error.to_string(), "validation gives no `bleu`, only `nll`, `ppl`");
}

#[test]
fn validation_may_fail() {
    let _alone = alone();
    let mut training = training(tempdir().unwrap().path(), config(1));
    training.validate = Box::new(|_, _| Err("no references".into()));
    let error = training.run().unwrap_err();
    assert_eq!(error.to_string(), "validation failed after epoch 1: no references");
}
