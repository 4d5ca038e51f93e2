//! `Sys`: every system call, clock, random number, lock and wake-up of the protocol, behind one small trait.
//!
//! The protocol above it is written once and runs on the real system ([`real::RealSys`]) and, in tests, on a
//! simulated one that can be killed, paused and made to fail at each call. All names given to it are single
//! path components: nothing here resolves a path below the root, and symbolic links are never followed.

pub(crate) mod breaks;
pub(crate) mod clock;
pub(crate) mod fork;
mod local;
pub(crate) mod map;
pub(crate) mod process;
pub(crate) mod real;
pub(crate) mod signals;
mod steps;
pub(crate) mod tape;

use crate::stamp::Nanos;
use clock::Clock;
use map::Map;
use process::Process;
use std::any::Any;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An open file or folder.
#[derive(Debug)]
pub(crate) enum Fd {
    Real(OwnedFd),
    /// A descriptor of a simulated system.
    #[allow(dead_code, reason = "made by simulations only")]
    Sim(Arc<dyn Any + Send + Sync>),
}

/// What kind of thing a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileKind {
    File,
    Folder,
    Other,
}

/// What `fstat` tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size: u64,
    pub(crate) mtime_ns: Nanos,
    pub(crate) ctime_ns: Nanos,
    pub(crate) nlink: u64,
    pub(crate) uid: u32,
    pub(crate) mode: u32,
    pub(crate) kind: FileKind,
}

impl Stat {
    /// Whether both describe one unchanged file. The link count is left out: it says nothing of the content.
    pub(crate) fn same_file(&self, other: &Stat) -> bool {
        (self.dev, self.ino, self.size, self.mtime_ns, self.ctime_ns)
            == (other.dev, other.ino, other.size, other.mtime_ns, other.ctime_ns)
    }

    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }
}

/// The system as the protocol sees it.
pub(crate) trait Sys: Send + Sync + fmt::Debug {
    /// The injected clock: freshness, leases and gates are judged by it.
    fn clock(&self) -> &Clock;
    /// The real wall clock, for tokens and the age of files.
    fn real_ns(&self) -> Nanos;
    /// Who this process is.
    fn process(&self) -> Arc<Process>;
    /// Whether the process of that number, in this pid namespace, has ended.
    fn process_gone(&self, pid: u32) -> bool;
    /// The user that files must belong to.
    fn user(&self) -> u32;
    fn random(&self, bytes: &mut [u8]);

    fn open_root(&self, path: &Path) -> io::Result<Fd>;
    fn make_root(&self, path: &Path) -> io::Result<()>;
    fn stat_path(&self, path: &Path) -> io::Result<Stat>;
    /// The same; of a link itself, if one stands there.
    fn stat_path_itself(&self, path: &Path) -> io::Result<Stat>;
    /// The kind of the file system, as a name; `Err(name)` if it is not known to be local.
    fn file_system(&self, fd: &Fd) -> io::Result<Result<(), String>>;

    fn open_folder(&self, at: &Fd, name: &str) -> io::Result<Fd>;
    fn open(&self, at: &Fd, name: &str) -> io::Result<Fd>;
    fn open_writable(&self, at: &Fd, name: &str) -> io::Result<Fd>;
    /// Makes a file of mode 0600 that must not be there yet.
    fn create(&self, at: &Fd, name: &str) -> io::Result<Fd>;
    fn make_folder(&self, at: &Fd, name: &str) -> io::Result<()>;
    fn stat(&self, fd: &Fd) -> io::Result<Stat>;
    fn stat_at(&self, at: &Fd, name: &str) -> io::Result<Stat>;
    fn list(&self, folder: &Fd) -> io::Result<Vec<String>>;

    /// Reads from the start, at most `max` bytes.
    fn read(&self, fd: &Fd, size_hint: u64, max: u64) -> io::Result<Vec<u8>>;
    /// Fills `bytes` from that offset; fewer bytes are an error.
    fn read_at(&self, fd: &Fd, at: u64, bytes: &mut [u8]) -> io::Result<()>;
    fn write(&self, fd: &Fd, at: u64, bytes: &[u8]) -> io::Result<()>;
    fn allocate(&self, fd: &Fd, size: u64) -> io::Result<()>;
    fn set_mtime(&self, fd: &Fd, ns: Nanos) -> io::Result<()>;
    /// A file's bytes, and what is needed to find them again.
    fn flush(&self, fd: &Fd) -> io::Result<()>;
    /// The same, and its times too.
    fn flush_all(&self, fd: &Fd) -> io::Result<()>;
    /// The names in a folder, not its own name.
    fn flush_folder(&self, fd: &Fd) -> io::Result<()>;

    fn rename(&self, at: &Fd, from: &str, to: &str) -> io::Result<()>;
    /// Renames into another folder, over nothing.
    fn move_to(&self, at: &Fd, from: &str, to_folder: &Fd, to: &str) -> io::Result<()>;
    /// Swaps two names, both of which must be there.
    fn exchange(&self, at: &Fd, from: &str, to: &str) -> io::Result<()>;
    fn link(&self, at: &Fd, from: &str, to: &str) -> io::Result<()>;
    fn unlink(&self, at: &Fd, name: &str) -> io::Result<()>;
    fn remove_folder(&self, at: &Fd, name: &str) -> io::Result<()>;

    /// Tries to take an advisory lock on the open file; false if another open file holds it.
    fn try_lock(&self, fd: &Fd, exclusive: bool) -> io::Result<bool>;
    fn unlock(&self, fd: &Fd) -> io::Result<()>;
    /// Which process holds a lock on that file, where the system tells.
    fn lock_holder(&self, stat: &Stat) -> Option<u32>;

    /// Maps a file of that size read-only.
    fn map(&self, fd: &Fd, size: usize) -> io::Result<Map>;
    /// Lets others run for a short while.
    fn pause(&self, duration: Duration);
}

/// Whether an error of `open` means that a link stands there. The errno alone is not believed: it decides whether
/// something is moved out of the way.
pub(crate) fn is_link(sys: &dyn Sys, at: &Fd, name: &str, error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
        && sys.stat_at(at, name).is_ok_and(|stat| stat.kind == FileKind::Other)
}

/// Whether `read` found more than it was allowed to: our own word, not an errno of the system.
pub(crate) fn is_too_large(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::FileTooLarge && error.raw_os_error().is_none()
}

/// Turns "it is not there" into none; every other error stays one.
pub(crate) fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
