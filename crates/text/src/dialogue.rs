//! Conversations: turns of people who take turns.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{CorpusError, records::read_records};

/// The turns of one conversation, one at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialogue {
    /// What is said, in order.
    pub turns: Vec<String>,
}

/// A file of JSON objects, one conversation a line: `{"turns": ["Hi!", "Hello."]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialogueFile {
    /// The file, plain or gzip.
    pub path: PathBuf,
    /// The field of the turns.
    #[serde(default = "turns")]
    pub turns: String,
}

fn turns() -> String {
    "turns".to_owned()
}

impl DialogueFile {
    /// A file with the turns in the field `turns`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), turns: turns() }
    }

    /// All conversations, in the order of the lines.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is no text, or if a line is no JSON or has no list of strings
    /// in the field.
    pub fn read(&self) -> Result<Vec<Dialogue>, CorpusError> {
        read_records(&self.path, |record| Ok(Dialogue { turns: record.strings(&self.turns)? }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;

    fn read(text: &str) -> Result<Vec<Dialogue>, String> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("chat.jsonl");
        fs::write(&path, text).unwrap();
        let read = DialogueFile::new(&path).read();
        read.map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
    }

    #[test]
    fn turns_keep_their_order() {
        let dialogues = read("{\"turns\":[\"Hi!\",\"Hello.\"]}\n{\"turns\":[\"\"]}").unwrap();
        assert_eq!(dialogues[0].turns, ["Hi!", "Hello."]);
        assert_eq!(dialogues[1].turns, [""]);
    }

    #[rstest]
    #[case("{\"turns\":[]}", "[]")]
    #[case("{\"turns\":[\"a\",1]}", "[\"a\",1]")]
    #[case("{\"turns\":\"a\"}", "\"a\"")]
    #[case("{}", "no such field")]
    fn what_is_no_list_of_turns_is_refused(#[case] text: &str, #[case] got: &str) {
        let expected =
            format!("FILE:1: field `turns` must be a list of strings, and not empty, got {got}");
        assert_eq!(read(text).unwrap_err(), expected);
    }
}
