//! `forebay_quota`: a thing that a server lets you ask only now and then, and how it is asked. Opening, looking, blocking,
//! clearing, and the callback form of resolving, which drives the steps of `resolve`.

use crate::answer::{Answered, forebay_answer};
use crate::args::{self, Options, duration, forebay_slice, instant_to_ms, out_handle};
use crate::attempt::wait_of;
use crate::cache::{cache_of, forebay_cache};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single, null};
use crate::options::reserved;
use crate::quota_info::{Recorded, forebay_quota_info};
use crate::quota_source::{Asked, forebay_quota_source};
use crate::status::{self, ABSENT, OK, UNKNOWN, forebay_status};
use crate::text::{self, Cell};
use forebay_core::{Code, Error, Quota, QuotaOptions, Result};
use std::ffi::c_char;

/// A quota: one record and one gate in a cache, for all processes that ask the same server about the same account. A
/// usage endpoint is one: what it answers is kept, and while it refuses nobody asks it.
///
/// Thread safety: any thread, also several at once. Its owner calls `forebay_quota_free` once; resolves and answers may
/// outlive that, and it may outlive `forebay_cache_free`.
pub struct forebay_quota {
    _private: [u8; 0],
}

impl Handle for forebay_quota {
    type Rust = Named;
    type Ownership = Single;
}

/// The quota, and its key as C reads it.
pub(crate) struct Named {
    quota: Quota,
    key: Cell,
}

/// Which quota, and how it is asked. Begin with `FOREBAY_QUOTA_OPTIONS_INIT`. forebay copies what it needs during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_quota_options {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// What the record is called. Not empty.
    pub name: forebay_slice,
    /// Whose answer it is (an account, a user): another identity, another record and gate. Empty: nobody's.
    pub identity: forebay_slice,
    /// The data is fresh while it is younger than this. -1: 3 min.
    pub ttl_ms: i64,
    /// An error that is recorded in place of data holds for so long. -1: 30 s.
    pub error_ttl_ms: i64,
    /// The pause after a 429 that didn't say how long. -1: 5 min.
    pub rate_limited_ms: i64,
    /// The pause after a 401 or 403. -1: 5 min.
    pub unauthorized_ms: i64,
    /// A fetch gets so much time, and its lease so much. 0 is refused. -1: 2 s.
    pub timeout_ms: i64,
    /// The data may be served for so long after it stopped being fresh. -1: 24 h.
    pub max_stale_ms: i64,
    /// The shortest pause, also where the server told one. After a failure that tells none, the first; each further one
    /// doubles it. -1: 1 s.
    pub backoff_floor_ms: i64,
    /// The longest pause that forebay guesses so. -1: 3 min.
    pub backoff_cap_ms: i64,
    /// How long to wait for another's fetch. -1: until it ends.
    pub wait_ms: i64,
    /// What a commit waits for: a `forebay_durability`, or -1 for the cache's.
    pub durability: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_quota_options {
    const INIT: Self = forebay_quota_options {
        struct_size: size_of::<Self>(),
        name: forebay_slice::EMPTY,
        identity: forebay_slice::EMPTY,
        ttl_ms: -1,
        error_ttl_ms: -1,
        rate_limited_ms: -1,
        unauthorized_ms: -1,
        timeout_ms: -1,
        max_stale_ms: -1,
        backoff_floor_ms: -1,
        backoff_cap_ms: -1,
        wait_ms: -1,
        durability: UNKNOWN,
        reserved: 0,
    };
}

fn rules_of(options: &forebay_quota_options) -> Result<QuotaOptions> {
    let defaults = QuotaOptions::default();
    Ok(QuotaOptions {
        ttl: duration(options.ttl_ms, "ttl_ms")?.unwrap_or(defaults.ttl),
        error_ttl: duration(options.error_ttl_ms, "error_ttl_ms")?.unwrap_or(defaults.error_ttl),
        rate_limited: duration(options.rate_limited_ms, "rate_limited_ms")?.unwrap_or(defaults.rate_limited),
        unauthorized: duration(options.unauthorized_ms, "unauthorized_ms")?.unwrap_or(defaults.unauthorized),
        timeout: duration(options.timeout_ms, "timeout_ms")?.unwrap_or(defaults.timeout),
        max_stale: duration(options.max_stale_ms, "max_stale_ms")?.unwrap_or(defaults.max_stale),
        backoff_floor: duration(options.backoff_floor_ms, "backoff_floor_ms")?
            .unwrap_or(defaults.backoff_floor),
        backoff_cap: duration(options.backoff_cap_ms, "backoff_cap_ms")?.unwrap_or(defaults.backoff_cap),
        wait: wait_of(options.wait_ms)?,
        durability: status::durability(options.durability)?,
    })
}

/// # Safety
/// `cache` is NULL or a live handle; `options` as [`args::options`], its slices readable.
unsafe fn open(cache: *const forebay_cache, options: *const forebay_quota_options) -> Result<Quota> {
    // SAFETY: the caller's promise.
    let (cache, options) = unsafe { (cache_of(cache)?, args::options(options, "options")?) };
    let options = options.ok_or_else(|| null("options"))?;
    reserved(options.reserved)?;
    // SAFETY: the caller's promise.
    let (name, identity) = unsafe { (options.name.text("name")?, options.identity.text("identity")?) };
    let quota = cache.quota(name).identity(identity).with_options(rules_of(&options)?);
    // A name that cannot be one is refused here, where the caller wrote it.
    quota.key()?;
    Ok(quota)
}

/// The quota behind a handle that has to be there.
///
/// # Safety
/// `quota` is NULL or a live handle.
pub(crate) unsafe fn quota_of<'a>(quota: *const forebay_quota) -> Result<&'a Quota> {
    // SAFETY: the caller's promise.
    Ok(&unsafe { handle::borrow(quota, "quota")? }.quota)
}

/// Names a quota of the cache. Nothing is read or written.
///
/// `out`: to be freed with `forebay_quota_free`. Errors: `FOREBAY_E_INVALID`, `_UNSUPPORTED`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_open(
    out: *mut *mut forebay_quota,
    cache: *const forebay_cache,
    options: *const forebay_quota_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live cache and readable options.
        let (out, quota) = unsafe { (out_handle(out, "out")?, open(cache, options)?) };
        out.export(Named { quota, key: Cell::default() });
        Ok(OK)
    })
}

/// The key: the name (with an identity: and `~` and its hash), with a NUL at its end, borrowed from the quota; its length is
/// written to `*size` unless `size` is NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_key(quota: *const forebay_quota, size: *mut usize) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(quota) {
                Some(named) => named.key.show(size, || named.quota.key().ok().map(ToString::to_string)),
                None => text::nothing(size),
            }
        }
    })
}

/// Fresh data; or else what a fetch brings, here or in another process; or else stale data, or the fallback's.
///
/// `out`: the answer, to be freed with `forebay_answer_free`; never NULL on success. `source`: its functions are called in
/// this thread, each at most once, and only where it is needed. Returns `FOREBAY_OK`, or `FOREBAY_STALE` where the data is
/// older than the ttl; `forebay_answer_how` tells where it came from. Errors, where there is neither data nor a fallback:
/// the failure's own code (`FOREBAY_E_RATE_LIMITED`, `_UNAUTHORIZED`, `_UNAVAILABLE`, `_TIMED_OUT`, `_NO_CREDENTIALS`,
/// `_REFRESH_FAILED`, …), `FOREBAY_E_GATED` where a gate gives no reason, each with `forebay_error_retry_at_ms`; and
/// `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_resolve(
    out: *mut *mut forebay_answer,
    quota: *const forebay_quota,
    source: *const forebay_quota_source,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a readable table, a place for the handle and a live quota.
        let (asked, out, quota) =
            unsafe { (Asked::take(source)?, out_handle(out, "out")?, quota_of(quota)?) };
        let answered = Answered::new(asked.drive(quota.begin())?);
        let status = answered.status();
        out.export(answered);
        Ok(status)
    })
}

/// Looks at what is recorded: never a wait, and nothing is changed.
///
/// `out`: to be freed with `forebay_quota_info_free`. Returns `FOREBAY_OK` (there is fresh data), `FOREBAY_STALE`,
/// `FOREBAY_EXPIRED` (older than may be served) or `FOREBAY_ABSENT` (no data). Errors: `FOREBAY_E_INVALID`, `_CLOSED`,
/// `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_read(
    out: *mut *mut forebay_quota_info,
    quota: *const forebay_quota,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle and a live quota.
        let (out, quota) = unsafe { (out_handle(out, "out")?, quota_of(quota)?) };
        let recorded = Recorded::new(quota.read()?);
        let status = recorded.status();
        out.export(recorded);
        Ok(status)
    })
}

/// Lets nobody fetch for a while, in any process: a gate that you declare. It holds for at most 24 h, and never ends
/// before one that is there already.
///
/// `until_ms`: when the gate ends, in milliseconds since the epoch; NULL where you don't want it. `wait_ms`: from now on.
/// `code`: why, one of the negative numbers of `forebay_code`. `message`: why in words, without secrets: it is recorded.
/// Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`, `_NO_SPACE`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_block(
    until_ms: *mut i64,
    quota: *const forebay_quota,
    wait_ms: i64,
    code: i32,
    message: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place for the number.
        let until = unsafe { args::maybe_place(until_ms, -1) };
        // SAFETY: the header asks for a live quota and readable text.
        let (quota, message) = unsafe { (quota_of(quota)?, message.text("message")?) };
        let wait = duration(wait_ms, "wait_ms")?.ok_or_else(|| {
            Error::new(Code::Invalid, "wait_ms is -1").with_hint("give milliseconds from now")
        })?;
        let code = Code::from_number(code).ok_or_else(|| {
            Error::new(Code::Invalid, format!("code is {code}"))
                .with_hint("give one of the negative numbers of forebay_code")
        })?;
        until.set(instant_to_ms(Some(quota.block(wait, code, message)?)));
        Ok(OK)
    })
}

/// Removes the record and the gate, also one that the server declared: the next call fetches. Returns `FOREBAY_OK`, or
/// `FOREBAY_ABSENT` where there was nothing. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`, `_PERMISSION`, `_IO`.
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_clear(
    quota: *const forebay_quota,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live quota.
        Ok(if unsafe { quota_of(quota)? }.clear()? { OK } else { ABSENT })
    })
}

/// Frees the quota; NULL is fine. Not while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_free(quota: *mut forebay_quota) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(quota) }
    });
}
