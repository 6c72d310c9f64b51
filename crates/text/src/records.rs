//! JSON objects, one a line.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    CorpusError, Pair,
    lines::{numbered, read_text},
};

/// Two fields of every object in a file. Other fields are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonLines {
    /// The file, plain or gzip.
    pub path: PathBuf,
    /// The field of the sources.
    pub source: String,
    /// The field of the targets.
    pub target: String,
}

impl JsonLines {
    /// All pairs, in the order of the lines.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is no text, or if a line is no JSON or lacks a field.
    pub fn read(&self) -> Result<Vec<Pair>, CorpusError> {
        read_records(&self.path, |record| {
            Ok(Pair {
                source: record.string(&self.source)?.to_owned(),
                target: record.string(&self.target)?.to_owned(),
            })
        })
    }
}

/// One line of a file of JSON objects.
#[derive(Debug)]
pub(crate) struct Record<'p> {
    path: &'p Path,
    line: usize,
    value: Value,
}

/// What `read` makes of every line of a file of JSON objects.
pub(crate) fn read_records<T>(
    path: &Path,
    read: impl Fn(&Record<'_>) -> Result<T, CorpusError>,
) -> Result<Vec<T>, CorpusError> {
    let text = read_text(path)?;
    numbered(&text)
        .map(|(line, json)| {
            let value = serde_json::from_str(json).map_err(|reason| CorpusError::Json {
                path: path.to_owned(),
                line,
                reason,
            })?;
            read(&Record { path, line, value })
        })
        .collect()
}

impl Record<'_> {
    /// A field that must be a string.
    pub(crate) fn string(&self, field: &str) -> Result<&str, CorpusError> {
        let value = self.value.get(field);
        value.and_then(Value::as_str).ok_or_else(|| self.wrong(field, "a string", value))
    }

    /// Refuses every field but `field`.
    pub(crate) fn only(&self, field: &str) -> Result<(), CorpusError> {
        let mut fields = self.value.as_object().into_iter().flat_map(|object| object.keys());
        match fields.find(|other| *other != field) {
            None => Ok(()),
            Some(other) => {
                let (path, line) = self.place();
                let (field, expected) = (other.clone(), field.to_owned());
                Err(CorpusError::UnknownField { path, line, field, expected })
            }
        }
    }

    /// The file and the line, for what is wrong with it.
    pub(crate) fn place(&self) -> (PathBuf, usize) {
        (self.path.to_owned(), self.line)
    }

    /// A field that must be a list of strings.
    pub(crate) fn strings(&self, field: &str) -> Result<Vec<String>, CorpusError> {
        let value = self.value.get(field);
        let strings = value.and_then(Value::as_array).and_then(|list| {
            list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        strings.ok_or_else(|| self.wrong(field, "a list of strings", value))
    }

    fn wrong(&self, field: &str, expected: &'static str, got: Option<&Value>) -> CorpusError {
        let got = match got {
            None => "no such field".to_owned(),
            Some(value) => value.to_string(),
        };
        let ((path, line), field) = (self.place(), field.to_owned());
        CorpusError::Field { path, line, field, expected, got }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;

    fn read(text: &str) -> Result<Vec<Pair>, String> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("pairs.jsonl");
        fs::write(&path, text).unwrap();
        let file = JsonLines { path: path.clone(), source: "q".into(), target: "a".into() };
        file.read().map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
    }

    #[test]
    fn fields_are_chosen_by_name() {
        let pairs = read("{\"a\":\"2\",\"q\":\"1+1\",\"id\":7}\n").unwrap();
        assert_eq!(pairs, [Pair { source: "1+1".to_owned(), target: "2".to_owned() }]);
    }

    #[rstest]
    #[case("{\"q\":\"1\",\"a\":2}", "FILE:1: field `a` must be a string, got 2")]
    #[case("{\"q\":\"1\"}", "FILE:1: field `a` must be a string, got no such field")]
    #[case("[1]", "FILE:1: field `q` must be a string, got no such field")]
    #[case("{\"q\":\"1\",\"a\":\"2\"}\n{\"q\":", "FILE:2: not JSON: EOF while parsing a value")]
    #[case("{\"q\":\"1\",\"a\":\"2\"}\n\n", "FILE:2: not JSON: EOF while parsing a value")]
    fn a_line_that_does_not_fit_is_named(#[case] text: &str, #[case] message: &str) {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
}
