//! `Record` and `CachedUsage`: the JSON of a quota record, in the original program's shape: the last answer or the
//! last error, and when it was had. What cannot be read is a miss, never an error: the next answer replaces it.

use crate::gate::lock::code_of;
use crate::stamp::{Nanos, instant, stamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The shape of the records that are read and written; a record of another one is a miss.
pub const CACHE_SCHEMA_VERSION: u32 = 1;

/// A quota record: the last answer, or the last error, as the original program keeps it.
///
/// ```
/// use forebay::CachedUsage;
/// let entry = CachedUsage::with_data(serde_json::json!({"used": 42}));
/// assert_eq!(entry.schema_version, forebay::CACHE_SCHEMA_VERSION);
/// assert!(entry.error.is_none());
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CachedUsage {
    /// [`CACHE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When the answer or the error was had. On disk: RFC 3339.
    #[serde(with = "rfc3339")]
    pub cached_at: SystemTime,
    /// The answer: any JSON.
    #[serde(default)]
    pub data: Option<serde_json::Value>,
    /// The error.
    #[serde(default)]
    pub error: Option<CachedError>,
    /// Other fields, kept as they are.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// The error of a record: the original's word for it, such as `RateLimited`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CachedError {
    /// The word.
    pub code: String,
}

impl CachedUsage {
    fn now(data: Option<serde_json::Value>, error: Option<CachedError>) -> CachedUsage {
        let cached_at = SystemTime::now();
        CachedUsage {
            schema_version: CACHE_SCHEMA_VERSION,
            cached_at,
            data,
            error,
            extra: serde_json::Map::new(),
        }
    }

    /// A record of that answer, had now.
    #[must_use]
    pub fn with_data(data: serde_json::Value) -> CachedUsage {
        CachedUsage::now(Some(data), None)
    }

    /// A record of that error, had now.
    #[must_use]
    pub fn with_error(code: &str) -> CachedUsage {
        CachedUsage::now(None, Some(CachedError { code: code.to_owned() }))
    }

    /// The record in those bytes; none where they hold none that this version understands.
    pub(crate) fn parse(bytes: &[u8]) -> Option<CachedUsage> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|entry: &CachedUsage| entry.schema_version == CACHE_SCHEMA_VERSION)
    }
}

/// A record as `resolve` uses it: the answer's text is kept as it is.
#[derive(Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) cached_ns: Nanos,
    pub(crate) body: Body,
    pub(crate) credential: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Body {
    Data(Arc<str>),
    Error(crate::error::Code),
}

#[derive(Serialize)]
struct Face<'a> {
    schema_version: u32,
    cached_at: String,
    data: &'a RawValue,
    error: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forebay_credential: Option<&'a str>,
}

impl Record {
    /// The record in those bytes. Both or neither of data and error, another schema, or no JSON: a miss.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Record> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes).ok()?;
        let text = |name: &str| fields.get(name).map(|raw| raw.get()).filter(|text| *text != "null");
        let schema: u32 = serde_json::from_str(text("schema_version")?).ok()?;
        if schema != CACHE_SCHEMA_VERSION {
            return None;
        }
        let cached_at: String = serde_json::from_str(text("cached_at")?).ok()?;
        let error = text("error").map(serde_json::from_str::<CachedError>).transpose().ok()?;
        let body = match (text("data"), error) {
            (Some(data), None) => Body::Data(data.into()),
            (None, Some(error)) => Body::Error(code_of(&error.code)),
            _ => return None,
        };
        let credential = text("forebay_credential").and_then(|text| serde_json::from_str(text).ok());
        Some(Record { cached_ns: rfc3339::parse(&cached_at)?, body, credential })
    }

    /// The bytes of a record with that answer, which must be JSON.
    pub(crate) fn encode(data: &str, cached_ns: Nanos, credential: Option<&str>) -> Option<Vec<u8>> {
        let data: &RawValue = serde_json::from_str(data).ok()?;
        let face = Face {
            schema_version: CACHE_SCHEMA_VERSION,
            cached_at: rfc3339::text(cached_ns),
            data,
            error: None,
            forebay_credential: credential,
        };
        serde_json::to_vec_pretty(&face).ok()
    }

    pub(crate) fn data(&self) -> Option<&Arc<str>> {
        match &self.body {
            Body::Data(data) => Some(data),
            Body::Error(_) => None,
        }
    }
}

mod rfc3339 {
    use super::{Nanos, SystemTime, instant, stamp};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// What lies beyond all stamps is as far as they go: not lost.
    pub(super) fn parse(text: &str) -> Option<Nanos> {
        let time: jiff::Timestamp = text.parse().ok()?;
        let beyond = if time.as_nanosecond() < 0 { Nanos::MIN } else { Nanos::MAX };
        Some(Nanos::try_from(time.as_nanosecond()).unwrap_or(beyond))
    }

    pub(super) fn text(ns: Nanos) -> String {
        jiff::Timestamp::from_nanosecond(ns.into()).map_or_else(|_| String::new(), |time| time.to_string())
    }

    pub(super) fn serialize<S: Serializer>(at: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text(stamp(*at)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).map(instant).ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    const AT: Nanos = 1_776_600_000_000_000_000;

    #[test]
    fn a_record_has_the_originals_shape_and_keeps_the_answers_text() {
        let data = r#"{"b":1,"a":12345678901234567890123,"x":1.10}"#;
        let bytes = Record::encode(data, AT, Some("ab")).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let begin = "{\n  \"schema_version\": 1,\n  \"cached_at\": \"2026-04-19T12:00:00Z\",\n  \"data\": {";
        assert!(text.starts_with(begin), "{text}");
        assert!(text.contains("\"error\": null"));
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(record.data().unwrap().as_ref(), data);
        assert_eq!((record.cached_ns, record.credential.as_deref()), (AT, Some("ab")));
        assert!(Record::encode("{", AT, None).is_none());
    }

    #[test]
    fn the_originals_records_are_read() {
        let json = br#"{"schema_version":1,"cached_at":"2026-04-19T12:00:00Z","data":null,"error":{"code":"Timeout"}}"#;
        assert_eq!(Record::parse(json).unwrap().body, Body::Error(Code::TimedOut));
        let json = br#"{"cached_at":"2026-04-19T14:00:00+02:00","schema_version":1,"data":[1]}"#;
        assert_eq!(Record::parse(json).unwrap().cached_ns, AT);
    }

    #[test]
    fn what_cannot_be_read_is_a_miss() {
        let good = r#"{"schema_version":1,"cached_at":"2026-04-19T12:00:00Z","data":{},"error":null}"#;
        assert!(Record::parse(good.as_bytes()).is_some());
        for (from, to) in [
            ("\"schema_version\":1", "\"schema_version\":2"),
            ("\"schema_version\":1,", ""),
            ("2026-04-19T12:00:00Z", "yesterday"),
            ("\"data\":{}", "\"data\":null"),
            ("\"error\":null", "\"error\":{\"code\":\"Timeout\"}"),
            ("\"error\":null", "\"error\":7"),
        ] {
            assert!(Record::parse(good.replace(from, to).as_bytes()).is_none(), "{to}");
        }
        for bytes in [&b""[..], b"null", b"[]", b"\xff\xfe", b"{\"schema_version\":1"] {
            assert!(Record::parse(bytes).is_none() && CachedUsage::parse(bytes).is_none());
        }
    }

    #[test]
    fn unknown_fields_go_round() {
        let json = r#"{"schema_version":1,"cached_at":"2026-04-19T12:00:00Z","data":{"new":[1,{}]},"error":null,"later":"kept"}"#;
        let entry = CachedUsage::parse(json.as_bytes()).unwrap();
        assert_eq!(entry.extra["later"], "kept");
        let again = serde_json::to_vec_pretty(&entry).unwrap();
        assert_eq!(CachedUsage::parse(&again).unwrap(), entry);
    }
}
