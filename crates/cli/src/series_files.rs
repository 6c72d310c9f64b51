//! Which series a model learns from and is measured on: a file of numbers, or a signal by its equation.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;
use recurrent_reservoir::{Series, metrics::variance, signals};
use recurrent_seq2seq::Windows;
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::data::{Count, Data, ExampleSet};

/// A series and how it is cut. Paths are relative to where the program is started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesConfig {
    /// Where it comes from.
    pub source: SeriesSource,
    /// The columns that the model hears; all by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// The columns that it says; by default those it hears, as they are `ahead` steps later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// How many steps later than what is heard; by default 1 where it says what it hears, otherwise 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<usize>,
    /// What is done to the numbers before the model hears them, and undone to what it says.
    #[serde(default)]
    pub scaling: Scaling,
    /// Steps in front of the test steps that choose the best epoch.
    #[serde(default)]
    pub valid: usize,
    /// Steps at the end that the model is measured on.
    #[serde(default)]
    pub test: usize,
    /// How it is cut for a model that is trained by gradient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
}

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

/// What is done to the numbers of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Nothing.
    #[default]
    None,
    /// The mean of the steps that are learned from becomes 0, their deviation 1.
    Standard,
}

/// A column as a model hears or says it: `(x − mean) / deviation`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What is taken away.
    pub mean: f64,
    /// What is divided by, above 0.
    pub deviation: f64,
}

/// A series with names.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedSeries {
    /// The names of its columns.
    pub names: Vec<String>,
    /// Where the names are from.
    pub named: Named,
    /// Its numbers.
    pub series: Series,
}

/// Where names are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// The series has them itself.
    ByItself,
    /// It has none: columns are counted from 1.
    ByPlace,
}

/// Some steps of a series: what is heard and what is to be said, in the model's units.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    /// What is heard, `[T, K]`; before the first of them come the last `lead_in` of the steps before.
    pub u: Series,
    /// What is to be said, `[T, L]`.
    pub d: Series,
    /// Steps in front that belong to what was before and are not measured.
    pub lead_in: usize,
}

/// What a model hears and says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// What it hears.
    pub inputs: Vec<Column>,
    /// What it says.
    pub targets: Vec<Column>,
    /// How many steps later.
    pub ahead: usize,
    /// Where the names of its columns are from.
    pub named: Named,
}

/// Why a series is of no use.
#[derive(Debug, Error)]
pub enum SeriesError {
    /// It cannot be read.
    #[error("cannot read {file}: {reason}")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        reason: io::Error,
    },
    /// Its rows are not of one length, or are not text.
    #[error("{file}:{line}: {reason}")]
    Row {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// There are no numbers in it.
    #[error("{file} has no row of numbers")]
    Empty {
        /// The file.
        file: String,
    },
    /// Something else than a number.
    #[error("{file}:{line}: column `{column}` is `{found}`, expected a number")]
    NoNumber {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Which column.
        column: String,
        /// What is there.
        found: String,
    },
    /// Numbers are missing.
    #[error("{file} has gaps, expected a number in every row and column: {}", shown(gaps))]
    Gaps {
        /// The file.
        file: String,
        /// The line, from 1, and the column of each.
        gaps: Vec<(u64, String)>,
    },
    /// Two columns have the same name.
    #[error("{file}:1: two columns are called `{name}`")]
    Twice {
        /// The file.
        file: String,
        /// The name.
        name: String,
    },
    /// There is no such column.
    #[error("{key}: {file} has no column `{name}`, only {}", crate::weights::listed(names))]
    NoColumn {
        /// What asks for it.
        key: String,
        /// The file or signal.
        file: String,
        /// Its name.
        name: String,
        /// The names there are.
        names: Vec<String>,
    },
    /// There are not as many columns, and they have no names to go by.
    #[error("{file} has {found} columns without names, expected {}: {}", names.len(), crate::weights::listed(names))]
    Columns {
        /// The file.
        file: String,
        /// How many it has.
        found: usize,
        /// The names of those that the model needs.
        names: Vec<String>,
    },
    /// What is to be measured on never changes.
    #[error(
        "column `{name}` is {value} at every step that is measured, expected a column that changes"
    )]
    Still {
        /// Its name.
        name: String,
        /// What it is.
        value: f64,
    },
    /// Nothing would be left.
    #[error(
        "`data.series.valid` + `data.series.test` is {held_out}, expected below the {steps} steps of the series \
         less the {ahead} of `ahead`"
    )]
    HeldOut {
        /// What is not learned from.
        held_out: usize,
        /// Steps there are.
        steps: usize,
        /// Steps that have no target.
        ahead: usize,
    },
    /// A column cannot be scaled.
    #[error(
        "column `{name}` is {value} at every step that is learned from, expected a column that changes for \
         `scaling = \"standard\"`"
    )]
    Constant {
        /// Its name.
        name: String,
        /// What it is.
        value: f64,
    },
}

/// The first few gaps.
fn shown(gaps: &[(u64, String)]) -> String {
    const MOST: usize = 5;
    let each = gaps.iter().take(MOST).map(|(line, column)| format!("line {line} `{column}`"));
    let listed = each.collect::<Vec<_>>().join(", ");
    match gaps.len() {
        count if count > MOST => format!("{listed} and {} more", count - MOST),
        _ => listed,
    }
}

impl SeriesConfig {
    pub(crate) fn validate(&self) -> Result<(), OutOfRange> {
        // Beyond this nothing fits into a memory.
        const MOST: usize = 1_000_000_000;
        let counts =
            [("ahead", self.ahead.unwrap_or(0)), ("valid", self.valid), ("test", self.test)];
        for (field, count) in counts {
            OutOfRange::check(field, count, |count| *count <= MOST, "at most 1000000000")?;
        }
        if let Some(windows) = &self.windows {
            windows.validate().map_err(|wrong| wrong.under("windows"))?;
        }
        self.source.validate().map_err(|wrong| wrong.under("source"))
    }

    /// Reads the series and cuts it, with `lead_in` steps in front of what is measured.
    ///
    /// # Errors
    ///
    /// If it cannot be read, a column is missing or cannot be scaled, or nothing is left to learn from.
    pub fn read(&self, lead_in: usize) -> anyhow::Result<(Heard, Data<Steps>)> {
        let whole = self.source.read()?;
        let (heard, u, d) = self.heard(&whole).context("`data.series` cannot be used")?;
        let steps = u.steps();
        let first_valid = steps - self.valid - self.test;
        let cut = |from: usize, to: usize| {
            let lead_in = lead_in.min(from);
            let range = from - lead_in..to;
            Steps { u: u.slice(range.clone()), d: d.slice(range), lead_in }
        };
        let train = Steps { lead_in: 0, ..cut(0, first_valid) };
        let valid = cut(first_valid, first_valid + self.valid);
        let test = (self.test > 0).then(|| cut(steps - self.test, steps));
        Ok((heard, Data { train, valid, test }))
    }

    /// Which columns, scaled, and the inputs and targets.
    fn heard(&self, whole: &NamedSeries) -> Result<(Heard, Series, Series), SeriesError> {
        let file = self.source.to_string();
        let inputs = whole.columns("data.series.inputs", &file, &self.inputs)?;
        let targets = match self.targets.as_slice() {
            [] => inputs.clone(),
            names => whole.columns("data.series.targets", &file, names)?,
        };
        let ahead = self.ahead.unwrap_or(usize::from(inputs == targets));
        let (steps, held_out) = (whole.series.steps(), self.valid + self.test);
        if steps <= held_out + ahead {
            return Err(SeriesError::HeldOut { held_out, steps, ahead });
        }
        let learned = steps - ahead - held_out;
        let described = |columns: &[usize]| -> Result<Vec<Column>, SeriesError> {
            let column =
                |n: &usize| self.scaling.of(&whole.names[*n], &whole.series.column(*n)[..learned]);
            columns.iter().map(column).collect()
        };
        let heard = Heard {
            inputs: described(&inputs)?,
            targets: described(&targets)?,
            ahead,
            named: whole.named,
        };
        let part = |columns: &[usize], from: usize| {
            let row = |t: usize| columns.iter().map(move |n| whole.series.row(t)[*n]);
            Series::new((from..from + steps - ahead).flat_map(row).collect(), columns.len())
        };
        let u = scaled(&part(&inputs, 0), &heard.inputs);
        let d = scaled(&part(&targets, ahead), &heard.targets);
        Ok((heard, u, d))
    }
}

impl Scaling {
    /// A column that is scaled by these numbers.
    fn of(self, name: &str, numbers: &[f64]) -> Result<Column, SeriesError> {
        let name = name.to_owned();
        match self {
            Self::None => Ok(Column { name, mean: 0.0, deviation: 1.0 }),
            Self::Standard => {
                let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
                let deviation = variance(numbers).sqrt();
                match deviation > 0.0 && deviation.is_finite() {
                    true => Ok(Column { name, mean, deviation }),
                    false => Err(SeriesError::Constant { name, value: numbers[0] }),
                }
            }
        }
    }
}

/// A series in the model's units.
pub fn scaled(series: &Series, columns: &[Column]) -> Series {
    let numbers = series.values().iter().zip(columns.iter().cycle());
    let numbers = numbers.map(|(x, column)| (x - column.mean) / column.deviation);
    Series::new(numbers.collect(), columns.len())
}

/// A series as it was before it was [`scaled`].
pub fn unscaled(series: &Series, columns: &[Column]) -> Series {
    let numbers = series.values().iter().zip(columns.iter().cycle());
    let numbers = numbers.map(|(x, column)| x * column.deviation + column.mean);
    Series::new(numbers.collect(), columns.len())
}

impl std::fmt::Display for SeriesSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
    fn validate(&self) -> Result<(), OutOfRange> {
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
    fn read(&self) -> Result<NamedSeries, SeriesError> {
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

impl Heard {
    /// How many columns are heard, and how many are said.
    pub fn sizes(&self) -> [usize; 2] {
        [self.inputs.len(), self.targets.len()]
    }

    /// Whether what is said is what is heard next, so that it can go on by itself.
    pub fn goes_on(&self) -> bool {
        self.ahead == 1 && self.inputs == self.targets
    }

    /// The columns that are heard, of a series of a user: by name, or by place where one of them has no names.
    ///
    /// # Errors
    ///
    /// If one is missing.
    pub fn inputs_of(&self, series: &NamedSeries, file: &str) -> Result<Series, SeriesError> {
        // Nothing else is needed, so nothing else has to be there.
        let only = series.named == Named::ByPlace
            && self.named == Named::ByItself
            && series.names.len() == self.inputs.len();
        let all = if only { self.inputs.iter().collect() } else { self.columns() };
        self.select(series, &self.inputs, &all, file)
    }

    /// The columns that are to be said.
    ///
    /// # Errors
    ///
    /// If one is missing.
    pub fn targets_of(&self, series: &NamedSeries, file: &str) -> Result<Series, SeriesError> {
        self.select(series, &self.targets, &self.columns(), file)
    }

    /// Those that are heard, then those that are only said.
    fn columns(&self) -> Vec<&Column> {
        let heard = |target: &&Column| self.inputs.iter().any(|input| input.name == target.name);
        let said = self.targets.iter().filter(|target| !heard(target));
        self.inputs.iter().chain(said).collect()
    }

    /// Some columns, in the model's units. Columns without names stand in the order of `all`.
    fn select(
        &self,
        series: &NamedSeries,
        columns: &[Column],
        all: &[&Column],
        file: &str,
    ) -> Result<Series, SeriesError> {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let place = |name: &String| all.iter().position(|column| column.name == *name);
        let places = match (self.named, series.named) {
            (Named::ByItself, Named::ByItself) | (Named::ByPlace, Named::ByPlace) => {
                series.columns("the model", file, &names)?
            }
            // Its columns are called by their number.
            (Named::ByPlace, Named::ByItself) => {
                let by_place = (1..=series.names.len()).map(|place| place.to_string()).collect();
                NamedSeries { names: by_place, ..series.clone() }.columns(
                    "the model",
                    file,
                    &names,
                )?
            }
            (Named::ByItself, Named::ByPlace) if series.names.len() == all.len() => {
                names.iter().filter_map(place).collect()
            }
            (Named::ByItself, Named::ByPlace) => {
                let (file, found) = (file.to_owned(), series.names.len());
                let names = all.iter().map(|column| column.name.clone()).collect();
                return Err(SeriesError::Columns { file, found, names });
            }
        };
        let rows = (0..series.series.steps()).map(|t| series.series.row(t));
        let numbers = rows.flat_map(|row| places.iter().map(|n| row[*n])).collect();
        Ok(scaled(&Series::new(numbers, columns.len()), columns))
    }
}

impl NamedSeries {
    /// The places of some columns; all if none is named.
    fn columns(&self, key: &str, file: &str, names: &[String]) -> Result<Vec<usize>, SeriesError> {
        if names.is_empty() {
            return Ok((0..self.names.len()).collect());
        }
        let place = |name: &String| {
            self.names.iter().position(|there| there == name).ok_or_else(|| SeriesError::NoColumn {
                key: key.to_owned(),
                file: file.to_owned(),
                name: name.clone(),
                names: self.names.clone(),
            })
        };
        names.iter().map(place).collect()
    }
}

/// A series of a file.
///
/// # Errors
///
/// If it cannot be read, or is no table of numbers without gaps.
pub fn read_file(path: &Path) -> Result<NamedSeries, SeriesError> {
    let file = path.display().to_string();
    let unread = |reason| SeriesError::Read { file: file.clone(), reason };
    read(File::open(path).map_err(unread)?, &file)
}

/// A series of a stream, which errors call `file`. Columns are separated by commas, semicolons or tabs,
/// whichever the first line has.
///
/// # Errors
///
/// If it cannot be read, or is no table of numbers without gaps.
pub fn read(mut from: impl Read, file: &str) -> Result<NamedSeries, SeriesError> {
    let named = || file.to_owned();
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).map_err(|reason| SeriesError::Read { file: named(), reason })?;
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let separator = [b'\t', b';'].into_iter().find(|separator| first.contains(separator));
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(separator.unwrap_or(b','))
        .trim(csv::Trim::All)
        .from_reader(bytes.as_slice());
    let (mut names, mut names_from): (Vec<String>, _) = (Vec::new(), Named::ByPlace);
    let (mut numbers, mut gaps) = (Vec::new(), Vec::new());
    for (n, row) in rows.records().enumerate() {
        let row = row.map_err(|error| wrong_row(&error, file))?;
        let line = row.position().map_or(n as u64 + 1, csv::Position::line);
        if n == 0 && row.iter().all(|field| number(field) == Field::Text) {
            names = row.iter().map(str::to_owned).collect();
            names_from = Named::ByItself;
            let twice = names.iter().enumerate().find(|(n, name)| names[..*n].contains(name));
            if let Some((_, name)) = twice {
                return Err(SeriesError::Twice { file: named(), name: name.clone() });
            }
            continue;
        }
        if n == 0 {
            names = (1..=row.len()).map(|column| column.to_string()).collect();
        }
        for (field, column) in row.iter().zip(&names) {
            match number(field) {
                Field::Number(number) => numbers.push(number),
                Field::Gap => gaps.push((line, column.clone())),
                Field::Text => {
                    let (column, found) = (column.clone(), field.to_owned());
                    return Err(SeriesError::NoNumber { file: named(), line, column, found });
                }
            }
        }
    }
    let all = if names.len() == 1 { names[0].clone() } else { "all columns".to_owned() };
    gaps.extend(blank_lines(&bytes).map(|line| (line, all.clone())));
    gaps.sort();
    if !gaps.is_empty() {
        return Err(SeriesError::Gaps { file: named(), gaps });
    }
    if numbers.is_empty() {
        return Err(SeriesError::Empty { file: named() });
    }
    let series = Series::new(numbers, names.len());
    Ok(NamedSeries { names, named: names_from, series })
}

/// Lines with nothing on them in front of one with something, which a reader of tables passes over; from 1.
fn blank_lines(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let blank = |line: &[u8]| line.iter().all(u8::is_ascii_whitespace);
    let text = bytes.trim_ascii_end();
    let lines = (1..).zip(text.split(|byte| *byte == b'\n'));
    lines.filter(move |(_, line)| !text.is_empty() && blank(line)).map(|(n, _)| n)
}

/// What a field of a file is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Number(f64),
    Gap,
    Text,
}

fn number(field: &str) -> Field {
    match field.parse::<f64>() {
        Ok(number) if number.is_finite() => Field::Number(number),
        // NaN and infinity are what programs write where there is no number.
        Ok(_) => Field::Gap,
        Err(_) if field.is_empty() || field.eq_ignore_ascii_case("na") => Field::Gap,
        Err(_) => Field::Text,
    }
}

fn wrong_row(error: &csv::Error, file: &str) -> SeriesError {
    let file = file.to_owned();
    let at = |position: &Option<csv::Position>| position.as_ref().map_or(0, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let reason = format!("a row of {len} columns, expected {expected_len} as in the first");
            SeriesError::Row { file, line: at(pos), reason }
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            SeriesError::Row { file, line: at(pos), reason: "the file is not UTF-8".to_owned() }
        }
        _ => SeriesError::Row { file, line: 0, reason: error.to_string() },
    }
}

/// Writes a series with the names of its columns in the first line, if they have any. Numbers are as long as they
/// have to be to be read again to the bit.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(
    series: &Series,
    columns: &[Column],
    named: Named,
    out: &mut dyn io::Write,
) -> csv::Result<()> {
    let mut to = csv::Writer::from_writer(out);
    if named == Named::ByItself {
        to.write_record(columns.iter().map(|column| &column.name))?;
    }
    for t in 0..series.steps() {
        to.write_record(series.row(t).iter().map(f64::to_string))?;
    }
    Ok(to.flush()?)
}

impl Steps {
    /// Steps that are measured.
    pub fn count(&self) -> usize {
        self.u.steps() - self.lead_in
    }

    /// Refuses steps on which nothing changes: an error has no measure there. `columns` are those that are said.
    ///
    /// # Errors
    ///
    /// If a column is the same at all of them.
    pub fn check_change(&self, columns: &[Column]) -> Result<(), SeriesError> {
        let measured = self.measured();
        if measured.steps() == 0 {
            return Ok(());
        }
        for (n, column) in columns.iter().enumerate() {
            let numbers = measured.column(n);
            if numbers.iter().all(|number| *number == numbers[0]) {
                let value = numbers[0] * column.deviation + column.mean;
                return Err(SeriesError::Still { name: column.name.clone(), value });
            }
        }
        Ok(())
    }

    /// What is to be said to them.
    pub fn measured(&self) -> Series {
        self.d.slice(self.lead_in..self.d.steps())
    }
}

impl ExampleSet for Steps {
    fn count(&self) -> Count {
        Count::Steps(self.count())
    }

    fn hash(&self, hasher: &mut crc32fast::Hasher) {
        for number in self.u.values().iter().chain(self.d.values()) {
            hasher.update(&number.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
