//! The command line.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Parser;
use recurrent::device::DeviceName;

/// Measure cells and models, beside Burn's own and PyTorch's.
#[derive(Debug, Parser)]
#[command(name = "benches", version)]
pub struct Arguments {
    /// Cases or families of cases, `layer/lstm`; all if nothing is said
    #[arg(value_name = "CASES")]
    pub cases: Vec<String>,
    /// Where to compute, separated by commas; others are compared with the first
    #[arg(long, value_name = "DEVICES", value_delimiter = ',', default_value = "flex")]
    pub backends: Vec<DeviceName>,
    /// Measure PyTorch, too, with this interpreter
    #[arg(long, value_name = "PYTHON", num_args = 0..=1, default_missing_value = "python3")]
    pub peers: Option<String>,
    /// Threads of every side
    #[arg(long, value_name = "N", default_value = "2")]
    pub threads: NonZeroUsize,
    /// The folder for the table, the picture and the JSON file
    #[arg(long, value_name = "DIR", default_value = "target/benchmarks")]
    pub out: PathBuf,
    /// What to do, and how
    #[command(flatten)]
    pub ways: Ways,
    /// Print the bytes that one run of one case takes; for the children of this program
    #[arg(long, value_name = "SIDE", hide = true)]
    pub peak: Option<Own>,
}

/// Ways of going about it.
#[derive(Clone, Copy, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Ways {
    /// Few repetitions, to see that it works
    #[arg(long)]
    pub quick: bool,
    /// List the cases and do nothing
    #[arg(long)]
    pub list: bool,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
    /// Compare what comes out of the sides on small cases, and measure nothing
    #[arg(long)]
    pub check: bool,
}

/// A side inside this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Own {
    /// The cells of this workspace.
    Ours,
    /// Burn's own.
    Burn,
}

impl Own {
    /// As it is named on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Burn => "burn",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_definitions_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[rstest]
    #[case(&["--backends", "gpu"], "unknown device `gpu`")]
    #[case(&["--threads", "0"], "--threads")]
    #[case(&["--quik"], "--quik")]
    fn what_is_wrong_is_named(#[case] arguments: &[&str], #[case] named: &str) {
        let error = Arguments::try_parse_from(["benches"].iter().chain(arguments)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(named), "{error}");
    }

    #[test]
    fn the_interpreter_may_be_left_out() {
        let peers =
            |arguments: &[&str]| Arguments::parse_from(["benches"].iter().chain(arguments)).peers;
        assert_eq!(peers(&[]), None);
        assert_eq!(peers(&["layer", "--peers", "--quick"]).as_deref(), Some("python3"));
        assert_eq!(peers(&["--peers", "a/python"]).as_deref(), Some("a/python"));
    }
}
