//! Quarantine: damaged or misplaced things are moved out of the way, not destroyed, and the folder that keeps
//! them is bounded in number and bytes. Moves happen under the guard, tidying after it.

use super::FileStore;
use super::site::Site;
use crate::error::{Error, Result};
use crate::fs::root::{Control, QUARANTINE, Root, nonce};
use crate::sys::{Fd, absent};
use std::io;

const MAX_FILES: usize = 32;
const MAX_BYTES: u64 = 64 << 20;

fn folder(root: &Root, control: &Control) -> io::Result<Fd> {
    let sys = root.sys();
    if let Some(fd) = absent(sys.open_folder(&control.dir, QUARANTINE))? {
        return Ok(fd);
    }
    match sys.make_folder(&control.dir, QUARANTINE) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sys.open_folder(&control.dir, QUARANTINE)
}

impl Site<'_> {
    /// Moves whatever has that name to quarantine; nothing there is fine.
    pub(super) fn quarantine(&self, name: &str) -> Result<()> {
        let control = self.root.make_control()?;
        let to = format!("{}.{}", nonce(self.sys()), name.trim_start_matches('.'));
        let moved = folder(self.root, &control)
            .and_then(|folder| absent(self.sys().move_to(&self.folder, name, &folder, &to)));
        moved.map(drop).map_err(|e| self.fail("move to quarantine", name, &e))
    }
}

impl FileStore {
    /// Removes the oldest of what is too much. Best effort: the next call tries again.
    pub(super) fn tidy_quarantine(&self) -> Result<()> {
        let Some(control) = self.root.control()? else { return Ok(()) };
        let path = self.root.path().join(".forebay").join(QUARANTINE);
        let io = |error: io::Error| Error::io("tidy", &path, &error);
        let sys = self.sys();
        let Some(folder) = absent(sys.open_folder(&control.dir, QUARANTINE)).map_err(io)? else {
            return Ok(());
        };
        let mut files = Vec::new();
        for name in sys.list(&folder).map_err(io)? {
            if let Some(stat) = absent(sys.stat_at(&folder, &name)).map_err(io)? {
                files.push((stat.ctime_ns, stat.size, name));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, size, _)| size).sum();
        let mut count = files.len();
        for (_, size, name) in files {
            if count <= MAX_FILES && bytes <= MAX_BYTES {
                break;
            }
            // A folder with something in it stays; it was never ours.
            if sys.unlink(&folder, &name).is_err() {
                let _ = sys.remove_folder(&folder, &name);
            }
            count -= 1;
            bytes -= size;
        }
        Ok(())
    }
}
