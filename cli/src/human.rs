//! Sizes, times and counts as a person reads them. Pure text; the JSON forms are in `json`.

use std::time::Duration;

/// A size: `0 B`, `999 B`, `2.1 KiB`, `64.0 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    // Whole tenths, so that 1023.99 KiB becomes 1.0 MiB and never 1024.0 KiB.
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = 0;
    tenths = (tenths + 512) / 1024;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// A size as it is written: `1048576`, `512KiB`, `500MiB`, `2 GiB`; the letters alone (`500M`) mean the same.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start() {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// The unit that a person would count a time in, and how many of them.
fn counted(time: Duration) -> (u64, &'static str, &'static str) {
    let seconds = time.as_secs();
    match seconds {
        0..60 => (seconds, "s", "second"),
        60..3600 => (seconds / 60, "min", "minute"),
        3600..172_800 => (seconds / 3600, "h", "hour"),
        _ => (seconds / 86_400, "d", "day"),
    }
}

/// A time in a column: `0 s`, `41 s`, `14 min`, `3 h`, `5 d`.
pub(crate) fn short(time: Duration) -> String {
    let (count, unit, _) = counted(time);
    format!("{count} {unit}")
}

/// A time in a sentence: `1 second`, `14 minutes`.
pub(crate) fn long(time: Duration) -> String {
    let (count, _, unit) = counted(time);
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// A time until something happens, in whole seconds that are not too few: `0 s` reads as now, and what lasts 5 minutes
/// is not said to last 4.
pub(crate) fn until(time: Duration) -> String {
    let whole = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    short(Duration::from_secs(whole.max(1)))
}

/// `1st`, `2nd`, `3rd`, `4th`, `11th`.
pub(crate) fn ordinal(count: u32) -> String {
    let ending = match (count % 100, count % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{count}{ending}")
}

/// `1 value`, `2 values`.
pub(crate) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (2150, "2.1 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (64 << 20, "64.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("17B", Some(17)),
            ("512KiB", Some(512 << 10)),
            ("2 GiB", Some(2 << 30)),
            ("3T", Some(3 << 40)),
            ("", None),
            ("MiB", None),
            ("1.5MiB", None),
            ("5MB", None),
            ("-1", None),
            ("99999999999999T", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

    #[test]
    fn times() {
        for (seconds, column, sentence) in [
            (0, "0 s", "0 seconds"),
            (1, "1 s", "1 second"),
            (59, "59 s", "59 seconds"),
            (60, "1 min", "1 minute"),
            (14 * 60 + 59, "14 min", "14 minutes"),
            (3600, "1 h", "1 hour"),
            (47 * 3600, "47 h", "47 hours"),
            (48 * 3600, "2 d", "2 days"),
        ] {
            let time = Duration::from_secs(seconds);
            assert_eq!((&*short(time), &*long(time)), (column, sentence));
        }
        assert_eq!(until(Duration::ZERO), "1 s");
        assert_eq!(until(Duration::from_millis(3)), "1 s");
        assert_eq!(until(Duration::from_millis(299_001)), "5 min");
    }

    #[test]
    fn ordinals() {
        for (number, text) in
            [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (112, "112th"), (23, "23rd")]
        {
            assert_eq!(ordinal(number), text);
        }
    }
}
