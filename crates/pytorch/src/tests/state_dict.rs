//! Files in and out.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
};

use burn::{prelude::*, tensor::TensorData};
use recurrent_cells::{Bidirectional, LstmCell};
use rstest::rstest;
use safetensors::{Dtype, tensor::TensorView};

use super::fixture;
use crate::{PytorchError, StateDict, load, state_dict::replace};

#[rstest]
fn a_pickled_file_has_the_bits_of_its_twin(#[files("fixtures/*.pt")] path: PathBuf) {
    let pickled = StateDict::read(&path).unwrap();
    let twin = StateDict::read(path.with_extension("safetensors")).unwrap();
    let ours = |key: &&str| !["io.", "ct.", "grad."].iter().any(|group| key.starts_with(group));
    let keys: Vec<_> = pickled.keys().collect();
    assert_eq!(keys, twin.keys().filter(ours).collect::<Vec<_>>());
    for key in keys {
        pickled.get(key).unwrap().assert_eq(&twin.get(key).unwrap(), true);
    }
}

#[rstest]
#[case("encoder.rnn")]
#[case("encoder.rnn.")]
fn a_prefix_may_end_in_a_dot(#[case] prefix: &str) {
    for file in ["nested.pt", "nested.safetensors"] {
        let dict = StateDict::read(fixture(file)).unwrap();
        let stack = load::<Bidirectional<LstmCell>>(&dict, prefix, (), &Device::flex()).unwrap();
        assert_eq!(stack.layers.len(), 2);
    }
}

/// Half a prefix is none.
#[test]
fn a_prefix_ends_at_a_dot() {
    let dict = StateDict::read(fixture("nested.pt")).unwrap();
    let loaded = load::<Bidirectional<LstmCell>>(&dict, "encoder.r", (), &Device::flex());
    assert!(matches!(loaded, Err(PytorchError::MissingKey { .. })));
}

#[test]
fn the_name_of_a_file_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    for (file, name) in [("lstm.pt", "a.safetensors"), ("lstm.safetensors", "a.pt")] {
        fs::copy(fixture(file), folder.path().join(name)).unwrap();
        let dict = StateDict::read(folder.path().join(name)).unwrap();
        assert_eq!(dict.get("weight_hh_l0").unwrap().shape().as_slice(), [12, 3]);
    }
}

/// Not a number is a number to carry, like any other.
#[test]
fn all_floats_are_carried() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MIN_POSITIVE / 2.0];
    let mut dict = StateDict::new();
    dict.insert("odd", TensorData::from(numbers)).unwrap();
    dict.write(folder.path().join("odd")).unwrap();
    let read = StateDict::read(folder.path().join("odd")).unwrap().get("odd").unwrap();
    assert_eq!(read.as_bytes(), TensorData::from(numbers).as_bytes());
}

#[test]
fn what_is_no_weight_is_carried_and_refused_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let counter = TensorView::new(Dtype::I64, vec![], &[7, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    let tiny = TensorView::new(Dtype::F8_E4M3, vec![3], &[1, 2, 3]).unwrap();
    let bytes = safetensors::serialize([("counter", counter), ("tiny", tiny)], None).unwrap();
    fs::write(&path, bytes).unwrap();

    StateDict::read(&path).unwrap().write(&path).unwrap();

    let written = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&written).unwrap();
    assert_eq!(file.tensor("counter").unwrap().data(), [7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(file.tensor("tiny").unwrap().dtype(), Dtype::F8_E4M3);
    let error = StateDict::read(&path).unwrap().get("counter").unwrap_err().to_string();
    let file = path.display();
    assert_eq!(
        error,
        format!("`counter` in `{file}` is I64, but weights are F64, F32, F16 or BF16")
    );
}

#[test]
fn only_floats_can_be_put_in() {
    let error = StateDict::new().insert("ids", TensorData::from([1_i32])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`ids` in the state dict is I32, but weights are F64, F32, F16 or BF16"
    );
}

#[test]
fn the_same_tensors_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let dict = StateDict::read(fixture("lstm_3layer.safetensors")).unwrap();
    let mut backward = StateDict::new();
    let keys: Vec<_> = dict.keys().filter(|key| !key.contains('.')).collect();
    let mut forward = StateDict::new();
    for (key, reversed) in keys.iter().zip(keys.iter().rev()) {
        forward.insert(key, dict.get(key).unwrap()).unwrap();
        backward.insert(reversed, dict.get(reversed).unwrap()).unwrap();
    }
    forward.write(folder.path().join("a")).unwrap();
    backward.write(folder.path().join("b")).unwrap();
    let read = |name| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("a"), read("b"));
}

#[test]
fn a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    fs::write(&path, "old").unwrap();
    let failed = replace(&path, |file| {
        file.write_all(b"half of the ne")?;
        Err(io::Error::other("the disk is full"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_write_replaces_the_old_file_with_an_ordinary_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("model"), folder.path().join("other"));
    fs::write(&path, "old").unwrap();
    File::create(&other).unwrap();
    let dict = StateDict::read(fixture("lstm.pt")).unwrap();
    dict.write(&path).unwrap();
    assert!(StateDict::read(&path).unwrap().keys().eq(dict.keys()));
    let permissions = |path| fs::metadata(path).unwrap().permissions();
    assert_eq!(permissions(path), permissions(other));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[rstest]
#[case::a_folder_that_is_not_there("no/model")]
#[case::a_folder_in_the_place_of_the_file("taken")]
fn a_write_that_cannot_be_names_the_file(#[case] name: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("taken")).unwrap();
    let path = folder.path().join(name);
    let error = StateDict::new().write(&path).unwrap_err();
    assert!(matches!(error, PytorchError::Io { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("`{}`: ", path.display())), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
