//! The calls on a whole cache, its readers and its event stream.

use crate::convert::{EventFacts, ListedFacts, PrunedFacts, count};
use crate::failure::{durations, guard, millis};
use crate::hub::{Hub, Interrupt};
use crate::ticket::Held;
use forebay::{Cache, CacheOptions, Durability, Events, Source};
use napi::bindgen_prelude::External;
use napi_derive::napi;
use std::sync::Arc;
use std::time::Duration;

/// How often a listener looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(25);

/// A cache's options; unset = the core's default.
#[napi(object, object_to_js = false)]
pub struct OpenFacts {
    pub root: Option<String>,
    pub durability: Option<String>,
    pub test_clock: Option<String>,
    pub memory: Option<bool>,
}

/// Opens a cache: no lock, no write.
#[napi]
pub fn cache_open(facts: OpenFacts) -> napi::Result<External<Cache>> {
    guard(|| {
        let mut options = CacheOptions::default();
        if let Some(root) = facts.root {
            options = options.root(root);
        }
        if let Some(durability) = facts.durability {
            options = options.durability(Durability::parse(&durability)?);
        }
        if let Some(path) = facts.test_clock {
            options = options.test_clock(path);
        }
        if facts.memory == Some(true) {
            options = options.memory(true);
        }
        options.open().map(External::new)
    })
}

/// The cache's folder.
#[napi]
pub fn cache_root(cache: &External<Cache>) -> String {
    cache.root().to_string_lossy().into_owned()
}

/// Where a program of that name would keep a cache of its own.
#[napi]
pub fn default_root(app: String) -> napi::Result<Option<String>> {
    guard(|| Ok(forebay::default_root(&app).map(|path| path.to_string_lossy().into_owned())))
}

/// All sources of the cache.
#[napi]
pub fn cache_list(hub: &External<Hub>, id: u32, cache: &External<Cache>) -> napi::Result<()> {
    let cache = Cache::clone(cache);
    guard(|| {
        hub.submit(id, move || {
            Ok(cache.list()?.into_iter().map(ListedFacts::from).collect::<Vec<ListedFacts>>())
        })
    })
}

/// Removes all sources but those.
#[napi]
pub fn cache_prune(
    hub: &External<Hub>,
    id: u32,
    cache: &External<Cache>,
    keep: Vec<&External<Source>>,
) -> napi::Result<()> {
    guard(|| {
        let keep = keep.iter().map(|source| source.key().cloned()).collect::<forebay::Result<Vec<_>>>()?;
        let cache = Cache::clone(cache);
        hub.submit(id, move || cache.prune(&keep).map(PrunedFacts::from))
    })
}

/// The next ticket that `source_request_refresh` queued, waiting for at most `timeout` ms.
#[napi]
pub fn cache_next_refresh(
    hub: &External<Hub>,
    id: u32,
    cache: &External<Cache>,
    timeout: Option<f64>,
    interrupt: &External<Interrupt>,
) -> napi::Result<()> {
    guard(|| {
        let timeout = durations(timeout)?;
        let cache = Cache::clone(cache);
        hub.submit_wait(id, Some(interrupt), move |stop| {
            Ok(cache.next_refresh(timeout, Some(&|| stop.requested()))?.map(Held::new))
        })
    })
}

/// How often something happened.
#[napi(object, object_from_js = false)]
pub struct CountFacts {
    pub kind: &'static str,
    pub count: f64,
}

/// How often each kind of event happened on this handle.
#[napi]
pub fn cache_counters(cache: &External<Cache>) -> Vec<CountFacts> {
    let counters = cache.counters();
    counters.iter().map(|(kind, number)| CountFacts { kind: kind.as_str(), count: count(number) }).collect()
}

/// A listener. Events are kept for it from now on.
#[napi]
pub fn cache_subscribe(cache: &External<Cache>) -> External<Arc<Events>> {
    External::new(Arc::new(cache.subscribe()))
}

/// The next event; none when the cache is closed or `interrupt` set.
#[napi]
pub fn events_next(
    hub: &External<Hub>,
    id: u32,
    cache: &External<Cache>,
    events: &External<Arc<Events>>,
    interrupt: &External<Interrupt>,
) -> napi::Result<()> {
    let (cache, events) = (Cache::clone(cache), Arc::clone(events));
    guard(|| {
        hub.submit_wait(id, Some(interrupt), move |stop| {
            loop {
                if let Some(event) = events.next(LOOK) {
                    return Ok(Some(EventFacts::from(event)));
                }
                if stop.requested() || cache.is_closed() {
                    return Ok(None);
                }
            }
        })
    })
}

/// How many events were dropped because nobody fetched them.
#[napi]
pub fn events_dropped(events: &External<Arc<Events>>) -> f64 {
    count(events.dropped())
}

/// Closes the cache; with `drain`, running refreshes get up to that many ms to end.
#[napi]
pub fn cache_close(
    hub: &External<Hub>,
    id: u32,
    cache: &External<Cache>,
    drain: Option<f64>,
) -> napi::Result<()> {
    guard(|| {
        let drain = durations(drain)?;
        let cache = Cache::clone(cache);
        hub.submit_wait(id, None, move |_| cache.close(drain))
    })
}

/// Closes the cache at once.
#[napi]
pub fn cache_close_now(cache: &External<Cache>) -> napi::Result<()> {
    guard(|| cache.close(None))
}

/// Whether the cache was closed.
#[napi]
pub fn cache_is_closed(cache: &External<Cache>) -> bool {
    cache.is_closed()
}

/// A text such as `1h30m` in milliseconds.
#[napi]
pub fn parse_duration(text: String) -> napi::Result<f64> {
    guard(|| forebay::parse_duration(&text).map(millis))
}
