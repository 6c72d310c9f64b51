//! `recurrent evaluate`.

use std::io::Write;

use super::NotWired;
use crate::{args::Evaluate, folder::ModelFolder};

/// See [`Evaluate`].
///
/// # Errors
///
/// Always, until models are wired to it.
pub fn run(arguments: &Evaluate, _out: &mut dyn Write) -> anyhow::Result<()> {
    arguments.device.name.open()?;
    for model in &arguments.models {
        ModelFolder::open(model)?;
    }
    Err(NotWired { command: "evaluate" }.into())
}
