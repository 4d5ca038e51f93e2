//! `Derived`, `Lookup`, `LiveListed` and `LiveWhy`: what calls on derived results return. Plain data.

use super::graph::{Flaw, Record, Row};
use super::input::{Input, LiveKey};
use crate::error::Error;
use crate::source::value::How;
use crate::stamp::{Nanos, instant};
use std::sync::Arc;
use std::time::SystemTime;

/// A derived result. Cheap to clone; the bytes are shared.
#[derive(Clone, Debug)]
pub struct Derived {
    pub(super) key: LiveKey,
    pub(super) body: Arc<Body>,
    pub(super) how: How,
    pub(super) error: Option<Error>,
}

/// The bytes and what is recorded of them: together, so that a hit counts one reference.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) data: Box<[u8]>,
    pub(super) record: Record,
}

impl Derived {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> LiveKey {
        self.key
    }

    /// The bytes as given.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.body.data
    }

    /// How it came to be returned: fresh (it was there and holds), ran, coalesced (another computed it), or
    /// uncoordinated: computed, but not stored, and [`Derived::error`] says why.
    #[must_use]
    pub fn how(&self) -> How {
        self.how
    }

    /// What kind of result it is, as whoever computed it said.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.body.record.kind
    }

    /// The BLAKE3 hash of the bytes, in hex.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.body.record.hash
    }

    /// What it was computed from.
    #[must_use]
    pub fn inputs(&self) -> Vec<Input> {
        self.body.record.inputs.iter().filter_map(Row::input).collect()
    }

    /// The results that it was computed from.
    #[must_use]
    pub fn upstreams(&self) -> Vec<LiveKey> {
        self.body.record.upstream_keys().map(|(key, _)| key).collect()
    }

    /// When it was computed.
    #[must_use]
    pub fn computed_at(&self) -> SystemTime {
        instant(self.body.record.computed_ns)
    }

    /// Why it was not stored.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}

/// What a look at a result found.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// It is there and holds.
    Hit(Derived),
    /// It is not there, or does not hold any more.
    Miss,
    /// Something that it was computed from has changed: it is gone now, with all that was built on it.
    Invalidated,
}

impl Lookup {
    /// The result, if it is one.
    #[must_use]
    pub fn hit(self) -> Option<Derived> {
        match self {
            Lookup::Hit(derived) => Some(derived),
            Lookup::Miss | Lookup::Invalidated => None,
        }
    }
}

/// A result as a list shows it, without its bytes.
#[derive(Clone, Debug)]
pub struct LiveListed {
    /// Its key.
    pub key: LiveKey,
    /// What kind of result it is.
    pub kind: String,
    /// How many bytes it has.
    pub size: u64,
    /// What it was computed from.
    pub inputs: Vec<Input>,
    /// The results that it was computed from.
    pub upstreams: Vec<LiveKey>,
    /// When it was computed.
    pub computed_at: SystemTime,
    /// When it was last used, as far as that is recorded.
    pub used_at: SystemTime,
}

impl LiveListed {
    pub(super) fn new(key: LiveKey, record: &Record, used: u64) -> LiveListed {
        LiveListed {
            key,
            kind: record.kind.clone(),
            size: record.size,
            inputs: record.inputs.iter().filter_map(Row::input).collect(),
            upstreams: record.upstream_keys().map(|(key, _)| key).collect(),
            computed_at: instant(record.computed_ns),
            used_at: instant(Nanos::try_from(used).unwrap_or(Nanos::MAX)),
        }
    }
}

/// Whether a result holds, and what decided that.
#[derive(Clone, Debug)]
pub struct LiveWhy {
    /// Whether a look with revalidation would find it.
    pub holds: bool,
    /// In a sentence.
    pub text: String,
    /// The input that decided.
    pub input: Option<Input>,
    /// The result that decided.
    pub upstream: Option<LiveKey>,
}

impl LiveWhy {
    pub(super) fn holds() -> LiveWhy {
        LiveWhy {
            holds: true,
            text: "nothing that it was computed from has changed".into(),
            input: None,
            upstream: None,
        }
    }

    pub(super) fn of(flaw: &Flaw) -> LiveWhy {
        let (text, input, upstream) = match flaw {
            Flaw::Missing => ("there is no such result".to_owned(), None, None),
            Flaw::Input(input) => (format!("{input} was said to have changed"), Some(input.clone()), None),
            Flaw::Upstream(key) => {
                (format!("the result {key}, on which it is built, does not hold"), None, Some(*key))
            }
        };
        LiveWhy { holds: false, text, input, upstream }
    }

    pub(super) fn changed(input: &Input, of: Option<LiveKey>) -> LiveWhy {
        let text = match of {
            None => format!("{input} has changed"),
            Some(key) => {
                format!("{input} has changed, from which the result {key} was computed, on which it is built")
            }
        };
        LiveWhy { holds: false, text, input: Some(input.clone()), upstream: of }
    }
}
