//! The `benches` program.

use std::{io, process::ExitCode};

use clap::Parser;
use peak_alloc::PeakAlloc;
use recurrent::error;
use recurrent_benches::{args::Arguments, run};
use recurrent_kernels::heap;

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    heap::settle();
    let arguments = Arguments::parse();
    match run::run(&arguments, &mut io::stdout(), &mut io::stderr()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => error::report(&problem, &mut io::stderr().lock()),
    }
}
