//! Which series a model learns from and is measured on: a file of numbers, or a signal by its equation.

mod error;
mod source;
mod table;

use anyhow::Context;
use recurrent_reservoir::{Series, metrics::variance};
use recurrent_seq2seq::Windows;
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

use crate::data::{Count, Data, ExampleSet};

pub use error::SeriesError;
pub use source::SeriesSource;
pub use table::{Named, NamedSeries, read, read_file, write};

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
