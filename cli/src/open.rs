//! Opening what a command line means: the cache by `--root`, else `FOREBAY_ROOT`, else the user's cache folder; the
//! credentials by `--state`, else `FOREBAY_STATE`, else the user's state folder.

use crate::args::Parsed;
use crate::exit::Failed;
use forebay::{Cache, CacheOptions, Credentials, CredentialsOptions, Key, Live, LiveOptions, Quota, Source};
use std::path::Path;
use std::time::Duration;

/// The longest deadline: no lease is longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

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

/// A quota of it, as the command line has it.
pub(crate) fn quota(parsed: &Parsed, cache: &Cache) -> Result<Quota, Failed> {
    let name = parsed.operands.first().ok_or_else(|| parsed.usage("which quota?"))?;
    let name = name.to_str().ok_or_else(|| parsed.usage(&format!("the name {name:?} is not UTF-8")))?;
    let quota = tuned(parsed, cache.quota(name))?;
    Ok(match parsed.text("identity")? {
        Some("") => return Err(parsed.usage("--identity is empty")),
        Some(identity) => quota.identity(identity),
        None => quota,
    })
}

/// That quota, with the lifetimes that the command line gives.
pub(crate) fn tuned(parsed: &Parsed, mut quota: Quota) -> Result<Quota, Failed> {
    if let Some(ttl) = parsed.duration("ttl")? {
        quota = quota.ttl(ttl);
    }
    if let Some(max_stale) = parsed.duration("max-stale")? {
        quota = quota.max_stale(max_stale);
    }
    if let Some(timeout) = limit(parsed, "timeout")? {
        quota = quota.timeout(timeout);
    }
    quota.key()?;
    Ok(quota)
}

/// The derived results of it, as the command line has them: those of its workspace, else of the current folder.
pub(crate) fn live(parsed: &Parsed, cache: &Cache, deadline: Option<Duration>) -> Result<Live, Failed> {
    let mut options = LiveOptions::default();
    match parsed.value("workspace").map(Path::new) {
        Some(folder) if !folder.is_dir() => {
            return Err(parsed.usage(&format!("--workspace {}: there is no such folder", folder.display())));
        }
        folder => options.workspace = folder.map(Path::to_owned),
    }
    options.deadline = deadline.unwrap_or(options.deadline);
    Ok(cache.live()?.with_options(options)?)
}

/// How long a command may take at most, by that option.
pub(crate) fn limit(parsed: &Parsed, option: &str) -> Result<Option<Duration>, Failed> {
    match parsed.duration(option)? {
        Some(time) if time.is_zero() || time > LONGEST => {
            Err(parsed.usage(&format!("--{option} wants a time of more than 0 and at most 24 h")))
        }
        time => Ok(time),
    }
}

/// The credentials that this command line means.
pub(crate) fn credentials(parsed: &Parsed) -> Result<Credentials, Failed> {
    let mut options = CredentialsOptions::new();
    match parsed.value("state") {
        Some(root) if root.is_empty() => return Err(parsed.usage("--state is empty")),
        Some(root) => options = options.root(root),
        None => {}
    }
    if let Some(deadline) = limit(parsed, "deadline")? {
        options = options.deadline(deadline);
    }
    Ok(options.open()?)
}
