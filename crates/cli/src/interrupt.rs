//! Ending a run from outside: Ctrl-C, or a signal to terminate.

use std::{
    io::{self, Write},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::error::INTERRUPTED;

/// A flag that the first Ctrl-C sets, so that what is being done can be brought to an end; the
/// second ends the process at once. To be called once.
///
/// # Errors
///
/// If the system has no handler for it, or there is one already.
pub fn watch() -> Result<Arc<AtomicBool>, ctrlc::Error> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    ctrlc::try_set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            end_at_once();
        }
        let _ = writeln!(io::stderr(), "stopping; press Ctrl-C again to end at once");
    })?;
    Ok(flag)
}

#[expect(clippy::exit, reason = "the second Ctrl-C asks for exactly this")]
fn end_at_once() -> ! {
    process::exit(INTERRUPTED.into())
}
