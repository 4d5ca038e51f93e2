//! `Map`: a small file mapped read-only, as 32-bit words that other processes change, and as addresses to
//! sleep on. It knows neither what the words mean nor who writes them.

use memmap2::Mmap;
use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// A read-only shared mapping. Reading it after the file was truncated is fatal (SIGBUS); sleeping on it then
/// is a plain error.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    pub(crate) fn new(fd: &OwnedFd, size: usize) -> io::Result<Map> {
        // SAFETY: other processes change the file while it is mapped, so no reference to plain bytes is ever
        // made from it: `word` and `pair` hand out atomics only. Nobody truncates the file (docs/protocol.md).
        let map = unsafe { memmap2::MmapOptions::new().len(size).map(fd.as_raw_fd())? };
        Ok(Map(map))
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        assert!(at.is_multiple_of(4) && at + 4 <= self.0.len());
        // SAFETY: in bounds and aligned (the mapping begins at a page); the memory is shared and changes only
        // by whole aligned words as far as an atomic load can tell; it lives as long as `self`.
        unsafe { &*self.0.as_ptr().add(at).cast::<AtomicU32>() }
    }

    /// Eight bytes at `at`, in one load. Acquire: what was written before the number is seen after it.
    #[inline]
    pub(crate) fn pair(&self, at: usize) -> u64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.0.len());
        // SAFETY: as in `word`.
        unsafe { &*self.0.as_ptr().add(at).cast::<AtomicU64>() }.load(Ordering::Acquire)
    }

    /// Sleeps until somebody wakes this word, it is not `expected`, or `timeout` is over.
    #[cfg(target_os = "linux")]
    pub(crate) fn sleep(&self, at: usize, expected: u32, timeout: Duration) {
        use rustix::thread::futex;
        let timeout = rustix::fs::Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // Not private: sleepers and wakers are different processes that share the file.
        let _ = futex::wait(self.word(at), futex::Flags::empty(), expected, Some(&timeout));
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn sleep(&self, at: usize, expected: u32, timeout: Duration) {
        let until = std::time::Instant::now() + timeout.min(Duration::from_millis(25));
        while self.word(at).load(Ordering::Acquire) == expected && std::time::Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Wakes all who sleep on this word.
    #[cfg(target_os = "linux")]
    pub(crate) fn wake(&self, at: usize) {
        use rustix::thread::futex;
        let _ = futex::wake(self.word(at), futex::Flags::empty(), i32::MAX.cast_unsigned());
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn wake(&self, _at: usize) {}
}
