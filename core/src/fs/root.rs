//! `Root`: the one directory that processes share: found safe, opened once, opened again when it was removed
//! under us. Below it everything is reached through descriptors, one name at a time, without following links.
//!
//! Opening writes nothing and takes no lock; the first write makes what is missing, the guards all at once, so
//! that a disk which fills up later never lacks one.

use crate::error::{Code, Error, Result};
use crate::fs::turn::Turns;
use crate::generation::Table;
use crate::key::GUARDS;
use crate::sys::fork::PerProcess;
use crate::sys::{Fd, FileKind, Stat, Sys, absent};
use arc_swap::ArcSwapOption;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

const CONTROL: &str = ".forebay";
const GUARD: &str = "guard";
const FORMAT: &str = "format";
const FORMAT_VERSION: u64 = 1;
const TAG: &str = "CACHEDIR.TAG";
const TAG_TEXT: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
# This directory is a cache made by forebay; it can be removed at any time.\n";
/// The folder for damaged files, below `.forebay`.
pub(crate) const QUARANTINE: &str = "quarantine";

/// A root directory, open or not yet there.
#[derive(Debug)]
pub(crate) struct Root {
    sys: Arc<dyn Sys>,
    path: PathBuf,
    /// Backup programs and people may remove it at any time, and a file in it says so.
    is_cache: bool,
    opened: PerProcess<ArcSwapOption<Opened>>,
    turns: PerProcess<Arc<Turns>>,
}

/// The descriptors of one incarnation of a root.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) dir: Fd,
    control: RwLock<Option<Arc<Control>>>,
    tiers: RwLock<HashMap<Box<str>, Arc<Fd>>>,
    /// The tiers whose names are known to be flushed; the empty name stands for the root's own.
    anchored: Mutex<HashSet<Box<str>>>,
}

/// The folder `.forebay` and what is in it.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) dir: Fd,
    pub(crate) guards: Fd,
    pub(crate) table: ArcSwapOption<Table>,
}

impl Root {
    /// Checks the root, or the place where it will be made.
    pub(crate) fn open(sys: Arc<dyn Sys>, path: &Path) -> Result<Root> {
        Root::open_as(sys, path, true)
    }

    /// The same for a state root, which nobody may remove.
    pub(crate) fn open_state(sys: Arc<dyn Sys>, path: &Path) -> Result<Root> {
        Root::open_as(sys, path, false)
    }

    fn open_as(sys: Arc<dyn Sys>, path: &Path, is_cache: bool) -> Result<Root> {
        let path = std::path::absolute(path).map_err(|error| Error::io("find the root", path, &error))?;
        let (path, way) = resolve(&*sys, path);
        let root = Root { sys, path, is_cache, opened: PerProcess::default(), turns: PerProcess::default() };
        root.enter(&way)?;
        Ok(root)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn sys(&self) -> &dyn Sys {
        &*self.sys
    }

    fn fail(&self, doing: &str, error: &io::Error) -> Error {
        Error::io(doing, &self.path, error)
    }

    /// The open root; none where it does not exist.
    pub(crate) fn current(&self) -> Result<Option<Arc<Opened>>> {
        match self.opened.get().load_full() {
            Some(opened) => Ok(Some(opened)),
            None => self.enter(&[]),
        }
    }

    /// Opens the root and checks it. `way`: what is known of its ancestors, the nearest first.
    fn enter(&self, way: &[Stat]) -> Result<Option<Arc<Opened>>> {
        let dir = match absent(self.sys.open_root(&self.path)).map_err(|e| self.fail("open the root", &e))? {
            Some(dir) => dir,
            None => return Ok(None),
        };
        self.check_safe(&dir, way)?;
        self.check_format(&dir)?;
        let opened = Arc::new(Opened {
            dir,
            control: RwLock::new(None),
            tiers: RwLock::new(HashMap::new()),
            anchored: Mutex::new(HashSet::new()),
        });
        self.opened.get().store(Some(Arc::clone(&opened)));
        Ok(Some(opened))
    }

    /// The open root, made where it does not exist.
    pub(crate) fn create(&self) -> Result<Arc<Opened>> {
        if let Some(opened) = self.current()? {
            return Ok(opened);
        }
        self.sys.make_root(&self.path).map_err(|e| self.fail("make the root", &e))?;
        self.current()?.ok_or_else(|| self.fail("open the root", &io::ErrorKind::NotFound.into()))
    }

    /// Forgets the descriptors: the next use opens the root by its path again.
    pub(crate) fn forget(&self) {
        self.opened.get().store(None);
    }

    /// Whether these descriptors are of folders that were removed under us.
    pub(crate) fn was_removed(&self, folder: &Fd) -> bool {
        self.sys.stat(folder).is_ok_and(|stat| stat.nlink == 0)
    }

    fn check_safe(&self, dir: &Fd, way: &[Stat]) -> Result<()> {
        let stat = self.sys.stat(dir).map_err(|e| self.fail("examine the root", &e))?;
        let user = self.sys.user();
        let unsafe_root = |what: String, hint: String| {
            Error::new(Code::UnsafeRoot, what).with_path(&self.path).with_hint(hint)
        };
        if stat.uid != user {
            return Err(unsafe_root(
                format!("cannot use the root: it belongs to user {}, not to {user}", stat.uid),
                "set FOREBAY_ROOT to a folder of your own".to_owned(),
            ));
        }
        if stat.mode & 0o022 != 0 {
            return Err(unsafe_root(
                format!("cannot use the root: others may write to it (mode {:04o})", stat.mode),
                format!("chmod 0700 {}", self.path.display()),
            ));
        }
        for (at, ancestor) in self.path.ancestors().skip(1).enumerate() {
            let stat = match way.get(at) {
                Some(stat) => *stat,
                None => {
                    self.sys.stat_path(ancestor).map_err(|e| Error::io("examine the folder", ancestor, &e))?
                }
            };
            let owned = stat.uid == 0 || stat.uid == user;
            let closed = stat.mode & 0o022 == 0 || stat.mode & 0o1000 != 0;
            if !(owned && closed) {
                return Err(unsafe_root(
                    format!("cannot use the root: others may replace it through {}", ancestor.display()),
                    "set FOREBAY_ROOT to a folder below your home".to_owned(),
                ));
            }
        }
        self.check_local(dir)
    }

    fn check_local(&self, dir: &Fd) -> Result<()> {
        match self.sys.file_system(dir).map_err(|e| self.fail("examine the file system of", &e))? {
            Ok(()) => Ok(()),
            Err(name) => Err(Error::new(
                Code::UnsupportedFs,
                format!("cannot use the root: its file system ({name}) is not known to be local"),
            )
            .with_path(&self.path)
            .with_hint("set FOREBAY_ROOT to a folder on a local disk")),
        }
    }

    fn check_format(&self, dir: &Fd) -> Result<()> {
        let path = self.path.join(CONTROL).join(FORMAT);
        let io = |error: io::Error| Error::io("read the format", &path, &error);
        let Some(control) = absent(self.sys.open_folder(dir, CONTROL)).map_err(io)? else { return Ok(()) };
        let Some(fd) = absent(self.sys.open(&control, FORMAT)).map_err(io)? else { return Ok(()) };
        let bytes = self.sys.read(&fd, 64, 4096).map_err(io)?;
        let version = format_version(&bytes);
        if version > FORMAT_VERSION {
            return Err(Error::new(
                Code::NewerFormat,
                format!("the root has format {version}; this version knows formats up to {FORMAT_VERSION}"),
            )
            .with_path(path)
            .with_hint("upgrade forebay, or set FOREBAY_ROOT to another folder"));
        }
        Ok(())
    }

    /// The folder of a tier. None where it is missing and `make` is false.
    pub(crate) fn tier(&self, folder: &str, make: bool) -> Result<Option<Arc<Fd>>> {
        let opened = if make { Some(self.create()?) } else { self.current()? };
        let Some(opened) = opened else { return Ok(None) };
        if let Some(fd) = opened.tiers.read().unwrap_or_else(PoisonError::into_inner).get(folder) {
            return Ok(Some(Arc::clone(fd)));
        }
        let path = || self.path.join(folder);
        let mut found = absent(self.sys.open_folder(&opened.dir, folder));
        if make && matches!(found, Ok(None)) {
            match self.sys.make_folder(&opened.dir, folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io("make the folder", &path(), &error));
                }
                _ => found = absent(self.sys.open_folder(&opened.dir, folder)),
            }
        }
        let Some(fd) = found.map_err(|e| Error::io("open the folder", &path(), &e))? else { return Ok(None) };
        let fd = Arc::new(fd);
        let mut tiers = opened.tiers.write().unwrap_or_else(PoisonError::into_inner);
        // Descriptors are few: a cache with very many tiers opens them anew now and then.
        if tiers.len() >= 64 {
            tiers.clear();
        }
        tiers.insert(folder.into(), Arc::clone(&fd));
        Ok(Some(fd))
    }

    /// Flushes the names of a tier's folder, of the root, and of the folders above it that are ours, once per
    /// process: the flush of a folder keeps the names in it, not its own, and who made it may not have flushed any.
    pub(crate) fn anchor(&self, tier: &str) -> io::Result<()> {
        let Some(opened) = self.opened.get().load_full() else { return Ok(()) };
        let anchored = || opened.anchored.lock().unwrap_or_else(PoisonError::into_inner);
        if anchored().contains(tier) {
            return Ok(());
        }
        self.sys.flush_folder(&opened.dir)?;
        if !anchored().contains("") {
            self.flush_above()?;
            anchored().insert("".into());
        }
        anchored().insert(tier.into());
        Ok(())
    }

    /// Up to the first folder that belongs to somebody else: it may hold the name of one of ours. What may not be
    /// opened was not made by us.
    fn flush_above(&self) -> io::Result<()> {
        for above in self.path.ancestors().skip(1) {
            let folder = match self.sys.open_root(above) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
                other => other?,
            };
            self.sys.flush_folder(&folder)?;
            if self.sys.stat(&folder)?.uid != self.sys.user() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Forgets the descriptor of a tier that was removed under us.
    pub(crate) fn forget_tier(&self, folder: &str) {
        if let Some(opened) = self.opened.get().load_full() {
            opened.tiers.write().unwrap_or_else(PoisonError::into_inner).remove(folder);
            if self.was_removed(&opened.dir) {
                self.forget();
            }
        }
    }

    /// The folder `.forebay`; none where it was not made yet.
    pub(crate) fn control(&self) -> Result<Option<Arc<Control>>> {
        let Some(opened) = self.current()? else { return Ok(None) };
        if let Some(control) = &*opened.control.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Some(Arc::clone(control)));
        }
        let io = |error: io::Error| Error::io("open", &self.path.join(CONTROL), &error);
        let Some(dir) = absent(self.sys.open_folder(&opened.dir, CONTROL)).map_err(io)? else {
            return Ok(None);
        };
        let Some(guards) = absent(self.sys.open_folder(&dir, GUARD)).map_err(io)? else { return Ok(None) };
        let control = Arc::new(Control { dir, guards, table: ArcSwapOption::empty() });
        *opened.control.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&control));
        Ok(Some(control))
    }

    /// The folder `.forebay` with all that belongs into it.
    pub(crate) fn make_control(&self) -> Result<Arc<Control>> {
        if let Some(control) = self.control()? {
            return Ok(control);
        }
        let opened = self.create()?;
        self.set_up(&opened).map_err(|e| Error::io("set up", &self.path.join(CONTROL), &e))?;
        self.control()?
            .ok_or_else(|| Error::io("open", &self.path.join(CONTROL), &io::ErrorKind::NotFound.into()))
    }

    fn set_up(&self, opened: &Opened) -> io::Result<()> {
        let sys = self.sys();
        ignore_existing(sys.make_folder(&opened.dir, CONTROL))?;
        let control = sys.open_folder(&opened.dir, CONTROL)?;
        let nonce = nonce(sys);
        if self.is_cache {
            write_once(sys, &opened.dir, TAG, TAG_TEXT, &nonce)?;
        }
        let format = format!("{{\"version\":{FORMAT_VERSION}}}\n");
        write_once(sys, &control, FORMAT, format.as_bytes(), &nonce)?;
        if absent(sys.stat_at(&control, GUARD))?.is_some() {
            return Ok(());
        }
        let temporary = format!(".{GUARD}.{nonce}");
        sys.make_folder(&control, &temporary)?;
        let folder = sys.open_folder(&control, &temporary)?;
        let names: Vec<String> = guard_names().collect();
        let made = names.iter().try_for_each(|name| sys.create(&folder, name).map(drop));
        let made = made.and_then(|()| sys.rename(&control, &temporary, GUARD));
        if made.is_err() {
            // Another process was first, or the disk is full: leave nothing half made.
            for name in &names {
                let _ = sys.unlink(&folder, name);
            }
            let _ = sys.remove_folder(&control, &temporary);
        }
        match absent(sys.stat_at(&control, GUARD))? {
            Some(_) => Ok(()),
            None => made,
        }
    }

    /// The table, opened or made; none where neither can be done: it is only an accelerator.
    pub(crate) fn table(&self, control: &Control) -> Option<Arc<Table>> {
        let known = control.table.load_full();
        if let Some(table) = known.filter(|table| table.is_current(self.sys(), &control.dir)) {
            return Some(table);
        }
        let table = Table::make(self.sys(), &control.dir, &nonce(self.sys())).ok().map(Arc::new);
        control.table.store(table.clone());
        table
    }

    /// The turns of this process's threads at the guards.
    pub(crate) fn turns(&self) -> Arc<Turns> {
        Arc::clone(&self.turns.get())
    }

    /// Whether the root at the path is the one that is open.
    pub(crate) fn stat_below(&self, below: &str) -> io::Result<Stat> {
        self.sys.stat_path(&self.path.join(CONTROL).join(GUARD).join(below))
    }
}

/// The version that a format file names. Only a number says that we must not write there; an unreadable file
/// says nothing.
pub(crate) fn format_version(bytes: &[u8]) -> u64 {
    serde_json::from_slice::<serde_json::Value>(bytes)
        .ok()
        .and_then(|json| json.get("version")?.as_u64())
        .unwrap_or(FORMAT_VERSION)
}

/// The real path of a root, and what was found of its ancestors on the way, the nearest first. Most paths are real
/// already: only where a link or `..` is part of one is the system asked, which costs a call per part.
fn resolve(sys: &dyn Sys, path: PathBuf) -> (PathBuf, Vec<Stat>) {
    if !path.components().any(|part| part == Component::ParentDir) {
        let folders = path
            .ancestors()
            .map(|part| sys.stat_path_itself(part).ok().filter(|stat| stat.kind == FileKind::Folder));
        if let Some(mut way) = folders.collect::<Option<Vec<Stat>>>() {
            way.remove(0);
            return (path, way);
        }
    }
    (std::fs::canonicalize(&path).unwrap_or(path), Vec::new())
}

fn guard_names() -> impl Iterator<Item = String> {
    (0..GUARDS).map(guard_name).chain(["index".to_owned(), "ledger".to_owned()])
}

/// The file of a numbered guard.
pub(crate) fn guard_name(number: u32) -> String {
    format!("{number:02x}")
}

fn ignore_existing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Publishes a small file under a name that nobody has taken yet.
fn write_once(sys: &dyn Sys, at: &Fd, name: &str, bytes: &[u8], nonce: &str) -> io::Result<()> {
    if absent(sys.stat_at(at, name))?.is_some_and(|stat| stat.kind == FileKind::File) {
        return Ok(());
    }
    let temporary = format!(".{name}.{nonce}");
    let fd = sys.create(at, &temporary)?;
    let made = sys.write(&fd, 0, bytes).and_then(|()| ignore_existing(sys.link(at, &temporary, name)));
    made.and(sys.unlink(at, &temporary))
}

/// 128 random bits in hex: part of the name of what one writer makes.
pub(crate) fn nonce(sys: &dyn Sys) -> String {
    let mut bytes = [0; 16];
    sys.random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
