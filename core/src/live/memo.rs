//! `Memo`: the hits of one `Live`, kept while the index stands still. Every change of the index moves the number of its
//! slot, so a hit under the same number is a hit still, at the cost of one load; under another the index is asked
//! again. The number is read **before** the index is looked at, as `generation` tells. At most every 100 ms it looks
//! whether index and table are those that others find, for people who remove a cache while it is used.

use super::derived::Derived;
use super::graph::Record;
use super::input::{Input, LiveKey, Workspace};
use super::print::Print;
use crate::generation::Table;
use crate::stamp::Nanos;
use crate::store::Store;
use crate::store::index::IndexStore;
use crate::store::index::env::index_key;
use crate::sys::fork::PerProcess;
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const SETS: usize = 1024;
const WAYS: usize = 8;
/// How many bytes of results are kept, and how many of one.
const BUDGET: usize = 16 << 20;
const LARGEST: usize = 256 << 10;
const LOOK_EVERY: u64 = 100_000_000;
/// How far apart the stamps of the coarse clock may be.
const TICK: Nanos = 10_000_000;

/// Where the numbers come from that the kept hits are tagged with.
#[derive(Debug)]
pub(super) struct Mark {
    table: Arc<Table>,
    slot: u32,
    /// The folder of the index.
    index: (u64, u64),
    /// By the real clock.
    looked_ns: AtomicI64,
}

impl Mark {
    fn of(store: &IndexStore, real: Nanos) -> Option<Mark> {
        let table = store.table().filter(|table| table.is_mapped())?;
        Some(Mark { table, slot: index_key().slot(), index: folder(store)?, looked_ns: AtomicI64::new(real) })
    }

    /// The number now; odd while something changes.
    #[inline]
    pub(super) fn number(&self) -> u32 {
        self.table.number(self.slot)
    }

    #[inline]
    fn is_recent(&self, real: Nanos) -> bool {
        real.abs_diff(self.looked_ns.load(Ordering::Relaxed)) < LOOK_EVERY
    }

    /// Whether table and index are still those that others find.
    #[cold]
    fn is_current(&self, store: &IndexStore, real: Nanos) -> bool {
        let same = store.table().is_some_and(|table| Arc::ptr_eq(&table, &self.table))
            && folder(store) == Some(self.index);
        if same {
            self.looked_ns.store(real, Ordering::Relaxed);
        }
        same
    }
}

fn folder(store: &IndexStore) -> Option<(u64, u64)> {
    let control = store.root().control().ok()??;
    Some(store.root().sys().stat_at(&control.dir, "index").ok()?.identity())
}

/// An input as it is looked at again and again.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) input: Input,
    /// Where it is, if it is a file.
    pub(super) file: Option<PathBuf>,
    pub(super) print: Print,
}

/// A hit.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) derived: Derived,
    /// What it is built on, directly and not; none where that was not asked.
    pub(super) ancestors: Option<Vec<(LiveKey, Record)>>,
    /// Made at the first look. No lock: a forked child would wait for the thread that was making it.
    watched: ArcSwapOption<Vec<Watched>>,
    mark: Option<(Arc<Mark>, u32)>,
    used_ns: AtomicI64,
}

impl Kept {
    pub(super) fn new(
        derived: Derived,
        ancestors: Option<Vec<(LiveKey, Record)>>,
        mark: Option<(Arc<Mark>, u32)>,
    ) -> Kept {
        Kept { derived, ancestors, watched: ArcSwapOption::empty(), mark, used_ns: AtomicI64::new(0) }
    }

    #[inline]
    fn holds(&self, store: &IndexStore, real: Nanos) -> bool {
        self.mark.as_ref().is_some_and(|(mark, tag)| {
            mark.number() == *tag && (mark.is_recent(real) || mark.is_current(store, real))
        })
    }

    /// Whether it stays at hand. What is too large does not, nor what nothing tells of a change of.
    fn may_stay(&self) -> bool {
        self.mark.is_some() && self.derived.data().len() <= LARGEST
    }

    fn take_used(&self) -> Option<(LiveKey, Nanos)> {
        let at = self.used_ns.swap(0, Ordering::Relaxed);
        (at != 0).then_some((self.derived.key, at))
    }

    /// The records to look at: its own, and those of what it is built on.
    pub(super) fn records(&self) -> impl Iterator<Item = (LiveKey, &Record)> {
        let others = self.ancestors.iter().flatten().map(|(key, record)| (*key, record));
        std::iter::once((self.derived.key, &self.derived.body.record)).chain(others)
    }

    /// All inputs, each once for each way that it looked.
    pub(super) fn watched(&self, workspace: &Workspace) -> Arc<Vec<Watched>> {
        self.watched.load_full().unwrap_or_else(|| {
            let mut rows: Vec<_> = self.records().flat_map(|(_, record)| &record.inputs).collect();
            if self.ancestors.as_ref().is_some_and(|others| !others.is_empty()) {
                rows.sort_by(|one, other| one.input.cmp(&other.input));
                rows.dedup_by(|one, other| one.input == other.input && one.print == other.print);
            }
            let watch = |row: &super::graph::Row| {
                let input = row.input()?;
                let file = match &input {
                    Input::File(path) => Some(workspace.absolute(path)),
                    _ => None,
                };
                Some(Watched { input, file, print: row.print.clone() })
            };
            let watched = Arc::new(rows.into_iter().filter_map(watch).collect());
            self.watched.store(Some(Arc::clone(&watched)));
            watched
        })
    }
}

/// Hits whose keys meet. What `tags` says is looked at first, so that few of them are touched.
#[derive(Clone, Debug, Default)]
struct Set {
    tags: [u64; WAYS],
    ways: [Option<Arc<Kept>>; WAYS],
}

impl Set {
    #[inline]
    fn find(&self, key: &LiveKey) -> Option<&Arc<Kept>> {
        let tag = word(key, 1);
        let ways = self.tags.iter().zip(&self.ways).filter(|(one, _)| **one == tag);
        ways.filter_map(|(_, kept)| kept.as_ref()).find(|kept| kept.derived.key == *key)
    }
}

#[inline]
fn word(key: &LiveKey, number: usize) -> u64 {
    let bytes = key.0.as_chunks::<8>().0[number];
    u64::from_le_bytes(bytes)
}

/// The hits.
#[derive(Debug)]
pub(super) struct Memo {
    sets: Box<[ArcSwapOption<Set>]>,
    mark: ArcSwapOption<Mark>,
    bytes: AtomicUsize,
    /// Which way of a full set goes next.
    turn: AtomicUsize,
    /// Tells uses within one tick of the clock apart.
    uses: AtomicI64,
    /// What `uses` was when they were taken last.
    taken: AtomicI64,
    /// Uses of what is not kept (any more).
    spilled: PerProcess<Mutex<HashMap<LiveKey, Nanos>>>,
}

impl Default for Memo {
    fn default() -> Self {
        let sets = (0..SETS).map(|_| ArcSwapOption::empty()).collect();
        Memo {
            sets,
            mark: ArcSwapOption::empty(),
            bytes: AtomicUsize::default(),
            turn: AtomicUsize::default(),
            uses: AtomicI64::default(),
            taken: AtomicI64::default(),
            spilled: PerProcess::default(),
        }
    }
}

impl Memo {
    #[inline]
    fn set(&self, key: &LiveKey) -> &ArcSwapOption<Set> {
        #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
        &self.sets[word(key, 0) as usize % SETS]
    }

    /// Calls `with` with what is kept of that key, if it holds.
    #[inline]
    pub(super) fn find<T>(
        &self,
        store: &IndexStore,
        key: &LiveKey,
        real: Nanos,
        with: impl FnOnce(&Arc<Kept>) -> T,
    ) -> Option<T> {
        let set = self.set(key).load();
        set.as_ref()?.find(key).filter(|kept| kept.holds(store, real)).map(with)
    }

    /// What a look at the index that begins now is tagged with; none where nothing can be kept.
    pub(super) fn mark(&self, store: &IndexStore, real: Nanos) -> Option<(Arc<Mark>, u32)> {
        let known = self.mark.load_full().filter(|m| m.is_recent(real) || m.is_current(store, real));
        let mark = match known {
            Some(mark) => mark,
            None => {
                let mark = Arc::new(Mark::of(store, real)?);
                self.mark.store(Some(Arc::clone(&mark)));
                mark
            }
        };
        let number = mark.number();
        (number & 1 == 0).then_some((mark, number))
    }

    /// Keeps a hit.
    pub(super) fn keep(&self, kept: &Arc<Kept>) {
        if !kept.may_stay() {
            return;
        }
        let size = kept.derived.data().len();
        if self.bytes.fetch_add(size, Ordering::Relaxed) + size > BUDGET {
            for set in &self.sets {
                self.gone(set.swap(None).as_deref(), None);
            }
        }
        let key = &kept.derived.key;
        let place = self.set(key);
        let mut set = place.load().as_deref().cloned().unwrap_or_default();
        let own = set.ways.iter().position(|way| way.as_ref().is_some_and(|way| way.derived.key == *key));
        let free = || set.ways.iter().position(Option::is_none);
        let at = own.or_else(free).unwrap_or_else(|| self.turn.fetch_add(1, Ordering::Relaxed) % WAYS);
        set.tags[at] = word(key, 1);
        set.ways[at] = Some(Arc::clone(kept));
        let set = Arc::new(set);
        self.gone(place.swap(Some(Arc::clone(&set))).as_deref(), Some(&set));
    }

    /// Says that it was used, within the tick of the clock that began then. Which of two uses was earlier stays known:
    /// they are stamped a nanosecond apart, after the tick, so that whatever was computed in it counts as older.
    #[inline]
    pub(super) fn touch(&self, kept: &Kept, tick: Nanos) {
        let order = self.uses.fetch_add(1, Ordering::Relaxed) % TICK;
        let at = tick.saturating_add(TICK + order);
        if kept.may_stay() {
            kept.used_ns.store(at, Ordering::Relaxed);
        } else {
            self.spill([(kept.derived.key, at)]);
        }
    }

    #[cold]
    fn spill(&self, used: impl IntoIterator<Item = (LiveKey, Nanos)>) {
        self.spilled.get().lock().unwrap_or_else(PoisonError::into_inner).extend(used);
    }

    /// Accounts for what was in a set and is not any more.
    fn gone(&self, before: Option<&Set>, after: Option<&Set>) {
        let stays = |kept: &Arc<Kept>| {
            after.is_some_and(|after| after.ways.iter().flatten().any(|other| Arc::ptr_eq(kept, other)))
        };
        let mut used = Vec::new();
        for kept in before.into_iter().flat_map(|set| set.ways.iter().flatten()).filter(|kept| !stays(kept)) {
            self.bytes.fetch_sub(kept.derived.data().len(), Ordering::Relaxed);
            used.extend(kept.take_used());
        }
        if !used.is_empty() {
            self.spill(used);
        }
    }

    /// What was used since the last time, and when.
    pub(super) fn take_used(&self) -> HashMap<LiveKey, Nanos> {
        let uses = self.uses.load(Ordering::Relaxed);
        if self.taken.swap(uses, Ordering::Relaxed) == uses {
            return HashMap::new();
        }
        let spilled = self.spilled.get();
        let mut used = std::mem::take(&mut *spilled.lock().unwrap_or_else(PoisonError::into_inner));
        for set in self.sets.iter().filter_map(ArcSwapOption::load_full) {
            used.extend(set.ways.iter().flatten().filter_map(|kept| kept.take_used()));
        }
        used
    }
}
