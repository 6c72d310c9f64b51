//! Trainings that are ended from outside, and go on.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command},
};

use serde_json::Value;

use crate::workshop::{LANGUAGE, Said, Workshop, pairs};

/// Epochs of 50 steps, so that the middle of one is easily met.
fn workshop() -> Workshop {
    let shop = Workshop::new();
    shop.write("train.tsv", pairs(200, 1));
    shop.change("{ sentences = 5 }", "{ sentences = 4 }");
    shop
}

fn weights(shop: &Workshop, model: &str) -> Vec<u8> {
    fs::read(shop.path(model).join("model.safetensors")).unwrap()
}

/// Starts a training and waits until it has done this step of this epoch.
fn started(shop: &Workshop, epoch: u64, batch: u64) -> (Child, impl BufRead + use<>) {
    let arguments = ["train", "run.toml", "--out", "model", "--json"];
    let mut child = shop.start(&arguments);
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let is_there = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        event["epoch"] == epoch && event["batch"] == batch
    };
    let mut line = String::new();
    while !is_there(&line) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended too early");
    }
    (child, lines)
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// How it ended, and the events since.
fn ended(child: Child, mut lines: impl BufRead) -> (Said, Vec<Value>) {
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    let events = rest.lines().filter_map(|line| serde_json::from_str(line).ok());
    let events = events.collect();
    (Said::new(child.wait_with_output().unwrap()), events)
}

/// The last step of the events; without any, the one that was waited for.
fn last_step(events: &[Value], waited_for: (u64, u64)) -> (u64, u64) {
    let step = events.iter().rfind(|event| event["event"] == "step");
    step.map_or(waited_for, |step| {
        (step["epoch"].as_u64().unwrap(), step["batch"].as_u64().unwrap())
    })
}

#[test]
fn a_killed_training_goes_on_to_the_same_bytes() {
    let (whole, shop) = (workshop(), workshop());
    whole.train(&[]).done();
    let (mut child, lines) = started(&shop, 2, 5);
    child.kill().unwrap();
    let (said, events) = ended(child, lines);
    assert_eq!(said.code, None);
    assert_eq!(last_step(&events, (2, 5)).0, 2, "the kill came too late");
    assert!(!shop.path("model/metrics.json").exists());
    let said = shop.train(&["--resume"]);
    assert!(said.err.contains("continued after epoch 1"), "{}", said.err);
    said.done();
    assert!(weights(&shop, "model") == weights(&whole, "model"));
    let history = |shop: &Workshop| shop.json("model/metrics.json")["history"].clone();
    assert_eq!(history(&shop), history(&whole));
}

#[test]
fn a_killed_training_has_the_same_average() {
    let averaging = || {
        let shop = workshop();
        shop.change("epochs = 3", "epochs = 3\naverage = { last = 3 }");
        shop
    };
    let (whole, shop) = (averaging(), averaging());
    whole.train(&[]).done();
    let (mut child, lines) = started(&shop, 3, 5);
    child.kill().unwrap();
    ended(child, lines);
    shop.train(&["--resume"]).done();
    assert!(weights(&shop, "model") == weights(&whole, "model"));
    let metrics = |shop: &Workshop, key| shop.json("model/metrics.json")[key].clone();
    for key in ["history", "average", "best_epoch"] {
        assert_eq!(metrics(&shop, key), metrics(&whole, key));
    }
    // What is finished is not trained again to be averaged otherwise.
    let said = shop.train(&["--resume", "--set", "training.average.last=2"]);
    assert!(said.err.contains("mean of epochs 2 to 3"), "{}", said.err);
    said.done();
    assert_eq!(metrics(&shop, "average")["first"], 2);
    assert_eq!(metrics(&shop, "steps"), metrics(&whole, "steps"));
}

/// Killed before its first epoch is over, it has not even weights, and goes on all the same.
#[test]
fn a_training_killed_in_its_first_epoch_goes_on() {
    let (whole, shop) = (workshop(), workshop());
    whole.train(&[]).done();
    let (mut child, lines) = started(&shop, 1, 3);
    child.kill().unwrap();
    ended(child, lines);
    shop.run(&["translate", "model"], "a\n").refused_for(&["`model.safetensors` is missing"]);
    shop.train(&["--resume"]).done();
    assert!(weights(&shop, "model") == weights(&whole, "model"));
}

#[test]
fn a_training_that_is_stopped_saves_and_goes_on_to_the_same_bytes() {
    let (whole, shop) = (workshop(), workshop());
    whole.train(&[]).done();
    let (child, lines) = started(&shop, 2, 5);
    signal(&child, "-INT");
    let (said, events) = ended(child, lines);
    assert_eq!(said.code, Some(130), "{}", said.err);
    assert!(said.err.contains("--resume --out model"), "{}", said.err);
    assert_eq!(events.last().unwrap()["why"], "interrupted");
    // The model of the first epoch is there to be used.
    assert_eq!(shop.run(&["translate", "model"], "abc\n").done().lines().count(), 1);
    assert!(shop.path("model/pictures/learning_curve.svg").exists());
    let said = shop.train(&["--resume"]);
    let (epoch, batch) = last_step(&events, (2, 5));
    assert_eq!(epoch, 2);
    let from = format!("continued after epoch 1, step {}", 50 + batch);
    assert!(said.err.contains(&from), "{} without `{from}`", said.err);
    said.done();
    assert!(weights(&shop, "model") == weights(&whole, "model"));
}

#[test]
fn a_finished_training_has_nothing_to_go_on_with_but_more_epochs() {
    let shop = workshop();
    let whole = workshop();
    whole.train(&["--set", "training.epochs=2"]).done();
    shop.train(&["--set", "training.epochs=1"]).done();
    let before = weights(&shop, "model");
    shop.train(&["--set", "training.epochs=1", "--resume"]).done();
    assert!(weights(&shop, "model") == before);
    shop.train(&["--set", "training.epochs=2", "--resume"]).done();
    assert!(weights(&shop, "model") == weights(&whole, "model"));
    let training = fs::read_to_string(shop.path("model/training.toml")).unwrap();
    assert!(training.contains("epochs = 2"), "{training}");
}

#[test]
fn a_language_model_goes_on_to_the_same_bytes() {
    let shop = || {
        let shop = workshop();
        let many: String =
            (0..200).map(|n| format!("{}\n", "abcdef"[n % 5..].repeat(1 + n % 3))).collect();
        shop.write("words.txt", many);
        shop.write("run.toml", LANGUAGE.replace("sentences = 5", "sentences = 4"));
        shop
    };
    let (whole, shop) = (shop(), shop());
    whole.train(&[]).done();
    let (mut child, lines) = started(&shop, 2, 5);
    child.kill().unwrap();
    ended(child, lines);
    shop.train(&["--resume"]).done();
    assert!(weights(&shop, "model") == weights(&whole, "model"));
}

/// What makes another training of it is refused by name, and nothing is changed.
#[test]
fn another_training_is_not_gone_on_with() {
    let shop = workshop();
    shop.train(&["--set", "training.epochs=1"]).done();
    let state = || {
        ["config.json", "training.toml", "data.json", "source.tokenizer.json"]
            .map(|name| fs::read(shop.path("model").join(name)).unwrap())
    };
    let before = state();
    let resume = |set: &str| shop.train(&["--resume", "--set", set]);
    resume("model.seq2seq.encoder.d_hidden=9")
        .refused_for(&["`model.seq2seq.encoder.d_hidden` is 9 now and 8 in model/training.toml"]);
    resume("batches.size.sentences=5").refused_for(&["`batches.size.sentences` is 5 now"]);
    resume("data.transform.deduplicate=true")
        .refused_for(&["`data.transform.deduplicate` is true now and false in"]);
    resume("tokens.separate.source.segmentation.characters.min_count=2")
        .refused_for(&["`tokens.separate.source.segmentation.characters.min_count` is 2 now"]);
    resume("training.learning_rate=0.5")
        .refused_for(&["`learning_rate` was 0.01 when the run was started and is 0.5 now"]);
    let train = fs::read_to_string(shop.path("train.tsv")).unwrap();
    shop.write("train.tsv", format!("{train}xyz\tzyx\n"));
    shop.train(&["--resume"])
        .refused_for(&["`data.train` is not what the training began with: 200 pairs", "201 pairs"]);
    shop.write("train.tsv", train);
    shop.write("valid.tsv", pairs(15, 9));
    shop.train(&["--resume"]).refused_for(&["`data.valid` is not what the training began with"]);
    assert!(before == state());
}
