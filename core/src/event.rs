//! `Event`, `Counters` and `Bus`: what happened, told to whoever asked. Counting is always on and costs one
//! relaxed addition; events are made only while someone listens. It knows nothing of what it reports.

use crate::error::Code;
use crate::key::Key;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal;)*) => {
        /// What kind of thing happened.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum EventKind { $($(#[$doc])* $variant,)* }

        impl EventKind {
            /// All kinds.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$variant,)*];

            /// The kind as text, the same in every language.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(EventKind::$variant => $text,)* }
            }
        }
    };
}

kinds! {
    /// A fresh value was served.
    Hit = "hit";
    /// A stale value was served.
    StaleServed = "stale_served";
    /// There was nothing to serve.
    Miss = "miss";
    /// A lease was taken here.
    RefreshStarted = "refresh_started";
    /// A new value was stored by a refresh here.
    RefreshSucceeded = "refresh_succeeded";
    /// The source said that the value is unchanged.
    RefreshUnchanged = "refresh_unchanged";
    /// A refresh here failed.
    RefreshFailed = "refresh_failed";
    /// A caller here got the outcome of a refresh that another ran.
    Coalesced = "coalesced";
    /// A lease of ours was found lost at its commit.
    LeaseLost = "lease_lost";
    /// A gate held an attempt back.
    Gated = "gated";
    /// A value was marked stale or removed.
    Invalidated = "invalidated";
    /// A value was removed for space or by prune.
    Evicted = "evicted";
    /// A recorded answer was repeated.
    Replayed = "replayed";
    /// What is on disk was found damaged.
    Damaged = "damaged";
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that happened in this process.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// To which source.
    pub key: Key,
    /// The failure, where it is one.
    pub code: Option<Code>,
}

/// How often each kind of event has happened on one cache handle of this process.
#[derive(Clone, Debug)]
pub struct Counters([u64; EventKind::ALL.len()]);

impl Counters {
    /// How often that kind happened.
    #[must_use]
    pub fn get(&self, kind: EventKind) -> u64 {
        self.0[kind as usize]
    }

    /// Each kind with its count.
    pub fn iter(&self) -> impl Iterator<Item = (EventKind, u64)> + '_ {
        EventKind::ALL.iter().map(|kind| (*kind, self.get(*kind)))
    }
}

/// Events that a listener has not fetched yet, at most this many; older ones are dropped and counted.
const BACKLOG: usize = 4096;

/// Where events of one cache are counted and handed to listeners.
#[derive(Debug, Default)]
pub(crate) struct Bus {
    counts: [AtomicU64; EventKind::ALL.len()],
    listening: AtomicUsize,
    queues: Mutex<Vec<Weak<Queue>>>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<Backlog>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Backlog {
    events: VecDeque<Event>,
    dropped: u64,
}

impl Bus {
    pub(crate) fn emit(&self, kind: EventKind, key: &Key, code: Option<Code>) {
        self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
        tracing::trace!(target: "forebay", kind = kind.as_str(), %key, code = code.map(Code::as_str));
        if self.listening.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| match queue.upgrade() {
            Some(queue) => {
                queue.push(Event { kind, key: key.clone(), code });
                true
            }
            None => false,
        });
        self.listening.store(queues.len(), Ordering::Relaxed);
    }

    /// The same where it costs something to name the key: that is asked for only while someone listens.
    #[inline]
    pub(crate) fn emit_of(&self, kind: EventKind, code: Option<Code>, key: impl FnOnce() -> Option<Key>) {
        let heard = self.listening.load(Ordering::Relaxed) != 0
            || tracing::enabled!(target: "forebay", tracing::Level::TRACE);
        match heard.then(key).flatten() {
            Some(key) => self.emit(kind, &key, code),
            None => {
                self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut counts = [0; EventKind::ALL.len()];
        for (count, source) in counts.iter_mut().zip(&self.counts) {
            *count = source.load(Ordering::Relaxed);
        }
        Counters(counts)
    }

    pub(crate) fn subscribe(&self) -> Events {
        let queue = Arc::new(Queue::default());
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.push(Arc::downgrade(&queue));
        self.listening.store(queues.len(), Ordering::Relaxed);
        Events(queue)
    }
}

impl Queue {
    fn push(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.events.len() == BACKLOG {
            state.events.pop_front();
            state.dropped += 1;
        }
        state.events.push_back(event);
        self.arrived.notify_all();
    }
}

/// A listener's end: events since it subscribed, in order. Usable from any thread.
#[derive(Debug)]
pub struct Events(Arc<Queue>);

impl Events {
    /// The next event, waiting for at most `timeout`.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<Event> {
        let until = Instant::now().checked_add(timeout);
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(event) = state.events.pop_front() {
                return Some(event);
            }
            let left = match until {
                Some(until) => until.saturating_duration_since(Instant::now()),
                None => Duration::from_secs(3600),
            };
            if left.is_zero() {
                return None;
            }
            (state, _) = self.0.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many events were dropped because nobody fetched them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_gets_what_happened_since_it_subscribed_and_a_slow_one_loses_the_oldest() {
        let bus = Bus::default();
        let key = Key::parse("a/b").unwrap();
        bus.emit(EventKind::Miss, &key, None);
        let events = bus.subscribe();
        assert!(events.next(Duration::ZERO).is_none());
        for _ in 0..=BACKLOG {
            bus.emit(EventKind::Hit, &key, None);
        }
        assert_eq!(events.dropped(), 1);
        assert_eq!(events.next(Duration::ZERO).unwrap().kind, EventKind::Hit);
        assert_eq!(bus.counters().get(EventKind::Hit), BACKLOG as u64 + 1);
        drop(events);
        bus.emit(EventKind::Hit, &key, None);
        assert_eq!(bus.listening.load(Ordering::Relaxed), 0);
    }
}
