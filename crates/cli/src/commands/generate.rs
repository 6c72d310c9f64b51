//! `recurrent generate`.

use std::io::Write;

use super::NotWired;
use crate::{args::Generate, folder::ModelFolder};

/// See [`Generate`].
///
/// # Errors
///
/// Always, until models are wired to it.
pub fn run(arguments: &Generate, _out: &mut dyn Write) -> anyhow::Result<()> {
    arguments.device.name.open()?;
    ModelFolder::open(&arguments.model)?;
    Err(NotWired { command: "generate" }.into())
}
