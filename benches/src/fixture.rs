//! The values that every contestant serves: 1,000 keys of 4 KiB, each a JSON text that differs per key, read in
//! one shuffled order. Knows how to fill a cache root with them, and nothing of how they are measured.

use crate::series::Random;
use crate::{Outcome, check};
use forebay::{Cache, CacheOptions, Commit, Durability, Readers, SourceOptions};
use std::path::Path;
use std::time::Duration;

/// How many keys the reading rows use.
pub const KEYS: usize = 1_000;
/// Bytes of a value.
pub const SIZE: usize = 4_096;
/// Long enough that nothing goes stale during a run.
pub const TTL: Duration = Duration::from_secs(24 * 3600);

/// Keys, their values, the order in which they are read, and the number expected of each.
pub struct Fixture {
    /// `bench/model-0000` and so on.
    pub keys: Vec<String>,
    /// The value of each key.
    pub values: Vec<Vec<u8>>,
    /// A shuffled order of all keys.
    pub order: Vec<usize>,
    /// What `digest` gives for each value.
    pub expected: Vec<u64>,
}

impl Fixture {
    /// The same for every program and run.
    pub fn new() -> Self {
        let keys: Vec<String> = (0..KEYS).map(|at| format!("bench/model-{at:04}")).collect();
        let values: Vec<Vec<u8>> = (0..KEYS).map(value).collect();
        let mut order: Vec<usize> = (0..KEYS).collect();
        Random::new(7).shuffle(&mut order);
        let expected = values.iter().map(|value| digest(value)).collect();
        Self { keys, values, order, expected }
    }

    /// Puts all values into the cache below `root`.
    pub fn fill(&self, root: &Path) -> Outcome<Cache> {
        let cache = open(root, Durability::None)?;
        for (key, value) in self.keys.iter().zip(&self.values) {
            cache.source(key).ttl(TTL).put(value.clone(), &Commit::default())?;
        }
        for (at, key) in self.keys.iter().enumerate() {
            let read = cache.source(key).ttl(TTL).read()?;
            check(read.data() == Some(&self.values[at]) && read.is_fresh(), || {
                format!("{key} was not kept")
            })?;
        }
        Ok(cache)
    }
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

/// A cache at `root`, made if need be, private as the cache demands.
pub fn open(root: &Path, durability: Durability) -> Outcome<Cache> {
    private_folder(root)?;
    Ok(CacheOptions::default().root(root).durability(durability).open()?)
}

/// Readers by key with the fixture's ttl.
pub fn readers(cache: &Cache) -> Readers {
    cache.readers().with_options(SourceOptions { ttl: Some(TTL), ..SourceOptions::default() })
}

/// Makes a folder that only we may use.
pub fn private_folder(path: &Path) -> Outcome<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    Ok(())
}

/// What a reader looks at in a value: enough to touch it and to notice a wrong one.
#[inline(always)]
pub fn digest(value: &[u8]) -> u64 {
    match value {
        [.., last] => u64::from(*last) << 32 | value.len() as u64,
        [] => 0,
    }
}

/// A list of models as JSON, padded to [`SIZE`]; its last byte differs from key to key.
pub fn value(number: usize) -> Vec<u8> {
    let mut random = Random::new(number as u64 + 1);
    let mut text = format!("{{\"key\":{number},\"models\":[");
    while text.len() < SIZE - 200 {
        let comma = if text.ends_with('[') { "" } else { "," };
        text.push_str(&format!(
            "{comma}{{\"id\":\"model-{:x}\",\"context\":{},\"input\":{}.{:02},\"tools\":{}}}",
            random.number(),
            random.below(200_000),
            random.below(30),
            random.below(100),
            random.below(2) == 0,
        ));
    }
    text.push_str("]}");
    // JSON may end in white space, which is how the last byte can say which value it is.
    let filler = [b' ', b'\n', b'\t', b'\r'];
    let mut bytes = text.into_bytes();
    bytes.resize(SIZE - 4, b' ');
    for place in 0..4 {
        bytes.push(filler[(number >> (2 * place)) & 3]);
    }
    bytes
}
