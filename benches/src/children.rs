//! Child processes that are told what to do by lines on standard input and answer by lines on standard output.
//! Knows nothing of what the lines mean.

use crate::Outcome;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The worker program, which lies beside this one.
pub fn worker() -> Outcome<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("forebay-bench-worker");
    crate::check(path.exists(), || format!("{} is missing: run scripts/bench", path.display()))?;
    Ok(path)
}

/// A worker that listens.
pub struct Told {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Told {
    /// Starts the worker in one of its roles.
    pub fn start(role: &str, root: &Path, arguments: &[&str]) -> Outcome<Self> {
        let mut command = Command::new(worker()?);
        command.arg(role).arg(root).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let to = child.stdin.take().ok_or("no pipe to the worker")?;
        let from = BufReader::new(child.stdout.take().ok_or("no pipe from the worker")?);
        Ok(Self { child, to, from })
    }

    /// Says a line.
    pub fn say(&mut self, line: &str) -> Outcome<()> {
        self.to.write_all(format!("{line}\n").as_bytes())?;
        Ok(())
    }

    /// The next line it says.
    pub fn hear(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Err(format!("the worker ended: {}", self.child.wait()?).into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Says a line and returns the answer.
    pub fn ask(&mut self, line: &str) -> Outcome<String> {
        self.say(line)?;
        self.hear()
    }

    /// SIGKILL; returns when the signal was sent, not when it took effect. Its instant, by [`crate::bare::now`].
    pub fn kill(&mut self) -> Outcome<i64> {
        let at = crate::bare::now();
        self.child.kill()?;
        Ok(at)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
