//! `Tape`: in test builds, with `FOREBAY_TAPE` set to a path, each change of a file or folder that succeeded is
//! appended to that file, one line of words each, in the order in which they happened. A model of a disk plays it
//! and cuts the power after each line. Files and folders are named by inode, so what a descriptor stands for needs
//! no guess. It knows nothing of what is written. In other builds there is nothing of it.

#[cfg(not(feature = "testing"))]
pub(super) use absent::{missing, tape};
#[cfg(feature = "testing")]
pub use recording::mark;
#[cfg(feature = "testing")]
pub(super) use recording::{missing, tape};

use std::os::fd::BorrowedFd;

/// One change.
#[cfg_attr(not(feature = "testing"), allow(dead_code, reason = "read by test builds"))]
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
    /// A file was made.
    Made(BorrowedFd<'a>, &'a str, BorrowedFd<'a>),
    /// A folder was made.
    Folder(BorrowedFd<'a>, &'a str, BorrowedFd<'a>),
    /// Bytes were written at an offset.
    Wrote(BorrowedFd<'a>, u64, &'a [u8]),
    /// A file was preallocated to that size.
    Sized(BorrowedFd<'a>, u64),
    Stamped(BorrowedFd<'a>, i64),
    Flushed(BorrowedFd<'a>),
    AllFlushed(BorrowedFd<'a>),
    FolderFlushed(BorrowedFd<'a>),
    Renamed(BorrowedFd<'a>, &'a str, BorrowedFd<'a>, &'a str),
    Swapped(BorrowedFd<'a>, &'a str, &'a str),
    Linked(BorrowedFd<'a>, &'a str, &'a str),
    Unlinked(BorrowedFd<'a>, &'a str),
    FolderRemoved(BorrowedFd<'a>, &'a str),
}

#[cfg(not(feature = "testing"))]
mod absent {
    use std::path::Path;

    #[inline]
    pub(in crate::sys) fn tape(_: super::Change<'_>) {}

    #[inline]
    pub(in crate::sys) fn missing(_: &Path) -> impl FnOnce() {
        || ()
    }
}

#[cfg(feature = "testing")]
mod recording {
    use super::Change;
    use std::fmt::Write as _;
    use std::fs::File;
    use std::io::Write as _;
    use std::os::fd::BorrowedFd;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, OnceLock, PoisonError};

    static TAPE: OnceLock<Option<Mutex<File>>> = OnceLock::new();

    fn file() -> Option<&'static Mutex<File>> {
        let open = || {
            let path = std::env::var_os("FOREBAY_TAPE")?;
            File::options().create(true).append(true).open(path).ok().map(Mutex::new)
        };
        TAPE.get_or_init(open).as_ref()
    }

    fn append(file: &Mutex<File>, line: &str) {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // A tape that lacks a line is one that the model cannot play: its test fails.
        let _ = file.write_all(line.as_bytes());
    }

    fn inode(fd: BorrowedFd<'_>) -> u64 {
        #[allow(clippy::unnecessary_cast, reason = "the type differs between platforms")]
        rustix::fs::fstat(fd).map_or(0, |stat| stat.st_ino as u64)
    }

    /// Tells the tape what a test wants to find between the changes: that a call returned, that a server was asked.
    ///
    /// ```
    /// // Without `FOREBAY_TAPE` there is no tape, and nothing happens.
    /// forebay::tape_mark("put returned");
    /// ```
    pub fn mark(text: &str) {
        if let Some(file) = file() {
            append(file, &format!("mark {}\n", text.replace('\n', " ")));
        }
    }

    pub(in crate::sys) fn tape(change: Change<'_>) {
        let Some(file) = file() else { return };
        append(file, &line(change));
    }

    fn line(change: Change<'_>) -> String {
        match change {
            Change::Made(at, name, made) => format!("create {} {} {name}\n", inode(at), inode(made)),
            Change::Folder(at, name, made) => format!("mkdir {} {} {name}\n", inode(at), inode(made)),
            Change::Wrote(fd, at, bytes) => {
                let mut line = format!("write {} {at} ", inode(fd));
                for byte in bytes {
                    let _ = write!(line, "{byte:02x}");
                }
                line.push('\n');
                line
            }
            Change::Sized(fd, size) => format!("size {} {size}\n", inode(fd)),
            Change::Stamped(fd, ns) => format!("stamp {} {ns}\n", inode(fd)),
            Change::Flushed(fd) => format!("flush {}\n", inode(fd)),
            Change::AllFlushed(fd) => format!("sync {}\n", inode(fd)),
            Change::FolderFlushed(fd) => format!("flushdir {}\n", inode(fd)),
            Change::Renamed(at, from, to_folder, to) => {
                format!("rename {} {from} {} {to}\n", inode(at), inode(to_folder))
            }
            Change::Swapped(at, from, to) => format!("swap {} {from} {to}\n", inode(at)),
            Change::Linked(at, from, to) => format!("link {} {from} {to}\n", inode(at)),
            Change::Unlinked(at, name) => format!("unlink {} {name}\n", inode(at)),
            Change::FolderRemoved(at, name) => format!("rmdir {} {name}\n", inode(at)),
        }
    }

    /// The folders of a path that are not there yet; the returned function tells the tape that they are.
    pub(in crate::sys) fn missing(path: &Path) -> impl FnOnce() {
        let mut lacking: Vec<PathBuf> = Vec::new();
        if file().is_some() {
            lacking = path.ancestors().take_while(|part| !part.exists()).map(Path::to_owned).collect();
            lacking.reverse();
        }
        move || {
            let Some(file) = file() else { return };
            let inode = |path: &Path| path.metadata().map_or(0, |stat| stat.ino());
            for made in lacking {
                if let (Some(parent), Some(name)) = (made.parent(), made.file_name()) {
                    let name = name.to_string_lossy();
                    append(file, &format!("mkdir {} {} {name}\n", inode(parent), inode(&made)));
                }
            }
        }
    }
}
