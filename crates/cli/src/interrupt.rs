//! Ending a run from outside: Ctrl-C, or a signal to terminate.

use std::{
    io::{self, Write},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::error::INTERRUPTED;

/// Calls `stop` at the first Ctrl-C, so that what is being done can be brought to an end; the second
/// ends the process at once. Where whoever started the process has it ignore such signals, as `nohup`
/// and a script's `&` do, they stay ignored. To be called once.
///
/// # Errors
///
/// If the system cannot do it.
pub fn on_ctrl_c(stop: impl Fn() + Send + 'static) -> Result<(), ctrlc::Error> {
    let seen = AtomicBool::new(false);
    let handled = ctrlc::try_set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            end_at_once();
        }
        stop();
        let _ = writeln!(io::stderr(), "stopping; press Ctrl-C again to end at once");
    });
    match handled {
        Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        handled => handled,
    }
}

/// Keeps Ctrl-C a signal while a dashboard reads the keyboard: a terminal in raw mode makes it a key
/// like any other. Ends when it is dropped.
#[derive(Debug)]
pub struct SignalsKept(Arc<AtomicBool>);

impl SignalsKept {
    /// Looks after the terminal that standard input is, from now on.
    pub fn new() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        thread::spawn(move || {
            while !seen.load(Ordering::SeqCst) {
                allow_signals();
                thread::sleep(Duration::from_millis(200));
            }
        });
        Self(over)
    }
}

impl Default for SignalsKept {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for SignalsKept {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[cfg(unix)]
fn allow_signals() {
    use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    // What is no terminal has no such flags, and Ctrl-C never was a key there.
    if let Ok(mut flags) = tcgetattr(&stdin)
        && !flags.local_flags.contains(LocalFlags::ISIG)
    {
        flags.local_flags.insert(LocalFlags::ISIG);
        let _ = tcsetattr(&stdin, SetArg::TCSANOW, &flags);
    }
}

#[cfg(not(unix))]
fn allow_signals() {}

#[expect(clippy::exit, reason = "the second Ctrl-C asks for exactly this")]
fn end_at_once() -> ! {
    process::exit(INTERRUPTED.into())
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        env,
        io::{BufRead, BufReader},
        process::{Command, Stdio},
        thread,
        time::Duration,
    };

    use super::*;

    const CHILD: &str = "interrupt::tests::a_process_that_goes_on";

    #[test]
    #[ignore = "the other test runs it, as a process of its own"]
    fn a_process_that_goes_on() {
        let (stopped, wait) = std::sync::mpsc::channel();
        on_ctrl_c(move || stopped.send(()).expect("somebody waits")).unwrap();
        eprintln!("ready");
        wait.recv().unwrap();
        thread::sleep(Duration::from_secs(60));
    }

    #[test]
    fn the_first_signal_is_seen_and_the_second_ends_the_process() {
        // Whoever started the tests may have them ignore the signal, as a script's `&` does.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT").arg(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", CHILD]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let pid = child.id().to_string();
        let mut signal_after = |said: &str| {
            assert!(lines.any(|line| line.unwrap().contains(said)), "it never said `{said}`");
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        };
        signal_after("ready");
        signal_after("stopping");
        assert_eq!(child.wait().unwrap().code(), Some(INTERRUPTED.into()));
    }
}
