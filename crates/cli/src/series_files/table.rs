//! Tables of numbers: files that programs exchange.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use recurrent_reservoir::Series;
use serde::{Deserialize, Serialize};

use super::{Column, SeriesError};

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

impl NamedSeries {
    /// The places of some columns; all if none is named.
    pub(super) fn columns(
        &self,
        key: &str,
        file: &str,
        names: &[String],
    ) -> Result<Vec<usize>, SeriesError> {
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
) -> io::Result<()> {
    let mut to = csv::Writer::from_writer(out);
    if named == Named::ByItself {
        to.write_record(columns.iter().map(|column| &column.name))?;
    }
    for t in 0..series.steps() {
        to.write_record(series.row(t).iter().map(f64::to_string))?;
    }
    to.flush()
}
