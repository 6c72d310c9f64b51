//! `recurrent train`.

use std::io::Write;

use super::NotWired;
use crate::args::Train;

/// See [`Train`].
///
/// # Errors
///
/// Always, until models are wired to it.
pub fn run(_arguments: &Train, _out: &mut dyn Write) -> anyhow::Result<()> {
    Err(NotWired { command: "train" }.into())
}
