//! The calls on one source. `source_read` runs in place; the rest on the hub's threads.

use crate::convert::{RefreshFacts, ValueFacts, WhyFacts, versions};
use crate::failure::{duration, durations, guard, millis};
use crate::hub::{Hub, Interrupt};
use crate::ticket::{AcquiredFacts, CommitFacts};
use forebay::{AcquireOptions, Cache, Commit, Durability, Source};
use napi::bindgen_prelude::{Either, External, Uint8Array};
use napi_derive::napi;
use std::time::Duration;

/// A source's options; durations in milliseconds, unset = the core's default.
#[napi(object, object_to_js = false)]
pub struct SourceOptions {
    pub ttl: Option<f64>,
    pub max_stale: Option<f64>,
    pub stale_if_error: Option<f64>,
    pub deadline: Option<f64>,
    pub identity: Option<String>,
    pub durability: Option<String>,
    pub backoff_floor: Option<f64>,
    pub backoff_cap: Option<f64>,
}

pub(crate) fn open(cache: &Cache, key: &str, options: SourceOptions) -> forebay::Result<Source> {
    let mut source = cache.source(key);
    if let Some(ttl) = options.ttl {
        source = source.ttl(duration(ttl)?);
    }
    if let Some(max_stale) = options.max_stale {
        source = source.max_stale(duration(max_stale)?);
    }
    if let Some(stale_if_error) = options.stale_if_error {
        source = source.stale_if_error(duration(stale_if_error)?);
    }
    if let Some(deadline) = options.deadline {
        source = source.deadline(duration(deadline)?);
    }
    if let Some(identity) = options.identity {
        source = source.identity(&identity);
    }
    if let Some(durability) = options.durability {
        source = source.durability(Durability::parse(&durability)?);
    }
    if let (Some(floor), Some(cap)) = (options.backoff_floor, options.backoff_cap) {
        source = source.backoff(duration(floor)?, duration(cap)?);
    }
    source.key()?;
    Ok(source)
}

/// A source of the cache. A bad key or option is an error here.
#[napi]
pub fn source_open(
    cache: &External<Cache>,
    key: String,
    options: SourceOptions,
) -> napi::Result<External<Source>> {
    guard(|| open(cache, &key, options).map(External::new))
}

/// The key as `tier/name`, with the hash of the identity.
#[napi]
pub fn source_key(source: &External<Source>) -> napi::Result<String> {
    guard(|| source.key().map(ToString::to_string))
}

/// One look at the disk, in place. `known` is the version whose bytes and facts the caller has: if they still
/// hold, and are fresh, the age in milliseconds is all there is to say. A `quiet` look is not counted.
#[napi]
pub fn source_read(
    source: &External<Source>,
    known: Option<String>,
    quiet: bool,
) -> napi::Result<Either<f64, ValueFacts>> {
    guard(|| {
        let value = if quiet { source.reader().value()? } else { source.read()? };
        let same = value.entry.is_some() && known.is_some_and(|known| known == value.version().to_string());
        Ok(match value.age {
            Some(age) if same && value.is_fresh() && value.error.is_none() => Either::A(millis(age)),
            _ => Either::B(ValueFacts::of(&value, same)),
        })
    })
}

/// Stores bytes that did not come from a refresh.
#[napi]
pub fn source_put(
    hub: &External<Hub>,
    id: u32,
    source: &External<Source>,
    bytes: Uint8Array,
    commit: CommitFacts,
) -> napi::Result<()> {
    guard(|| {
        let (source, bytes, commit) = (Source::clone(source), bytes.to_vec(), Commit::try_from(commit)?);
        hub.submit(id, move || source.put(bytes, &commit).map(ValueFacts::from))
    })
}

/// Marks the value stale.
#[napi]
pub fn source_mark_stale(hub: &External<Hub>, id: u32, source: &External<Source>) -> napi::Result<()> {
    let source = Source::clone(source);
    guard(|| hub.submit(id, move || source.mark_stale()))
}

/// Removes the value and all that is known of it.
#[napi]
pub fn source_remove(hub: &External<Hub>, id: u32, source: &External<Source>) -> napi::Result<()> {
    let source = Source::clone(source);
    guard(|| hub.submit(id, move || source.remove()))
}

/// What is known of the source's refresh.
#[napi]
pub fn source_refresh_state(hub: &External<Hub>, id: u32, source: &External<Source>) -> napi::Result<()> {
    let source = Source::clone(source);
    guard(|| hub.submit(id, move || source.refresh_state().map(RefreshFacts::from)))
}

/// Which fact decides what the source serves.
#[napi]
pub fn source_why(hub: &External<Hub>, id: u32, source: &External<Source>) -> napi::Result<()> {
    let source = Source::clone(source);
    guard(|| hub.submit(id, move || source.why().map(WhyFacts::from)))
}

/// Takes the lease if the value is not fresh, and queues its ticket for `cache_next_refresh`.
#[napi]
pub fn source_request_refresh(hub: &External<Hub>, id: u32, source: &External<Source>) -> napi::Result<()> {
    let source = Source::clone(source);
    guard(|| hub.submit(id, move || source.request_refresh().map(forebay::Started::as_str)))
}

/// Waits for another version than `since`, for at most `timeout` ms; unset: without end; 0: one look.
#[napi]
pub fn source_wait_for_change(
    hub: &External<Hub>,
    id: u32,
    source: &External<Source>,
    since: String,
    timeout: Option<f64>,
    interrupt: &External<Interrupt>,
) -> napi::Result<()> {
    guard(|| {
        let since = forebay::Version::parse(&since)?;
        let timeout = durations(timeout)?;
        let source = Source::clone(source);
        let said = |changed: Option<forebay::Version>| changed.map(|version| version.to_string());
        if timeout == Some(Duration::ZERO) {
            return hub.submit(id, move || source.wait_for_change(&since, timeout, None).map(said));
        }
        hub.submit_wait(id, Some(interrupt), move |stop| {
            source.wait_for_change(&since, timeout, Some(&|| stop.requested())).map(said)
        })
    })
}

/// What `acquire` is asked for; the deadline in milliseconds.
#[napi(object, object_to_js = false)]
pub struct AcquireFacts {
    pub deadline: Option<f64>,
    pub unless_fresh: Option<bool>,
    pub unless_changed_since: Option<String>,
    pub override_gate: Option<bool>,
    pub force: Option<bool>,
}

/// Takes the lease, or says why not.
#[napi]
pub fn source_acquire(
    hub: &External<Hub>,
    id: u32,
    source: &External<Source>,
    wish: AcquireFacts,
) -> napi::Result<()> {
    guard(|| {
        let options = AcquireOptions {
            deadline: durations(wish.deadline)?,
            unless_fresh: wish.unless_fresh.unwrap_or(false),
            unless_changed_since: versions(wish.unless_changed_since)?,
            override_gate: wish.override_gate.unwrap_or(false),
            force: wish.force.unwrap_or(false),
        };
        let source = Source::clone(source);
        hub.submit(id, move || source.acquire(&options).map(AcquiredFacts::from))
    })
}
