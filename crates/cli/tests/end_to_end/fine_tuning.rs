//! A training that begins with a trained model (`--init`), on data that the model has not seen.

use std::fs;

use rstest::rstest;

use crate::workshop::{Said, Workshop, pairs};

/// A model that has learned words of small letters, and words of capitals for it to go on with.
fn shop() -> Workshop {
    let shop = Workshop::new();
    shop.train(&[]).done();
    shop.write("capitals.tsv", pairs(40, 5).to_uppercase() + &pairs(40, 6));
    shop
}

fn begin(shop: &Workshop, more: &[&str]) -> Said {
    let arguments = ["train", "run.toml", "--out", "next", "--init", "model"];
    let data = ["--set", "data.train.tsv.path=capitals.tsv"];
    shop.run(&[&arguments[..], &data, more].concat(), "")
}

fn bytes(shop: &Workshop, file: &str) -> Vec<u8> {
    fs::read(shop.path(file)).unwrap()
}

/// Its tokens are those of the model, whatever stands in the new data, and its first epoch is better
/// than that of a model that was drawn.
#[test]
fn other_data_do_not_change_the_tokens() {
    let shop = shop();
    begin(&shop, &[]).done();
    for name in ["source.tokenizer.json", "target.tokenizer.json"] {
        assert!(bytes(&shop, &format!("next/{name}")) == bytes(&shop, &format!("model/{name}")));
    }
    let first = |model: &str| {
        let history = &shop.json(&format!("{model}/metrics.json"))["history"];
        history[0]["scores"]["nll"].as_f64().unwrap()
    };
    assert!(first("next") < first("model"), "{} and {}", first("next"), first("model"));
    // What is new are tokens that it does not know, which it says of what it is given, too.
    let said = shop.run(&["translate", "next"], "ABC\n");
    assert!(said.err.contains("3 of 3 tokens were never seen"), "{}", said.err);
    said.done();
}

/// one that was stopped ends with the bits of one that was not, and needs neither the model
/// that it began with nor tokens of its data.
#[test]
fn it_goes_on_to_the_same_bits() {
    let (whole, parts) = (shop(), shop());
    begin(&whole, &[]).done();
    begin(&parts, &["--set", "training.epochs=1"]).done();
    fs::remove_dir_all(parts.path("model")).unwrap();
    let resume = ["train", "run.toml", "--out", "next", "--resume"];
    parts.run(&[&resume[..], &["--set", "data.train.tsv.path=capitals.tsv"]].concat(), "").done();
    for name in ["model.safetensors", "source.tokenizer.json", "config.json"] {
        let name = format!("next/{name}");
        assert!(bytes(&whole, &name) == bytes(&parts, &name), "{name}");
    }
    let scores = |shop: &Workshop| shop.json("next/metrics.json")["scores"].clone();
    assert_eq!(scores(&whole), scores(&parts));
}

/// The longest source that a model has learned from stays the longest.
#[test]
fn what_was_learned_before_counts() {
    let shop = shop();
    shop.write("capitals.tsv", "a\ta\nb\tb\n".repeat(20));
    begin(&shop, &[]).done();
    let longest = |model: &str| {
        let config = shop.json(&format!("{model}/config.json"));
        config["model"]["longest_source"].as_u64().unwrap()
    };
    assert_eq!((longest("model"), longest("next")), (5, 5));
}

#[rstest]
#[case(
    "tokens.separate.source.segmentation.characters.min_count=2",
    &["--init model: `tokens.separate.source.segmentation.characters.min_count` is 2 here and 1 in \
       model/training.toml"]
)]
#[case(
    "model.seq2seq.d_embedding=4",
    &["--init model: `model.seq2seq.d_embedding` is 8 there and 4 here"]
)]
fn what_does_not_fit_is_named(#[case] set: &str, #[case] named: &[&str]) {
    let shop = shop();
    begin(&shop, &["--set", set]).refused_for(named);
    assert!(!shop.path("next").exists());
}

/// A tokeniser that was changed is not gone on with.
#[test]
fn a_damaged_tokeniser_is_refused() {
    let shop = shop();
    let path = shop.path("model/source.tokenizer.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"a\"", "\"z\"", 1)).unwrap();
    let named = ["model/source.tokenizer.json", "checksum"];
    begin(&shop, &[]).refused_for(&named);
    shop.train(&["--resume", "--set", "training.epochs=4"]).refused_for(&named);
}
