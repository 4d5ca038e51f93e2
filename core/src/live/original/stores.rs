//! `Store`: where a `LiveCache` keeps results; `FileStore`, the index of a cache on disk; and `MemoryStore`.

use super::super::input::LiveKey;
use super::{FileRoot, Payload, PayloadMeta, keep, meta, payload};
use crate::error::Result;
use crate::live::Live;
use crate::source::cache::Cache;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Where results are kept. A store keeps what it is given and asks nothing; the rules are those of
/// [`LiveCache`](crate::live::LiveCache). Its methods may be called from any thread.
///
/// ```
/// use forebay::live::{Key, MemoryStore, Store};
/// let store = MemoryStore::new();
/// store.persist(&Key::from_bytes(b"a"), b"1", "read", &[])?;
/// assert_eq!((store.contains(&Key::from_bytes(b"a"))?, store.total_bytes()?), (true, 1));
/// assert_eq!(store.evict_to_cap(0)?, 1);
/// # Ok::<(), forebay::Error>(())
/// ```
pub trait Store: Send + Sync {
    /// The result as it was stored.
    ///
    /// # Errors
    /// Those of reading.
    fn lookup(&self, key: &LiveKey) -> Result<Option<Payload>>;

    /// Stores a result, in place of the one before.
    ///
    /// # Errors
    /// Those of writing.
    fn persist(
        &self,
        key: &LiveKey,
        bytes: &[u8],
        tool_kind: &str,
        file_roots: &[FileRoot],
    ) -> Result<PayloadMeta> {
        self.persist_with_upstreams(key, bytes, tool_kind, file_roots, &[])
    }

    /// The same, built on other results.
    ///
    /// # Errors
    /// Those of writing.
    fn persist_with_upstreams(
        &self,
        key: &LiveKey,
        bytes: &[u8],
        tool_kind: &str,
        file_roots: &[FileRoot],
        upstream_keys: &[LiveKey],
    ) -> Result<PayloadMeta>;

    /// Removes a result; whether it was there.
    ///
    /// # Errors
    /// Those of writing.
    fn remove(&self, key: &LiveKey) -> Result<bool>;

    /// How many bytes the results have.
    ///
    /// # Errors
    /// Those of reading.
    fn total_bytes(&self) -> Result<u64>;

    /// Removes the least recently used until the results have at most that many bytes; how many.
    ///
    /// # Errors
    /// Those of writing.
    fn evict_to_cap(&self, cap: u64) -> Result<u64>;

    /// All results, without their bytes, in the order of their keys.
    ///
    /// # Errors
    /// Those of reading: a scan that fails is told, and never an empty store.
    fn iter_meta(&self) -> Result<Vec<(LiveKey, PayloadMeta)>>;

    /// Whether there is a result.
    ///
    /// # Errors
    /// Those of reading.
    fn contains(&self, key: &LiveKey) -> Result<bool>;

    /// The index that all processes share, where the store is one.
    #[doc(hidden)]
    fn shared(&self, _base: &Path) -> Option<Result<Live>> {
        None
    }
}

/// The results of a cache on disk, shared by all processes.
#[derive(Clone, Debug)]
pub struct FileStore {
    live: Live,
    /// The same in the workspace of the first `LiveCache` over it.
    placed: OnceLock<Live>,
}

impl FileStore {
    /// Opens the cache with that root, which is made by the first write.
    ///
    /// # Errors
    /// As [`Cache::open`].
    pub fn open(root: impl AsRef<Path>) -> Result<FileStore> {
        Ok(FileStore { live: Cache::open(root)?.live()?, placed: OnceLock::new() })
    }

    fn live(&self) -> &Live {
        self.placed.get().unwrap_or(&self.live)
    }
}

impl Store for FileStore {
    fn lookup(&self, key: &LiveKey) -> Result<Option<Payload>> {
        Ok(self.live().lookup(key)?.hit().map(|derived| payload(&derived)))
    }

    fn persist_with_upstreams(
        &self,
        key: &LiveKey,
        bytes: &[u8],
        tool_kind: &str,
        file_roots: &[FileRoot],
        upstream_keys: &[LiveKey],
    ) -> Result<PayloadMeta> {
        keep(self.live(), key, bytes, tool_kind, file_roots, upstream_keys)
    }

    /// What is built on it goes too.
    fn remove(&self, key: &LiveKey) -> Result<bool> {
        self.live().mark_dirty(key)
    }

    fn total_bytes(&self) -> Result<u64> {
        self.live().total_bytes()
    }

    fn evict_to_cap(&self, cap: u64) -> Result<u64> {
        self.live().evict_to_cap(cap)
    }

    fn iter_meta(&self) -> Result<Vec<(LiveKey, PayloadMeta)>> {
        let all = self.live().read(|tx| crate::live::graph::all(tx))?.unwrap_or_default();
        Ok(all.iter().map(|(key, record, _)| (*key, meta(record))).collect())
    }

    fn contains(&self, key: &LiveKey) -> Result<bool> {
        Ok(self.live().read(|tx| crate::live::graph::record(tx, key))?.flatten().is_some())
    }

    fn shared(&self, base: &Path) -> Option<Result<Live>> {
        Some(self.live.clone().workspace(base).inspect(|live| drop(self.placed.set(live.clone()))))
    }
}

#[derive(Debug, Default)]
struct Kept {
    /// With when each was last used.
    entries: BTreeMap<LiveKey, (Payload, u64)>,
    uses: u64,
}

/// Results in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Kept>);

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn lookup(&self, key: &LiveKey) -> Result<Option<Payload>> {
        let mut kept = self.kept();
        kept.uses += 1;
        let now = kept.uses;
        Ok(kept.entries.get_mut(key).map(|(payload, used)| {
            *used = now;
            payload.clone()
        }))
    }

    fn persist_with_upstreams(
        &self,
        key: &LiveKey,
        bytes: &[u8],
        tool_kind: &str,
        file_roots: &[FileRoot],
        upstream_keys: &[LiveKey],
    ) -> Result<PayloadMeta> {
        let meta = PayloadMeta {
            payload_hash: blake3::hash(bytes).to_hex().to_string(),
            bytes: bytes.len() as u64,
            tool_kind: tool_kind.to_owned(),
            file_roots: file_roots.to_vec(),
            upstream_keys: upstream_keys.to_vec(),
        };
        let mut kept = self.kept();
        kept.uses += 1;
        let now = kept.uses;
        kept.entries.insert(*key, (Payload { bytes: bytes.to_vec(), meta: meta.clone() }, now));
        Ok(meta)
    }

    fn remove(&self, key: &LiveKey) -> Result<bool> {
        Ok(self.kept().entries.remove(key).is_some())
    }

    fn total_bytes(&self) -> Result<u64> {
        Ok(self.kept().entries.values().map(|(payload, _)| payload.meta.bytes).sum())
    }

    fn evict_to_cap(&self, cap: u64) -> Result<u64> {
        let mut kept = self.kept();
        let mut bytes: u64 = kept.entries.values().map(|(payload, _)| payload.meta.bytes).sum();
        let mut evicted = 0;
        while bytes > cap {
            let oldest =
                kept.entries.iter().min_by_key(|(key, (_, used))| (*used, **key)).map(|(key, _)| *key);
            let Some((payload, _)) = oldest.and_then(|key| kept.entries.remove(&key)) else { break };
            bytes -= payload.meta.bytes;
            evicted += 1;
        }
        Ok(evicted)
    }

    fn iter_meta(&self) -> Result<Vec<(LiveKey, PayloadMeta)>> {
        Ok(self.kept().entries.iter().map(|(key, (payload, _))| (*key, payload.meta.clone())).collect())
    }

    fn contains(&self, key: &LiveKey) -> Result<bool> {
        Ok(self.kept().entries.contains_key(key))
    }
}
