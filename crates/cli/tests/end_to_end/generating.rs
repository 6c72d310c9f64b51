//! What `generate` writes.

use serde_json::Value;

use crate::workshop::{LANGUAGE, MODELS, Workshop};

#[test]
fn texts_are_repeated_by_their_seed() {
    let write = |seed: &str| {
        let arguments = ["generate", "language", "--count", "20", "--seed", seed];
        MODELS.run(&arguments, "").done()
    };
    assert_eq!(write("3").lines().count(), 20);
    assert_eq!(write("3"), write("3"));
    assert_ne!(write("3"), write("4"));
}

#[test]
fn texts_go_on_from_their_prompt() {
    let arguments = ["generate", "language", "--prompt", "ab", "--count", "5", "--length", "3"];
    let out = MODELS.run(&arguments, "").done();
    assert_eq!(out.lines().count(), 5);
    assert!(out.lines().all(|line| line.starts_with("ab") && line.len() <= 5), "{out}");
}

/// An object a line: the same texts, token by token, with how likely each is.
#[test]
fn texts_are_written_for_programs() {
    let arguments = ["generate", "language", "--prompt", "ab", "--count", "20", "--length", "4"];
    let plain = MODELS.run(&arguments, "").done();
    let json = MODELS.run(&[&arguments[..], &["--json"]].concat(), "").done();
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let texts: Vec<&str> = lines.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(texts, plain.lines().collect::<Vec<_>>());
    for line in &lines {
        let list = |key: &str| line[key].as_array().unwrap();
        let sum: f64 = list("token_log_probs").iter().map(|one| one.as_f64().unwrap()).sum();
        let log_prob = line["log_prob"].as_f64().unwrap();
        assert!(log_prob < 0.0 && (log_prob - sum).abs() < 1e-9, "{line}");
        // Letters are tokens.
        let tokens: Vec<&str> = list("tokens").iter().map(|one| one.as_str().unwrap()).collect();
        let text = line["text"].as_str().unwrap();
        // Special tokens are not shown.
        let letters = tokens.iter().copied().filter(|token| !token.starts_with('<'));
        assert_eq!(format!("ab{}", letters.collect::<String>()), text, "{line}");
        assert_eq!(tokens.last(), Some(&"</s>"), "{line}");
        assert!(line["ending"] == "written" || line["ending"] == "cut", "{line}");
        assert_eq!((tokens.len(), &line["prompt"]), (list("token_log_probs").len(), &"ab".into()));
    }
    let unasked = MODELS.run(&["generate", "language", "--json"], "").done();
    assert!(!unasked.contains("prompt"), "{unasked}");
}

#[test]
fn a_model_that_translates_does_not_write() {
    let said = MODELS.run(&["generate", "gru"], "");
    said.refused_for(&[
        "gru holds a model of the kind `seq2seq`, needed is `language_model` or `sequence_vae`",
    ]);
}

/// Words have a blank between them, also where the prompt ends.
#[test]
fn a_blank_stands_between_a_prompt_and_its_text() {
    let shop = Workshop::new();
    shop.write("words.txt", "ab cd ef\ncd ef ab\nef ab cd\n".repeat(10));
    shop.write("valid.tsv", "x\tab cd ef\n");
    for segmentation in ["{ bpe = { size = 30 } }", "{ whitespace = {} }"] {
        let config = LANGUAGE.replace("{ characters = {} }", segmentation);
        shop.write("run.toml", config.replace("epochs = 2", "epochs = 8"));
        shop.train(&[]).done();
        let arguments = ["generate", "model", "--prompt", "ab", "--count", "20"];
        let out = shop.run(&arguments, "").done();
        assert!(out.lines().any(|line| line.starts_with("ab cd")), "{out}");
        assert!(!out.lines().any(|line| line.starts_with("abcd")), "{out}");
        std::fs::remove_dir_all(shop.path("model")).unwrap();
    }
}
