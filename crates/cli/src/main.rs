//! The `recurrent` command.

use std::{io, process::ExitCode};

use clap::Parser;
use recurrent::{args::Arguments, commands, error};
use recurrent_kernels::heap;

fn main() -> ExitCode {
    heap::settle();
    let arguments = Arguments::parse();
    // On a thread of the pool that shares out the work of a step: called from outside of it, every
    // operation would wait until a thread of it wakes up.
    let ended = rayon::scope(|_| commands::run(arguments, &mut io::stdout()));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => error::report(&problem, &mut io::stderr().lock()),
    }
}
