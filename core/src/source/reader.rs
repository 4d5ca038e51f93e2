//! `Reader`: one source, read many times: no system call while the source's slot in the shared table stands
//! still. At most every 100 ms it looks at the disk all the same, for writers that do not follow the protocol.
//!
//! The race is told in `generation`: the tag is the slot's number read before the look, so a value can never
//! carry a number that is newer than it. An odd number is no tag: the next read looks again.

use super::Source;
use super::value::Value;
use crate::entry::Entry;
use crate::error::{Code, Error, Result};
use crate::freshness::{Freshness, State, age};
use crate::generation::Table;
use crate::stamp::{Nanos, instant, nanos};
use crate::sys::breaks::broken;
use crate::sys::clock::{Clock, coarse};
use arc_swap::ArcSwapOption;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How far behind writers that do not follow the protocol a reader may be.
const LOOK_EVERY: Nanos = 100_000_000;

/// What decides a hit, together on one line of the processor's cache.
#[derive(Debug)]
#[repr(C, align(64))]
struct Hot {
    table: Option<Arc<Table>>,
    slot: u32,
    tag: u32,
    /// By the real clock: within these stamps the value is fresh and need not be looked at again, if the slot
    /// stands still. Empty where a hit needs more thought: no table, another clock, nothing fresh.
    from: Nanos,
    until: Nanos,
    entry: Option<Arc<Entry>>,
}

impl Hot {
    /// Whether the value may be served, fresh, without a look at the disk. All that most hits come to.
    #[inline]
    fn is_hit(&self, real_ns: Nanos) -> bool {
        real_ns >= self.from && real_ns < self.until && self.is_current()
    }

    #[inline]
    fn is_current(&self) -> bool {
        self.table.as_ref().is_some_and(|table| table.number(self.slot) == self.tag)
    }
}

/// A value as a reader keeps it.
#[derive(Debug)]
pub(crate) struct Kept {
    hot: Hot,
    /// The end of `fresh`, as callers are told it.
    fresh_until: SystemTime,
    damaged: Option<Error>,
    freshness: Freshness,
    noticed: bool,
    /// Fresh within these stamps; an empty range if a notice covers it.
    fresh: (Nanos, Nanos),
    looked_ns: Nanos,
}

impl Kept {
    /// Whether it may be served without a look at the disk.
    fn holds(&self, real_ns: Nanos) -> bool {
        let current = self.hot.tag & 1 == 0 && self.hot.is_current();
        current && real_ns.abs_diff(self.looked_ns) < LOOK_EVERY.unsigned_abs()
    }

    #[inline]
    fn state(&self, now: Nanos) -> State {
        if now >= self.fresh.0 && now < self.fresh.1 {
            return State::Fresh;
        }
        match &self.hot.entry {
            Some(entry) => self.freshness.state(entry.stored_ns, now, self.noticed),
            None => State::Absent,
        }
    }
}

/// What a reader found: bytes and state, borrowed from it.
#[derive(Debug)]
pub struct Read<'r> {
    kept: &'r Kept,
    now: Nanos,
    /// Whether the bytes may be used.
    pub state: State,
}

impl<'r> Read<'r> {
    /// The bytes; none where there are none.
    #[inline]
    #[must_use]
    pub fn data(&self) -> Option<&'r [u8]> {
        self.kept.hot.entry.as_ref().map(|entry| &*entry.data)
    }

    /// The bytes with what is recorded of them.
    #[must_use]
    pub fn entry(&self) -> Option<&'r Arc<Entry>> {
        self.kept.hot.entry.as_ref()
    }

    /// How old they were when they were read.
    #[inline]
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let entry = self.kept.hot.entry.as_ref()?;
        Some(age(entry.stored_ns, self.now))
    }
}

/// What a shared reader found: it keeps the bytes alive without copying them.
#[derive(Debug)]
pub struct Loaded {
    kept: arc_swap::Guard<Option<Arc<Kept>>>,
    /// Whether the bytes may be used.
    pub state: State,
}

impl Loaded {
    /// The bytes; none where there are none.
    #[inline]
    #[must_use]
    pub fn data(&self) -> Option<&[u8]> {
        self.entry().map(|entry| &*entry.data)
    }

    /// The bytes with what is recorded of them.
    #[inline]
    #[must_use]
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        self.kept.as_ref()?.hot.entry.as_ref()
    }
}

/// Reads one source again and again. [`Reader::read`] borrows, [`Reader::load`] is for readers shared by
/// threads. Truncating the table `.forebay/generations` while it is mapped is fatal (SIGBUS).
///
/// ```
/// use forebay::{Cache, Commit, State};
/// use std::time::Duration;
/// # let folder = tempfile::tempdir().unwrap();
/// let cache = Cache::open(folder.path().join("cache"))?;
/// let source = cache.source("api/models").ttl(Duration::from_secs(60));
/// source.put("[]", &Commit::default())?;
/// let mut reader = source.reader();
/// let read = reader.read()?;
/// assert_eq!((read.data(), read.state), (Some(&b"[]"[..]), State::Fresh));
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader {
    source: Source,
    clock: Clock,
    shared: ArcSwapOption<Kept>,
    /// Not behind a pointer: that would be one more line to fetch.
    own: Option<Kept>,
}

impl Source {
    /// A reader of this source.
    #[must_use]
    pub fn reader(&self) -> Reader {
        let clock = self.core().store.clock().clone();
        Reader { source: self.clone(), clock, shared: ArcSwapOption::empty(), own: None }
    }
}

impl Reader {
    /// The source that it reads.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What is there, borrowed until the next read.
    ///
    /// # Errors
    /// As [`Source::read`].
    #[inline]
    pub fn read(&mut self) -> Result<Read<'_>> {
        let real = coarse();
        let (mut state, mut now) = (State::Fresh, real);
        if !self.own.as_ref().is_some_and(|kept| kept.hot.is_hit(real)) {
            (state, now) = self.renew(real)?;
        }
        match &self.own {
            Some(kept) => Ok(Read { kept, now, state }),
            None => Err(Error::new(Code::Io, "the reader kept nothing")),
        }
    }

    #[cold]
    fn renew(&mut self, real: Nanos) -> Result<(State, Nanos)> {
        let now = self.clock.coarse_ns();
        match &self.own {
            Some(kept) if kept.holds(real) => Ok((kept.state(now), now)),
            _ => {
                let kept = self.look()?;
                let state = kept.state(now);
                self.own = Some(kept);
                Ok((state, now))
            }
        }
    }

    /// What is there, for a reader that threads share.
    ///
    /// # Errors
    /// As [`Source::read`].
    #[inline]
    pub fn load(&self) -> Result<Loaded> {
        let real = coarse();
        let kept = self.shared.load();
        match &*kept {
            Some(found) if found.hot.is_hit(real) => Ok(Loaded { kept, state: State::Fresh }),
            _ => self.reload(kept, real),
        }
    }

    #[cold]
    fn reload(&self, kept: arc_swap::Guard<Option<Arc<Kept>>>, real: Nanos) -> Result<Loaded> {
        let now = self.clock.coarse_ns();
        if let Some(found) = kept.as_ref().filter(|kept| kept.holds(real)) {
            let state = found.state(now);
            return Ok(Loaded { kept, state });
        }
        let fresh = Arc::new(self.look()?);
        let state = fresh.state(now);
        self.shared.store(Some(fresh));
        Ok(Loaded { kept: self.shared.load(), state })
    }

    /// What is there, if it is fresh and that can be told without a system call; else none: [`Reader::load`] then
    /// looks. For hosts that give up a lock of theirs around whatever may touch the disk.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<Loaded> {
        let real = coarse();
        let kept = self.shared.load();
        if kept.as_ref().is_some_and(|kept| kept.hot.is_hit(real)) {
            return Some(Loaded { kept, state: State::Fresh });
        }
        self.peek_again(kept, real)
    }

    /// The same for another clock, or a slot that stands still although the value is to be judged anew.
    #[cold]
    fn peek_again(&self, kept: arc_swap::Guard<Option<Arc<Kept>>>, real: Nanos) -> Option<Loaded> {
        let state = kept.as_ref().filter(|kept| kept.holds(real))?.state(self.clock.coarse_ns());
        (state == State::Fresh).then_some(Loaded { kept, state })
    }

    /// As [`Reader::peek`], for a reader of one's own: nothing is shared, so it is the cheapest look there is.
    /// None until the first [`Reader::read`].
    #[inline]
    #[must_use]
    pub fn peek_mut(&mut self) -> Option<Read<'_>> {
        let real = coarse();
        let kept = self.own.as_ref()?;
        if kept.hot.is_hit(real) {
            return Some(Read { kept, now: real, state: State::Fresh });
        }
        let now = self.clock.coarse_ns();
        let fresh = kept.holds(real) && kept.state(now) == State::Fresh;
        fresh.then_some(Read { kept, now, state: State::Fresh })
    }

    /// What is there, as a value of one's own that shares the bytes.
    ///
    /// # Errors
    /// As [`Source::read`].
    #[inline]
    pub fn value(&self) -> Result<Value> {
        let real = coarse();
        let kept = self.shared.load();
        if let Some(found) = &*kept
            && found.hot.is_hit(real)
        {
            let entry = found.hot.entry.clone();
            let age = entry.as_ref().map(|entry| age(entry.stored_ns, real));
            let fresh_until = Some(found.fresh_until);
            return Ok(Value { state: State::Fresh, age, entry, fresh_until, ..Value::default() });
        }
        self.value_again(kept, real)
    }

    #[cold]
    fn value_again(&self, kept: arc_swap::Guard<Option<Arc<Kept>>>, real: Nanos) -> Result<Value> {
        let loaded = self.reload(kept, real)?;
        let now = self.clock.coarse_ns();
        let kept = loaded.kept.deref();
        let entry = kept.as_ref().and_then(|kept| kept.hot.entry.clone());
        let until = kept.as_ref().map(|kept| kept.fresh_until);
        Ok(Value {
            state: loaded.state,
            fresh_until: until.filter(|_| loaded.state == State::Fresh),
            age: entry.as_ref().map(|entry| age(entry.stored_ns, now)),
            entry,
            how: None,
            phase: None,
            error: kept.as_ref().and_then(|kept| kept.damaged.clone()),
        })
    }

    #[cold]
    fn look(&self) -> Result<Kept> {
        let core = self.source.core();
        core.check_open()?;
        let key = self.source.key()?;
        let table = core.store.table().filter(|table| table.is_mapped());
        // Before the look: see the top of this file.
        let tag = table.as_ref().map_or(1, |table| table.number(key.slot()));
        let looked_ns = coarse();
        let look = core.store.look(key)?;
        let late = table.as_ref().filter(|_| broken("late-tag")).map(|table| table.number(key.slot()));
        let tag = late.unwrap_or(tag);
        let lifetime = look.entry.as_ref().map(|entry| entry.lifetime).unwrap_or_default();
        let options = self.source.options();
        let freshness = Freshness::effective(options.ttl, options.max_stale, &lifetime);
        let fresh = match &look.entry {
            Some(entry) if !look.noticed && nanos(freshness.ttl) > 0 => {
                freshness.fresh_between(entry.stored_ns)
            }
            _ => (Nanos::MAX, Nanos::MIN),
        };
        // A damaged value, a notice, a slot in motion, another clock: never a plain hit.
        let plain = tag & 1 == 0 && table.is_some() && self.clock.is_real();
        let (from, until) = if plain {
            (
                fresh.0.max(looked_ns.saturating_sub(LOOK_EVERY)),
                fresh.1.min(looked_ns.saturating_add(LOOK_EVERY)),
            )
        } else {
            (Nanos::MAX, Nanos::MIN)
        };
        let hot = Hot { table, slot: key.slot(), tag, from, until, entry: look.entry };
        Ok(Kept {
            hot,
            fresh_until: instant(fresh.1),
            damaged: look.damaged,
            freshness,
            noticed: look.noticed,
            fresh,
            looked_ns,
        })
    }
}
