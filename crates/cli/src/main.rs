//! The `recurrent` command.

use std::{io, process::ExitCode};

use clap::Parser;
use recurrent::{args::Arguments, commands, error};
use recurrent_kernels::heap;

fn main() -> ExitCode {
    heap::settle();
    let arguments = Arguments::parse();
    match commands::run(arguments, &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => error::report(&problem, &mut io::stderr().lock()),
    }
}
