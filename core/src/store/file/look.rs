//! Looking: the reader's way in. It takes no lock, never writes and never repairs; it reports damage, and the
//! next acquire heals it.
//!
//! The notice is opened before the value, and the value before its meta: in this order no commit between two
//! of these steps can make an old value pass for a new one. Bytes that were read once are kept, and served for
//! as long as `stat` tells the same of value and notice.

use super::FileStore;
use super::bind::bind;
use super::record::{MetaSeen, NoticeSeen, Record};
use super::site::Site;
use crate::entry::{Entry, Kind, Lifetime, Version};
use crate::error::{Code, Error, Result};
use crate::key::Key;
use crate::store::{Look, MAX_VALUE};
use crate::sys::breaks::broken;
use crate::sys::{Fd, FileKind, Stat, absent, is_link};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How often a look begins anew while others commit.
const LOOKS: usize = 8;
const SHARDS: usize = 16;
/// Larger values are read from disk each time.
const KEEP_LARGEST: usize = 1 << 20;
/// All kept bytes of a cache handle.
const KEEP_TOTAL: usize = 64 << 20;

/// A value that was read, and what told that it is still the one in place.
#[derive(Debug)]
pub(super) struct Kept {
    entry: Arc<Entry>,
    value: Stat,
    notice: NoticeSeen,
}

/// The values that this process has read.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    shards: [Mutex<HashMap<Key, Arc<Kept>>>; SHARDS],
    bytes: AtomicUsize,
}

impl Shelf {
    fn shard(&self, key: &Key) -> &Mutex<HashMap<Key, Arc<Kept>>> {
        &self.shards[key.slot() as usize % SHARDS]
    }

    fn get(&self, key: &Key) -> Option<Arc<Kept>> {
        self.shard(key).lock().unwrap_or_else(PoisonError::into_inner).get(key).map(Arc::clone)
    }

    fn keep(&self, key: &Key, kept: Kept) {
        let size = kept.entry.data.len();
        let mut shard = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        if size > KEEP_LARGEST {
            if let Some(old) = shard.remove(key) {
                self.bytes.fetch_sub(old.entry.data.len(), Ordering::Relaxed);
            }
            return;
        }
        if self.bytes.load(Ordering::Relaxed) + size > KEEP_TOTAL {
            let freed: usize = shard.values().map(|kept| kept.entry.data.len()).sum();
            shard.clear();
            self.bytes.fetch_sub(freed, Ordering::Relaxed);
        }
        self.bytes.fetch_add(size, Ordering::Relaxed);
        if let Some(old) = shard.insert(key.clone(), Arc::new(kept)) {
            self.bytes.fetch_sub(old.entry.data.len(), Ordering::Relaxed);
        }
    }
}

/// What one pass over the files found.
enum Found {
    Look(Look),
    Value(Box<Read>),
    /// Something changed under us.
    Again,
}

struct Read {
    entry: Entry,
    stat: Stat,
    notice: NoticeSeen,
    /// A record is bound to it.
    bound: bool,
    meta: Option<(u64, u64)>,
}

impl FileStore {
    pub(super) fn look_at(&self, key: &Key) -> Result<Look> {
        let Some(site) = self.site(key)? else { return Ok(Look::default()) };
        if let Some(kept) = self.shelf.get().get(key)
            && let Some(look) = site.look_again(&kept)?
        {
            return Ok(look);
        }
        let mut before = None;
        for last in [false; LOOKS - 1].into_iter().chain([true]) {
            let read = match site.look_once()? {
                Found::Look(look) if look.damaged.is_none() && self.root.was_removed(&site.folder) => {
                    self.root.forget_tier(key.folder());
                    return self.look_at_remade(key);
                }
                Found::Look(look) => return Ok(look),
                Found::Again => continue,
                Found::Value(read) => read,
            };
            // That no record is bound is believed only when two looks in a row saw the same.
            let seen = (read.stat, read.meta);
            if read.bound || before == Some(seen) {
                return Ok(self.keep(key, *read));
            }
            if last {
                let noticed = true;
                return Ok(Look { entry: Some(Arc::new(read.entry)), noticed, damaged: None });
            }
            before = Some(seen);
        }
        Ok(Look::default())
    }

    /// The folder was removed under us; one that is there now is looked at once.
    fn look_at_remade(&self, key: &Key) -> Result<Look> {
        match self.site(key)? {
            Some(site) if !self.root.was_removed(&site.folder) => match site.look_once()? {
                Found::Look(look) => Ok(look),
                Found::Value(read) => Ok(self.keep(key, *read)),
                Found::Again => Ok(Look::default()),
            },
            _ => Ok(Look::default()),
        }
    }

    fn keep(&self, key: &Key, read: Read) -> Look {
        let noticed = read.notice.covers(read.entry.token, &read.stat);
        let entry = Arc::new(read.entry);
        let kept = Kept { entry: Arc::clone(&entry), value: read.stat, notice: read.notice };
        self.shelf.get().keep(key, kept);
        Look { entry: Some(entry), noticed, damaged: None }
    }

    /// Keeps what was just committed, so that the next look need not read it.
    pub(super) fn keep_committed(&self, key: &Key, entry: Arc<Entry>, value: Stat) {
        self.shelf.get().keep(key, Kept { entry, value, notice: NoticeSeen::Absent });
    }
}

impl Site<'_> {
    /// The kept value, if the disk still shows the very same: two calls.
    fn look_again(&self, kept: &Kept) -> Result<Option<Look>> {
        let files = self.key.files();
        let notice = self.stat(&files.notice)?;
        let same_notice = match (&notice, kept.notice.stat()) {
            (None, None) => true,
            (Some(now), Some(then)) => now.same_file(then),
            _ => false,
        };
        if !same_notice || !self.value_stat()?.is_some_and(|stat| stat.same_file(&kept.value)) {
            return Ok(None);
        }
        let noticed = kept.notice.covers(kept.entry.token, &kept.value);
        Ok(Some(Look { entry: Some(Arc::clone(&kept.entry)), noticed, damaged: None }))
    }

    fn look_once(&self) -> Result<Found> {
        let notice = self.notice()?;
        let name = &self.key.files().value;
        let fd = match absent(self.sys().open(&self.folder, name)) {
            Ok(Some(fd)) => fd,
            Ok(None) => return Ok(Found::Look(Look::default())),
            Err(error) if is_link(self.sys(), &self.folder, name, &error) => {
                return Ok(self.damaged("a link"));
            }
            Err(error) => return Err(self.fail("open", name, &error)),
        };
        let stat = self.sys().stat(&fd).map_err(|e| self.fail("examine", name, &e))?;
        if stat.kind != FileKind::File {
            return Ok(self.damaged("not a file"));
        }
        if stat.uid != self.sys().user() {
            return Ok(self.damaged("a file of another user"));
        }
        let Some(data) = self.read_whole(&fd, &stat, name)? else { return Ok(Found::Again) };
        let notice = if broken("notice-late") { self.notice()? } else { notice };
        self.judge(notice, stat, data)
    }

    /// The bytes, unless somebody writes into the file while it is read.
    fn read_whole(&self, fd: &Fd, stat: &Stat, name: &str) -> Result<Option<Vec<u8>>> {
        let io = |error: io::Error| self.fail("read", name, &error);
        let data = self.sys().read(fd, stat.size, MAX_VALUE).map_err(io)?;
        if data.len() as u64 == stat.size {
            return Ok(Some(data));
        }
        Ok(None)
    }

    fn judge(&self, notice: NoticeSeen, stat: Stat, data: Vec<u8>) -> Result<Found> {
        let meta = self.meta()?;
        let mut known: Option<String> = None;
        let mut hash =
            || Ok::<_, Error>(known.get_or_insert_with(|| blake3::hash(&data).to_hex().to_string()).clone());
        let (record, bound) = match &meta {
            MetaSeen::Absent => (None, false),
            MetaSeen::Unreadable => return Ok(self.damaged("described by an unreadable meta file")),
            MetaSeen::Found(_, found) if found.records().any(|record| record.is_cut_short(&stat)) => {
                return Ok(self.damaged("not what was written: its size differs"));
            }
            MetaSeen::Found(_, found) => match bind(found, &stat, &mut hash)? {
                // It has the inode, size and time of a version of ours: a power cut took its bytes.
                None if found.records().any(|record| record.describes(&stat)) => {
                    return Ok(self.damaged("not what was written: its hash differs"));
                }
                None => (None, false),
                Some(bound) => {
                    if bound.current
                        && let Some(expected) = &bound.record.hash
                        && hash()? != *expected
                    {
                        return Ok(self.damaged("not what was written: its hash differs"));
                    }
                    (bound.record.token.map(|_| bound.record.clone()), true)
                }
            },
        };
        let entry = entry(record, &stat, data);
        Ok(Found::Value(Box::new(Read { entry, stat, notice, bound, meta: meta.identity() })))
    }

    fn damaged(&self, what: &str) -> Found {
        let path = self.path(&self.key.files().value);
        let error = Error::new(Code::Damaged, format!("the stored value is {what}"))
            .with_path(path)
            .with_hint("the next refresh or put replaces it");
        Found::Look(Look { entry: None, noticed: false, damaged: Some(error) })
    }
}

/// An entry of those bytes: described by our record, or foreign.
pub(super) fn entry(record: Option<Record>, stat: &Stat, data: Vec<u8>) -> Entry {
    let foreign = Kind::Foreign { ino: stat.ino, mtime_ns: stat.mtime_ns, size: stat.size };
    let token = record.as_ref().and_then(|record| record.token);
    Entry {
        data: data.into_boxed_slice(),
        stored_ns: stat.mtime_ns,
        version: Version(token.map_or(foreign, Kind::Token)),
        token,
        lifetime: record.as_ref().map_or_else(Lifetime::default, Record::lifetime),
        extra: record.as_ref().and_then(|record| record.extra.as_deref().map(Into::into)),
        validator: record.and_then(|record| record.validator.map(Into::into)),
    }
}
