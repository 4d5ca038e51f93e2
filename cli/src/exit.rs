//! Exit statuses, and `Failed`: an error together with the status it ends the command with. The table of
//! statuses is `interfaces`' and docs/command.md's; it lives here, once.

use forebay::{Code, Error};
use std::fmt;
use std::process::ExitCode;

/// All went well.
pub(crate) const OK: u8 = 0;
/// There is nothing under that key, or nothing that may be served.
pub(crate) const ABSENT: u8 = 1;
/// The command line cannot be understood.
pub(crate) const USAGE: u8 = 2;
/// A gate forbids the next attempt for now.
pub(crate) const GATED: u8 = 3;
/// The wait was over first.
pub(crate) const TIMED_OUT: u8 = 4;
/// The refresh failed.
pub(crate) const REFRESH_FAILED: u8 = 5;
/// The store failed.
pub(crate) const STORE: u8 = 6;

/// `run`: the deadline or the wait was over, as `timeout` has it.
pub(crate) const RUN_TIMED_OUT: u8 = 124;
/// `run`: forebay itself failed.
pub(crate) const OURS: u8 = 125;
/// `run`: the command cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// `run`: the command was not found.
pub(crate) const NOT_FOUND: u8 = 127;

/// Why a command ends with a status other than 0.
#[derive(Debug)]
pub(crate) struct Failed {
    error: Error,
    status: u8,
    /// What it is about: a key.
    key: Option<String>,
}

impl Failed {
    /// The same failure, ending with that status.
    pub(crate) fn status(mut self, status: u8) -> Failed {
        self.status = status;
        self
    }

    /// The same failure, about that key.
    pub(crate) fn about(mut self, key: &impl fmt::Display) -> Failed {
        self.key = Some(key.to_string());
        self
    }

    /// The status to end with.
    pub(crate) fn exit_status(&self) -> u8 {
        self.status
    }

    /// The status to end with, as `main` returns it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status)
    }

    /// What happened.
    pub(crate) fn error(&self) -> &Error {
        &self.error
    }

    /// The key it is about.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        let status = status_of(error.code());
        Failed { error, status, key: None }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some of core's messages begin with the key themselves.
        if let Some(key) = self.key.as_ref().map(|key| format!("{key}: "))
            && !self.error.message().starts_with(&key)
        {
            f.write_str(&key)?;
        }
        write!(f, "{}", self.error)
    }
}

/// The exit status of an error, for every command but `run`.
pub(crate) fn status_of(code: Code) -> u8 {
    match code {
        Code::Invalid => USAGE,
        Code::NotFound => ABSENT,
        Code::Gated => GATED,
        Code::TimedOut => TIMED_OUT,
        code if is_of_the_refresh(code) => REFRESH_FAILED,
        _ => STORE,
    }
}

/// The exit status of a quota or a credential for which there is no answer: a rate limit is a gate.
pub(crate) fn status_of_quota(code: Code) -> u8 {
    match code {
        Code::RateLimited => GATED,
        Code::Ambiguous => REFRESH_FAILED,
        code => status_of(code),
    }
}

/// Whether the refresh failed, rather than the store.
pub(crate) fn is_of_the_refresh(code: Code) -> bool {
    matches!(
        code,
        Code::RefreshFailed
            | Code::RateLimited
            | Code::Unauthorized
            | Code::Unavailable
            | Code::NoCredentials
            | Code::Cancelled
            | Code::HolderDied
            | Code::LeaseLost
            | Code::Superseded
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay::Key;

    #[test]
    fn the_key_is_named_once() {
        let key = Key::parse("api/x").unwrap();
        for message in ["not refreshed", "api/x: not refreshed"] {
            let failed = Failed::from(Error::new(Code::Gated, message)).about(&key);
            assert_eq!(failed.to_string(), "api/x: not refreshed");
        }
    }

    #[test]
    fn every_code_has_a_status_other_than_success() {
        for code in Code::ALL {
            assert!((ABSENT..=STORE).contains(&status_of(*code)), "{code}");
        }
    }
}
