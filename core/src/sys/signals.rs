//! Signals belong to the host: threads of ours block them all, so its handlers never run on a stack of ours.

/// Blocks all signals in the calling thread.
pub(crate) fn block_signals() {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` initialises the whole set that it is given, and `pthread_sigmask` only reads it and
    // changes nothing but the mask of this very thread.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
}
