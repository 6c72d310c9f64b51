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
