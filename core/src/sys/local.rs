//! What differs between operating systems: which file systems are local, how to swap two names, to flush and
//! to preallocate, and who holds a lock. Outside of Linux these are written after the manuals and untested.

use super::Stat;
use std::io;
use std::os::fd::BorrowedFd;

#[cfg(target_os = "linux")]
mod os {
    use super::{BorrowedFd, Stat, io};
    use rustix::fs::{self, FallocateFlags, RenameFlags};

    /// Local file systems by the number that `statfs` gives. Locks, futexes and mappings work on these.
    const LOCAL: [u64; 9] = [
        0xEF53,      // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683E, // btrfs
        0x0102_1994, // tmpfs
        0x794c_7630, // overlay
        0x2fc1_2fc1, // zfs
        0xF2F5_2010, // f2fs
        0x5346_544e, // ntfs
        0x7366_746e, // ntfs3
    ];
    const REMOTE: [(u64, &str); 7] = [
        (0x6969, "nfs"),
        (0xFF53_4D42, "cifs"),
        (0xFE53_4D42, "smb"),
        (0x0102_1997, "9p"),
        (0x6573_5546, "fuse"),
        (0x00C3_6400, "ceph"),
        (0x5346_414F, "afs"),
    ];

    pub(in crate::sys) fn check(fd: BorrowedFd<'_>) -> io::Result<Result<(), String>> {
        #[allow(clippy::unnecessary_cast, reason = "the type differs between architectures")]
        let kind = fs::fstatfs(fd)?.f_type as u64 & 0xFFFF_FFFF;
        if LOCAL.contains(&kind) {
            return Ok(Ok(()));
        }
        let name = REMOTE.iter().find(|(number, _)| *number == kind);
        Ok(Err(name.map_or_else(|| format!("{kind:#x}"), |(_, name)| (*name).to_owned())))
    }

    pub(in crate::sys) fn exchange(at: BorrowedFd<'_>, from: &str, to: &str) -> rustix::io::Result<()> {
        fs::renameat_with(at, from, at, to, RenameFlags::EXCHANGE)
    }

    pub(in crate::sys) fn flush(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
        fs::fdatasync(fd)
    }

    pub(in crate::sys) fn allocate(fd: BorrowedFd<'_>, size: u64) -> io::Result<()> {
        Ok(fs::fallocate(fd, FallocateFlags::empty(), 0, size)?)
    }

    /// Lines of `/proc/locks` read `1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF`.
    pub(in crate::sys) fn lock_holder(stat: &Stat) -> Option<u32> {
        let inode = format!(":{}", stat.ino);
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        let holds = |line: &&str| {
            let mut words = line.split_whitespace();
            words.nth(1) == Some("FLOCK")
                && words.nth(1) == Some("WRITE")
                && words.nth(1).is_some_and(|place| place.ends_with(&inode))
        };
        locks.lines().find(holds)?.split_whitespace().nth(4)?.parse().ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    use super::{BorrowedFd, Stat, io};

    /// macOS names the file system; `MNT_LOCAL` would also pass disks of unknown kinds.
    #[cfg(target_os = "macos")]
    pub(in crate::sys) fn check(fd: BorrowedFd<'_>) -> io::Result<Result<(), String>> {
        let stat = rustix::fs::fstatfs(fd)?;
        let name: String =
            stat.f_fstypename.iter().take_while(|c| **c != 0).map(|c| char::from(*c as u8)).collect();
        Ok(if matches!(name.as_str(), "apfs" | "hfs") { Ok(()) } else { Err(name) })
    }

    #[cfg(not(target_os = "macos"))]
    pub(in crate::sys) fn check(_: BorrowedFd<'_>) -> io::Result<Result<(), String>> {
        Ok(Err("unknown on this platform".to_owned()))
    }

    pub(in crate::sys) fn exchange(_: BorrowedFd<'_>, _: &str, _: &str) -> rustix::io::Result<()> {
        Err(rustix::io::Errno::NOSYS)
    }

    pub(in crate::sys) fn flush(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
        rustix::fs::fsync(fd)
    }

    pub(in crate::sys) fn allocate(_: BorrowedFd<'_>, _: u64) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }

    pub(in crate::sys) fn lock_holder(_: &Stat) -> Option<u32> {
        None
    }
}

pub(super) use os::{allocate, check, exchange, flush, lock_holder};
