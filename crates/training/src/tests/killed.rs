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
    resume::same,
    toy::{alone, config, train, training},
};
use crate::{Event, Progress, Start, Training, holds_run};

/// Where the child trains; set by the parent.
const FOLDER: &str = "RECURRENT_TRAINING_KILLED_IN";

const EPOCHS: usize = 3;

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
        Event::Started { .. } | Event::Epoch { .. } | Event::Ended { .. } | Event::Skipped(_) => {}
    };
    let progress = Progress::Observer(Box::new(tell));
    let training = training(folder, config(EPOCHS));
    Training { start: start(folder), progress, ..training }.run().unwrap();
}

/// Runs the child until it has told `events` events, and kills it; where exactly it is then, in a
/// step or in the writing of a checkpoint, makes no difference.
fn killed_after(events: usize, folder: &Path) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "tests::killed::child", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.map(Result::unwrap).filter(|line| line == "step" || line == "saved");
    assert_eq!(told.take(events).count(), events);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Killed once, or again and again, it ends with the bits of a run that was left alone.
#[rstest]
#[case(&[1])]
#[case(&[4])]
#[case(&[7])]
#[case(&[8])]
#[case(&[14])]
#[case(&[15])]
#[case(&[3, 5, 9, 2])]
fn a_killed_run_ends_like_one_that_was_left_alone(#[case] kills: &[usize]) {
    let _alone = alone();
    let whole = train(tempdir().unwrap().path(), config(EPOCHS), Start::Fresh).unwrap();
    let folder = tempdir().unwrap();
    for events in kills {
        killed_after(*events, folder.path());
    }
    let resumed = train(folder.path(), config(EPOCHS), start(folder.path())).unwrap();
    assert!(resumed.skipped.is_empty());
    same(&resumed, &whole);
}
