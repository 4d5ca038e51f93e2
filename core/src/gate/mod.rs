//! `Gate`: may anyone try now, and if not, until when and why? Written after a failure, shared by all
//! processes, outliving them, and ending by itself. It knows nothing of values and leases.
//!
//! A gate holds two things that are merged separately: the bar (the later not-before wins and keeps its own
//! stamp, so that merging never makes it eternal) and the latest failure, which waiters look for.

pub(crate) mod lock;

use crate::error::{Code, Error};
use crate::stamp::{Nanos, instant, nanos};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// The shortest cooldown after a failure.
pub(crate) const FLOOR: Duration = Duration::from_millis(250);
/// The longest cooldown that we guess.
pub(crate) const GUESS_CAP: Duration = Duration::from_secs(300);
/// The longest one that we believe a server.
pub(crate) const DECLARED_CAP: Duration = Duration::from_secs(24 * 3600);
const SLACK_MS: i64 = 60_000;
const MESSAGE_MAX: usize = 2048;
/// What is recorded of a holder that ended without saying how.
pub(crate) const ABANDONED: &str = "abandoned";

/// How guessed cooldowns grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Backoff {
    pub(crate) floor: Duration,
    pub(crate) cap: Duration,
    /// Does not grow: the floor, and up to a tenth more so that machines do not come back together.
    pub(crate) fixed: bool,
    /// How long a bar that somebody guessed is believed, by its own stamp.
    pub(crate) believed: Duration,
}

impl Backoff {
    /// Doubling from the floor to the smaller of ttl and five minutes, never below the floor.
    pub(crate) fn new(floor: Option<Duration>, cap: Option<Duration>, ttl: Option<Duration>) -> Backoff {
        let floor = floor.unwrap_or(FLOOR);
        let cap = cap.unwrap_or_else(|| ttl.unwrap_or(GUESS_CAP).min(GUESS_CAP)).max(floor);
        Backoff { floor, cap, fixed: false, believed: cap }
    }

    /// The same wait after each failure.
    pub(crate) fn fixed(wait: Duration) -> Backoff {
        let cap = wait.saturating_add(wait / 10);
        Backoff { floor: wait, cap, fixed: true, believed: cap }
    }

    /// The same, of a gate whose writers may guess by other rules than its readers: who wrote it is believed.
    pub(crate) fn of_any_writer(self) -> Backoff {
        Backoff { believed: DECLARED_CAP, ..self }
    }

    /// The cooldown after that many failures in a row, with full jitter: `random` is uniform in 0..1.
    pub(crate) fn guess(&self, attempts: u32, random: f64) -> Duration {
        if self.fixed {
            return self.floor.saturating_add(self.floor.mul_f64((1.0 - random.clamp(0.0, 1.0)) / 10.0));
        }
        let doublings = attempts.saturating_sub(1).min(31);
        let most = self.floor.saturating_mul(1 << doublings).min(self.cap);
        most.mul_f64(random.clamp(0.0, 1.0)).max(self.floor)
    }
}

/// What a refresh failed with.
#[derive(Clone, Debug)]
pub(crate) struct Setback {
    pub(crate) token: u64,
    /// The text of a code, or [`ABANDONED`].
    pub(crate) error: String,
    pub(crate) message: String,
    /// What the server said, if it did.
    pub(crate) retry_after: Option<Duration>,
    /// The hash of the credential that was refused, where one was.
    pub(crate) credential: Option<String>,
}

/// A gate as it is on disk. The first two fields are the original program's, in its units.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Gate {
    #[serde(default)]
    pub(crate) blocked_until: i64,
    #[serde(default)]
    pub(crate) error: Option<String>,
    /// In a lock file only: the exact code, beside the original's word for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default)]
    pub(crate) v: u32,
    #[serde(default)]
    pub(crate) not_before_ms: i64,
    #[serde(default)]
    pub(crate) written_at_ms: i64,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) attempts: u32,
    #[serde(default)]
    pub(crate) declared: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<String>,
    /// The hash of the credential that the bar is about: it bars no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credential: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Last>,
}

/// The latest failure.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Last {
    #[serde(with = "crate::text::decimal")]
    pub(crate) token: u64,
    pub(crate) error: String,
    #[serde(default)]
    pub(crate) message: String,
}

fn ms(ns: Nanos) -> i64 {
    ns.div_euclid(1_000_000)
}

fn length_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Gate {
    /// The gate in those bytes; `mtime` stands in for the stamp that the original does not write. Unreadable
    /// bytes are no gate.
    pub(crate) fn parse(bytes: &[u8], mtime: Nanos) -> Option<Gate> {
        let mut gate: Gate = serde_json::from_slice(bytes).ok()?;
        if gate.v == 0 {
            gate.not_before_ms = gate.blocked_until.saturating_mul(1000);
            gate.written_at_ms = ms(mtime);
            gate.declared = true;
        }
        Some(gate)
    }

    /// When the bar ends, capped by its own stamp and never by the reader's now, so that no gate is eternal.
    fn not_before(&self, guess_cap: Duration) -> i64 {
        let cap = if self.declared { DECLARED_CAP } else { guess_cap.max(FLOOR) };
        self.not_before_ms.min(self.written_at_ms.saturating_add(length_ms(cap)))
    }

    /// Until when the next attempt is barred, if it is. A stamp from the future is no gate.
    pub(crate) fn barred_until(&self, now: Nanos, guess_cap: Duration) -> Option<Nanos> {
        let until = self.not_before(guess_cap);
        let barred = self.written_at_ms <= ms(now).saturating_add(SLACK_MS) && ms(now) < until;
        barred.then(|| until.saturating_mul(1_000_000))
    }

    /// The gate after one more failure at `now`.
    pub(crate) fn after(
        previous: Option<&Gate>,
        setback: &Setback,
        now: Nanos,
        backoff: &Backoff,
        random: f64,
    ) -> Gate {
        let attempts = previous.map_or(0, |gate| gate.attempts).saturating_add(1);
        let abandoned = setback.error == ABANDONED;
        let wait = match setback.retry_after {
            Some(declared) => declared.max(backoff.floor).min(DECLARED_CAP),
            // A killed holder is replaced at once; programs that always end too early are slowed down.
            None if abandoned && previous.is_none_or(|gate| gate.error.as_deref() != Some(ABANDONED)) => {
                Duration::ZERO
            }
            None => backoff.guess(attempts, random).min(DECLARED_CAP),
        };
        let written_at_ms = ms(now);
        // Rounded up to whole milliseconds, but no wait is no bar, not even for the rest of this one.
        let rounding = if wait.is_zero() { 0 } else { 999_999 };
        let not_before_ms = ms(now.saturating_add(nanos(wait)).saturating_add(rounding));
        let last =
            Last { token: setback.token, error: setback.error.clone(), message: bounded(&setback.message) };
        let fresh = Gate {
            v: 1,
            not_before_ms,
            written_at_ms,
            declared: setback.retry_after.is_some(),
            error: Some(setback.error.clone()),
            message: last.message.clone(),
            attempts,
            credential: setback.credential.clone(),
            last: if abandoned { previous.and_then(|gate| gate.last.clone()) } else { Some(last) },
            ..Gate::default()
        };
        let keep_error = !abandoned;
        fresh.merged_with(previous, now, backoff.believed, keep_error)
    }

    /// A gate that somebody sets by hand: declared, merged to the later, counting no attempt.
    pub(crate) fn blocked(
        previous: Option<&Gate>,
        wait: Duration,
        (code, message): (Code, &str),
        now: Nanos,
        guess_cap: Duration,
    ) -> Gate {
        let wait = wait.min(DECLARED_CAP);
        let rounding = if wait.is_zero() { 0 } else { 999_999 };
        let fresh = Gate {
            v: 1,
            not_before_ms: ms(now.saturating_add(nanos(wait)).saturating_add(rounding)),
            written_at_ms: ms(now),
            declared: true,
            error: Some(code.as_str().to_owned()),
            message: bounded(message),
            attempts: previous.map_or(0, |gate| gate.attempts),
            last: previous.and_then(|gate| gate.last.clone()),
            ..Gate::default()
        };
        fresh.merged_with(previous, now, guess_cap, true)
    }

    /// The later bar of the two. A refused credential's bar says nothing about another credential.
    fn merged_with(
        mut self,
        previous: Option<&Gate>,
        now: Nanos,
        guess_cap: Duration,
        keep_error: bool,
    ) -> Gate {
        if let Some(old) = previous
            && !(self.credential.is_some() && old.is_about_another(self.credential.as_deref()))
            && old.barred_until(now, guess_cap).is_some_and(|until| ms(until) > self.not_before_ms)
        {
            self.not_before_ms = old.not_before(guess_cap);
            self.written_at_ms = old.written_at_ms;
            self.declared = old.declared;
            self.identity.clone_from(&old.identity);
            self.credential.clone_from(&old.credential);
            if keep_error {
                self.error.clone_from(&old.error);
                self.message.clone_from(&old.message);
            }
        }
        if !self.is_authorization() {
            self.credential = None;
        }
        self.blocked_until = self.not_before_ms.saturating_add(999).div_euclid(1000);
        self
    }

    /// Whether it bars because a credential was refused, and another one than this.
    pub(crate) fn is_about_another(&self, credential: Option<&str>) -> bool {
        self.is_authorization() && self.credential.is_some() && self.credential.as_deref() != credential
    }

    /// Whether it bars because a credential was refused.
    pub(crate) fn is_authorization(&self) -> bool {
        self.reason() == Some(Code::Unauthorized)
    }

    /// Why it bars, where that is known.
    pub(crate) fn reason(&self) -> Option<Code> {
        Code::from_text(self.error.as_deref()?)
    }

    /// The bar as an error: what a caller gets who is held back and has nothing to be served.
    pub(crate) fn bar(&self, now: Nanos, guess_cap: Duration) -> Error {
        let code = self.reason().unwrap_or(Code::Gated);
        let message = if self.message.is_empty() { code.as_str() } else { &self.message };
        Error::new(code, message).with_retry_at(self.retry_at(now, guess_cap))
    }

    /// The latest failure as an error, saying when the next attempt may be made.
    pub(crate) fn failure(&self, now: Nanos, guess_cap: Duration) -> Option<Error> {
        let last = self.last.as_ref()?;
        Some(failure_of(last, self.retry_at(now, guess_cap)))
    }

    pub(crate) fn retry_at(&self, now: Nanos, guess_cap: Duration) -> Option<SystemTime> {
        self.barred_until(now, guess_cap).map(instant)
    }
}

/// A recorded failure as an error.
pub(crate) fn failure_of(last: &Last, retry_at: Option<SystemTime>) -> Error {
    let code = Code::from_text(&last.error).unwrap_or(Code::RefreshFailed);
    let message = if last.message.is_empty() { last.error.clone() } else { last.message.clone() };
    Error::new(code, message).with_retry_at(retry_at)
}

/// Messages of other programs are bounded before they are kept.
pub(crate) fn bounded(message: &str) -> String {
    let mut end = message.len().min(MESSAGE_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;
    const NOW: Nanos = 1_000 * S;
    const BACKOFF: Backoff = Backoff { floor: FLOOR, cap: GUESS_CAP, fixed: false, believed: GUESS_CAP };

    fn setback(error: &str, retry_after: Option<u64>) -> Setback {
        Setback {
            token: 5,
            error: error.into(),
            message: "HTTP 429".into(),
            retry_after: retry_after.map(Duration::from_secs),
            credential: None,
        }
    }

    fn after(previous: Option<&Gate>, error: &str, retry_after: Option<u64>, now: Nanos) -> Gate {
        Gate::after(previous, &setback(error, retry_after), now, &BACKOFF, 1.0)
    }

    #[test]
    fn d3_a_cooldown_lasts_what_it_says() {
        let gate = after(None, "refresh_failed", None, NOW);
        assert_eq!(gate.barred_until(NOW, GUESS_CAP), Some(NOW + S / 4));
        assert_eq!(gate.barred_until(NOW + S / 4 - 1, GUESS_CAP), Some(NOW + S / 4));
        assert_eq!(gate.barred_until(NOW + S / 4, GUESS_CAP), None);
    }

    #[test]
    fn guesses_double_to_the_cap_and_jitter_never_goes_below_the_floor() {
        let mut gate = None;
        let mut waits = Vec::new();
        for step in 0..12 {
            let now = NOW + step * 1_000 * S;
            let next = after(gate.as_ref(), "io", None, now);
            waits.push((next.barred_until(now, GUESS_CAP).unwrap() - now) / 1_000_000);
            gate = Some(next);
        }
        assert_eq!(
            waits,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000]
        );
        assert_eq!(BACKOFF.guess(9, 0.0), FLOOR);
        assert_eq!(Backoff::new(None, None, Some(Duration::from_millis(1))).cap, FLOOR);
    }

    #[test]
    fn l2_gates_merge_to_the_later_and_l7_nothing_is_below_the_floor() {
        let long = after(None, "rate_limited", Some(3600), NOW);
        let merged = after(Some(&long), "timed_out", None, NOW + S);
        assert_eq!(merged.barred_until(NOW + S, GUESS_CAP), Some(NOW + 3600 * S));
        assert_eq!(merged.last.as_ref().unwrap().error, "timed_out");
        assert!(merged.declared && merged.written_at_ms == 1_000_000);
        let zero = after(None, "rate_limited", Some(0), NOW);
        assert_eq!(zero.barred_until(NOW, GUESS_CAP), Some(NOW + S / 4));
    }

    #[test]
    fn p13_l8_l9_no_gate_is_eternal() {
        let absurd = after(None, "rate_limited", Some(1 << 40), NOW);
        assert_eq!(absurd.barred_until(NOW, GUESS_CAP), Some(NOW + 86_400 * S));
        let mut gate = absurd;
        for step in 1..50 {
            gate = after(Some(&gate), "io", None, NOW + step * 7_200 * S);
        }
        assert!(gate.barred_until(NOW + 50 * 7_200 * S, GUESS_CAP).is_none());
        let forged =
            br#"{"v":1,"not_before_ms":9000000000000000,"written_at_ms":9000000000000000,"declared":true}"#;
        assert_eq!(Gate::parse(forged, NOW).unwrap().barred_until(NOW, GUESS_CAP), None);
        let original = br#"{"blocked_until":99999999999,"error":"RateLimited"}"#;
        let gate = Gate::parse(original, NOW).unwrap();
        assert_eq!(gate.barred_until(NOW, GUESS_CAP), Some(NOW + 86_400 * S));
        assert!(Gate::parse(b"\0\0", NOW).is_none());
    }

    #[test]
    fn s18_the_first_abandoned_attempt_bars_nothing_the_second_does() {
        let within_a_millisecond = NOW + 300_000;
        let first = after(None, ABANDONED, None, within_a_millisecond);
        assert_eq!(first.barred_until(within_a_millisecond, GUESS_CAP), None);
        let first = after(None, ABANDONED, None, NOW);
        assert_eq!((first.attempts, first.barred_until(NOW, GUESS_CAP)), (1, None));
        let second = after(Some(&first), ABANDONED, None, NOW);
        assert_eq!(second.barred_until(NOW, GUESS_CAP), Some(NOW + S / 2));
        let failed = after(None, "io", None, NOW);
        let abandoned = after(Some(&failed), ABANDONED, None, NOW + S);
        assert_eq!(abandoned.barred_until(NOW + S, GUESS_CAP), None);
        assert_eq!(abandoned.last, failed.last);
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        assert_eq!(bounded(&"é".repeat(3000)).len(), MESSAGE_MAX);
    }
}
