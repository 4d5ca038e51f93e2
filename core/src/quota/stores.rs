//! `CacheStore`, `LockStore` and `Lock`: record and gate one at a time, under the names of the original program, for
//! programs that decide themselves what to do with them. They share the files with [`Quota`](crate::Quota).

use super::record::CachedUsage;
use crate::entry::Lifetime;
use crate::error::{Code, Error, Result};
use crate::fs::Durability;
use crate::gate::lock::{code_of, tag_of};
use crate::gate::{DECLARED_CAP, Gate};
use crate::key::Key;
use crate::store::file::FileStore;
use crate::store::{About, Draft, Store};
use crate::sys::clock::Clock;
use crate::sys::real::RealSys;
use once_cell::sync::OnceCell;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The name of the original program's files.
const DEFAULT_NAME: &str = "usage";

/// Where the files of one quota are; opened when first used.
#[derive(Debug)]
struct Place {
    root: PathBuf,
    name: String,
    identity: String,
    store: OnceCell<FileStore>,
}

impl Place {
    fn new(root: PathBuf) -> Place {
        Place { root, name: DEFAULT_NAME.to_owned(), identity: String::new(), store: OnceCell::new() }
    }

    fn key(&self) -> Result<Key> {
        Ok(Key::quota(&self.name)?.with_identity(&self.identity))
    }

    fn path(&self, ending: &str) -> PathBuf {
        let stem = self.key().map_or_else(|_| String::new(), |key| key.stem().to_owned());
        self.root.join(format!("{stem}.{ending}"))
    }

    fn store(&self) -> Result<&FileStore> {
        self.store
            .get_or_try_init(|| FileStore::open(Arc::new(RealSys::new(Clock::real())), &self.root, None))
    }
}

/// Reads and writes the record of a quota: `<root>/usage.json`.
///
/// ```
/// use forebay::{CachedUsage, CacheStore};
/// # let folder = tempfile::tempdir().unwrap();
/// let store = CacheStore::new(folder.path().join("my-tool"));
/// store.write(&CachedUsage::with_data(serde_json::json!({"used": 42})))?;
/// assert_eq!(store.read()?.unwrap().data.unwrap()["used"], 42);
/// store.clear()?;
/// assert!(store.read()?.is_none());
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Debug)]
pub struct CacheStore(Place);

impl CacheStore {
    /// The record in that folder, which need not exist yet.
    #[must_use]
    pub fn new(root: PathBuf) -> CacheStore {
        CacheStore(Place::new(root))
    }

    /// With another name than `usage`.
    #[must_use]
    pub fn name(mut self, name: &str) -> CacheStore {
        name.clone_into(&mut self.0.name);
        self
    }

    /// For one account.
    #[must_use]
    pub fn identity(mut self, identity: &str) -> CacheStore {
        identity.clone_into(&mut self.0.identity);
        self
    }

    /// The file of the record.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.0.path("json")
    }

    /// The record; none where there is none that this version understands: absent, empty, not UTF-8, not JSON,
    /// another schema. One from the future is returned too: whether it is fresh is for the caller to say.
    ///
    /// # Errors
    /// Those of reading, such as [`Code::Permission`].
    pub fn read(&self) -> Result<Option<CachedUsage>> {
        let look = self.0.store()?.look(&self.0.key()?)?;
        Ok(look.entry.and_then(|entry| CachedUsage::parse(&entry.data)))
    }

    /// Writes the record, atomically, readable for its owner only; makes the folder where it is missing.
    ///
    /// # Errors
    /// Those of writing; the old record stays then.
    pub fn write(&self, entry: &CachedUsage) -> Result<()> {
        let data = pretty(entry)?;
        let about = About {
            validator: None,
            extra: None,
            lifetime: Lifetime::default(),
            durability: Durability::default(),
        };
        self.0.store()?.put(&self.0.key()?, &Draft { data: &data, about }).map(drop)
    }

    /// Removes the record. None there is fine. A fetch that is running is not stored any more.
    ///
    /// # Errors
    /// Those of writing.
    pub fn clear(&self) -> Result<()> {
        self.0.store()?.remove(&self.0.key()?, Durability::default()).map(drop)
    }
}

/// Until when nobody may fetch, as the original program writes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lock {
    /// Seconds since the epoch.
    pub blocked_until: i64,
    /// Why, in the original's words: `RateLimited`, `Unauthorized`, `Timeout`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Reads and writes the gate of a quota: `<root>/usage.lock`.
///
/// ```
/// use forebay::{Lock, LockStore};
/// # let folder = tempfile::tempdir().unwrap();
/// let store = LockStore::new(folder.path().join("my-tool"));
/// let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
/// store.write(&Lock { blocked_until: now + 600, error: Some("RateLimited".into()) })?;
/// store.write(&Lock { blocked_until: now + 30, error: Some("Timeout".into()) })?;
/// assert_eq!(store.read()?.unwrap().blocked_until, now + 600);
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Debug)]
pub struct LockStore(Place);

impl LockStore {
    /// The gate in that folder, which need not exist yet.
    #[must_use]
    pub fn new(root: PathBuf) -> LockStore {
        LockStore(Place::new(root))
    }

    /// With another name than `usage`.
    #[must_use]
    pub fn name(mut self, name: &str) -> LockStore {
        name.clone_into(&mut self.0.name);
        self
    }

    /// For one account.
    #[must_use]
    pub fn identity(mut self, identity: &str) -> LockStore {
        identity.clone_into(&mut self.0.identity);
        self
    }

    /// The file of the gate.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.0.path("lock")
    }

    /// The gate; none where there is no file. It ends at the latest 24 hours after it was written; a file that holds
    /// no JSON, 30 seconds after; one that was written in the future bars nothing.
    ///
    /// # Errors
    /// Those of reading, such as [`Code::Permission`].
    pub fn read(&self) -> Result<Option<Lock>> {
        let store = self.0.store()?;
        let gate = store.facts(&self.0.key()?)?.gate;
        let now = store.clock().wall_ns();
        Ok(gate.map(|gate| Lock {
            blocked_until: gate.barred_until(now, DECLARED_CAP).map_or_else(
                || gate.blocked_until.min(now.div_euclid(1_000_000_000)),
                |until| until.saturating_add(999_999_999).div_euclid(1_000_000_000),
            ),
            error: gate.reason().map(|code| tag_of(code).to_owned()),
        }))
    }

    /// Writes the gate, atomically. One that is in force and ends later stays, so that a short wait never ends a long
    /// one; [`LockStore::clear`] does.
    ///
    /// # Errors
    /// Those of writing; the old gate stays then.
    pub fn write(&self, lock: &Lock) -> Result<()> {
        let store = self.0.store()?;
        let now = store.clock().wall_ns();
        let until = lock.blocked_until.saturating_mul(1_000_000_000);
        let wait = Duration::from_nanos(u64::try_from(until.saturating_sub(now)).unwrap_or(0));
        let code = lock.error.as_deref().map_or(Code::Gated, code_of);
        let made = store.bar(&self.0.key()?, Durability::default(), &|previous| {
            Gate::blocked(previous, wait, (code, ""), now, DECLARED_CAP)
        });
        made.map(drop)
    }

    /// Removes the gate. None there is fine.
    ///
    /// # Errors
    /// Those of writing.
    pub fn clear(&self) -> Result<()> {
        self.0.store()?.unbar(&self.0.key()?, Durability::default()).map(drop)
    }
}

fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value)
        .map_err(|error| Error::new(Code::Invalid, format!("cannot be written as JSON: {error}")))
}

/// Writes a value as pretty JSON: under a temporary name in the same folder, flushed, renamed; readable for its
/// owner only. The folder is made where it is missing.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("deep/state.json");
/// forebay::atomic_write_json(&path, &serde_json::json!({"a": 1}))?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n  \"a\": 1\n}");
/// # Ok::<(), forebay::Error>(())
/// ```
///
/// # Errors
/// [`Code::Invalid`] for a path without a folder, and those of writing; the old file stays then.
pub fn atomic_write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let (Some(folder), Some(_)) = (folder, path.file_name()) else {
        return Err(Error::new(Code::Invalid, "the path names no file in a folder")
            .with_path(path)
            .with_hint("give a path such as ./state.json"));
    };
    let bytes = pretty(value)?;
    std::fs::create_dir_all(folder).map_err(|error| Error::io("make the folder", folder, &error))?;
    let write = || -> std::io::Result<()> {
        use std::io::Write;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| Error::io("write", path, &error))
}
