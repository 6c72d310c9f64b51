//! Which conversations a model learns from and is measured on.

use anyhow::Context;
use recurrent_text::{Dialogue, DialogueFile};
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

use crate::data::Data;

/// Which conversations, and how many of their turns are learned from at once. Paths are relative to
/// where the program is started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialoguesConfig {
    /// What the model learns from.
    pub train: DialogueFile,
    /// What chooses the best epoch.
    pub valid: DialogueFile,
    /// What the model is measured on after training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<DialogueFile>,
    /// Conversations side by side in a batch, above 0.
    #[serde(default = "conversations")]
    pub batch: usize,
    /// Turns of each in a batch, above 0; the next batch goes on where it ends.
    #[serde(default = "turns")]
    pub turns: usize,
    /// The most tokens of a turn that is learned from, above 0: what is behind them is left out. By
    /// default nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<usize>,
}

fn conversations() -> usize {
    32
}

fn turns() -> usize {
    8
}

impl DialoguesConfig {
    pub(crate) fn validate(&self) -> Result<(), OutOfRange> {
        let numbers = [("batch", Some(self.batch)), ("turns", Some(self.turns))];
        let numbers = numbers.into_iter().chain([("longest", self.longest)]);
        numbers.filter_map(|(key, number)| Some((key, number?))).try_for_each(|(key, number)| {
            OutOfRange::check(key, number, |number| *number > 0, "above 0")
        })
    }

    /// Whose fields a file to be measured on has.
    pub fn test_or_valid(&self) -> &DialogueFile {
        self.test.as_ref().unwrap_or(&self.valid)
    }

    /// Reads all files.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is not of its format.
    pub fn read(&self) -> anyhow::Result<Data<Vec<Dialogue>>> {
        Ok(Data {
            train: read(&self.train, "data.dialogues.train")?,
            valid: read(&self.valid, "data.dialogues.valid")?,
            test: match &self.test {
                Some(test) => Some(read(test, "data.dialogues.test")?),
                None => None,
            },
        })
    }
}

/// The conversations of a file, which an error calls `key`.
///
/// # Errors
///
/// If it cannot be read, is not of its format, or has none.
pub fn read(file: &DialogueFile, key: &str) -> anyhow::Result<Vec<Dialogue>> {
    file.read().with_context(|| format!("`{key}` cannot be used"))
}
