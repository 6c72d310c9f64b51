//! Columns separated by tabs. There is no quoting: a tab is always a separator.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    CorpusError, Pair,
    lines::{numbered, read_text},
};

/// Two columns of a file of tab-separated values. Every line must have as many columns as the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tsv {
    /// The file, plain or gzip.
    pub path: PathBuf,
    /// The column of the sources.
    #[serde(default = "first")]
    pub source: Column,
    /// The column of the targets.
    #[serde(default = "second")]
    pub target: Column,
    /// Whether the first line names the columns.
    #[serde(default)]
    pub header: bool,
    /// Which of the rows; all by default.
    #[serde(default)]
    pub part: Option<Part>,
}

/// One row out of several, again and again: `{ nth = 0, of = 2 }` is the first of every two. So the
/// pairs of a file can be dealt out to experiments that must not share any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which one, from 0, below `of`.
    pub nth: usize,
    /// Out of how many, above 0.
    pub of: usize,
}

/// A column, by its position or by its name in the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// The position, counted from 0.
    Index(usize),
    /// The name; only where there is a header.
    Name(String),
}

fn first() -> Column {
    Column::Index(0)
}

fn second() -> Column {
    Column::Index(1)
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => write!(f, "`{name}`"),
        }
    }
}

impl Tsv {
    /// The first two columns of a file without a header.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), source: first(), target: second(), header: false, part: None }
    }

    /// The columns that the first line of a file names.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no text, or has no line.
    pub fn columns(path: &Path) -> Result<Vec<String>, CorpusError> {
        let text = read_text(path)?;
        match numbered(&text).next() {
            Some((_, line)) => Ok(split(line).into_iter().map(str::to_owned).collect()),
            None => Err(CorpusError::Empty { path: path.to_owned() }),
        }
    }

    /// All pairs, in the order of the lines.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no text, lacks a column, or a line has more or fewer columns
    /// than the first.
    pub fn read(&self) -> Result<Vec<Pair>, CorpusError> {
        let text = read_text(&self.path)?;
        let mut lines = numbered(&text).peekable();
        let head: Vec<&str> = lines.peek().map(|(_, line)| split(line)).unwrap_or_default();
        let source = self.find(&self.source, &head)?;
        let target = self.find(&self.target, &head)?;

        let Part { nth, of } = self.part.unwrap_or(Part { nth: 0, of: 1 });
        if nth >= of {
            return Err(CorpusError::Part { path: self.path.clone(), nth, of });
        }
        let rows = lines.skip(usize::from(self.header)).skip(nth).step_by(of);
        let pairs: Vec<Pair> = rows
            .map(|(line, row)| {
                let cells = split(row);
                if cells.len() != head.len() {
                    let (path, expected, got) = (self.path.clone(), head.len(), cells.len());
                    return Err(CorpusError::Columns { path, line, expected, got });
                }
                Ok(Pair { source: cells[source].to_owned(), target: cells[target].to_owned() })
            })
            .collect::<Result<_, _>>()?;
        if pairs.is_empty() {
            return Err(CorpusError::Empty { path: self.path.clone() });
        }
        Ok(pairs)
    }

    fn find(&self, column: &Column, head: &[&str]) -> Result<usize, CorpusError> {
        let index = match column {
            Column::Index(index) => Some(*index).filter(|index| *index < head.len()),
            Column::Name(name) if self.header => head.iter().position(|cell| cell == name),
            Column::Name(_) => None,
        };
        index.ok_or_else(|| CorpusError::NoColumn {
            path: self.path.clone(),
            column: column.to_string(),
            available: self.available(head),
        })
    }

    fn available(&self, head: &[&str]) -> String {
        let last = head.len().saturating_sub(1);
        let numbers = if last == 0 { "0 alone".to_owned() } else { format!("0 to {last}") };
        if self.header {
            format!("{numbers}, named `{}`", head.join("`, `"))
        } else {
            format!("{numbers}, without names")
        }
    }
}

fn split(line: &str) -> Vec<&str> {
    line.split('\t').collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const TABLE: &str = "en\tpt\tes\ncat\tgato\tgatito\ndog\tcão\tperro\n";

    fn read(text: &str, change: impl FnOnce(&mut Tsv)) -> Result<Vec<Pair>, String> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("table.tsv");
        fs::write(&path, text).unwrap();
        let mut tsv = Tsv::new(&path);
        change(&mut tsv);
        tsv.read().map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
    }

    #[test]
    fn columns_are_chosen_by_position_or_name() {
        let by_name = read(TABLE, |tsv| {
            tsv.header = true;
            tsv.source = Column::Name("es".to_owned());
            tsv.target = Column::Index(0);
        });
        let expected = [("gatito", "cat"), ("perro", "dog")]
            .map(|(source, target)| Pair { source: source.into(), target: target.into() });
        assert_eq!(by_name.unwrap(), expected);
        assert_eq!(read(TABLE, |_| ()).unwrap()[0].target, "pt");
    }

    #[test]
    fn a_line_with_other_columns_is_named() {
        let error = read("a\tb\nc\td\te\n", |_| ()).unwrap_err();
        assert_eq!(error, "FILE:2: expected 2 columns separated by tabs, got 3");
        let error = read("a\tb\n\nc\td\n", |_| ()).unwrap_err();
        assert_eq!(error, "FILE:2: expected 2 columns separated by tabs, got 1");
    }

    #[test]
    fn a_missing_column_is_named() {
        let error = read(TABLE, |tsv| tsv.target = Column::Index(3)).unwrap_err();
        let expected =
            "FILE:1: there is no column 3, the columns between tabs are 0 to 2, without names";
        assert_eq!(error, expected);
        let error = read(TABLE, |tsv| {
            tsv.header = true;
            tsv.source = Column::Name("fr".to_owned());
        });
        let expected = "FILE:1: there is no column `fr`, the columns between tabs are 0 to 2, named `en`, `pt`, `es`";
        assert_eq!(error.unwrap_err(), expected);
    }

    /// The parts of a file have all its rows, each once.
    #[test]
    fn rows_are_dealt_out() {
        let part = |nth, of| {
            let read = read("h\th\na\t1\nb\t2\nc\t3\nd\t4\ne\t5\n", |tsv| {
                tsv.header = true;
                tsv.part = Some(Part { nth, of });
            });
            read.map(|pairs| pairs.into_iter().map(|pair| pair.source).collect::<String>())
        };
        assert_eq!([part(0, 2).unwrap(), part(1, 2).unwrap()], ["ace", "bd"]);
        assert_eq!(part(0, 1).unwrap(), "abcde");
        let expected = "FILE: `part` is row 2 of every 2: `nth` counts from 0 and is below `of`";
        assert_eq!(part(2, 2).unwrap_err(), expected);
    }

    #[test]
    fn a_header_alone_is_an_empty_file() {
        assert_eq!(read("en\tpt\n", |tsv| tsv.header = true).unwrap_err(), "FILE is empty");
    }
}
