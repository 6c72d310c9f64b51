//! Text without a source: what a language model learns from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{CorpusError, Pair, lines::read_text};

/// A file of which every line is a text of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {
    /// The file, plain or gzip.
    pub path: PathBuf,
}

impl Plain {
    /// All lines that are not empty, in their order, as targets of empty sources.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no text, or has no line that is not empty.
    pub fn read(&self) -> Result<Vec<Pair>, CorpusError> {
        let text = read_text(&self.path)?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let pairs: Vec<Pair> =
            lines.map(|line| Pair { source: String::new(), target: line.to_owned() }).collect();
        if pairs.is_empty() {
            return Err(CorpusError::Empty { path: self.path.clone() });
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn lines_are_targets_and_empty_ones_are_left_out() {
        let folder = TempDir::new().unwrap();
        let file = Plain { path: folder.path().join("a.txt") };
        fs::write(&file.path, "one two\n\n \nthree\n").unwrap();
        let targets: Vec<_> = file.read().unwrap().into_iter().map(|pair| pair.target).collect();
        assert_eq!(targets, ["one two", "three"]);
        fs::write(&file.path, "\n\n").unwrap();
        assert!(matches!(file.read(), Err(CorpusError::Empty { .. })));
    }
}
