//! Values too large for LMDB, as files of their own below `.forebay/objects`, named by their BLAKE3 hash: written
//! before the transaction that names them, so that a record never names what is not there. The table then holds no
//! bytes for them. What no record names is swept.

use super::tables::{Read, Table, Write};
use crate::error::{Error, Result};
use crate::fs::Durability;
use crate::fs::root::{Root, nonce};
use crate::fs::temp::{self, Temp};
use crate::sys::{Fd, absent};
use std::io;

/// Values of more bytes are files.
const LARGEST_INLINE: usize = 64 << 10;
const OBJECTS: &str = "objects";

fn folder(root: &Root, hash: &str, make: bool) -> io::Result<Option<Fd>> {
    let sys = root.sys();
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let control = if make {
        root.make_control()
    } else {
        root.control().and_then(|c| c.ok_or_else(|| Error::io("open", root.path(), &gone())))
    };
    let Ok(control) = control else { return Ok(None) };
    let open = |at: &Fd, name: &str| -> io::Result<Option<Fd>> {
        if let Some(fd) = absent(sys.open_folder(at, name))? {
            return Ok(Some(fd));
        }
        if !make {
            return Ok(None);
        }
        match sys.make_folder(at, name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => sys.open_folder(at, name).map(Some),
        }
    };
    match open(&control.dir, OBJECTS)? {
        Some(objects) => open(&objects, hash.get(..2).unwrap_or("00")),
        None => Ok(None),
    }
}

/// The bytes of a value, if they are what was written.
pub(crate) fn read(tx: &dyn Read, root: &Root, key: &[u8], size: u64, hash: &str) -> Result<Option<Vec<u8>>> {
    let data = if size > LARGEST_INLINE as u64 {
        let io =
            |error: io::Error| Error::io("read a large value", &root.path().join(".forebay/objects"), &error);
        let Some(folder) = folder(root, hash, false).map_err(io)? else { return Ok(None) };
        let Some(fd) = absent(root.sys().open(&folder, hash)).map_err(io)? else { return Ok(None) };
        root.sys().read(&fd, size, size).ok()
    } else {
        tx.get(Table::Value, key)?
    };
    Ok(data.filter(|data| data.len() as u64 == size && *blake3::hash(data).to_hex() == *hash))
}

/// Keeps the bytes of a value.
pub(crate) fn write(tx: &mut dyn Write, root: &Root, key: &[u8], data: &[u8], hash: &str) -> Result<()> {
    if data.len() <= LARGEST_INLINE {
        return tx.put(Table::Value, key, data);
    }
    tx.delete(Table::Value, key)?;
    let path = root.path().join(".forebay/objects");
    let io = |error: io::Error| Error::io("write a large value", &path, &error);
    let Some(folder) = folder(root, hash, true).map_err(io)? else { return Ok(()) };
    let sys = root.sys();
    // One that is there counts only if it is what its name says.
    let there = absent(sys.open(&folder, hash)).map_err(io)?;
    let size = data.len() as u64;
    if there.is_some_and(|fd| sys.read(&fd, size, size).is_ok_and(|found| found == data)) {
        return Ok(());
    }
    let temp = Temp::create(sys, &folder, format!(".{hash}.{}", nonce(sys))).map_err(io)?;
    let written =
        temp.fill(sys, data, None, Durability::None).and_then(|_| sys.rename(&folder, temp.name(), hash));
    if written.is_err() {
        let _ = temp::remove(sys, &folder, temp.name());
    }
    temp.unlock(sys);
    written.map_err(io)
}

/// Removes the files that no record names. Under the guard. How many.
pub(crate) fn sweep(root: &Root, named: &dyn Fn(&str) -> bool) -> Result<usize> {
    let path = root.path().join(".forebay/objects");
    let io = |error: io::Error| Error::io("sweep", &path, &error);
    let sys = root.sys();
    let Some(control) = root.control()? else { return Ok(0) };
    let Some(objects) = absent(sys.open_folder(&control.dir, OBJECTS)).map_err(io)? else { return Ok(0) };
    let mut swept = 0;
    for folder in sys.list(&objects).map_err(io)? {
        let Ok(folder) = sys.open_folder(&objects, &folder) else { continue };
        for name in sys.list(&folder).map_err(io)? {
            // Objects are written under the guard too, so a temporary one is a dead writer's.
            if !named(&name) {
                swept += usize::from(absent(sys.unlink(&folder, &name)).map_err(io)?.is_some());
            }
        }
    }
    Ok(swept)
}
