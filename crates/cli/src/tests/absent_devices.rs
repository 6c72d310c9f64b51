//! A device that is not there.

use clap::Parser;
use rstest::rstest;

use crate::{
    args::Arguments,
    commands,
    device::{DeviceError, Kind},
};

/// Every command that computes says so before it does anything else.
#[rstest]
#[case(&["train", "a.toml"])]
#[case(&["evaluate", "m", "--data", "a.tsv"])]
#[case(&["translate", "m"])]
#[case(&["score", "m"])]
#[case(&["generate", "m"])]
#[case(&["chat", "m"])]
fn is_found_out_first(#[case] command: &[&str]) {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_numbered()) {
        // One more than there are: none, if it is not built in.
        let name = format!("{}:{}", kind.name(), kind.present().len());
        let words = [&["recurrent"], command, &["--device", &name]].concat();
        let arguments = Arguments::try_parse_from(words).unwrap();
        let error = commands::run(arguments, &mut Vec::new()).unwrap_err();
        let problem = error.downcast_ref::<DeviceError>();
        match kind.is_built_in() {
            true => assert!(matches!(problem, Some(DeviceError::NotPresent { .. })), "{error}"),
            false => assert!(matches!(problem, Some(DeviceError::NotBuiltIn { .. })), "{error}"),
        }
    }
}

/// So does one that is asked for half precision on a processor.
#[rstest]
#[case(&["train", "configs/none.toml"])]
#[case(&["translate", "m"])]
#[case(&["generate", "m"])]
fn a_processor_has_no_half_precision(#[case] command: &[&str]) {
    let words = [&["recurrent"], command, &["--precision", "half"]].concat();
    let arguments = Arguments::try_parse_from(words).unwrap();
    let error = commands::run(arguments, &mut Vec::new()).unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(DeviceError::Precision { .. })), "{error}");
    let message =
        "--precision half: device `flex` cannot, a processor multiplies in single precision";
    assert_eq!(error.to_string(), message);
}
