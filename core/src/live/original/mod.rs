//! `LiveCache` and what belongs to it, by the names of the original program: results of tools, by files with an
//! expected hash. A thin layer: over [`FileStore`] it is [`Live`](crate::Live), so that processes share all of it;
//! over any other [`Store`] it keeps the same rules by itself, within one process.

mod closure;
pub(super) mod stores;

use super::derived::Lookup;
use super::input::{Input, LiveKey, Workspace};
use super::{Live, derived::Derived};
use crate::error::{Code, Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use stores::Store;

/// A file that a result was computed from, and the hash that its content had then.
///
/// ```
/// use forebay::live::{FileRoot, hash_file};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("notes");
/// # std::fs::write(&path, "one").unwrap();
/// let root = FileRoot { expected_hash: hash_file(&path)?, path };
/// assert_eq!(root.expected_hash.len(), 64);
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FileRoot {
    /// Relative to the workspace, or absolute.
    pub path: PathBuf,
    /// BLAKE3 of its content, 64 lower-case hex digits.
    pub expected_hash: String,
}

/// The BLAKE3 hash of a file's content, in hex.
///
/// # Errors
/// Those of reading it.
pub fn hash_file(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let mut hasher = blake3::Hasher::new();
    let read = std::fs::File::open(path).and_then(|mut file| hasher.update_reader(&mut file).map(drop));
    read.map_err(|error| Error::io("hash", path, &error))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// A result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload {
    /// What was computed.
    pub bytes: Vec<u8>,
    /// What is known of it.
    pub meta: PayloadMeta,
}

/// What is known of a result, without its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PayloadMeta {
    /// BLAKE3 of the bytes, in hex.
    pub payload_hash: String,
    /// How many bytes there are.
    pub bytes: u64,
    /// Which tool made it.
    pub tool_kind: String,
    /// The files that it was computed from.
    pub file_roots: Vec<FileRoot>,
    /// The results that it was computed from.
    pub upstream_keys: Vec<LiveKey>,
}

/// What a look at a result found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LookupOutcome {
    /// It is there and holds.
    Hit(Payload),
    /// It is not there, or does not hold any more.
    Miss,
    /// A file has changed: it is gone now, with all that was built on it.
    Invalidated,
}

/// Results of tools that hold while their files are as they were. Usable from any thread.
///
/// ```
/// use forebay::live::{FileRoot, FileStore, Key, LiveCache, LookupOutcome, hash_file};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("notes");
/// # std::fs::write(&path, "one").unwrap();
/// let cache = LiveCache::with_workspace(FileStore::open(folder.path().join("cache"))?, folder.path())?;
/// let root = FileRoot { path: "notes".into(), expected_hash: hash_file(&path)? };
/// let key = Key::from_bytes(b"read notes");
/// cache.persist(&key, b"one", "read", &[root])?;
/// assert!(matches!(cache.lookup_revalidate(&key)?, LookupOutcome::Hit(payload) if payload.bytes == b"one"));
/// std::fs::write(&path, "two").unwrap();
/// assert_eq!(cache.lookup_revalidate(&key)?, LookupOutcome::Invalidated);
/// assert_eq!(cache.lookup(&key)?, LookupOutcome::Miss);
/// # Ok::<(), forebay::Error>(())
/// ```
pub struct LiveCache {
    store: Box<dyn Store>,
    base: PathBuf,
    workspace: Workspace,
    /// Where the store is the index of a cache: all is left to it.
    live: Option<Live>,
    /// Else calls that look and then change exclude each other.
    turn: Mutex<()>,
}

impl std::fmt::Debug for LiveCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiveCache({})", self.base.display())
    }
}

impl LiveCache {
    /// Over that store; paths are relative to the current folder.
    ///
    /// # Errors
    /// Those of finding the folder.
    pub fn new(store: impl Store + 'static) -> Result<LiveCache> {
        LiveCache::from_box(Box::new(store))
    }

    /// Over that store; paths are relative to `base`.
    ///
    /// # Errors
    /// Those of finding the folder.
    pub fn with_workspace(store: impl Store + 'static, base: impl Into<PathBuf>) -> Result<LiveCache> {
        LiveCache::from_box_with_workspace(Box::new(store), base)
    }

    /// As [`LiveCache::new`].
    ///
    /// # Errors
    /// Those of finding the folder.
    pub fn from_box(store: Box<dyn Store>) -> Result<LiveCache> {
        LiveCache::from_box_with_workspace(store, ".")
    }

    /// As [`LiveCache::with_workspace`].
    ///
    /// # Errors
    /// Those of finding the folder.
    pub fn from_box_with_workspace(store: Box<dyn Store>, base: impl Into<PathBuf>) -> Result<LiveCache> {
        let base = base.into();
        let workspace = Workspace::new(&base)?;
        let live = store.shared(&base).transpose()?;
        Ok(LiveCache { store, base, workspace, live, turn: Mutex::default() })
    }

    /// The store as it was given.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The folder that paths are relative to, as it was given.
    #[must_use]
    pub fn workspace_base(&self) -> &Path {
        &self.base
    }

    /// How many results there are.
    ///
    /// # Errors
    /// Those of reading.
    pub fn entry_count(&self) -> Result<u64> {
        match &self.live {
            Some(live) => live.entry_count(),
            None => Ok(self.store.iter_meta()?.len() as u64),
        }
    }

    /// The result, if all that is recorded still holds; no file is looked at.
    ///
    /// # Errors
    /// Those of reading.
    pub fn lookup(&self, key: &LiveKey) -> Result<LookupOutcome> {
        match &self.live {
            Some(live) => Ok(outcome(live.lookup(key)?)),
            None => self.exclusively(|| self.held(key)),
        }
    }

    /// The result, after a look at each file that it, and the results that it is built on, were computed from.
    /// Where one has changed, is gone or cannot be read, all that was built on it is removed.
    ///
    /// # Errors
    /// Those of reading and writing the store.
    pub fn lookup_revalidate(&self, key: &LiveKey) -> Result<LookupOutcome> {
        match &self.live {
            Some(live) => Ok(outcome(live.lookup_revalidate(key)?)),
            None => self.exclusively(|| self.revalidated(key)),
        }
    }

    /// Stores a result, unless a file has another hash than it is said to have.
    ///
    /// # Errors
    /// [`Code::Superseded`] where a file's content has another hash; those of reading and writing.
    pub fn persist(
        &self,
        key: &LiveKey,
        bytes: &[u8],
        tool_kind: &str,
        file_roots: &[FileRoot],
    ) -> Result<PayloadMeta> {
        self.persist_with_upstreams(key, bytes, tool_kind, file_roots, &[])
    }

    /// The same, built on other results. Other bytes than before end what was built on it; the same do not.
    ///
    /// # Errors
    /// As [`LiveCache::persist`], and [`Code::Superseded`] where a result that it is built on does not hold.
    pub fn persist_with_upstreams(
        &self,
        key: &LiveKey,
        bytes: &[u8],
        tool_kind: &str,
        file_roots: &[FileRoot],
        upstream_keys: &[LiveKey],
    ) -> Result<PayloadMeta> {
        match &self.live {
            Some(live) => keep(live, key, bytes, tool_kind, file_roots, upstream_keys),
            None => self.exclusively(|| self.stored(key, bytes, tool_kind, file_roots, upstream_keys)),
        }
    }

    /// Removes the result and all that is built on it; whether it was there.
    ///
    /// # Errors
    /// Those of writing.
    pub fn mark_dirty(&self, key: &LiveKey) -> Result<bool> {
        match &self.live {
            Some(live) => live.mark_dirty(key),
            None => self.exclusively(|| {
                self.remove_dependents(&[*key], &[*key])?;
                self.store.remove(key)
            }),
        }
    }

    /// Removes all that is built on the result, directly and not; how many. The result itself stays, unless it is
    /// built on itself.
    ///
    /// # Errors
    /// Those of writing.
    pub fn invalidate_upstream(&self, key: &LiveKey) -> Result<u64> {
        match &self.live {
            Some(live) => live.invalidate_upstream(key),
            None => self.exclusively(|| self.remove_dependents(&[*key], &[])),
        }
    }

    /// Removes every result that was computed from the file, or from anything in the folder, and all that is built
    /// on those; how many were computed from it directly.
    ///
    /// # Errors
    /// Those of writing.
    pub fn invalidate_path(&self, path: impl AsRef<Path>) -> Result<u64> {
        match &self.live {
            Some(live) => live.invalidate_path(path),
            None => self.exclusively(|| self.remove_of_path(path.as_ref())),
        }
    }

    /// The kinds of tools whose results there are, each once, in order.
    ///
    /// # Errors
    /// Those of reading.
    pub fn known_kinds(&self) -> Result<Vec<String>> {
        let mut kinds: Vec<String> = match &self.live {
            Some(live) => live.known_kinds()?.into_iter().map(|(kind, _)| kind).collect(),
            None => self.store.iter_meta()?.into_iter().map(|(_, meta)| meta.tool_kind).collect(),
        };
        kinds.sort();
        kinds.dedup();
        Ok(kinds)
    }

    fn exclusively<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        call()
    }
}

fn outcome(lookup: Lookup) -> LookupOutcome {
    match lookup {
        Lookup::Hit(derived) => LookupOutcome::Hit(payload(&derived)),
        Lookup::Miss => LookupOutcome::Miss,
        Lookup::Invalidated => LookupOutcome::Invalidated,
    }
}

fn payload(derived: &Derived) -> Payload {
    Payload { bytes: derived.data().to_vec(), meta: meta(&derived.body.record) }
}

fn meta(record: &super::graph::Record) -> PayloadMeta {
    let root = |row: &super::graph::Row| match (row.input()?, row.print.hash()) {
        (Input::File(path), Some(hash)) => Some(FileRoot { path, expected_hash: hash.to_owned() }),
        _ => None,
    };
    PayloadMeta {
        payload_hash: record.hash.clone(),
        bytes: record.size,
        tool_kind: record.kind.clone(),
        file_roots: record.inputs.iter().filter_map(root).collect(),
        upstream_keys: record.upstream_keys().map(|(key, _)| key).collect(),
    }
}

/// Stores by way of the index, where each file is what it is said to be.
fn keep(
    live: &Live,
    key: &LiveKey,
    bytes: &[u8],
    tool_kind: &str,
    file_roots: &[FileRoot],
    upstream_keys: &[LiveKey],
) -> Result<PayloadMeta> {
    let inputs: Vec<Input> = file_roots.iter().map(|root| Input::File(root.path.clone())).collect();
    let ticket = live.begin(key, &inputs, upstream_keys)?;
    for (root, input) in file_roots.iter().zip(&inputs) {
        if ticket.hash_of(input) != Some(&root.expected_hash) {
            return Err(other_content(&root.path));
        }
    }
    Ok(meta(&ticket.commit(bytes, tool_kind)?.body.record))
}

fn other_content(path: &Path) -> Error {
    Error::new(
        Code::Superseded,
        "the file's content has another hash than the one that was given: not stored",
    )
    .with_path(path)
    .with_hint("compute the result again")
}
