//! `Record`, `Meta` and `Notice`: the JSON that stands beside a value: what is known of it, of the one that it
//! replaced, and that it is out of date. Shapes only; which record belongs to which bytes is decided in `bind`.

use crate::entry::Lifetime;
use crate::key::Key;
use crate::stamp::Nanos;
use crate::sys::Stat;
use crate::text::{decimal, optional_decimal};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Tokens stay below this: others read them as signed numbers.
const TOKEN_END: u64 = 1 << 63;

/// What is known of one version of a value.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) size: u64,
    #[serde(with = "decimal")]
    pub(super) mtime_ns: Nanos,
    #[serde(with = "decimal")]
    pub(super) ino: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hash: Option<String>,
    #[serde(default, with = "optional_decimal", skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) validator: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ttl_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_stale_ms: Option<u64>,
    /// The refresher returned the ttl: it goes before a caller's own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) ttl_own: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) max_stale_own: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) extra: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Record {
    /// What is known of a value that somebody else wrote.
    pub(super) fn foreign(stat: &Stat) -> Record {
        Record {
            size: stat.size,
            mtime_ns: stat.mtime_ns,
            ino: stat.ino,
            hash: None,
            token: None,
            validator: None,
            ttl_ms: None,
            max_stale_ms: None,
            ttl_own: false,
            max_stale_own: false,
            extra: None,
        }
    }

    pub(super) fn describes(&self, stat: &Stat) -> bool {
        (self.ino, self.size, self.mtime_ns) == (stat.ino, stat.size, stat.mtime_ns)
    }

    /// Whether it describes this very file of ours, as of this very time, but with another size: whoever writes into
    /// a file also changes its time, so a power cut did that.
    pub(super) fn is_cut_short(&self, stat: &Stat) -> bool {
        self.hash.is_some()
            && (self.ino, self.mtime_ns) == (stat.ino, stat.mtime_ns)
            && self.size != stat.size
    }

    /// Whether it may describe a copy of the file, its hash aside.
    pub(super) fn resembles(&self, stat: &Stat) -> bool {
        self.hash.is_some() && (self.size, self.mtime_ns) == (stat.size, stat.mtime_ns)
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        Lifetime {
            ttl: self.ttl_ms.map(Duration::from_millis),
            max_stale: self.max_stale_ms.map(Duration::from_millis),
            own_ttl: self.ttl_own,
            own_max_stale: self.max_stale_own,
        }
    }

    pub(super) fn set_lifetime(&mut self, lifetime: &Lifetime) {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.ttl_ms = lifetime.ttl.map(ms);
        self.max_stale_ms = lifetime.max_stale.map(ms);
        self.ttl_own = lifetime.own_ttl;
        self.max_stale_own = lifetime.own_max_stale;
    }

    fn sound(&self) -> bool {
        self.token.is_none_or(|token| token < TOKEN_END)
    }
}

/// The content of `<name>.meta`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) v: u32,
    pub(super) cur: Record,
    #[serde(default)]
    pub(super) was: Option<Record>,
    #[serde(default)]
    pub(super) tier: String,
    #[serde(default)]
    pub(super) name: String,
}

impl Meta {
    /// The versions that it describes, the current one first.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        std::iter::once(&self.cur).chain(&self.was)
    }

    pub(super) fn new(key: &Key, cur: Record, was: Option<Record>) -> Meta {
        Meta { v: 1, cur, was, tier: key.tier().to_owned(), name: key.name().to_owned() }
    }

    /// The meta in those bytes; none if they are not one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Meta> {
        let meta: Meta = serde_json::from_slice(bytes).ok()?;
        (meta.cur.sound() && meta.was.as_ref().is_none_or(Record::sound)).then_some(meta)
    }

    pub(super) fn greatest_token(&self) -> u64 {
        let token = |record: &Record| record.token.unwrap_or(0);
        token(&self.cur).max(self.was.as_ref().map_or(0, token))
    }
}

/// The content of `<name>.stale`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Notice {
    #[serde(default)]
    pub(super) v: u32,
    #[serde(with = "decimal")]
    pub(super) token: u64,
    #[serde(default, with = "optional_decimal")]
    pub(super) ino: Option<u64>,
    #[serde(default)]
    pub(super) size: Option<u64>,
    #[serde(default, with = "optional_decimal")]
    pub(super) mtime_ns: Option<Nanos>,
    #[serde(default, with = "optional_decimal")]
    pub(super) until_ns: Option<Nanos>,
}

impl Notice {
    pub(super) fn parse(bytes: &[u8]) -> Option<Notice> {
        serde_json::from_slice(bytes).ok().filter(|notice: &Notice| notice.token < TOKEN_END)
    }

    /// Whether it covers a value: by token one of ours, by description or stamp a foreign one.
    pub(super) fn covers(&self, token: Option<u64>, stat: &Stat) -> bool {
        if let Some(token) = token {
            return token <= self.token;
        }
        let described =
            (self.ino, self.size, self.mtime_ns) == (Some(stat.ino), Some(stat.size), Some(stat.mtime_ns));
        described || self.until_ns.is_some_and(|until| stat.mtime_ns <= until)
    }
}

/// A notice as it was found.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum NoticeSeen {
    Absent,
    Found(Stat, Notice),
    /// Torn by a power cut: covers everything.
    Unreadable(Stat),
}

impl NoticeSeen {
    pub(super) fn covers(&self, token: Option<u64>, stat: &Stat) -> bool {
        match self {
            NoticeSeen::Absent => false,
            NoticeSeen::Found(_, notice) => notice.covers(token, stat),
            NoticeSeen::Unreadable(_) => true,
        }
    }

    pub(super) fn stat(&self) -> Option<&Stat> {
        match self {
            NoticeSeen::Absent => None,
            NoticeSeen::Found(stat, _) | NoticeSeen::Unreadable(stat) => Some(stat),
        }
    }

    pub(super) fn token(&self) -> u64 {
        match self {
            NoticeSeen::Found(_, notice) => notice.token,
            _ => 0,
        }
    }
}

/// Meta as it was found.
#[derive(Clone, Debug)]
pub(super) enum MetaSeen {
    Absent,
    Found(Stat, Box<Meta>),
    Unreadable,
}

impl MetaSeen {
    pub(super) fn get(&self) -> Option<&Meta> {
        match self {
            MetaSeen::Found(_, meta) => Some(meta),
            _ => None,
        }
    }

    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        match self {
            MetaSeen::Found(stat, _) => Some(stat.identity()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::FileKind;

    fn stat(ino: u64, mtime_ns: Nanos) -> Stat {
        let kind = FileKind::File;
        Stat { dev: 1, ino, size: 3, mtime_ns, ctime_ns: 0, nlink: 1, uid: 0, mode: 0o600, kind }
    }

    #[test]
    fn p24_tokens_and_stamps_are_decimal_strings_and_absurd_ones_are_refused() {
        let key = Key::parse("a/b").unwrap();
        let mut record = Record::foreign(&stat(1 << 60, Nanos::MAX));
        record.token = Some(TOKEN_END - 1);
        let meta = Meta::new(&key, record, None);
        let json = serde_json::to_string(&meta).unwrap();
        assert!(json.contains(r#""token":"9223372036854775807""#), "{json}");
        assert!(json.contains(r#""ino":"1152921504606846976""#), "{json}");
        assert_eq!(Meta::parse(json.as_bytes()).unwrap(), meta);
        let absurd = json.replace("9223372036854775807\",", "9223372036854775808\",");
        assert!(absurd == json || Meta::parse(absurd.as_bytes()).is_none());
        let more = json.replacen('{', r#"{"later":[1],"#, 1);
        assert_eq!(Meta::parse(more.as_bytes()).unwrap(), meta);
    }

    #[test]
    fn s4_a_notice_covers_the_foreign_value_it_describes_and_those_of_a_lease_then_in_force() {
        let json = br#"{"v":1,"token":"9","ino":"4","size":3,"mtime_ns":"100","until_ns":"50"}"#;
        let notice = Notice::parse(json).unwrap();
        assert!(notice.covers(Some(9), &stat(1, 999)) && !notice.covers(Some(10), &stat(4, 100)));
        assert!(notice.covers(None, &stat(4, 100)) && !notice.covers(None, &stat(5, 100)));
        assert!(notice.covers(None, &stat(5, 50)) && !notice.covers(None, &stat(5, 51)));
    }
}
