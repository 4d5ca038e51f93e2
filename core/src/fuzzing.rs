//! One function per decoder of what is read from disk, from servers and from people, for the fuzz targets and the
//! corpus test: none may panic or take memory without bound, and what one believes it must be able to say again.
//! Test builds only; no part of the public interface.

use crate::fs::root::format_version;
use crate::gate::{DECLARED_CAP, GUESS_CAP, Gate};
use crate::generation::{FILE, SIZE, Table};
use crate::key::{SLOTS, decode, encode};
use crate::store::file::fuzzing;
use crate::sys::Sys;
use crate::sys::real::RealSys;
use crate::{Key, Version, format_duration, parse_duration, parse_retry_after};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Whether it believed the bytes.
pub type Decoder = fn(&[u8]) -> bool;

/// All decoders that take bytes alone, by the names of their fuzz targets and corpora.
pub const DECODERS: &[(&str, Decoder)] = &[
    ("meta", fuzzing::meta),
    ("notice", fuzzing::notice),
    ("marker", fuzzing::marker),
    ("gate", gate),
    ("format", format),
    ("duration", duration),
    ("retry_after", retry_after),
    ("key", key),
    ("decode_key", decode_key),
    ("version", version),
];

/// Runs the decoder of that name; whether it believed the bytes.
///
/// # Panics
/// Where what was believed cannot be said again, or breaks a bound: a bug.
#[must_use]
pub fn run(name: &str, bytes: &[u8]) -> bool {
    DECODERS.iter().find(|(known, _)| *known == name).is_some_and(|(_, decoder)| decoder(bytes))
}

fn gate(bytes: &[u8]) -> bool {
    let Some(gate) = Gate::parse(bytes, 1_778_493_600_000_000_000) else { return false };
    for now in [i64::MIN, 0, 1_778_493_600_000_000_000, i64::MAX] {
        let most = i64::try_from(DECLARED_CAP.as_nanos()).unwrap_or(i64::MAX).saturating_add(60_000_000_000);
        if let Some(until) = gate.barred_until(now, GUESS_CAP) {
            assert!(until.saturating_sub(now) <= most, "a gate that does not end: {gate:?} at {now}");
        }
        let _ = gate.failure(now, GUESS_CAP);
    }
    let again = serde_json::to_vec(&gate).unwrap_or_default();
    // A gate of the original program has no stamp of its own, so only ours are read back as they were.
    assert!(gate.v == 0 || Gate::parse(&again, 0).as_ref() == Some(&gate));
    true
}

fn format(bytes: &[u8]) -> bool {
    format_version(bytes) != 1
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn duration(bytes: &[u8]) -> bool {
    let Some(Ok(duration)) = text(bytes).map(parse_duration) else { return false };
    let whole = Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    assert!(parse_duration(&format_duration(duration)).is_ok_and(|again| again == whole));
    true
}

fn retry_after(bytes: &[u8]) -> bool {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_778_493_600);
    let wait = text(bytes).and_then(|text| parse_retry_after(text, now));
    assert!(wait.is_none_or(|wait| wait <= DECLARED_CAP));
    wait.is_some()
}

fn key(bytes: &[u8]) -> bool {
    let Some(Ok(key)) = text(bytes).map(Key::parse) else { return false };
    for (raw, encoded) in [(key.tier(), key.folder()), (key.name(), key.stem())] {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'%' | b'~');
        assert!(encoded.bytes().all(plain) && !encoded.starts_with('.') && !encoded.is_empty());
        assert!(encoded.len() <= 180);
        assert!(encoded.contains('~') || decode(encoded).as_deref() == Some(raw));
    }
    assert!(key.slot() < SLOTS);
    true
}

fn decode_key(bytes: &[u8]) -> bool {
    let Some((text, raw)) = text(bytes).and_then(|text| Some((text, decode(text)?))) else { return false };
    assert_eq!(encode(&raw), text);
    true
}

fn version(bytes: &[u8]) -> bool {
    let Some(Ok(version)) = text(bytes).map(Version::parse) else { return false };
    assert!(Version::parse(&version.to_string()).is_ok_and(|again| again == version));
    true
}

/// Whether a table that begins with those bytes is taken for one of ours. `folder` is the target's own.
///
/// # Panics
/// Where the folder cannot be written.
#[must_use]
#[allow(clippy::expect_used, reason = "test builds only: a fuzz target without its folder tests nothing")]
pub fn table(folder: &Path, bytes: &[u8]) -> bool {
    let mut head = bytes.to_vec();
    head.resize(4096, 0);
    let opened = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(FILE));
    let mut file = opened.expect("the folder can be written");
    file.write_all(&head).and_then(|()| file.set_len(SIZE as u64)).expect("the table can be written");
    let sys = RealSys::default();
    let folder = sys.open_root(folder).expect("the folder can be opened");
    let Some(table) = Table::open(&sys, &folder, false).expect("the table can be opened") else {
        return false;
    };
    // A half-written number counts as a change under way: odd.
    let numbers: u64 = (0..64).map(|slot| u64::from(table.number(slot))).sum();
    std::hint::black_box(numbers);
    true
}
