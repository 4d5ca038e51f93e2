//! `Error` and `Code`: what can go wrong, under names and numbers that every language shares.
//!
//! Each error carries a stable [`Code`], the path it is about, the system's errno where there was one, and
//! what to do next. The table of codes lives here, once; bindings are checked against it by
//! `tests/vectors/error_codes.json`. This file knows nothing of caches.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The result of a call that can fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $text:literal;)*) => {
        /// What kind of failure an [`Error`] is. The text and the number of each never change; a retired one
        /// stays in the table as a comment.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum Code { $($(#[$doc])* $variant = $number,)* }

        impl Code {
            /// All codes, in the order of their numbers.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The text of the code, the same in every language, in gates on disk, and in `--json`.
            ///
            /// ```
            /// assert_eq!(forebay::Code::RateLimited.as_str(), "rate_limited");
            /// ```
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// The code with that text, if there is one.
            ///
            /// ```
            /// assert_eq!(forebay::Code::from_text("gated"), Some(forebay::Code::Gated));
            /// assert_eq!(forebay::Code::from_text("RateLimited"), None);
            /// ```
            #[must_use]
            pub fn from_text(text: &str) -> Option<Code> {
                match text { $($text => Some(Code::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// An argument is not usable: an empty name, a deadline of 0, a malformed duration.
    Invalid = -1, "invalid";
    /// The handle was closed, or belongs to a process that forked.
    Closed = -2, "closed";
    /// There is nothing under that key.
    NotFound = -3, "not_found";
    /// The wait ended before there was anything to return. A refresh may still be running.
    TimedOut = -4, "timed_out";
    /// A gate forbids the next attempt for now, and there is nothing that may be served.
    Gated = -5, "gated";
    /// The refresher failed, here or in the process that ran it.
    RefreshFailed = -6, "refresh_failed";
    /// The server said that there were too many requests (429).
    RateLimited = -7, "rate_limited";
    /// The server refused the credentials (401, 403).
    Unauthorized = -8, "unauthorized";
    /// The server is unavailable for now (503).
    Unavailable = -9, "unavailable";
    /// There are no credentials to try with.
    NoCredentials = -10, "no_credentials";
    /// The caller cancelled.
    Cancelled = -11, "cancelled";
    /// A guard lock could not be had in time: another process holds it, perhaps stopped.
    LockTimeout = -12, "lock_timeout";
    /// The lease is no longer ours: nothing was written.
    LeaseLost = -13, "lease_lost";
    /// The process that ran the refresh died before it ended.
    HolderDied = -14, "holder_died";
    /// A newer value was put meanwhile: nothing was written.
    Superseded = -15, "superseded";
    /// The command is being run by another caller.
    InProgress = -16, "in_progress";
    /// The key was used before with another request.
    Mismatch = -17, "mismatch";
    /// The effect was begun and its outcome is unknown.
    Ambiguous = -18, "ambiguous";
    /// There is no room for another record.
    Full = -19, "full";
    /// The ticket has been completed or failed before.
    AlreadyUsed = -20, "already_used";
    /// This process holds as many leases as it may (256).
    TooManyLeases = -21, "too_many_leases";
    /// What is on disk is not what was written.
    Damaged = -22, "damaged";
    /// The root's owner or mode lets others change it.
    UnsafeRoot = -23, "unsafe_root";
    /// The file system is remote or not known to be local.
    UnsupportedFs = -24, "unsupported_fs";
    /// This build or platform cannot do that.
    Unsupported = -25, "unsupported";
    /// The root was written by a newer major version.
    NewerFormat = -26, "newer_format";
    /// The disk or the quota is full.
    NoSpace = -27, "no_space";
    /// The system refused access.
    Permission = -28, "permission";
    /// The system reported another error.
    Io = -29, "io";
    /// A bug of ours was contained.
    Panic = -30, "panic";
}

impl Code {
    /// The number of the code in the C ABI: always negative.
    ///
    /// ```
    /// assert_eq!(forebay::Code::Invalid.number(), -1);
    /// ```
    #[must_use]
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The code with that number, if there is one.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.number() == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure: a code, what happened, where, and what to do next. Cheap to clone, and usable from any thread.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    message: String,
    path: Option<PathBuf>,
    hint: Option<String>,
    os: Option<i32>,
    retry_at: Option<SystemTime>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of that kind; `message` says what happened, in lower case and without a full stop.
    ///
    /// ```
    /// use forebay::{Code, Error};
    /// let error = Error::new(Code::Invalid, "the name is empty").with_hint("give tier/name");
    /// assert_eq!(error.to_string(), "the name is empty; give tier/name");
    /// ```
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error(Arc::new(Inner {
            code,
            message: message.into(),
            path: None,
            hint: None,
            os: None,
            retry_at: None,
            source: None,
        }))
    }

    /// The error of a system call on `path`. The code follows from the errno: a full disk is
    /// [`Code::NoSpace`], refused access is [`Code::Permission`], the rest is [`Code::Io`].
    #[must_use]
    pub fn io(doing: &str, path: &Path, error: &std::io::Error) -> Error {
        let os = error.raw_os_error();
        let (code, hint) = match os {
            Some(libc::ENOSPC | libc::EDQUOT) => {
                (Code::NoSpace, Some("free some space, or set FOREBAY_ROOT to another disk"))
            }
            Some(libc::EACCES | libc::EPERM) => {
                (Code::Permission, Some("check the owner and mode of that path, or set FOREBAY_ROOT"))
            }
            Some(libc::EROFS) => (
                Code::Permission,
                Some("the file system is read-only: set FOREBAY_ROOT to a folder that can be written"),
            ),
            Some(libc::EMFILE | libc::ENFILE) => {
                (Code::Io, Some("raise the limit of open files (ulimit -n)"))
            }
            Some(libc::EISDIR | libc::ENOTDIR | libc::ELOOP) => {
                (Code::Io, Some("something else stands in its place: move it away"))
            }
            _ => (Code::Io, None),
        };
        let mut out = Error::new(code, format!("cannot {doing}: {}", describe(error)));
        let inner = out.inner();
        inner.path = Some(path.to_owned());
        inner.os = os;
        inner.hint = hint.map(str::to_owned);
        out
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// The same error, about that path.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Error {
        self.inner().path = Some(path.into());
        self
    }

    /// The same error, saying what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.inner().hint = Some(hint.into());
        self
    }

    /// The same error, saying when the next attempt may be made.
    #[must_use]
    pub fn with_retry_at(mut self, at: Option<SystemTime>) -> Error {
        self.inner().retry_at = at;
        self
    }

    /// The same error, with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: Arc<dyn std::error::Error + Send + Sync>) -> Error {
        self.inner().source = Some(source);
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened, without path and remedy.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The file or folder it is about.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The system's error number, where a system call failed.
    #[must_use]
    pub fn os(&self) -> Option<i32> {
        self.0.os
    }

    /// When the next attempt may be made, for [`Code::Gated`] and failures that set a gate.
    #[must_use]
    pub fn retry_at(&self) -> Option<SystemTime> {
        self.0.retry_at
    }
}

/// The system's own text, without Rust's "(os error N)" behind it.
fn describe(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.0.path {
            write!(f, "{}: ", path.display())?;
        }
        f.write_str(&self.0.message)?;
        match &self.0.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}: {self})", self.0.code)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_number_and_text_and_finds_its_way_back() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert_eq!(code.number(), -(i32::try_from(index).unwrap() + 1));
            assert_eq!(Code::from_number(code.number()), Some(*code));
            assert_eq!(Code::from_text(code.as_str()), Some(*code));
        }
    }

    #[test]
    fn an_io_error_names_path_and_remedy() {
        let error = Error::io("write", Path::new("/x/y"), &std::io::Error::from_raw_os_error(libc::ENOSPC));
        assert_eq!(error.code(), Code::NoSpace);
        assert_eq!(error.os(), Some(libc::ENOSPC));
        let text = error.to_string();
        assert!(text.starts_with("/x/y: cannot write: "), "{text}");
        assert!(text.contains("FOREBAY_ROOT"), "{text}");
    }
}
