//! What `evaluate` measures.

use rstest::rstest;
use serde_json::Value;

use crate::workshop::MODELS;

fn evaluate(more: &[&str]) -> Value {
    let arguments = [&["evaluate", "--data", "test.tsv", "--json"], more].concat();
    serde_json::from_str(&MODELS.run(&arguments, "").done()).unwrap()
}

/// Metrics, likelihood and examples are those that were measured after training.
#[rstest]
#[case("gru")]
#[case("blind")]
fn the_test_set_is_measured_as_after_training(#[case] model: &str) {
    let (now, then) = (evaluate(&[model]), MODELS.json(&format!("{model}/metrics.json")));
    assert_eq!(now["scores"], then["scores"]);
    assert_eq!(now["examples"], then["examples"]);
    assert_eq!(now["pairs"], 15);
}

#[test]
fn a_language_model_is_measured_as_after_training() {
    let out = MODELS.run(&["evaluate", "language", "--data", "valid.tsv", "--json"], "").done();
    let now: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(now["scores"], MODELS.json("language/metrics.json")["scores"]);
    let words = MODELS.run(&["evaluate", "language", "--data", "words.txt"], "").done();
    assert!(words.contains("ppl"), "{words}");
}

#[test]
fn an_ensemble_is_measured() {
    let both = evaluate(&["gru", "other", "--beam", "3"]);
    assert!(both["scores"]["cer"].is_number());
    let shown = MODELS.run(&["evaluate", "gru", "--data", "test.tsv"], "").done();
    assert!(shown.contains("On test.tsv") && shown.contains("exact_match"), "{shown}");
}

#[rstest]
#[case("none.tsv", "cannot read none.tsv")]
#[case("run.toml", "must end in .tsv or .jsonl")]
#[case("words.tsv", "words.tsv:1: there is no column 1")]
fn data_that_are_no_pairs_are_named(#[case] data: &str, #[case] named: &str) {
    if data == "words.tsv" {
        std::fs::copy(MODELS.path("words.txt"), MODELS.path(data)).unwrap();
    }
    MODELS.run(&["evaluate", "gru", "--data", data], "").refused_for(&[named]);
}
