//! `Value`, `How`, `Phase` and `RefreshState`: what a call returns: the bytes, whether they may be used, and
//! where they came from. Plain data, made by the calls beside it.

use crate::entry::{Entry, Version};
use crate::error::Error;
use crate::freshness::State;
use crate::key::Key;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

macro_rules! texts {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// As text, the same in every language.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

texts! {
    /// How a value came to be returned.
    How {
        /// It was fresh: nothing was done.
        Fresh = "fresh",
        /// A refresh ran here and brought it.
        Ran = "ran",
        /// A refresh ran here and the source said that nothing had changed.
        Unchanged = "unchanged",
        /// Another caller's refresh brought it, in this process or another.
        Coalesced = "coalesced",
        /// It is stale: a gate holds refreshes back, one failed, or it was not done in time.
        Stale = "stale",
        /// The caller's fallback made it.
        Fallback = "fallback",
        /// A refresh ran here, and its result could not be stored or was not coordinated with others.
        Uncoordinated = "uncoordinated",
    }
}

texts! {
    /// What a source's refresh is doing.
    Phase {
        /// Nothing.
        Idle = "idle",
        /// A lease is in force.
        Running = "running",
        /// A gate bars the next attempt.
        Cooling = "cooling",
    }
}

texts! {
    /// What a call that starts a refresh did.
    Started {
        /// It took the lease; the refresh runs.
        Started = "started",
        /// The value is fresh: nothing to do.
        Fresh = "fresh",
        /// Another refresh is running.
        InFlight = "in_flight",
        /// A gate bars the attempt.
        Gated = "gated",
    }
}

/// What a call returns. Cheap to clone; the bytes are shared.
#[derive(Clone, Debug, Default)]
pub struct Value {
    /// The bytes and what is recorded of them; none where there are none.
    pub entry: Option<Arc<Entry>>,
    /// Whether they may be used.
    pub state: State,
    /// How old they are.
    pub age: Option<Duration>,
    /// How they came to be returned; none for a plain read.
    pub how: Option<How>,
    /// What the refresh is doing, where the call looked: always when the value is not fresh.
    pub phase: Option<Phase>,
    /// Until when it stays fresh, by the cache's clock; none when it is not.
    pub fresh_until: Option<SystemTime>,
    /// Why the value is not better than it is: damage, a failed refresh, a gate.
    pub error: Option<Error>,
}

impl Value {
    /// The bytes; none where there are none.
    #[must_use]
    pub fn data(&self) -> Option<&[u8]> {
        self.entry.as_ref().map(|entry| &*entry.data)
    }

    /// When they were stored.
    #[must_use]
    pub fn stored_at(&self) -> Option<SystemTime> {
        self.entry.as_ref().map(|entry| entry.stored_at())
    }

    /// What the source said identifies them.
    #[must_use]
    pub fn validator(&self) -> Option<&str> {
        self.entry.as_ref()?.validator.as_deref()
    }

    /// The text that was stored beside them.
    #[must_use]
    pub fn extra(&self) -> Option<&str> {
        self.entry.as_ref()?.extra.as_deref()
    }

    /// Their opaque version, also of "nothing there".
    #[must_use]
    pub fn version(&self) -> Version {
        self.entry.as_ref().map_or_else(Version::absent, |entry| entry.version.clone())
    }

    /// Whether they may be used without asking anyone.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.state == State::Fresh
    }

    /// The opposite: stale, expired, or absent.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        !self.is_fresh()
    }
}

/// What marker and gate say of a source's refresh.
#[derive(Clone, Debug)]
pub struct RefreshState {
    /// What it is doing.
    pub phase: Phase,
    /// A refresh runs, or a failure cools down (as the original counts it).
    pub in_flight: bool,
    /// The latest refresh failed.
    pub failed: bool,
    /// With what.
    pub last_error: Option<Error>,
    /// When the running refresh began.
    pub started_at: Option<SystemTime>,
    /// Until when it may take.
    pub deadline: Option<SystemTime>,
    /// When the next attempt may be made, while a gate bars it.
    pub retry_at: Option<SystemTime>,
    /// How many attempts in a row have failed.
    pub attempts: u32,
    /// The server gave the time of `retry_at`.
    pub declared: bool,
    /// The process that runs the refresh.
    pub holder: Option<u32>,
}

/// One source of a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Which.
    pub key: Key,
    /// Whether its value may be used, by the lifetimes recorded beside it.
    pub state: State,
    /// How old it is.
    pub age: Option<Duration>,
    /// How many bytes it has.
    pub size: u64,
    /// When it was stored.
    pub stored_at: Option<SystemTime>,
    /// What its refresh is doing.
    pub phase: Phase,
    /// When the next attempt may be made, while a gate bars it.
    pub retry_at: Option<SystemTime>,
    /// What the source said identifies it.
    pub validator: Option<String>,
    /// The text that was stored beside it.
    pub extra: Option<String>,
    /// Its opaque version.
    pub version: Version,
    /// The latest failure, or what is damaged.
    pub error: Option<Error>,
}

/// Which fact decided, in words.
#[derive(Clone, Debug)]
pub struct Why {
    /// In a sentence.
    pub text: String,
    /// As a `Cache-Status` field (RFC 9211).
    pub cache_status: String,
    /// Whether the value may be used.
    pub state: State,
    /// What the refresh is doing.
    pub phase: Phase,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_nothing_is_absent_and_stale() {
        let value = Value::default();
        assert!(value.is_stale() && value.data().is_none() && value.version() == Version::absent());
    }
}
