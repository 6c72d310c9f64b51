//! `recurrent translate`.

use std::io::Write;

use super::NotWired;
use crate::args::Translate;

/// See [`Translate`].
///
/// # Errors
///
/// Always, until models are wired to it.
pub fn run(_arguments: &Translate, _out: &mut dyn Write) -> anyhow::Result<()> {
    Err(NotWired { command: "translate" }.into())
}
