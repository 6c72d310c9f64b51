//! The configurations that come with the program.

use std::{
    fs,
    path::{Path, PathBuf},
};

use recurrent::{
    experiment::Experiment,
    settings::{self, Validate},
};
use rstest::rstest;

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

fn reference() -> String {
    fs::read_to_string(configs().join("reference.toml")).unwrap()
}

#[track_caller]
fn valid(text: &str) -> Experiment {
    let experiment: Experiment =
        toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    experiment.validate().unwrap_or_else(|error| panic!("{error}\n{text}"));
    experiment
}

#[test]
fn all_can_be_trained_and_their_data_are_there() {
    let mut found = 0;
    for entry in fs::read_dir(configs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let read = settings::read_valid::<Experiment>(&path, &[]);
            let experiment = read.unwrap_or_else(|error| panic!("{error}"));
            let written = settings::to_toml(&experiment).unwrap();
            assert_eq!(valid(&written), experiment, "{}", path.display());
            found += 1;
        }
    }
    assert!(found > 1);
}

/// What the reference says is there by default is there by default.
#[test]
fn the_reference_has_the_defaults() {
    let required = r#"
        [data]
        train = { tsv = { path = "data/cmudict/train.tsv.gz" } }
        valid = { tsv = { path = "data/cmudict/valid.tsv.gz" } }

        [tokens.separate]
        source = { segmentation = { characters = {} } }
        target = { segmentation = { whitespace = {} } }

        [model.seq2seq]
    "#;
    assert_eq!(valid(&reference()), valid(required));
}

/// A line of the reference that is on, and the alternatives behind `# ` below it.
fn alternatives<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let start = format!("# {key} = ");
    text.lines()
        .filter_map(|line| line.strip_prefix(&start))
        // A remark may stand behind it.
        .map(|value| value.split("     ").next().unwrap_or(value).trim())
        .collect()
}

/// A table that is commented out, from its name to the line that is not one of it, as TOML.
fn table(text: &str, name: &str) -> String {
    let lines =
        text.lines().skip_while(|line| !line.trim_start_matches(['#', ' ']).starts_with(name));
    let lines = lines.take_while(|line| !line.trim_start_matches(['#', ' ']).is_empty());
    let content = lines.map(|line| line.trim_start_matches(['#', ' ']));
    // A remark stands behind several blanks, and may go on below.
    let content = content.filter(|line| line.starts_with('[') || line.contains(" = "));
    let content = content.map(|line| line.split("    ").next().unwrap_or(line));
    content.collect::<Vec<_>>().join("\n")
}

/// The tables that are commented out are what they say: every key is one, with a value that may be.
#[test]
fn the_tables_of_the_reference_can_be_had() {
    let without = |from: &str, to: &str| {
        let text = reference();
        let (start, end) = (text.find(from).unwrap(), text.find(to).unwrap());
        format!("{}{}", &text[..start], &text[end..])
    };
    let gnmt =
        table(&reference(), "[model.gnmt]").replace("cell = \"lstm\"", "cell = \"gnmt_lstm\"");
    assert_eq!(gnmt.lines().count(), 16, "{gnmt}");
    let text = without("[model.seq2seq]\n", "[training]\n")
        .replace("[training]\n", "\n[training]\n")
        + "\n"
        + &gnmt.replace("tie = \"embeddings\"", "tie = \"none\"");
    valid(&text);
    let pairs = table(&reference(), "[[data.pairs]]");
    assert_eq!(pairs.lines().count(), 6, "{pairs}");
    let tokens = "[tokens.shared]\nsegmentation = { characters = {} }\n";
    let text = without("[tokens.separate.source]\n", "[batches]\n");
    let text = text.lines().filter(|line| {
        !["train = ", "valid = ", "test = "].iter().any(|key| line.starts_with(key))
    });
    valid(&format!("{}\n{tokens}{pairs}\n", text.collect::<Vec<_>>().join("\n")));
}

/// The reference with pictures, and what else it says of a model of them.
fn with_pictures(model: &str) -> String {
    let pictures = table(&reference(), "[data.pictures]");
    assert_eq!(pictures.lines().count(), 8, "{pictures}");
    // One or the other.
    let pictures = pictures.lines().filter(|line| !line.starts_with("valid = "));
    let text = reference();
    let training = &text[text.find("[training]\n").unwrap()..text.find("[evaluation]\n").unwrap()];
    let offered = alternatives(&text, "importance");
    assert_eq!(offered.len(), 1);
    let importance = match model.starts_with("[model.vae]") {
        true => format!("[evaluation]\nimportance = {}", offered[0]),
        false => String::new(),
    };
    let pictures = pictures.collect::<Vec<_>>().join("\n");
    format!("{pictures}\n{model}\n{training}\n{importance}\n")
}

#[rstest]
#[case("autoencoder", 9)]
#[case("vae", 8)]
fn models_of_pictures_can_be_had_with_their_defaults(#[case] name: &str, #[case] lines: usize) {
    let heading = format!("[model.{name}]");
    let model = table(&reference(), &heading);
    assert_eq!(model.lines().count(), lines, "{model}");
    let written = valid(&with_pictures(&model));
    assert_eq!(written, valid(&with_pictures(&heading)));
    let files = written.data.pictures.clone().unwrap();
    assert_eq!(files.hold_out, Some(1000));
    let without = with_pictures(&heading).replace("hold_out = 1000\n", "");
    let mut expected = written;
    expected.data.pictures.as_mut().unwrap().hold_out = None;
    assert_eq!(valid(&without), expected);
}

/// The values that remarks name for models of pictures.
#[rstest]
#[case("autoencoder.noise", &["{ masking = { share = 0.3 } }", "{ gaussian = { sigma = 0.3 } }"])]
#[case("autoencoder.sparsity", &["{ absolute = { weight = 0.1 } }"])]
#[case("autoencoder.activation", &["\"tanh\"", "\"sigmoid\"", "\"linear\""])]
#[case("autoencoder.decoder", &["\"tied\""])]
#[case("autoencoder.reconstruction", &["\"squared_error\""])]
#[case("vae.likelihood", &["{ gaussian = { sigma = 0.1 } }"])]
#[case("vae.condition", &["\"label\""])]
#[case("vae.bound", &["{ importance = { samples = 5 } }"])]
#[case("vae.kl.annealing", &["{ linear = { steps = 2000 } }", "{ sigmoid = { middle = 2000, width = 300 } }", "{ cyclical = { period = 2000, rise = 0.5 } }"])]
#[case("vae.kl.free_bits", &["{ nats = 0.1, groups = 20 }"])]
fn what_remarks_name_for_pictures_can_be_had(#[case] path: &str, #[case] values: &[&str]) {
    let name = path.split('.').next().unwrap();
    let heading = format!("[model.{name}]");
    for value in values {
        assert!(reference().contains(value), "{value} is not in the reference");
        valid(&with_pictures(&format!(
            "{heading}\n{}",
            &format!("{path} = {value}")[name.len() + 1..]
        )));
    }
}

/// The reference with texts that have one vocabulary, and what else it says of a model of them.
fn with_texts(model: &str) -> String {
    let text = reference();
    let part =
        |from: &str, to: &str| text[text.find(from).unwrap()..text.find(to).unwrap()].to_owned();
    let (data, training) =
        (part("[data]\n", "# ─── tokens"), part("[training]\n", "[evaluation]\n"));
    let importance = alternatives(&text, "importance")[0];
    let tokens = "[tokens.shared]\nsegmentation = { characters = {} }";
    format!("{data}\n{tokens}\n{model}\n{training}\n[evaluation]\nimportance = {importance}\n")
}

#[test]
fn an_autoencoder_of_texts_can_be_had_with_its_defaults() {
    let model = table(&reference(), "[model.sequence_vae]");
    assert_eq!(model.lines().count(), 16, "{model}");
    assert_eq!(valid(&with_texts(&model)), valid(&with_texts("[model.sequence_vae]")));
    for value in [
        "summary = \"pooled\"",
        "bias = \"selective\"",
        "kl = { free_bits = { nats = 0.1, groups = 8 }, annealing = { linear = { steps = 2000 } } }",
        "bag_of_words = { told = { weight = 1.0, d_hidden = 256 } }",
    ] {
        valid(&with_texts(&format!("[model.sequence_vae]\n{value}")));
    }
}

/// The reference with conversations, and what else it says of a model of them.
fn with_dialogues(model: &str) -> String {
    let dialogues = table(&reference(), "[data.dialogues]");
    assert_eq!(dialogues.lines().count(), 7, "{dialogues}");
    let text = reference();
    let training = &text[text.find("[training]\n").unwrap()..text.find("[evaluation]\n").unwrap()];
    let tokens = "[tokens.shared]\nsegmentation = { characters = {} }";
    format!("{dialogues}\n{tokens}\n{model}\n{training}\n")
}

#[rstest]
#[case("hred", 15)]
#[case("vhred", 6)]
fn models_of_conversations_can_be_had_with_their_defaults(
    #[case] name: &str,
    #[case] lines: usize,
) {
    let heading = format!("[model.{name}]");
    let model = table(&reference(), &heading);
    assert_eq!(model.lines().count(), lines, "{model}");
    let written = valid(&with_dialogues(&model));
    assert_eq!(written, valid(&with_dialogues(&heading)));
    let without = with_dialogues(&heading)
        .replace("batch = 32\n", "")
        .replace("turns = 8\n", "")
        .replace(", turns = \"turns\"", "");
    assert_eq!(valid(&without), written);
}

/// The values that remarks name for models of conversations.
#[rstest]
#[case("hred.summary", &["\"pooled\""])]
#[case("hred.context", &["\"last_turn\""])]
#[case("hred.context_input", &["\"dense\""])]
#[case("hred.bias", &["\"first\"", "\"selective\""])]
#[case("vhred.made_from", &["\"latent\""])]
#[case("vhred.bag_of_words", &["{ told = { weight = 1.0, d_hidden = 256 } }"])]
fn what_remarks_name_for_conversations_can_be_had(#[case] path: &str, #[case] values: &[&str]) {
    let name = path.split('.').next().unwrap();
    let heading = format!("[model.{name}]");
    for value in values {
        assert!(reference().contains(value), "{value} is not in the reference");
        valid(&with_dialogues(&format!(
            "{heading}\n{}",
            &format!("{path} = {value}")[name.len() + 1..]
        )));
    }
}

/// Every alternative that is commented out is one.
#[rstest]
#[case("training.optimizer", "optimizer", 7 - 1)]
#[case("training.schedule.warmup", "warmup", 2)]
#[case("training.schedule.decay", "decay", 4)]
#[case("training.clip_norm", "clip_norm", 1)]
#[case("training.clip_value", "clip_value", 1)]
#[case("training.early_stopping", "early_stopping", 1)]
#[case("training.average", "average", 1)]
#[case("tokens.separate.source.segmentation", "segmentation", 5)]
#[case("batches.size", "size", 1)]
#[case("batches.max_source", "max_source", 1)]
#[case("batches.max_target", "max_target", 1)]
#[case("evaluation.valid_outputs", "valid_outputs", 1)]
#[case("evaluation.pruning", "pruning", 1)]
#[case("data.train", "train", 3)]
#[case("data.test", "test", 1)]
fn what_the_reference_offers_can_be_had(
    #[case] path: &str,
    #[case] key: &str,
    #[case] count: usize,
) {
    let text = reference();
    let found = alternatives(&text, key);
    assert_eq!(found.len(), count, "{found:?}");
    for value in found {
        let set: settings::Set = format!("{path}={value}").parse().unwrap();
        settings::read_valid::<Experiment>(&configs().join("reference.toml"), &[set])
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The tables that are commented out, in place of those that are on.
#[rstest]
#[case("model.seq2seq.decoder.kind.bahdanau")]
#[case("model.seq2seq.decoder.kind.thought")]
#[case("training.optimizer.adam_then_sgd")]
#[case("model.language_model")]
fn the_tables_that_the_reference_offers_can_be_had(#[case] table: &str) {
    let text = reference();
    let heading = format!("# [{table}]");
    let lines = text.lines().skip_while(|line| !line.starts_with(&heading));
    let lines = lines.take_while(|line| line.starts_with("# "));
    let lines = lines.map(|line| line[2..].split("   ").next().unwrap());
    let offered = lines.take_while(|line| line.contains(" = ") || line.starts_with('['));
    let body: Vec<&str> = offered.skip(1).collect();
    assert!(!body.is_empty());
    let value: toml::Table = toml::from_str(&body.join("\n")).unwrap();

    let mut all: toml::Table = toml::from_str(&text).unwrap();
    let (above, name) = table.rsplit_once('.').unwrap();
    let mut place = &mut all;
    for key in above.split('.') {
        place = place.get_mut(key).unwrap().as_table_mut().unwrap();
    }
    place.clear();
    place.insert(name.to_owned(), toml::Value::Table(value));
    if name == "language_model" {
        let shared = "shared = { segmentation = { characters = {} } }";
        all.insert("tokens".to_owned(), toml::Value::Table(toml::from_str(shared).unwrap()));
    }
    let experiment = valid(&toml::to_string(&all).unwrap());
    if table == "training.optimizer.adam_then_sgd" || table == "model.language_model" {
        // They stand there with their defaults.
        place_empty(&mut all, table);
        assert_eq!(experiment, valid(&toml::to_string(&all).unwrap()));
    }
}

fn place_empty(all: &mut toml::Table, table: &str) {
    let mut place = all;
    for key in table.split('.') {
        place = place.get_mut(key).unwrap().as_table_mut().unwrap();
    }
    place.clear();
}

/// The values that remarks name between quotes.
#[rstest]
#[case("model.seq2seq.cell", &["lstm", "gru", "original_gru", "rnn", "relu_rnn", "peephole_lstm", "coupled_lstm", "layer_norm_lstm", "gnmt_lstm", "original_lstm", "carousel", "{ leaky = { longest = 20.0 } }", "{ skip = { delays = [1, 4] } }"])]
#[case("model.seq2seq.bridge", &["dense", "backward", "zero"])]
#[case("model.seq2seq.tie", &["none"])]
#[case("model.seq2seq.teacher", &["forcing", "{ linear = { steps = 10000.0, floor = 0.5 } }", "{ exponential = { k = 0.9999 } }", "{ inverse_sigmoid = { k = 2000.0 } }"])]
#[case("model.seq2seq.encoder.reading", &["both", "forward", "backward"])]
#[case("model.seq2seq.decoder.kind.luong.attention", &["general", "scaled", "dot", "{ additive = { d_attention = 128 } }", "{ normed_additive = { d_attention = 128 } }"])]
#[case("model.seq2seq.decoder.kind.luong.feeding", &["none", "input"])]
#[case("model.seq2seq.loss.reduction", &["tokens", "sentences"])]
#[case("training.schedule.decay", &["constant", "linear", "cosine", "sutskever", "luong5", "luong10", "luong234"])]
#[case("data.transform.source", &["[\"lowercase\", \"trim\", \"collapse_spaces\"]", "[{ unicode = \"nfc\" }, { unicode = \"nfkc\" }]"])]
#[case("evaluation.metrics", &["[\"exact_match\", \"wer\", \"per\", \"cer\", \"bleu\", \"character_bleu\", \"chrf\"]"])]
fn what_its_remarks_name_can_be_had(#[case] path: &str, #[case] values: &[&str]) {
    let text = reference();
    for value in values {
        let named = value.trim_start_matches('[').trim_end_matches(']');
        let named = named.split(", \"").next().unwrap().split(", {").next().unwrap();
        assert!(text.contains(named), "{named} is not in the reference");
        let set: settings::Set = format!("{path}={value}").parse().unwrap();
        settings::read_valid::<Experiment>(&configs().join("reference.toml"), &[set])
            .unwrap_or_else(|error| panic!("{error}"));
    }
}
