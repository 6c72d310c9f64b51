//! Two files whose lines belong together.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{CorpusError, Pair, lines::read_text};

/// A file of sources and a file of targets, line by line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    /// The file of the sources, plain or gzip.
    pub source: PathBuf,
    /// The file of the targets, plain or gzip.
    pub target: PathBuf,
}

impl Parallel {
    /// All pairs, in the order of the lines.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, is no text, or has more lines than the other.
    pub fn read(&self) -> Result<Vec<Pair>, CorpusError> {
        let (sources, targets) = (read_text(&self.source)?, read_text(&self.target)?);
        let (source_lines, target_lines) = (sources.lines().count(), targets.lines().count());
        if source_lines != target_lines {
            return Err(CorpusError::Unequal {
                source_path: self.source.clone(),
                source_lines,
                target_path: self.target.clone(),
                target_lines,
            });
        }
        let pairs = sources.lines().zip(targets.lines());
        let pair = |(source, target): (&str, &str)| Pair {
            source: source.to_owned(),
            target: target.to_owned(),
        };
        Ok(pairs.map(pair).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn files(source: &str, target: &str) -> (TempDir, Parallel) {
        let folder = TempDir::new().unwrap();
        let files =
            Parallel { source: folder.path().join("a.en"), target: folder.path().join("a.fr") };
        fs::write(&files.source, source).unwrap();
        fs::write(&files.target, target).unwrap();
        (folder, files)
    }

    #[test]
    fn lines_are_paired_and_empty_ones_are_lines() {
        let (_folder, files) = files("one\n\n", "un\ndeux");
        let pairs = files.read().unwrap();
        assert_eq!(pairs.len(), 2);
        assert_eq!((pairs[1].source.as_str(), pairs[1].target.as_str()), ("", "deux"));
    }

    #[test]
    fn files_of_different_length_are_refused() {
        let (folder, files) = files("one\ntwo\n", "un\n");
        let error = files.read().unwrap_err().to_string();
        let error = error.replace(folder.path().to_str().unwrap(), "FOLDER");
        let expected =
            "FOLDER/a.en has 2 lines and FOLDER/a.fr has 1, they must have the same number";
        assert_eq!(error, expected);
    }
}
