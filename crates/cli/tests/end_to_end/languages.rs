//! One model for several languages: words in small letters, in capitals, and backward.

use std::sync::LazyLock;

use rstest::rstest;
use serde_json::Value;

use crate::workshop::{Said, Workshop, pairs};

/// Small letters to capitals, and backward to small letters; never backward to capitals.
const CONFIG: &str = r#"[data]
pairs = [
    { from = "small", to = "capital", train = { tsv = { path = "train.tsv", header = true, source = "small", target = "capital", part = { nth = 0, of = 2 } } }, valid = { tsv = { path = "test.tsv", header = true, source = "small", target = "capital" } } },
    { from = "back", to = "small", train = { tsv = { path = "train.tsv", header = true, source = "back", target = "small", part = { nth = 1, of = 2 } } }, valid = { tsv = { path = "test.tsv", header = true, source = "back", target = "small" } } },
]

[tokens.shared]
segmentation = { characters = {} }

[batches]
size = { sentences = 10 }

[model.gnmt]
layers = 3
d_hidden = 16
initial = "glorot"

[training]
epochs = 2
learning_rate = 1e-2

[evaluation]
metrics = ["bleu", "exact_match"]
beam = 2
"#;

fn table(count: usize, seed: u64) -> String {
    let rows = pairs(count, seed);
    let rows = rows.lines().map(|line| {
        let (word, back) = line.split_once('\t').unwrap();
        format!("{word}\t{}\t{back}\n", word.to_uppercase())
    });
    format!("small\tcapital\tback\n{}", rows.collect::<String>())
}

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("train.tsv", table(120, 1));
    workshop.write("test.tsv", table(12, 3));
    workshop.write("run.toml", CONFIG);
    workshop
}

/// A model that no test changes.
static TRAINED: LazyLock<Workshop> = LazyLock::new(|| {
    let workshop = workshop();
    workshop.train(&[]).done();
    workshop
});

fn run(arguments: &[&str], input: &str) -> Said {
    TRAINED.run(arguments, input)
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&run(&[arguments, &["--json"]].concat(), "").done()).unwrap()
}

#[test]
fn every_direction_is_measured_seen_or_not() {
    let matrix = json(&["evaluate", "model", "--data", "test.tsv", "--pictures", "maps"]);
    let directions: Vec<(String, bool)> = matrix["directions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|direction| {
            assert!(direction["scores"]["bleu"].is_number() && direction["sources"] == 12);
            // Nobody can tell capitals from small letters by the name of a language.
            assert!(direction["right_language"].is_null());
            let code = |key: &str| direction[key].as_str().unwrap().to_owned();
            (format!("{} {}", code("from"), code("to")), direction["seen"] == true)
        })
        .collect();
    let expected = [
        ("small capital", true),
        ("capital small", false),
        ("back small", true),
        ("back capital", false),
    ];
    assert_eq!(directions, expected.map(|(pair, seen)| (pair.to_owned(), seen)));
    let picture = std::fs::read_to_string(TRAINED.path("maps/languages-bleu.svg")).unwrap();
    assert!(picture.contains(">capital<") && picture.contains(">back<"));
    let shown = run(&["evaluate", "model", "--data", "test.tsv"], "").done();
    assert!(shown.contains("back → capital") && shown.contains("no"), "{shown}");
}

/// One direction is compared like a model of one pair, and the same search gives the same scores.
#[test]
fn a_direction_is_compared() {
    let asked = ["evaluate", "model", "--data", "test.tsv", "--from", "back", "--to", "capital"];
    let searches = ["--beam", "1,2", "--length-penalty", "0,0.6", "--pictures", "searches"];
    let compared = json(&[&asked[..], &searches].concat());
    let rows = compared["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &compared["pairs"]), (4, &12.into()));
    assert!(rows[0]["scores"]["nll"].is_number());
    let alone = json(&[&asked[..], &["--beam", "2", "--length-penalty", "0.6"]].concat());
    for score in ["bleu", "exact_match"] {
        assert_eq!(rows[3]["scores"][score], alone["directions"][0]["scores"][score]);
    }
    assert!(std::fs::read_dir(TRAINED.path("searches")).unwrap().count() > 0);
    let lengths = json(&[&asked[..], &["--by-length", "2"]].concat());
    let lengths = lengths["by_length"].as_array().unwrap();
    assert_eq!(lengths.iter().map(|of| of["sources"].as_u64().unwrap()).sum::<u64>(), 12);
}

/// Through a third language is two steps with the same model.
#[test]
fn a_pivot_is_two_steps() {
    let asked = ["--from", "back", "--to", "capital", "--pivot", "small"];
    let matrix = json(&[&["evaluate", "model", "--data", "test.tsv"][..], &asked].concat());
    let directions = matrix["directions"].as_array().unwrap();
    assert_eq!(directions.len(), 2);
    assert!(directions[0]["through"].is_null() && directions[1]["through"] == "small");

    let translate = |arguments: &[&str], input: &str| {
        run(&[&["translate", "model"], arguments].concat(), input).done()
    };
    let first = translate(&["--to", "small"], "fed\nab\n");
    let second = translate(&["--to", "capital"], &first);
    assert_eq!(translate(&["--to", "capital", "--pivot", "small"], "fed\nab\n"), second);
    assert_eq!(second.lines().count(), 2);
}

/// The token that asks is no word of the line: alignments count without it, pictures show it.
#[test]
fn alignments_count_the_words_of_the_line() {
    let files = ["--to", "capital", "--alignments", "a.txt", "--attention", "looks"];
    let out = run(&[&["translate", "model", "--beam", "1"], &files[..]].concat(), "abc\n").done();
    let written = out.trim_end().chars().count();
    let aligned = std::fs::read_to_string(TRAINED.path("a.txt")).unwrap();
    let aligned: Vec<&str> = aligned.split_whitespace().collect();
    assert_eq!(aligned.len(), written);
    for (n, pair) in aligned.iter().enumerate() {
        let (from, to) = pair.split_once('-').unwrap();
        assert!(from.parse::<usize>().unwrap() < 3 && to == n.to_string(), "{pair}");
    }
    let picture = std::fs::read_to_string(TRAINED.path("looks/1.svg")).unwrap();
    assert!(picture.contains("&lt;2capital&gt;"));
}

/// Penalties are weighed, and the parts of a score are told apart.
#[test]
fn a_score_has_its_parts() {
    let penalties = ["--length-penalty", "0.6", "--coverage-penalty", "0.2"];
    let arguments =
        ["translate", "model", "--to", "small", "--beam", "3", "--n-best", "2", "--json"];
    let out = run(&[&arguments[..], &penalties].concat(), "fed\n").done();
    let line: Value = serde_json::from_str(&out).unwrap();
    for output in line["outputs"].as_array().unwrap() {
        let part = |key: &str| output[key].as_f64().unwrap();
        let score = part("log_prob") / part("length_penalty") + part("coverage_penalty");
        assert!((score - part("score")).abs() < 1e-9, "{output}");
        assert!(part("length_penalty") >= 1.0 && part("coverage_penalty") <= 0.0);
    }
}

#[rstest]
#[case(&["translate", "model"], "writes capital, small: say which with --to")]
#[case(&["translate", "model", "--to", "back"], "does not write it, only capital, small")]
#[case(
    &["translate", "model", "--to", "small", "--pivot", "fr"],
    "--pivot fr: model does not write it, only capital, small"
)]
#[case(&["evaluate", "model", "--data", "test.tsv", "--to", "back"], "--to back: the languages of")]
#[case(
    &["evaluate", "model", "--data", "test.tsv", "--beam", "1,2", "--to", "small"],
    "for one direction of a model of several languages: --from and --to"
)]
#[case(
    &["evaluate", "model", "--data", "test.tsv", "--each", "--from", "small", "--to", "small"],
    "--from small and --to small are the same language"
)]
#[case(
    &["evaluate", "model", "--data", "test.tsv", "--each", "--from", "small", "--to", "back"],
    "--to back: the languages of"
)]
#[case(&["evaluate", "model", "--data", "valid.tsv"], "no column is named after a language")]
fn what_the_model_cannot_do_is_said(#[case] arguments: &[&str], #[case] named: &str) {
    run(arguments, "ab\n").refused_for(&[named]);
}

/// A language is learned from its own texts beside the others, needs no `valid`, and is no direction of
/// a measurement.
#[test]
fn a_language_is_learned_from_itself_with_noise() {
    let workshop = workshop();
    workshop.write("own.tsv", "a b c d e f\ta b c d e f\n".repeat(10));
    let own = "pairs = [\n    { from = \"small\", to = \"small\", train = { tsv = { path = \"own.tsv\" } }, noise = NOISE },";
    workshop.change("pairs = [", own);
    let mut noise = "NOISE";
    let mut trained_with = |other| {
        workshop.change(noise, other);
        noise = other;
        let train = ["train", "run.toml", "--set", "training.epochs=1", "--out", other];
        workshop.run(&train, "").done();
        let data = std::fs::read_to_string(workshop.path(other).join("data.json")).unwrap();
        serde_json::from_str::<Value>(&data).unwrap()
    };
    let data = trained_with("{ left_out = 0.5 }");
    assert_eq!((&data["train"]["pairs"], &data["valid"]["pairs"]), (&130.into(), &24.into()));
    assert_eq!(trained_with("{left_out = 0.5}"), data);
    assert_ne!(trained_with("{ moved = 3 }")["train"], data["train"]);
    let asked = ["evaluate", "{ moved = 3 }", "--data", "test.tsv", "--json"];
    let matrix: Value = serde_json::from_str(&workshop.run(&asked, "").done()).unwrap();
    assert_eq!(matrix["directions"].as_array().unwrap().len(), 4);
    let alone = "data.pairs=[{ from = 'small', to = 'small', noise = { moved = 1 }, train = { tsv = { path = 'own.tsv' } } }]";
    workshop
        .train(&["--set", alone])
        .refused_for(&["`data.pairs` must be two languages for one pair at least"]);
}

/// Lines of two files in one direction are what the columns of a table are.
#[test]
fn two_files_are_measured_in_one_direction() {
    let table = table(12, 3);
    let column = |n: usize| -> String {
        let line = |line: &str| format!("{}\n", line.split('\t').nth(n).unwrap());
        table.lines().skip(1).map(line).collect()
    };
    TRAINED.write("small.txt", column(0));
    TRAINED.write("capital.txt", column(1));
    let files = ["evaluate", "model", "--data", "small.txt", "--targets", "capital.txt"];
    let two = json(&[&files[..], &["--to", "capital"]].concat());
    let one = ["evaluate", "model", "--data", "test.tsv", "--from", "small", "--to", "capital"];
    let one = json(&[&one[..], &["--by-length", "9"]].concat());
    assert!(two["scores"]["nll"].as_f64().unwrap() > 0.0);
    assert_eq!((&two["scores"], &two["examples"]), (&one["scores"], &one["examples"]));
    run(&[&files[..], &["--to", "capital", "--pictures", "none"]].concat(), "")
        .refused_for(&["--pictures has nothing to draw"]);
    run(&files, "").refused_for(&["--targets of a model of several languages needs --to"]);
    let known = ["the model does not write `back`, only capital, small"];
    run(&[&files[..], &["--to", "back"]].concat(), "").refused_for(&known);
}

#[test]
fn a_token_of_a_language_in_a_text_is_refused() {
    let line = ["standard input, line 2", "`<2small>` stands in the text"];
    run(&["translate", "model", "--to", "capital"], "ab\na <2small> b\n").refused_for(&line);
    let workshop = workshop();
    workshop.write("train.tsv", table(120, 1) + "<2capital>\tA\ta\n");
    let named = ["`data.pairs[0].train` cannot be used: pair 61", "`<2capital>` stands"];
    workshop.train(&[]).refused_for(&named);
}

#[rstest]
#[case(
    "train = { tsv = { path = \"train.tsv\", header",
    "train = { tsv = { path = \"none.tsv\", header",
    "`data.pairs[0].train` cannot be used"
)]
#[case("to = \"capital\"", "to = \"cap ital\"", "`data.pairs[0].to` must be a code of letters")]
#[case(
    "from = \"back\", to = \"small\"",
    "from = \"small\", to = \"capital\"",
    "`data.pairs[1]` must be no two languages that are there already, got small to capital"
)]
#[case(
    "from = \"back\", to = \"small\"",
    "from = \"back\", to = \"back\"",
    "`data.pairs[1].noise` must be given where a language is learned from itself"
)]
#[case(
    "from = \"back\"",
    "noise = { left_out = 1.0 }, from = \"back\"",
    "`data.pairs[1].noise.left_out` must be from 0 to below 1, got 1"
)]
#[case(
    "from = \"back\"",
    "noise = { left_out = 0.0 }, from = \"back\"",
    "`data.pairs[1].noise` must be above 0 in `left_out` or `moved`, got neither"
)]
#[case(
    ", valid = { tsv = { path = \"test.tsv\", header = true, source = \"small\", target = \"capital\" } }",
    "",
    "`data.pairs[0].valid` must be given for two languages"
)]
#[case("[tokens.shared]\n", "[tokens.shared]\n# ", "segmentation")]
#[case(
    "pairs = [",
    "temperature = 0.5\npairs = [",
    "`data.temperature` must be at least 1, got 0.5"
)]
#[case(
    "pairs = [",
    "train = { tsv = { path = \"train.tsv\" } }\npairs = [",
    "`data.train` must be left to `data.pairs`"
)]
#[case("layers = 3", "layers = 1", "`model.gnmt.layers` must be at least 2, got 1")]
#[case(
    "layers = 3",
    "clip = { from = 8.0, to = 1.0, steps = 10 }",
    "`model.gnmt.cell` must be gnmt_lstm where `clip` is set"
)]
#[case("part = { nth = 0, of = 2 }", "part = { nth = 2, of = 2 }", "row 2 of every 2")]
fn what_does_not_fit_is_named(#[case] from: &str, #[case] to: &str, #[case] named: &str) {
    let workshop = workshop();
    workshop.change(from, to);
    workshop.train(&[]).refused_for(&[named]);
}

/// What a model says of its own output when it is given it is what it said while it wrote it.
#[test]
fn given_outputs_are_scored() {
    let arguments = ["translate", "model", "--to", "small", "--beam", "1", "--json"];
    let written: Value = serde_json::from_str(&run(&arguments, "fed\n").done()).unwrap();
    let best = &written["outputs"][0];
    let pair = format!("fed\t{}\n", best["text"].as_str().unwrap());
    let score = ["score", "model", "--to", "small"];
    let scored: Value =
        serde_json::from_str(&run(&[&score[..], &["--json"]].concat(), &pair).done()).unwrap();
    assert_eq!(scored["tokens"], best["tokens"]);
    let log_prob = |said: &Value| said["log_prob"].as_f64().unwrap();
    assert!((log_prob(&scored) - log_prob(best)).abs() < 1e-5, "{scored} {best}");
    let lines = run(&score, &pair.repeat(300)).done();
    assert_eq!(lines.lines().count(), 300);
    let number: f64 = lines.lines().last().unwrap().parse().unwrap();
    assert!((number - best["log_prob"].as_f64().unwrap()).abs() < 1e-5);

    let named = ["standard input, line 2", "a tab and a target, got 3 columns"];
    run(&score, "a\tb\na\tb\tc\n").refused_for(&named);
    run(&["score", "model"], "a\tb\n").refused_for(&["say which with --to"]);
}

/// A training can begin with the weights of another: without a step it is as good as that one.
#[test]
fn a_training_begins_with_the_weights_of_another() {
    let workshop = workshop();
    workshop.train(&[]).done();
    let train = |more: &[&str]| {
        let arguments = ["train", "run.toml", "--out", "second", "--init", "model"];
        workshop.run(&[&arguments[..], more].concat(), "")
    };
    let refined = "model.gnmt.refinement.samples=3";
    train(&[
        "--set",
        "training.epochs=1",
        "--set",
        "training.learning_rate=1e-12",
        "--set",
        refined,
    ])
    .done();
    let nll =
        |folder: &str| workshop.json(&format!("{folder}/metrics.json"))["scores"]["nll"].clone();
    let (first, second) = (nll("model").as_f64().unwrap(), nll("second").as_f64().unwrap());
    assert!((first - second).abs() < 1e-6, "{first} and {second}");

    std::fs::remove_dir_all(workshop.path("second")).unwrap();
    let named = ["--init model: `model.gnmt.d_hidden` is 16 there and 8 here"];
    train(&["--set", "model.gnmt.d_hidden=8"]).refused_for(&named);
    // The weights have the same shapes, and mean something else.
    let named = ["--init model: `model.gnmt.query` is \"current\" there and \"previous\" here"];
    train(&["--set", "model.gnmt.query=previous"]).refused_for(&named);
    assert!(!workshop.path("second").exists());
    train(&["--resume"]).refused_for(&["--resume"]);
    // A language that it has no token for, and one pair of languages, which has no token at all.
    let config = std::fs::read_to_string(workshop.path("run.toml")).unwrap();
    workshop.write("run.toml", config.replace("to = \"capital\"", "to = \"large\""));
    let named = "`data.pairs` asks for `large`: model does not write it, only capital, small";
    train(&[]).refused_for(&[named]);
    let pair =
        "{ tsv = { path = \"train.tsv\", header = true, source = \"back\", target = \"small\" } }";
    let (_, rest) = config.split_once("\n\n").unwrap();
    workshop.write("run.toml", format!("[data]\ntrain = {pair}\nvalid = {pair}\n\n{rest}"));
    train(&[]).refused_for(&["`data.pairs` is missing: model writes capital, small"]);
    assert!(!workshop.path("second").exists());
}

/// A checkpoint of another wiring is refused, and the flag is named.
#[test]
fn a_checkpoint_of_another_wiring_is_refused() {
    let workshop = workshop();
    workshop.train(&["--set", "training.epochs=1"]).done();
    let named = ["`model.gnmt.query` is \"previous\" now and \"current\" in model/training.toml"];
    workshop.train(&["--resume", "--set", "model.gnmt.query=previous"]).refused_for(&named);
}

#[test]
fn the_wiring_is_drawn() {
    run(&["inspect", "model", "--wiring", "wiring.svg"], "").done();
    let svg = std::fs::read_to_string(TRAINED.path("wiring.svg")).unwrap();
    assert!(svg.contains("3: LSTM 32 → 16") && svg.contains("attention"), "{svg}");
    let other = crate::workshop::MODELS.run(&["inspect", "gru", "--wiring", "w.svg"], "");
    other.refused_for(&["--wiring is for a GNMT, and gru is none"]);
}

/// With eight bits a model is a good deal smaller, writes and is measured like any other, and says what
/// it cannot do.
#[test]
fn a_model_is_quantised() {
    let out = run(&["quantize", "model"], "").done();
    assert!(out.contains("model-int8 has the weights of model in"), "{out}");
    let size = |folder: &str| {
        std::fs::metadata(TRAINED.path(&format!("{folder}/model.safetensors"))).unwrap().len()
    };
    assert!(size("model-int8") * 2 < size("model"), "{} of {}", size("model-int8"), size("model"));
    run(&["quantize", "model"], "")
        .refused_for(&["model-int8 already holds a model", "choose another folder with `--out`"]);
    // A path without a name of its own is not written into.
    run(&["quantize", "model/pictures/.."], "").refused_for(&["model-int8 already holds a model"]);
    run(&["quantize", "model-int8", "--out", "other"], "").refused_for(&["`gnmt_int8`", "`gnmt`"]);

    let written =
        run(&["translate", "model-int8", "--to", "small", "--beam", "2"], "fed\nab\n").done();
    assert_eq!(written.lines().count(), 2);
    let matrix = json(&["evaluate", "model-int8", "--data", "test.tsv", "--from", "back"]);
    assert_eq!(matrix["directions"].as_array().unwrap().len(), 2);
    let summary = json(&["inspect", "model-int8"]);
    assert_eq!(summary["kind"], "gnmt_int8");
    let types = summary["parameters"].as_array().unwrap().iter().map(|row| row["dtype"].clone());
    assert!(types.collect::<Vec<_>>().contains(&"I8".into()));
    // Both are models, so they can write together.
    run(&["translate", "model", "model-int8", "--to", "small"], "fed\n").done();
    run(&["convert", "to-pytorch", "model-int8", "out.safetensors"], "")
        .refused_for(&["`gnmt_int8`, which has no keys for PyTorch"]);
}

/// Weights of eight bits that do not fit what `config.json` says are refused, by name.
#[test]
fn a_quantised_model_of_another_wiring_is_refused() {
    let folder = TRAINED.path("rewired");
    run(&["quantize", "model", "--out", "rewired"], "").done();
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let rewired = config.replace("\"first_layer\": \"token\"", "\"first_layer\": \"context\"");
    assert_ne!(rewired, config);
    std::fs::write(folder.join("config.json"), rewired).unwrap();
    let named = ["rewired", "`decoder.first.w_x` is [64, 16], but [64, 32] in the model"];
    run(&["translate", "rewired", "--to", "small"], "ab\n").refused_for(&named);
}

/// Where the codes are those of languages that can be told, it is said which share of outputs is in the
/// right one, and which share of the references.
#[test]
fn languages_are_told_by_their_codes() {
    let workshop = workshop();
    let coded = |text: String| {
        [("small", "en"), ("capital", "es"), ("back", "pt")]
            .iter()
            .fold(text, |text, (from, to)| text.replace(from, to))
    };
    workshop.write("train.tsv", coded(table(60, 1)));
    let sentences = "Where is the house of my mother?\t¿Dónde está la casa de mi madre?\tOnde está a casa da minha mãe?\n";
    workshop.write("test.tsv", format!("en\tes\tpt\n{sentences}"));
    workshop.write("run.toml", coded(CONFIG.to_owned()));
    workshop.train(&["--set", "training.epochs=1"]).done();
    let evaluate = ["evaluate", "model", "--data", "test.tsv"];
    let out = workshop.run(&[&evaluate[..], &["--json", "--pictures", "maps"]].concat(), "").done();
    let matrix: Value = serde_json::from_str(&out).unwrap();
    for direction in matrix["directions"].as_array().unwrap() {
        let shares = &direction["right_language"];
        assert_eq!(shares["references"], 100.0);
        assert!((0.0..=100.0).contains(&shares["outputs"].as_f64().unwrap()));
    }
    let picture =
        std::fs::read_to_string(workshop.path("maps/languages-right_language.svg")).unwrap();
    assert!(picture.contains("right language"));
    let shown = workshop.run(&evaluate, "").done();
    assert!(shown.contains("right language") && shown.contains("100.0 %"), "{shown}");
}

/// An unknown letter of the source, where the model writes an unknown token, comes through.
#[test]
fn unknown_tokens_can_be_copied() {
    let translate = |more: &[&str]| {
        run(&[&["translate", "model", "--to", "small", "--beam", "1"], more].concat(), "fed\n")
            .done()
    };
    // No token of this output is unknown.
    assert_eq!(translate(&["--unknown", "copy"]), translate(&[]));
    let blind = ["translate", "blind", "--unknown", "copy"];
    crate::workshop::MODELS
        .run(&blind, "ab\n")
        .refused_for(&["--unknown copy: blind has no attention"]);
}

/// A file in which nothing is to be measured is not measured as nothing.
#[test]
fn a_matrix_without_directions_is_refused() {
    let evaluate = ["evaluate", "model", "--data", "test.tsv", "--from", "small", "--to", "small"];
    run(&evaluate, "").refused_for(&["test.tsv has no two columns", "capital, small"]);
}

/// The token that asks for a language is no token of a source.
#[test]
fn lengths_are_those_of_the_sources() {
    let asked = ["evaluate", "model", "--data", "one.tsv", "--from", "small", "--to", "capital"];
    let shop = workshop();
    shop.train(&["--set", "training.epochs=1"]).done();
    shop.write("one.tsv", "small\tcapital\nab\tAB\n");
    let said = shop.run(&[&asked[..], &["--by-length", "1", "--json"]].concat(), "").done();
    let said: Value = serde_json::from_str(&said).unwrap();
    // Letters with the blank in front of them.
    let tokens = shop.run(&["tokenize", "model"], "ab\n").done().split_whitespace().count();
    let lengths = said["by_length"].as_array().unwrap();
    assert_eq!((lengths.len(), &lengths[0]["tokens"][0]), (1, &tokens.into()), "{said}");
}
