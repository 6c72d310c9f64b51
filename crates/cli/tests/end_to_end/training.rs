//! What `train` leaves.

use rstest::rstest;

use crate::workshop::{LANGUAGE, Workshop, pairs};

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

/// The mean of the last epochs is shown beside the epochs, with which of them was better, in every
/// form there is. Of a rate that is too high the mean is the better, of one that is too low the last.
#[rstest]
#[case("1e-2", false)]
#[case("5e-2", true)]
fn an_average_is_shown_with_which_was_better(#[case] rate: &str, #[case] better: bool) {
    let shop = Workshop::new();
    let rate = format!("training.learning_rate={rate}");
    let set = ["--set", "training.average.last=2", "--set", rate.as_str()];
    let said = shop.train(&set);
    assert!(said.err.contains("mean of epochs 2 to 3  nll "), "{}", said.err);
    let out = said.done();
    let metrics = shop.json("model/metrics.json");
    assert_eq!(metrics["history"].as_array().unwrap().len(), 3);
    assert_eq!((&metrics["average"]["first"], &metrics["average"]["last"]), (&2.into(), &3.into()));
    let nll = |scores: &serde_json::Value| scores["scores"]["nll"].as_f64().unwrap();
    let epochs = metrics["history"].as_array().unwrap().iter().map(nll);
    let best = epochs.fold(f64::INFINITY, f64::min);
    assert_eq!(nll(&metrics["average"]) <= best, better, "{metrics}");
    assert_eq!(metrics["best_epoch"].is_null(), better);
    let line = if better { "the best was the mean" } else { "better than the mean" };
    assert!(out.contains(&format!("{line} of epochs 2 to 3")), "{out}");
    let picture = std::fs::read_to_string(shop.path("model/pictures/learning_curve.svg")).unwrap();
    assert!(picture.contains("mean of epochs"));

    let json = Workshop::new();
    let out = json.train(&[set.as_slice(), &["--json"]].concat()).done();
    let events: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| events.iter().find(|event| event["event"] == name).unwrap();
    assert_eq!(of("average")["best"], better);
    assert_eq!(of("average")["scores"], metrics["average"]["scores"]);
    assert_eq!(of("ended")["best_average"].is_array(), better);
    assert_eq!(of("report")["report"]["average"], metrics["average"]);
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

/// What is too long to be learned from is said and counted; what is measured is whole.
#[test]
fn what_is_left_out_is_said() {
    let shop = Workshop::new();
    let short = shop.train(&["--set", "batches.max_source=3", "--set", "training.epochs=1"]);
    let longer = pairs(120, 1).lines().filter(|line| line.find('\t').unwrap() > 2).count();
    let line = format!("{longer} of 120 pairs are longer than `batches.max_source`");
    assert!(short.err.contains(&line), "{} without `{line}`", short.err);
    short.done();
    assert_eq!(shop.json("model/metrics.json")["left_out"], longer);
    let nll = |model: &str| {
        let said = shop.run(&["evaluate", model, "--data", "test.tsv", "--json"], "").done();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        said["scores"]["nll"].as_f64().unwrap()
    };
    // The same whatever was too long for the training.
    let (before, config) = (nll("model"), shop.path("model/training.toml"));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("max_source = 3", "max_source = 2")).unwrap();
    assert_eq!(nll("model"), before);
}

/// What the best epoch is chosen by stays the same in a training that goes on.
#[test]
fn the_best_epoch_is_chosen_by_one_measure() {
    let shop = Workshop::new();
    shop.train(&["--set", "training.epochs=1"]).done();
    let other = ["--resume", "--set", "evaluation.valid_outputs=5"];
    shop.train(&other).refused_for(&["`evaluation.valid_outputs` is 5 now and nothing in"]);
}
