//! `Entry`: what is known under a key, since when, and under which version. Immutable once read, so it is
//! shared by reference count. It does not know whether it may be used: that is freshness.

use crate::error::{Code, Error, Result};
use crate::stamp::{Nanos, instant};
use std::fmt;
use std::time::{Duration, SystemTime};

/// A value as it was found: the bytes as given, and what is recorded of them.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The bytes as given.
    pub data: Box<[u8]>,
    /// When they were stored, by the cache's clock.
    pub stored_ns: Nanos,
    /// What the source said identifies this version: an `ETag`, a date, anything.
    pub validator: Option<Box<str>>,
    /// Text of the caller's own kept beside the value (the command keeps standard error there).
    pub extra: Option<Box<str>>,
    /// The opaque version: it differs whenever the value does.
    pub version: Version,
    /// The fencing token of the commit; none for a foreign value.
    pub token: Option<u64>,
    /// The lifetimes recorded at the commit.
    pub lifetime: Lifetime,
}

impl Entry {
    /// When the value was stored.
    #[must_use]
    pub fn stored_at(&self) -> SystemTime {
        instant(self.stored_ns)
    }
}

/// How long a value may be used, as recorded beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lifetime {
    /// Fresh while younger than this.
    pub ttl: Option<Duration>,
    /// May be served for this long after it stopped being fresh.
    pub max_stale: Option<Duration>,
    /// The ttl is what the refresher returned, and goes before a caller's own.
    pub own_ttl: bool,
    /// Likewise for `max_stale`.
    pub own_max_stale: bool,
}

/// An opaque version of a value: equal while the value is the same, different after any change. Never a time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Version(pub(crate) Kind);

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum Kind {
    #[default]
    Absent,
    Token(u64),
    Foreign {
        ino: u64,
        mtime_ns: Nanos,
        size: u64,
    },
}

impl Version {
    /// The version of a source that has no value.
    #[must_use]
    pub fn absent() -> Version {
        Version(Kind::Absent)
    }

    /// Reads back what `Display` wrote.
    ///
    /// # Errors
    /// [`Code::Invalid`] for any other text.
    ///
    /// ```
    /// let version = forebay::Version::parse("0")?;
    /// assert_eq!(version, forebay::Version::absent());
    /// # Ok::<(), forebay::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Version> {
        // The text is not quoted: somebody may have passed a secret in its place.
        let wrong =
            || Error::new(Code::Invalid, "that is not a version").with_hint("pass one that forebay returned");
        // `00`, `+5` or more parts than three would parse, but are not what `Display` writes.
        Kind::parse(text).map(Version).filter(|version| version.to_string() == text).ok_or_else(wrong)
    }
}

impl Kind {
    fn parse(text: &str) -> Option<Kind> {
        if text == "0" {
            return Some(Kind::Absent);
        }
        let Some(rest) = text.strip_prefix("f-") else { return text.parse().map(Kind::Token).ok() };
        let mut parts = rest.split('-').map(|part| u64::from_str_radix(part, 16).ok());
        let mut next = || parts.next().flatten();
        let (ino, mtime, size) = (next()?, next()?, next()?);
        Some(Kind::Foreign { ino, mtime_ns: mtime.cast_signed(), size })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Absent => f.write_str("0"),
            Kind::Token(token) => write!(f, "{token}"),
            Kind::Foreign { ino, mtime_ns, size } => {
                write!(f, "f-{ino:x}-{:x}-{size:x}", mtime_ns.cast_unsigned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_back_as_written() {
        for kind in [
            Kind::Absent,
            Kind::Token(1_778_493_600_123_456_789),
            Kind::Foreign { ino: 7, mtime_ns: -5, size: 0 },
        ] {
            let version = Version(kind);
            assert_eq!(Version::parse(&version.to_string()).unwrap(), version);
        }
        for text in ["", "00", "+5", "f-1-2-3-4", "f-A-2-3", "f-1", "f-1-2", "f-x-y-z", "-1", "1e5"] {
            assert_eq!(Version::parse(text).unwrap_err().code(), Code::Invalid, "{text:?}");
        }
    }
}
