//! How an example runs.

use std::{error::Error, process::ExitCode};

use recurrent_kernels::heap;

/// Runs an example as the command line does its work: it keeps memory that it has used, and computes on a
/// thread of the pool that shares out the work of a step. What is wrong is said on standard error.
#[expect(clippy::print_stderr, reason = "an example talks to its reader")]
pub fn start(example: impl FnOnce() -> Result<(), Box<dyn Error>> + Send) -> ExitCode {
    heap::settle();
    match rayon::scope(|_| example().map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
