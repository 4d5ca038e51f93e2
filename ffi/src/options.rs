//! `forebay_source_options` and `forebay_commit`: a source as C names it, and what is stored with a value. They are
//! read anew at each call, so C keeps no handle for a source. They don't know what is done with it.

use crate::args::{self, Options, duration, forebay_slice};
use crate::cache::{cache_of, forebay_cache};
use crate::handle::null;
use crate::status::{self, UNKNOWN};
use forebay_core::{Code, Commit, Error, Key, Result, Source, SourceOptions};

/// A source: its key, and how its value may be used. Begin with `FOREBAY_SOURCE_OPTIONS_INIT`. forebay copies what it
/// needs during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_source_options {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// `tier/name`, split at the first `/`; without one, the tier is `default`. Where `tier` is set: the name alone.
    pub key: forebay_slice,
    /// The tier, where the name or the tier itself may have a `/`. Empty: it is in `key`.
    pub tier: forebay_slice,
    /// Whose answer it is (an account, a user): another identity, another record. Empty: nobody's.
    pub identity: forebay_slice,
    /// A value is fresh while it is younger than this. -1: what its refresher returned or what was stored with it.
    pub ttl_ms: i64,
    /// It may be served for so long after it stopped being fresh. -1: without end.
    pub max_stale_ms: i64,
    /// It may be served for so long after it stopped being fresh, when a refresh failed. -1: as `max_stale_ms`.
    pub stale_if_error_ms: i64,
    /// A refresh gets so much time, and its lease so much. 0 is refused. -1: 30 s.
    pub deadline_ms: i64,
    /// The shortest pause after a failure whose length forebay guesses. -1: 250 ms.
    pub backoff_floor_ms: i64,
    /// The longest such pause. -1: the smaller of the ttl and 5 minutes.
    pub backoff_cap_ms: i64,
    /// What a commit waits for: a `forebay_durability`, or -1 for the cache's.
    pub durability: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_source_options {
    const INIT: Self = forebay_source_options {
        struct_size: size_of::<Self>(),
        key: forebay_slice::EMPTY,
        tier: forebay_slice::EMPTY,
        identity: forebay_slice::EMPTY,
        ttl_ms: -1,
        max_stale_ms: -1,
        stale_if_error_ms: -1,
        deadline_ms: -1,
        backoff_floor_ms: -1,
        backoff_cap_ms: -1,
        durability: UNKNOWN,
        reserved: 0,
    };
}

/// What is stored beside a value. Begin with `FOREBAY_COMMIT_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_commit {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// What identifies this version at its origin: an ETag, an HTTP date, anything. Empty: none.
    pub validator: forebay_slice,
    /// Text of your own, kept beside the value. Empty: none.
    pub extra: forebay_slice,
    /// The ttl that the origin told; it goes before the source's. -1: none.
    pub ttl_ms: i64,
    /// The max_stale that the origin told; it goes before the source's. -1: none.
    pub max_stale_ms: i64,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_commit {
    const INIT: Self = forebay_commit {
        struct_size: size_of::<Self>(),
        validator: forebay_slice::EMPTY,
        extra: forebay_slice::EMPTY,
        ttl_ms: -1,
        max_stale_ms: -1,
    };
}

/// A field that has no meaning yet has to be 0, so that it can get one.
pub(crate) fn reserved(value: i32) -> Result<()> {
    if value == 0 {
        return Ok(());
    }
    Err(Error::new(Code::Unsupported, format!("the reserved field is {value}"))
        .with_hint("begin with the struct's _INIT macro"))
}

/// The options of a source that has to be there.
///
/// # Safety
/// As [`args::options`].
pub(crate) unsafe fn read(source: *const forebay_source_options) -> Result<forebay_source_options> {
    // SAFETY: the caller's promise.
    let options = unsafe { args::options(source, "source")? }.ok_or_else(|| null("source"))?;
    reserved(options.reserved)?;
    Ok(options)
}

/// The key that the options name.
///
/// # Safety
/// The slices of `options` are readable.
pub(crate) unsafe fn key_of(options: &forebay_source_options) -> Result<Key> {
    // SAFETY: the caller's promise.
    let (key, tier, identity) = unsafe {
        (options.key.text("key")?, options.tier.some_text("tier")?, options.identity.text("identity")?)
    };
    let key = match tier {
        Some(tier) => Key::new(tier, key)?,
        None => Key::parse(key)?,
    };
    Ok(key.with_identity(identity))
}

/// The source that the options name, on that cache.
///
/// # Safety
/// `cache` is NULL or a live handle; `source` as [`args::options`], its slices readable.
pub(crate) unsafe fn source_of(
    cache: *const forebay_cache,
    source: *const forebay_source_options,
) -> Result<Source> {
    // SAFETY: the caller's promise.
    let (cache, options) = unsafe { (cache_of(cache)?, read(source)?) };
    // SAFETY: the caller's promise.
    let key = unsafe { key_of(&options)? };
    Ok(cache.source_of(&key).with_options(rules_of(&options)?))
}

/// How the value of those options may be used and refreshed.
pub(crate) fn rules_of(options: &forebay_source_options) -> Result<SourceOptions> {
    let defaults = SourceOptions::default();
    Ok(SourceOptions {
        ttl: duration(options.ttl_ms, "ttl_ms")?,
        max_stale: duration(options.max_stale_ms, "max_stale_ms")?,
        stale_if_error: duration(options.stale_if_error_ms, "stale_if_error_ms")?,
        deadline: duration(options.deadline_ms, "deadline_ms")?.unwrap_or(defaults.deadline),
        durability: status::durability(options.durability)?,
        backoff_floor: duration(options.backoff_floor_ms, "backoff_floor_ms")?,
        backoff_cap: duration(options.backoff_cap_ms, "backoff_cap_ms")?,
    })
}

/// What is to be stored beside a value; nothing for NULL.
///
/// # Safety
/// As [`args::options`], and its slices are readable.
pub(crate) unsafe fn commit_of(commit: *const forebay_commit) -> Result<Commit> {
    // SAFETY: the caller's promise.
    let options = unsafe { args::options(commit, "commit")? }.unwrap_or(Options::INIT);
    // SAFETY: the caller's promise.
    let (validator, extra) =
        unsafe { (options.validator.some_text("validator")?, options.extra.some_text("extra")?) };
    Ok(Commit {
        validator: validator.map(str::to_owned),
        ttl: duration(options.ttl_ms, "ttl_ms")?,
        max_stale: duration(options.max_stale_ms, "max_stale_ms")?,
        extra: extra.map(str::to_owned),
    })
}
