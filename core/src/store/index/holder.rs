//! `Holder`: the file that shows that a process which holds leases in LMDB lives. It stands in for the lock that a
//! marker has: made, locked and renamed into place before the first such lease, kept for the life of the process.

use crate::error::{Error, Result};
use crate::fs::root::{Control, Root, nonce};
use crate::fs::temp::Temp;
use crate::sys::fork::{Held, PerProcess};
use crate::sys::{Fd, Sys, absent};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

const HOLDERS: &str = "holders";
/// How many files of processes that ended one makes way for, so that they do not become more and more.
const SWEPT_BY_OTHERS: usize = 64;

type Kept = Mutex<HashMap<PathBuf, (String, Held)>>;

static KEPT: LazyLock<PerProcess<Kept>> = LazyLock::new(PerProcess::default);

fn folder(root: &Root, control: &Control, make: bool) -> io::Result<Option<Fd>> {
    let sys = root.sys();
    if let Some(fd) = absent(sys.open_folder(&control.dir, HOLDERS))? {
        return Ok(Some(fd));
    }
    if !make {
        return Ok(None);
    }
    match sys.make_folder(&control.dir, HOLDERS) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sys.open_folder(&control.dir, HOLDERS).map(Some),
    }
}

/// The nonce of this process's holder file below that root, which is made where it is missing.
pub(crate) fn own(root: &Root) -> Result<String> {
    let control = root.make_control()?;
    let path = root.path().join(".forebay").join(HOLDERS);
    let io = |error: io::Error| Error::io("announce a holder of leases", &path, &error);
    let sys = root.sys();
    let Some(folder) = folder(root, &control, true).map_err(io)? else {
        return Err(io(io::ErrorKind::NotFound.into()));
    };
    let kept = KEPT.get();
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((name, held)) = kept.get(root.path())
        && let Some(fd) = held.fd()
    {
        let here = sys.stat(fd).map_err(io)?.identity();
        let there = absent(sys.stat_at(&folder, name)).map_err(io)?.map(|stat| stat.identity());
        if there == Some(here) {
            return Ok(name.clone());
        }
    }
    // Each process that computes leaves a file: whoever makes one takes away those of some that ended, also of leases
    // that still name them, for absent counts as ended. That it fails is nothing to fail for.
    let _ = sweep_in(sys, &folder, &|_| false, SWEPT_BY_OTHERS);
    let name = nonce(sys);
    let temp = Temp::create(sys, &folder, format!(".{name}.new")).map_err(io)?;
    sys.rename(&folder, temp.name(), &name).map_err(io)?;
    kept.insert(root.path().to_owned(), (name.clone(), temp.into_lock()));
    Ok(name)
}

/// Whether the process that announced itself under that nonce lives; absent counts as ended.
pub(crate) fn lives(root: &Root, name: &str) -> bool {
    let look = || -> io::Result<bool> {
        let sys = root.sys();
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let control = root.control().map_err(|_| gone())?.ok_or_else(gone)?;
        let folder = folder(root, &control, false)?.ok_or_else(gone)?;
        let fd = sys.open(&folder, name)?;
        is_locked(sys, &fd)
    };
    match look() {
        Ok(locked) => locked,
        // What cannot be looked at may be alive.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn is_locked(sys: &dyn Sys, fd: &Fd) -> io::Result<bool> {
    if sys.try_lock(fd, false)? {
        sys.unlock(fd)?;
        return Ok(false);
    }
    Ok(true)
}

/// Sweeps the files of processes that ended, but for those that are still `named` by a lease.
pub(crate) fn sweep(root: &Root, named: &dyn Fn(&str) -> bool) -> Result<usize> {
    let Some(control) = root.control()? else { return Ok(0) };
    let path = root.path().join(".forebay").join(HOLDERS);
    let io = |error: io::Error| Error::io("sweep", &path, &error);
    let sys = root.sys();
    let Some(folder) = folder(root, &control, false).map_err(io)? else { return Ok(0) };
    sweep_in(sys, &folder, named, usize::MAX).map_err(io)
}

fn sweep_in(sys: &dyn Sys, folder: &Fd, named: &dyn Fn(&str) -> bool, most: usize) -> io::Result<usize> {
    let mut swept = 0;
    for name in sys.list(folder)? {
        if swept >= most {
            break;
        }
        if named(&name) {
            continue;
        }
        let Some(fd) = absent(sys.open(folder, &name))? else { continue };
        // A writer renames its file only when it is locked, so an unlocked one in place is a dead process's. One under
        // its temporary name may have been made a moment ago: its writer finds it gone once it is locked, and makes
        // another.
        let ended = if name.starts_with('.') { sys.try_lock(&fd, true)? } else { !is_locked(sys, &fd)? };
        if ended {
            swept += usize::from(absent(sys.unlink(folder, &name))?.is_some());
        }
    }
    Ok(swept)
}
