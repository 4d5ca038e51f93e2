//! `Cache` and `CacheOptions`: the door. Opening checks the root, writes nothing and takes no lock.

use super::Source;
use super::core::{Core, Interrupt};
use super::fetched::{Failure, Fetched, Job};
use super::many::{Progress, refresh_many};
use super::readers::Readers;
use super::refresh_state;
use super::ticket::Ticket;
use super::value::{Listed, Value};
use crate::error::{Code, Error, Result};
use crate::event::{Counters, EventKind, Events};
use crate::fs::Durability;
use crate::gate::GUESS_CAP;
use crate::key::Key;
use crate::live::Live;
use crate::quota::Quota;
use crate::stamp::instant;
use crate::store::Pruned;
use crate::store::file::FileStore;
use crate::store::index::IndexStore;
use crate::store::memory::MemoryStore;
use crate::sys::clock::{Clock, chosen};
use crate::sys::real::RealSys;
use once_cell::sync::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How a cache is opened.
///
/// ```
/// use forebay::{CacheOptions, Durability};
/// # let folder = tempfile::tempdir().unwrap();
/// let cache = CacheOptions::new().root(folder.path().join("cache")).durability(Durability::Full).open()?;
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CacheOptions {
    root: Option<PathBuf>,
    durability: Option<Durability>,
    clock: Option<Clock>,
    test_clock: Option<PathBuf>,
    memory: bool,
    sweep_age: Option<Duration>,
}

impl CacheOptions {
    /// The defaults: the user's cache folder, durability `data`, the real clock.
    #[must_use]
    pub fn new() -> CacheOptions {
        CacheOptions::default()
    }

    /// The folder that processes share.
    #[must_use]
    pub fn root(mut self, root: impl Into<PathBuf>) -> CacheOptions {
        self.root = Some(root.into());
        self
    }

    /// How well commits survive a power cut.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> CacheOptions {
        self.durability = Some(durability);
        self
    }

    /// Another clock than the real one.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> CacheOptions {
        self.clock = Some(clock);
        self
    }

    /// A clock in a file that several processes share, for tests ([`Clock::file`]).
    #[must_use]
    pub fn test_clock(mut self, path: impl Into<PathBuf>) -> CacheOptions {
        self.test_clock = Some(path.into());
        self
    }

    /// Keeps everything in this process: for programs that may not write.
    #[must_use]
    pub fn memory(mut self, memory: bool) -> CacheOptions {
        self.memory = memory;
        self
    }

    /// How old a dead writer's temporary file must be for prune to sweep it: for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn sweep_age(mut self, age: Duration) -> CacheOptions {
        self.sweep_age = Some(age);
        self
    }

    /// Opens the cache.
    ///
    /// # Errors
    /// [`Code::UnsafeRoot`], [`Code::UnsupportedFs`], [`Code::NewerFormat`]; [`Code::Invalid`] where no folder is
    /// named and the user has none.
    pub fn open(self) -> Result<Cache> {
        let clock = chosen(self.test_clock.as_deref(), self.clock)?;
        let sys = Arc::new(RealSys::new(clock));
        let durability = self.durability.unwrap_or_default();
        if self.memory {
            let store = Box::new(MemoryStore::new(Arc::<RealSys>::clone(&sys)));
            return Ok(Cache::new(Core::new(store, PathBuf::new(), durability), sys));
        }
        let root = match self.root {
            Some(root) => root,
            None => user_root()?,
        };
        let store = FileStore::open(Arc::<RealSys>::clone(&sys), &root, self.sweep_age)?;
        let root = store.root().path().to_owned();
        Ok(Cache::new(Core::new(Box::new(store), root, durability), sys))
    }
}

/// `FOREBAY_ROOT`, else the user's cache folder.
fn user_root() -> Result<PathBuf> {
    if let Some(root) = std::env::var_os("FOREBAY_ROOT").filter(|root| !root.is_empty()) {
        return Ok(root.into());
    }
    default_root("forebay").ok_or_else(|| {
        Error::new(Code::Invalid, "no cache folder: neither XDG_CACHE_HOME nor HOME names one")
            .with_hint("set FOREBAY_ROOT, or name a root when opening")
    })
}

/// The cache folder of a program: `$XDG_CACHE_HOME/<app>`, else the platform's own below `$HOME`. Relative and
/// empty variables count as unset; none where neither is there.
///
/// ```
/// assert!(forebay::default_root("my-tool").is_none_or(|root| root.ends_with("my-tool")));
/// ```
#[must_use]
pub fn default_root(app: &str) -> Option<PathBuf> {
    let below = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    user_folder("XDG_CACHE_HOME", below).map(|root| root.join(app))
}

/// The folder that the variable names, else that one below the user's home. Relative and empty variables count as
/// unset.
pub(crate) fn user_folder(variable: &str, below: &str) -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder(variable).or_else(|| Some(folder("HOME")?.join(below)))
}

/// A cache that processes share. Cheap to clone: clones are the same cache. Usable from any thread, and after a
/// fork.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Handle>);

/// What all clones of a cache share. With the last of them go the tickets that nobody pulled: these keep the
/// core alive, and the core them.
#[derive(Debug)]
struct Handle {
    core: Arc<Core>,
    sys: Arc<RealSys>,
    /// Opened when it is first used; none for a cache in memory.
    index: OnceCell<Option<Arc<IndexStore>>>,
}

impl std::ops::Deref for Handle {
    type Target = Arc<Core>;
    fn deref(&self) -> &Arc<Core> {
        &self.core
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.drop_queued();
    }
}

impl Cache {
    fn new(core: Core, sys: Arc<RealSys>) -> Cache {
        Cache(Arc::new(Handle { core: Arc::new(core), sys, index: OnceCell::new() }))
    }

    fn index(&self) -> Result<Option<Arc<IndexStore>>> {
        let index = self.0.index.get_or_try_init(|| {
            if self.0.root.as_os_str().is_empty() {
                return Ok(None);
            }
            let sys = Arc::<RealSys>::clone(&self.0.sys);
            IndexStore::open(sys, &self.0.root).map(|index| Some(Arc::new(index)))
        });
        index.cloned()
    }

    /// Opens the cache in that folder, with defaults.
    ///
    /// # Errors
    /// As [`CacheOptions::open`].
    pub fn open(root: impl AsRef<Path>) -> Result<Cache> {
        CacheOptions::new().root(root.as_ref()).open()
    }

    /// Opens the user's cache: `FOREBAY_ROOT`, else `$XDG_CACHE_HOME/forebay`, else `$HOME/.cache/forebay`.
    ///
    /// # Errors
    /// As [`CacheOptions::open`].
    pub fn open_default() -> Result<Cache> {
        CacheOptions::new().open()
    }

    /// The folder; empty for a cache in memory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// The time, by the cache's clock: what the instants of values, states and errors are compared with.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        instant(self.0.now())
    }

    /// The source written as `tier/name`. A text that is no key is refused by the source's first call.
    #[must_use]
    pub fn source(&self, key: &str) -> Source {
        Source::new(Arc::clone(&self.0.core), Key::parse(key))
    }

    /// The source of that key.
    #[must_use]
    pub fn source_of(&self, key: &Key) -> Source {
        Source::new(Arc::clone(&self.0.core), Ok(key.clone()))
    }

    /// The quota of that name, such as `usage`. A text that is no name is refused by the quota's first call.
    #[must_use]
    pub fn quota(&self, name: &str) -> Quota {
        Quota::new(Arc::clone(&self.0.core), Key::quota(name))
    }

    /// The quota of that key, as [`Cache::quotas`] lists them.
    #[must_use]
    pub fn quota_of(&self, key: &Key) -> Quota {
        Quota::new(Arc::clone(&self.0.core), Ok(key.clone()))
    }

    /// Its derived results: what holds while what it was computed from is as it was.
    ///
    /// # Errors
    /// Those of finding the current folder, which is the workspace unless another is named.
    pub fn live(&self) -> Result<Live> {
        Live::new(Arc::clone(&self.0.core), self.index()?)
    }

    /// All quotas that have a record or a gate in force, in the order of their keys. Files of other programs in the
    /// same folder are not taken for any.
    ///
    /// # Errors
    /// Those of reading.
    pub fn quotas(&self) -> Result<Vec<Key>> {
        self.0.check_open()?;
        let mut found = Vec::new();
        for key in self.0.store.quotas()? {
            let state = self.quota_of(&key).read()?;
            if state.answer.is_some() || state.recorded_error.is_some() || state.blocked.is_some() {
                found.push(key);
            }
        }
        Ok(found)
    }

    /// All sources that have a value, in the order of their keys, judged by the lifetimes recorded beside them.
    ///
    /// # Errors
    /// Those of reading.
    pub fn list(&self) -> Result<Vec<Listed>> {
        self.0.check_open()?;
        let keys = self.0.store.keys()?;
        keys.iter().map(|key| self.listed(key)).collect()
    }

    fn listed(&self, key: &Key) -> Result<Listed> {
        let source = self.source_of(key);
        let facts = self.0.store.facts(key)?;
        let value = source.judge(self.0.store.look(key)?, None);
        let state = refresh_state(facts.lease.as_ref(), facts.gate.as_ref(), self.0.now(), GUESS_CAP);
        Ok(Listed {
            key: key.clone(),
            state: value.state,
            age: value.age,
            size: value.data().map_or(0, <[u8]>::len) as u64,
            stored_at: value.stored_at(),
            phase: state.phase,
            retry_at: state.retry_at,
            validator: value.validator().map(str::to_owned),
            extra: value.extra().map(str::to_owned),
            version: value.version(),
            error: value.error.or(state.last_error),
        })
    }

    /// Removes all sources but those in `keep`, unless one is being refreshed, and sweeps what dead processes
    /// left.
    ///
    /// # Errors
    /// Those of writing; what was removed before stays so.
    pub fn prune(&self, keep: &[Key]) -> Result<Pruned> {
        self.0.check_open()?;
        let pruned = self.0.store.prune(keep)?;
        for key in &pruned.removed {
            self.0.emit(EventKind::Evicted, key, None);
        }
        Ok(pruned)
    }

    /// The next refresh that [`Source::request_refresh`] queued; none when the time is over.
    ///
    /// # Errors
    /// [`Code::Cancelled`] where `interrupt` said so, [`Code::Closed`] when the cache is closed meanwhile.
    pub fn next_refresh(
        &self,
        timeout: Option<Duration>,
        interrupt: Interrupt<'_>,
    ) -> Result<Option<Ticket>> {
        self.0.pull(timeout, interrupt)
    }

    /// Refreshes several sources side by side, at most `concurrency` at a time; results in their order.
    pub fn refresh_many<F, T, E>(
        &self,
        sources: Vec<(Source, F)>,
        concurrency: usize,
        progress: impl Fn(&Progress<'_>) + Sync,
    ) -> Vec<Result<Value>>
    where
        F: FnOnce(&Job<'_>) -> std::result::Result<T, E> + Send,
        T: Into<Fetched>,
        E: Into<Failure>,
    {
        refresh_many(sources, concurrency, &progress)
    }

    /// Readers by key: the fast path for many keys.
    #[must_use]
    pub fn readers(&self) -> Readers {
        Readers::new(self.clone())
    }

    /// How often what happened on this handle.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.bus.counters()
    }

    /// What happens on this handle from now on.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        self.0.bus.subscribe()
    }

    /// Closes the cache for all its clones: further calls are [`Code::Closed`]. With `drain`, waits that long for
    /// running refreshes first.
    ///
    /// # Errors
    /// [`Code::TimedOut`] where some still ran; it is closed all the same.
    pub fn close(&self, drain: Option<Duration>) -> Result<()> {
        let drained = drain.map_or(Ok(()), |timeout| self.0.drain(timeout, None));
        self.0.close();
        drained
    }

    /// Waits until no refresh of this process runs, at most `timeout`.
    ///
    /// # Errors
    /// [`Code::TimedOut`] where some still run, [`Code::Cancelled`] where `interrupt` said so.
    pub fn drain(&self, timeout: Duration, interrupt: Interrupt<'_>) -> Result<()> {
        self.0.drain(timeout, interrupt)
    }

    /// Runs `work` on the small pool that background refreshes use: for hosts that drive attempts themselves.
    /// Its threads block all signals, so the host's handlers run on the host's threads.
    pub fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        self.0.local.get().pool.run(work);
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}
