//! What `translate` makes of lines.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
};

use rstest::rstest;
use serde_json::Value;

use crate::workshop::MODELS;

fn translate(more: &[&str], input: &str) -> String {
    MODELS.run(&[&["translate", "gru"], more].concat(), input).done()
}

#[test]
fn each_line_is_answered_by_one() {
    let said = MODELS.run(&["translate", "gru"], "ab\n\nfed\n \nc");
    assert_eq!(said.err, "");
    let out = said.done();
    let lines: Vec<&str> = out.split('\n').collect();
    assert_eq!(lines.len(), 6, "{out}");
    assert_eq!((lines[1], lines[3], lines[5]), ("", "", ""));
    assert!(!lines[0].is_empty() && !lines[2].is_empty() && !lines[4].is_empty(), "{out}");
    assert_eq!(translate(&[], ""), "");
    assert_eq!(translate(&[], "ab\r\n"), translate(&[], "ab\n"));
}

/// Whoever waits for an answer before the next line gets it, and what is drawn for a line is the same
/// as where all lines are there at once.
#[test]
fn a_line_is_answered_before_the_next() {
    let drawn = ["translate", "gru", "--sample", "--seed", "7"];
    let lines = ["ab", "", "fed", "cab"];
    let mut child = MODELS.talk(&drawn);
    let (mut to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut answers = BufReader::new(from).lines();
    let mut talked = String::new();
    for line in lines {
        writeln!(to, "{line}").unwrap();
        talked += &format!("{}\n", answers.next().unwrap().unwrap());
    }
    drop(to);
    assert!(child.wait().unwrap().success());
    assert_eq!(talked, MODELS.run(&drawn, &lines.map(|line| format!("{line}\n")).concat()).done());
}

/// More lines than are read at once; each is translated as if it were alone.
#[test]
fn many_lines_stay_in_order() {
    let words: Vec<String> = (0..600).map(|n| "abcdef"[n % 6..].repeat(1 + n % 2)).collect();
    let out = translate(&[], &words.join("\n"));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 600);
    let alone = translate(&[], &words[..12].join("\n"));
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(*line, alone.lines().nth(n % 12).unwrap(), "line {n}");
    }
}

#[test]
fn an_unseen_character_is_warned_of() {
    let said = MODELS.run(&["translate", "gru"], "ab\naxb\n");
    assert_eq!(said.err, "warning: line 2: 1 of 3 tokens were never seen in training\n");
    assert_eq!(said.done().lines().count(), 2);
}

#[test]
fn a_very_long_line_is_translated_all_the_same() {
    let said = MODELS.run(&["translate", "gru"], &format!("ab\n{}\n", "abcde".repeat(2000)));
    let expected = "warning: line 2: 10000 tokens, the longest the model has learned from had 5\n";
    assert_eq!(said.err, expected);
    assert_eq!(said.done().lines().count(), 2);
}

#[test]
fn a_line_that_is_no_text_is_named() {
    // What is sent is text, so the byte comes from a file.
    let file = MODELS.path("latin1.txt");
    fs::write(&file, b"ab\ncaf\xe9\n").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_recurrent"));
    command.current_dir(MODELS.path("")).args(["translate", "gru"]);
    let output = command.stdin(fs::File::open(file).unwrap()).output().unwrap();
    crate::workshop::Said::new(output).refused_for(&["standard input, line 2", "not UTF-8"]);
}

#[test]
fn the_best_outputs_come_with_their_scores() {
    let out = translate(&["--beam", "4", "--n-best", "3"], "abc\n\nde\n");
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 6, "{out}");
    let numbers: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(numbers, ["1", "1", "1", "3", "3", "3"]);
    for best in rows.chunks(3) {
        let scores: Vec<f64> = best.iter().map(|row| row[1].parse().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    }
    MODELS
        .run(&["translate", "gru", "--beam", "2", "--n-best", "3"], "a\n")
        .refused_for(&["--n-best 3 needs a --beam of at least 3, got 2"]);
}

#[test]
fn a_draw_is_repeated_by_its_seed() {
    let words = "abcde\nfedcb\naceb\n".repeat(4);
    let draw = |seed: &str| translate(&["--sample", "--seed", seed, "--temperature", "2"], &words);
    assert_eq!(draw("7"), draw("7"));
    assert_ne!(draw("7"), draw("8"));
}

#[test]
fn outputs_are_json_line_by_line() {
    let out = translate(&["--json"], "abc\n\nd\n");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["line"], &lines[0]["source"]), (&1.into(), &"abc".into()));
    assert_eq!(lines[1]["outputs"], Value::Array(Vec::new()));
    let best = &lines[0]["outputs"][0];
    let tokens = best["tokens"].as_array().unwrap();
    assert_eq!(tokens.last().unwrap(), "</s>");
    assert_eq!(best["token_log_probs"].as_array().unwrap().len(), tokens.len());
    assert_eq!(best["text"].as_str().unwrap().chars().count(), tokens.len() - 1);
}

#[test]
fn attention_is_drawn_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("a/b");
    translate(&["--attention", pictures.to_str().unwrap()], "abc\n\ndef\n");
    let one = fs::read_to_string(pictures.join("1.svg")).unwrap();
    assert!(one.starts_with("<svg ") && one.contains(">a</text>"), "{one}");
    assert!(pictures.join("3.svg").exists() && !pictures.join("2.svg").exists());
}

/// A picture of a hundred thousand columns is of no use to anybody.
#[test]
fn what_is_too_long_for_a_picture_is_translated_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().to_str().unwrap();
    let lines = format!("{}\nabc\n", "abcde".repeat(20_001));
    let said = MODELS.run(&["translate", "gru", "--attention", pictures], &lines);
    assert!(said.err.contains("warning: line 1: no picture, it would have "), "{}", said.err);
    assert_eq!(said.done().lines().count(), 2);
    assert!(folder.path().join("2.svg").exists() && !folder.path().join("1.svg").exists());
}

#[test]
fn a_model_without_attention_draws_none() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("none");
    let said = MODELS
        .run(&["translate", "gru", "blind", "--attention", pictures.to_str().unwrap()], "abc\n");
    assert_eq!(said.out, "");
    said.refused_for(&["--attention: blind has no attention"]);
    assert!(!pictures.exists());
    assert_eq!(MODELS.run(&["translate", "blind"], "ab\n").done().lines().count(), 1);
}

#[test]
fn an_ensemble_writes_together() {
    let words = "abcde\nfedcb\naceb\nbad\n";
    let one = translate(&[], words);
    assert_eq!(MODELS.run(&["translate", "gru", "gru"], words).done(), one);
    let both = ["translate", "gru", "other", "--beam", "3"];
    assert_eq!(MODELS.run(&both, words).done().lines().count(), 4);
    assert_eq!(MODELS.run(&["translate", "gru", "blind"], words).done().lines().count(), 4);
    MODELS
        .run(&["translate", "gru", "strange"], words)
        .refused_for(&["strange has other tokens than gru"]);
}

#[rstest]
#[case(&["translate", "language"], "language holds a model of the kind `language_model`")]
#[case(&["translate", "nothing"], "nothing")]
fn what_cannot_translate_is_refused(#[case] arguments: &[&str], #[case] named: &str) {
    MODELS.run(arguments, "abc\n").refused_for(&[named]);
}

/// A line for each line; the words are letters here, so each letter that is written has its place.
#[test]
fn alignments_are_written_line_by_line() {
    let file = MODELS.path("alignments.txt");
    let out = translate(&["--alignments", file.to_str().unwrap()], "ab\n\nfed\n");
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!((lines.len(), lines[1], lines[3]), (4, "", ""));
    let outputs: Vec<&str> = out.lines().collect();
    for (line, output, letters) in [(lines[0], outputs[0], 2), (lines[2], outputs[2], 3)] {
        let pairs: Vec<(usize, usize)> = line
            .split_whitespace()
            .map(|pair| pair.split_once('-').unwrap())
            .map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap()))
            .collect();
        let written: Vec<usize> = pairs.iter().map(|pair| pair.1).collect();
        assert_eq!(written, (0..output.chars().count()).collect::<Vec<_>>());
        assert!(pairs.iter().all(|pair| pair.0 < letters), "{line}");
    }
}

/// What is refused loses no alignments of before.
#[test]
fn a_call_that_is_refused_leaves_the_file() {
    let file = MODELS.path("kept.txt");
    fs::write(&file, "0-0\n").unwrap();
    let path = file.to_str().unwrap();
    let arguments = ["translate", "gru", "--alignments", path, "--beam", "2", "--n-best", "3"];
    MODELS.run(&arguments, "ab").refused_for(&["--n-best 3 needs a --beam of at least 3"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "0-0\n");
}

#[test]
fn what_does_not_look_has_no_alignments() {
    let file = MODELS.path("none.txt");
    let arguments = ["translate", "blind", "--alignments", file.to_str().unwrap()];
    MODELS.run(&arguments, "ab").refused_for(&["--alignments: blind has no attention"]);
    assert!(!file.exists());
}

#[test]
fn texts_are_cut_as_the_model_cuts_them() {
    let cut =
        |more: &[&str]| MODELS.run(&[&["tokenize", "gru"], more].concat(), "ab\n\na b\n").done();
    assert_eq!(cut(&[]).lines().collect::<Vec<_>>(), ["a b", "", "a <unk> b"]);
    let ids = cut(&["--ids", "--side", "target"]);
    let ids: Vec<Vec<u32>> = ids
        .lines()
        .map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect())
        .collect();
    assert_eq!(ids[2], [ids[0][0], 1, ids[0][1]]);
}

/// Whatever is wrong with a line, those before it are answered; a mark of the order of bytes is no letter.
#[test]
fn lines_before_a_bad_one_are_answered() {
    let good = MODELS.run(&["translate", "gru"], "abc\ncab\n").done();
    let from = |command: &str, lines: &[u8]| {
        let file = MODELS.path(&format!("{command}.txt"));
        fs::write(&file, lines).unwrap();
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_recurrent"));
        program.current_dir(MODELS.path("")).args([command, "gru"]);
        let output = program.stdin(fs::File::open(file).unwrap()).output().unwrap();
        crate::workshop::Said::new(output)
    };
    let translated = from("translate", b"\xef\xbb\xbfabc\ncab\n\xff\nabc\n");
    assert_eq!(translated.out, good);
    assert!(!translated.err.contains("never seen"), "{}", translated.err);
    let scored = from("score", b"\xef\xbb\xbfabc\tcba\ncab\tbac\n\xff\t\nabc\tcba\n");
    assert_eq!(scored.out.lines().count(), 2, "{scored:?}");
    for said in [translated, scored] {
        assert_eq!(said.code, Some(2));
        assert!(said.err.contains("standard input, line 3: it is not UTF-8"), "{}", said.err);
    }
}

/// Options that would do nothing are refused.
#[test]
fn what_would_do_nothing_is_refused() {
    let named = ["--length-penalty does nothing with a beam of 1"];
    MODELS
        .run(&["translate", "gru", "--beam", "1", "--length-penalty", "5"], "abc\n")
        .refused_for(&named);
    let evaluate = ["evaluate", "gru", "--data", "test.tsv", "--beam", "1"];
    let penalty = ["--coverage-penalty", "0,1"];
    MODELS
        .run(&[&evaluate[..], &penalty].concat(), "")
        .refused_for(&["--coverage-penalty does nothing with a beam of 1"]);
    MODELS
        .run(&["translate", "gru", "--length-penalty", "-1"], "abc\n")
        .refused_for(&["--length-penalty", "must be a number of at least 0"]);
    let texts = ["evaluate", "language", "--data", "test.tsv", "--length-penalty", "3"];
    MODELS.run(&texts, "").refused_for(&["language writes without one"]);
}
