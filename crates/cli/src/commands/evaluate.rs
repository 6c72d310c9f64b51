//! `recurrent evaluate`.

use std::io::Write;

use super::NotWired;
use crate::args::Evaluate;

/// See [`Evaluate`].
///
/// # Errors
///
/// Always, until models are wired to it.
pub fn run(_arguments: &Evaluate, _out: &mut dyn Write) -> anyhow::Result<()> {
    Err(NotWired { command: "evaluate" }.into())
}
