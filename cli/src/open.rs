//! Opening the cache that a command line means: `--root`, else `FOREBAY_ROOT`, else the user's cache folder.

use crate::args::Parsed;
use crate::exit::Failed;
use forebay::{Cache, CacheOptions, Key, Source};

/// The cache that this command line means. Opening writes nothing.
pub(crate) fn cache(parsed: &Parsed) -> Result<Cache, Failed> {
    let cache = match parsed.value("root") {
        Some(root) if root.is_empty() => return Err(parsed.usage("--root is empty")),
        Some(root) => CacheOptions::default().root(root).open()?,
        None => Cache::open_default()?,
    };
    Ok(cache)
}

/// A source of it, with the lifetimes that the command line gives.
pub(crate) fn source(parsed: &Parsed, cache: &Cache, key: &Key) -> Result<Source, Failed> {
    let mut source = cache.source_of(key);
    if let Some(ttl) = parsed.duration("ttl")? {
        source = source.ttl(ttl);
    }
    if let Some(max_stale) = parsed.duration("max-stale")? {
        source = source.max_stale(max_stale);
    }
    if let Some(deadline) = parsed.duration("deadline")? {
        source = source.deadline(deadline);
    }
    Ok(source)
}
