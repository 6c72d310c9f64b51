//! Where the tokens of a training come from: from its data, or from a model that has learned before.

use anyhow::Context;
use recurrent_text::{Tokenizer, TokenizerConfig};

use crate::folder::{ModelFolder, Part};

/// Where the tokens of a training come from.
#[derive(Clone, Copy, Debug)]
pub enum TokenSource<'a> {
    /// They are learned from what the model learns from.
    Data,
    /// They are those of a model that has learned before, and stay what they are: its weights are of
    /// no use to others.
    Model(&'a ModelFolder),
}

impl TokenSource<'_> {
    /// The tokeniser of a model that has one: what `config` learns from `texts`, or that of a model of
    /// one of `kinds`.
    ///
    /// # Errors
    ///
    /// If none can be learned, or the folder is of another kind or has none that is whole.
    pub fn tokenizer<'t>(
        self,
        config: &TokenizerConfig,
        texts: impl Iterator<Item = &'t str>,
        kinds: &[&str],
    ) -> anyhow::Result<Tokenizer> {
        match self {
            Self::Data => config.train(texts).context("`tokens.shared`"),
            Self::Model(folder) => {
                folder.expect_kind(kinds)?;
                read_tokenizer(folder, Part::Tokenizer)
            }
        }
    }
}

/// The tokeniser that a folder has in the file `part`.
///
/// # Errors
///
/// If it is missing or damaged.
pub fn read_tokenizer(folder: &ModelFolder, part: Part) -> anyhow::Result<Tokenizer> {
    let name = || folder.path().join(part.file_name()).display().to_string();
    Tokenizer::from_json(&folder.read_text(part)?).with_context(name)
}
