//! `Live`: results that hold while what they were computed from is as it was. Pulled, not pushed: a look compares
//! versions and the inputs themselves, so no watcher runs and nothing is missed. Kept in the index of the cache's root,
//! shared by all processes; several results may be built on one another.

#[cfg(feature = "testing")]
mod check;
pub(crate) mod compute;
pub(crate) mod derived;
mod graph;
pub(crate) mod here;
pub(crate) mod input;
mod look;
mod memo;
mod original;
mod print;
mod space;
pub(crate) mod ticket;
mod told;

use crate::error::{Code, Error, Result};
use crate::event::EventKind;
use crate::fs::guard::TIMEOUT;
use crate::key::Key as CacheKey;
use crate::source::Source;
use crate::source::core::{Core, SLICE};
use crate::source::fetched::Failure;
use crate::source::refresh::panicked;
use crate::store::index::IndexStore;
use crate::store::index::tables::{Read, Write};
use compute::{Compute, LiveJob, LiveStep};
use derived::{Derived, LiveListed};
use input::{Input, LiveKey, Workspace};
use print::Eye;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ticket::LiveTicket;
use told::Told;

pub use input::LiveKey as Key;
pub use original::stores::{FileStore, MemoryStore, Store};
pub use original::{FileRoot, LiveCache, LookupOutcome, Payload, PayloadMeta, hash_file};

/// How many results one transaction removes.
const BATCH: usize = 2_000;
/// How long a computation may take unless the caller says otherwise.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(600);

/// How derived results are kept and computed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveOptions {
    /// The folder that paths are relative to; none: the current one.
    pub workspace: Option<PathBuf>,
    /// How long a computation may take before another may make it too: 10 minutes.
    pub deadline: Duration,
    /// The most bytes that results may have, the least recently used going first; none: no limit.
    pub size_cap: Option<u64>,
}

impl Default for LiveOptions {
    fn default() -> Self {
        LiveOptions { workspace: None, deadline: DEFAULT_DEADLINE, size_cap: None }
    }
}

/// The derived results of a cache. Cheap to clone, usable from any thread.
///
/// ```
/// use forebay::{Cache, Failure, How, Input, LiveKey};
/// # let folder = tempfile::tempdir().unwrap();
/// # std::fs::write(folder.path().join("notes"), "one two").unwrap();
/// let cache = Cache::open(folder.path().join("cache"))?;
/// let live = cache.live()?.workspace(folder.path())?;
/// let key = LiveKey::from_bytes(b"words of notes");
/// let count = || {
///     live.get_or_compute(&key, &[Input::parse("notes")], &[], "words", |_| {
///         let text = std::fs::read_to_string(folder.path().join("notes"))?;
///         Ok::<_, std::io::Error>(text.split_whitespace().count().to_string())
///     })
/// };
/// assert_eq!((count()?.how(), count()?.how()), (How::Ran, How::Fresh));
/// std::fs::write(folder.path().join("notes"), "one two three").unwrap();
/// assert_eq!((count()?.how(), count()?.data()), (How::Ran, &b"3"[..]));
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Clone)]
pub struct Live {
    core: Arc<Core>,
    store: Option<Arc<IndexStore>>,
    workspace: Arc<Workspace>,
    options: Arc<LiveOptions>,
    /// Hits at hand; also what was used and when, until a write takes it along.
    memo: Arc<memo::Memo>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Live({})", self.workspace.root().display())
    }
}

impl Live {
    pub(crate) fn new(core: Arc<Core>, store: Option<Arc<IndexStore>>) -> Result<Live> {
        let workspace = Arc::new(Workspace::new(Path::new("."))?);
        Ok(Live { core, store, workspace, options: Arc::default(), memo: Arc::default() })
    }

    /// The folder that paths are relative to.
    ///
    /// # Errors
    /// Those of finding it.
    pub fn workspace(mut self, path: impl AsRef<Path>) -> Result<Live> {
        self.look_from(path.as_ref())?;
        Ok(self)
    }

    /// The same results, with those options.
    ///
    /// # Errors
    /// As [`Live::set_workspace`].
    pub fn with_options(mut self, options: LiveOptions) -> Result<Live> {
        if let Some(path) = &options.workspace {
            self.look_from(path)?;
        }
        self.options = Arc::new(options);
        Ok(self)
    }

    /// What is kept of hits names files of the workspace, so that begins anew.
    fn look_from(&mut self, workspace: &Path) -> Result<()> {
        self.workspace = Arc::new(Workspace::new(workspace)?);
        self.memo = Arc::default();
        Ok(())
    }

    /// How they are kept and computed.
    #[must_use]
    pub fn options(&self) -> &LiveOptions {
        &self.options
    }

    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn space(&self) -> &Workspace {
        &self.workspace
    }

    fn store(&self) -> Result<&Arc<IndexStore>> {
        self.core.check_open()?;
        self.store.as_ref().ok_or_else(|| {
            Error::new(Code::Unsupported, "a cache in memory keeps no derived results")
                .with_hint("open the cache with a root")
        })
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&dyn Read) -> Result<T>) -> Result<Option<T>> {
        self.store()?.read(read)
    }

    /// What inputs are looked at with.
    fn eye(&self) -> Eye<'_> {
        Eye { workspace: &self.workspace, now: &|| real_now(), source: self }
    }

    /// The key of the lease of a computation; events name it too.
    fn lease_key(&self, key: &LiveKey) -> Result<CacheKey> {
        CacheKey::new("live", &key.to_string())
    }

    fn emit(&self, kind: EventKind, key: &LiveKey, code: Option<Code>) {
        self.core.bus.emit_of(kind, code, || self.lease_key(key).ok());
    }

    /// Removes what is built on these nodes and does not hold any more; how many.
    fn remove_dependents(&self, nodes: &[graph::Node]) -> Result<u64> {
        let mut fallen = self.read(|tx| graph::fallen(tx, nodes))?.unwrap_or_default();
        fallen.sort_unstable();
        self.remove_fallen(&fallen)
    }

    fn remove_fallen(&self, fallen: &[graph::Fallen]) -> Result<u64> {
        self.in_batches(fallen, |tx, batch| graph::remove_fallen(tx, &self.workspace, batch))
    }

    /// As many as one transaction should remove at once; fewer where the index is full, which leaves room for little.
    fn in_batches<T>(
        &self,
        mut of: &[T],
        mut remove: impl FnMut(&mut dyn Write, &[T]) -> Result<u64>,
    ) -> Result<u64> {
        let (mut size, mut removed) = (BATCH, 0);
        while !of.is_empty() {
            let (batch, rest) = of.split_at(size.min(of.len()));
            match self.store()?.write(TIMEOUT, |tx| remove(tx, batch)) {
                Ok(number) => (removed, of) = (removed + number, rest),
                Err(error) if error.code() == Code::Full && size > 1 => size = (size / 8).max(1),
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// Looks at the inputs, before anything is computed from them.
    ///
    /// # Errors
    /// [`Code::Superseded`] where a result that it is to be built on does not hold; those of reading the inputs.
    pub fn begin(&self, key: &LiveKey, inputs: &[Input], upstreams: &[LiveKey]) -> Result<LiveTicket> {
        LiveTicket::begin(self, *key, inputs, upstreams)
    }

    /// Stores a result whose inputs are looked at only now: a change since it was computed is not noticed.
    ///
    /// # Errors
    /// As [`Live::begin`] and [`LiveTicket::commit`].
    pub fn persist(&self, key: &LiveKey, data: &[u8], kind: &str, inputs: &[Input]) -> Result<Derived> {
        self.persist_with_upstreams(key, data, kind, inputs, &[])
    }

    /// The same, built on other results.
    ///
    /// # Errors
    /// As [`Live::persist`].
    pub fn persist_with_upstreams(
        &self,
        key: &LiveKey,
        data: &[u8],
        kind: &str,
        inputs: &[Input],
        upstreams: &[LiveKey],
    ) -> Result<Derived> {
        self.begin(key, inputs, upstreams)?.commit(data, kind)
    }

    /// Begins `get_or_compute` as a state machine, for hosts that compute and wait in their own way.
    #[must_use]
    pub fn compute(&self, key: &LiveKey, inputs: &[Input], upstreams: &[LiveKey], kind: &str) -> Compute {
        Compute::new(self, *key, inputs, upstreams, kind)
    }

    /// The result, if it holds; else one process of all computes it, and the others get what it computed. The
    /// computation may ask for other results; for its own it gets [`Code::Invalid`].
    ///
    /// # Errors
    /// The computation's own, and those of [`Compute::next`].
    pub fn get_or_compute<T, E>(
        &self,
        key: &LiveKey,
        inputs: &[Input],
        upstreams: &[LiveKey],
        kind: &str,
        compute: impl FnOnce(&LiveJob) -> std::result::Result<T, E>,
    ) -> Result<Derived>
    where
        T: AsRef<[u8]>,
        E: Into<Failure>,
    {
        let mut compute = Some(compute);
        let mut way = self.compute(key, inputs, upstreams, kind);
        loop {
            match way.next()? {
                LiveStep::Done(derived) => return Ok(derived),
                LiveStep::Wait => {
                    way.wait(SLICE, None);
                }
                LiveStep::Compute => {
                    let Some((compute, job)) = compute.take().zip(way.job()) else { continue };
                    let working = job.working();
                    let result = catch_unwind(AssertUnwindSafe(|| compute(&job).map_err(Into::into)));
                    drop(working);
                    way.computed(result.unwrap_or_else(|panic| Err(panicked(&*panic))));
                }
            }
        }
    }

    /// Removes the result and all that is built on it; whether it was there.
    ///
    /// # Errors
    /// Those of writing.
    pub fn mark_dirty(&self, key: &LiveKey) -> Result<bool> {
        let there = self.store()?.write(TIMEOUT, |tx| {
            told::tell(tx, &Told::Result(*key))?;
            graph::remove(tx, &self.workspace, key)
        })?;
        self.remove_dependents(&[key.0])?;
        self.emit(EventKind::Invalidated, key, None);
        Ok(there)
    }

    /// Removes all that is built on the result, directly and not; how many. The result itself stays, unless it is
    /// built on itself.
    ///
    /// # Errors
    /// Those of writing.
    pub fn invalidate_upstream(&self, key: &LiveKey) -> Result<u64> {
        self.store()?.write(TIMEOUT, |tx| graph::invalidate(tx, &[key.0]))?;
        let removed = self.remove_dependents(&[key.0])?;
        self.emit(EventKind::Invalidated, key, None);
        Ok(removed)
    }

    /// Removes every result that was computed from the file, or from anything in the folder, and all that is built
    /// on those; how many were computed from it directly.
    ///
    /// # Errors
    /// Those of writing.
    pub fn invalidate_path(&self, path: impl AsRef<Path>) -> Result<u64> {
        self.invalidate_told(&Told::Path(self.workspace.names(path.as_ref())))
    }

    /// Removes every result that has the tag as an input, and all that is built on those; how many have it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn invalidate_tag(&self, name: &str) -> Result<u64> {
        self.invalidate_told(&Told::Tag(name.to_owned()))
    }

    /// First nothing built on the nodes holds any more; then that is counted, as of before, and removed.
    fn invalidate_told(&self, told: &Told) -> Result<u64> {
        // The nodes as of the write: what is kept until then is found, and what comes later is told.
        let tell = || {
            self.store()?.write(TIMEOUT, |tx| {
                let nodes = told.nodes(tx, &self.workspace)?;
                graph::invalidate(tx, &nodes)?;
                told::tell(tx, told)?;
                Ok(nodes)
            })
        };
        let found = self.read(|before| {
            let nodes = tell()?;
            Ok((graph::direct(before, &nodes)?, nodes))
        })?;
        let Some((direct, nodes)) = found else {
            // Nothing was ever kept, but something may be under way.
            return tell().map(|_| 0);
        };
        self.remove_dependents(&nodes)?;
        for key in &direct {
            self.emit(EventKind::Invalidated, key, None);
        }
        Ok(direct.len() as u64)
    }

    /// The kinds of results, with how many there are of each.
    ///
    /// # Errors
    /// Those of reading.
    pub fn known_kinds(&self) -> Result<Vec<(String, u64)>> {
        let mut kinds = BTreeMap::new();
        for (_, record, _) in self.read(|tx| graph::all(tx))?.unwrap_or_default() {
            *kinds.entry(record.kind).or_insert(0) += 1;
        }
        Ok(kinds.into_iter().collect())
    }

    /// How many results there are.
    ///
    /// # Errors
    /// Those of reading.
    pub fn entry_count(&self) -> Result<u64> {
        Ok(self.read(|tx| graph::results(tx))?.unwrap_or(0))
    }

    /// How many bytes they have.
    ///
    /// # Errors
    /// Those of reading.
    pub fn total_bytes(&self) -> Result<u64> {
        Ok(self.read(|tx| graph::bytes(tx))?.unwrap_or(0))
    }

    /// All results, in the order of their keys.
    ///
    /// # Errors
    /// Those of reading.
    pub fn list(&self) -> Result<Vec<LiveListed>> {
        let all = self.read(|tx| graph::all(tx))?.unwrap_or_default();
        Ok(all.iter().map(|(key, record, used)| LiveListed::new(*key, record, *used)).collect())
    }
}

impl print::Sources for Live {
    fn version(&self, key: &str) -> Result<String> {
        let of = |key: Result<CacheKey>| -> Result<String> {
            Ok(Source::new(Arc::clone(&self.core), key).read()?.version().to_string())
        };
        let named = of(CacheKey::parse(key))?;
        // As a source with an identity writes its key; the same text can be the name of another one without.
        let is_hash =
            |hash: &str| hash.len() == 16 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match key.rsplit_once('~').filter(|(_, hash)| is_hash(hash)) {
            Some((stem, hash)) => {
                let own = of(CacheKey::parse(stem).map(|key| key.with_suffix(&format!("~{hash}"))))?;
                Ok(format!("{named} {own}"))
            }
            None => Ok(named),
        }
    }
}

fn real_now() -> crate::stamp::Nanos {
    crate::stamp::stamp(std::time::SystemTime::now())
}
