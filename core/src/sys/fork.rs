//! `PerProcess` and `Held`: what must not cross a fork. A fork is noticed by a counter that a handler raises
//! in the child, so the hot path asks no system call; the handler also closes the child's copies of markers,
//! guards and holder files, which it must never unlock. This is the only global state of the library.

use crate::sys::Fd;
use arc_swap::ArcSwap;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Once};

/// How many leases one process may hold.
pub(crate) const MAX_LEASES: usize = 256;
const PLACES: usize = 1024;

static FORKS: AtomicU64 = AtomicU64::new(0);
static HELD: [AtomicI32; PLACES] = [const { AtomicI32::new(-1) }; PLACES];
static LEASES: AtomicUsize = AtomicUsize::new(0);
static REGISTER: Once = Once::new();

/// Runs in the child, where only async-signal-safe calls are allowed: atomics and `close` are.
extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::SeqCst);
    LEASES.store(0, Ordering::SeqCst);
    for place in &HELD {
        let fd = place.swap(-1, Ordering::SeqCst);
        if fd >= 0 {
            // SAFETY: the descriptor was put there by `Held::new`, whose owner in this process is a copy of the
            // parent's that forgets it instead of closing it (`Held::drop` compares the number of forks).
            unsafe { libc::close(fd) };
        }
    }
}

/// How often this process, counted from the first that loaded the library, descends from a fork.
pub(crate) fn forks() -> u64 {
    REGISTER.call_once(|| {
        // SAFETY: the handler is a plain function without captured state and is async-signal-safe. The only
        // failure, lack of memory, leaves forks unnoticed; tickets then still check marker and pid.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    FORKS.load(Ordering::Acquire)
}

/// State that a forked child begins anew: locks that another thread held at the fork stay locked for ever in
/// the child, so it never touches them.
#[derive(Debug)]
pub(crate) struct PerProcess<T>(ArcSwap<(u64, T)>);

impl<T: Default> Default for PerProcess<T> {
    fn default() -> Self {
        PerProcess(ArcSwap::from_pointee((forks(), T::default())))
    }
}

/// A loan of the state of this process.
pub(crate) struct Loan<T>(arc_swap::Guard<Arc<(u64, T)>>);

impl<T> std::ops::Deref for Loan<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T: Default> PerProcess<T> {
    pub(crate) fn get(&self) -> Loan<T> {
        let now = forks();
        loop {
            let loan = self.0.load();
            if loan.0 == now {
                return Loan(loan);
            }
            // The parent's state is forgotten, not dropped: dropping could wait for a lock that nobody frees.
            let fresh = Arc::new((now, T::default()));
            let previous = self.0.compare_and_swap(&*loan, fresh);
            std::mem::forget(Arc::clone(&previous));
        }
    }
}

/// A descriptor that a forked child must close, and its owner in the child must not.
#[derive(Debug)]
pub(crate) struct Held {
    fd: Option<Fd>,
    place: Option<usize>,
    forks: u64,
}

impl Held {
    pub(crate) fn new(fd: Fd) -> Held {
        let forks = forks();
        let place = match &fd {
            Fd::Real(raw) => reserve(raw.as_raw_fd()),
            Fd::Sim(_) => None,
        };
        Held { fd: Some(fd), place, forks }
    }

    /// The descriptor, unless this is a forked child's copy.
    pub(crate) fn fd(&self) -> Option<&Fd> {
        if self.inherited() { None } else { self.fd.as_ref() }
    }

    pub(crate) fn inherited(&self) -> bool {
        self.forks != forks()
    }
}

fn reserve(fd: i32) -> Option<usize> {
    let free =
        |place: &AtomicI32| place.compare_exchange(-1, fd, Ordering::SeqCst, Ordering::Relaxed).is_ok();
    // Start at a place that depends on the descriptor, so that threads rarely meet.
    let start = usize::try_from(fd).unwrap_or(0) % PLACES;
    (0..PLACES).map(|step| (start + step) % PLACES).find(|at| free(&HELD[*at]))
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.inherited() {
            // The handler has closed it; the number may stand for another file by now. Where no place was
            // left for it, the child keeps it open, which only delays what another process learns.
            std::mem::forget(self.fd.take());
            return;
        }
        if let Some(at) = self.place {
            HELD[at].store(-1, Ordering::SeqCst);
        }
    }
}

/// Permission to hold one more lease.
#[derive(Debug)]
pub(crate) struct Permit(u64);

impl Permit {
    pub(crate) fn take() -> Option<Permit> {
        let forks = forks();
        LEASES
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |held| (held < MAX_LEASES).then_some(held + 1))
            .ok()
            .map(|_| Permit(forks))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.0 == forks() {
            LEASES.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
