//! `Site`: one key's files in their folder, looked at and changed one at a time. It knows names and shapes; the
//! order of changes is its callers'.

use super::bind::{Bound, bind};
use super::marker::Marker;
use super::record::{Meta, MetaSeen, Notice, NoticeSeen, Record};
use crate::error::{Error, Result};
use crate::fs::Durability;
use crate::fs::root::Root;
use crate::fs::temp;
use crate::gate::Gate;
use crate::key::{Key, ROOT_FOLDER};
use crate::lease::Seen;
use crate::store::MAX_VALUE;
use crate::sys::breaks::broken;
use crate::sys::{Fd, FileKind, Stat, Sys, absent, is_link, is_too_large};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// How often meta and value are looked at anew while others commit. The last time is under the guard.
const LOOKS: usize = 8;
const MAX_META: u64 = 4 << 20;
const MAX_SMALL: u64 = 64 << 10;

/// The files of one key.
#[derive(Debug)]
pub(super) struct Site<'s> {
    pub(super) root: &'s Root,
    pub(super) folder: Arc<Fd>,
    pub(super) key: &'s Key,
}

/// The names of what a ticket prepares before its commit.
#[derive(Clone, Debug)]
pub(super) struct TempNames {
    pub(super) value: String,
    pub(super) meta: String,
    /// Meta is written under this name, and only renamed to the one above when it is whole.
    pub(super) meta_new: String,
    /// Of a credential: the mark that an exchange has begun.
    pub(super) started: Option<String>,
}

impl TempNames {
    pub(super) fn new(key: &Key, nonce: &str) -> TempNames {
        let files = key.files();
        let meta = format!(".{}.{nonce}", files.meta);
        let started = files.started.as_ref().map(|name| format!(".{name}.{nonce}"));
        TempNames {
            value: format!(".{}.{nonce}", files.value),
            meta_new: format!("{meta}.new"),
            meta,
            started,
        }
    }
}

impl<'s> Site<'s> {
    pub(super) fn sys(&self) -> &'s dyn Sys {
        self.root.sys()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        match self.key.folder() {
            ROOT_FOLDER => self.root.path().join(name),
            folder => self.root.path().join(folder).join(name),
        }
    }

    pub(super) fn fail(&self, doing: &str, name: &str, error: &io::Error) -> Error {
        Error::io(doing, &self.path(name), error)
    }

    /// What stands at a name; none if nothing does.
    pub(super) fn stat(&self, name: &str) -> Result<Option<Stat>> {
        absent(self.sys().stat_at(&self.folder, name)).map_err(|e| self.fail("examine", name, &e))
    }

    /// A small file whole, if it is a file: other things in its place count as unreadable (`Some(_, None)`).
    pub(super) fn small_file(&self, name: &str) -> Result<Option<(Stat, Option<Vec<u8>>)>> {
        self.small(name, MAX_SMALL)
    }

    fn small(&self, name: &str, max: u64) -> Result<Option<(Stat, Option<Vec<u8>>)>> {
        let sys = self.sys();
        let fd = match absent(sys.open(&self.folder, name)) {
            Ok(Some(fd)) => fd,
            Ok(None) => return Ok(None),
            Err(error) if is_link(sys, &self.folder, name, &error) => {
                return Ok(self.stat(name)?.map(|stat| (stat, None)));
            }
            Err(error) => return Err(self.fail("open", name, &error)),
        };
        let stat = sys.stat(&fd).map_err(|e| self.fail("examine", name, &e))?;
        if stat.kind != FileKind::File {
            return Ok(Some((stat, None)));
        }
        match sys.read(&fd, stat.size, max) {
            Ok(bytes) => Ok(Some((stat, Some(bytes)))),
            Err(error) if is_too_large(&error) => Ok(Some((stat, None))),
            Err(error) => Err(self.fail("read", name, &error)),
        }
    }

    pub(super) fn meta_at(&self, name: &str) -> Result<MetaSeen> {
        Ok(match self.small(name, MAX_META)? {
            None => MetaSeen::Absent,
            Some((stat, bytes)) => match bytes.as_deref().and_then(Meta::parse) {
                Some(meta) => MetaSeen::Found(stat, Box::new(meta)),
                None => MetaSeen::Unreadable,
            },
        })
    }

    pub(super) fn meta(&self) -> Result<MetaSeen> {
        self.meta_at(&self.key.files().meta)
    }

    pub(super) fn notice(&self) -> Result<NoticeSeen> {
        Ok(match self.small(&self.key.files().notice, MAX_SMALL)? {
            None => NoticeSeen::Absent,
            Some((stat, bytes)) => match bytes.as_deref().and_then(Notice::parse) {
                Some(notice) => NoticeSeen::Found(stat, notice),
                None => NoticeSeen::Unreadable(stat),
            },
        })
    }

    /// The gate; an unreadable one is none, but for a quota record's, whose lock file bars whatever is in it.
    pub(super) fn gate(&self) -> Result<Option<Gate>> {
        let found = self.small(&self.key.files().gate, MAX_SMALL)?;
        if self.key.is_quota() {
            return Ok(found.map(|(stat, bytes)| Gate::parse_lock(bytes.as_deref(), stat.mtime_ns)));
        }
        Ok(found.and_then(|(stat, bytes)| Gate::parse(&bytes?, stat.mtime_ns)))
    }

    pub(super) fn marker(&self) -> Result<Marker> {
        let name = &self.key.files().marker;
        Marker::find(self.sys(), &self.folder, name, &self.path(name))
    }

    /// The lease in force. Without the guard: a holder that renews puts a new file in the marker's place and
    /// lets the old lock go, so "unlocked" counts only if the place still shows the file that was opened.
    pub(super) fn lease_in_force(&self) -> Result<Option<Seen>> {
        for _ in 0..8 {
            let marker = self.marker()?;
            if marker.in_force(self.sys())? {
                return Ok(Some(marker.seen()));
            }
            let there = self.stat(&self.key.files().marker)?.map(|stat| stat.identity());
            if marker.identity().is_none() || there == marker.identity() {
                break;
            }
        }
        Ok(None)
    }

    pub(super) fn value_stat(&self) -> Result<Option<Stat>> {
        self.stat(&self.key.files().value)
    }

    /// The hash of a file's bytes.
    pub(super) fn hash_of(&self, name: &str) -> Result<String> {
        let sys = self.sys();
        let bytes = sys
            .open(&self.folder, name)
            .and_then(|fd| {
                let size = sys.stat(&fd)?.size;
                sys.read(&fd, size, MAX_VALUE)
            })
            .map_err(|e| self.fail("read", name, &e))?;
        Ok(blake3::hash(&bytes).to_hex().to_string())
    }

    /// The record of the value in place, by meta as it stands there.
    pub(super) fn bound<'m>(&self, meta: &'m MetaSeen, value: Option<&Stat>) -> Result<Option<Bound<'m>>> {
        match (meta.get(), value) {
            (Some(meta), Some(stat)) => bind(meta, stat, || self.hash_of(&self.key.files().value)),
            _ => Ok(None),
        }
    }

    /// Meta, and the value that was in place all the while it was read. Without the guard a commit may come between
    /// the two, and what meta then does not describe would be taken for foreign.
    pub(super) fn meta_and_value(&self) -> Result<(MetaSeen, Option<Stat>)> {
        let mut before = self.value_stat()?;
        for _ in 0..LOOKS {
            let meta = self.meta()?;
            let after = self.value_stat()?;
            let same = match (&before, &after) {
                (Some(before), Some(after)) => before.same_file(after),
                (before, after) => before.is_none() && after.is_none(),
            };
            if same {
                return Ok((meta, after));
            }
            before = after;
        }
        Ok((self.meta()?, self.value_stat()?))
    }

    /// The record that a new version keeps of the one that it replaces.
    pub(super) fn record_in_place(&self, meta: &MetaSeen, value: Option<&Stat>) -> Result<Option<Record>> {
        let Some(stat) = value else { return Ok(None) };
        let record = match self.bound(meta, value)? {
            Some(bound) => Record { ino: stat.ino, ..bound.record.clone() },
            // Damaged: described as it should be, so that this is still noticed while it is being replaced.
            None => match meta.get().and_then(|meta| meta.records().find(|record| record.describes(stat))) {
                Some(record) => record.clone(),
                None => Record::foreign(stat),
            },
        };
        Ok(Some(record))
    }

    /// The greatest token that any file of the key names.
    pub(super) fn greatest_token(
        &self,
        marker: &Marker,
        meta: &MetaSeen,
        notice: &NoticeSeen,
    ) -> Result<u64> {
        Ok(self.greatest_of(marker, meta, notice, self.gate()?.as_ref()))
    }

    /// The same where the gate was read already.
    pub(super) fn greatest_of(
        &self,
        marker: &Marker,
        meta: &MetaSeen,
        notice: &NoticeSeen,
        gate: Option<&Gate>,
    ) -> u64 {
        let gate = gate.and_then(|gate| gate.last.as_ref()).map_or(0, |last| last.token);
        let meta = meta.get().map_or(0, Meta::greatest_token);
        marker.token().max(meta).max(notice.token()).max(gate).min((1 << 63) - 2)
    }

    /// A token greater than any in use: from the real clock, so that it does not come again after a remove.
    pub(super) fn next_token(&self, greatest: u64) -> u64 {
        u64::try_from(self.sys().real_ns()).unwrap_or(0).max(greatest + 1)
    }

    /// Puts a temporary file in its place; what is no file there goes to quarantine.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<()> {
        let cleared =
            temp::replace(self.sys(), &self.folder, from, to).map_err(|e| self.fail("write", to, &e))?;
        if cleared { Ok(()) } else { self.quarantine(from) }
    }

    /// Removes a file that may be gone already; a folder in its place is moved to quarantine.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match temp::remove(self.sys(), &self.folder, name) {
            Err(_) if self.stat(name)?.is_some_and(|stat| stat.kind == FileKind::Folder) => {
                self.quarantine(name)
            }
            other => other.map_err(|e| self.fail("remove", name, &e)),
        }
    }

    pub(super) fn remove_temps(&self, names: &TempNames) -> Result<()> {
        self.remove(&names.meta_new)?;
        self.remove(&names.meta)?;
        names.started.as_ref().map_or(Ok(()), |name| self.remove(name))?;
        self.remove(&names.value)
    }

    pub(super) fn publish(&self, name: &str, bytes: &[u8], durability: Durability) -> Result<()> {
        let cleared = temp::publish(self.sys(), &self.folder, name, bytes, durability)
            .map_err(|e| self.fail("write", name, &e))?;
        if cleared { Ok(()) } else { self.quarantine(&format!(".{name}.new")) }
    }

    pub(super) fn write_gate(&self, gate: &Gate, durability: Durability) -> Result<()> {
        let bytes =
            if self.key.is_quota() { gate.to_lock() } else { serde_json::to_vec(gate).unwrap_or_default() };
        self.publish(&self.key.files().gate, &bytes, durability)
    }

    pub(super) fn flush_folder(&self, durability: Durability) -> Result<()> {
        if durability == Durability::Full {
            self.sys().flush_folder(&self.folder).map_err(|e| self.fail("flush the folder of", "", &e))?;
            self.root.anchor(self.key.folder()).map_err(|e| self.fail("flush the folder above", "", &e))?;
        }
        Ok(())
    }

    /// Removes the notice if it speaks of nothing newer than `token`.
    pub(super) fn remove_smaller_notice(&self, token: u64) -> Result<()> {
        match self.notice()? {
            NoticeSeen::Found(_, notice) if notice.token < token || broken("notice-removed") => {
                self.remove(&self.key.files().notice)
            }
            _ => Ok(()),
        }
    }
}
