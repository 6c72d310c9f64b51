//! A training in a process of its own that is killed without warning.

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use rstest::rstest;
use tempfile::tempdir;

use super::{
    average::averaging,
    resume::same,
    toy::{alone, config, train, training},
};
use crate::{Event, Progress, Start, TrainConfig, Training, holds_run};

/// Where the child trains; set by the parent.
const FOLDER: &str = "RECURRENT_TRAINING_KILLED_IN";

/// How many epochs the child averages; set by the parent, to 0 for none.
const LAST: &str = "RECURRENT_TRAINING_KILLED_AVERAGES";

const EPOCHS: usize = 3;

fn settings(last: usize) -> TrainConfig {
    if last == 0 { config(EPOCHS) } else { averaging(EPOCHS, last) }
}

fn start(folder: &Path) -> Start {
    if holds_run(folder) { Start::Resume } else { Start::Fresh }
}

/// Not a test of its own: what the child runs. It writes a line for every event.
#[test]
fn child() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let tell = |event: &Event| match event {
        Event::Step(_) => println!("step"),
        Event::Saved { .. } => println!("saved"),
        Event::Started { .. }
        | Event::Epoch { .. }
        | Event::Average { .. }
        | Event::Ended { .. }
        | Event::Skipped(_) => {}
    };
    let progress = Progress::Observer(Box::new(tell));
    let last = env::var(LAST).unwrap().parse().unwrap();
    let training = training(folder, settings(last));
    Training { start: start(folder), progress, ..training }.run().unwrap();
}

/// Runs the child until it has told `events` events, and kills it; where exactly it is then, in a
/// step or in the writing of a checkpoint or already at the end, makes no difference.
fn killed_after(events: usize, folder: &Path, last: usize) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "tests::killed::child", "--nocapture"])
        .env(FOLDER, folder)
        .env(LAST, last.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.map(Result::unwrap).filter(|line| line == "step" || line == "saved");
    told.take(events).for_each(drop);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Killed once, or again and again, it ends with the bits of a run that was left alone. A run of
/// three epochs tells of 22 events, and of one more if it averages.
#[rstest]
#[case(&[1])]
#[case(&[4])]
#[case(&[7])]
#[case(&[8])]
#[case(&[14])]
#[case(&[15])]
#[case(&[22])]
#[case(&[3, 5, 9, 2])]
fn a_killed_run_ends_like_one_that_was_left_alone(
    #[case] kills: &[usize],
    #[values(0, 2)] last: usize,
) {
    let _alone = alone();
    let whole = train(tempdir().unwrap().path(), settings(last), Start::Fresh).unwrap();
    let folder = tempdir().unwrap();
    for events in kills {
        killed_after(*events, folder.path(), last);
    }
    assert!(holds_run(folder.path()));
    let resumed = train(folder.path(), settings(last), Start::Resume).unwrap();
    assert!(resumed.skipped.is_empty());
    same(&resumed, &whole);
}
