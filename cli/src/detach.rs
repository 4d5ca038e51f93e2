//! The process that refreshes behind a stale output: a `forebay` of its own, in a session of its own, with nothing
//! of ours open, so that neither `$(forebay run …)` nor a closed terminal has anything to do with it. Where the
//! caller waits a little (`--wait`), its standard output is a pipe to the caller, on which it writes one line.

use crate::args::Parsed;
use crate::exit::OURS;
use crate::spec::DETACHED;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// What the detached process says of the outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Report {
    /// There is a fresh output.
    Stored,
    /// The command failed, here or elsewhere, and `run` is to end with that status.
    Failed { status: u8, text: String },
    /// The store failed, and the command was not run.
    NoStore,
}

impl Report {
    fn to_line(&self) -> String {
        match self {
            Report::Stored => "stored\n".to_owned(),
            Report::Failed { status, text } => format!("failed {status} {}\n", text.replace('\n', " ")),
            Report::NoStore => "no-store\n".to_owned(),
        }
    }

    fn from_line(line: &str) -> Option<Report> {
        match line.strip_suffix('\n')? {
            "stored" => Some(Report::Stored),
            "no-store" => Some(Report::NoStore),
            other => {
                let (status, text) = other.strip_prefix("failed ")?.split_once(' ')?;
                Some(Report::Failed { status: status.parse().unwrap_or(OURS), text: text.to_owned() })
            }
        }
    }

    /// Tells whoever waits. That nobody does any more is no error.
    pub(crate) fn send(&self) {
        let _ = std::io::stdout().write_all(self.to_line().as_bytes());
        let _ = std::io::stdout().flush();
    }
}

/// Starts the detached process; with `report`, its one line can be waited for.
pub(crate) fn start(parsed: &Parsed, report: bool) -> std::io::Result<Option<ChildStdout>> {
    let mut command = Command::new(own_program()?);
    command.arg0("forebay").arg(DETACHED).stdin(Stdio::null()).stderr(Stdio::null());
    command.stdout(if report { Stdio::piped() } else { Stdio::null() });
    if report {
        command.arg("--report");
    }
    let mut child = command.args(parsed.again()).spawn()?;
    // Not waited for: it outlives us, and init takes it.
    Ok(child.stdout.take())
}

/// The program that runs now, even if another one was installed in its place.
fn own_program() -> std::io::Result<std::path::PathBuf> {
    #[cfg(target_os = "linux")]
    return Ok("/proc/self/exe".into());
    #[cfg(not(target_os = "linux"))]
    return std::env::current_exe();
}

/// Leaves the caller's session and closes what was inherited. To be called first in the detached process.
pub(crate) fn leave() {
    let _ = rustix::process::setsid();
    // It was started by a path that says nothing.
    let _ = rustix::thread::set_name(c"forebay");
    let folder = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let open: Vec<i32> = match std::fs::read_dir(folder) {
        Ok(entries) => {
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        }
        Err(_) => (3..256).collect(),
    };
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // One of them was the folder's own, and is closed already.
        let _ = nix::unistd::close(descriptor);
    }
}

/// Waits for the line. None: not yet.  `Some(None)`: it ended without one.
pub(crate) fn wait_for(mut from: ChildStdout, at_most: Duration) -> Option<Option<Report>> {
    let until = Instant::now().checked_add(at_most);
    let mut line = Vec::new();
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(&from, PollFlags::IN)], left.as_ref()) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return Some(None),
        }
        let mut part = [0; 512];
        match from.read(&mut part) {
            Ok(0) | Err(_) => return Some(Report::from_line(&String::from_utf8_lossy(&line))),
            Ok(length) => line.extend_from_slice(&part[..length]),
        }
        if line.ends_with(b"\n") {
            return Some(Report::from_line(&String::from_utf8_lossy(&line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_back_as_sent() {
        for report in [
            Report::Stored,
            Report::NoStore,
            Report::Failed { status: 3, text: "exit status 3".to_owned() },
            Report::Failed { status: 125, text: String::new() },
        ] {
            assert_eq!(Report::from_line(&report.to_line()), Some(report));
        }
        for line in ["", "stored", "failed\n", "x\n"] {
            assert_eq!(Report::from_line(line), None);
        }
    }
}
