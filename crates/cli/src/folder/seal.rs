//! Length and checksum of a file, to tell whether it is whole and the right one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::FolderError;

/// Length and checksum of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// How many bytes it has.
    pub bytes: u64,
    /// Their CRC-32, as eight hexadecimal digits.
    pub crc32: String,
}

impl Seal {
    /// Of a file with this content.
    pub fn of(content: &[u8]) -> Self {
        let crc32 = format!("{:08x}", crc32fast::hash(content));
        Self { bytes: content.len() as u64, crc32 }
    }
}

/// Compares what a file is with what `config` says it may be.
pub(super) fn check(
    file: &Path,
    config: &Path,
    expected: &[Seal],
    got: &Seal,
) -> Result<(), FolderError> {
    if expected.contains(got) {
        return Ok(());
    }
    let (file, config) = (file.to_owned(), config.to_owned());
    match expected.last() {
        Some(seal) if seal.bytes != got.bytes => {
            Err(FolderError::Length { file, config, expected: seal.bytes, got: got.bytes })
        }
        seal => {
            let expected = seal.map_or_else(|| "nothing".to_owned(), |seal| seal.crc32.clone());
            Err(FolderError::Checksum { file, config, expected, got: got.crc32.clone() })
        }
    }
}
