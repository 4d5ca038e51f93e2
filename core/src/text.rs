//! Durations as people write them (`1h30m`), and numbers as JSON can carry them whole. Pure text.

use crate::error::{Code, Error, Result};
use std::time::Duration;

const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The duration that a text names: numbers with the units `ms s m h d w`, such as `1h30m`, `90s` or `0.5s`.
/// A bare number is refused, because nobody agrees on its unit.
///
/// # Errors
/// [`Code::Invalid`] for any other text.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(forebay::parse_duration("1h30m")?, Duration::from_secs(5400));
/// assert_eq!(forebay::parse_duration("250ms")?, Duration::from_millis(250));
/// assert!(forebay::parse_duration("90").is_err());
/// # Ok::<(), forebay::Error>(())
/// ```
pub fn parse_duration(text: &str) -> Result<Duration> {
    let wrong = || {
        Error::new(Code::Invalid, format!("{text:?} is not a duration"))
            .with_hint("write a number with a unit, such as 90s, 1h30m or 250ms")
    };
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        total = total.checked_add(times(number, *ms).ok_or_else(wrong)?).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(total)
}

/// Whole numbers stay exact; only a fraction goes through floating point.
fn times(number: &str, ms: u64) -> Option<Duration> {
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(ms).map(Duration::from_millis),
        #[allow(clippy::cast_precision_loss, reason = "the units are small")]
        Err(_) => Duration::try_from_secs_f64(number.parse::<f64>().ok()? * ms as f64 / 1000.0).ok(),
    }
}

/// A duration as [`parse_duration`] reads it, exact to the millisecond.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(forebay::format_duration(Duration::from_millis(5_400_250)), "1h30m250ms");
/// assert_eq!(forebay::format_duration(Duration::ZERO), "0s");
/// ```
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (unit, ms) in UNITS {
        if left >= ms {
            out.push_str(&format!("{}{unit}", left / ms));
            left %= ms;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// The text without the secret: it, and where it is JSON each longer string in it, is replaced. For messages of
/// others that may quote what they were given.
pub(crate) fn redact(message: &str, secret: &[u8]) -> String {
    const SHORTEST: usize = 8;
    let Ok(secret) = std::str::from_utf8(secret) else { return message.to_owned() };
    let mut parts = vec![secret.trim().to_owned()];
    if let Ok(json) = serde_json::from_str(secret) {
        collect_strings(&json, &mut parts);
    }
    // The longest first, so that no part of one remains beside another.
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut text = message.to_owned();
    for part in parts.iter().filter(|part| part.len() >= SHORTEST) {
        text = text.replace(part.as_str(), "[credential]");
    }
    text
}

fn collect_strings(json: &serde_json::Value, into: &mut Vec<String>) {
    match json {
        serde_json::Value::String(text) => into.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_strings(item, into)),
        serde_json::Value::Object(fields) => fields.values().for_each(|item| collect_strings(item, into)),
        _ => {}
    }
}

/// Numbers of 64 bits as decimal strings: JavaScript and jq keep only 53 bits of a number.
pub(crate) mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(crate) fn serialize<T: Display, S: Serializer>(number: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(|_| D::Error::custom("not a decimal number"))
    }
}

/// The same, where there may be none.
pub(crate) mod optional_decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(crate) fn serialize<T: Display, S: Serializer>(number: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => to.collect_str(number),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        let text = Option::<std::borrow::Cow<'de, str>>::deserialize(from)?;
        let parse = |text: std::borrow::Cow<'de, str>| {
            text.parse().map_err(|_| D::Error::custom("not a decimal number"))
        };
        text.map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_out_of_a_message_whole_and_in_parts() {
        let json = br#"{"refresh_token":"tok-123456","expires":3600,"scopes":["read"]}"#;
        assert_eq!(redact("bad token tok-123456!", json), "bad token [credential]!");
        assert_eq!(redact("sent Bearer abcdefgh", b"abcdefgh\n"), "sent Bearer [credential]");
        assert_eq!(redact("read failed", json), "read failed");
        assert_eq!(redact("x", b"\xff"), "x");
    }

    #[test]
    fn durations_are_read_back_as_written() {
        for ms in [0, 1, 999, 1000, 90_000, 5_400_250, 694_861_001] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration);
        }
        for text in ["", "5", "s", "1x", "1h-", "-1s", "1..5s", "99999999999999999w", "1 h"] {
            assert_eq!(parse_duration(text).unwrap_err().code(), Code::Invalid, "{text:?}");
        }
        assert_eq!(parse_duration("0.5s").unwrap(), Duration::from_millis(500));
    }
}
