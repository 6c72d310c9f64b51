//! What `train` leaves.

use crate::workshop::{LANGUAGE, Workshop};

#[test]
fn a_training_leaves_a_whole_folder() {
    let shop = Workshop::new();
    let said = shop.train(&[]);
    assert!(said.err.contains("epoch 3 done"), "{}", said.err);
    let out = said.done();
    assert!(out.contains("On the test set") && out.contains("model/pictures"), "{out}");

    let files = shop.files("model");
    for name in [
        "config.json",
        "data.json",
        "metrics.json",
        "model.safetensors",
        "source.tokenizer.json",
        "target.tokenizer.json",
        "training.toml",
        "pictures/learning_curve.svg",
        "pictures/attention-1.svg",
        "pictures/attention-5.svg",
    ] {
        assert!(files.contains(&name.to_owned()), "{name} is not among {files:?}");
    }
    let metrics = shop.json("model/metrics.json");
    assert_eq!((&metrics["set"], &metrics["epochs"]), (&"test".into(), &3.into()));
    assert_eq!(metrics["steps"], 3 * 24);
    assert_eq!(metrics["history"].as_array().unwrap().len(), 3);
    assert_eq!(metrics["examples"].as_array().unwrap().len(), 10);
    for name in ["nll", "ppl", "exact_match", "cer"] {
        assert!(metrics["scores"][name].is_number(), "{metrics}");
    }
    assert_eq!(shop.json("model/data.json")["train"]["pairs"], 120);

    let said = shop.run(&["inspect", "model", "--json"], "").done();
    let summary: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(summary["parameter_count"], metrics["parameters"]);
}

#[test]
fn progress_is_json_line_by_line() {
    let shop = Workshop::new();
    let out = shop.train(&["--json", "--set", "training.epochs=1"]).done();
    let events: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!([of("started"), of("step"), of("epoch"), of("ended")], [1, 24, 1, 1]);
    let report = events.last().unwrap();
    assert_eq!(report["event"], "report");
    assert_eq!(report["report"]["scores"], shop.json("model/metrics.json")["scores"]);
}

/// The same configuration gives the same model, another seed another.
#[test]
fn a_training_can_be_repeated() {
    let (one, two) = (Workshop::new(), Workshop::new());
    let weights = |shop: &Workshop| std::fs::read(shop.path("model/model.safetensors")).unwrap();
    one.train(&["--set", "training.epochs=1"]).done();
    two.train(&["--set", "training.epochs=1"]).done();
    assert!(weights(&one) == weights(&two));
    let other = Workshop::new();
    other.train(&["--set", "training.epochs=1", "--set", "training.seed=2"]).done();
    assert!(weights(&one) != weights(&other));
}

/// A language model learns from the targets of pairs as well as from lines.
#[test]
fn a_language_model_leaves_a_whole_folder() {
    let shop = Workshop::new();
    let pairs = LANGUAGE
        .replace("{ plain = { path = \"words.txt\" } }", "{ tsv = { path = \"train.tsv\" } }");
    shop.write("run.toml", pairs);
    let out = shop.train(&[]).done();
    assert!(out.contains("On the valid set"), "{out}");
    let metrics = shop.json("model/metrics.json");
    assert!(metrics["scores"]["ppl"].as_f64().unwrap() > 1.0);
    assert!(shop.files("model").contains(&"tokenizer.json".to_owned()));
}

/// Where a model may be kept is known before anything is read.
#[test]
fn an_occupied_folder_stays_as_it_is() {
    let shop = Workshop::new();
    shop.train(&["--set", "training.epochs=1"]).done();
    let before = (shop.files("model"), std::fs::read(shop.path("model/config.json")).unwrap());
    std::fs::remove_file(shop.path("train.tsv")).unwrap();
    shop.train(&[]).refused_for(&["model already holds a training", "--resume", "--out"]);
    let after = (shop.files("model"), std::fs::read(shop.path("model/config.json")).unwrap());
    assert_eq!(before, after);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let shop = Workshop::new();
    let said = shop.run(&["train", "run.toml", "--out", "train.tsv/model"], "");
    said.refused_for(&["cannot write train.tsv/model", "Not a directory"]);
    let said = shop.run(&["train", "run.toml", "--out", "train.tsv"], "");
    said.refused_for(&["train.tsv"]);
    shop.train(&["--resume"]).refused_for(&["model holds no training to resume"]);
    assert!(shop.files("model").is_empty());
}
