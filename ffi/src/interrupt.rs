//! `forebay_interrupt`: a flag by which one thread ends another's wait. It knows nothing of what is waited for.

use crate::args::out_handle;
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::status::{OK, forebay_status};
use forebay_core::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that ends waits: `forebay_next_refresh`, `forebay_wait_for_change` and `forebay_events_next` take one. While
/// it is set, they return `FOREBAY_E_CANCELLED`, within 25 ms also when they wait already.
///
/// Thread safety: any thread, also several at once; setting it is safe in a signal handler. Free it when no other
/// thread will set it any more; a wait that still runs keeps what it needs.
pub struct forebay_interrupt {
    _private: [u8; 0],
}

impl Handle for forebay_interrupt {
    type Rust = Arc<AtomicBool>;
    type Ownership = Single;
}

/// The flag of an interrupt that may be NULL, kept alive for the length of a wait.
///
/// # Safety
/// `interrupt` is NULL or a live handle.
pub(crate) unsafe fn flag(interrupt: *const forebay_interrupt) -> Option<Arc<AtomicBool>> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(interrupt) }.cloned()
}

/// Whether a flag that may be missing is set.
pub(crate) fn is_set(flag: Option<&Arc<AtomicBool>>) -> bool {
    flag.is_some_and(|flag| flag.load(Ordering::Acquire))
}

/// Waits with the flag of the interrupt, if any: `wait` gets it as core takes it. `None` from `wait` becomes an
/// error when the flag was why.
///
/// # Errors
/// Those of `wait`; [`forebay_core::Code::Cancelled`] where the flag ended it.
///
/// # Safety
/// `interrupt` is NULL or a live handle.
pub(crate) unsafe fn waiting<T>(
    interrupt: *const forebay_interrupt,
    wait: impl FnOnce(Option<&dyn Fn() -> bool>) -> Result<Option<T>>,
) -> Result<Option<T>> {
    // SAFETY: the caller's promise.
    let flag = unsafe { flag(interrupt) };
    let asked = || is_set(flag.as_ref());
    let found = wait(flag.as_ref().map(|_| &asked as &dyn Fn() -> bool))?;
    if found.is_none() && asked() {
        return Err(cancelled());
    }
    Ok(found)
}

pub(crate) fn cancelled() -> forebay_core::Error {
    forebay_core::Error::new(forebay_core::Code::Cancelled, "the wait was interrupted")
}

/// Makes a flag that is not set. Free it with `forebay_interrupt_free`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_interrupt_new(
    out: *mut *mut forebay_interrupt,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle.
        unsafe { out_handle(out, "out")? }.export(Arc::new(AtomicBool::new(false)));
        Ok(OK)
    })
}

/// Sets the flag: waits that were given it end, now and later, until it is cleared. Any thread, also a signal
/// handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_interrupt_set(interrupt: *const forebay_interrupt) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a live handle.
        if let Some(flag) = unsafe { handle::peek(interrupt) } {
            flag.store(true, Ordering::Release);
        }
    });
}

/// Clears the flag, for the next use. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_interrupt_clear(interrupt: *const forebay_interrupt) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a live handle.
        if let Some(flag) = unsafe { handle::peek(interrupt) } {
            flag.store(false, Ordering::Release);
        }
    });
}

/// Frees the flag; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_interrupt_free(interrupt: *mut forebay_interrupt) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(interrupt) }
    });
}
