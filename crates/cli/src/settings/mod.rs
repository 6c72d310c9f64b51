//! Files that people write: TOML, with `--set key=value` on top.
//!
//! Every error says where: the file and the line, or the `--set` it comes from; then the key, and
//! what is wrong with it. Unknown keys are refused by the types that are read
//! (`#[serde(deny_unknown_fields)]`), values out of range by [`Validate`].

mod difference;
mod place;
mod set;

use std::{fs, io, path::Path};

use recurrent_training::OutOfRange;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use toml::de::{DeTable, Deserializer};

pub use difference::{Difference, first_difference};
pub use set::Set;

use place::Places;
use set::one_line;

/// What a file says, with `sets` in place of what it says there.
///
/// # Errors
///
/// See [`SettingsError`].
pub fn read<T: DeserializeOwned>(path: &Path, sets: &[Set]) -> Result<T, SettingsError> {
    let text = read_text(path)?;
    parse(&text, path, sets).map(|(value, _)| value)
}

/// As [`read`], for settings with ranges.
///
/// # Errors
///
/// See [`SettingsError`].
pub fn read_valid<T: DeserializeOwned + Validate>(
    path: &Path,
    sets: &[Set],
) -> Result<T, SettingsError> {
    let text = read_text(path)?;
    let (value, places) = parse::<T>(&text, path, sets)?;
    match value.validate() {
        Ok(()) => Ok(value),
        Err(error) => {
            let at = places.of_key(&error.field);
            Err(SettingsError::Range { at, error })
        }
    }
}

/// The settings as a file that [`read`] reads again.
///
/// # Errors
///
/// If they hold something that TOML has no notation for, a whole number above 2⁶³ − 1 say.
pub fn to_toml<T: Serialize>(settings: &T) -> Result<String, SettingsError> {
    toml::to_string(settings).map_err(|reason| SettingsError::Write { reason: reason.to_string() })
}

/// Settings whose values have ranges.
pub trait Validate {
    /// The first value that is out of its range.
    ///
    /// # Errors
    ///
    /// If there is one.
    fn validate(&self) -> Result<(), OutOfRange>;
}

/// Why settings cannot be used. Lines count from 1.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file cannot be read, for one because it is missing.
    #[error("cannot read {file}: {reason}")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        reason: io::Error,
    },
    /// The file is not text.
    #[error("{at}: the file is not UTF-8")]
    NotUtf8 {
        /// Where it ceases to be text.
        at: String,
    },
    /// The file is not TOML, or a value of a `--set` or its key is not.
    #[error("{at}: {reason}")]
    Syntax {
        /// Where.
        at: String,
        /// What the parser says.
        reason: String,
    },
    /// A key is unknown or missing, or its value is of another type.
    #[error("{at}: {}{reason}", key_before(key))]
    Content {
        /// Where.
        at: String,
        /// The path of the key, empty at the top.
        key: String,
        /// What is wrong there.
        reason: String,
    },
    /// A value is not in its range.
    #[error("{}{error}", before(at))]
    Range {
        /// Where, or nothing if nobody wrote it.
        at: Option<String>,
        /// Which value.
        error: OutOfRange,
    },
    /// The settings cannot be written.
    #[error("the settings cannot be written as TOML: {reason}")]
    Write {
        /// What the serialiser says.
        reason: String,
    },
}

impl From<OutOfRange> for SettingsError {
    fn from(error: OutOfRange) -> Self {
        Self::Range { at: None, error }
    }
}

fn key_before(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("`{key}`: ") }
}

fn before(at: &Option<String>) -> String {
    at.as_ref().map_or_else(String::new, |at| format!("{at}: "))
}

fn read_text(path: &Path) -> Result<String, SettingsError> {
    let file = path.display().to_string();
    let bytes = fs::read(path).map_err(|reason| SettingsError::Read { file, reason })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
        SettingsError::NotUtf8 { at: format!("{}:{line}", path.display()) }
    })
}

/// The value, and where its keys were written.
fn parse<'a, T: DeserializeOwned>(
    text: &'a str,
    path: &'a Path,
    sets: &'a [Set],
) -> Result<(T, Places<'a>), SettingsError> {
    let mut places = Places::new(path, text, sets);
    let mut documents = Vec::with_capacity(sets.len());
    for (number, set) in sets.iter().enumerate() {
        documents.push(set.document(places.start_of(number)).map_err(|error| in_set(set, error))?);
    }
    let mut root = DeTable::parse(text).map_err(|error| SettingsError::Syntax {
        at: places.at(error.span()),
        reason: one_line(error.message()),
    })?;
    for (set, document) in sets.iter().zip(&documents) {
        set.apply(root.get_mut(), document).map_err(|error| in_set(set, error))?;
    }
    places.remember(root.get_ref());
    match T::deserialize(Deserializer::from(root)) {
        Ok(value) => Ok((value, places)),
        Err(error) => Err(SettingsError::Content {
            at: places.at(error.span()),
            key: places.key_at(error.span()),
            reason: one_line(error.message()),
        }),
    }
}

fn in_set(set: &Set, reason: String) -> SettingsError {
    SettingsError::Syntax { at: format!("--set {set}"), reason }
}

#[cfg(test)]
mod tests;
