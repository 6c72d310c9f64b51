//! Models of series: tiny ones, on two waves.

use std::fs;

use rstest::rstest;
use serde_json::Value;

use crate::workshop::Workshop;

/// An echo state network, all its keys in places that a test can replace.
const ECHO: &str = r#"[data.series]
source = { csv = "waves.csv" }
scaling = "standard"
test = 100

[model.echo_state]
reservoirs = [{ units = 60, spectral_radius = 0.9, input_scaling = 0.5, bias_scaling = 0.2 }]
regularization = 1e-8
washout = 50

[evaluation]
free_run = { steps = 10, starts = 5, lead_in = 60 }

[search]
trials = 9
folds = 2

[search.space]
spectral_radius = { uniform = [0.2, 1.2] }
regularization = { log_uniform = [1e-9, 1e-3] }
"#;

const FORECASTER: &str = r#"[data.series]
source = { csv = "waves.csv" }
scaling = "standard"
valid = 100
test = 100
windows = { steps = 40, lead_in = 10, batch = 4 }

[model.forecaster]
d_hidden = 8
cell = "gru"
says = "change"

[training]
epochs = 3
learning_rate = 1e-2

[evaluation]
free_run = { steps = 10, starts = 5, lead_in = 50 }
"#;

/// Two columns, with or without their names.
fn waves(from: usize, to: usize, names: &str) -> String {
    let row = |t: usize| {
        let t = t as f64;
        format!("{},{}\n", (0.2 * t).sin() + 10.0, (0.311 * t).cos() + 0.5 * (0.2 * t).sin())
    };
    format!("{names}{}", (from..to).map(row).collect::<String>())
}

const NAMES: &str = "east,north\n";

fn shop(config: &str) -> Workshop {
    let shop = Workshop::new();
    shop.write("waves.csv", waves(0, 600, NAMES));
    shop.write("run.toml", config);
    shop
}

/// The rows of a table, names first.
fn rows(table: &str) -> (String, Vec<Vec<f64>>) {
    let (names, rest) = table.split_once('\n').unwrap();
    // Nothing failed.
    let row = |line: &str| {
        line.trim_end_matches(',').split(',').map(|number| number.parse().unwrap()).collect()
    };
    (names.to_owned(), rest.lines().map(row).collect())
}

#[test]
fn an_echo_state_network_leaves_a_whole_folder() {
    let shop = shop(ECHO);
    let out = shop.train(&[]).done();
    for text in [
        "learned from 499 steps with λ = 1e-8",
        "spectral radius",
        "echo states",
        "On the test set",
        "nrmse_10 ",
    ] {
        assert!(out.contains(text), "no `{text}`: {out}");
    }
    for name in ["forecast", "states", "spectrum"] {
        let svg = fs::read_to_string(shop.path(&format!("model/pictures/{name}.svg"))).unwrap();
        assert!(svg.contains("<svg"), "{name}");
    }
    let metrics = shop.json("model/metrics.json");
    // Two waves are foretold ten steps ahead; a guess of their mean has 1.
    let free = metrics["scores"]["nrmse_10"].as_f64().unwrap();
    assert!(free < 0.2, "{metrics}");
    let radius = metrics["reservoirs"][0]["spectral_radius"].as_f64().unwrap();
    assert!((radius - 0.9).abs() < 1e-6, "{metrics}");
    assert_eq!(metrics["learned"], 2 * (1 + 2 + 60));
    let data = shop.json("model/data.json");
    assert_eq!((&data["train"]["steps"], &data["test"]["steps"]), (&499.into(), &100.into()));

    let inspected = shop.run(&["inspect", "model"], "").done();
    assert!(
        inspected.contains("model: echo_state") && inspected.contains("readout"),
        "{inspected}"
    );
    // The numbers of a network that is fitted anew are the same.
    shop.run(&["train", "run.toml", "--out", "again"], "").done();
    let weights = |name: &str| fs::read(shop.path(&format!("{name}/model.safetensors"))).unwrap();
    assert!(weights("model") == weights("again"));
}

/// What a model says when it goes on is much nearer to what comes than the last row is; the same rows in two formats
/// and with other columns beside give the same.
#[rstest]
#[case(ECHO, &[])]
#[case(FORECASTER, &["--set", "training.epochs=80"])]
fn a_series_is_gone_on_with(#[case] config: &str, #[case] more: &[&str]) {
    let shop = shop(config);
    shop.train(more).done();
    let forecast = |more: &[&str], input: &str| {
        shop.run(&[&["forecast", "model", "--steps", "12"], more].concat(), input)
    };
    let table = forecast(&["--picture", "drawn.svg"], &waves(600, 800, NAMES)).done();
    let (names, said) = rows(&table);
    assert_eq!((names.as_str(), said.len()), ("east,north", 12));
    let (_, truth) = rows(&waves(799, 812, NAMES));
    let (last, truth) = truth.split_first().unwrap();
    let distance = |a: &[f64], b: &[f64]| (a[0] - b[0]).abs() + (a[1] - b[1]).abs();
    let far: f64 = truth.iter().map(|truth| distance(last, truth)).sum();
    let near: f64 = said.iter().zip(truth).map(|(said, truth)| distance(said, truth)).sum();
    assert!(near < 0.3 * far, "{near} {far}: {table}");
    assert!(fs::read_to_string(shop.path("drawn.svg")).unwrap().contains("forecast"));
    assert_eq!(forecast(&[], &waves(600, 800, "")).done(), table);
    let beside: String = waves(600, 800, NAMES)
        .lines()
        .enumerate()
        .map(|(n, line)| if n == 0 { format!("day,{line}\n") } else { format!("{n},{line}\n") })
        .collect();
    assert_eq!(forecast(&[], &beside).done(), table);
    let json = forecast(&["--json"], &waves(600, 800, NAMES)).done();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["columns"], serde_json::json!(["east", "north"]));
    for (row, said) in json["rows"].as_array().unwrap().iter().zip(&said) {
        let row: Vec<f64> = row.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        assert!(row.len() == 2 && distance(&row, said) < 1e-12, "{row:?} {said:?}");
    }

    // Row by row: what it says to the last row is the first it goes on with.
    let (_, each) = rows(&shop.run(&["forecast", "model"], &waves(600, 800, NAMES)).done());
    assert_eq!(each.len(), 200);
    for (each, said) in each[199].iter().zip(&said[0]) {
        assert!((each - said).abs() < 1e-5, "{each} {said}");
    }
}

/// Columns without names have numbers, in a model as well, and what it says can be read again.
#[test]
fn columns_without_names_are_numbered() {
    let shop = shop(ECHO);
    shop.write("waves.csv", waves(0, 600, ""));
    shop.change("scaling = \"standard\"", "inputs = [\"2\", \"1\"]\nscaling = \"standard\"");
    shop.train(&[]).done();
    let forecast = |input: &str| shop.run(&["forecast", "model", "--steps", "60"], input).done();
    let said = forecast(&waves(600, 800, ""));
    assert_eq!(said.lines().count(), 60);
    // The second column, north, stands first.
    let first: f64 = said.split(',').next().unwrap().parse().unwrap();
    assert!(first.abs() < 3.0, "{said}");
    assert_eq!(forecast(&waves(600, 800, NAMES)), said);
    shop.run(&["evaluate", "model", "--data", "waves.csv"], "").done();
    let turned: String = said
        .lines()
        .map(|line| line.split_once(',').unwrap())
        .map(|(north, east)| format!("{east},{north}\n"))
        .collect();
    assert_eq!(forecast(&turned).lines().count(), 60);
}

#[rstest]
#[case(ECHO, 60)]
#[case(FORECASTER, 100)]
fn a_model_of_series_is_measured_on_another_series(#[case] config: &str, #[case] heard: usize) {
    let shop = shop(config);
    shop.train(&[]).done();
    shop.write("other.csv", waves(1000, 1400, NAMES));
    let evaluate = ["evaluate", "model", "--data", "other.csv"];
    let json = shop.run(&[&evaluate[..], &["--json"]].concat(), "").done();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["scores"]["nrmse"].as_f64().unwrap() < 0.5, "{json}");
    assert!(json["scores"]["nrmse_10"].is_number(), "{json}");
    assert_eq!(json["steps"], 399 - heard);
    let shown = shop.run(&evaluate, "").done();
    assert!(shown.contains("On other.csv") && shown.contains("nrmse_10"), "{shown}");
    shop.run(&[&evaluate[..], &["--beam", "3"]].concat(), "")
        .refused_for(&["--beam is for models of texts, and model is a model of series"]);
    shop.write("short.csv", waves(0, 50, NAMES));
    shop.run(&["evaluate", "model", "--data", "short.csv"], "")
        .refused_for(&["short.csv has 50 rows, expected more than the"]);
    shop.write("still.csv", format!("{NAMES}{}", "1.5,2\n".repeat(300)));
    shop.run(&["evaluate", "model", "--data", "still.csv"], "").refused_for(&[
        "column `east` is ",
        " at every step that is measured, expected a column that changes",
    ]);
}

/// One column for another: there is a row for every row, and nothing to go on with.
#[test]
fn another_column_is_said() {
    let shop = shop(ECHO);
    let columns = "inputs = [\"east\"]\ntargets = [\"north\"]\nscaling = \"standard\"";
    shop.change("scaling = \"standard\"", columns);
    shop.train(&[]).refused_for(&[
        "`evaluation.free_run` must be left out for a model that hears something else",
    ]);
    shop.change("[evaluation]\nfree_run = { steps = 10, starts = 5, lead_in = 60 }\n", "");
    shop.train(&[]).done();
    let (names, said) = rows(&shop.run(&["forecast", "model"], &waves(600, 700, NAMES)).done());
    assert_eq!((names.as_str(), said.len(), said[0].len()), ("north", 100, 1));
    shop.run(&["forecast", "model", "--steps", "3"], "")
        .refused_for(&["--steps: model does not hear what it says a step later"]);
}

/// ESN-7: where outputs are fed back, the truth is heard first if it is there, as it is when the network is measured.
#[test]
fn a_network_with_feedback_is_taught_as_it_is_measured() {
    let shop = shop(ECHO);
    let columns = "inputs = [\"east\"]\ntargets = [\"north\"]\nscaling = \"standard\"";
    shop.change("scaling = \"standard\"", columns);
    shop.change("[evaluation]\nfree_run = { steps = 10, starts = 5, lead_in = 60 }\n", "");
    shop.change("bias_scaling = 0.2", "bias_scaling = 0.2, feedback_scaling = 0.5, noise = 1e-4");
    shop.change("washout = 50", "washout = 120");
    shop.train(&[]).done();
    let both = waves(1000, 1400, NAMES);
    shop.write("other.csv", &both);
    let json = shop.run(&["evaluate", "model", "--data", "other.csv", "--json"], "").done();
    let json: Value = serde_json::from_str(&json).unwrap();
    let measured = json["scores"]["nrmse"].as_f64().unwrap();
    let (_, truth) = rows(&both);
    let truth: Vec<f64> = truth[120..].iter().map(|row| row[1]).collect();
    let error = |input: &str| {
        let (_, said) = rows(&shop.run(&["forecast", "model"], input).done());
        assert_eq!(said.len(), 400);
        let said: Vec<f64> = said[120..].iter().map(|row| row[0]).collect();
        recurrent_reservoir::metrics::nrmse(&said, &truth)
    };
    let taught = error(&both);
    assert!((taught / measured - 1.0).abs() < 1e-6, "{taught}, measured {measured}");
    // Without the column that it says there is nothing to teach it.
    let east: String =
        both.lines().map(|line| format!("{}\n", line.split_once(',').unwrap().0)).collect();
    let untaught = error(&east);
    assert!((untaught / measured - 1.0).abs() > 1e-3, "{untaught}, measured {measured}");
}

#[test]
fn a_forecaster_leaves_a_whole_folder_and_goes_on_with_the_same_bits() {
    let (whole, parts) = (shop(FORECASTER), shop(FORECASTER));
    let said = whole.train(&[]);
    assert!(said.err.contains("nrmse "), "{}", said.err);
    assert!(said.done().contains("nrmse_10 "));
    for name in ["forecast", "learning_curve"] {
        assert!(whole.path(&format!("model/pictures/{name}.svg")).exists());
    }
    let history = &whole.json("model/metrics.json")["history"];
    let score = |epoch: usize| history[epoch]["scores"]["nrmse"].as_f64().unwrap();
    assert!(score(2) < score(0), "{history}");
    parts.train(&["--set", "training.epochs=1"]).done();
    parts.train(&["--resume"]).done();
    let weights = |shop: &Workshop| fs::read(shop.path("model/model.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&parts));
    whole
        .run(
            &[
                "train",
                "run.toml",
                "--out",
                "next",
                "--init",
                "model",
                "--set",
                "training.epochs=1",
            ],
            "",
        )
        .done();
}

/// The best setting is a configuration, and what it was found with is a table and a picture.
#[test]
fn settings_are_searched_for() {
    let shop = shop(ECHO);
    let search = |more: &[&str]| shop.run(&[&["search", "run.toml"], more].concat(), "");
    let said = search(&["--out", "found"]);
    assert!(said.err.contains("trial 9/9  nrmse_10 "), "{}", said.err);
    let out = said.done();
    assert!(
        out.contains("The best of 9 settings") && out.contains("recurrent train found/best.toml"),
        "{out}"
    );
    assert_eq!(shop.files("found"), ["best.toml", "search.svg", "trials.csv"]);
    let (names, trials) = rows(&fs::read_to_string(shop.path("found/trials.csv")).unwrap());
    assert_eq!(
        (names.as_str(), trials.len()),
        ("spectral_radius,regularization,nrmse_10,failure", 9)
    );
    let least = trials.iter().min_by(|a, b| a[2].total_cmp(&b[2])).unwrap();

    shop.run(&["train", "found/best.toml", "--out", "best"], "").done();
    let config = &shop.json("best/config.json")["model"]["config"];
    assert_eq!(config["reservoirs"][0]["spectral_radius"], least[0]);
    assert_eq!(config["regularization"], least[1]);

    shop.write("file", "");
    search(&["--out", "file/found"]).refused_for(&["file"]);
    let sparse = "model.echo_state.reservoirs=[{ units = 20, density = 0.001 }]";
    search(&["--out", "failed", "--set", sparse])
        .refused_for(&["all 9 settings failed, the first: 10 matrices of 20 units"]);
    search(&["--out", "found"]).refused_for(&["found has the result of another search"]);
    // Trials that were found are not lost either.
    fs::remove_file(shop.path("found/best.toml")).unwrap();
    search(&["--out", "found"]).refused_for(&["found has the result of another search"]);
    let json = search(&["--out", "json", "--json"]).done();
    let events: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 10);
    assert_eq!((&events[0]["event"], &events[9]["event"]), (&"trial".into(), &"best".into()));
    let same = |name: &str| fs::read_to_string(shop.path(&format!("{name}/trials.csv"))).unwrap();
    assert_eq!(same("found"), same("json"));
}

#[rstest]
#[case(&["--set", "model.echo_state.regularization=-1.0"], "`model.echo_state.regularization` must be at least 0, got -1")]
#[case(&["--set", "model.echo_state.reservoirs=[]"], "`model.echo_state.reservoirs` must be at least one, got []")]
#[case(
    &["--set", "model.echo_state.reservoirs=[{ leak = 1.5 }]"],
    "`model.echo_state.reservoirs[0].leak` must be in (0, 1], got 1.5"
)]
#[case(
    &["--set", "model.echo_state.reservoirs=[{ spectral_radius = 0.0 }]"],
    "`model.echo_state.reservoirs[0].spectral_radius` must be above 0, got 0"
)]
#[case(
    &["--set", "model.echo_state.reservoirs=[{ units = 20, density = 0.001 }]"],
    "10 matrices of 20 units with a density of 0.001 had no eigenvalue above 1e-8"
)]
#[case(&["--set", "model.echo_state.washout=499"], "series 0 has 499 steps, expected more than the 499 that are washed out")]
#[case(
    &["--set", "model.echo_state.regularization=0.0", "--set", "model.echo_state.washout=450"],
    "`regularization` is 0 with 63 features and 49 rows to learn from"
)]
#[case(&["--set", "data.series.test=600"], "`data.series.valid` + `data.series.test` is 600")]
#[case(&["--set", "training.epochs=3"], "`training` must be left out for an echo state network, which is fitted at once")]
#[case(&["--set", "evaluation.beam=3"], "`evaluation` must be left out for a model of series")]
#[case(&["--set", "evaluation.free_run.steps=101"], "`evaluation.free_run.steps` must be at most 100, the steps that are measured")]
#[case(&["--set", "data.series.source.csv=none.csv"], "cannot read none.csv")]
#[case(&["--set", "search.space.leak={ uniform = [1.0, 0.5] }"], "`search.space.leak` must be two numbers, the smaller one first")]
#[case(&["--set", "data.series.valid=10"], "`data.series.valid` must be 0 for an echo state network")]
#[case(&["--set", "model.echo_state.reservoirs=[{ input_scaling = nan }]"], "`model.echo_state.reservoirs[0].input_scaling`")]
#[case(&["--set", "search.space.leak={ uniform = [0.0, 2.0] }"], "`search.space.leak` must be in (0, 1], got 0")]
#[case(&["--resume"], "holds no training to resume")]
#[case(&["--device", "flex", "--init", "other"], "--init: an echo state network is drawn and fitted")]
fn what_cannot_be_fitted_is_refused(#[case] more: &[&str], #[case] message: &str) {
    let shop = shop(ECHO);
    let said = shop.train(more);
    said.refused_for(&[message]);
    assert_eq!(shop.files("model"), [] as [&str; 0]);
}

#[rstest]
#[case(
    "east,north\n1,2\n3,\n",
    "standard input has gaps, expected a number in every row and column: line 3 `north`"
)]
#[case(
    "east,south\n1,2\n",
    "the model: standard input has no column `north`, only `east`, `south`"
)]
#[case("1,2,3\n", "standard input has 3 columns without names, expected 2: `east`, `north`")]
#[case(
    "1,2\n\n3,4\n",
    "standard input has gaps, expected a number in every row and column: line 2 `all columns`"
)]
#[case("1,north\n3,4\n", "standard input:1: column `2` is `north`, expected a number")]
#[case(
    "1,2\n3,4\n",
    "standard input has 2 rows, expected more than the 50 that the model has to hear first"
)]
#[case("", "standard input has no row of numbers")]
fn what_cannot_be_heard_is_refused(#[case] input: &str, #[case] message: &str) {
    let shop = shop(ECHO);
    shop.train(&[]).done();
    shop.run(&["forecast", "model", "--steps", "2"], input).refused_for(&[message]);
}

#[test]
fn a_model_of_another_kind_or_version_is_refused() {
    let shop = shop(ECHO);
    shop.train(&[]).done();
    shop.run(&["generate", "model"], "").refused_for(&["echo_state"]);
    shop.run(&["translate", "model"], "a").refused_for(&["echo_state"]);
    let config = fs::read_to_string(shop.path("model/config.json")).unwrap();
    shop.write("model/config.json", config.replace("\"units\": 60", "\"units\": 61"));
    shop.run(&["forecast", "model", "--steps", "2"], &waves(0, 100, NAMES))
        .refused_for(&["a network with 60 rows of W, expected 61"]);
    let version = "\"format_version\": ";
    let at = config.find(version).unwrap() + version.len();
    let end = at + config[at..].find(',').unwrap();
    shop.write("model/config.json", format!("{}999{}", &config[..at], &config[end..]));
    shop.run(&["forecast", "model", "--steps", "2"], "").refused_for(&["999"]);
}

/// What was found is there although nobody listens.
#[test]
fn a_search_that_nobody_hears_keeps_what_it_found() {
    let shop = shop(ECHO);
    let mut child = shop.start(&["search", "run.toml", "--out", "alone", "--json"]);
    drop(child.stdout.take());
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(shop.files("alone"), ["best.toml", "search.svg", "trials.csv"]);
}
