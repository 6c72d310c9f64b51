//! `recurrent train`.

use std::io::Write;

use super::NotWired;
use crate::{args::Train, settings};

/// See [`Train`].
///
/// # Errors
///
/// Always, until models are wired to it.
pub fn run(arguments: &Train, _out: &mut dyn Write) -> anyhow::Result<()> {
    arguments.device.name.open()?;
    settings::read::<toml::Table>(&arguments.config, &arguments.sets)?;
    Err(NotWired { command: "train" }.into())
}
