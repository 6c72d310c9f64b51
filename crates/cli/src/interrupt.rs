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

/// Calls `stop` at the first Ctrl-C, or signal to terminate or that the terminal is gone, so that what is
/// being done can be brought to an end; the second ends the process at once. A signal that whoever
/// started the process has it ignore, as `nohup` and a script's `&` do, stays ignored, and the others
/// are heard. To be called once.
///
/// # Errors
///
/// If the system cannot do it.
pub fn on_ctrl_c(stop: impl Fn() + Send + 'static) -> io::Result<()> {
    let seen = AtomicBool::new(false);
    on_signal(move || {
        if seen.swap(true, Ordering::SeqCst) {
            end_at_once();
        }
        stop();
        let _ = writeln!(io::stderr(), "stopping; press Ctrl-C again to end at once");
    })
}

#[cfg(unix)]
fn on_signal(hear: impl Fn() + Send + 'static) -> io::Result<()> {
    use signal_hook::{
        consts::{SIGHUP, SIGINT, SIGTERM},
        iterator::Signals,
    };
    let ignored = ignored();
    let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !ignored.contains(signal));
    let mut signals = Signals::new(heard)?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || signals.forever().for_each(|_| hear()))
        .map(|_| ())
}

/// The signals that this process was started to ignore. Where the system has no `/proc` that says so, the
/// one that `nohup` is for.
#[cfg(unix)]
fn ignored() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    match mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) {
        Some(mask) => (1..=64).filter(|signal| mask >> (signal - 1) & 1 == 1).collect(),
        None => vec![signal_hook::consts::SIGHUP],
    }
}

#[cfg(not(unix))]
fn on_signal(hear: impl Fn() + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(hear).map_err(io::Error::other)
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

    use rstest::rstest;

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

    /// Whoever started the tests may have them ignore a signal, as a script's `&` does; `nohup` ignores one.
    #[rstest]
    #[case::with_a_terminal(&["--default-signal=INT,HUP"], &[])]
    #[case::as_nohup_does(&["--default-signal=INT", "--ignore-signal=HUP"], &["-HUP"])]
    fn the_first_signal_is_seen_and_the_second_ends_the_process(
        #[case] started: &[&str],
        #[case] unheard: &[&str],
    ) {
        let mut command = Command::new("env");
        command.args(started).arg(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", CHILD]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let pid = child.id().to_string();
        let mut signal_after = |said: &str, signals: &[&str]| {
            assert!(lines.any(|line| line.unwrap().contains(said)), "it never said `{said}`");
            for signal in signals {
                assert!(
                    Command::new("kill").args([signal, pid.as_str()]).status().unwrap().success()
                );
            }
        };
        signal_after("ready", &[unheard, &["-INT"]].concat());
        signal_after("stopping", &["-INT"]);
        assert_eq!(child.wait().unwrap().code(), Some(INTERRUPTED.into()));
    }
}
