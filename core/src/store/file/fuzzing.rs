//! The decoders of a key's files, for [`crate::fuzzing`]: what they believe they must write back the same, and
//! what they believe must be harmless. Test builds only.

use super::marker;
use super::record::{Meta, Notice};
use crate::sys::{FileKind, Stat};

fn stat() -> Stat {
    let kind = FileKind::File;
    Stat { dev: 1, ino: 2, size: 3, mtime_ns: 4, ctime_ns: 5, nlink: 1, uid: 0, mode: 0o600, kind }
}

/// Whether the bytes are a meta file.
pub(crate) fn meta(bytes: &[u8]) -> bool {
    let Some(meta) = Meta::parse(bytes) else { return false };
    assert!(meta.greatest_token() < 1 << 63);
    let _ = meta.cur.lifetime();
    let _ = meta.cur.describes(&stat());
    let again = serde_json::to_vec(&meta).unwrap_or_default();
    assert_eq!(Meta::parse(&again).as_ref(), Some(&meta));
    true
}

/// Whether the bytes are a notice.
pub(crate) fn notice(bytes: &[u8]) -> bool {
    let Some(notice) = Notice::parse(bytes) else { return false };
    assert!(notice.covers(Some(notice.token), &stat()));
    assert!(!notice.covers(Some(notice.token + 1), &stat()));
    let _ = notice.covers(None, &stat());
    let again = serde_json::to_vec(&notice).unwrap_or_default();
    assert_eq!(Notice::parse(&again).as_ref(), Some(&notice));
    true
}

/// Whether the bytes are a marker.
pub(crate) fn marker(bytes: &[u8]) -> bool {
    let Some((term, _)) = marker::decode(bytes) else { return false };
    assert!(term.token.is_none_or(|token| token < 1 << 63));
    assert!(term.nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) && term.nonce.len() <= 64);
    let here = crate::sys::process::Process {
        pid: 1,
        boot: term.boot.clone(),
        pidns: term.pidns.clone(),
        timens: term.timens.clone(),
    };
    for wall in [0, 1_778_493_600_000_000_000, i64::MAX] {
        let (clock, _) = crate::sys::clock::Clock::manual(wall);
        let _ = term.in_time(&here, &clock);
        let _ = crate::lease::Seen::from(&term);
    }
    true
}
