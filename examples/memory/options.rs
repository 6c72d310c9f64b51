//! The command line.

use std::path::PathBuf;

use burn::prelude::*;

/// What is printed when the command line is not understood.
pub(crate) const USAGE: &str = "usage: memory [--quick] [--seed N] [--device flex|ndarray|wgpu] \
                         [--out DIR] [--json]";

/// How long to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Until the task is learned by the models that can.
    Full,
    /// A few hundred updates, to see that it runs.
    Quick,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// One JSON object.
    Json,
}

/// A command line, understood.
#[derive(Debug)]
pub(crate) struct Options {
    /// How long to train.
    pub(crate) effort: Effort,
    /// How the result is printed.
    pub(crate) output: Output,
    /// Of the weights and of the data.
    pub(crate) seed: u64,
    /// Where to compute, without autodiff.
    pub(crate) device: Device,
    /// Where the pictures go.
    pub(crate) out: PathBuf,
}

impl Options {
    /// Reads the arguments that follow the name of the program.
    ///
    /// # Errors
    ///
    /// An argument that is unknown, lacks its value, or has one that does not parse.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            effort: Effort::Full,
            output: Output::Table,
            seed: 1,
            device: Device::flex(),
            out: PathBuf::from("target/memory"),
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("`{argument}` needs a value"));
            match argument.as_str() {
                "--quick" => options.effort = Effort::Quick,
                "--json" => options.output = Output::Json,
                "--seed" => {
                    let seed = value()?;
                    let message = format!("`--seed` needs a whole number from 0, got: {seed}");
                    options.seed = seed.parse().map_err(|_| message)?;
                }
                "--device" => options.device = device(&value()?)?,
                "--out" => options.out = PathBuf::from(value()?),
                _ => return Err(format!("unknown argument: {argument}")),
            }
        }
        Ok(options)
    }
}

fn device(name: &str) -> Result<Device, String> {
    match name {
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "Burn drops this backend in its next version")]
        "ndarray" => Ok(Device::ndarray()),
        #[cfg(not(feature = "ndarray"))]
        "ndarray" => Err(missing(name)),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(not(feature = "wgpu"))]
        "wgpu" => Err(missing(name)),
        _ => Err(format!("unknown device: {name}")),
    }
}

#[cfg(not(all(feature = "ndarray", feature = "wgpu")))]
fn missing(name: &str) -> String {
    format!("this build has no device `{name}`; build it with `--features {name}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn reads_every_argument() {
        let options = parse("--quick --json --seed 7 --out x --device flex").unwrap();
        assert_eq!((options.effort, options.output), (Effort::Quick, Output::Json));
        assert_eq!((options.seed, options.out), (7, PathBuf::from("x")));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert_eq!(parse("--sed 7").unwrap_err(), "unknown argument: --sed");
        assert_eq!(parse("--seed").unwrap_err(), "`--seed` needs a value");
        assert!(parse("--seed -1").unwrap_err().ends_with("got: -1"));
        assert_eq!(parse("--device abacus").unwrap_err(), "unknown device: abacus");
    }
}
