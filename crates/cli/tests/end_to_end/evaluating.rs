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

/// Two files, line by line, are measured as one of two columns.
#[test]
fn two_files_are_measured_as_one() {
    let pairs = std::fs::read_to_string(MODELS.path("test.tsv")).unwrap();
    let columns = pairs.lines().map(|line| line.split_once('\t').unwrap());
    let (sources, targets): (Vec<&str>, Vec<&str>) = columns.unzip();
    std::fs::write(MODELS.path("test.source"), sources.join("\n")).unwrap();
    std::fs::write(MODELS.path("test.target"), targets.join("\n")).unwrap();
    let two = ["evaluate", "gru", "--data", "test.source", "--targets", "test.target", "--json"];
    let two: Value = serde_json::from_str(&MODELS.run(&two, "").done()).unwrap();
    assert_eq!(two["scores"], evaluate(&["gru"])["scores"]);
    let asked = ["evaluate", "gru", "--data", "test.source", "--targets", "short.target"];
    std::fs::write(MODELS.path("short.target"), targets[0]).unwrap();
    MODELS.run(&asked, "").refused_for(&["test.source has", "short.target has 1"]);
    let language = ["evaluate", "language", "--data", "test.source", "--targets", "test.target"];
    MODELS.run(&language, "").refused_for(&["language is a model of texts without a source"]);
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

/// How a beam without penalties is shown.
fn beam(width: usize) -> Value {
    serde_json::json!({ "beam": width, "length_penalty": 0.0, "coverage_penalty": 0.0 })
}

/// Every model by itself with every search: greedy is a beam of 1, and each row is what is measured of that
/// model and search alone.
#[test]
fn models_and_searches_are_compared() {
    let all = evaluate(&["gru", "blind", "--each", "--beam", "1,3", "--temperature", "0.5"]);
    let rows = all["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 6);
    for (row, (model, search)) in rows.iter().zip([
        ("gru", beam(1)),
        ("gru", beam(3)),
        ("gru", serde_json::json!({ "temperature": 0.5 })),
        ("blind", beam(1)),
        ("blind", beam(3)),
        ("blind", serde_json::json!({ "temperature": 0.5 })),
    ]) {
        assert_eq!((&row["model"], &row["search"]), (&model.into(), &search));
        assert!(row["seconds"].as_f64().unwrap() > 0.0 && row["tokens"].as_u64().unwrap() > 0);
    }
    assert_eq!(rows[1]["scores"], evaluate(&["gru", "--beam", "3"])["scores"]);
    assert_eq!(rows[3]["scores"], evaluate(&["blind", "--beam", "1"])["scores"]);

    let folder = MODELS.path("compared");
    let pictures = ["--pictures", folder.to_str().unwrap()];
    let arguments = ["evaluate", "gru", "--data", "test.tsv", "--beam", "1,2", "--by-length", "2"];
    let shown = MODELS.run(&[&arguments[..], &pictures].concat(), "").done();
    for text in ["greedy", "beam 2", "tokens/s", "By length", "1–2"] {
        assert!(shown.contains(text), "no {text}: {shown}");
    }
    for name in ["by-beam.svg", "by-length.svg"] {
        assert!(std::fs::read_to_string(folder.join(name)).unwrap().contains("<svg"), "{name}");
    }
    assert!(!folder.join("by-temperature.svg").exists());
}

/// Each source is in one group of its length, and an error rate over all is the mean of the groups'.
#[test]
fn lengths_are_parts_of_the_whole() {
    let all = evaluate(&["gru", "--by-length", "2"]);
    let groups = all["by_length"].as_array().unwrap();
    let count = |group: &Value| group["sources"].as_f64().unwrap();
    let exact = |scores: &Value| scores["exact_match"].as_f64().unwrap();
    let sources: f64 = groups.iter().map(count).sum();
    let mean = groups.iter().map(|of| count(of) * exact(&of["scores"])).sum::<f64>() / sources;
    assert!(groups.len() > 1);
    assert!((mean - exact(&all["scores"])).abs() < 1e-9, "{all}");
}

#[test]
fn one_point_is_no_picture() {
    let arguments = ["evaluate", "gru", "--data", "test.tsv", "--beam", "2", "--pictures", "none"];
    MODELS.run(&arguments, "").refused_for(&["--pictures has nothing to draw"]);
}

#[test]
fn a_language_model_searches_for_nothing() {
    let arguments = ["evaluate", "language", "--data", "valid.tsv", "--beam", "2"];
    MODELS.run(&arguments, "").refused_for(&["--beam", "language writes without one"]);
}
