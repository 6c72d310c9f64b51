//! `recurrent translate`.

use std::io::Write;

use super::NotWired;
use crate::{args::Translate, folder::ModelFolder};

/// See [`Translate`].
///
/// # Errors
///
/// Always, until models are wired to it.
pub fn run(arguments: &Translate, _out: &mut dyn Write) -> anyhow::Result<()> {
    arguments.device.name.open()?;
    for model in &arguments.models {
        ModelFolder::open(model)?;
    }
    Err(NotWired { command: "translate" }.into())
}
