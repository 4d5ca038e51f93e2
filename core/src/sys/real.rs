//! `RealSys`: the real system, through rustix. Thin: one call each, interrupted calls repeated.

use super::breaks::broken;
use super::clock::Clock;
use super::fork::PerProcess;
use super::map::Map;
use super::process::{self, Current, Process};
use super::steps::step;
use super::tape::{self, Change, tape};
use super::{Fd, FileKind, Stat, Sys};
use crate::stamp::Nanos;
use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::{Errno, retry_on_intr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The operating system.
#[derive(Debug, Default)]
pub(crate) struct RealSys {
    clock: Clock,
    current: PerProcess<Current>,
}

impl RealSys {
    pub(crate) fn new(clock: Clock) -> RealSys {
        RealSys { clock, current: PerProcess::default() }
    }
}

fn raw(fd: &Fd) -> io::Result<BorrowedFd<'_>> {
    match fd {
        Fd::Real(fd) => Ok(fd.as_fd()),
        Fd::Sim(_) => Err(Errno::BADF.into()),
    }
}

fn owned(fd: rustix::io::Result<OwnedFd>) -> io::Result<Fd> {
    Ok(Fd::Real(fd?))
}

fn call<T>(f: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    Ok(retry_on_intr(f)?)
}

/// Never follow a link, never block on a FIFO, never leak into a child program.
fn flags(access: OFlags) -> OFlags {
    access | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY
}

fn seconds(ns: Nanos) -> Timespec {
    Timespec { tv_sec: ns.div_euclid(1_000_000_000), tv_nsec: ns.rem_euclid(1_000_000_000) }
}

fn convert(stat: &fs::Stat) -> Stat {
    #[allow(clippy::unnecessary_cast, reason = "these types differ between platforms")]
    let stamp = |seconds, ns| (seconds as i64).saturating_mul(1_000_000_000).saturating_add(ns as i64);
    #[allow(clippy::unnecessary_cast, reason = "these types differ between platforms")]
    Stat {
        dev: stat.st_dev as u64,
        ino: stat.st_ino as u64,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: stamp(stat.st_mtime, stat.st_mtime_nsec),
        ctime_ns: stamp(stat.st_ctime, stat.st_ctime_nsec),
        nlink: stat.st_nlink as u64,
        uid: stat.st_uid,
        mode: stat.st_mode as u32 & 0o7777,
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Folder,
            _ => FileKind::Other,
        },
    }
}

impl Sys for RealSys {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn real_ns(&self) -> Nanos {
        Clock::real().wall_ns()
    }

    fn process(&self) -> Arc<Process> {
        self.current.get().get()
    }

    fn process_gone(&self, pid: u32) -> bool {
        process::gone(pid)
    }

    fn user(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn random(&self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            // Only uniqueness is needed of these, not secrecy: two clocks and the pid will do.
            let seed = [self.real_ns().to_le_bytes(), self.clock.boot_ns().to_le_bytes()].concat();
            let hash =
                blake3::Hasher::new().update(&seed).update(&std::process::id().to_le_bytes()).finalize_xof();
            let mut hash = hash;
            hash.fill(bytes);
        }
    }

    fn open_root(&self, path: &Path) -> io::Result<Fd> {
        step()?;
        owned(retry_on_intr(|| {
            fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        }))
    }

    fn make_root(&self, path: &Path) -> io::Result<()> {
        step()?;
        use std::os::unix::fs::DirBuilderExt;
        let made = tape::missing(path);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        made();
        Ok(())
    }

    fn stat_path(&self, path: &Path) -> io::Result<Stat> {
        step()?;
        Ok(convert(&call(|| fs::stat(path))?))
    }

    fn stat_path_itself(&self, path: &Path) -> io::Result<Stat> {
        Ok(convert(&call(|| fs::lstat(path))?))
    }

    fn file_system(&self, fd: &Fd) -> io::Result<Result<(), String>> {
        step()?;
        super::local::check(raw(fd)?)
    }

    fn open_folder(&self, at: &Fd, name: &str) -> io::Result<Fd> {
        step()?;
        owned(retry_on_intr(|| {
            fs::openat(raw(at).map_err(bad)?, name, flags(OFlags::RDONLY | OFlags::DIRECTORY), Mode::empty())
        }))
    }

    fn open(&self, at: &Fd, name: &str) -> io::Result<Fd> {
        step()?;
        owned(retry_on_intr(|| fs::openat(raw(at).map_err(bad)?, name, flags(OFlags::RDONLY), Mode::empty())))
    }

    fn open_writable(&self, at: &Fd, name: &str) -> io::Result<Fd> {
        step()?;
        owned(retry_on_intr(|| fs::openat(raw(at).map_err(bad)?, name, flags(OFlags::RDWR), Mode::empty())))
    }

    fn create(&self, at: &Fd, name: &str) -> io::Result<Fd> {
        step()?;
        let at = raw(at)?;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = call(|| fs::openat(at, name, flags(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL), mode))?;
        tape(Change::Made(at, name, fd.as_fd()));
        // A umask can take our own access away.
        if convert(&fs::fstat(&fd)?).mode != 0o600 {
            fs::fchmod(&fd, mode)?;
        }
        Ok(Fd::Real(fd))
    }

    fn make_folder(&self, at: &Fd, name: &str) -> io::Result<()> {
        step()?;
        let at = raw(at)?;
        call(|| fs::mkdirat(at, name, Mode::RWXU))?;
        let made = call(|| fs::openat(at, name, flags(OFlags::RDONLY | OFlags::DIRECTORY), Mode::empty()))?;
        tape(Change::Folder(at, name, made.as_fd()));
        if convert(&fs::fstat(&made)?).mode != 0o700 {
            fs::fchmod(&made, Mode::RWXU)?;
        }
        Ok(())
    }

    fn stat(&self, fd: &Fd) -> io::Result<Stat> {
        step()?;
        let fd = raw(fd)?;
        Ok(convert(&call(|| fs::fstat(fd))?))
    }

    fn stat_at(&self, at: &Fd, name: &str) -> io::Result<Stat> {
        step()?;
        let at = raw(at)?;
        Ok(convert(&call(|| fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW))?))
    }

    fn list(&self, folder: &Fd) -> io::Result<Vec<String>> {
        step()?;
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(raw(folder)?)? {
            let entry = entry?;
            // Names of ours are ASCII; what is not UTF-8 is nobody's here and is left alone.
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, fd: &Fd, size_hint: u64, max: u64) -> io::Result<Vec<u8>> {
        step()?;
        let fd = raw(fd)?;
        let room = usize::try_from(size_hint.min(max)).unwrap_or(0).saturating_add(1);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(room).map_err(|_| io::Error::from(Errno::NOMEM))?;
        bytes.resize(room, 0);
        let mut filled = 0;
        loop {
            let got = call(|| rustix::io::pread(fd, &mut bytes[filled..], filled as u64))?;
            filled += got;
            // A regular file gives less than was asked for only at its end.
            if filled < bytes.len() || got == 0 || filled as u64 > max {
                break;
            }
            bytes.resize(filled.saturating_mul(2), 0);
        }
        if filled as u64 > max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn read_at(&self, fd: &Fd, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        step()?;
        let fd = raw(fd)?;
        let got = call(|| rustix::io::pread(fd, &mut *bytes, at))?;
        if got == bytes.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn write(&self, fd: &Fd, at: u64, bytes: &[u8]) -> io::Result<()> {
        step()?;
        let fd = raw(fd)?;
        let mut done = 0;
        while done < bytes.len() {
            match call(|| rustix::io::pwrite(fd, &bytes[done..], at + done as u64))? {
                0 => return Err(Errno::NOSPC.into()),
                more => done += more,
            }
        }
        tape(Change::Wrote(fd, at, bytes));
        Ok(())
    }

    fn allocate(&self, fd: &Fd, size: u64) -> io::Result<()> {
        step()?;
        let fd = raw(fd)?;
        match super::local::allocate(fd, size) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
            other => {
                other?;
                tape(Change::Sized(fd, size));
                Ok(())
            }
        }
    }

    fn set_mtime(&self, fd: &Fd, ns: Nanos) -> io::Result<()> {
        step()?;
        let fd = raw(fd)?;
        let omit = Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT as _ };
        let times = Timestamps { last_access: omit, last_modification: seconds(ns) };
        call(|| fs::futimens(fd, &times))?;
        tape(Change::Stamped(fd, ns));
        Ok(())
    }

    fn flush(&self, fd: &Fd) -> io::Result<()> {
        step()?;
        let fd = raw(fd)?;
        if broken("no-flush") {
            return Ok(());
        }
        call(|| super::local::flush(fd))?;
        tape(Change::Flushed(fd));
        Ok(())
    }

    fn flush_all(&self, fd: &Fd) -> io::Result<()> {
        step()?;
        let fd = raw(fd)?;
        if broken("no-flush") {
            return Ok(());
        }
        call(|| fs::fsync(fd))?;
        tape(Change::AllFlushed(fd));
        Ok(())
    }

    fn flush_folder(&self, fd: &Fd) -> io::Result<()> {
        step()?;
        let fd = raw(fd)?;
        if broken("no-folder-flush") {
            return Ok(());
        }
        call(|| fs::fsync(fd))?;
        tape(Change::FolderFlushed(fd));
        Ok(())
    }

    fn rename(&self, at: &Fd, from: &str, to: &str) -> io::Result<()> {
        step()?;
        let at = raw(at)?;
        call(|| fs::renameat(at, from, at, to))?;
        tape(Change::Renamed(at, from, at, to));
        Ok(())
    }

    fn move_to(&self, at: &Fd, from: &str, to_folder: &Fd, to: &str) -> io::Result<()> {
        step()?;
        let (at, folder) = (raw(at)?, raw(to_folder)?);
        call(|| fs::renameat(at, from, folder, to))?;
        tape(Change::Renamed(at, from, folder, to));
        Ok(())
    }

    fn exchange(&self, at: &Fd, from: &str, to: &str) -> io::Result<()> {
        step()?;
        let at = raw(at)?;
        call(|| super::local::exchange(at, from, to))?;
        tape(Change::Swapped(at, from, to));
        Ok(())
    }

    fn link(&self, at: &Fd, from: &str, to: &str) -> io::Result<()> {
        step()?;
        let at = raw(at)?;
        call(|| fs::linkat(at, from, at, to, AtFlags::empty()))?;
        tape(Change::Linked(at, from, to));
        Ok(())
    }

    fn unlink(&self, at: &Fd, name: &str) -> io::Result<()> {
        step()?;
        let at = raw(at)?;
        call(|| fs::unlinkat(at, name, AtFlags::empty()))?;
        tape(Change::Unlinked(at, name));
        Ok(())
    }

    fn remove_folder(&self, at: &Fd, name: &str) -> io::Result<()> {
        step()?;
        let at = raw(at)?;
        call(|| fs::unlinkat(at, name, AtFlags::REMOVEDIR))?;
        tape(Change::FolderRemoved(at, name));
        Ok(())
    }

    fn try_lock(&self, fd: &Fd, exclusive: bool) -> io::Result<bool> {
        step()?;
        let fd = raw(fd)?;
        let operation = if exclusive {
            FlockOperation::NonBlockingLockExclusive
        } else {
            FlockOperation::NonBlockingLockShared
        };
        match retry_on_intr(|| fs::flock(fd, operation)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn unlock(&self, fd: &Fd) -> io::Result<()> {
        let fd = raw(fd)?;
        call(|| fs::flock(fd, FlockOperation::Unlock))
    }

    fn lock_holder(&self, stat: &Stat) -> Option<u32> {
        super::local::lock_holder(stat)
    }

    fn map(&self, fd: &Fd, size: usize) -> io::Result<Map> {
        step()?;
        match fd {
            Fd::Real(fd) => Map::new(fd, size),
            Fd::Sim(_) => Err(Errno::BADF.into()),
        }
    }

    fn pause(&self, duration: Duration) {
        // The one place that lets time pass: waiting for a lock that offers no wake-up.
        #[allow(clippy::disallowed_methods, reason = "see above")]
        std::thread::sleep(duration);
    }
}

fn bad(_: io::Error) -> Errno {
    Errno::BADF
}
