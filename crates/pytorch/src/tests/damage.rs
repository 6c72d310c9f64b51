//! Files that other programs, disks and networks have spoilt.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
};

use burn::prelude::*;
use recurrent_cells::LstmCell;
use rstest::rstest;

use super::fixture;
use crate::{PytorchError, StateDict, load};

#[rstest]
fn a_file_cut_at_any_length_is_refused(#[values("lstm.pt", "lstm.safetensors")] name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, fs::read(fixture(name)).unwrap()).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let start = format!("`{}` cannot be read as a state dict: ", path.display());
    for length in (0..file.metadata().unwrap().len()).rev() {
        file.set_len(length).unwrap();
        let error = StateDict::read(&path).expect_err(&format!("cut at {length}"));
        assert!(matches!(error, PytorchError::NotAStateDict { .. }), "cut at {length}: {error:?}");
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}

/// One byte off is an error or another number, and never a panic.
#[rstest]
fn a_file_with_a_byte_off_does_no_harm(
    #[values("lstm.pt", "lstm.safetensors")] name: &str,
    #[values(0x01, 0xff)] flip: u8,
) {
    let whole = fs::read(fixture(name)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, &whole).unwrap();
    let mut file = File::options().write(true).open(&path).unwrap();
    let mut put = |place, byte| {
        file.seek(SeekFrom::Start(place)).unwrap();
        file.write_all(&[byte]).unwrap();
    };
    let mut refused = 0;
    for (place, byte) in (0..).zip(whole) {
        put(place, byte ^ flip);
        let dict = StateDict::read(&path);
        let loaded = dict.and_then(|dict| load::<LstmCell>(&dict, "", (), &Device::flex()));
        refused += usize::from(loaded.is_err());
        put(place, byte);
    }
    assert!(refused > 0, "the header counts for something");
    assert!(StateDict::read(&path).is_ok(), "every byte is back in its place");
}

#[rstest]
#[case::nothing(b"")]
#[case::text(b"weight_ih_l0 = [1, 2, 3]")]
#[case::a_zip_of_nothing(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")]
#[case::a_header_beyond_the_end(b"\xff\0\0\0\0\0\0\0{}")]
#[case::a_header_beyond_all_memory(b"\xff\xff\xff\xff\xff\xff\xff\xff{}")]
#[case::a_header_that_is_no_json(b"\x02\0\0\0\0\0\0\0{{")]
#[case::sizes_that_overflow(
    b"\x5b\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F64\",\"shape\":[4294967296,4294967296,2],\
      \"data_offsets\":[0,0]}}              "
)]
#[case::a_pickled_list(b"\x80\x02]q\0.")]
fn something_else_is_refused(#[case] content: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, content).unwrap();
    let error = StateDict::read(&path).unwrap_err();
    assert!(matches!(error, PytorchError::NotAStateDict { .. }), "{error:?}");
}

#[rstest]
#[case::nothing_there("missing.pt")]
#[case::a_folder("")]
fn what_cannot_be_opened_is_the_systems_error(#[case] name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let error = StateDict::read(&path).unwrap_err();
    assert!(matches!(error, PytorchError::Io { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("`{}`: ", path.display())), "{error}");
}
