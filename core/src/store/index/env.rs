//! `Environment`: one LMDB environment per root and process. A process-wide registry by device and inode hands out
//! the one handle; a forked child opens anew; a second copy of the library in one process is noticed by a lock.
//!
//! The index is not flushed at each commit: it holds what can be computed again. After another start of the machine
//! without a clean close its pages cannot be trusted, and it is made anew.

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
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Address space for the map; where so much cannot be had, less is tried.
const MAP_SIZES: [usize; 3] = [1 << 36, 1 << 33, 1 << 30];
/// How many read transactions all processes may have at once.
const READERS: u32 = 1024;
const STATE: &str = "state";
const PRESENCE: &str = "open.";

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
    users: Mutex<usize>,
    /// Held for as long as the process has it open, so that a second copy of the library notices.
    _presence: Held,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({})", self.path.display())
    }
}

/// Whether the pages on disk can be trusted after another start of the machine.
#[derive(Serialize, Deserialize)]
struct State {
    boot: String,
    clean: bool,
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
        other => Error::new(Code::Io, format!("cannot {doing}: {other}"))
            .with_path(path)
            .with_hint("remove that folder: it holds only what can be computed again"),
    }
}

impl Handle {
    /// Opens the environment of a root. None where it was never made and `make` is false.
    pub(crate) fn open(root: &Arc<Root>, make: bool) -> Result<Option<Handle>> {
        let Some(control) = (if make { Some(root.make_control()?) } else { root.control()? }) else {
            return Ok(None);
        };
        let path = root.path().join(".forebay").join("index");
        let io = |error: std::io::Error| Error::io("open the index", &path, &error);
        let sys = root.sys();
        // The registry first: two threads that open it together open it once.
        let registry = OPEN.get();
        let mut registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match absent(sys.open_folder(&control.dir, "index")).map_err(io)? {
            None if !make => return Ok(None),
            None => None,
            Some(folder) => Some(sys.stat(&folder).map_err(io)?.identity()),
        };
        if let Some(environment) = found.and_then(|identity| registry.get(&identity)) {
            environment.join(root)?;
            return Ok(Some(Handle { environment, root: Arc::clone(root) }));
        }
        let key = index_key();
        let _section = Section::enter(root, &key, TIMEOUT)?;
        let folder = prepare(root, &control.dir, &path)?;
        let identity = sys.stat(&folder).map_err(io)?.identity();
        let presence = announce(root, &folder, &path)?;
        let environment: &'static Environment = Box::leak(Box::new(map(folder, presence, path)?));
        registry.insert(identity, environment);
        Ok(Some(Handle { environment, root: Arc::clone(root) }))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut users = self.environment.users.lock().unwrap_or_else(PoisonError::into_inner);
        *users = users.saturating_sub(1);
        if *users == 0 {
            let _ = self.environment.say_clean(&self.root);
        }
    }
}

/// The folder, made where it is missing; made anew where its pages cannot be trusted. Under the guard.
fn prepare(root: &Root, control: &Fd, path: &Path) -> Result<Fd> {
    let sys = root.sys();
    let io = |error: std::io::Error| Error::io("make the index", path, &error);
    let here = &sys.process().boot;
    if let Some(folder) = absent(sys.open_folder(control, "index")).map_err(io)? {
        let state = read_state(root, &folder).map_err(io)?;
        let trusted = state.is_none_or(|state| state.boot == *here || state.clean);
        if trusted {
            write_state(root, &folder, false).map_err(io)?;
            return Ok(folder);
        }
        let aside = format!(".index.{}", nonce(sys));
        sys.rename(control, "index", &aside).map_err(io)?;
        for name in sys.list(&folder).map_err(io)? {
            let _ = sys.unlink(&folder, &name);
        }
        let _ = sys.remove_folder(control, &aside);
    }
    sys.make_folder(control, "index").map_err(io)?;
    let folder = sys.open_folder(control, "index").map_err(io)?;
    write_state(root, &folder, false).map_err(io)?;
    Ok(folder)
}

fn read_state(root: &Root, folder: &Fd) -> std::io::Result<Option<State>> {
    let sys = root.sys();
    let Some(fd) = absent(sys.open(folder, STATE))? else { return Ok(None) };
    let bytes = sys.read(&fd, 128, 4096)?;
    // What cannot be read was torn by a power cut.
    Ok(Some(serde_json::from_slice(&bytes).unwrap_or(State { boot: String::new(), clean: false })))
}

fn write_state(root: &Root, folder: &Fd, clean: bool) -> std::io::Result<()> {
    let sys = root.sys();
    let state = State { boot: sys.process().boot.clone(), clean };
    let bytes = serde_json::to_vec(&state).unwrap_or_default();
    temp::publish(sys, folder, STATE, &bytes, crate::fs::Durability::Full).map(drop)
}

/// Takes the lock that tells another copy of the library in this process that the environment is open, and sweeps
/// those of processes that ended.
fn announce(root: &Root, folder: &Fd, path: &Path) -> Result<Held> {
    let sys = root.sys();
    let io = |error: std::io::Error| Error::io("open the index", path, &error);
    let name = format!("{PRESENCE}{}", sys.process().pid);
    for other in
        sys.list(folder).map_err(io)?.iter().filter(|file| file.starts_with(PRESENCE) && **file != name)
    {
        if let Ok(fd) = sys.open_writable(folder, other)
            && sys.try_lock(&fd, true).unwrap_or(false)
        {
            let _ = sys.unlink(folder, other);
        }
    }
    let fd = match sys.create(folder, &name) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => sys.open_writable(folder, &name),
        other => other,
    };
    let held = Held::new(fd.map_err(io)?);
    let locked = match held.fd() {
        Some(fd) => sys.try_lock(fd, true).map_err(io)?,
        None => false,
    };
    if locked {
        return Ok(held);
    }
    Err(Error::new(Code::Unsupported, "another copy of forebay in this process has the index open")
        .with_path(path)
        .with_hint("load one copy only, or give each a root of its own"))
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

fn map(folder: Fd, presence: Held, path: PathBuf) -> Result<Environment> {
    forget_parents_map(&path);
    let mut last = None;
    for size in MAP_SIZES {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(size).max_readers(READERS);
        // SAFETY: the folder is ours alone, checked by the root; the registry opens it once per process, and every
        // writer of any process holds the same guard. Without a flush at each commit a power cut may leave pages
        // that cannot be read; then the folder is made anew before it is mapped (`prepare`).
        let opened = unsafe {
            options.flags(EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC | EnvFlags::NO_READ_AHEAD);
            options.open(&path)
        };
        match opened {
            Ok(env) => {
                let env: &'static Env<WithoutTls> = Box::leak(Box::new(env));
                if let Ok(mut mapped) = MAPPED.try_lock() {
                    mapped.push((path.clone(), std::ptr::from_ref(env) as usize, forks()));
                }
                let pairs = pairs_of(env).map_err(|error| lmdb("open the index", &path, error))?;
                return Ok(Environment {
                    env,
                    pairs,
                    path,
                    folder,
                    users: Mutex::new(1),
                    _presence: presence,
                });
            }
            Err(error) => last = Some(error),
        }
    }
    Err(lmdb("open the index", &path, last.unwrap_or(heed::Error::EnvAlreadyOpened)))
}

fn pairs_of(env: &'static Env<WithoutTls>) -> heed::Result<Pairs> {
    let made = env.create_databases_and_commit(env.write_txn()?, |opener, transaction| {
        opener.create_database(transaction, None).map(CommitOrAbort::<Pairs, ()>::Commit)
    })?;
    made.commit().ok_or(heed::Error::EnvAlreadyOpened)
}

impl Environment {
    /// One user more. The first after none says that the pages are changing again.
    fn join(&self, root: &Root) -> Result<()> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if *users == 0 {
            let key = index_key();
            let _section = Section::enter(root, &key, TIMEOUT)?;
            write_state(root, &self.folder, false)
                .map_err(|error| Error::io("open the index", &self.path, &error))?;
        }
        *users += 1;
        Ok(())
    }

    /// Flushes, and says so, unless another process has it open too.
    fn say_clean(&self, root: &Root) -> Result<()> {
        let key = index_key();
        let _section = Section::enter(root, &key, TIMEOUT)?;
        let io = |error: std::io::Error| Error::io("close the index", &self.path, &error);
        let sys = root.sys();
        let own = format!("{PRESENCE}{}", sys.process().pid);
        for other in sys.list(&self.folder).map_err(io)?.iter().filter(|name| name.starts_with(PRESENCE)) {
            let free = sys.open(&self.folder, other).and_then(|fd| sys.try_lock(&fd, false));
            if *other != own && !free.unwrap_or(false) {
                return Ok(());
            }
        }
        self.env.force_sync().map_err(|error| lmdb("flush the index", &self.path, error))?;
        write_state(root, &self.folder, true).map_err(io)
    }

    /// Reads, as of now. Keep it short: while it lasts no page is used again.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Reading<'_>) -> Result<T>) -> Result<T> {
        let transaction = self.env.read_txn().map_err(|error| lmdb("read the index", &self.path, error))?;
        read(&Reading { environment: self, transaction })
    }

    /// Changes it. Only under the guard of the index's key. An error changes nothing.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Writing<'_>) -> Result<T>) -> Result<T> {
        let fail = |error| lmdb("write the index", &self.path, error);
        let transaction = self.env.write_txn().map_err(fail)?;
        let mut writing = Writing { environment: self, transaction };
        let result = write(&mut writing)?;
        writing.transaction.commit().map_err(fail)?;
        Ok(result)
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
        let put = self.environment.pairs.put(&mut self.transaction, &full(table, key), value);
        put.map_err(|error| lmdb("write the index", &self.environment.path, error))
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        let deleted = self.environment.pairs.delete(&mut self.transaction, &full(table, key));
        deleted.map(drop).map_err(|error| lmdb("write the index", &self.environment.path, error))
    }
}
