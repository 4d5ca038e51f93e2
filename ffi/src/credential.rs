//! `forebay_credential`: a credential as it is stored, with its version. It doesn't know who exchanged it.

use crate::args::instant_to_ms;
use crate::error::{Failed, forebay_error};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::status::{self, UNKNOWN};
use crate::text::{self, Cell};
use forebay_core::Credential;
use std::ffi::c_char;

/// A credential: bytes, the version by which a later call says that it has seen it, and where it came from. Each accessor
/// accepts NULL. What it lends lives as long as it does, also when the credentials are freed.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_credential {
    _private: [u8; 0],
}

impl Handle for forebay_credential {
    type Rust = Kept;
    type Ownership = Single;
}

/// The credential, and its texts as C reads them.
pub(crate) struct Kept {
    credential: Credential,
    error: Option<Failed>,
    data: Cell,
    version: Cell,
}

impl Kept {
    pub(crate) fn new(credential: Credential) -> Kept {
        let error = credential.error().cloned().map(Failed::new);
        Kept { credential, error, data: Cell::default(), version: Cell::default() }
    }
}

/// The credential as the exchange gave it, with a NUL after its last byte, borrowed; its length is written to `*size` unless
/// `size` is NULL. It may have a NUL within. NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_credential_data(
    credential: *const forebay_credential,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(credential) {
                Some(kept) => kept.data.show(size, || Some(kept.credential.data())),
                None => text::nothing(size),
            }
        }
    })
}

/// The opaque version, for the `seen` of `forebay_rotate`; as `forebay_credential_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_credential_version(
    credential: *const forebay_credential,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(credential) {
                Some(kept) => kept.version.show(size, || Some(kept.credential.version().to_string())),
                None => text::nothing(size),
            }
        }
    })
}

/// When it was stored, in milliseconds since the epoch; -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_credential_stored_at_ms(credential: *const forebay_credential) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { handle::peek(credential) }.map(|kept| kept.credential.stored_at()))
    })
}

/// Where it came from: `FOREBAY_HOW_RAN` (the exchange ran here), `_COALESCED` (another did it), `_FRESH` (it was looked at
/// only), `_UNCOORDINATED` (it could not be stored, and this is the only copy); -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_credential_how(credential: *const forebay_credential) -> i32 {
    ffi_guard!(else UNKNOWN, {
        // SAFETY: the header asks for NULL or a live handle.
        status::how_number(unsafe { handle::peek(credential) }.map(|kept| kept.credential.how()))
    })
}

/// Why it could not be stored; NULL where it was. Borrowed: not to be freed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_credential_error(
    credential: *const forebay_credential,
) -> *const forebay_error {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        Failed::lend(unsafe { handle::peek(credential) }.and_then(|kept| kept.error.as_ref()))
    })
}

/// Frees the credential; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_credential_free(credential: *mut forebay_credential) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(credential) }
    });
}
