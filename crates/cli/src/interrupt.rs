//! Ending a run from outside: Ctrl-C, or a signal to terminate.

use std::{
    io::{self, Write},
    process,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::error::INTERRUPTED;

/// Calls `stop` at the first Ctrl-C, so that what is being done can be brought to an end; the second
/// ends the process at once. To be called once.
///
/// # Errors
///
/// If the system has no handler for it, or there is one already.
pub fn on_ctrl_c(stop: impl Fn() + Send + 'static) -> Result<(), ctrlc::Error> {
    let seen = AtomicBool::new(false);
    ctrlc::try_set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            end_at_once();
        }
        stop();
        let _ = writeln!(io::stderr(), "stopping; press Ctrl-C again to end at once");
    })
}

#[expect(clippy::exit, reason = "the second Ctrl-C asks for exactly this")]
fn end_at_once() -> ! {
    process::exit(INTERRUPTED.into())
}
