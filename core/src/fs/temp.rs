//! `Temp`: a file that is written under a temporary name in its own folder and becomes visible by a rename, so
//! that a reader sees one whole version or another. While it exists its writer holds an exclusive lock on it,
//! which is how prune tells a dead writer's litter from work in progress.

use crate::fs::Durability;
use crate::stamp::Nanos;
use crate::sys::fork::Held;
use crate::sys::{Fd, Stat, Sys, absent};
use std::io;
use std::time::Duration;

/// How often, and after which pause, a writer asks again for the lock that prune holds on its new file.
const SWEEPER_TRIES: u32 = 200;
const SWEEPER_PAUSE: Duration = Duration::from_micros(100);

/// A temporary file of ours, locked.
#[derive(Debug)]
pub(crate) struct Temp {
    lock: Held,
    name: String,
}

impl Temp {
    /// Makes the file and locks it; a file of that name that is there already is a dead writer's.
    pub(crate) fn create(sys: &dyn Sys, folder: &Fd, name: String) -> io::Result<Temp> {
        loop {
            let fd = match sys.create(folder, &name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    remove(sys, folder, &name)?;
                    continue;
                }
                other => other?,
            };
            let lock = Held::new(fd);
            let Some(fd) = lock.fd() else { return Err(io::ErrorKind::Interrupted.into()) };
            // Prune may have found it between creation and lock. What it locked it unlinks by name, so a new file is
            // made under that name only when it is done, or seems to be stopped.
            let mut tries = 0;
            let mut locked = sys.try_lock(fd, true)?;
            while !locked && tries < SWEEPER_TRIES {
                sys.pause(SWEEPER_PAUSE);
                locked = sys.try_lock(fd, true)?;
                tries += 1;
            }
            if locked && sys.stat(fd)?.nlink > 0 {
                return Ok(Temp { lock, name });
            }
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn fd(&self) -> io::Result<&Fd> {
        self.lock.fd().ok_or_else(|| io::ErrorKind::Interrupted.into())
    }

    /// Writes the content, stamps it if asked, and flushes as the durability says. What `fstat` then tells is
    /// returned: a coarse file system keeps less of a stamp than was asked for.
    pub(crate) fn fill(
        &self,
        sys: &dyn Sys,
        bytes: &[u8],
        mtime: Option<Nanos>,
        durability: Durability,
    ) -> io::Result<Stat> {
        let fd = self.fd()?;
        sys.write(fd, 0, bytes)?;
        if let Some(mtime) = mtime {
            sys.set_mtime(fd, mtime)?;
        }
        if durability != Durability::None {
            sys.flush(fd)?;
        }
        sys.stat(fd)
    }

    /// The descriptor, to keep the lock beyond the rename.
    pub(crate) fn into_lock(self) -> Held {
        self.lock
    }

    /// Lets the lock go, explicitly: a forked child may hold a copy of the descriptor.
    pub(crate) fn unlock(self, sys: &dyn Sys) {
        if let Some(fd) = self.lock.fd() {
            let _ = sys.unlock(fd);
        }
    }
}

/// Puts `from` in the place of `to`. Over an existing file the names are swapped and the old file unlinked:
/// ext4 flushes a file that a rename replaces, and a commit need not wait for that. False: what stood there, a
/// folder perhaps, is now under the temporary name and could not be unlinked.
pub(crate) fn replace(sys: &dyn Sys, folder: &Fd, from: &str, to: &str) -> io::Result<bool> {
    match sys.exchange(folder, from, to) {
        Ok(()) => Ok(remove(sys, folder, from).is_ok()),
        Err(_) => sys.rename(folder, from, to).map(|()| true),
    }
}

/// Removes a name that may be gone already.
pub(crate) fn remove(sys: &dyn Sys, folder: &Fd, name: &str) -> io::Result<()> {
    absent(sys.unlink(folder, name)).map(drop)
}

/// Publishes a small file under the guard: a fixed temporary name, which only guard holders use. As [`replace`].
pub(crate) fn publish(
    sys: &dyn Sys,
    folder: &Fd,
    name: &str,
    bytes: &[u8],
    durability: Durability,
) -> io::Result<bool> {
    let temp = Temp::create(sys, folder, format!(".{name}.new"))?;
    let done = temp.fill(sys, bytes, None, durability).and_then(|_| replace(sys, folder, temp.name(), name));
    if done.is_err() {
        let _ = remove(sys, folder, temp.name());
    }
    temp.unlock(sys);
    done
}
