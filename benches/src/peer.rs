//! Another program that does the same work: `peers/server.py` in PyTorch, and in ReservoirPy.
//!
//! One JSON object a line, and one in answer:
//!
//! ```text
//! {"prepare": case, "tensors": file}    {"ready": true} or {"absent": why}
//! {"run": n}                            {"seconds": s}
//! {"results": null}                     {"numbers": [..]}
//! {"peak": null}                        {"bytes": b}, of one run
//! ```

use std::{
    cell::RefCell,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    rc::Rc,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use thiserror::Error;

use crate::{
    case::{Case, to_file},
    measure::Side,
};

/// What a peer does the work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// Layers and models.
    PyTorch,
    /// Echo state networks.
    ReservoirPy,
}

impl PeerName {
    /// As it is called in the results.
    pub fn name(self) -> &'static str {
        match self {
            Self::PyTorch => "PyTorch",
            Self::ReservoirPy => "ReservoirPy",
        }
    }
}

/// A peer that waits for work.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: TempDir,
}

/// Why a peer did not do its work.
#[derive(Debug, Error)]
pub enum PeerError {
    /// It cannot be started.
    #[error("cannot start the peer with `{python}`: {reason}")]
    Start {
        /// The interpreter.
        python: String,
        /// What the system says.
        reason: io::Error,
    },
    /// Nothing can be written to it or read from it.
    #[error("the peer is gone: {0}")]
    Gone(io::Error),
    /// It said something that is no answer.
    #[error("the peer says: {0}")]
    Answer(String),
}

impl Peer {
    /// Starts the peer with an interpreter that has PyTorch.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(python: &str, threads: usize) -> Result<Self, PeerError> {
        let reason = |reason| PeerError::Start { python: python.to_owned(), reason };
        let folder = tempfile::tempdir().map_err(reason)?;
        let mut child = Command::new(python)
            .arg(script())
            .arg(threads.to_string())
            .env("OMP_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(reason)?;
        let requests = child.stdin.take().expect("it was asked for");
        let answers = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut peer = Self { child, requests, answers, folder };
        peer.ask(&json!({ "hello": null }))?;
        Ok(peer)
    }

    /// Hands `case` over; whether the peer has something like it.
    ///
    /// # Errors
    ///
    /// If it is gone, or fails.
    pub fn prepare(&mut self, case: &dyn Case) -> Result<bool, PeerError> {
        let file = self.folder.path().join("numbers.safetensors");
        std::fs::write(&file, to_file(&case.numbers())).map_err(PeerError::Gone)?;
        let answer = self.ask(&json!({ "prepare": case.described(), "tensors": file }))?;
        Ok(answer.get("absent").is_none())
    }

    /// Seconds for doing the work so many times.
    ///
    /// # Errors
    ///
    /// If it is gone, or fails.
    pub fn run(&mut self, times: usize) -> Result<f64, PeerError> {
        let answer = self.ask(&json!({ "run": times }))?;
        answer["seconds"].as_f64().ok_or_else(|| PeerError::Answer(answer.to_string()))
    }

    /// What comes out of its side.
    ///
    /// # Errors
    ///
    /// If it is gone, or fails.
    pub fn results(&mut self) -> Result<Vec<f64>, PeerError> {
        let answer = self.ask(&json!({ "results": null }))?;
        let numbers = serde_json::from_value(answer["numbers"].clone());
        numbers.map_err(|_| PeerError::Answer(answer.to_string()))
    }

    /// By how many bytes one run raises its memory.
    ///
    /// # Errors
    ///
    /// If it is gone, or fails.
    pub fn peak(&mut self) -> Result<f64, PeerError> {
        let answer = self.ask(&json!({ "peak": null }))?;
        answer["bytes"].as_f64().ok_or_else(|| PeerError::Answer(answer.to_string()))
    }

    fn ask(&mut self, request: &Value) -> Result<Value, PeerError> {
        writeln!(self.requests, "{request}").map_err(PeerError::Gone)?;
        self.requests.flush().map_err(PeerError::Gone)?;
        let mut line = String::new();
        if self.answers.read_line(&mut line).map_err(PeerError::Gone)? == 0 {
            return Err(PeerError::Answer("nothing; it has ended".to_owned()));
        }
        let answer: Value =
            serde_json::from_str(&line).map_err(|_| PeerError::Answer(line.clone()))?;
        match answer.get("error") {
            Some(error) => Err(PeerError::Answer(error.as_str().unwrap_or_default().to_owned())),
            None => Ok(answer),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It holds nothing that is worth a farewell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/server.py")
}

/// A peer that has a case prepared, as a side.
#[derive(Debug)]
pub struct Prepared(pub PeerName, pub Rc<RefCell<Peer>>);

impl Side for Prepared {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn run(&mut self, times: usize) -> Result<f64, PeerError> {
        self.1.borrow_mut().run(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_started_is_named() {
        let error = Peer::start("no-such-python", 1).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("`no-such-python`")));
    }
}
