//! The mean of the last epochs: what it is, when it is kept, and what it survives.

use std::{cell::RefCell, collections::VecDeque, fs, path::Path, rc::Rc};

use rstest::rstest;
use tempfile::tempdir;

use super::{
    resume::{same, stop_at},
    toy::{Pairs, Toy, alone, config, names, scripted, train, training},
};
use crate::{
    AverageRecord, Averaging, Best, Direction, EarlyStopping, Ended, Moment, Monitor, Scores,
    Shuffled, Start, TrainConfig, TrainError, Trained, Training, load_best,
};

pub(super) fn averaging(epochs: usize, last: usize) -> TrainConfig {
    TrainConfig { average: Some(Averaging { last }), ..config(epochs) }
}

/// The same, and the score "accuracy" decides.
fn by_accuracy(epochs: usize, last: usize, direction: Direction) -> TrainConfig {
    let metric = Monitor { name: "accuracy".to_string(), direction };
    TrainConfig { metric, ..averaging(epochs, last) }
}

/// The moments of all validations and the bits of their models.
type Seen = Rc<RefCell<Vec<(Moment, Vec<u32>)>>>;

/// A training that scores its epochs, and then their mean, in this order.
fn in_turn(
    folder: &Path,
    config: TrainConfig,
    scores: &[f64],
) -> (Training<Toy, Shuffled<Pairs>>, Seen) {
    let (seen, mut scores) = (Seen::default(), VecDeque::from(scores.to_vec()));
    let models = seen.clone();
    let validate = move |model: &Toy, at: &Moment| {
        models.borrow_mut().push((*at, model.bits()));
        Ok(Scores::new().with("accuracy", scores.pop_front().expect("a score for everyone")))
    };
    (Training { validate: Box::new(validate), ..training(folder, config) }, seen)
}

/// The mean of numbers that are given as bits, in double precision.
fn mean(models: &[(Moment, Vec<u32>)]) -> Vec<u32> {
    let number = |model: &[u32], at: usize| f64::from(f32::from_bits(model[at]));
    let mean = |at| {
        let sum: f64 = models.iter().map(|(_, model)| number(model, at)).sum();
        (sum / models.len() as f64) as f32
    };
    (0..models[0].1.len()).map(|at| mean(at).to_bits()).collect()
}

fn average_of(trained: &Trained<Toy>) -> (usize, usize) {
    let AverageRecord { first, last, .. } = trained.average.as_ref().expect("it was asked for");
    (*first, *last)
}

/// The models of the epochs are caught at their validation.
#[rstest]
#[case(4, 3)]
#[case(3, 3)]
#[case(5, 2)]
fn the_average_is_the_mean_of_the_last_epochs(#[case] epochs: usize, #[case] last: usize) {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let scores = [vec![0.5; epochs], vec![0.9]].concat();
    let config = by_accuracy(epochs, last, Direction::Highest);
    let (training, seen) = in_turn(folder.path(), config.clone(), &scores);
    let trained = training.run().unwrap();

    let seen = seen.borrow();
    assert_eq!(seen.len(), epochs + 1);
    let expected = mean(&seen[epochs - last..epochs]);
    assert_ne!(expected, seen[epochs - 1].1);
    assert_eq!(seen[epochs].1, expected, "validated");
    assert_eq!(trained.model.bits(), expected, "returned");
    assert_eq!(seen[epochs].0, seen[epochs - 1].0, "as the last epoch is");
    assert_eq!(average_of(&trained), (epochs - last + 1, epochs));
    assert_eq!(trained.history.len(), epochs);

    let (loaded, best) = load_best(Toy::new(0.2), folder.path(), &config.metric).unwrap().unwrap();
    assert_eq!((loaded.bits(), Some(best)), (expected, trained.best));
}

/// Of two epochs and their mean, which is the third score, the better is left; of equals the mean.
#[rstest]
#[case(Direction::Highest, [0.5, 0.7, 0.8], None)]
#[case(Direction::Highest, [0.5, 0.7, 0.7], None)]
#[case(Direction::Highest, [0.5, 0.7, 0.6], Some(2))]
#[case(Direction::Highest, [0.5, 0.7, f64::INFINITY], Some(2))]
#[case(Direction::Lowest, [0.5, 0.7, 0.4], None)]
#[case(Direction::Lowest, [0.5, 0.7, 0.5], None)]
#[case(Direction::Lowest, [0.5, 0.7, 0.6], Some(1))]
#[case(Direction::Lowest, [0.5, 0.7, f64::NAN], Some(1))]
fn the_better_is_kept(
    #[case] direction: Direction,
    #[case] scores: [f64; 3],
    #[case] epoch: Option<usize>,
) {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let config = by_accuracy(2, 2, direction);
    let (training, seen) = in_turn(folder.path(), config.clone(), &scores);
    let trained = training.run().unwrap();
    let best = trained.best.as_ref().unwrap();
    let kept = match best {
        Best::Epoch(record) => Some(record.epoch),
        Best::Average(record) => {
            assert_eq!(Some(record), trained.average.as_ref());
            None
        }
    };
    let index = epoch.map_or(2, |epoch| epoch - 1);
    assert_eq!(kept, epoch);
    assert_eq!(best.scores().get("accuracy"), Some(scores[index]));
    assert_eq!(trained.model.bits(), seen.borrow()[index].1);
    let measured = trained.average.as_ref().unwrap().scores.get("accuracy").unwrap();
    assert_eq!(measured.to_bits(), scores[2].to_bits());
    let (loaded, _) = load_best(Toy::new(0.2), folder.path(), &config.metric).unwrap().unwrap();
    assert_eq!(loaded.bits(), trained.model.bits());
}

/// Training stops after four epochs of eight.
#[rstest]
#[case(3, (2, 4))]
#[case(8, (1, 4))]
fn early_stopping_averages_what_there_was(#[case] last: usize, #[case] epochs: (usize, usize)) {
    let _alone = alone();
    let early_stopping = Some(EarlyStopping { patience: 2 });
    let config = TrainConfig { early_stopping, ..by_accuracy(8, last, Direction::Highest) };
    let scores = [0.5, 0.6, 0.4, 0.3, 0.9];
    let (training, seen) = in_turn(tempdir().unwrap().path(), config, &scores);
    let trained = training.run().unwrap();
    assert_eq!((trained.ended, average_of(&trained)), (Ended::EarlyStopped, epochs));
    assert_eq!(trained.model.bits(), mean(&seen.borrow()[epochs.0 - 1..epochs.1]));
}

/// Scores by the epoch: the mean is measured as the last, so it is kept where that is the best.
const KEPT: &[f64] = &[0.1, 0.2, 0.3];
const BEATEN: &[f64] = &[0.1, 0.3, 0.2];

/// Stopped after any step and continued, it ends with the same bits.
#[rstest]
fn a_stopped_run_has_the_same_average(
    #[values(1, 6, 9, 12, 17, 18)] step: usize,
    #[values(KEPT, BEATEN)] scores: &'static [f64],
) {
    let _alone = alone();
    let run = |folder: &Path| scripted(folder, by_accuracy(3, 2, Direction::Highest), scores);
    let whole = run(tempdir().unwrap().path()).run().unwrap();
    let kept = matches!(whole.best, Some(Best::Average(_)));
    assert_eq!((kept, average_of(&whole)), (scores == KEPT, (2, 3)));
    let folder = tempdir().unwrap();
    let stopped = stop_at(run(folder.path()), step);
    assert_eq!((stopped.ended, stopped.average), (Ended::Interrupted, None));
    let resumed = Training { start: Start::Resume, ..run(folder.path()) }.run().unwrap();
    same(&resumed, &whole);
}

/// What it takes to average is kept from epoch to epoch, beside the newest two and the best.
#[test]
fn the_last_epochs_are_kept() {
    let _alone = alone();
    const SCORES: &[f64] = &[0.5, 0.8, 0.1, 0.6, 0.2, 0.3];
    let folder = tempdir().unwrap();
    let run = |epochs| scripted(folder.path(), by_accuracy(epochs, 3, Direction::Highest), SCORES);
    run(5).run().unwrap();
    let five = ["average-0005", "epoch-0002", "epoch-0003", "epoch-0004", "epoch-0005"];
    assert_eq!(names(folder.path()), five);
    Training { start: Start::Resume, ..run(6) }.run().unwrap();
    let six = ["average-0006", "epoch-0002", "epoch-0004", "epoch-0005", "epoch-0006"];
    assert_eq!(names(folder.path()), six);
}

/// A run that was averaged and then made longer is one that was as long from the start. While it
/// goes on there is no average.
#[rstest]
fn an_averaged_run_can_be_extended(#[values(3, 4)] last: usize) {
    let _alone = alone();
    let whole = train(tempdir().unwrap().path(), averaging(4, last), Start::Fresh).unwrap();
    let folder = tempdir().unwrap();
    train(folder.path(), averaging(3, 3), Start::Fresh).unwrap();
    let longer = || {
        let training = training(folder.path(), averaging(4, last));
        Training { start: Start::Resume, ..training }
    };
    let stopped = stop_at(longer(), 20);
    assert_eq!((stopped.ended, &stopped.average), (Ended::Interrupted, &None));
    assert!(matches!(stopped.best, Some(Best::Epoch(_))));
    same(&longer().run().unwrap(), &whole);
}

/// What is finished is not measured again; another number of epochs to average is.
#[test]
fn a_finished_run_is_averaged_anew_only_where_it_has_to_be() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let run = |start, config: TrainConfig, scores: &[f64]| {
        let (training, seen) = in_turn(folder.path(), config, scores);
        let trained = Training { start, ..training }.run().unwrap();
        (trained, seen.take())
    };
    let config = |last| by_accuracy(4, last, Direction::Highest);
    let (whole, seen) = run(Start::Fresh, config(3), &[0.1, 0.2, 0.4, 0.3, 0.9]);
    let (again, none) = run(Start::Resume, config(3), &[]);
    assert!(none.is_empty());
    same(&again, &whole);

    let (shorter, one) = run(Start::Resume, config(2), &[0.8]);
    assert_eq!((one.len(), average_of(&shorter)), (1, (3, 4)));
    assert_eq!(shorter.model.bits(), mean(&seen[2..4]));

    let without = TrainConfig { average: None, ..config(2) };
    let (best, none) = run(Start::Resume, without.clone(), &[]);
    assert!(none.is_empty() && best.average.is_none());
    assert_eq!(best.model.bits(), seen[2].1);
    let (loaded, _) = load_best(Toy::new(0.2), folder.path(), &without.metric).unwrap().unwrap();
    assert_eq!(loaded.bits(), seen[2].1);
}

/// An average that a file system damaged is made again, and said so.
#[rstest]
#[case("model.bpk", "model.bpk is damaged")]
#[case("state.json", "EOF while parsing")]
fn a_damaged_average_is_made_again(#[case] file: &str, #[case] why: &str) {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let whole = train(folder.path(), averaging(3, 2), Start::Fresh).unwrap();
    let path = folder.path().join("average-0003").join(file);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    let resumed = train(folder.path(), averaging(3, 2), Start::Resume).unwrap();
    assert_eq!(resumed.skipped.len(), 1);
    assert!(resumed.skipped[0].why.contains(why), "{}", resumed.skipped[0].why);
    same(&resumed, &whole);
}

/// An epoch that is not there any more is named, and fewer epochs can be averaged.
#[test]
fn an_epoch_that_was_not_kept_is_named() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    train(folder.path(), config(5), Start::Fresh).unwrap();
    let error = train(folder.path(), averaging(5, 5), Start::Resume).unwrap_err();
    let TrainError::Average { .. } = &error else { panic!("{error}") };
    assert!(error.to_string().contains("epoch-0001`: state.json: No such file"), "{error}");
    let trained = train(folder.path(), averaging(5, 2), Start::Resume).unwrap();
    assert_eq!(average_of(&trained), (4, 5));
}

/// The error of a validation of the mean is one of training.
#[test]
fn validation_of_the_average_may_fail() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let mut training = training(folder.path(), averaging(2, 2));
    let mut count = 0;
    training.validate = Box::new(move |_, at| {
        count += 1;
        match count {
            3 => Err("no references".into()),
            _ => Ok(Scores::new().with("nll", at.epoch as f64)),
        }
    });
    let error = training.run().unwrap_err();
    assert_eq!(error.to_string(), "validation failed after epoch 2: no references");
    let metric = Monitor::default();
    let (_, best) = load_best(Toy::new(0.2), folder.path(), &metric).unwrap().unwrap();
    assert!(matches!(best, Best::Epoch(record) if record.epoch == 1));
}
