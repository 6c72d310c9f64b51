//! The variational autoencoder of texts: tiny ones, on words of one to five letters.

use std::fs;

use rstest::rstest;
use serde_json::Value;

use crate::workshop::{MODELS, Workshop};

/// A model with every trick, all its keys in places that a test can replace.
const VAE: &str = r#"[data]
train = { tsv = { path = "train.tsv" } }
valid = { tsv = { path = "valid.tsv" } }
test = { tsv = { path = "test.tsv" } }

[tokens.shared]
segmentation = { characters = {} }

[batches]
size = { sentences = 6 }

[model.sequence_vae]
d_embedding = 8
encoder = { d_hidden = 8, reading = "forward" }
d_latent = 3
d_decoder = 8
d_readout = 8
kl = { annealing = { linear = { steps = 40.0 } }, free_bits = { nats = 0.5, groups = 3 } }
word_dropout = 0.3
bag_of_words = { told = { weight = 1.0, d_hidden = 8 } }

[training]
epochs = 3
learning_rate = 1e-2

[evaluation]
importance = 5
"#;

/// Without a trick.
const PLAIN: [&str; 6] = [
    "--set",
    "model.sequence_vae.kl={ beta = 1.0 }",
    "--set",
    "model.sequence_vae.word_dropout=0.0",
    "--set",
    "model.sequence_vae.bag_of_words=none",
];

fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.write("run.toml", VAE);
    shop
}

fn evaluate(shop: &Workshop) -> Value {
    let arguments = ["evaluate", "model", "--data", "test.tsv", "--json"];
    serde_json::from_str(&shop.run(&arguments, "").done()).unwrap()
}

/// It is measured after training as later, the two parts of its bound apart.
#[test]
fn a_model_is_measured_as_after_training() {
    let shop = shop();
    let said = shop.train(&[]);
    assert!(said.err.contains("reconstruction ") && said.err.contains("kl "), "{}", said.err);
    let said = said.done();
    let named = ["nats a text", "nats a token", "iw_ppl", "active units", "mutual information"];
    for part in named.into_iter().chain(["the posterior has", "Examples"]) {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (trained, measured) = (shop.json("model/metrics.json"), evaluate(&shop));
    assert_eq!(trained["scores"], measured["scores"]);
    assert_eq!(trained["latent"], measured["latent"]);
    assert_eq!(trained["examples"], measured["examples"]);
    assert_eq!(measured["pairs"], 15);
    let score = |name: &str| measured["scores"][name].as_f64().unwrap();
    assert!((score("nll").exp() - score("ppl")).abs() < 1e-9);
    // A text has its letters and an end.
    let text = fs::read_to_string(shop.path("test.tsv")).unwrap();
    let letters: usize = text.lines().map(|line| line.split('\t').nth(1).unwrap().len()).sum();
    let bound = score("nll") * (letters + 15) as f64 / 15.0;
    assert!((score("reconstruction") + score("kl") - bound).abs() < 1e-9, "{measured}");
    assert!(score("iw_ppl") < score("ppl"), "{measured}");
    let latent = &measured["latent"];
    let sum: f64 =
        latent["kl_by_dimension"].as_array().unwrap().iter().map(|kl| kl.as_f64().unwrap()).sum();
    assert!((sum - score("kl")).abs() < 1e-5 * sum, "{measured}");
    // Texts again, and as many from the prior.
    let sources = measured["examples"].as_array().unwrap().iter().map(|one| &one["source"]);
    assert_eq!(sources.filter(|source| *source == "").count(), 5);
    let shown = shop.run(&["evaluate", "model", "--data", "test.tsv"], "").done();
    assert!(
        shown.contains("On test.tsv, 15 pairs") && shown.contains("kl by dimension"),
        "{shown}"
    );
}

/// What keeps the posterior from being the prior does, and where it is the prior this is said.
#[test]
fn a_posterior_that_has_collapsed_is_called_so() {
    let shop = shop();
    let heavy = ["--set", "model.sequence_vae.kl={ beta = 100.0 }"];
    let said = shop.train(&[&PLAIN[..], &heavy].concat()).done();
    assert!(said.contains("the posterior has collapsed: it is the prior"), "{said}");
    let measured = evaluate(&shop);
    assert_eq!(measured["latent"]["collapse"], "whole");
    assert!(measured["scores"]["kl"].as_f64().unwrap() < 0.03, "{measured}");
    fs::remove_dir_all(shop.path("model")).unwrap();
    let said = shop.train(&["--set", "training.epochs=10"]).done();
    assert!(said.contains("the posterior has not collapsed"), "{said}");
    let measured = evaluate(&shop);
    assert!(measured["scores"]["kl"].as_f64().unwrap() > 1.0, "{measured}");
}

/// X-3, X-4: a training that was stopped ends with the bits of one that was not.
#[rstest]
#[case(&[])]
#[case(&PLAIN)]
fn a_training_that_goes_on_ends_with_the_same_bits(#[case] more: &[&str]) {
    let weights = |shop: &Workshop| fs::read(shop.path("model/model.safetensors")).unwrap();
    let (whole, parts) = (shop(), shop());
    whole.train(more).done();
    parts.train(&[more, &["--set", "training.epochs=1"]].concat()).done();
    parts.train(&[more, &["--resume"]].concat()).done();
    assert!(weights(&whole) == weights(&parts));
    let scores = |shop: &Workshop| shop.json("model/metrics.json")["scores"].clone();
    assert_eq!(scores(&whole), scores(&parts));
}

/// Another training begins with a trained model, however it learns; one of another wiring is refused.
#[test]
fn another_model_is_gone_on_with() {
    let shop = shop();
    shop.train(&[]).done();
    let begin = |more: &[&str]| {
        let arguments = ["train", "run.toml", "--out", "next", "--init", "model"];
        shop.run(&[&arguments, more].concat(), "")
    };
    begin(&["--set", "model.sequence_vae.d_latent=6"])
        .refused_for(&["--init model: `model.sequence_vae.d_latent` is 3 there and 6 here"]);
    begin(&["--set", "model.sequence_vae.word_dropout=0.0"]).done();
    let first = |model: &str| {
        let history = &shop.json(&format!("{model}/metrics.json"))["history"];
        history[0]["scores"]["nll"].as_f64().unwrap()
    };
    assert!(first("next") < first("model"));
    let other = ["train", "language.toml", "--out", "third", "--init", "model"];
    shop.run(&other, "").refused_for(&["`sequence_vae`", "`language_model`"]);
}

#[test]
fn texts_are_drawn_from_the_prior_by_their_seed() {
    let shop = shop();
    shop.train(&[]).done();
    let write = |more: &[&str]| {
        shop.run(&[&["generate", "model", "--count", "20"], more].concat(), "").done()
    };
    let drawn = write(&["--seed", "3"]);
    assert_eq!(drawn.lines().count(), 20);
    assert_eq!(drawn, write(&["--seed", "3"]));
    assert_ne!(drawn, write(&["--seed", "4"]));
    let cold = write(&["--seed", "3", "--temperature", "1e-6"]);
    assert_ne!(drawn, cold);
    // The coldest draw is the likeliest token of each step, of the same codes.
    assert_eq!(cold, write(&["--seed", "3", "--beam", "1"]));
    let json = write(&["--seed", "3", "--json"]);
    let lines = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let texts: Vec<&str> = lines.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(texts, drawn.lines().collect::<Vec<_>>());
    assert!(lines.iter().all(|line| line["log_prob"].as_f64().unwrap() < 0.0), "{json}");
    let short = write(&["--length", "2"]);
    assert!(short.lines().all(|line| line.len() <= 2), "{short}");
    // More texts begin with the same ones.
    let more = shop.run(&["generate", "model", "--count", "300", "--seed", "3"], "").done();
    assert!(more.starts_with(&drawn) && more.lines().count() == 300);
}

/// From a text to another: the ends are what the model makes of the two by themselves.
#[test]
fn texts_between_two_texts() {
    let shop = shop();
    shop.train(&["--set", "training.epochs=60"]).done();
    let between =
        |more: &[&str]| shop.run(&[&["generate", "model", "--between"], more].concat(), "").done();
    let way = between(&["aa", "ffff"]);
    let lines: Vec<&str> = way.lines().collect();
    assert_eq!(lines.len(), 7);
    assert_ne!(lines[0], lines[6], "{way}");
    let back = between(&["ffff", "aa"]);
    assert_eq!(back.lines().rev().collect::<Vec<_>>(), lines);
    let ends = between(&["aa", "ffff", "--steps", "2"]);
    assert_eq!(ends.lines().collect::<Vec<_>>(), [lines[0], lines[6]]);
    let same = between(&["aa", "aa", "--steps", "3", "--beam", "2"]);
    let first = same.lines().next().unwrap();
    assert!(same.lines().count() == 3 && same.lines().all(|line| line == first), "{same}");
}

#[rstest]
#[case("d_latent = 3", "d_latent = 0", &["run.toml:", "`model.sequence_vae.d_latent` must be at least 1, got 0"])]
#[case("d_latent = 3", "d_laten = 3", &["d_laten"])]
#[case("groups = 3", "groups = 2", &["`model.sequence_vae.kl.free_bits.groups` must be a number by which the 3"])]
#[case("word_dropout = 0.3", "word_dropout = 1.5", &["`model.sequence_vae.word_dropout` must be in [0, 1], got 1.5"])]
#[case("weight = 1.0", "weight = -1.0", &["`model.sequence_vae.bag_of_words.told.weight` must be at least 0, got -1"])]
#[case("steps = 40.0", "steps = 0.0", &["`model.sequence_vae.kl.annealing.linear.steps` must be above 0, got 0"])]
#[case("d_readout = 8", "d_readout = 9\noutput = \"embedding\"", &["`model.sequence_vae.d_readout` must be d_embedding = 8"])]
#[case("importance = 5", "importance = 0", &["`evaluation.importance` must be at least 1, got 0"])]
#[case("importance = 5", "metrics = [\"bleu\"]", &["`evaluation.metrics` must be left out for an autoencoder"])]
#[case("epochs = 3", "epochs = 3\nmetric = { name = \"bleu\", direction = \"highest\" }", &["`training.metric.name` must be one of nll, ppl, reconstruction, kl, got bleu"])]
#[case("[tokens.shared]\nsegmentation = { characters = {} }", "[tokens.separate]\nsource = { segmentation = { characters = {} } }\ntarget = { segmentation = { characters = {} } }", &["`tokens` must be `shared`"])]
#[case("test = { tsv = { path = \"test.tsv\" } }", "dialogues = { train = { path = \"a\" }, valid = { path = \"a\" } }", &["`data.dialogues` must be left out for a model of texts"])]
fn what_does_not_fit_is_refused(#[case] from: &str, #[case] to: &str, #[case] named: &[&str]) {
    let shop = shop();
    shop.change(from, to);
    shop.train(&[]).refused_for(named);
    assert!(!shop.path("model").exists());
}

/// A model is used by the commands that are for it, and the others say so.
#[test]
fn other_commands_and_options_are_refused() {
    let shop = shop();
    shop.train(&["--set", "training.epochs=1"]).done();
    for (command, named) in [
        (&["translate", "model"][..], "`sequence_vae`, needed is one that turns texts into texts"),
        (&["score", "model"], "`sequence_vae`"),
        (&["chat", "model"], "`sequence_vae`, needed is `hred` or `vhred`"),
        (&["quantize", "model"], "`sequence_vae`"),
        (&["convert", "to-pytorch", "model", "out.safetensors"], "`sequence_vae`"),
        (&["inspect", "model", "--wiring", "a.svg"], "--wiring is for a GNMT"),
        (&["generate", "model", "--prompt", "a"], "--prompt is for a language model"),
        (&["generate", "model", "--out", "a"], "--out is for a model of pictures"),
        (&["generate", "model", "--between", "a"], "2 values required"),
        (&["generate", "model", "--between", "a", "b", "--steps", "1"], "from 2 to 1000"),
        (&["generate", "model", "--between", "a", "b", "--seed", "2"], "cannot be used with"),
        (&["generate", "model", "--between", "a", "b", "--count", "2"], "cannot be used with"),
        (&["generate", "model", "--steps", "3"], "--between"),
        (&["generate", "model", "--beam", "2", "--temperature", "2"], "cannot be used with"),
        (&["evaluate", "model", "--data", "test.tsv", "--beam", "2"], "model writes without one"),
        (&["evaluate", "model", "model", "--data", "test.tsv"], "one at a time"),
        (&["evaluate", "model", "--data", "test.tsv", "--to", "es"], "--to es"),
    ] {
        let said = shop.run(command, "a\n").refused();
        assert!(said.contains(named), "{command:?}: {said}");
    }
    for (flags, named) in [
        (&["--between", "a", "b"][..], "--between is for a variational autoencoder of texts"),
        (&["--beam", "2"], "--beam is for a variational autoencoder of texts"),
    ] {
        let said = MODELS.run(&[&["generate", "language"], flags].concat(), "");
        said.refused_for(&[named, "language is a language model"]);
    }
    let inspected = shop.run(&["inspect", "model"], "").done();
    assert!(inspected.contains("model: sequence_vae") && inspected.contains("words.hidden.w"));
    assert_eq!(shop.run(&["tokenize", "model"], "abc\n").done(), "a b c\n");
}

/// A loss that is not finite says which part of it.
#[test]
fn a_loss_that_is_not_finite_names_its_terms() {
    let shop = shop();
    let said =
        shop.train(&["--set", "training.learning_rate=1e30", "--set", "training.optimizer=sgd"]);
    let said = said.refused();
    assert!(said.contains("the loss (") && said.contains("the last checkpoint is kept"), "{said}");
    assert!(said.contains("reconstruction") || said.contains("kl"), "{said}");
}
