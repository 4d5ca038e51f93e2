//! Threads for the length of one call. They block all signals, so that the host's handlers run on the host's own
//! threads. What outlives its call runs on core's pool.

use forebay_core::{Code, Error, Result};
use std::thread::{Builder, Scope};

/// Runs `work` on a thread that ends with the scope.
///
/// # Errors
/// [`Code::Io`] where the system gives no thread; `work` is dropped then.
pub(crate) fn scoped<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    work: impl FnOnce() + Send + 'scope,
) -> Result<()> {
    quietly(|| builder().spawn_scoped(scope, work).map(drop)).map_err(|error| refused(&error))
}

fn builder() -> Builder {
    Builder::new().name("forebay".to_owned())
}

fn refused(error: &std::io::Error) -> Error {
    Error::new(Code::Io, format!("cannot start a thread: {error}"))
        .with_hint("raise the limit of processes (ulimit -u), or refresh in the caller's thread")
}

/// Starts a thread with all signals blocked: it inherits the mask, and the caller gets its own back.
fn quietly<T>(start: impl FnOnce() -> T) -> T {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are places for one; the first is filled before it is used, the second by the call.
    let masked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let started = start();
    if masked {
        // SAFETY: the set was filled by the call that succeeded.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }
    started
}
