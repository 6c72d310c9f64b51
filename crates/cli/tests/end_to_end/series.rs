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
    let row = |line: &str| line.split(',').map(|number| number.parse().unwrap()).collect();
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
    // Two waves are foretold by so many units almost exactly.
    let free = metrics["scores"]["nrmse_10"].as_f64().unwrap();
    assert!(free < 1e-2, "{metrics}");
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

/// What a model says when it goes on is what comes next; the same rows in two formats and with other columns beside
/// give the same; and what it says is as near as it was measured to be.
#[rstest]
#[case(ECHO, 1e-2)]
#[case(FORECASTER, 1.0)]
fn a_series_is_gone_on_with(#[case] config: &str, #[case] near: f64) {
    let shop = shop(config);
    shop.train(&[]).done();
    let forecast = |more: &[&str], input: &str| {
        shop.run(&[&["forecast", "model", "--steps", "12"], more].concat(), input)
    };
    let table = forecast(&["--picture", "drawn.svg"], &waves(600, 800, NAMES)).done();
    let (names, said) = rows(&table);
    assert_eq!((names.as_str(), said.len()), ("east,north", 12));
    let (_, truth) = rows(&waves(800, 812, NAMES));
    for (said, truth) in said.iter().zip(&truth) {
        assert!((said[0] - truth[0]).abs() < near && (said[1] - truth[1]).abs() < near, "{table}");
    }
    assert!(fs::read_to_string(shop.path("drawn.svg")).unwrap().contains("forecast"));
    assert_eq!(forecast(&[], &waves(600, 800, "")).done(), table);
    let beside: String = waves(600, 800, NAMES)
        .lines()
        .enumerate()
        .map(|(n, line)| if n == 0 { format!("day,{line}\n") } else { format!("{n},{line}\n") })
        .collect();
    assert_eq!(forecast(&[], &beside).done(), table);
    let json: Value =
        serde_json::from_str(&forecast(&["--json"], &waves(600, 800, NAMES)).done()).unwrap();
    assert_eq!(json["columns"], serde_json::json!(["east", "north"]));
    assert_eq!(json["rows"], serde_json::to_value(&said).unwrap());

    // Row by row: what it says to the last row is the first it goes on with.
    let (_, each) = rows(&shop.run(&["forecast", "model"], &waves(600, 800, NAMES)).done());
    assert_eq!(each.len(), 200);
    for (each, said) in each[199].iter().zip(&said[0]) {
        assert!((each - said).abs() < 1e-5, "{each} {said}");
    }
}

#[rstest]
#[case(ECHO)]
#[case(FORECASTER)]
fn a_model_of_series_is_measured_on_another_series(#[case] config: &str) {
    let shop = shop(config);
    shop.train(&[]).done();
    shop.write("other.csv", waves(1000, 1400, NAMES));
    let evaluate = ["evaluate", "model", "--data", "other.csv"];
    let json = shop.run(&[&evaluate[..], &["--json"]].concat(), "").done();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["scores"]["nrmse"].as_f64().unwrap() < 0.5, "{json}");
    assert!(
        json["scores"]["nrmse_10"].is_number() && json["steps"].as_u64().unwrap() >= 200,
        "{json}"
    );
    let shown = shop.run(&evaluate, "").done();
    assert!(shown.contains("On other.csv") && shown.contains("nrmse_10"), "{shown}");
    shop.run(&[&evaluate[..], &["--beam", "3"]].concat(), "")
        .refused_for(&["--beam is for models of texts, and model is a model of series"]);
    shop.write("short.csv", waves(0, 60, NAMES));
    shop.run(&["evaluate", "model", "--data", "short.csv"], "")
        .refused_for(&["series 0 has 60 steps"]);
}

/// One column for another: there is a row for every row, and nothing to go on with.
#[test]
fn another_column_is_said() {
    let shop = shop(ECHO);
    let columns = "inputs = [\"east\"]\ntargets = [\"north\"]\nscaling";
    shop.change("scaling", columns);
    shop.change("[evaluation]\nfree_run = { steps = 10, starts = 5, lead_in = 60 }\n", "");
    shop.train(&[]).done();
    let (names, said) = rows(&shop.run(&["forecast", "model"], &waves(600, 700, NAMES)).done());
    assert_eq!((names.as_str(), said.len(), said[0].len()), ("north", 100, 1));
    shop.run(&["forecast", "model", "--steps", "3"], "")
        .refused_for(&["--steps: model does not hear what it says"]);
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
    assert_eq!((names.as_str(), trials.len()), ("spectral_radius,regularization,nrmse_10", 9));
    let least = trials.iter().min_by(|a, b| a[2].total_cmp(&b[2])).unwrap();

    shop.run(&["train", "found/best.toml", "--out", "best"], "").done();
    let config = &shop.json("best/config.json")["model"]["config"];
    assert_eq!(config["reservoirs"][0]["spectral_radius"], least[0]);
    assert_eq!(config["regularization"], least[1]);

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
#[case("1,2,3\n", "standard input has 3 columns without names, the model hears 2: `east`, `north`")]
#[case("1,2\n3,4\n", "series 0 has 2 steps, expected more than the 50 that are washed out")]
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
