//! `Readers`: readers by key, found without a lock: the fast path for programs that read many keys. A bucket is
//! an immutable list that is replaced as a whole when a key is added.

use super::cache::Cache;
use super::options::SourceOptions;
use super::reader::Reader;
use super::value::Value;
use crate::error::Result;
use arc_swap::ArcSwapOption;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

const BUCKETS: usize = 4096;

type Bucket = Vec<(Box<str>, Arc<Reader>)>;

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
    hasher: RandomState,
    buckets: Box<[ArcSwapOption<Bucket>]>,
}

impl Readers {
    pub(crate) fn new(cache: Cache) -> Readers {
        let buckets = (0..BUCKETS).map(|_| ArcSwapOption::empty()).collect();
        Readers { cache, options: SourceOptions::default(), hasher: RandomState::new(), buckets }
    }

    /// The same, for sources with those options.
    #[must_use]
    pub fn with_options(self, options: SourceOptions) -> Readers {
        Readers { options, ..Readers::new(self.cache) }
    }

    #[inline]
    fn bucket(&self, key: &str) -> &ArcSwapOption<Bucket> {
        #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
        let at = self.hasher.hash_one(key) as usize % BUCKETS;
        &self.buckets[at]
    }

    /// What is under `tier/name`, fresh or not.
    ///
    /// # Errors
    /// As [`Source::read`](crate::Source::read).
    #[inline]
    pub fn get(&self, key: &str) -> Result<Value> {
        let bucket = self.bucket(key);
        let found = bucket.load();
        if let Some((_, reader)) = found.as_ref().and_then(|bucket| find(bucket, key)) {
            return reader.value();
        }
        self.reader(key).value()
    }

    /// The reader of that key, made where there is none yet.
    #[must_use]
    pub fn reader(&self, key: &str) -> Arc<Reader> {
        let bucket = self.bucket(key);
        if let Some((_, reader)) = bucket.load().as_ref().and_then(|bucket| find(bucket, key)) {
            return Arc::clone(reader);
        }
        let reader = Arc::new(self.cache.source(key).with_options(self.options.clone()).reader());
        bucket.rcu(|old| {
            let mut bucket: Bucket = old.as_ref().map(|old| Bucket::clone(old)).unwrap_or_default();
            if find(&bucket, key).is_none() {
                bucket.push((key.into(), Arc::clone(&reader)));
            }
            Some(Arc::new(bucket))
        });
        reader
    }
}

#[inline]
fn find<'b>(bucket: &'b Bucket, key: &str) -> Option<&'b (Box<str>, Arc<Reader>)> {
    bucket.iter().find(|(name, _)| **name == *key)
}
