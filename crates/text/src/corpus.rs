//! Pairs of texts, where they come from, and what is wrong with a file.

use std::{collections::HashMap, io, path::PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{JsonLines, Parallel, Plain, Tsv};

/// A source and what it is to be turned into: a sentence and its translation, a word and its sounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// What a model reads.
    pub source: String,
    /// What a model writes.
    pub target: String,
}

/// Where pairs come from, as data of a configuration. Every file may be compressed with gzip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PairFiles {
    /// Columns of one file.
    Tsv(Tsv),
    /// Two files, line by line.
    Parallel(Parallel),
    /// Fields of JSON objects, one a line.
    JsonLines(JsonLines),
    /// Lines of one file, as targets without a source.
    Plain(Plain),
}

impl PairFiles {
    /// All pairs, in the order of the lines.
    ///
    /// # Errors
    ///
    /// See [`CorpusError`].
    pub fn read(&self) -> Result<Vec<Pair>, CorpusError> {
        match self {
            Self::Tsv(file) => file.read(),
            Self::Parallel(files) => files.read(),
            Self::JsonLines(file) => file.read(),
            Self::Plain(file) => file.read(),
        }
    }
}

/// A source with everything it may be turned into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What a model reads.
    pub source: String,
    /// The different targets, in the order in which they were first seen.
    pub targets: Vec<String>,
}

/// One group for each source, in the order in which sources were first seen: an output is scored
/// against all targets of its source.
pub fn group_references(pairs: &[Pair]) -> Vec<Group> {
    let mut positions: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for Pair { source, target } in pairs {
        let position = *positions.entry(source).or_insert(groups.len());
        match groups.get_mut(position) {
            None => groups.push(Group { source: source.clone(), targets: vec![target.clone()] }),
            Some(group) if group.targets.contains(target) => {}
            Some(group) => group.targets.push(target.clone()),
        }
    }
    groups
}

/// Why a file is not the corpus it should be. Lines count from 1.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// The file cannot be read, for one because it is missing.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// There is no line in the file.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The compressed data stop before their end.
    #[error("{}:{line}: the gzip data are cut short", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The line at which the data stop.
        line: usize,
    },
    /// The compressed data are damaged.
    #[error("{}:{line}: the gzip data are damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line after which nothing could be read.
        line: usize,
        /// What the decoder says.
        reason: io::Error,
    },
    /// There is a zero byte in the file, which no text has.
    #[error("{}:{line}: byte {offset} is zero, the file is binary and not text", path.display())]
    Binary {
        /// The file.
        path: PathBuf,
        /// The line of the byte.
        line: usize,
        /// The position of the byte in the uncompressed file.
        offset: usize,
    },
    /// A byte does not belong to UTF-8.
    #[error("{}:{line}: byte {offset} is not UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the byte.
        line: usize,
        /// The position of the byte in the uncompressed file.
        offset: usize,
    },
    /// A line has more or fewer columns than the first.
    #[error("{}:{line}: expected {expected} columns separated by tabs, got {got}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The columns of the first line.
        expected: usize,
        /// The columns of this line.
        got: usize,
    },
    /// A column that is asked for is not there.
    #[error("{}:1: there is no column {column}, the columns between tabs are {available}", path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The columns there are.
        available: String,
    },
    /// A part of the rows that there is not.
    #[error("{}: `part` is row {nth} of every {of}: `nth` counts from 0 and is below `of`", path.display())]
    Part {
        /// The file.
        path: PathBuf,
        /// Which row.
        nth: usize,
        /// Out of how many.
        of: usize,
    },
    /// A line is no JSON.
    #[error("{}:{line}: not JSON: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What the parser says.
        reason: serde_json::Error,
    },
    /// A field of a JSON object is missing or of another type.
    #[error("{}:{line}: field `{field}` must be {expected}, got {got}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The field.
        field: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
    /// A JSON object has a field that it must not have.
    #[error("{}:{line}: unknown field `{field}`, expected `{expected}` alone", path.display())]
    UnknownField {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The field.
        field: String,
        /// The only field there may be.
        expected: String,
    },
    /// A conversation in which nobody answers.
    #[error("{}:{line}: a conversation must have two turns at least, got {got}", path.display())]
    Turns {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The turns there are.
        got: usize,
    },
    /// A turn of a conversation in which nothing is said.
    #[error(
        "{}:{line}: turn {turn} must have more than white space, got {got:?}",
        path.display()
    )]
    EmptyTurn {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// Which turn, from 1.
        turn: usize,
        /// What it is.
        got: String,
    },
    /// Two files that belong together have different numbers of lines.
    #[error(
        "{} has {source_lines} lines and {} has {target_lines}, they must have the same number",
        source_path.display(),
        target_path.display()
    )]
    Unequal {
        /// The file with the sources.
        source_path: PathBuf,
        /// Its lines.
        source_lines: usize,
        /// The file with the targets.
        target_path: PathBuf,
        /// Its lines.
        target_lines: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: &str, target: &str) -> Pair {
        Pair { source: source.to_owned(), target: target.to_owned() }
    }

    #[test]
    fn a_source_has_all_its_targets_once() {
        let pairs = [pair("b", "1"), pair("a", "2"), pair("b", "3"), pair("b", "1")];
        let groups = group_references(&pairs);
        let seen: Vec<_> =
            groups.iter().map(|group| (group.source.as_str(), group.targets.join("|"))).collect();
        assert_eq!(seen, [("b", "1|3".to_owned()), ("a", "2".to_owned())]);
    }

    #[test]
    fn a_configuration_names_the_format_and_nothing_unknown() {
        let json = r#"{"tsv":{"path":"a.tsv","source":1,"target":"fr","header":true}}"#;
        let files: PairFiles = serde_json::from_str(json).unwrap();
        assert!(matches!(files, PairFiles::Tsv(Tsv { header: true, .. })));
        let json = r#"{"parallel":{"source":"a","target":"b","sep":","}}"#;
        let error = serde_json::from_str::<PairFiles>(json).unwrap_err().to_string();
        assert!(error.contains("unknown field `sep`"), "{error}");
    }
}
