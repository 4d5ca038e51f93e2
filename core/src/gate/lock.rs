//! The gate as a `.lock` file of the original quota program: the same facts, with the reason in that program's
//! words, and its rule for lock files that hold no JSON.

use super::{Gate, ms};
use crate::error::Code;
use crate::stamp::Nanos;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// A lock file that holds no JSON bars for this long from when it was written.
const PLAIN_LOCK_MS: i64 = 30_000;
/// What the original calls our codes. All others are the most general failure that it knows.
const TAGS: [(Code, &str); 4] = [
    (Code::RateLimited, "RateLimited"),
    (Code::Unauthorized, "Unauthorized"),
    (Code::TimedOut, "Timeout"),
    (Code::NoCredentials, "NoCredentials"),
];
const OTHER: &str = "NetworkError";

/// The original's word for a code.
pub(crate) fn tag_of(code: Code) -> &'static str {
    TAGS.iter().find(|(known, _)| *known == code).map_or(OTHER, |(_, tag)| tag)
}

/// The code of a word of the original's, or of ours.
pub(crate) fn code_of(tag: &str) -> Code {
    if tag == "Forbidden" {
        return Code::Unauthorized;
    }
    let known = TAGS.iter().find(|(_, known)| *known == tag).map(|(code, _)| *code);
    known.or_else(|| Code::from_text(tag)).unwrap_or(Code::RefreshFailed)
}

/// Whether it is an object that says until when it bars; what does not is no lock to the original either.
fn is_lock(bytes: &[u8]) -> bool {
    serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(bytes)
        .is_ok_and(|fields| fields.contains_key("blocked_until"))
}

impl Gate {
    /// The gate in a lock file. Whatever is there bars: what is no JSON does so for 30 s after it was written.
    pub(crate) fn parse_lock(bytes: Option<&[u8]>, mtime: Nanos) -> Gate {
        let parsed = bytes.filter(|bytes| is_lock(bytes)).and_then(|bytes| Gate::parse(bytes, mtime));
        let Some(mut gate) = parsed else {
            let written_at_ms = ms(mtime);
            return Gate {
                written_at_ms,
                not_before_ms: written_at_ms.saturating_add(PLAIN_LOCK_MS),
                declared: true,
                ..Gate::default()
            };
        };
        let exact = gate.reason.take();
        gate.error = exact.or_else(|| gate.error.map(|tag| code_of(&tag).as_str().to_owned()));
        gate
    }

    /// The bytes of the lock file: a line that the original reads too.
    pub(crate) fn to_lock(&self) -> Vec<u8> {
        let mut lock = self.clone();
        lock.reason.clone_from(&self.error);
        lock.error = self.error.as_deref().map(|text| {
            let tag = Code::from_text(text).map_or(OTHER, tag_of);
            tag.to_owned()
        });
        serde_json::to_vec_pretty(&lock).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Backoff, DECLARED_CAP, GUESS_CAP, Setback};
    use super::*;
    use std::time::Duration;

    const S: Nanos = 1_000_000_000;
    const NOW: Nanos = 1_744_826_000 * S;

    fn after(error: &str, retry_after: u64) -> Gate {
        let setback = Setback {
            token: 5,
            error: error.into(),
            message: "HTTP 429".into(),
            retry_after: Some(Duration::from_secs(retry_after)),
            credential: Some("ab".into()),
        };
        Gate::after(None, &setback, NOW, &Backoff::new(None, None, None), 1.0)
    }

    #[test]
    fn a_lock_has_the_originals_words_and_is_read_back_exactly() {
        for (code, tag) in [("rate_limited", "RateLimited"), ("unavailable", "NetworkError")] {
            let gate = after(code, 592);
            let bytes = gate.to_lock();
            let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(json["blocked_until"], 1_744_826_592);
            assert_eq!(json["error"], tag);
            assert_eq!(Gate::parse_lock(Some(&bytes), 0), gate);
        }
    }

    #[test]
    fn the_originals_locks_are_honoured() {
        let lock = br#"{"blocked_until":1744826592,"error":"RateLimited"}"#;
        let gate = Gate::parse_lock(Some(lock), NOW);
        assert_eq!(gate.barred_until(NOW, GUESS_CAP), Some(1_744_826_592 * S));
        assert_eq!(gate.reason(), Some(Code::RateLimited));
        let forbidden = Gate::parse_lock(Some(br#"{"blocked_until":1744826592,"error":"Forbidden"}"#), NOW);
        assert!(forbidden.is_authorization());
        let after_success = Gate::parse_lock(Some(br#"{"blocked_until":1744826592}"#), NOW);
        assert_eq!(after_success.bar(NOW, GUESS_CAP).code(), Code::Gated);
    }

    #[test]
    fn l9_what_is_no_json_bars_for_30_s_after_it_was_written_and_never_from_the_future() {
        for bytes in [Some(&b"1744826592"[..]), Some(b""), Some(b"{}"), Some(b"[]"), Some(b"\xff\xfe"), None]
        {
            let gate = Gate::parse_lock(bytes, NOW);
            assert_eq!(gate.barred_until(NOW, GUESS_CAP), Some(NOW + 30 * S));
            assert_eq!(gate.barred_until(NOW + 30 * S, GUESS_CAP), None);
            assert_eq!(Gate::parse_lock(bytes, NOW + 61 * S).barred_until(NOW, GUESS_CAP), None);
        }
    }

    #[test]
    fn l8_an_absurd_lock_ends_a_day_after_it_was_written() {
        let gate = Gate::parse_lock(Some(br#"{"blocked_until":9999999999,"error":"Timeout"}"#), NOW);
        let end = NOW + Nanos::try_from(DECLARED_CAP.as_nanos()).unwrap();
        assert_eq!(gate.barred_until(end - 1, GUESS_CAP), Some(end));
        assert_eq!(gate.barred_until(end, GUESS_CAP), None);
    }
}
