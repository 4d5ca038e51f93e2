//! Listing and pruning: which keys are there, and what may go. Prune removes the unlisted that nobody
//! refreshes, settles the orphans of the listed, and sweeps what the dead left. It removes no folders.

use super::FileStore;
use super::record::{Meta, MetaSeen};
use super::site::Site;
use crate::error::{Error, Result};
use crate::fs::guard::{Section, TIMEOUT};
use crate::fs::temp;
use crate::key::{Key, ROOT_FOLDER, decode};
use crate::store::Pruned;
use crate::sys::{Fd, FileKind, absent, is_link};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const ENDINGS: [&str; 5] = [".json", ".meta", ".stale", ".refreshing", ".gate"];
/// The original program's lock files are left alone for this long.
const LOCK_AGE: Duration = Duration::from_secs(24 * 3600);

/// One tier's folder and the names in it.
struct Tier {
    name: String,
    folder: Arc<Fd>,
    files: Vec<String>,
}

impl FileStore {
    pub(super) fn list_keys(&self) -> Result<Vec<Key>> {
        let mut keys = BTreeSet::new();
        for tier in self.tiers()? {
            for (stem, has_value) in stems(&tier.files) {
                if has_value {
                    keys.extend(self.key_of(&tier, &stem)?);
                }
            }
        }
        Ok(keys.into_iter().collect())
    }

    pub(super) fn prune_all(&self, keep: &[Key]) -> Result<Pruned> {
        let keep: BTreeSet<&Key> = keep.iter().collect();
        let mut pruned = Pruned::default();
        for tier in self.tiers()? {
            for (stem, _) in stems(&tier.files) {
                match self.key_of(&tier, &stem)? {
                    Some(key) => self.prune_key(&key, keep.contains(&key), &mut pruned)?,
                    None => continue,
                }
            }
            self.sweep(&tier, self.sweep_age, &mut pruned)?;
        }
        if let Some(mut root) = self.root_tier()? {
            // Others may keep files of their own there: only names that a writer of ours gives are swept.
            root.files.retain(|name| is_ours(name));
            self.sweep(&root, self.sweep_age, &mut pruned)?;
            for key in self.list_quotas()? {
                self.prune_key(&key, true, &mut pruned)?;
            }
        }
        self.tidy_quarantine()?;
        Ok(pruned)
    }

    fn tiers(&self) -> Result<Vec<Tier>> {
        let Some(opened) = self.root.current()? else { return Ok(Vec::new()) };
        let path = self.root.path().to_owned();
        let io = |error: io::Error| Error::io("list", &path, &error);
        let mut tiers = Vec::new();
        for name in self.sys().list(&opened.dir).map_err(io)? {
            let folder = absent(self.sys().stat_at(&opened.dir, &name)).map_err(io)?;
            if name.starts_with('.') || !folder.is_some_and(|stat| stat.kind == FileKind::Folder) {
                continue;
            }
            if let Some(folder) = self.root.tier(&name, false)? {
                let files = self.sys().list(&folder).map_err(io)?;
                tiers.push(Tier { name, folder, files });
            }
        }
        Ok(tiers)
    }

    /// The root itself as a folder of files.
    fn root_tier(&self) -> Result<Option<Tier>> {
        let Some(folder) = self.root.tier(ROOT_FOLDER, false)? else { return Ok(None) };
        let files = self.sys().list(&folder).map_err(|e| Error::io("list", self.root.path(), &e))?;
        Ok(Some(Tier { name: ROOT_FOLDER.to_owned(), folder, files }))
    }

    /// The quota records of the root, by value or gate.
    pub(super) fn list_quotas(&self) -> Result<Vec<Key>> {
        let mut keys = BTreeSet::new();
        let Some(root) = self.root_tier()? else { return Ok(Vec::new()) };
        for file in &root.files {
            if let Some(stem) = file.strip_suffix(".json").or_else(|| file.strip_suffix(".lock")) {
                keys.extend(self.quota_of(&root, stem)?);
            }
        }
        Ok(keys.into_iter().collect())
    }

    /// The key of a quota record's stem. Its identity is a hash, so none needs to be known.
    fn quota_of(&self, root: &Tier, stem: &str) -> Result<Option<Key>> {
        let (name, suffix) = match stem.rfind('~') {
            Some(at) if stem.len() - at == 17 => stem.split_at(at),
            _ => (stem, ""),
        };
        let name = match decode(name) {
            Some(name) => Some(name),
            None => self.meta_of(root, stem)?.map(|meta| meta.name),
        };
        let key = name.and_then(|name| Key::quota(&name).ok()).map(|key| key.with_suffix(suffix));
        Ok(key.filter(|key| key.stem() == stem))
    }

    /// The key of a stem: decoded, or for a name that was cut or bears an identity, as meta tells.
    fn key_of(&self, tier: &Tier, stem: &str) -> Result<Option<Key>> {
        if tier.name == ROOT_FOLDER {
            return self.quota_of(tier, stem);
        }
        let fits = |key: Key| (key.folder() == tier.name && key.stem() == stem).then_some(key);
        let plain = decode(&tier.name).zip(decode(stem));
        if let Some(key) = plain.and_then(|(tier, name)| Key::new(&tier, &name).ok()).and_then(fits) {
            return Ok(Some(key));
        }
        let Some(meta) = self.meta_of(tier, stem)? else { return Ok(None) };
        let Ok(key) = Key::new(&meta.tier, &meta.name) else { return Ok(None) };
        let identity = stem.rfind('~').map(|at| &stem[at..]).filter(|suffix| suffix.len() == 17);
        Ok(match identity.and_then(|suffix| fits(key.with_suffix(suffix))) {
            Some(key) => Some(key),
            None => fits(key),
        })
    }

    fn meta_of(&self, tier: &Tier, stem: &str) -> Result<Option<Meta>> {
        // Any key will do to look at one file of that folder.
        let key = Key::new("any", "any")?;
        let site = Site { root: &self.root, folder: Arc::clone(&tier.folder), key: &key };
        Ok(match site.meta_at(&format!("{stem}.meta"))? {
            MetaSeen::Found(_, meta) => Some(*meta),
            _ => None,
        })
    }

    fn prune_key(&self, key: &Key, listed: bool, pruned: &mut Pruned) -> Result<()> {
        let mut section = Section::enter(&self.root, key, TIMEOUT)?;
        let Some(site) = self.site(key)? else { return Ok(()) };
        let marker = site.marker()?;
        if marker.in_force(self.sys())? {
            if !listed {
                pruned.skipped.push((key.clone(), "a refresh is running".to_owned()));
            }
            return Ok(());
        }
        site.sweep_fixed(pruned)?;
        if listed {
            if !matches!(marker, super::marker::Marker::Absent) {
                site.settle_orphan(&mut section, self)?;
                pruned.swept += 1;
            }
        } else if site.clear(&mut section, &marker)? {
            pruned.removed.push(key.clone());
        } else {
            pruned.swept += 1;
        }
        Ok(())
    }

    /// Sweeps the temporary files of one key whose writers are dead. Not by their age: they may hold secrets, and
    /// a writer that loses its new file before it has locked it makes another.
    pub(super) fn sweep_key(&self, key: &Key) -> Result<()> {
        let Some(site) = self.site(key)? else { return Ok(()) };
        let mut pruned = Pruned::default();
        let section = Section::enter(&self.root, key, TIMEOUT)?;
        site.sweep_fixed(&mut pruned)?;
        drop(section);
        let (folder, path) = (site.folder, self.root.path().join(key.folder()));
        let mut files = self.sys().list(&folder).map_err(|e| Error::io("list", &path, &e))?;
        let (marker, temporary) = (format!("{}.refreshing", key.stem()), format!(".{}.", key.stem()));
        files.retain(|file| *file == marker || file.starts_with(&temporary));
        let tier = Tier { name: key.folder().to_owned(), folder, files };
        self.sweep(&tier, Duration::ZERO, &mut pruned)
    }

    /// Sweeps temporary files that no marker names, that are old by the real clock either way, and that nobody
    /// holds locked: age alone would take those of a writer whose clock was set, the lock alone those of one
    /// that has just made them.
    fn sweep(&self, tier: &Tier, least_age: Duration, pruned: &mut Pruned) -> Result<()> {
        let named: Vec<&str> =
            tier.files.iter().filter_map(|file| file.strip_suffix(".refreshing")).collect();
        for name in &tier.files {
            let temporary = name.starts_with('.') && !is_fixed(name);
            let lock = name.ends_with(".lock") && tier.name != ROOT_FOLDER;
            if !(temporary || lock) {
                continue;
            }
            let path = || -> PathBuf { self.root.path().join(&tier.name).join(name) };
            let io = |error: io::Error| Error::io("sweep", &path(), &error);
            let Some(stat) = absent(self.sys().stat_at(&tier.folder, name)).map_err(io)? else { continue };
            let age = self.sys().real_ns().saturating_sub(stat.ctime_ns).unsigned_abs();
            let enough = if lock { LOCK_AGE } else { least_age };
            if u128::from(age) < enough.as_nanos() || (temporary && self.is_named(tier, &named, name)?) {
                continue;
            }
            pruned.swept += usize::from(self.sweep_one(tier, name).map_err(io)?);
        }
        Ok(())
    }

    fn is_named(&self, tier: &Tier, stems: &[&str], name: &str) -> Result<bool> {
        let of = stems.iter().find(|stem| name[1..].starts_with(&format!("{stem}.")));
        let Some(key) = of.map(|stem| self.key_of(tier, stem)).transpose()?.flatten() else {
            return Ok(false);
        };
        let Some(site) = self.site(&key)? else { return Ok(false) };
        let marker = site.marker()?;
        Ok(marker.term().is_some_and(|term| !term.nonce.is_empty() && name.contains(&term.nonce)))
    }

    fn sweep_one(&self, tier: &Tier, name: &str) -> io::Result<bool> {
        let sys = self.sys();
        let fd = match absent(sys.open(&tier.folder, name)) {
            Ok(Some(fd)) => fd,
            Ok(None) => return Ok(false),
            // A link: it holds no lock.
            Err(error) if is_link(sys, &tier.folder, name, &error) => {
                return temp::remove(sys, &tier.folder, name).map(|()| true);
            }
            Err(error) => return Err(error),
        };
        let stat = sys.stat(&fd)?;
        if stat.kind == FileKind::Folder {
            return Ok(sys.remove_folder(&tier.folder, name).is_ok());
        }
        if !sys.try_lock(&fd, true)? {
            return Ok(false);
        }
        // A writer that makes its file anew lets the old one's lock go after the new one has the name.
        let same =
            absent(sys.stat_at(&tier.folder, name))?.is_some_and(|now| now.identity() == stat.identity());
        let removed = if same { temp::remove(sys, &tier.folder, name) } else { Ok(()) };
        sys.unlock(&fd)?;
        removed.map(|()| same)
    }
}

/// Stems with at least one file of theirs, and whether a value is among these.
fn stems(files: &[String]) -> BTreeMap<String, bool> {
    let mut stems = BTreeMap::new();
    for file in files {
        // A dead guard holder's fixed temporary name may be all that there is of a key.
        let file = if is_fixed(file) { file.trim_start_matches('.').trim_end_matches(".new") } else { file };
        if file.starts_with('.') {
            continue;
        }
        if let Some((stem, ending)) = ENDINGS.iter().find_map(|e| file.strip_suffix(e).map(|stem| (stem, *e)))
        {
            *stems.entry(stem.to_owned()).or_insert(false) |= ending == ".json";
        }
    }
    stems
}

/// Markers, which name what is in use, and temporary names with a nonce.
fn is_ours(name: &str) -> bool {
    let nonce = name.strip_suffix(".new").unwrap_or(name).rsplit('.').next().unwrap_or("");
    let hex = nonce.len() == 32 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.ends_with(".refreshing") || (name.starts_with('.') && hex)
}

/// Names that only holders of the guard use.
fn is_fixed(name: &str) -> bool {
    [".refreshing.new", ".gate.new", ".stale.new"].iter().any(|ending| name.ends_with(ending))
}

impl Site<'_> {
    fn sweep_fixed(&self, pruned: &mut Pruned) -> Result<()> {
        let files = self.key.files();
        for name in [&files.marker, &files.gate, &files.notice] {
            let fixed = format!(".{name}.new");
            if self.stat(&fixed)?.is_some() {
                self.remove(&fixed)?;
                pruned.swept += 1;
            }
        }
        Ok(())
    }
}
