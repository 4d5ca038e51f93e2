//! `forebay_credentials`: a folder of credentials that is open. Rotating by callback, looking, and resetting; one step at a
//! time is elsewhere.

use crate::args::{self, Options, bytes, duration, forebay_slice, maybe_out, out_handle};
use crate::credential::{Kept, forebay_credential};
use crate::error::forebay_error;
use crate::exchanger::{Exchanger, forebay_exchanger};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::rotate_info::{Looked, forebay_rotate_info};
use crate::status::{ABSENT, OK, forebay_status};
use crate::text::{self, Cell, Terminated, forebay_text};
use forebay_core::{Code, Credentials, CredentialsOptions, Error, Result, Version};
use std::ffi::{OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;

/// Credentials that are exchanged for new ones, such as refresh tokens: a folder that many processes share, of which one at
/// a time exchanges, and all get the new one. It is no cache: what is lost there is lost.
///
/// Thread safety: any thread, also several at once. Its owner calls `forebay_credentials_free` once; rotations and
/// credentials may outlive that.
pub struct forebay_credentials {
    _private: [u8; 0],
}

impl Handle for forebay_credentials {
    type Rust = Opened;
    type Ownership = Single;
}

/// The credentials, and their folder as C reads it.
pub(crate) struct Opened {
    credentials: Credentials,
    root: Cell,
}

/// How to open credentials. Begin with `FOREBAY_CREDENTIALS_OPTIONS_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_credentials_options {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// The folder. Empty: as `forebay_default_state_root`.
    pub root: forebay_slice,
    /// For tests: a file from which all processes read the time. Empty: the system's clock.
    pub test_clock: forebay_slice,
    /// An exchange gets so much time, and its lease so much. 0 is refused. -1: 30 s.
    pub deadline_ms: i64,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_credentials_options {
    const INIT: Self = forebay_credentials_options {
        struct_size: size_of::<Self>(),
        root: forebay_slice::EMPTY,
        test_clock: forebay_slice::EMPTY,
        deadline_ms: -1,
    };
}

/// # Safety
/// The slices of `options` are readable.
unsafe fn open(options: &forebay_credentials_options) -> Result<Credentials> {
    // SAFETY: the caller's promise.
    let (root, clock) = unsafe { (options.root.bytes("root")?, options.test_clock.bytes("test_clock")?) };
    let mut core = CredentialsOptions::new();
    // A path is bytes, not text.
    if !root.is_empty() {
        core = core.root(OsStr::from_bytes(root));
    }
    if !clock.is_empty() {
        core = core.test_clock(OsStr::from_bytes(clock));
    }
    if let Some(deadline) = duration(options.deadline_ms, "deadline_ms")? {
        core = core.deadline(deadline);
    }
    core.open()
}

/// The credentials behind a handle that has to be there.
///
/// # Safety
/// `credentials` is NULL or a live handle.
pub(crate) unsafe fn credentials_of<'a>(credentials: *const forebay_credentials) -> Result<&'a Credentials> {
    // SAFETY: the caller's promise.
    Ok(&unsafe { handle::borrow(credentials, "credentials")? }.credentials)
}

/// The version that the caller has seen; none for an empty text.
///
/// # Safety
/// `seen` is readable.
pub(crate) unsafe fn seen_of(seen: forebay_slice) -> Result<Option<Version>> {
    // SAFETY: the caller's promise.
    let seen = unsafe { seen.some_text("seen")? };
    // The text is not shown: somebody may have given the credential itself.
    seen.map(Version::parse).transpose().map_err(|_| {
        Error::new(Code::Invalid, "seen is no version").with_hint("give that of forebay_credential_version")
    })
}

/// The folder of credentials where none is named: `$FOREBAY_STATE`, else `$XDG_STATE_HOME/forebay`, else
/// `$HOME/.local/state/forebay`.
///
/// `out`: the path as the system has it, so not always UTF-8; to be freed with `forebay_text_free`. Returns `FOREBAY_OK`,
/// or `FOREBAY_ABSENT` where the environment names no home. Errors: `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_default_state_root(
    out: *mut *mut forebay_text,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle.
        let out = unsafe { out_handle(out, "out")? };
        Ok(forebay_core::default_state_root().map_or(ABSENT, |root| {
            out.export(Terminated::new(root.as_os_str().as_bytes()));
            OK
        }))
    })
}

/// Opens credentials. Takes no lock, and makes the folder only when something is written.
///
/// `out`: to be freed with `forebay_credentials_free`. `options`: NULL for the defaults. Errors: `FOREBAY_E_INVALID`,
/// `_UNSAFE_ROOT`, `_UNSUPPORTED_FS`, `_NEWER_FORMAT`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_credentials_open(
    out: *mut *mut forebay_credentials,
    options: *const forebay_credentials_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, and NULL or readable options.
        let (out, options) = unsafe { (out_handle(out, "out")?, args::options(options, "options")?) };
        // SAFETY: as before.
        let credentials = unsafe { open(&options.unwrap_or(Options::INIT))? };
        out.export(Opened { credentials, root: Cell::default() });
        Ok(OK)
    })
}

/// The folder, with a NUL at its end, borrowed; its length is written to `*size` unless `size` is NULL. It is as the system
/// has it, so not always UTF-8. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_credentials_root(
    credentials: *const forebay_credentials,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(credentials) {
                Some(opened) => {
                    opened.root.show(size, || Some(opened.credentials.root().as_os_str().as_bytes()))
                }
                None => text::nothing(size),
            }
        }
    })
}

/// The next credential: where another than `seen` is stored, that; else one process runs the exchange, and all that wait for
/// it get what it brought.
///
/// `out`: to be freed with `forebay_credential_free`; never NULL on success. `key`: `name`, or `folder/name`. `seen`:
/// the version that turned out to be used up, from `forebay_credential_version`; empty where none was had yet.
/// `exchanger`: its function is called in this thread, at most once. `forebay_credential_how` tells whether it was.
/// With `FOREBAY_HOW_UNCOORDINATED` the new credential could not be stored, and the caller has the only copy. Errors:
/// `FOREBAY_E_NOT_FOUND` where one was seen and none is stored; `FOREBAY_E_AMBIGUOUS` where an exchange was begun and
/// its outcome is unknown, for everyone until `forebay_rotate_reset`: it is never run again by itself; what the
/// exchange was refused with (`FOREBAY_E_UNAUTHORIZED`, `_RATE_LIMITED`, …), and `FOREBAY_E_GATED` while that cools
/// down, both with `forebay_error_retry_at_ms`; and `FOREBAY_E_INVALID`, `_LOCK_TIMEOUT`, `_NO_SPACE`, `_PERMISSION`,
/// `_IO`: then nothing was sent. Where an exchange's own words hold the credential, what is recorded and returned has
/// `[credential]` in its place, save `forebay_error_host_text`, which are those words. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotate(
    out: *mut *mut forebay_credential,
    credentials: *const forebay_credentials,
    key: forebay_slice,
    seen: forebay_slice,
    exchanger: *const forebay_exchanger,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a readable table, a place for the handle, a live handle and readable text.
        let (exchanger, out, credentials, key, seen) = unsafe {
            (
                Exchanger::take(exchanger)?,
                out_handle(out, "out")?,
                credentials_of(credentials)?,
                key.text("key")?,
                seen_of(seen)?,
            )
        };
        out.export(Kept::new(exchanger.drive(credentials.begin(key, seen.as_ref()))?));
        Ok(OK)
    })
}

/// The credential that is stored; nothing is exchanged.
///
/// `out`: to be freed with `forebay_credential_free`. Returns `FOREBAY_OK`, or `FOREBAY_ABSENT` where there is none. Errors:
/// `FOREBAY_E_INVALID`, `_DAMAGED`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_credentials_current(
    out: *mut *mut forebay_credential,
    credentials: *const forebay_credentials,
    key: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live handle and readable text.
        let (out, credentials, key) =
            unsafe { (out_handle(out, "out")?, credentials_of(credentials)?, key.text("key")?) };
        Ok(credentials.current(key)?.map_or(ABSENT, |credential| {
            out.export(Kept::new(credential));
            OK
        }))
    })
}

/// Stores the credential of a new login, or forgets the one that is stored. What was recorded ends: ambiguity, and the gate.
///
/// `version`: of what was stored, to be freed with `forebay_text_free`; NULL where it was forgotten; the place may be NULL.
/// `data`: `size` bytes, at least one, copied during the call; `data` NULL forgets. Errors: `FOREBAY_E_INVALID`,
/// `_LOCK_TIMEOUT`, `_NO_SPACE`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotate_reset(
    version: *mut *mut forebay_text,
    credentials: *const forebay_credentials,
    key: forebay_slice,
    data: *const c_void,
    size: usize,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, a live handle, and readable text and bytes.
        let (version, credentials, key, given) = unsafe {
            (maybe_out(version), credentials_of(credentials)?, key.text("key")?, bytes(data, size, "data")?)
        };
        if let Some(stored) = credentials.reset(key, (!data.is_null()).then_some(given))? {
            version.export(Terminated::new(stored.to_string().as_bytes()));
        }
        Ok(OK)
    })
}

/// What the exchange of a credential is doing, and whether an outcome is unknown.
///
/// `out`: to be freed with `forebay_rotate_info_free`. Errors: `FOREBAY_E_INVALID`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotate_state(
    out: *mut *mut forebay_rotate_info,
    credentials: *const forebay_credentials,
    key: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live handle and readable text.
        let (out, credentials, key) =
            unsafe { (out_handle(out, "out")?, credentials_of(credentials)?, key.text("key")?) };
        out.export(Looked::new(credentials.state(key)?));
        Ok(OK)
    })
}

/// Frees the credentials; NULL is fine. Not while another thread uses them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_credentials_free(credentials: *mut forebay_credentials) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(credentials) }
    });
}
