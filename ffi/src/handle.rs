//! Handles: how a Rust value becomes an opaque C pointer and comes back. Each C type says once, in types, what
//! Rust value is behind it and who owns it, so that no function can free what it only borrows.

use forebay_core::{Code, Error, Result};
use std::sync::Arc;

/// One owner: `_free` drops the value.
pub(crate) struct Single;
/// Counted: `_retain` adds an owner, `_free` takes one away.
pub(crate) struct Shared;

/// An opaque C type, the Rust value behind it, and its ownership ([`Single`] or [`Shared`]).
pub(crate) trait Handle: Sized {
    type Rust: Send + Sync;
    type Ownership: Own<Self>;
}

/// What an ownership can do.
pub(crate) trait Own<H: Handle> {
    fn export(rust: H::Rust) -> *mut H;
    /// # Safety
    /// `handle` came from `export` of the same type and is not used afterwards by this owner.
    unsafe fn free(handle: *mut H);
}

impl<H: Handle<Ownership = Single>> Own<H> for Single {
    fn export(rust: H::Rust) -> *mut H {
        Box::into_raw(Box::new(rust)).cast()
    }
    unsafe fn free(handle: *mut H) {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(handle.cast::<H::Rust>()) });
    }
}

impl<H: Handle<Ownership = Shared>> Own<H> for Shared {
    fn export(rust: H::Rust) -> *mut H {
        Arc::into_raw(Arc::new(rust)).cast_mut().cast()
    }
    unsafe fn free(handle: *mut H) {
        // SAFETY: the caller's promise.
        drop(unsafe { Arc::from_raw(handle.cast_const().cast::<H::Rust>()) });
    }
}

/// A new handle, owned by whoever gets the pointer.
pub(crate) fn export<H: Handle>(rust: H::Rust) -> *mut H {
    H::Ownership::export(rust)
}

/// Gives up one owner; NULL is nothing to do.
///
/// # Safety
/// `handle` is NULL, or a handle of that type that this owner doesn't use afterwards.
pub(crate) unsafe fn free<H: Handle>(handle: *mut H) {
    if !handle.is_null() {
        // SAFETY: the caller's promise.
        unsafe { H::Ownership::free(handle) };
    }
}

/// The value behind a handle; none for NULL.
///
/// # Safety
/// `handle` is NULL, or a handle of that type that lives for `'a`.
pub(crate) unsafe fn peek<'a, H: Handle>(handle: *const H) -> Option<&'a H::Rust>
where
    H::Rust: 'a,
{
    // SAFETY: the caller's promise.
    unsafe { handle.cast::<H::Rust>().as_ref() }
}

/// The value behind a handle that has to be there.
///
/// # Errors
/// [`Code::Invalid`] for NULL.
///
/// # Safety
/// As [`peek`].
pub(crate) unsafe fn borrow<'a, H: Handle>(handle: *const H, what: &str) -> Result<&'a H::Rust>
where
    H::Rust: 'a,
{
    // SAFETY: the caller's promise.
    unsafe { peek(handle) }.ok_or_else(|| null(what))
}

/// One more owner of the same value: the same pointer; NULL for NULL.
///
/// # Safety
/// As [`peek`].
pub(crate) unsafe fn retain<H: Handle<Ownership = Shared>>(handle: *const H) -> *mut H {
    if !handle.is_null() {
        // SAFETY: the pointer came from Arc::into_raw, by the caller's promise.
        unsafe { Arc::increment_strong_count(handle.cast::<H::Rust>()) };
    }
    handle.cast_mut()
}

/// The error for a NULL that may not be.
pub(crate) fn null(what: &str) -> Error {
    Error::new(Code::Invalid, format!("{what} is NULL"))
}
