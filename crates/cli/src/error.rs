//! How a run ends: what is said, and the code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use thiserror::Error;

/// The code of a run that was stopped by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// The code of a run that could not do what was asked for.
pub const REFUSED: u8 = 2;

/// The run was stopped from outside. What was done so far is kept.
#[derive(Clone, Copy, Debug, Error)]
#[error("stopped")]
pub struct Interrupted;

/// Says on `stderr` what went wrong, and gives the code to end with. Whoever closed our output has
/// seen enough: that is no error.
pub fn report(problem: &anyhow::Error, stderr: &mut dyn Write) -> ExitCode {
    if is_closed_output(problem) {
        return ExitCode::SUCCESS;
    }
    if let Some(Interrupted) = problem.downcast_ref() {
        // Who stopped it knows.
        return ExitCode::from(INTERRUPTED);
    }
    // If standard error cannot be written either, the code says it alone.
    let _ = write!(stderr, "{}", message(problem));
    ExitCode::from(REFUSED)
}

/// The error and its causes, each on a line, without those that only repeat what was said.
pub fn message(problem: &anyhow::Error) -> String {
    let mut said = problem.to_string();
    let mut text = format!("error: {said}\n");
    for cause in problem.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            text.push_str(&format!("  caused by: {cause}\n"));
            said.push_str(&cause);
        }
    }
    text
}

fn is_closed_output(problem: &anyhow::Error) -> bool {
    let io_error = problem.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io_error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let problem = anyhow!("no such file").context("cannot read a: no such file");
        assert_eq!(message(&problem), "error: cannot read a: no such file\n");
        let problem = anyhow!("no such file").context("cannot train");
        assert_eq!(message(&problem), "error: cannot train\n  caused by: no such file\n");
    }

    #[test]
    fn codes() {
        let said = |problem: anyhow::Error| {
            let mut stderr = Vec::new();
            let code = report(&problem, &mut stderr);
            (code, String::from_utf8(stderr).unwrap())
        };
        assert_eq!(said(anyhow!("a")), (ExitCode::from(2), "error: a\n".to_owned()));
        assert_eq!(said(Interrupted.into()), (ExitCode::from(130), String::new()));
        let closed: io::Result<()> = Err(io::ErrorKind::BrokenPipe.into());
        let closed = closed.context("writing").unwrap_err();
        assert_eq!(said(closed), (ExitCode::SUCCESS, String::new()));
    }
}
