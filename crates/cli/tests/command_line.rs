//! The program as a person meets it: what it says, and the code it ends with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use burn::{nn::LinearConfig, prelude::*};
use recurrent::folder::{ModelFolder, Part, Start};
use rstest::rstest;
use serde_json::{Value, json};

fn recurrent(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recurrent"));
    command.args(arguments).env_remove("RUST_BACKTRACE").output().unwrap()
}

/// What it says when it is content.
fn shown(arguments: &[&str]) -> String {
    let output = recurrent(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

/// What it says when it refuses.
fn refused(arguments: &[&str]) -> String {
    let output = recurrent(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty());
    assert!(said.starts_with("error: ") && !said.contains("panicked"), "{said}");
    said
}

/// A folder with a model of one layer.
fn model(path: &Path, width: usize) -> ModelFolder {
    let mut folder = ModelFolder::create(path, Start::New).unwrap();
    folder.describe("layer", &json!({ "width": width })).unwrap();
    folder.write(Part::SourceTokenizer, b"source").unwrap();
    folder.write(Part::TargetTokenizer, b"target").unwrap();
    folder.save_weights(&LinearConfig::new(width, width).init(&Device::flex())).unwrap();
    folder
}

#[test]
fn without_arguments_it_says_how_to_start() {
    let text = shown(&[]);
    for command in ["recurrent train", "recurrent translate", "--set", "--help"] {
        assert!(text.contains(command), "{text}");
    }
}

#[rstest]
#[case(&["tran"], "'train'")]
#[case(&["train"], "CONFIG.toml")]
#[case(&["train", "a.toml", "--epochs", "3"], "--epochs")]
#[case(&["evaluate", "m"], "--data")]
#[case(&["translate", "m", "--device", "gpu"], "unknown device `gpu`, expected `flex`")]
fn a_wrong_command_line_is_refused(#[case] arguments: &[&str], #[case] named: &str) {
    let said = refused(arguments);
    assert!(said.contains(named), "{said}");
}

#[rstest]
#[case("--help")]
#[case("train --help")]
#[case("convert from-pytorch --help")]
fn help_is_no_error(#[case] arguments: &str) {
    let arguments: Vec<_> = arguments.split(' ').collect();
    assert!(shown(&arguments).contains("Usage: recurrent"));
}

#[test]
fn each_command_has_a_help_of_its_own() {
    let text = shown(&["translate", "--help"]);
    assert!(text.starts_with("Turn lines of text into other lines of text"), "{text}");
    assert!(text.contains("--attention <DIR>"), "{text}");
}

#[test]
fn devices_are_json() {
    let devices: Value = serde_json::from_str(&shown(&["devices", "--json"])).unwrap();
    assert_eq!(devices[0]["name"], "flex");
    assert_eq!(devices[0]["present"], 1);
    assert!(shown(&["devices"]).starts_with("device "));
}

#[test]
fn a_model_is_inspected() {
    let temporary = tempfile::tempdir().unwrap();
    model(temporary.path(), 3);
    let path = temporary.path().to_str().unwrap();
    let summary: Value = serde_json::from_str(&shown(&["inspect", path, "--json"])).unwrap();
    assert_eq!(summary["parameter_count"], 12);
    assert_eq!(summary["kind"], "layer");
    assert!(shown(&["inspect", path]).contains("3 × 3"));
}

#[rstest]
#[case("config.json")]
#[case("model.safetensors")]
#[case("source.tokenizer.json")]
#[case("target.tokenizer.json")]
fn a_broken_model_names_its_file(#[case] name: &str) {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    model(one.path(), 3);
    model(two.path(), 4).write(Part::SourceTokenizer, b"other").unwrap();
    ModelFolder::open(two.path()).unwrap();
    let (file, folder) = (one.path().join(name), one.path().to_str().unwrap());
    let whole = fs::read(&file).unwrap();

    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let said = refused(&["inspect", folder]);
    assert!(said.contains(name) && said.contains("config.json"), "cut: {said}");

    fs::remove_file(&file).unwrap();
    let said = refused(&["inspect", folder]);
    assert!(said.contains(&format!("`{name}` is missing")), "missing: {said}");

    let of_other = match name {
        "target.tokenizer.json" => "source.tokenizer.json",
        name => name,
    };
    fs::copy(two.path().join(of_other), &file).unwrap();
    let said = refused(&["inspect", folder]);
    assert!(said.contains("config.json says") && said.contains("of another model"), "{said}");
}

#[test]
fn a_folder_that_is_no_model_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let path = |name: &str| temporary.path().join(name).to_str().unwrap().to_owned();
    assert!(refused(&["inspect", &path("none")]).contains("No such file"));
    fs::write(path("file"), "").unwrap();
    assert!(refused(&["inspect", &path("file")]).contains("is a file"));
    fs::create_dir(path("empty")).unwrap();
    assert!(refused(&["inspect", &path("empty")]).contains("`config.json` is missing"));
    fs::create_dir(path("binary")).unwrap();
    fs::write(path("binary/config.json"), b"\xff\0").unwrap();
    assert!(refused(&["inspect", &path("binary")]).contains("config.json:1"));
}

#[cfg(not(feature = "cuda"))]
#[rstest]
#[case(&["train", "a.toml", "--device", "cuda:1"])]
#[case(&["translate", "m", "--device", "cuda"])]
#[case(&["evaluate", "m", "--data", "a.tsv", "--device", "cuda"])]
#[case(&["score", "m", "--device", "cuda"])]
#[case(&["generate", "m", "--device", "cuda"])]
#[case(&["chat", "m", "--device", "cuda"])]
fn a_device_that_is_not_built_in_names_its_feature(#[case] arguments: &[&str]) {
    let said = refused(arguments);
    assert!(said.contains("not in this build, build with `--features cuda`"), "{said}");
}

#[test]
fn a_configuration_that_is_no_toml_names_its_line() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("run.toml");
    let path = file.to_str().unwrap();
    assert!(refused(&["train", path]).contains("No such file"));
    fs::write(&file, "seed = 1\nseed = 2\n").unwrap();
    assert!(refused(&["train", path]).contains("run.toml:2: duplicate key"));
    fs::write(&file, "seed = 1\n\0").unwrap();
    assert!(refused(&["train", path]).contains("run.toml:2: "));
    fs::write(&file, "seed = 1\n").unwrap();
    let said = refused(&["train", path, "--set", "seed.a=2"]);
    assert!(said.contains("--set seed.a=2: `seed` is of type integer"), "{said}");
}

/// `recurrent devices | head -0` is content.
#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recurrent"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.arg("devices").stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_recurrent"));
    let output = command.arg("devices").stdout(full).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
}
