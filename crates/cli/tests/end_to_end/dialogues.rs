//! Models of conversations: tiny ones, in which the last turn repeats the first.

use std::fs;

use rstest::rstest;
use serde_json::Value;

use crate::workshop::Workshop;

/// A model with a latent variable, all its keys in places that a test can replace.
const VHRED: &str = r#"[data.dialogues]
train = { path = "train.jsonl" }
valid = { path = "valid.jsonl" }
test = { path = "valid.jsonl" }
batch = 6
turns = 2

[tokens.shared]
segmentation = { whitespace = {} }

[model.vhred]
d_latent = 3

[model.vhred.hred]
d_embedding = 8
encoder = { d_hidden = 8, reading = "forward" }
context = { rnn = { d_hidden = 8 } }
d_decoder = 8
d_readout = 8

[training]
epochs = 3
learning_rate = 1e-2

[evaluation]
importance = 3
"#;

/// The same without.
fn hred() -> String {
    let text = VHRED.replace("[model.vhred]\nd_latent = 3\n\n", "");
    text.replace("[model.vhred.hred]", "[model.hred]")
        .replace("\n[evaluation]\nimportance = 3\n", "")
}

/// Running text.
fn flat() -> String {
    let text = hred();
    let (from, to) = (text.find("[model.hred]").unwrap(), text.find("[training]").unwrap());
    format!("{}[model.language_model]\nd_hidden = 8\n\n{}", &text[..from], &text[to..])
}

/// Conversations of two to five turns.
fn conversations(count: usize) -> String {
    let word = |n: usize| ["red", "green", "blue", "grey"][n % 4];
    let line = |n: usize| {
        let between = (0..n % 4).map(|m| format!("\"is {}\", ", word(n + m)));
        let between: String = between.collect();
        format!("{{\"turns\": [\"say {0}\", {between}\"{0} it was\"]}}\n", word(n / 3))
    };
    (0..count).map(line).collect()
}

fn shop(config: &str) -> Workshop {
    let shop = Workshop::new();
    shop.write("train.jsonl", conversations(40));
    shop.write("valid.jsonl", conversations(8));
    shop.write("run.toml", config);
    shop
}

fn evaluate(shop: &Workshop, more: &[&str]) -> Value {
    let arguments = [&["evaluate", "model", "--data", "valid.jsonl", "--json"], more].concat();
    serde_json::from_str(&shop.run(&arguments, "").done()).unwrap()
}

/// It trains, is measured alike afterwards, and says what its latent variable is used for.
#[test]
fn a_model_with_a_latent_variable_is_measured_as_after_training() {
    let shop = shop(VHRED);
    let said = shop.train(&[]).done();
    for part in ["ppl_prior", "iw_ppl", "distinct_2", "active units", "the posterior has"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for name in ["kl_by_dimension.svg", "kl_by_turn.svg", "learning_curve.svg"] {
        let svg = fs::read_to_string(shop.path("model/pictures").join(name)).unwrap();
        assert!(svg.starts_with("<svg") && said.contains(name), "{name}: {said}");
    }
    let (trained, measured) = (shop.json("model/metrics.json"), evaluate(&shop, &[]));
    assert_eq!(trained["scores"], measured["scores"]);
    assert_eq!(trained["latent"], measured["latent"]);
    let score = |name: &str| measured["scores"][name].as_f64().unwrap();
    assert!((score("nll").exp() - score("ppl")).abs() < 1e-6);
    // A tighter bound, by three draws a turn.
    assert!(score("iw_ppl") < score("ppl") * 1.02, "{measured}");
    assert_eq!(measured["latent"]["kl_by_dimension"].as_array().unwrap().len(), 3);
    // Conversations have two to five turns.
    let by_turn = measured["latent"]["kl_by_turn"].as_array().unwrap().iter();
    let turns: Vec<u64> = by_turn.map(|of| of["turns"].as_u64().unwrap()).collect();
    assert_eq!(turns, [8, 8, 6, 4, 2]);
    assert_eq!(evaluate(&shop, &["--pictures", "drawn"])["scores"], measured["scores"]);
    for name in ["kl_by_dimension.svg", "kl_by_turn.svg"] {
        let [then, now] = ["model/pictures", "drawn"].map(|to| fs::read(shop.path(to).join(name)));
        assert!(then.unwrap() == now.unwrap(), "{name}");
    }
    let again = evaluate(&shop, &["--beam", "2"]);
    assert_eq!(again["scores"]["nll"], measured["scores"]["nll"]);
}

/// How much of the conversations is not learned from is said before the training, and stays in its report.
#[rstest]
#[case(VHRED.to_owned())]
#[case(flat())]
fn turns_that_are_cut_are_counted(#[case] config: String) {
    let shop = shop(&config);
    let short = ["--set", "data.dialogues.longest=2", "--set", "training.epochs=1"];
    let said = shop.train(&short);
    // "red it was", once a conversation; it has a turn before it and up to three between.
    let line = "40 of 140 turns are cut at 2 tokens\n";
    assert!(said.err.starts_with(line), "{}", said.err);
    assert!(said.done().contains(line));
    let cut = serde_json::json!({ "cut": 40, "turns": 140, "longest": 2 });
    assert_eq!(shop.json("model/metrics.json")["cut"], cut);
    fs::remove_dir_all(shop.path("model")).unwrap();
    let said = shop.train(&["--set", "data.dialogues.longest=3", "--set", "training.epochs=1"]);
    assert!(!said.err.contains("are cut"), "{}", said.err);
    said.done();
    assert_eq!(shop.json("model/metrics.json")["cut"]["cut"], 0);
}

/// X-3, X-4: a training that was stopped ends with the bits of one that was not.
#[rstest]
#[case(VHRED.to_owned())]
#[case(hred())]
#[case(flat())]
fn a_training_that_goes_on_ends_with_the_same_bits(#[case] config: String) {
    let whole = shop(&config);
    whole.train(&[]).done();
    let weights = |shop: &Workshop| fs::read(shop.path("model/model.safetensors")).unwrap();
    let parts = shop(&config);
    parts.train(&["--set", "training.epochs=1"]).done();
    parts.train(&["--resume"]).done();
    assert!(weights(&whole) == weights(&parts));
    // Other conversations are another training.
    parts.write("train.jsonl", conversations(41));
    let said = parts.train(&["--resume", "--set", "training.epochs=4"]);
    said.refused_for(&["data.train", "40 conversations", "41 conversations"]);
}

/// A model with a latent variable begins with one that has none; a model of another width is refused.
#[test]
fn a_latent_variable_can_be_added_to_a_trained_model() {
    let shop = shop(&hred());
    shop.train(&[]).done();
    let hred = evaluate(&shop, &[]);
    fs::rename(shop.path("model"), shop.path("trained")).unwrap();
    shop.write("run.toml", VHRED);
    let slow = ["--init", "trained", "--set", "training.learning_rate=1e-9"];
    shop.train(&slow).done();
    // With nothing learned it writes what the other wrote, whatever the draw.
    let vhred = evaluate(&shop, &[]);
    let ppl = |name: &str| vhred["scores"][name].as_f64().unwrap();
    let before = hred["scores"]["ppl"].as_f64().unwrap();
    for name in ["ppl_posterior", "ppl_prior", "ppl_zero"] {
        assert!((ppl(name) / before - 1.0).abs() < 1e-3, "{name}: {vhred} {hred}");
    }
    fs::remove_dir_all(shop.path("model")).unwrap();
    let wide = ["--init", "trained", "--set", "model.vhred.hred.d_decoder=9"];
    shop.train(&wide)
        .refused_for(&["--init trained: `model.vhred.hred.d_decoder` is 8 there and 9 here"]);
}

/// What is said is replied to line by line, the same for the same seed, and the commands do what they say.
#[rstest]
#[case(VHRED.to_owned())]
#[case(hred())]
fn a_conversation_goes_on_line_by_line(#[case] config: String) {
    let shop = shop(&config);
    shop.train(&[]).done();
    let chat = |more: &[&str], said: &str| {
        shop.run(&[&["chat", "model", "--sample"], more].concat(), said).done()
    };
    let said = "say red\nis blue\n/reset\nsay red\n";
    let replies = chat(&["--seed", "7"], said);
    assert_eq!(replies.lines().count(), 4, "{replies}");
    assert_eq!(replies, chat(&["--seed", "7"], said));
    let json = chat(&["--json", "--replies", "4"], "say red\n/z\n/take 2\n/take 9\n/nothing\n");
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["heard"], "say red");
    let offered = lines[1]["replies"].as_array().unwrap();
    assert_eq!((offered.len(), &offered[0]), (4, &lines[0]["reply"]));
    assert_eq!((&lines[2]["taken"], &lines[2]["reply"]), (&2.into(), &offered[1]));
    assert!(lines[3]["note"].as_str().unwrap().contains("from 1 to 4, got `9`"), "{json}");
    assert!(lines[4]["note"].as_str().unwrap().contains("there is no `/nothing`"), "{json}");
    // Another seed offers other replies to the turn before it, and that turn stays what it was.
    let json = chat(&["--json"], "say red\n/seed 9\n/z\n");
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[1]["note"], "seed 9");
    assert_eq!(lines[2]["replies"][0], lines[0]["reply"], "{json}");
    // As many as are asked for, and every line has an answer.
    let json = chat(&["--json"], "say red\n/z 3\n/z 0\n/z many\n/z 101\n");
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), lines[1]["replies"].as_array().unwrap().len()), (5, 3), "{json}");
    for (line, got) in lines[2..].iter().zip(["0", "many", "101"]) {
        assert_eq!(
            line["note"],
            format!("/z may be followed by a number from 1 to 100, got `{got}`")
        );
    }
    // The end of what is said is the end.
    assert_eq!(chat(&[], "/quit\nsay red\n"), "");
}

/// Where nothing is drawn the same would come again and again: the next best of a beam are shown.
#[test]
fn without_anything_to_draw_other_replies_are_the_next_best() {
    let shop = shop(&hred());
    shop.train(&[]).done();
    for beam in ["1", "4"] {
        let chat = ["chat", "model", "--json", "--beam", beam];
        let json = shop.run(&chat, "say red\n/z 3\n/z 3\n/take 3\n").done();
        let lines: Vec<Value> =
            json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let replies: Vec<&str> = lines[1]["replies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        assert_eq!((replies.len(), &lines[0]["reply"]), (3, &replies[0].into()), "{json}");
        assert!(replies[1] != replies[0] && replies[2] != replies[1] && replies[2] != replies[0]);
        assert_eq!((&lines[2], &lines[3]["reply"]), (&lines[1], &replies[2].into()), "{json}");
    }
}

/// Vectors of words measure how near replies are.
#[test]
fn replies_are_measured_by_vectors_of_words() {
    let shop = shop(&hred());
    shop.train(&["--set", "training.epochs=20"]).done();
    shop.write(
        "vectors.txt",
        "red 1 0\ngreen 0 1\nblue 1 1\ngrey -1 0\nit 0.5 0.5\nwas 0 -1\nis 1 -1\nsay 2 1\n",
    );
    let measured = evaluate(&shop, &["--vectors", "vectors.txt"]);
    for name in ["average", "greedy", "extrema"] {
        let score = measured["scores"][name].as_f64().unwrap();
        assert!((-1.0..=1.0).contains(&score), "{measured}");
    }
    shop.write("vectors.txt", "nobody 1 0\nsays 0 1\n");
    let arguments = ["evaluate", "model", "--data", "valid.jsonl", "--vectors", "vectors.txt"];
    shop.run(&arguments, "").refused_for(&["--vectors", "have a vector"]);
}

#[rstest]
#[case("{\"turns\": [\"hello\"]}", &["train.jsonl:1", "two turns at least, got 1"])]
#[case("{\"turns\": [\"hello\", \" \"]}", &["train.jsonl:1", "turn 2"])]
#[case("{\"turns\": [\"a\", \"b\"], \"mood\": 1}", &["train.jsonl:1", "mood"])]
#[case("{\"turns\": [\"a\", \"b\"", &["train.jsonl:1"])]
fn a_file_that_is_no_conversation_is_refused(#[case] line: &str, #[case] named: &[&str]) {
    let shop = shop(VHRED);
    shop.write("train.jsonl", line);
    shop.train(&[]).refused_for(named);
    assert!(shop.files("model").is_empty());
}

#[rstest]
#[case("d_latent = 3", "d_latent = 0", &["model.vhred.d_latent", "at least 1, got 0"])]
#[case("d_decoder = 8", "d_decoder = 0", &["model.vhred.hred.d_decoder", "at least 1, got 0"])]
#[case("batch = 6", "batch = 0", &["data.dialogues.batch", "above 0, got 0"])]
#[case("turns = 2", "turns = 1", &["data.dialogues.turns", "at least 2, got 1"])]
#[case("batch = 6", "batches = 6", &["batches"])]
#[case("[tokens.shared]\nsegmentation = { whitespace = {} }", "", &["tokens"])]
#[case("importance = 3", "metrics = [\"bleu\"]", &["evaluation.metrics", "conversations"])]
#[case("importance = 3", "importance = 0", &["evaluation.importance"])]
#[case("learning_rate = 1e-2", "learning_rate = 1e-2\nmetric = { name = \"bleu\", direction = \"highest\" }", &["training.metric.name"])]
fn what_does_not_fit_is_refused(#[case] from: &str, #[case] to: &str, #[case] named: &[&str]) {
    let shop = shop(VHRED);
    shop.change(from, to);
    shop.train(&[]).refused_for(named);
}

/// A model is used by the commands that are for it, and the others say so.
#[test]
fn other_commands_name_what_they_need() {
    let shop = shop(&hred());
    shop.train(&["--set", "training.epochs=1"]).done();
    shop.run(&["translate", "model"], "").refused_for(&["`hred`", "texts into texts"]);
    shop.run(&["generate", "model"], "").refused_for(&["`hred`", "language_model"]);
    let evaluate = ["evaluate", "model", "--data", "valid.jsonl", "--to", "es"];
    shop.run(&evaluate, "").refused_for(&["--to", "a model of conversations"]);
    let drawn = ["evaluate", "model", "--data", "valid.jsonl", "--pictures", "drawn"];
    shop.run(&drawn, "").refused_for(&["--pictures", "no latent variable"]);
    assert!(shop.run(&["inspect", "model"], "").done().contains("hred"));
    assert_eq!(shop.run(&["tokenize", "model"], "say red\n").done(), "say red\n");
    fs::remove_dir_all(shop.path("model")).unwrap();
    shop.write("run.toml", flat());
    shop.train(&["--set", "training.epochs=1"]).done();
    shop.run(&["chat", "model"], "").refused_for(&["`language_model`", "`hred` or `vhred`"]);
}

/// Of many conversations of two turns every second turn is replied to: it alone has one before it.
#[test]
fn conversations_of_two_turns_are_replied_to() {
    let shop = shop(&hred());
    shop.train(&["--set", "training.epochs=1"]).done();
    shop.write("valid.jsonl", "{\"turns\": [\"say red\", \"red it was\"]}\n".repeat(300));
    let scores = evaluate(&shop, &[])["scores"].clone();
    assert!(scores["length"].as_f64().unwrap() > 0.0, "{scores}");
    assert_eq!(scores["between_draws"], 1.0);
}
