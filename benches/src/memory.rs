//! The most memory that one run of a case takes, each in a process of its own, so that no run finds
//! what another has left.

use std::process::Command;

use burn::tensor::Device;
use peak_alloc::PeakAlloc;
use recurrent::device::DeviceName;
use thiserror::Error;

use crate::{args::Own, case::Case};

/// Counts what is allocated. Only programs that have it as their allocator can measure.
static COUNTED: PeakAlloc = PeakAlloc;

/// Why there is no number.
#[derive(Debug, Error)]
#[error("cannot measure the memory of {case}: {reason}")]
pub struct MemoryError {
    /// The case.
    pub case: String,
    /// What the child says.
    pub reason: String,
}

/// The most bytes that a first run of `case` has allocated at once, beyond weights and inputs; none
/// if Burn has no such case.
pub fn of_this_process(case: &dyn Case, side: Own, device: &Device) -> Option<usize> {
    let mut work = match side {
        Own::Ours => Some(case.ours(device)),
        Own::Burn => case.burn(device),
    }?;
    let before = COUNTED.current_usage();
    COUNTED.reset_peak_usage();
    work();
    Some(COUNTED.peak_usage().saturating_sub(before))
}

/// The same in a child of this program.
///
/// # Errors
///
/// If it cannot be started, or fails.
pub fn of_a_child(case: &str, side: Own, device: DeviceName) -> Result<Option<f64>, MemoryError> {
    let failed = |reason: String| MemoryError { case: case.to_owned(), reason };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(program);
    command.args([case, "--peak", side.name(), "--backends", &device.to_string()]);
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim() {
        "none" => Ok(None),
        bytes => bytes.parse().map(Some).map_err(|_| failed(format!("it said {bytes:?}"))),
    }
}
