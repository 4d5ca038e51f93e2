//! `Marker`: the file that records a lease, and whether that lease is in force. The holder keeps an exclusive
//! lock on the very file, so the marker itself tells whether its holder lives, in containers too; nobody else
//! ever takes an exclusive lock on a marker in its place.

use crate::error::{Error, Result};
use crate::lease::{Seen, Term};
use crate::stamp::{Nanos, instant, stamp};
use crate::sys::breaks::broken;
use crate::sys::{Fd, FileKind, Stat, Sys, absent, is_link, is_too_large};
use crate::text::optional_decimal;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// For this long an unreadable marker is believed to be in the making.
const UNREADABLE_FOR: Nanos = 1_000_000_000;
const MAX_SIZE: u64 = 64 * 1024;

/// The JSON of a marker. The first three fields are the original program's.
#[derive(Debug, Serialize, Deserialize)]
struct Face {
    pid: i64,
    started_at: String,
    deadline: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<serde_json::Value>,
    #[serde(default)]
    v: u32,
    #[serde(default, with = "optional_decimal", skip_serializing_if = "Option::is_none")]
    token: Option<u64>,
    #[serde(default)]
    nonce: String,
    #[serde(default)]
    boot: String,
    #[serde(default, with = "optional_decimal")]
    deadline_boot_ns: Option<Nanos>,
    #[serde(default, with = "optional_decimal")]
    len_ns: Option<Nanos>,
    #[serde(default)]
    pidns: String,
    #[serde(default)]
    timens: String,
}

fn write_time(ns: Nanos) -> String {
    jiff::Timestamp::from_nanosecond(ns.into())
        .map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |t| t.to_string())
}

fn read_time(text: &str) -> Option<Nanos> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Nanos::try_from(time.as_nanosecond()).ok()
}

/// The bytes of a lease's marker.
pub(super) fn encode(term: &Term) -> Vec<u8> {
    let face = Face {
        pid: term.pid.into(),
        started_at: write_time(term.started_ns),
        deadline: write_time(term.deadline_ns),
        last_error: None,
        v: 1,
        token: term.token,
        nonce: term.nonce.clone(),
        boot: term.boot.clone(),
        deadline_boot_ns: Some(term.deadline_boot_ns),
        len_ns: Some(term.length_ns),
        pidns: term.pidns.clone(),
        timens: term.timens.clone(),
    };
    serde_json::to_vec(&face).unwrap_or_default()
}

pub(super) fn decode(bytes: &[u8]) -> Option<(Term, bool)> {
    let face: Face = serde_json::from_slice(bytes).ok()?;
    // One of ours that lost its token is not to be taken for the original's, which needs no lock to be in force.
    let torn = face.v > 0 && face.token.is_none();
    if torn || face.token.is_some_and(|token| token >= 1 << 63) || !plain(&face.nonce) {
        return None;
    }
    let (started_ns, deadline_ns) = (read_time(&face.started_at)?, read_time(&face.deadline)?);
    let term = Term {
        token: face.token,
        nonce: face.nonce,
        pid: u32::try_from(face.pid).ok()?,
        boot: face.boot,
        pidns: face.pidns,
        timens: face.timens,
        started_ns,
        deadline_ns,
        deadline_boot_ns: face.deadline_boot_ns.unwrap_or(0),
        length_ns: face.len_ns.unwrap_or_else(|| deadline_ns.saturating_sub(started_ns)),
    };
    Some((term, face.last_error.is_some_and(|error| !error.is_null() && error != "")))
}

/// A nonce becomes part of a file name, so nothing but letters and digits is believed.
fn plain(nonce: &str) -> bool {
    nonce.len() <= 64 && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What stands at the marker's place.
#[derive(Debug)]
pub(super) enum Marker {
    Absent,
    /// A lease of a process that follows this protocol.
    Ours {
        fd: Fd,
        stat: Stat,
        term: Term,
    },
    /// A lease of the original program. `failed`: it records a failure, not a lease.
    Original {
        term: Term,
        failed: bool,
    },
    Unreadable {
        fd: Fd,
        stat: Stat,
    },
    /// A folder or a link.
    NotAFile,
}

impl Marker {
    /// Looks at the place. Only "not found" means absent; any other error is one, for a marker that cannot be
    /// looked at may be alive.
    pub(super) fn find(sys: &dyn Sys, folder: &Fd, name: &str, path: &Path) -> Result<Marker> {
        let io = |error: std::io::Error| Error::io("read the marker", path, &error);
        let fd = match absent(sys.open(folder, name)) {
            Ok(Some(fd)) => fd,
            Ok(None) => return Ok(Marker::Absent),
            Err(error) if is_link(sys, folder, name, &error) => return Ok(Marker::NotAFile),
            Err(error) => return Err(io(error)),
        };
        let stat = sys.stat(&fd).map_err(io)?;
        if stat.kind != FileKind::File {
            return Ok(Marker::NotAFile);
        }
        let bytes = match sys.read(&fd, stat.size, MAX_SIZE) {
            Err(error) if is_too_large(&error) => Vec::new(),
            other => other.map_err(io)?,
        };
        Ok(match decode(&bytes) {
            Some((term, failed)) if term.token.is_none() => Marker::Original { term, failed },
            Some((term, _)) => Marker::Ours { fd, stat, term },
            None => Marker::Unreadable { fd, stat },
        })
    }

    /// Whether the lease that it records is in force.
    pub(super) fn in_force(&self, sys: &dyn Sys) -> Result<bool> {
        let here = sys.process();
        Ok(match self {
            Marker::Absent | Marker::NotAFile => false,
            Marker::Ours { fd, term, .. } => {
                locked(sys, fd)? && !gone(sys, term) && term.in_time(&here, sys.clock())
            }
            Marker::Original { term, failed } => {
                !failed && term.in_time(&here, sys.clock()) && !sys.process_gone(term.pid)
            }
            Marker::Unreadable { fd, stat } => {
                let age = sys.real_ns().saturating_sub(stat.mtime_ns);
                locked(sys, fd)? || (0..UNREADABLE_FOR).contains(&age)
            }
        })
    }

    /// Whether its holder lives, in time or not.
    pub(super) fn is_held(&self, sys: &dyn Sys) -> Result<bool> {
        match self {
            Marker::Ours { fd, term, .. } => Ok(locked(sys, fd)? && !gone(sys, term)),
            _ => Ok(false),
        }
    }

    pub(super) fn term(&self) -> Option<&Term> {
        match self {
            Marker::Ours { term, .. } | Marker::Original { term, .. } => Some(term),
            _ => None,
        }
    }

    pub(super) fn token(&self) -> u64 {
        self.term().and_then(|term| term.token).unwrap_or(0)
    }

    /// The lease as others see it; for an unreadable marker, all that can be said.
    pub(super) fn seen(&self) -> Seen {
        match self {
            Marker::Unreadable { stat, .. } => Seen {
                token: None,
                pid: 0,
                started_ns: stat.mtime_ns,
                deadline_ns: stat.mtime_ns.saturating_add(UNREADABLE_FOR),
            },
            other => other.term().map_or(
                Seen { token: None, pid: 0, started_ns: 0, deadline_ns: stamp(instant(0)) },
                Seen::from,
            ),
        }
    }

    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        match self {
            Marker::Ours { stat, .. } | Marker::Unreadable { stat, .. } => Some(stat.identity()),
            _ => None,
        }
    }
}

/// Whether the process that took the lease is proved to be gone; a forked child may still have its lock.
fn gone(sys: &dyn Sys, term: &Term) -> bool {
    sys.process().shares_pids(&term.boot, &term.pidns) && sys.process_gone(term.pid)
}

/// Whether a living process holds the lock of what stands at the marker's place, at the least cost: nothing is
/// read. What cannot be told counts as not held; a closer look follows.
pub(super) fn is_held(sys: &dyn Sys, folder: &Fd, name: &str) -> bool {
    sys.open(folder, name).is_ok_and(|fd| locked(sys, &fd).unwrap_or(false))
}

/// Whether somebody holds the lock, by trying a shared one. The trial ends at once and hinders nobody: holders
/// lock their file before it has this name.
fn locked(sys: &dyn Sys, fd: &Fd) -> Result<bool> {
    let io = |error: std::io::Error| Error::io("test the lock of the marker", Path::new(""), &error);
    if broken("liveness") {
        return Ok(false);
    }
    if sys.try_lock(fd, false).map_err(io)? {
        sys.unlock(fd).map_err(io)?;
        return Ok(false);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::Process;

    #[test]
    fn a_marker_is_read_back_as_written_and_has_the_originals_fields() {
        let process = Process { pid: 7, boot: "b".into(), pidns: "1".into(), timens: "2".into() };
        let (clock, _) = crate::sys::clock::Clock::manual(1_778_493_600_123_456_789);
        let term = Term::new(9, "abc".into(), &process, &clock, std::time::Duration::from_secs(1));
        let bytes = encode(&term);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let begin = r#"{"pid":7,"started_at":"2026-05-11T10:00:00.123456789Z","deadline":"2026-05-11T10:00:01.123456789Z","#;
        assert!(text.starts_with(begin), "{text}");
        assert_eq!(decode(&bytes).unwrap(), (term, false));
    }

    #[test]
    fn the_originals_marker_with_a_local_offset_is_understood() {
        let json = br#"{"pid":1,"started_at":"2026-05-11T12:00:00+02:00","deadline":"2026-05-11T10:00:10Z","last_error":"x"}"#;
        let (term, failed) = decode(json).unwrap();
        assert!(failed && term.token.is_none());
        assert_eq!(term.length_ns, 10_000_000_000);
    }

    #[test]
    fn p7_zeros_paths_and_absurd_numbers_are_unreadable() {
        let good = r#"{"pid":1,"started_at":"2026-05-11T10:00:00Z","deadline":"2026-05-11T10:00:10Z","token":"5","nonce":"N"}"#;
        assert!(decode(good.as_bytes()).is_some());
        for (from, to) in
            [("\"N\"", "\"../x\""), ("\"5\"", "\"9223372036854775808\""), ("\"5\"", "5"), (":1,", ":-1,")]
        {
            assert!(decode(good.replace(from, to).as_bytes()).is_none(), "{from} {to}");
        }
        assert!(decode(&[0; 100]).is_none());
        let torn = good.replacen('{', r#"{"v":1,"#, 1).replace(r#""token":"5","#, "");
        assert!(torn.contains("nonce") && decode(torn.as_bytes()).is_none(), "{torn}");
    }
}
