//! `Fetched`, `Failure`, `Commit` and `Job`: what passes between a refresher and us: what it may know, and how it
//! may end.

use super::ticket::Ticket;
use crate::entry::Entry;
use crate::error::{Code, Error};
use crate::retry_after::parse_retry_after;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What is recorded beside a value. The lifetimes are those that the source itself gave: they go before a
/// caller's own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Commit {
    /// What identifies this version: an `ETag`, a date, anything.
    pub validator: Option<String>,
    /// Fresh while younger than this.
    pub ttl: Option<Duration>,
    /// May be served for this long after that.
    pub max_stale: Option<Duration>,
    /// Text to keep beside the value.
    pub extra: Option<String>,
}

/// What a refresher brings: bytes, or the news that nothing has changed.
///
/// ```
/// use forebay::Fetched;
/// use std::time::Duration;
/// let fetched = Fetched::new("{}").validator("\"v7\"").ttl(Duration::from_secs(60));
/// assert_eq!(fetched.data.as_deref(), Some(&b"{}"[..]));
/// assert!(Fetched::unchanged().data.is_none());
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fetched {
    /// The bytes; none: unchanged.
    pub data: Option<Box<[u8]>>,
    /// What is recorded beside them.
    pub commit: Commit,
}

impl Fetched {
    /// Those bytes.
    #[must_use]
    pub fn new(data: impl AsRef<[u8]>) -> Fetched {
        Fetched { data: Some(data.as_ref().into()), commit: Commit::default() }
    }

    /// The previous value still holds.
    #[must_use]
    pub fn unchanged() -> Fetched {
        Fetched::default()
    }

    /// With that validator.
    #[must_use]
    pub fn validator(mut self, validator: impl Into<String>) -> Fetched {
        self.commit.validator = Some(validator.into());
        self
    }

    /// Fresh while younger than this, whatever the callers say.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Fetched {
        self.commit.ttl = Some(ttl);
        self
    }

    /// May be served for this long after that, whatever the callers say.
    #[must_use]
    pub fn max_stale(mut self, max_stale: Duration) -> Fetched {
        self.commit.max_stale = Some(max_stale);
        self
    }

    /// With that text beside it.
    #[must_use]
    pub fn extra(mut self, extra: impl Into<String>) -> Fetched {
        self.commit.extra = Some(extra.into());
        self
    }
}

impl From<Vec<u8>> for Fetched {
    fn from(data: Vec<u8>) -> Fetched {
        Fetched { data: Some(data.into_boxed_slice()), commit: Commit::default() }
    }
}

impl From<String> for Fetched {
    fn from(data: String) -> Fetched {
        data.into_bytes().into()
    }
}

impl From<&[u8]> for Fetched {
    fn from(data: &[u8]) -> Fetched {
        Fetched::new(data)
    }
}

impl From<&str> for Fetched {
    fn from(data: &str) -> Fetched {
        Fetched::new(data)
    }
}

/// How a refresher failed.
#[derive(Clone)]
pub struct Failure {
    /// What kind of failure.
    pub code: Code,
    /// In words; kept in the gate, so no secrets belong here.
    pub message: String,
    /// When the server said to come back, from now.
    pub retry_after: Option<Duration>,
    /// The refresher's own error.
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    /// Whether the request may have reached the server. Matters where it may not be made twice.
    pub sent: bool,
}

impl Failure {
    /// A failure of that kind.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), retry_after: None, source: None, sent: true }
    }

    /// That error, with the refresher's own behind it.
    pub(crate) fn caused(&self, error: Error) -> Error {
        match &self.source {
            Some(source) => error.with_source(Arc::clone(source)),
            None => error,
        }
    }

    /// The same, of a request that certainly did not reach the server: making it again is safe.
    ///
    /// ```
    /// use forebay::{Code, Failure};
    /// assert!(!Failure::new(Code::Unavailable, "connection refused").not_sent().sent);
    /// ```
    #[must_use]
    pub fn not_sent(mut self) -> Failure {
        self.sent = false;
        self
    }

    /// The same, with the time that the server gave.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Failure {
        self.retry_after = Some(wait);
        self
    }

    /// The failure that an HTTP status means: 401 and 403 unauthorized, 429 rate limited, 503 unavailable, any
    /// other refresh failed. `retry_after` is the text of that header.
    ///
    /// ```
    /// use forebay::{Code, Failure};
    /// let failure = Failure::from_status(429, Some("120"));
    /// assert_eq!((failure.code, failure.retry_after.unwrap().as_secs()), (Code::RateLimited, 120));
    /// ```
    #[must_use]
    pub fn from_status(status: u16, retry_after: Option<&str>) -> Failure {
        let code = match status {
            401 | 403 => Code::Unauthorized,
            429 => Code::RateLimited,
            503 => Code::Unavailable,
            _ => Code::RefreshFailed,
        };
        let declared = matches!(code, Code::RateLimited | Code::Unavailable)
            .then(|| retry_after.and_then(|text| parse_retry_after(text, SystemTime::now())))
            .flatten();
        Failure { retry_after: declared, ..Failure::new(code, format!("HTTP {status}")) }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({}: {}, retry after {:?})", self.code, self.message, self.retry_after)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Failure {
        let failure = Failure::new(Code::RefreshFailed, error.to_string());
        Failure { source: Some(Arc::new(error)), ..failure }
    }
}

/// What a refresher may know of the refresh it makes.
#[derive(Debug)]
pub struct Job<'t>(pub(crate) &'t Ticket);

impl Job<'_> {
    /// Until when it may take: the source's own deadline, never a caller's.
    #[must_use]
    pub fn deadline(&self) -> SystemTime {
        self.0.deadline()
    }

    /// How much of that is left.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.remaining()
    }

    /// Whether its result would not be stored any more. One look; poll it.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.0.cancelled()
    }

    /// The value so far.
    #[must_use]
    pub fn previous(&self) -> Option<&Arc<Entry>> {
        self.0.previous()
    }

    /// The validator of the value so far.
    #[must_use]
    pub fn validator(&self) -> Option<&str> {
        self.0.validator()
    }

    /// The headers of a conditional request.
    #[must_use]
    pub fn conditional_headers(&self) -> Vec<(&'static str, String)> {
        self.0.conditional_headers()
    }
}

/// The headers that a validator asks for: an entity tag, a date, or nothing for the caller's own kind.
pub(crate) fn conditional_headers(validator: Option<&str>) -> Vec<(&'static str, String)> {
    match validator {
        Some(tag) if tag.starts_with('"') || tag.starts_with("W/\"") => {
            vec![("If-None-Match", tag.to_owned())]
        }
        Some(date) if httpdate::parse_http_date(date).is_ok() => {
            vec![("If-Modified-Since", date.to_owned())]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validators_become_headers_by_their_kind() {
        let names = |text| conditional_headers(Some(text)).first().map(|(name, _)| *name);
        assert_eq!(names("\"v1\""), Some("If-None-Match"));
        assert_eq!(names("W/\"v1\""), Some("If-None-Match"));
        assert_eq!(names("Tue, 14 Nov 2023 22:14:20 GMT"), Some("If-Modified-Since"));
        assert_eq!(names("revision 7"), None);
        assert!(conditional_headers(None).is_empty());
    }

    #[test]
    fn only_429_and_503_declare_a_time() {
        for (status, code, declared) in [
            (429, Code::RateLimited, true),
            (503, Code::Unavailable, true),
            (401, Code::Unauthorized, false),
            (500, Code::RefreshFailed, false),
        ] {
            let failure = Failure::from_status(status, Some("5"));
            assert_eq!((failure.code, failure.retry_after.is_some()), (code, declared), "{status}");
        }
    }
}
