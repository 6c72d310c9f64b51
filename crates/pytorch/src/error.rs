//! What can be wrong with a file, or with a stack that is to become one.

use std::io;

/// Why a state dict could not be read, understood or written. Every message says which file and
/// which key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PytorchError {
    /// The operating system refused to read or write.
    #[error("{file}: {error}")]
    Io {
        /// Which file.
        file: String,
        /// What the operating system said.
        error: io::Error,
    },

    /// The file is cut short, damaged, or something else altogether.
    #[error("{file} cannot be read as a state dict: {reason}")]
    NotAStateDict {
        /// Which file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A parameter is not there.
    #[error("{file} has no key `{key}`; it has {}", listed(found))]
    MissingKey {
        /// Which file.
        file: String,
        /// The key that was looked for.
        key: String,
        /// The keys beside it, or all keys if it has no neighbour.
        found: Vec<String>,
    },

    /// A parameter is there that the layer asked for does not have.
    #[error("{file} has the key `{key}`, which a {module} does not have")]
    UnknownKey {
        /// Which file.
        file: String,
        /// The key.
        key: String,
        /// What was asked for.
        module: String,
    },

    /// A parameter has a shape that does not fit the others.
    #[error("`{key}` in {file} is {shape:?}, but a {module} needs {expected}")]
    WrongShape {
        /// Which file.
        file: String,
        /// The key.
        key: String,
        /// The shape in the file.
        shape: Vec<usize>,
        /// What was asked for.
        module: String,
        /// The shape it should have, and what that follows from.
        expected: String,
    },

    /// A parameter is of a type that a cell cannot have.
    #[error("`{key}` in {file} is {dtype}, but weights are F64, F32, F16 or BF16")]
    UnsupportedDtype {
        /// Which file.
        file: String,
        /// The key.
        key: String,
        /// Its type.
        dtype: String,
    },

    /// The parameters of one module are of different types.
    #[error("`{key}` in {file} is {dtype}, but `{first}` is {expected}")]
    MixedDtypes {
        /// Which file.
        file: String,
        /// The key.
        key: String,
        /// Its type.
        dtype: String,
        /// The first parameter of the module.
        first: String,
        /// The type of the first parameter.
        expected: String,
    },

    /// PyTorch has no module that computes this.
    #[error("{module} has no {what}")]
    NotInPytorch {
        /// The closest that PyTorch has.
        module: &'static str,
        /// What it lacks.
        what: String,
    },
}

/// The first of `keys`, and how many more there are.
fn listed(keys: &[String]) -> String {
    const MOST: usize = 8;
    let shown: Vec<String> = keys.iter().take(MOST).map(|key| format!("`{key}`")).collect();
    match keys.len() {
        0 => "no keys at all".to_owned(),
        count if count > MOST => format!("{} and {} more", shown.join(", "), count - MOST),
        _ => shown.join(", "),
    }
}
