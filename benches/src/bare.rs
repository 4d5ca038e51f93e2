//! The floor: the bare system calls that any cache of files must make, without a library in between.
//!
//! Paths are prepared beforehand as C strings, so that what is timed is the kernel's work.

use crate::Outcome;
use std::ffi::CString;
use std::io::Error;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path as system calls want it.
pub fn c_path(path: &Path) -> Outcome<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// open, fstat, read and close of a file, into a buffer that is used again. Returns the length.
#[inline]
pub fn read_file(path: &CString, buffer: &mut [u8]) -> Outcome<usize> {
    // SAFETY: `path` ends in NUL; `stat` and `buffer` are ours, writable, and of the lengths told.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return Err(Error::last_os_error().into());
        }
        let mut stat = std::mem::zeroed::<libc::stat>();
        let known = libc::fstat(fd, &mut stat);
        let wanted = (stat.st_size as usize).min(buffer.len());
        let got = libc::read(fd, buffer.as_mut_ptr().cast(), wanted);
        libc::close(fd);
        if known < 0 || got < 0 {
            return Err(Error::last_os_error().into());
        }
        Ok(got as usize)
    }
}

/// stat of a file: its size, if it is there.
#[inline]
pub fn size(path: &CString) -> Option<u64> {
    // SAFETY: `path` ends in NUL; `stat` is ours and writable.
    unsafe {
        let mut stat = std::mem::zeroed::<libc::stat>();
        (libc::stat(path.as_ptr(), &mut stat) == 0).then_some(stat.st_size as u64)
    }
}

/// A file that is replaced by writing a temporary one and renaming it.
pub struct Replaced {
    path: CString,
    temporary: CString,
}

impl Replaced {
    /// `path` and `<path>.tmp`.
    pub fn new(path: &Path) -> Outcome<Self> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        Ok(Self { path: c_path(path)?, temporary: c_path(Path::new(&temporary))? })
    }

    /// create, write, perhaps fdatasync, close: the new content under its temporary name.
    pub fn write(&self, bytes: &[u8], flush: bool) -> Outcome<()> {
        // SAFETY: the path ends in NUL; the buffer is `bytes`.
        unsafe {
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
            let fd = libc::open(self.temporary.as_ptr(), flags, 0o600);
            if fd < 0 {
                return Err(Error::last_os_error().into());
            }
            let put = libc::write(fd, bytes.as_ptr().cast(), bytes.len());
            let flushed = if flush { libc::fdatasync(fd) } else { 0 };
            libc::close(fd);
            if put != bytes.len() as isize || flushed < 0 {
                return Err(Error::last_os_error().into());
            }
        }
        Ok(())
    }

    /// Puts the new content in place.
    pub fn rename(&self) -> Outcome<()> {
        // SAFETY: both paths end in NUL.
        if unsafe { libc::rename(self.temporary.as_ptr(), self.path.as_ptr()) } < 0 {
            return Err(Error::last_os_error().into());
        }
        Ok(())
    }
}

/// Flushes the whole file system, so that one contestant's writes don't burden the next one.
pub fn settle() {
    // SAFETY: takes no arguments.
    unsafe { libc::sync() };
}

/// CLOCK_MONOTONIC in nanoseconds: the same for all processes of a machine.
pub fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
