//! Which conversations a model learns from and is measured on.

use std::fmt;

use anyhow::Context;
use recurrent_generative::Turn;
use recurrent_text::{Dialogue, DialogueFile};
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};

use crate::{data::Data, terminal::grouped};

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

/// How many turns are learned from in part alone, because they have more tokens than `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CutTurns {
    /// Turns that are cut.
    pub cut: usize,
    /// All turns.
    pub turns: usize,
    /// The tokens that are left of those that are cut.
    pub longest: usize,
}

impl CutTurns {
    /// Leaves the first `longest` tokens of every turn.
    pub fn cut(dialogues: &mut [Vec<Turn>], longest: usize) -> Self {
        let (mut cut, mut turns) = (0, 0);
        for turn in dialogues.iter_mut().flatten() {
            turns += 1;
            cut += usize::from(turn.len() > longest);
            turn.truncate(longest);
        }
        Self { cut, turns, longest }
    }
}

impl fmt::Display for CutTurns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [cut, turns] = [self.cut, self.turns].map(grouped);
        write!(f, "{cut} of {turns} turns are cut at {} tokens", self.longest)
    }
}

fn conversations() -> usize {
    32
}

fn turns() -> usize {
    8
}

impl DialoguesConfig {
    pub(crate) fn validate(&self) -> Result<(), OutOfRange> {
        // Of a single turn no gradient reaches what is said before it.
        OutOfRange::check("turns", self.turns, |turns| *turns > 1, "at least 2")?;
        let numbers = [("batch", Some(self.batch)), ("longest", self.longest)].into_iter();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_that_are_too_long_are_cut_and_counted() {
        let mut said = vec![vec![vec![4; 3], vec![5; 4]], vec![vec![6; 9], vec![]]];
        let cut = CutTurns::cut(&mut said, 3);
        assert_eq!(said, [[vec![4; 3], vec![5; 3]], [vec![6; 3], vec![]]]);
        assert_eq!(cut, CutTurns { cut: 2, turns: 4, longest: 3 });
        assert_eq!(cut.to_string(), "2 of 4 turns are cut at 3 tokens");
    }
}
