//! A tree of files on the real disk: read into the model before a tape begins, and made from what a cut left.
//!
//! A new tree has new inode numbers, and descriptions of values name inodes; so the numbers in descriptions and
//! notices are written anew, as if the disk had come back under its old numbers. Files whose time nobody set are
//! made a little old: between a cut and the next start of a machine there is time.

use super::disk::{Bytes, Content, Cut, Disk, Id};
use std::collections::HashMap;
use std::fs::{self, File, FileTimes};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const REBOOT: Duration = Duration::from_secs(100);

/// The model of what is in a folder.
///
/// # Errors
/// Those of the system.
pub fn scan(folder: &Path) -> io::Result<Disk> {
    let mut disk = Disk::new(fs::metadata(folder)?.ino());
    scan_into(&mut disk, 0, folder)?;
    Ok(disk)
}

fn scan_into(disk: &mut Disk, at: Id, folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, stat) = (entry.path(), entry.metadata()?);
        let name = entry.file_name().to_string_lossy().into_owned();
        if stat.is_dir() {
            let id = disk.hold(at, &name, stat.ino(), None);
            scan_into(disk, id, &path)?;
        } else {
            let mtime = stat.mtime().saturating_mul(1_000_000_000).saturating_add(stat.mtime_nsec());
            let content = Content { bytes: Bytes::new(&fs::read(&path)?), mtime: Some(mtime) };
            disk.hold(at, &name, stat.ino(), Some(content));
        }
    }
    Ok(())
}

/// A number that is the same for two cuts which left the same.
#[must_use]
pub fn fingerprint(disk: &Disk, cut: &Cut) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (path, id) in paths(disk, cut) {
        (path, id).hash(&mut hasher);
        cut.contents.get(&id).hash(&mut hasher);
    }
    hasher.finish()
}

/// What can still be reached from the top, folders before what is in them.
fn paths(disk: &Disk, cut: &Cut) -> Vec<(PathBuf, Id)> {
    let mut found: Vec<(PathBuf, Id)> = Vec::new();
    let mut folders: Vec<(PathBuf, Id)> = vec![(PathBuf::new(), 0)];
    while let Some((path, folder)) = folders.pop() {
        for ((_, name), id) in cut.names.range((folder, String::new())..(folder + 1, String::new())) {
            let below = path.join(name);
            if disk.is_folder(*id) {
                folders.push((below.clone(), *id));
            }
            found.push((below, *id));
        }
    }
    found
}

/// Folders of many empty files that no tree changes, the guards: the next tree takes them over from the last.
#[derive(Debug)]
pub struct Molds(PathBuf);

impl Molds {
    /// Kept in that folder, which is on the file system of the trees.
    #[must_use]
    pub fn new(folder: &Path) -> Molds {
        Molds(folder.to_owned())
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.0.join(path.to_string_lossy().replace('/', "+"))
    }

    /// Moves the folder into the tree, if one with as many names is kept.
    fn lend(&self, path: &Path, names: usize, tree: &Path) -> io::Result<bool> {
        let kept = self.place(path);
        if !fs::read_dir(&kept).is_ok_and(|entries| entries.count() == names) {
            return Ok(false);
        }
        fs::rename(&kept, tree.join(path)).map(|()| true)
    }

    /// Takes the folders back from a tree that was made by [`make`], before it is removed.
    ///
    /// # Errors
    /// Those of the system.
    pub fn take_back(&self, guards: &[PathBuf], tree: &Path) -> io::Result<()> {
        for path in guards {
            let kept = self.place(path);
            if !kept.exists() {
                fs::rename(tree.join(path), kept)?;
            }
        }
        Ok(())
    }
}

/// Makes what the cut left, in an empty folder; which folders of guards are in it.
///
/// # Errors
/// Those of the system.
pub fn make(disk: &Disk, cut: &Cut, folder: &Path, molds: &Molds) -> io::Result<Vec<PathBuf>> {
    let mut paths = paths(disk, cut);
    let guards: Vec<PathBuf> =
        paths.iter().map(|(path, _)| path).filter(|path| path.ends_with(".forebay/guard")).cloned().collect();
    let mut lent = Vec::new();
    for guard in &guards {
        let names = paths.iter().filter(|(path, _)| path.parent() == Some(guard)).count();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder.join(guard).parent().unwrap_or(folder))?;
        if molds.lend(guard, names, folder)? {
            lent.push(guard.clone());
        }
    }
    paths.retain(|(path, _)| !lent.iter().any(|guard| path.starts_with(guard)));
    let mut made: HashMap<Id, (PathBuf, File)> = HashMap::new();
    let mut numbers: HashMap<u64, u64> = HashMap::new();
    for (path, id) in &paths {
        let path = folder.join(path);
        if disk.is_folder(*id) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        } else if let Some((first, _)) = made.get(id) {
            fs::hard_link(first, &path)?;
        } else {
            let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
            numbers.insert(disk.inode(*id), file.metadata()?.ino());
            made.insert(*id, (path, file));
        }
    }
    let old = SystemTime::now() - REBOOT;
    for (id, (path, file)) in &made {
        let content = cut.contents.get(id).cloned().unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let describes = name.contains(".meta") || name.contains(".stale");
        let bytes = content.bytes.bytes;
        let bytes = if describes { renumbered(&bytes, &numbers) } else { bytes.to_vec() };
        io::Write::write_all(&mut &*file, &bytes)?;
        let mtime = content.mtime.and_then(|ns| u64::try_from(ns).ok()).map(Duration::from_nanos);
        let mtime = mtime.map_or(old, |since| SystemTime::UNIX_EPOCH + since);
        file.set_times(FileTimes::new().set_modified(mtime))?;
    }
    Ok(guards)
}

/// The bytes of a description with the new inode numbers. Numbers of files that are gone become ones that nobody has.
fn renumbered(bytes: &[u8], numbers: &HashMap<u64, u64>) -> Vec<u8> {
    const FIELD: &str = "\"ino\":\"";
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let mut parts = text.split(FIELD);
    let mut new = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        new.push_str(FIELD);
        match part.split_once('"').map(|(number, rest)| (number.parse::<u64>(), rest)) {
            Some((Ok(number), rest)) => {
                let number = numbers.get(&number).copied().unwrap_or(number | 1 << 60);
                new.push_str(&format!("{number}\"{rest}"));
            }
            _ => new.push_str(part),
        }
    }
    new.into_bytes()
}
