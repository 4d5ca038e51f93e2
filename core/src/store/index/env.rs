//! `Environment`: one LMDB environment per root and process. A process-wide registry by device and inode hands out
//! the one handle; a forked child opens anew; a second copy of the library in one process is noticed by a lock.
//!
//! The index is not flushed at each commit: it holds what can be computed again. After another start of the machine
//! without a clean close its pages cannot be trusted, and it is made anew, as it is where LMDB says it is damaged.

use super::presence;
use super::tables::{Read, Table, Visit, Write, full};
use crate::error::{Code, Error, Result};
use crate::fs::guard::{Section, TIMEOUT};
use crate::fs::root::{Root, nonce};
use crate::fs::temp;
use crate::key::Key;
use crate::sys::fork::{Held, PerProcess, forks};
use crate::sys::{Fd, absent};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Address space for the map; where so much cannot be had, less is tried.
const MAP_SIZES: [usize; 3] = [1 << 36, 1 << 33, 1 << 30];
/// How many read transactions all processes may have at once.
const READERS: u32 = 1024;
/// After so many writes of a process, readers that were killed are looked for.
const CHECKED: u64 = 256;
/// Room that only removing may use, so that a full index can be emptied: an eighth of the map, at most this.
const RESERVE: usize = 64 << 20;
const STATE: &str = "state";
const INDEX: &str = "index";

type Pairs = Database<'static, Bytes, Bytes>;
type Registry = Mutex<HashMap<(u64, u64), &'static Environment>>;

static OPEN: LazyLock<PerProcess<Registry>> = LazyLock::new(PerProcess::default);

/// The maps of this process, and those that a forked child has of its parent: path, address, number of forks.
static MAPPED: Mutex<Vec<(PathBuf, usize, u64)>> = Mutex::new(Vec::new());

/// An open environment. It stays mapped for the life of the process.
pub(crate) struct Environment {
    env: &'static Env<WithoutTls>,
    pairs: Pairs,
    path: PathBuf,
    folder: Fd,
    /// Of the folder.
    identity: (u64, u64),
    users: Mutex<usize>,
    /// Whether this process has said that the pages are changing.
    said: AtomicBool,
    writes: AtomicU64,
    /// Held for as long as the process has it open, so that a second copy of the library notices.
    presence: Held,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({})", self.path.display())
    }
}

/// Whether the pages on disk can be trusted after another start of the machine.
#[derive(Default, Serialize, Deserialize)]
struct State {
    boot: String,
    clean: bool,
    /// The file with the pages. Each index has a name of its own for it, because LMDB's wrapper refuses to open one
    /// path twice, also where the first was removed meanwhile.
    data: String,
}

/// A use of an environment. When the last one goes, the environment is flushed and said to be clean.
#[derive(Debug)]
pub(crate) struct Handle {
    environment: &'static Environment,
    root: Arc<Root>,
}

impl std::ops::Deref for Handle {
    type Target = Environment;
    fn deref(&self) -> &Environment {
        self.environment
    }
}

/// The key whose slot moves with each change of the index, and whose guard its writers hold.
pub(crate) fn index_key() -> Key {
    Key::index()
}

fn lmdb(doing: &str, path: &Path, error: heed::Error) -> Error {
    match error {
        heed::Error::Io(error) => Error::io(doing, path, &error),
        heed::Error::Mdb(heed::MdbError::MapFull) => {
            Error::new(Code::Full, format!("cannot {doing}: the index is full"))
                .with_path(path)
                .with_hint("evict what is not needed (forebay live gc), or remove the folder")
        }
        heed::Error::Mdb(error) if is_damage(error) => {
            Error::new(Code::Damaged, format!("cannot {doing}: {error}"))
                .with_path(path)
                .with_hint("remove that folder: it holds only what can be computed again")
        }
        other => Error::new(Code::Io, format!("cannot {doing}: {other}"))
            .with_path(path)
            .with_hint("remove that folder: it holds only what can be computed again"),
    }
}

fn is_damage(error: heed::MdbError) -> bool {
    use heed::MdbError::{BadTxn, Corrupted, Invalid, PageNotFound, Panic, VersionMismatch};
    matches!(error, BadTxn | Corrupted | Invalid | PageNotFound | Panic | VersionMismatch)
}

impl Handle {
    /// Opens the environment of a root. None where it was never made and `make` is false.
    pub(crate) fn open(root: &Arc<Root>, make: bool) -> Result<Option<Handle>> {
        let mut control = if make { Some(root.make_control()?) } else { root.control()? };
        if control.as_ref().is_some_and(|control| root.was_removed(&control.dir)) {
            root.forget();
            control = if make { Some(root.make_control()?) } else { root.control()? };
        }
        let Some(control) = control else { return Ok(None) };
        let path = root.path().join(".forebay").join(INDEX);
        let io = |error: std::io::Error| Error::io("open the index", &path, &error);
        let sys = root.sys();
        // The registry first: two threads that open it together open it once.
        let registry = OPEN.get();
        let mut registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match absent(sys.open_folder(&control.dir, INDEX)).map_err(io)? {
            None if !make => return Ok(None),
            None => None,
            Some(folder) => Some(sys.stat(&folder).map_err(io)?.identity()),
        };
        if let Some(environment) = found.and_then(|identity| registry.get(&identity)) {
            *environment.users.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            return Ok(Some(Handle { environment, root: Arc::clone(root) }));
        }
        let key = index_key();
        let _section = Section::enter(root, &key, TIMEOUT)?;
        let environment = match first(root, &control.dir, &path) {
            Err(error) if error.code() == Code::Damaged => {
                discard(root, &control.dir, &path)?;
                first(root, &control.dir, &path)?
            }
            other => other?,
        };
        let environment: &'static Environment = Box::leak(Box::new(environment));
        registry.insert(environment.identity, environment);
        Ok(Some(Handle { environment, root: Arc::clone(root) }))
    }

    /// Whether it is still the one that others find in the root: people may remove a cache at any time.
    pub(crate) fn is_current(&self) -> bool {
        let there = || -> Option<(u64, u64)> {
            let control = self.root.control().ok()??;
            Some(self.root.sys().stat_at(&control.dir, INDEX).ok()?.identity())
        };
        there() == Some(self.environment.identity)
    }

    /// Changes it. Only under the guard of the index's key. An error changes nothing.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Writing<'_>) -> Result<T>) -> Result<T> {
        if !self.environment.said.load(Ordering::Acquire) {
            self.environment.say(&self.root, false)?;
        }
        self.environment.write(write)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A forked child's copy of its parent's: the pages are not the child's to flush.
        if self.environment.presence.inherited() {
            return;
        }
        let mut users = self.environment.users.lock().unwrap_or_else(PoisonError::into_inner);
        *users = users.saturating_sub(1);
        if *users == 0 && self.is_current() {
            let _ = self.environment.say_clean(&self.root);
        }
    }
}

/// The first opening in this process, under the guard.
fn first(root: &Root, control: &Fd, path: &Path) -> Result<Environment> {
    let io = |error: std::io::Error| Error::io("open the index", path, &error);
    let (folder, data) = prepare(root, control, path)?;
    let identity = root.sys().stat(&folder).map_err(io)?.identity();
    let presence = presence::announce(root, &folder, path)?;
    map(&path.join(data), |env, pairs| Environment {
        env,
        pairs,
        path: path.to_owned(),
        folder,
        identity,
        users: Mutex::new(1),
        said: AtomicBool::new(false),
        writes: AtomicU64::new(1),
        presence,
    })
}

/// The folder and the name of the file with the pages; made where it is missing, made anew where its pages cannot be
/// trusted. Under the guard.
fn prepare(root: &Root, control: &Fd, path: &Path) -> Result<(Fd, String)> {
    let sys = root.sys();
    let io = |error: std::io::Error| Error::io("make the index", path, &error);
    if let Some(folder) = absent(sys.open_folder(control, INDEX)).map_err(io)? {
        let state = read_state(root, &folder).map_err(io)?;
        let trusted = state.boot == sys.process().boot || state.clean;
        // Whoever has it open has not met a power cut, whatever names this machine's starts go by.
        if !state.data.is_empty() && (trusted || presence::others(root, &folder).map_err(io)?) {
            return Ok((folder, state.data));
        }
        discard(root, control, path)?;
    }
    let folder = make(root, control, path)?;
    let state =
        State { boot: sys.process().boot.clone(), clean: false, data: format!("data.{}", nonce(sys)) };
    write_state(root, &folder, &state).map_err(io)?;
    Ok((folder, state.data))
}

fn make(root: &Root, control: &Fd, path: &Path) -> Result<Fd> {
    let io = |error: std::io::Error| Error::io("make the index", path, &error);
    root.sys().make_folder(control, INDEX).map_err(io)?;
    root.sys().open_folder(control, INDEX).map_err(io)
}

/// Out of the way, at once; then removed.
fn discard(root: &Root, control: &Fd, path: &Path) -> Result<()> {
    let sys = root.sys();
    let io = |error: std::io::Error| Error::io("remove the index", path, &error);
    let folder = sys.open_folder(control, INDEX).map_err(io)?;
    let aside = format!(".{INDEX}.{}", nonce(sys));
    sys.rename(control, INDEX, &aside).map_err(io)?;
    for name in sys.list(&folder).map_err(io)? {
        let _ = sys.unlink(&folder, &name);
    }
    let _ = sys.remove_folder(control, &aside);
    Ok(())
}

/// What cannot be read, or is not there, was torn by a power cut or by a death: nothing is trusted then.
fn read_state(root: &Root, folder: &Fd) -> std::io::Result<State> {
    let sys = root.sys();
    let Some(fd) = absent(sys.open(folder, STATE))? else { return Ok(State::default()) };
    let bytes = sys.read(&fd, 128, 4096)?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

fn write_state(root: &Root, folder: &Fd, state: &State) -> std::io::Result<()> {
    let bytes = serde_json::to_vec(state).unwrap_or_default();
    temp::publish(root.sys(), folder, STATE, &bytes, crate::fs::Durability::Full).map(drop)
}

/// In a forked child: lets go of the parent's map of that path, which LMDB forbids to use there.
fn forget_parents_map(path: &Path) {
    // Another thread may have held it at the fork; then the child cannot open the index, and says so.
    let Ok(mut mapped) = MAPPED.try_lock() else { return };
    let now = forks();
    mapped.retain(|(of, address, then)| {
        let inherited = of == path && *then != now;
        if inherited {
            // SAFETY: the address is that of a leaked box, made by `map` in an ancestor of this process. What
            // refers to it in this process is kept per process and forgotten after a fork, so nothing uses it.
            drop(unsafe { Box::from_raw(*address as *mut Env<WithoutTls>) });
        }
        !inherited
    });
}

/// Maps the file; what is made of it knows the environment.
fn map(
    path: &Path,
    make: impl FnOnce(&'static Env<WithoutTls>, Pairs) -> Environment,
) -> Result<Environment> {
    forget_parents_map(path);
    let mut last = None;
    for size in map_sizes() {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(size).max_readers(READERS);
        // SAFETY: the folder is ours alone, checked by the root; the registry opens it once per process, and every
        // writer of any process holds the same guard. Without a flush at each commit a power cut may leave pages
        // that cannot be read; then the folder is made anew before it is mapped (`prepare`).
        let opened = unsafe {
            let lazy = EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC | EnvFlags::NO_READ_AHEAD;
            options.flags(lazy | EnvFlags::NO_SUB_DIR);
            options.open(path)
        };
        match opened {
            Ok(env) => {
                let env: &'static Env<WithoutTls> = Box::leak(Box::new(env));
                if let Ok(mut mapped) = MAPPED.try_lock() {
                    mapped.push((path.to_owned(), std::ptr::from_ref(env) as usize, forks()));
                }
                let fail = |error| lmdb("open the index", path, error);
                close_at_exec(env).map_err(fail)?;
                // Readers that were killed keep pages from being used again.
                env.clear_stale_readers().map_err(fail)?;
                return Ok(make(env, pairs_of(env).map_err(fail)?));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(lmdb("open the index", path, last.unwrap_or(heed::Error::EnvAlreadyOpened)))
}

/// The address spaces to try; in test builds `FOREBAY_INDEX_MAP` sets how many bytes, so that a map can be full.
fn map_sizes() -> Vec<usize> {
    #[cfg(feature = "testing")]
    if let Some(size) = std::env::var("FOREBAY_INDEX_MAP").ok().and_then(|size| size.parse().ok()) {
        return vec![size];
    }
    MAP_SIZES.to_vec()
}

/// LMDB leaves its data file open to the programs that this process starts; they must not have it.
fn close_at_exec(env: &Env<WithoutTls>) -> heed::Result<()> {
    let own = env.try_clone_inner_file()?.metadata()?;
    for entry in std::fs::read_dir("/dev/fd")?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // SAFETY: it is only asked what it is, and marked if it is the environment's, which stays open. A number that
        // another thread closed meanwhile is an error, and one that it used again is not this file.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        if rustix::fs::fstat(fd).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (own.dev(), own.ino())) {
            rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC).map_err(std::io::Error::from)?;
        }
    }
    Ok(())
}

/// The unnamed database is always there, so opening it writes nothing.
fn pairs_of(env: &'static Env<WithoutTls>) -> heed::Result<Pairs> {
    let opened = env.open_databases_and_commit(env.read_txn()?, |opener, transaction| {
        opener.open_database(transaction, None).map(CommitOrAbort::<Option<Pairs>, ()>::Commit)
    })?;
    opened.commit().flatten().ok_or(heed::Error::EnvAlreadyOpened)
}

impl Environment {
    /// Says whether the pages are whole on disk, before the first change of this process and after a flush.
    fn say(&self, root: &Root, clean: bool) -> Result<()> {
        let io = |error: std::io::Error| Error::io("write the index", &self.path, &error);
        let state = read_state(root, &self.folder).map_err(io)?;
        let boot = root.sys().process().boot.clone();
        if state.clean != clean || state.boot != boot {
            write_state(root, &self.folder, &State { boot, clean, ..state }).map_err(io)?;
        }
        self.said.store(!clean, Ordering::Release);
        Ok(())
    }

    /// Flushes, and says so, unless another process has it open too.
    fn say_clean(&self, root: &Root) -> Result<()> {
        let key = index_key();
        let _section = Section::enter(root, &key, TIMEOUT)?;
        let io = |error: std::io::Error| Error::io("close the index", &self.path, &error);
        let clean = read_state(root, &self.folder).map_err(io)?.clean;
        if clean || presence::others(root, &self.folder).map_err(io)? {
            return Ok(());
        }
        self.env.force_sync().map_err(|error| lmdb("flush the index", &self.path, error))?;
        self.say(root, true)
    }

    /// Where readers that were killed are in the way, without them; else as it is.
    fn again<T>(&self, call: impl Fn() -> heed::Result<T>) -> heed::Result<T> {
        match call() {
            Err(heed::Error::Mdb(heed::MdbError::ReadersFull)) if self.env.clear_stale_readers()? > 0 => {
                call()
            }
            other => other,
        }
    }

    /// Reads, as of now. Keep it short: while it lasts no page is used again.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Reading<'_>) -> Result<T>) -> Result<T> {
        let transaction =
            self.again(|| self.env.read_txn()).map_err(|error| lmdb("read the index", &self.path, error))?;
        read(&Reading { environment: self, transaction })
    }

    fn write<T>(&self, write: impl FnOnce(&mut Writing<'_>) -> Result<T>) -> Result<T> {
        let fail = |error| lmdb("write the index", &self.path, error);
        let transaction = self.env.write_txn().map_err(fail)?;
        let mut writing = Writing { environment: self, transaction, tight: self.is_tight() };
        let result = write(&mut writing)?;
        writing.transaction.commit().map_err(fail)?;
        if self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(CHECKED) {
            // A reader that was killed would keep the pages of its time for ever.
            self.env.clear_stale_readers().map_err(fail)?;
        }
        Ok(result)
    }

    /// Whether the pages in use leave only what is reserved.
    fn is_tight(&self) -> bool {
        let (stat, map) = (self.env.unnamed_database_stat(), self.env.info().map_size);
        let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        pages.saturating_mul(stat.page_size as usize) > map - (map / 8).min(RESERVE)
    }

    fn find<'t>(&self, transaction: &'t RoTxn<'_>, table: Table, key: &[u8]) -> Result<Option<&'t [u8]>> {
        let found = self.pairs.get(transaction, &full(table, key));
        found.map_err(|error| lmdb("read the index", &self.path, error))
    }

    fn visit(
        &self,
        transaction: &RoTxn<'_>,
        table: Table,
        prefix: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        let fail = |error| lmdb("read the index", &self.path, error);
        for pair in self.pairs.prefix_iter(transaction, &full(table, prefix)).map_err(fail)? {
            let (key, value) = pair.map_err(fail)?;
            if !visit(key.get(1..).unwrap_or_default(), value)? {
                break;
            }
        }
        Ok(())
    }
}

/// A read transaction.
pub(crate) struct Reading<'e> {
    environment: &'e Environment,
    transaction: RoTxn<'e, WithoutTls>,
}

impl Read for Reading<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.environment.find(&self.transaction, table, key)?.map(<[u8]>::to_vec))
    }

    fn scan(&self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        self.environment.visit(&self.transaction, table, prefix, visit)
    }
}

/// A write transaction.
pub(crate) struct Writing<'e> {
    environment: &'e Environment,
    transaction: RwTxn<'e>,
    tight: bool,
}

impl Read for Writing<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.environment.find(&self.transaction, table, key)?.map(<[u8]>::to_vec))
    }

    fn scan(&self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        self.environment.visit(&self.transaction, table, prefix, visit)
    }
}

impl Write for Writing<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        let fail = |error| lmdb("write the index", &self.environment.path, error);
        if self.tight && matches!(table, Table::Value | Table::Derived) {
            return Err(fail(heed::Error::Mdb(heed::MdbError::MapFull)));
        }
        let put = self.environment.pairs.put(&mut self.transaction, &full(table, key), value);
        put.map_err(fail)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        let deleted = self.environment.pairs.delete(&mut self.transaction, &full(table, key));
        deleted.map(drop).map_err(|error| lmdb("write the index", &self.environment.path, error))
    }
}
