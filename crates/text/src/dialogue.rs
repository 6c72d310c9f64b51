//! Conversations: turns of people who take turns.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{CorpusError, records::read_records};

/// The turns of one conversation, two at least, in each of which something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialogue {
    /// What is said, in order.
    pub turns: Vec<String>,
}

/// A file of JSON objects, one conversation a line: `{"turns": ["Hi!", "Hello."]}`. There is no
/// other field: one that is passed over could have held what was said.
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
    /// If the file cannot be read or is no text, or if a line is no JSON, has another field, has no
    /// list of strings in the field, has fewer than two turns, or one of white space alone.
    pub fn read(&self) -> Result<Vec<Dialogue>, CorpusError> {
        read_records(&self.path, |record| {
            record.only(&self.turns)?;
            let turns = record.strings(&self.turns)?;
            let (path, line) = record.place();
            if turns.len() < 2 {
                return Err(CorpusError::Turns { path, line, got: turns.len() });
            }
            let silent = |(_, turn): &(usize, &String)| turn.trim().is_empty();
            match (1..).zip(&turns).find(silent) {
                None => Ok(Dialogue { turns }),
                Some((turn, got)) => {
                    Err(CorpusError::EmptyTurn { path, line, turn, got: got.clone() })
                }
            }
        })
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
    fn turns_keep_their_order_and_blanks() {
        let text = "{\"turns\":[\"Hi!\",\"Hello.\"]}\n{\"turns\":[\"b \",\" a\",\"b \"]}\n";
        let dialogues = read(text).unwrap();
        assert_eq!(dialogues[0].turns, ["Hi!", "Hello."]);
        assert_eq!(dialogues[1].turns, ["b ", " a", "b "]);
        assert_eq!(dialogues.len(), 2);
    }

    #[rstest]
    #[case("{\"turns\":[\"a\",1]}", "[\"a\",1]")]
    #[case("{\"turns\":\"a\"}", "\"a\"")]
    #[case("{\"turns\":null}", "null")]
    #[case("{}", "no such field")]
    #[case("[\"a\",\"b\"]", "no such field")]
    fn what_is_no_list_of_turns_is_refused(#[case] text: &str, #[case] got: &str) {
        let expected = format!("FILE:1: field `turns` must be a list of strings, got {got}");
        assert_eq!(read(text).unwrap_err(), expected);
    }

    /// In the second line, after one that is right.
    #[rstest]
    #[case("{\"turns\":[]}", "a conversation must have two turns at least, got 0")]
    #[case("{\"turns\":[\"a\"]}", "a conversation must have two turns at least, got 1")]
    #[case("{\"turns\":[\"\",\"a\"]}", "turn 1 must have more than white space, got \"\"")]
    #[case(
        "{\"turns\":[\"a\",\"b\",\"\\t \"]}",
        "turn 3 must have more than white space, got \"\\t \""
    )]
    // A no-break space, and the first of two.
    #[case(
        "{\"turns\":[\"a\",\"\u{a0}\",\"\"]}",
        "turn 2 must have more than white space, got \"\\u{a0}\""
    )]
    #[case("{\"id\":7,\"turns\":[\"a\",\"b\"]}", "unknown field `id`, expected `turns` alone")]
    #[case("{\"turn\":[\"a\",\"b\"]}", "unknown field `turn`, expected `turns` alone")]
    fn what_is_no_conversation_is_refused(#[case] line: &str, #[case] reason: &str) {
        let text = format!("{{\"turns\":[\"a\",\"b\"]}}\n{line}\n");
        assert_eq!(read(&text).unwrap_err(), format!("FILE:2: {reason}"));
    }

    #[test]
    fn the_field_of_the_turns_has_any_name() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("chat.jsonl");
        fs::write(&path, "{\"said\":[\"a\",\"b\"]}").unwrap();
        let file = DialogueFile { turns: "said".to_owned(), ..DialogueFile::new(&path) };
        assert_eq!(file.read().unwrap(), [Dialogue { turns: vec!["a".into(), "b".into()] }]);
    }
}
