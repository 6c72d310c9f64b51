use burn::{
    nn::{Linear, LinearConfig},
    prelude::*,
};
use rstest::rstest;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sizes {
    width: usize,
}

fn layer(width: usize) -> Linear {
    LinearConfig::new(width, width).init(&Device::flex())
}

/// A folder with a whole model.
fn whole(path: &Path) -> ModelFolder {
    let mut folder = ModelFolder::create(path, Start::New).unwrap();
    folder.describe("layer", &Sizes { width: 3 }).unwrap();
    folder.write(Part::Tokenizer, b"{}").unwrap();
    folder.save_weights(&layer(3)).unwrap();
    folder.write(Part::Training, b"seed = 1\n").unwrap();
    folder
}

fn refused(path: &Path) -> String {
    ModelFolder::open(path).unwrap_err().to_string()
}

#[test]
fn what_was_saved_is_loaded() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("models/a");
    let saved = whole(&path);
    let folder = ModelFolder::open(&path).unwrap();
    assert_eq!(folder.kind(), Some("layer"));
    assert_eq!(folder.model::<Sizes>().unwrap(), Sizes { width: 3 });
    assert_eq!(folder.read_text(Part::Training).unwrap(), "seed = 1\n");
    assert_eq!(folder.files(), saved.files());
    let loaded = folder.load_weights(layer(3)).unwrap();
    assert_eq!(weights::to_bytes(&loaded).unwrap(), saved.read(Part::Weights).unwrap());
    assert_eq!(folder.parameters().unwrap()[1].shape, [3, 3]);
}

#[rstest]
#[case("config.json")]
#[case("model.safetensors")]
#[case("tokenizer.json")]
fn a_missing_file_is_named(#[case] name: &str) {
    let temporary = tempfile::tempdir().unwrap();
    whole(temporary.path());
    fs::remove_file(temporary.path().join(name)).unwrap();
    let message = refused(temporary.path());
    assert!(message.contains(&format!("`{name}` is missing")), "{message}");
}

#[test]
fn weights_that_never_were_are_missing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut folder = ModelFolder::create(temporary.path(), Start::New).unwrap();
    folder.describe("layer", &Sizes { width: 3 }).unwrap();
    assert!(refused(temporary.path()).contains("`model.safetensors` is missing"));
}

#[test]
fn a_cut_file_is_named_with_both_lengths() {
    let temporary = tempfile::tempdir().unwrap();
    let length = whole(temporary.path()).files()[0].1.bytes;
    let file = temporary.path().join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..10]).unwrap();
    let message = refused(temporary.path());
    assert!(message.contains("model.safetensors has 10 bytes"), "{message}");
    assert!(message.contains(&format!("config.json says {length}")), "{message}");
}

#[test]
fn a_file_of_another_model_is_named_with_both_checksums() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    whole(one.path());
    whole(two.path());
    let name = "model.safetensors";
    fs::copy(two.path().join(name), one.path().join(name)).unwrap();
    let message = refused(one.path());
    assert!(message.contains("model.safetensors has the checksum"), "{message}");
    assert!(message.contains("config.json says"), "{message}");
}

/// A run that is ended between the two writes leaves either model, not a broken one.
#[test]
fn weights_are_replaced_without_a_gap() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path();
    let mut folder = whole(path);
    let (old, new) = (folder.read(Part::Weights).unwrap(), weights::to_bytes(&layer(3)).unwrap());
    let config = folder.config.as_mut().unwrap();
    config.files.insert(Part::Weights, vec![Seal::of(&old), Seal::of(&new)]);
    let config = config.clone();
    folder.put_config(config).unwrap();
    ModelFolder::open(path).unwrap();
    fs::write(path.join("model.safetensors"), &new).unwrap();
    let mut folder = ModelFolder::open(path).unwrap();
    folder.save_weights(&layer(3)).unwrap();
    fs::write(path.join("model.safetensors"), &old).unwrap();
    assert!(refused(path).contains("checksum"));
}

#[rstest]
#[case("", "config.json:1: EOF")]
#[case("{\"format_version\": 9}", "config.json has format version 9, this program reads version 1")]
#[case("{\"format_version\":1,\n\"kinds\":3}", "config.json:2: unknown field `kinds`")]
fn a_wrong_config_is_named(#[case] content: &str, #[case] expected: &str) {
    let temporary = tempfile::tempdir().unwrap();
    whole(temporary.path());
    fs::write(temporary.path().join("config.json"), content).unwrap();
    let message = refused(temporary.path());
    assert!(message.contains(expected), "{message}");
}

#[test]
fn weights_of_other_sizes_are_named() {
    let temporary = tempfile::tempdir().unwrap();
    let message = whole(temporary.path()).load_weights(layer(4)).unwrap_err().to_string();
    assert!(
        message.contains("model.safetensors does not fit the model: `bias` is [3]"),
        "{message}"
    );
    let error = ModelFolder::open(temporary.path()).unwrap().model::<Vec<u8>>().unwrap_err();
    let message = error.to_string();
    assert!(message.contains("config.json does not describe a model of the kind"), "{message}");
}

#[test]
fn another_run_is_not_overwritten() {
    let temporary = tempfile::tempdir().unwrap();
    let create = |start| ModelFolder::create(temporary.path(), start);
    let message = create(Start::Resume).unwrap_err().to_string();
    assert!(message.ends_with("holds no training to resume"), "{message}");
    whole(temporary.path());
    let message = create(Start::New).unwrap_err().to_string();
    assert!(message.contains("already holds a model (config.json"), "{message}");
    assert!(!message.contains("`--resume`"), "{message}");
    std::fs::create_dir(temporary.path().join("checkpoints")).unwrap();
    let message = create(Start::New).unwrap_err().to_string();
    assert!(message.contains("already holds a training (config.json"), "{message}");
    assert!(message.contains("`--resume`"), "{message}");
    assert_eq!(create(Start::Resume).unwrap().kind(), Some("layer"));
}

#[test]
fn a_folder_that_is_none_is_named() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("a");
    assert!(refused(&path).contains("No such file"));
    fs::write(&path, "").unwrap();
    assert!(refused(&path).ends_with("is a file, a model is a folder"));
    let message = ModelFolder::create(path.join("b"), Start::New).unwrap_err().to_string();
    assert!(message.contains("cannot write"), "{message}");
}

#[test]
fn pictures_have_their_own_folder() {
    let temporary = tempfile::tempdir().unwrap();
    let path = whole(temporary.path()).write_picture("curve", "<svg/>").unwrap();
    assert_eq!(path, temporary.path().join("pictures/curve.svg"));
    assert_eq!(fs::read_to_string(path).unwrap(), "<svg/>");
}
