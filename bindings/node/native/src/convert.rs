//! What the core returns, as plain objects: durations in milliseconds, instants in epoch milliseconds, enums as
//! their text, bytes as a `Buffer` copied once. The TypeScript side makes classes and dates of them.

use crate::failure::{ErrorFacts, epoch_ms, millis};
use forebay::{Event, Key, Listed, Pruned, RefreshState, Value, Version, Why};
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

/// A value as a call found or made it.
#[napi(object, object_from_js = false)]
pub struct ValueFacts {
    /// Unset where there is none, and where `same` is set.
    pub data: Option<Buffer>,
    /// The caller has these bytes already.
    pub same: Option<bool>,
    pub state: &'static str,
    pub age: Option<f64>,
    pub stored_at: Option<f64>,
    pub validator: Option<String>,
    pub extra: Option<String>,
    pub version: String,
    pub how: Option<&'static str>,
    pub phase: Option<&'static str>,
    /// By the cache's clock; unset unless fresh.
    pub fresh_until: Option<f64>,
    pub error: Option<ErrorFacts>,
}

impl ValueFacts {
    /// The facts of `value`, without its bytes where the caller has the same.
    pub(crate) fn of(value: &Value, same: bool) -> ValueFacts {
        ValueFacts {
            data: if same { None } else { value.data().map(|bytes| Buffer::from(bytes.to_vec())) },
            same: same.then_some(true),
            state: value.state.as_str(),
            age: value.age.map(millis),
            stored_at: value.stored_at().map(epoch_ms),
            validator: value.validator().map(str::to_owned),
            extra: value.extra().map(str::to_owned),
            version: value.version().to_string(),
            how: value.how.map(forebay::How::as_str),
            phase: value.phase.map(forebay::Phase::as_str),
            fresh_until: value.fresh_until.map(epoch_ms),
            error: value.error.as_ref().map(ErrorFacts::from),
        }
    }
}

impl From<Value> for ValueFacts {
    fn from(value: Value) -> ValueFacts {
        ValueFacts::of(&value, false)
    }
}

/// What is known of the refresh of a source.
#[napi(object, object_from_js = false)]
pub struct RefreshFacts {
    pub phase: &'static str,
    pub in_flight: bool,
    pub failed: bool,
    pub last_error: Option<ErrorFacts>,
    pub started_at: Option<f64>,
    pub deadline: Option<f64>,
    pub retry_at: Option<f64>,
    pub attempts: u32,
    pub declared: bool,
    pub holder: Option<u32>,
}

impl From<RefreshState> for RefreshFacts {
    fn from(state: RefreshState) -> RefreshFacts {
        RefreshFacts {
            phase: state.phase.as_str(),
            in_flight: state.in_flight,
            failed: state.failed,
            last_error: state.last_error.as_ref().map(ErrorFacts::from),
            started_at: state.started_at.map(epoch_ms),
            deadline: state.deadline.map(epoch_ms),
            retry_at: state.retry_at.map(epoch_ms),
            attempts: state.attempts,
            declared: state.declared,
            holder: state.holder,
        }
    }
}

/// One source as `list` finds it.
#[napi(object, object_from_js = false)]
pub struct ListedFacts {
    pub key: String,
    pub tier: String,
    pub name: String,
    pub state: &'static str,
    pub age: Option<f64>,
    pub size: f64,
    pub stored_at: Option<f64>,
    pub phase: &'static str,
    pub validator: Option<String>,
    pub extra: Option<String>,
    pub version: String,
    pub error: Option<ErrorFacts>,
    pub retry_at: Option<f64>,
}

/// A number of bytes; exact up to 2^53, as every number in JavaScript.
#[allow(clippy::cast_precision_loss, reason = "no file has 2^53 bytes")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}

impl From<Listed> for ListedFacts {
    fn from(listed: Listed) -> ListedFacts {
        ListedFacts {
            key: listed.key.to_string(),
            tier: listed.key.tier().to_owned(),
            name: listed.key.name().to_owned(),
            state: listed.state.as_str(),
            age: listed.age.map(millis),
            size: count(listed.size),
            stored_at: listed.stored_at.map(epoch_ms),
            phase: listed.phase.as_str(),
            validator: listed.validator,
            extra: listed.extra,
            version: listed.version.to_string(),
            error: listed.error.as_ref().map(ErrorFacts::from),
            retry_at: listed.retry_at.map(epoch_ms),
        }
    }
}

/// Why a key was not pruned.
#[napi(object, object_from_js = false)]
pub struct SkippedFacts {
    pub key: String,
    pub reason: String,
}

/// What `prune` did.
#[napi(object, object_from_js = false)]
pub struct PrunedFacts {
    pub removed: Vec<String>,
    pub skipped: Vec<SkippedFacts>,
    pub swept: f64,
}

impl From<Pruned> for PrunedFacts {
    fn from(pruned: Pruned) -> PrunedFacts {
        PrunedFacts {
            removed: pruned.removed.iter().map(Key::to_string).collect(),
            skipped: pruned
                .skipped
                .into_iter()
                .map(|(key, reason)| SkippedFacts { key: key.to_string(), reason })
                .collect(),
            swept: count(pruned.swept as u64),
        }
    }
}

/// Which fact decided.
#[napi(object, object_from_js = false)]
pub struct WhyFacts {
    pub text: String,
    pub cache_status: String,
    pub state: &'static str,
    pub phase: &'static str,
}

impl From<Why> for WhyFacts {
    fn from(why: Why) -> WhyFacts {
        WhyFacts {
            text: why.text,
            cache_status: why.cache_status,
            state: why.state.as_str(),
            phase: why.phase.as_str(),
        }
    }
}

/// One thing that happened.
#[napi(object, object_from_js = false)]
pub struct EventFacts {
    pub kind: &'static str,
    pub key: String,
    pub code: Option<&'static str>,
}

impl From<Event> for EventFacts {
    fn from(event: Event) -> EventFacts {
        EventFacts {
            kind: event.kind.as_str(),
            key: event.key.to_string(),
            code: event.code.map(forebay::Code::as_str),
        }
    }
}

/// The version that a text from JavaScript stands for.
pub(crate) fn versions(text: Option<String>) -> forebay::Result<Option<Version>> {
    text.map(|text| Version::parse(&text)).transpose()
}
