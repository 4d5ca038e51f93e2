//! `Retry-After` and its relatives: what servers write when they say "later". Pure text to time.

use crate::gate::DECLARED_CAP;
use crate::stamp::{Nanos, nanos, stamp};
use std::time::{Duration, SystemTime};

/// A number of at least this is an epoch in seconds, not a length.
const EPOCH_FROM: f64 = 1e9;
/// A number of at least this is an epoch in milliseconds.
const EPOCH_MS_FROM: f64 = 1e12;

/// How long to wait from `now`, by the text of a `Retry-After` or rate-limit reset header: seconds, an HTTP
/// date, or an epoch in seconds or milliseconds. A time in the past is zero, an absurd one is capped at 24 h;
/// other text is none.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
/// assert_eq!(forebay::parse_retry_after("120", now), Some(Duration::from_secs(120)));
/// assert_eq!(forebay::parse_retry_after("1700000030", now), Some(Duration::from_secs(30)));
/// assert_eq!(forebay::parse_retry_after("Tue, 14 Nov 2023 22:14:20 GMT", now), Some(Duration::from_secs(60)));
/// assert_eq!(forebay::parse_retry_after("soon", now), None);
/// ```
#[must_use]
pub fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let until = |at: Nanos| Duration::from_nanos(u64::try_from(at.saturating_sub(stamp(now))).unwrap_or(0));
    let wait = match text.parse::<f64>() {
        Ok(number) if !number.is_finite() => return None,
        Ok(number) if number >= EPOCH_MS_FROM => until(nanos(seconds(number / 1000.0))),
        Ok(number) if number >= EPOCH_FROM => until(nanos(seconds(number))),
        Ok(number) => seconds(number),
        Err(_) => until(stamp(httpdate::parse_http_date(text).ok()?)),
    };
    Some(wait.min(DECLARED_CAP))
}

fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_real_and_unreal_servers_send() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (text, wait) in [
            ("0", Some(0)),
            (" 30 ", Some(30)),
            ("-5", Some(0)),
            ("99999999", Some(86_400)),
            ("1699999999", Some(0)),
            ("1700000010000", Some(10)),
            ("1e300", Some(86_400)),
            ("", None),
            ("NaN", None),
            ("inf", None),
            ("Mon, 01 Jan 1990 00:00:00 GMT", Some(0)),
        ] {
            assert_eq!(parse_retry_after(text, now), wait.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(parse_retry_after("1.5", now), Some(Duration::from_millis(1500)));
    }
}
