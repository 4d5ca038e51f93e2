//! Listing and pruning: which keys are there, and what may go. Prune removes the unlisted that nobody
//! refreshes, settles the orphans of the listed, and sweeps what the dead left. It removes no folders.

use super::FileStore;
use super::record::{Meta, MetaSeen};
use super::site::Site;
use crate::error::{Error, Result};
use crate::fs::guard::{Section, TIMEOUT};
use crate::fs::temp;
use crate::key::{Key, decode};
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
            self.sweep(&tier, &mut pruned)?;
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

    /// The key of a stem: decoded, or for a name that was cut or bears an identity, as meta tells.
    fn key_of(&self, tier: &Tier, stem: &str) -> Result<Option<Key>> {
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

    /// Sweeps temporary files that no marker names, that are old by the real clock either way, and that nobody
    /// holds locked: age alone would take those of a writer whose clock was set, the lock alone those of one
    /// that has just made them.
    fn sweep(&self, tier: &Tier, pruned: &mut Pruned) -> Result<()> {
        let named: Vec<&str> =
            tier.files.iter().filter_map(|file| file.strip_suffix(".refreshing")).collect();
        for name in &tier.files {
            let temporary = name.starts_with('.') && !is_fixed(name);
            let lock = name.ends_with(".lock");
            if !(temporary || lock) {
                continue;
            }
            let path = || -> PathBuf { self.root.path().join(&tier.name).join(name) };
            let io = |error: io::Error| Error::io("sweep", &path(), &error);
            let Some(stat) = absent(self.sys().stat_at(&tier.folder, name)).map_err(io)? else { continue };
            let age = self.sys().real_ns().saturating_sub(stat.ctime_ns).unsigned_abs();
            let enough = if lock { LOCK_AGE } else { self.sweep_age };
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
