//! `Readers`: readers by key, found without a lock: the fast path for programs that read many keys. A bucket is
//! a list that only grows: whoever walks it needs no count and no lock.

use super::cache::Cache;
use super::options::SourceOptions;
use super::reader::Reader;
use super::value::Value;
use crate::error::Result;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const BUCKETS: usize = 4096;

/// A place in a bucket's list.
type Link = OnceLock<Box<Node>>;

#[derive(Debug)]
struct Node {
    hash: u64,
    key: Box<str>,
    reader: Arc<Reader>,
    next: Link,
}

/// Readers by key, all with the same options. Usable from any thread.
///
/// ```
/// use forebay::{Cache, Commit, SourceOptions};
/// use std::time::Duration;
/// # let folder = tempfile::tempdir().unwrap();
/// let cache = Cache::open(folder.path().join("cache"))?;
/// cache.source("api/models").put("[]", &Commit::default())?;
/// let options = SourceOptions { ttl: Some(Duration::from_secs(60)), ..SourceOptions::default() };
/// let readers = cache.readers().with_options(options);
/// assert_eq!(readers.get("api/models")?.data(), Some(&b"[]"[..]));
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Debug)]
pub struct Readers {
    cache: Cache,
    options: SourceOptions,
    /// Differs from one to the next, so that nobody can choose keys that meet in one bucket.
    seed: u64,
    buckets: Box<[Link]>,
}

impl Readers {
    pub(crate) fn new(cache: Cache) -> Readers {
        let buckets = (0..BUCKETS).map(|_| Link::new()).collect();
        Readers { cache, options: SourceOptions::default(), seed: RandomState::new().hash_one(0), buckets }
    }

    /// The same, for sources with those options.
    #[must_use]
    pub fn with_options(self, options: SourceOptions) -> Readers {
        let mut readers = Readers::new(self.cache.clone());
        readers.options = options;
        readers
    }

    #[inline]
    fn find(&self, key: &str) -> (u64, std::result::Result<&Node, &Link>) {
        let hash = xxh3_64_with_seed(key.as_bytes(), self.seed);
        #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
        let mut link = &self.buckets[hash as usize % BUCKETS];
        while let Some(node) = link.get() {
            if node.hash == hash && *node.key == *key {
                return (hash, Ok(node));
            }
            link = &node.next;
        }
        (hash, Err(link))
    }

    /// What is under `tier/name`, fresh or not.
    ///
    /// # Errors
    /// As [`Source::read`](crate::Source::read).
    #[inline]
    pub fn get(&self, key: &str) -> Result<Value> {
        match self.find(key) {
            (_, Ok(node)) => node.reader.value(),
            _ => self.reader(key).value(),
        }
    }

    /// The reader of that key, made where there is none yet.
    #[must_use]
    pub fn reader(&self, key: &str) -> Arc<Reader> {
        loop {
            let (hash, found) = self.find(key);
            match found {
                Ok(node) => return Arc::clone(&node.reader),
                Err(link) => {
                    let source = self.cache.source(key).with_options(self.options.clone());
                    let reader = Arc::new(source.reader());
                    // If another thread was quicker, the list goes on behind what it added.
                    let _ = link.set(Box::new(Node { hash, key: key.into(), reader, next: Link::new() }));
                }
            }
        }
    }
}

impl Drop for Readers {
    /// One node after the other: a long list would overflow the stack.
    fn drop(&mut self) {
        for link in &mut self.buckets {
            let mut next = link.take();
            while let Some(mut node) = next {
                next = node.next.take();
            }
        }
    }
}
