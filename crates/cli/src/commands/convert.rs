//! `recurrent convert`.

use std::io::Write;

use super::NotWired;
use crate::args::Convert;

/// See [`Convert`].
///
/// # Errors
///
/// Always, until models are wired to it.
pub fn run(_arguments: &Convert, _out: &mut dyn Write) -> anyhow::Result<()> {
    Err(NotWired { command: "convert" }.into())
}
