//! What can be wrong with a model folder.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{atomic::WriteError, weights::WeightsError};

/// Why a folder cannot be used as a model folder.
#[derive(Debug, Error)]
pub enum FolderError {
    /// A new model would overwrite another one.
    #[error("{} already holds {}", folder.display(), occupied(found))]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// What there is of the training.
        found: Vec<String>,
    },
    /// There is no training to go on with.
    #[error("{} holds no training to resume", folder.display())]
    NothingToResume {
        /// The folder.
        folder: PathBuf,
    },
    /// It is a file.
    #[error("{} is a file, a model is a folder", folder.display())]
    NotAFolder {
        /// What is no folder.
        folder: PathBuf,
    },
    /// A file is not there.
    #[error("{} is not a whole model folder: `{file}` is missing", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: String,
    },
    /// A file or the folder cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// A file or the folder cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file of text is none.
    #[error("{} is not UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// `config.json` is no JSON, or says something else than it should.
    #[error("{}:{line}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What the parser says.
        reason: serde_json::Error,
    },
    /// The folder was written by a program of another time.
    #[error("{} has format version {got}, this program reads version {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that is read.
        expected: u32,
        /// The version that is there.
        got: u32,
    },
    /// A file is longer or shorter than it was.
    #[error("{} has {got} bytes, but {} says {expected}: the file is cut or of another model", file.display(), config.display())]
    Length {
        /// The file.
        file: PathBuf,
        /// The file that says otherwise.
        config: PathBuf,
        /// How many bytes it should have.
        expected: u64,
        /// How many it has.
        got: u64,
    },
    /// A file has other bytes than it had.
    #[error("{} has the checksum {got}, but {} says {expected}: the file is damaged or of another model", file.display(), config.display())]
    Checksum {
        /// The file.
        file: PathBuf,
        /// The file that says otherwise.
        config: PathBuf,
        /// The checksum it should have.
        expected: String,
        /// The checksum it has.
        got: String,
    },
    /// It is a model, but not one that can do what is asked for.
    #[error("{} holds a model of the kind `{kind}`, needed is {}", folder.display(), needed.join(" or "))]
    Kind {
        /// The folder.
        folder: PathBuf,
        /// The kind of its model.
        kind: String,
        /// The kinds that can.
        needed: Vec<String>,
    },
    /// `config.json` describes another model than the one that is asked for.
    #[error("{} does not describe a model of the kind `{kind}`: {reason}", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// The kind.
        kind: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The weights are not those of the model.
    #[error("{} does not fit the model: {reason}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        reason: Box<WeightsError>,
    },
}

/// What is in a folder, and what to do about it.
fn occupied(found: &[String]) -> String {
    let files = found.join(", ");
    match found.iter().any(|file| file == super::CHECKPOINTS) {
        true => format!(
            "a training ({files}); go on with it by `--resume`, or choose another folder with `--out`"
        ),
        false => format!("a model ({files}); choose another folder with `--out`"),
    }
}
