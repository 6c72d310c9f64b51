//! Where a series comes from: a file, or an equation.

use std::{fmt, path::PathBuf};

use recurrent_reservoir::{Series, signals};
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

use super::{Named, NamedSeries, SeriesError, read_file};

/// Where a series comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SeriesSource {
    /// A file: a row a step, a column a quantity, with or without a first line of names.
    Csv(PathBuf),
    /// [`signals::mackey_glass`]: a column `y`.
    MackeyGlass {
        /// The delay `τ`, above 0; chaotic from 17 on.
        tau: usize,
        /// Steps.
        steps: usize,
        /// What the start is drawn with.
        #[serde(default = "one")]
        seed: u64,
    },
    /// [`signals::narma10`]: columns `u` and `y`.
    Narma10 {
        /// Steps.
        steps: usize,
        /// What the input is drawn with.
        #[serde(default = "one")]
        seed: u64,
    },
    /// [`signals::lorenz`]: columns `x`, `y` and `z`.
    Lorenz {
        /// Time from a step to the next, in (0, 0.1].
        step: f64,
        /// Steps.
        steps: usize,
        /// What the start is drawn with.
        #[serde(default = "one")]
        seed: u64,
    },
    /// [`signals::roessler`]: columns `x`, `y` and `z`.
    Roessler {
        /// Time from a step to the next, in (0, 0.2].
        step: f64,
        /// Steps.
        steps: usize,
        /// What the start is drawn with.
        #[serde(default = "one")]
        seed: u64,
    },
    /// [`signals::henon`]: a column `x`.
    Henon {
        /// Steps.
        steps: usize,
        /// What the start is drawn with.
        #[serde(default = "one")]
        seed: u64,
    },
    /// [`signals::superimposed_oscillators`]: a column `y`.
    SuperimposedOscillators {
        /// How many sines, from 1 to 12.
        sines: usize,
        /// Steps.
        steps: usize,
    },
}

fn one() -> u64 {
    1
}

impl fmt::Display for SeriesSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Csv(path) => write!(f, "{}", path.display()),
            Self::MackeyGlass { tau, .. } => write!(f, "the Mackey-Glass series of τ = {tau}"),
            Self::Narma10 { .. } => write!(f, "NARMA-10"),
            Self::Lorenz { .. } => write!(f, "the Lorenz system"),
            Self::Roessler { .. } => write!(f, "the Rössler system"),
            Self::Henon { .. } => write!(f, "the Hénon map"),
            Self::SuperimposedOscillators { sines, .. } => write!(f, "{sines} sines"),
        }
    }
}

/// The most steps of a signal.
const MOST: usize = 100_000_000;

impl SeriesSource {
    pub(super) fn validate(&self) -> Result<(), OutOfRange> {
        let steps = |name: &str, steps: usize, most: usize| {
            let range = format!("from 1 to {most}");
            let holds = |steps: &usize| (1..=most).contains(steps);
            OutOfRange::check(&format!("{name}.steps"), steps, holds, &range)
        };
        let step = |name: &str, step: f64, most: f64| {
            let holds = |step: &f64| *step > 0.0 && *step <= most;
            OutOfRange::check(&format!("{name}.step"), step, holds, &format!("in (0, {most}]"))
        };
        match *self {
            Self::Csv(_) => Ok(()),
            Self::MackeyGlass { tau, steps: count, .. } => {
                let holds = |tau: &usize| (1..=10_000).contains(tau);
                OutOfRange::check("mackey_glass.tau", tau, holds, "from 1 to 10000")?;
                steps("mackey_glass", count, MOST)
            }
            // A longer one would hardly ever not diverge.
            Self::Narma10 { steps: count, .. } => steps("narma10", count, 100_000),
            Self::Lorenz { step: dt, steps: count, .. } => {
                step("lorenz", dt, 0.1)?;
                steps("lorenz", count, MOST)
            }
            Self::Roessler { step: dt, steps: count, .. } => {
                step("roessler", dt, 0.2)?;
                steps("roessler", count, MOST)
            }
            Self::Henon { steps: count, .. } => steps("henon", count, MOST),
            Self::SuperimposedOscillators { sines, steps: count } => {
                let holds = |sines: &usize| (1..=12).contains(sines);
                let field = "superimposed_oscillators.sines";
                OutOfRange::check(field, sines, holds, "from 1 to 12")?;
                steps("superimposed_oscillators", count, MOST)
            }
        }
    }

    /// # Errors
    ///
    /// If a file cannot be read.
    pub(super) fn read(&self) -> Result<NamedSeries, SeriesError> {
        let (names, series): (&[&str], Series) = match *self {
            Self::Csv(ref path) => return read_file(path),
            Self::MackeyGlass { tau, steps, seed } => {
                (&["y"], Series::of(signals::mackey_glass(tau, steps, seed)))
            }
            Self::Narma10 { steps, seed } => {
                let [u, y] = signals::narma10(steps, seed);
                let rows = u.into_iter().zip(y).flat_map(|(u, y)| [u, y]).collect();
                (&["u", "y"], Series::new(rows, 2))
            }
            Self::Lorenz { step, steps, seed } => {
                (&["x", "y", "z"], signals::lorenz(step, steps, seed))
            }
            Self::Roessler { step, steps, seed } => {
                (&["x", "y", "z"], signals::roessler(step, steps, seed))
            }
            Self::Henon { steps, seed } => (&["x"], Series::of(signals::henon(steps, seed))),
            Self::SuperimposedOscillators { sines, steps } => {
                (&["y"], Series::of(signals::superimposed_oscillators(sines, steps)))
            }
        };
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(NamedSeries { names, named: Named::ByItself, series })
    }
}
