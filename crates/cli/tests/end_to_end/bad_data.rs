//! Corpora and numbers that no model can be made of.

use std::{fs, io::Write, process::Command};

use rstest::rstest;
use serde_json::Value;

use crate::workshop::Workshop;

/// Nothing is made before all data are read.
fn refused_and_nothing_made(shop: &Workshop, more: &[&str], named: &[&str]) {
    shop.train(more).refused_for(named);
    assert!(!shop.path("model").exists(), "{:?}", shop.files("model"));
}

#[rstest]
#[case("", "train.tsv is empty")]
#[case("\n\n", "train.tsv:1: there is no column 1")]
#[case("a\tb\nc\td\te\n", "train.tsv:2: expected 2 columns separated by tabs, got 3")]
#[case("a\tb\nc\n", "train.tsv:2: expected 2 columns separated by tabs, got 1")]
#[case("a b\n", "train.tsv:1: there is no column 1")]
#[case("a\tb\nc\0\td\n", "train.tsv:2: byte 5 is zero, the file is binary and not text")]
#[case("\ta\n\tb\n", "`data.train` has no sources")]
fn a_corpus_that_is_none_is_named(#[case] content: &str, #[case] named: &str) {
    let shop = Workshop::new();
    shop.write("train.tsv", content);
    refused_and_nothing_made(&shop, &[], &[named, "data.train"]);
}

/// Which of the three it is, is said.
#[rstest]
#[case("valid")]
#[case("test")]
fn the_other_corpora_are_read_before_anything_is_made(#[case] which: &str) {
    let shop = Workshop::new();
    let (file, key) = (format!("{which}.tsv"), format!("data.{which}"));
    shop.write(&file, b"ab\tba\ncaf\xe9\tx\n");
    let place = format!("{file}:2: byte 9 is not UTF-8");
    refused_and_nothing_made(&shop, &[], &[&key, &place]);
    fs::remove_file(shop.path(&file)).unwrap();
    refused_and_nothing_made(&shop, &[], &[&key, &format!("cannot read {file}: No such file")]);
}

/// An example that fits in no batch is not learned from; it is measured all the same.
#[test]
fn an_example_larger_than_a_batch_is_named() {
    let shop = Workshop::new();
    let size = ["--set", "batches.size={ tokens = 80 }"];
    for file in ["valid.tsv", "test.tsv", "train.tsv"] {
        shop.write(file, format!("a\tb\n{0}\t{0}\n", "a".repeat(50)));
        if file == "train.tsv" {
            let named = ["`data.train`", "has 102 tokens, which is above the 80 of a batch"];
            refused_and_nothing_made(&shop, &size, &named);
        } else {
            shop.train(&size).done();
            std::fs::remove_dir_all(shop.path("model")).unwrap();
        }
    }
}

#[test]
fn a_compressed_file_that_is_cut_short_is_named() {
    let shop = Workshop::new();
    assert!(Command::new("gzip").arg(shop.path("train.tsv")).status().unwrap().success());
    shop.change("train.tsv", "train.tsv.gz");
    let whole = fs::read(shop.path("train.tsv.gz")).unwrap();
    shop.write("train.tsv.gz", &whole[..whole.len() / 2]);
    refused_and_nothing_made(&shop, &[], &["train.tsv.gz:", "the gzip data are cut short"]);
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0xff;
    shop.write("train.tsv.gz", damaged);
    refused_and_nothing_made(&shop, &[], &["train.tsv.gz:"]);
    fs::File::create(shop.path("train.tsv.gz")).unwrap().write_all(&whole).unwrap();
    shop.train(&["--set", "training.epochs=1"]).done();
}

#[test]
fn files_of_different_length_are_named() {
    let shop = Workshop::new();
    shop.write("a.txt", "a\nb\n");
    shop.write("b.txt", "a\n");
    shop.change(
        "{ tsv = { path = \"train.tsv\" } }",
        "{ parallel = { source = \"a.txt\", target = \"b.txt\" } }",
    );
    refused_and_nothing_made(&shop, &[], &["a.txt has 2 lines and b.txt has 1"]);
    shop.change(
        "{ parallel = { source = \"a.txt\", target = \"b.txt\" } }",
        "{ json_lines = { path = \"a.txt\", source = \"q\", target = \"a\" } }",
    );
    refused_and_nothing_made(&shop, &[], &["a.txt:1: not JSON"]);
}

/// In the first step nothing has been learned yet; what there is stays to be looked at.
#[test]
fn a_loss_that_is_not_finite_names_epoch_and_step() {
    let shop = Workshop::new();
    shop.change(
        "learning_rate = 1e-2\nclip_norm = 5.0",
        "learning_rate = 1e38\noptimizer = \"sgd\"",
    );
    let said = shop.train(&[]).refused();
    assert!(said.contains("not finite in epoch 1, step "), "{said}");
    assert!(said.contains("the last checkpoint is kept"), "{said}");
    assert!(!shop.path("model/model.safetensors").exists());
    assert!(shop.files("model").iter().any(|file| file.starts_with("checkpoints/")));
}

/// Well for two epochs of 24 steps, then never again: the best of the two is a model that works.
#[test]
fn the_best_model_outlives_a_loss_that_is_not_finite() {
    let (shop, good) = (Workshop::new(), Workshop::new());
    good.train(&["--set", "training.epochs=2"]).done();
    shop.change(
        "clip_norm = 5.0",
        "clip_norm = 5.0\noptimizer = { adam_then_sgd = { switch_step = 50, sgd_rate = 1e38 } }",
    );
    let said = shop.train(&[]).refused();
    assert!(said.contains("not finite in epoch 3, step 5"), "{said}");
    let weights = |shop: &Workshop| fs::read(shop.path("model/model.safetensors")).unwrap();
    assert!(weights(&shop) == weights(&good));
    let out = shop.run(&["evaluate", "model", "--data", "test.tsv", "--json"], "").done();
    let scores: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(scores["scores"], good.json("model/metrics.json")["scores"]);
}
