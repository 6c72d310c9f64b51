//! `recurrent generate`.

use std::io::Write;

use super::NotWired;
use crate::args::Generate;

/// See [`Generate`].
///
/// # Errors
///
/// Always, until models are wired to it.
pub fn run(_arguments: &Generate, _out: &mut dyn Write) -> anyhow::Result<()> {
    Err(NotWired { command: "generate" }.into())
}
