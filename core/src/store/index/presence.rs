//! The files by which processes show that they have the index open, each locked for the life of its process: a second
//! copy of the library in one process finds the lock of the first, and whoever closes the index learns whether
//! another uses it.

use crate::error::{Code, Error, Result};
use crate::fs::root::Root;
use crate::sys::Fd;
use crate::sys::fork::Held;
use std::io;
use std::path::Path;

const PRESENCE: &str = "open.";

fn own(root: &Root) -> String {
    format!("{PRESENCE}{}", root.sys().process().pid)
}

/// Takes this process's lock, and sweeps those of processes that ended.
pub(super) fn announce(root: &Root, folder: &Fd, path: &Path) -> Result<Held> {
    let sys = root.sys();
    let io = |error: io::Error| Error::io("open the index", path, &error);
    let name = own(root);
    for other in
        sys.list(folder).map_err(io)?.iter().filter(|file| file.starts_with(PRESENCE) && **file != name)
    {
        if let Ok(fd) = sys.open_writable(folder, other)
            && sys.try_lock(&fd, true).unwrap_or(false)
        {
            let _ = sys.unlink(folder, other);
        }
    }
    let fd = match sys.create(folder, &name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => sys.open_writable(folder, &name),
        other => other,
    };
    let held = Held::new(fd.map_err(io)?);
    let locked = match held.fd() {
        Some(fd) => sys.try_lock(fd, true).map_err(io)?,
        None => false,
    };
    if locked {
        return Ok(held);
    }
    Err(Error::new(Code::Unsupported, "another copy of forebay in this process has the index open")
        .with_path(path)
        .with_hint(
            "load one copy only, or give each a root of its own; so too where a process of another container has \
             this one's number",
        ))
}

/// Whether another process has the index open.
pub(super) fn others(root: &Root, folder: &Fd) -> io::Result<bool> {
    let sys = root.sys();
    let own = own(root);
    for other in sys.list(folder)?.iter().filter(|name| name.starts_with(PRESENCE) && **name != own) {
        let free = sys.open(folder, other).and_then(|fd| sys.try_lock(&fd, false));
        if !free.unwrap_or(false) {
            return Ok(true);
        }
    }
    Ok(false)
}
