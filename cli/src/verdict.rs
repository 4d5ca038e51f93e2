//! `Verdict`: how a run ended, as an exit status and as the text that the store keeps of a failure. Whoever joined
//! the run in another shell reads the text back, and so ends with the same status. The text says nothing of
//! arguments or output.

use crate::command::{End, Outcome};
use crate::exit::{NOT_EXECUTABLE, NOT_FOUND, RUN_TIMED_OUT};
use std::fmt;
use std::io::ErrorKind;

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// With that status; 0 is success.
    Status(u8),
    /// By that signal.
    Signal(u8),
    /// Ended by us when its deadline was over.
    Overran,
    /// There is no such command.
    NotFound,
    /// It cannot be executed.
    NotExecutable,
}

const STATUS: &str = "exit status ";
const SIGNAL: &str = "killed by signal ";
const OVERRAN: &str = "its deadline was over";
const ABSENT: &str = "command not found";
const NO_EXEC: &str = "command cannot be executed";

impl Verdict {
    /// Of a command that was started.
    pub(crate) fn of(outcome: &Outcome) -> Verdict {
        match outcome.end {
            End::Exited(code) => Verdict::Status(u8::try_from(code).unwrap_or(u8::MAX)),
            End::Killed(signal) => Verdict::Signal(u8::try_from(signal).unwrap_or(0)),
            End::Overran => Verdict::Overran,
        }
    }

    /// Of a command that could not be started.
    pub(crate) fn of_no_start(error: &std::io::Error) -> Verdict {
        match error.kind() {
            ErrorKind::NotFound => Verdict::NotFound,
            _ => Verdict::NotExecutable,
        }
    }

    /// The status that `run` ends with.
    pub(crate) fn status(self) -> u8 {
        match self {
            Verdict::Status(status) => status,
            Verdict::Signal(signal) => 128_u8.saturating_add(signal),
            Verdict::Overran => RUN_TIMED_OUT,
            Verdict::NotFound => NOT_FOUND,
            Verdict::NotExecutable => NOT_EXECUTABLE,
        }
    }

    /// Finds one in a text, such as that of a failure which another shell recorded.
    pub(crate) fn found_in(text: &str) -> Option<Verdict> {
        let number = |before: &str| {
            let (_, rest) = text.split_once(before)?;
            let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().ok()
        };
        if let Some(status) = number(STATUS) {
            return Some(Verdict::Status(status));
        }
        if let Some(signal) = number(SIGNAL) {
            return Some(Verdict::Signal(signal));
        }
        let fixed =
            [(OVERRAN, Verdict::Overran), (ABSENT, Verdict::NotFound), (NO_EXEC, Verdict::NotExecutable)];
        fixed.into_iter().find(|(words, _)| text.contains(words)).map(|(_, verdict)| verdict)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Status(status) => write!(f, "{STATUS}{status}"),
            Verdict::Signal(signal) => write!(f, "{SIGNAL}{signal}"),
            Verdict::Overran => f.write_str(OVERRAN),
            Verdict::NotFound => f.write_str(ABSENT),
            Verdict::NotExecutable => f.write_str(NO_EXEC),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joiner_reads_the_status_back() {
        for verdict in [
            Verdict::Status(3),
            Verdict::Status(255),
            Verdict::Signal(9),
            Verdict::Overran,
            Verdict::NotFound,
            Verdict::NotExecutable,
        ] {
            let text = format!("refresh failed: {verdict}; next attempt in 4 s");
            assert_eq!(Verdict::found_in(&text), Some(verdict));
        }
        for text in ["", "exit status ", "exit status x", "exit status 256", "HTTP 503"] {
            assert_eq!(Verdict::found_in(text), None, "{text}");
        }
    }
}
