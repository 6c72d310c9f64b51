//! Models of pictures: tiny ones, on pictures of six by six with a bright row, and digits.

use std::{fs, path::Path};

use rstest::rstest;
use serde_json::Value;

use crate::workshop::{MODELS, Workshop};

/// A variational autoencoder, all its keys in places that a test can replace.
const VAE: &str = r#"[data.pictures]
train = { images = "train.idx", labels = "train-labels.idx" }
test = { images = "test.idx", labels = "test-labels.idx" }
hold_out = 20
shown = "grey"
batch = 10

[model.vae]
d_hidden = [16]
d_latent = 2

[training]
epochs = 3
learning_rate = 1e-2

[evaluation]
importance = 20
"#;

const AUTOENCODER: &str = r#"[data.pictures]
train = { images = "train.idx" }
valid = { images = "test.idx" }
shown = "binary"
distortion = { shift = 1.0 }
batch = 10

[model.autoencoder]
d_hidden = []
d_code = 3
reconstruction = "squared_error"

[training]
epochs = 3
learning_rate = 1e-2
"#;

/// Six by six, a row bright by its number modulo three, and the others speckled.
fn images(count: u32) -> Vec<u8> {
    let header = [0x0803, count, 6, 6].into_iter().flat_map(u32::to_be_bytes);
    let pixel = move |n: u32| {
        let (picture, row) = (n / 36, n / 6 % 6);
        let noise = n.wrapping_mul(2_654_435_761) >> 26;
        (if row == picture % 3 * 2 { 190 + noise } else { noise / 2 }) as u8
    };
    header.chain((0..count * 36).map(pixel)).collect()
}

fn labels(count: u32) -> Vec<u8> {
    let header = [0x0801, count].into_iter().flat_map(u32::to_be_bytes);
    header.chain((0..count).map(|n| (n % 3) as u8)).collect()
}

fn shop(config: &str) -> Workshop {
    let shop = Workshop::new();
    shop.write("train.idx", images(120));
    shop.write("train-labels.idx", labels(120));
    shop.write("test.idx", images(30));
    shop.write("test-labels.idx", labels(30));
    shop.write("run.toml", config);
    shop
}

const TOLD: [&str; 2] = ["--set", "model.vae.condition=label"];

fn evaluate(shop: &Workshop, more: &[&str]) -> Value {
    let arguments = [&["evaluate", "model", "--data", "test.idx", "--json"], more].concat();
    serde_json::from_str(&shop.run(&arguments, "").done()).unwrap()
}

#[track_caller]
fn is_png(shop: &Workshop, name: &str) {
    let bytes = fs::read(shop.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(
        bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82"),
        "{name}"
    );
}

#[test]
fn a_vae_leaves_a_whole_folder() {
    let shop = shop(VAE);
    let said = shop.train(&[]);
    assert!(said.err.contains("reconstruction "), "{}", said.err);
    let out = said.done();
    for text in [
        "On the test set",
        "nats a picture",
        "active units",
        "mutual information",
        "kl by dimension",
        "the posterior has",
        "iw ",
    ] {
        assert!(out.contains(text), "no `{text}`: {out}");
    }
    assert!(!out.contains("Examples"), "{out}");
    for name in ["reconstructions", "samples", "interpolations", "traversal", "manifold"] {
        is_png(&shop, &format!("model/pictures/{name}.png"));
    }
    let map = fs::read_to_string(shop.path("model/pictures/latent_map.svg")).unwrap();
    assert_eq!(map.matches("<circle").count(), 30 + 3);
    assert!(shop.path("model/pictures/learning_curve.svg").exists());

    let metrics = shop.json("model/metrics.json");
    let score = |name: &str| metrics["scores"][name].as_f64().unwrap();
    assert!((score("nll") - score("reconstruction") - score("kl")).abs() < 1e-9, "{metrics}");
    assert!(score("iw") < score("nll"), "{metrics}");
    assert_eq!(metrics["latent"]["kl_by_dimension"].as_array().unwrap().len(), 2);
    assert_eq!(metrics["latent"]["examples"], 30);
    assert_eq!(metrics["history"].as_array().unwrap().len(), 3);
    assert!(metrics["history"][0]["scores"]["kl"].is_number());
    let data = shop.json("model/data.json");
    assert_eq!((&data["train"]["pictures"], &data["valid"]["pictures"]), (&100.into(), &20.into()));

    let now = evaluate(&shop, &[]);
    assert_eq!((&now["scores"], &now["latent"]), (&metrics["scores"], &metrics["latent"]));
    assert_eq!(now["pictures"], 30);
    let drawn = ["--labels", "test-labels.idx", "--pictures", "drawn"];
    assert_eq!(evaluate(&shop, &drawn)["scores"], metrics["scores"]);
    assert_eq!(shop.files("drawn").len(), 6);
    let shown = shop.run(&["evaluate", "model", "--data", "test.idx"], "").done();
    assert!(
        shown.contains("On test.idx, 30 pictures") && shown.contains("active units"),
        "{shown}"
    );

    let inspected = shop.run(&["inspect", "model"], "").done();
    assert!(inspected.contains("model: vae") && inspected.contains("mean.w"), "{inspected}");
}

/// For squared error the principal components are shown beside, and no code is better.
#[test]
fn an_autoencoder_leaves_a_whole_folder() {
    let shop = shop(AUTOENCODER);
    let out = shop.train(&[]).done();
    assert!(out.contains("On the valid set") && out.contains("squared, a picture"), "{out}");
    assert!(out.contains("principal_components"), "{out}");
    for name in ["reconstructions", "interpolations"] {
        is_png(&shop, &format!("model/pictures/{name}.png"));
    }
    assert!(!shop.path("model/pictures/samples.png").exists());
    let scores = &shop.json("model/metrics.json")["scores"];
    let score = |name: &str| scores[name].as_f64().unwrap();
    assert!(score("nll") > score("principal_components"), "{scores}");
    assert_eq!(&evaluate(&shop, &[])["scores"], scores);
    let inspected = shop.run(&["inspect", "model", "--json"], "").done();
    assert!(inspected.contains("\"kind\": \"autoencoder\""), "{inspected}");

    let two =
        shop.run(&["train", "run.toml", "--out", "two", "--set", "model.autoencoder.d_code=2"], "");
    two.done();
    is_png(&shop, "two/pictures/manifold.png");
}

#[rstest]
#[case(VAE, &[])]
#[case(VAE, &TOLD)]
#[case(AUTOENCODER, &[])]
fn a_training_that_goes_on_ends_with_the_same_bits(#[case] config: &str, #[case] more: &[&str]) {
    let (whole, parts) = (shop(config), shop(config));
    let weights = |shop: &Workshop| fs::read(shop.path("model/model.safetensors")).unwrap();
    whole.train(more).done();
    parts.train(&[more, &["--set", "training.epochs=1"]].concat()).done();
    parts.train(&[more, &["--resume"]].concat()).done();
    assert!(weights(&whole) == weights(&parts));
    assert_eq!(
        whole.json("model/metrics.json")["scores"],
        parts.json("model/metrics.json")["scores"]
    );

    parts.write("train.idx", images(121));
    parts.write("train-labels.idx", labels(121));
    let other = ["--resume", "--set", "training.epochs=4"];
    parts.train(&[more, &other].concat()).refused_for(&[
        "`data.train` is not what the training began with",
        "pictures with the checksum",
    ]);
}

#[test]
fn another_model_is_gone_on_with() {
    let shop = shop(VAE);
    shop.train(&[]).done();
    let begin = |more: &[&str]| {
        let arguments = ["train", "run.toml", "--out", "next", "--init", "model"];
        shop.run(&[&arguments, more].concat(), "")
    };
    begin(&["--set", "model.vae.d_latent=3"])
        .refused_for(&["--init model: `model.vae.d_latent` is 2 there and 3 here"]);
    shop.write("autoencoder.toml", AUTOENCODER);
    let other = ["train", "autoencoder.toml", "--out", "next", "--init", "model"];
    shop.run(&other, "").refused_for(&["model holds a model of the kind `vae`", "`autoencoder`"]);
    // How it is learned may be another.
    begin(&["--set", "model.vae.kl.beta=2.0"]).done();
    let first = |model: &str| {
        let history = &shop.json(&format!("{model}/metrics.json"))["history"];
        history[0]["scores"]["reconstruction"].as_f64().unwrap()
    };
    assert!(first("next") < first("model"));
}

#[test]
fn pictures_are_drawn_by_their_seed() {
    let shop = shop(VAE);
    shop.train(&[]).done();
    let draw = |seed: &str, out: &str| {
        let arguments = ["generate", "model", "--count", "12", "--out", out, "--seed", seed];
        shop.run(&arguments, "").done()
    };
    assert_eq!(draw("3", "a"), "a has 12 pictures, and grid.png with all of them\n");
    draw("3", "b");
    draw("4", "c");
    assert_eq!(shop.files("a").len(), 13);
    for name in ["01.png", "12.png", "grid.png"] {
        is_png(&shop, &format!("a/{name}"));
    }
    let grid = |folder: &str| fs::read(shop.path(folder).join("grid.png")).unwrap();
    assert!(grid("a") == grid("b") && grid("a") != grid("c"));
}

#[test]
fn a_model_that_is_told_draws_what_it_is_asked_for() {
    let shop = shop(VAE);
    shop.train(&[&TOLD[..], &["--set", "training.epochs=10"]].concat()).done();
    let draw = |label: &[&str], out: &str| {
        shop.run(&[&["generate", "model", "--out", out, "--count", "3"], label].concat(), "")
    };
    draw(&["--label", "1"], "ones").done();
    draw(&[], "all").done();
    let picture = |name: &str| fs::read(shop.path(name)).unwrap();
    assert!(picture("ones/2.png") == picture("all/2.png"));
    assert!(picture("ones/1.png") != picture("all/1.png"));
    let json: Value = serde_json::from_str(&draw(&["--json"], "named").done()).unwrap();
    let files = json["pictures"].as_array().unwrap();
    assert_eq!((files.len(), &json["labels"]), (3, &serde_json::json!([0, 1, 2])));
    for file in files.iter().chain([&json["grid"]]) {
        is_png(&shop, file.as_str().unwrap());
    }
    assert!(picture(files[1].as_str().unwrap()) == picture("all/2.png"));
    draw(&["--label", "3"], "none").refused_for(&["--label 3: model knows labels below 3"]);
    let arguments = ["evaluate", "model", "--data", "test.idx"];
    shop.run(&arguments, "").refused_for(&["`--data` has no labels"]);
    let strange = labels(30).into_iter().map(|byte| if byte == 2 { 7 } else { byte });
    shop.write("strange.idx", strange.collect::<Vec<u8>>());
    let said = shop.run(&[&arguments[..], &["--labels", "strange.idx"]].concat(), "");
    said.refused_for(&["`--data` has the label 7 at picture 3, the model knows labels below 3"]);
    is_png(&shop, "model/pictures/samples.png");
}

#[rstest]
#[case("d_latent = 2", "d_latent = 0", &["run.toml:", "`model.vae.d_latent` must be at least 1, got 0"])]
#[case("d_latent = 2", "d_laten = 2", &["d_laten"])]
#[case("d_latent = 2", "kl = { free_bits = { nats = 1.0, groups = 3 } }", &["`model.vae.kl.free_bits.groups` must be a number by which the 20"])]
#[case("hold_out = 20", "hold_out = 0", &["`data.pictures.hold_out` must be above 0, got 0"])]
#[case("hold_out = 20", "hold_out = 120", &["`data.pictures.hold_out` must be below the 120 pictures", "got 120"])]
#[case("hold_out = 20", "", &["`data.pictures.hold_out` must be below the 120 pictures", "got 1000"])]
#[case("hold_out = 20", "hold_out = 20\nvalid = { images = \"test.idx\" }", &["`data.pictures.hold_out` must be left out where `valid` is given"])]
#[case("batch = 10", "batch = 0", &["`data.pictures.batch` must be above 0, got 0"])]
#[case("batch = 10", "batches = 10", &["unknown field `batches`"])]
#[case("shown = \"grey\"", "shown = \"gray\"", &["unknown variant `gray`"])]
#[case("batch = 10", "distortion = { turn = -1.0 }", &["`data.pictures.distortion.turn` must be at least 0, got -1"])]
#[case("[training]", "[tokens.shared]\nsegmentation = { characters = {} }\n[training]", &["`tokens` must be left out for a model of pictures"])]
#[case("[training]", "[batches]\nsize = { sentences = 5 }\n[training]", &["`batches` must be left out for a model of pictures"])]
#[case("importance = 20", "importance = 0", &["`evaluation.importance` must be at least 1, got 0"])]
#[case("importance = 20", "beam = 5", &["`evaluation` must be left out for a model of pictures"])]
#[case("epochs = 3", "epochs = 3\nmetric = { name = \"ppl\", direction = \"lowest\" }", &["`training.metric.name` must be one of nll, reconstruction, kl, got ppl"])]
#[case("[data.pictures]", "[data]\ntrain = { plain = { path = \"words.txt\" } }\n[data.pictures]", &["`data.train` must be left out for a model of pictures"])]
#[case("[model.vae]\nd_hidden = [16]\nd_latent = 2", "[model.autoencoder]", &["`evaluation.importance` must be left out for an autoencoder"])]
#[case("[model.vae]\nd_hidden = [16]\nd_latent = 2", "[model.language_model]", &["`data.pictures` must be left out for a model of texts"])]
#[case("labels = \"test-labels.idx\" }\nhold_out = 20", "}\nhold_out = 20", &["a label"])]
fn what_cannot_be_is_named(#[case] from: &str, #[case] to: &str, #[case] named: &[&str]) {
    let shop = shop(VAE);
    // The last case is of a model that is told.
    let (named, told): (&[&str], &[&str]) = match named {
        ["a label"] => (&["`data.pictures.test.labels` must be given for a model with"], &TOLD),
        named => (named, &[]),
    };
    shop.change(from, to);
    shop.train(told).refused_for(named);
    assert!(!shop.path("model").exists());
}

#[test]
fn a_model_of_texts_needs_tokens_and_one_of_pictures_pictures() {
    let shop = Workshop::new();
    shop.change("[tokens.separate]\nsource = { segmentation = { characters = {} } }\ntarget = { segmentation = { characters = {} } }\n", "");
    shop.train(&[]).refused_for(&["`tokens` must be given for a model of texts"]);
    let text = fs::read_to_string(shop.path("run.toml")).unwrap();
    let start = text.find("[model.seq2seq]").unwrap();
    let end = text.find("[training]").unwrap();
    shop.write("run.toml", format!("{}[model.vae]\n{}", &text[..start], &text[end..]));
    shop.train(&[]).refused_for(&["`data.pictures` must be given for a model of pictures"]);
}

/// What is wrong with a file is said before anything is made.
#[test]
fn pictures_that_are_none_are_named() {
    let shop = shop(VAE);
    let refused = |named: &[&str]| {
        shop.train(&[]).refused_for(named);
        assert!(!shop.path("model").exists());
    };
    let whole = images(120);
    shop.write("train.idx", &whole[..whole.len() - 7]);
    refused(&["`data.pictures.train`", "train.idx", "there are 4313 bytes", "expected 4320"]);
    shop.write("train.idx", &whole[..9]);
    refused(&["train.idx: the file is cut: it has 9 bytes"]);
    shop.write("train.idx", labels(120));
    refused(&["train.idx: the magic number is 0x00000801, expected 0x00000803"]);
    shop.write("train.idx", &whole);
    shop.write("train-labels.idx", labels(119));
    refused(&["train-labels.idx has 119 labels, expected 120"]);
    fs::remove_file(shop.path("train-labels.idx")).unwrap();
    refused(&["cannot read train-labels.idx"]);
    shop.write("train-labels.idx", labels(120));
    let mut wider = images(30);
    wider.splice(8..16, [0, 0, 0, 4, 0, 0, 0, 9]);
    shop.write("test.idx", &wider);
    refused(&["`data.pictures.test` has pictures of 4×9 pixels, the model reads 6×6"]);
}

/// A loss that is not finite says which term of it.
#[rstest]
#[case(VAE, "the loss (")]
#[case(AUTOENCODER, "the loss (reconstruction) is not finite in epoch 1, step ")]
fn a_loss_that_is_not_finite_names_its_terms(#[case] config: &str, #[case] named: &str) {
    let shop = shop(config);
    let said =
        shop.train(&["--set", "training.learning_rate=1e30", "--set", "training.optimizer=sgd"]);
    let said = said.refused();
    assert!(said.contains(named) && said.contains("the last checkpoint is kept"), "{said}");
    if config == VAE {
        assert!(said.contains("reconstruction") || said.contains("kl"), "{said}");
    }
}

/// What is for texts is not for pictures, and the reverse.
#[test]
fn commands_and_options_of_the_other_kind_are_refused() {
    let shop = shop(VAE);
    shop.train(&["--set", "training.epochs=1"]).done();
    for command in [
        &["translate", "model"][..],
        &["score", "model"],
        &["tokenize", "model"],
        &["quantize", "model"],
        &["convert", "to-pytorch", "model", "out.safetensors"],
        &["evaluate", "model", "--data", "test.idx", "--beam", "2"],
        &["evaluate", "model", "model", "--data", "test.idx"],
        &["generate", "model", "--out", "a", "--prompt", "b"],
        &["generate", "model", "--out", "a", "--temperature", "0.5"],
        &["generate", "model", "--out", "a", "--label", "0"],
        &["generate", "model"],
        &["inspect", "model", "--wiring", "a.svg"],
    ] {
        let said = shop.run(command, "a\n").refused();
        let named = ["`vae`", "model of pictures", "models of pictures", "model is not told"];
        let named = named.into_iter().chain(["model draws pictures", "--wiring is for a GNMT"]);
        assert!(named.into_iter().any(|named| said.contains(named)), "{command:?}: {said}");
    }
    assert!(!shop.path("a").exists());
    let said = MODELS.run(&["generate", "language", "--out", "a"], "");
    said.refused_for(&["--out is for a model of pictures, and language is a language model"]);
    let with = ["evaluate", "gru", "--data", "test.tsv", "--labels", "test.tsv"];
    MODELS.run(&with, "").refused_for(&["--labels test.tsv: gru is a model of texts"]);
    shop.write("run.toml", AUTOENCODER);
    shop.run(&["train", "run.toml", "--out", "plain"], "").done();
    let said = shop.run(&["generate", "plain", "--out", "a"], "");
    said.refused_for(&["plain holds a model of the kind `autoencoder`, needed is `vae`"]);
}

/// VA-8 and VA-9, on real digits: after ten epochs the bound of grey pictures is below 125 nats, and an
/// autoencoder with a code of the same size makes them again more exactly than the variational one.
#[test]
fn va_8_va_9_digits_are_learned() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shop = Workshop::new();
    std::os::unix::fs::symlink(root.join("data"), shop.path("data")).unwrap();
    let train = |name: &str| {
        let config = root.join("configs").join(format!("{name}.toml"));
        let config = config.to_str().unwrap();
        let epochs = ["--set", "training.epochs=10"];
        shop.run(&[&["train", config, "--out", name], &epochs[..]].concat(), "").done();
        shop.json(&format!("{name}/metrics.json"))["scores"].clone()
    };
    let (vae, autoencoder) = (train("vae"), train("autoencoder"));
    let score = |scores: &Value, name: &str| scores[name].as_f64().unwrap();
    assert!(score(&vae, "nll") < 125.0, "{vae}");
    assert!(score(&autoencoder, "nll") < score(&vae, "reconstruction"), "{autoencoder} {vae}");
}
