//! Putting, marking stale, removing: changes that need no lease. `put` always wins: it takes a token of its own
//! that is greater than any in use, so a refresh in flight finds itself superseded. A notice leaves the lease
//! alone, so that a busy watcher starves nobody; what the refresh brings is stored, and stale.

use super::FileStore;
use super::commit::entry_of;
use super::marker::Marker;
use super::record::Meta;
use super::settle::follows;
use super::site::{Site, TempNames};
use crate::error::Result;
use crate::fs::Durability;
use crate::fs::guard::{Section, TIMEOUT};
use crate::fs::root::nonce;
use crate::fs::temp::Temp;
use crate::gate::{Backoff, Gate};
use crate::key::Key;
use crate::lease::Term;
use crate::stamp::nanos;
use crate::store::{Committed, Draft};
use crate::sys::breaks::broken;
use std::sync::Arc;
use std::time::Duration;

const ROUNDS: usize = 3;

impl FileStore {
    pub(super) fn put_draft(&self, key: &Key, draft: &Draft<'_>) -> Result<Committed> {
        // The guards are made before anything is written: on a full disk a later remove must find them.
        self.root.make_control()?;
        let site = self.make_site(key)?;
        let names = TempNames::new(key, &nonce(self.sys()));
        let hash = blake3::hash(draft.data).to_hex().to_string();
        let mut prepared = site.prepare_value(names.value.clone(), 0, hash, draft)?;
        // Locked until it is in its place: no marker names it, so only the lock tells prune that it is in use.
        let mut meta: Option<Temp> = None;
        let mut put = || -> Result<Committed> {
            for round in 1..=ROUNDS {
                let last = round == ROUNDS;
                if !last {
                    meta = Some(site.describe(&names, &mut prepared, draft)?);
                }
                let mut section = Section::enter(&self.root, key, TIMEOUT)?;
                let marker = site.settled(&mut section, self)?;
                if last {
                    meta = Some(site.describe(&names, &mut prepared, draft)?);
                }
                let token = prepared.record.token.unwrap_or(0);
                let gate = site.gate()?;
                let greatest = site.greatest_of(&marker, &site.meta()?, &site.notice()?, gate.as_ref());
                let overtaken = greatest >= token || site.stat(&names.meta)?.is_none();
                if !last
                    && !broken("put-unchecked")
                    && (overtaken || !follows(prepared.was.as_ref(), site.value_stat()?.as_ref()))
                {
                    continue;
                }
                site.replace_all(&mut section, &names, gate.as_ref())?;
                drop(section);
                site.flush_folder(draft.about.durability)?;
                let done = Committed { token, stored_ns: prepared.stat.mtime_ns, noticed: false };
                if let Ok(stat) = prepared.value.fd().and_then(|fd| self.sys().stat(fd)) {
                    self.keep_committed(key, Arc::new(entry_of(draft, &done)), stat);
                }
                return Ok(done);
            }
            Err(crate::store::errors::superseded(key))
        };
        let done = put();
        if done.is_err() {
            let _ = site.remove_temps(&names);
        }
        for temp in meta.into_iter().chain([prepared.value]) {
            temp.unlock(self.sys());
        }
        done
    }

    pub(super) fn write_notice(&self, key: &Key, durability: Durability) -> Result<()> {
        let Some(site) = self.site(key)? else { return Ok(()) };
        let mut section = Section::enter(&self.root, key, TIMEOUT)?;
        let marker = site.marker()?;
        let counted = if broken("notice-without-marker") { &Marker::Absent } else { &marker };
        let token = site.greatest_token(counted, &site.meta()?, &site.notice()?)?;
        if site.value_stat()?.is_none() && matches!(marker, Marker::Absent) {
            return Ok(());
        }
        // A lease of the original's has no token to compare; what it writes before its end may be older.
        let until = match &marker {
            Marker::Original { term, .. } if marker.in_force(self.sys())? => Some(end_of(term)),
            _ => None,
        };
        section.change(|| site.write_notice(token, until, durability))?;
        drop(section);
        site.flush_folder(durability)
    }

    pub(super) fn put_gate(
        &self,
        key: &Key,
        durability: Durability,
        make: &dyn Fn(Option<&Gate>) -> Gate,
    ) -> Result<Gate> {
        let mut section = Section::enter(&self.root, key, TIMEOUT)?;
        let site = self.make_site(key)?;
        let gate = make(site.gate()?.as_ref());
        section.change(|| site.write_gate(&gate, durability))?;
        drop(section);
        site.flush_folder(durability)?;
        Ok(gate)
    }

    pub(super) fn remove_gate(&self, key: &Key, durability: Durability) -> Result<bool> {
        let Some(site) = self.site(key)? else { return Ok(false) };
        let name = &key.files().gate;
        let mut section = Section::enter(&self.root, key, TIMEOUT)?;
        let there = site.stat(name)?.is_some();
        if there {
            section.change(|| site.remove(name))?;
        }
        drop(section);
        site.flush_folder(durability)?;
        Ok(there)
    }

    pub(super) fn remove_all(&self, key: &Key, durability: Durability) -> Result<bool> {
        let Some(site) = self.site(key)? else { return Ok(false) };
        let mut section = Section::enter(&self.root, key, TIMEOUT)?;
        let marker = site.marker()?;
        let there = site.clear(&mut section, &marker)?;
        drop(section);
        site.flush_folder(durability)?;
        Ok(there)
    }
}

fn end_of(term: &Term) -> i64 {
    term.deadline_ns
        .saturating_add(term.length_ns.saturating_mul(2))
        .min(term.started_ns.saturating_add(nanos(Duration::from_secs(3 * 24 * 3600))))
}

impl Site<'_> {
    /// Settles what a dead holder left; what stands at the marker's place then.
    fn settled(&self, section: &mut Section<'_>, store: &FileStore) -> Result<Marker> {
        let marker = self.marker()?;
        if matches!(marker, Marker::Absent) || marker.in_force(self.sys())? {
            return Ok(marker);
        }
        self.settle(section, &marker, &Backoff::new(None, None, None), store)?;
        self.marker()
    }

    /// Gives the prepared value a token that is greater than any, and writes its meta.
    fn describe(
        &self,
        names: &TempNames,
        prepared: &mut super::hold::Prepared,
        draft: &Draft<'_>,
    ) -> Result<Temp> {
        let (meta, value) = self.meta_and_value()?;
        let greatest = self.greatest_token(&self.marker()?, &meta, &self.notice()?)?;
        prepared.record.token = Some(self.next_token(greatest));
        prepared.was = self.record_in_place(&meta, value.as_ref())?;
        let meta = Meta::new(self.key, prepared.record.clone(), prepared.was.clone());
        self.write_meta(names, &meta, draft.about.durability)
    }

    /// Settles what a dead holder left. A live one is left alone.
    pub(super) fn settle_orphan(&self, section: &mut Section<'_>, store: &FileStore) -> Result<bool> {
        let marker = self.marker()?;
        if marker.in_force(self.sys())? {
            return Ok(false);
        }
        self.settle(section, &marker, &Backoff::new(None, None, None), store)?;
        Ok(true)
    }

    /// ⟨meta, value, gate unless declared, notice⟩
    fn replace_all(&self, section: &mut Section<'_>, names: &TempNames, gate: Option<&Gate>) -> Result<()> {
        let files = self.key.files();
        let declared = gate.is_some_and(|gate| gate.declared);
        section.change(|| {
            self.rename(&names.meta, &files.meta)?;
            self.rename(&names.value, &files.value)?;
            if !declared {
                self.remove(&files.gate)?;
            }
            self.remove_started()?;
            self.remove(&files.notice)
        })
    }

    /// ⟨marker, value, meta, notice, gate unless declared⟩, then the ticket's temporary files.
    pub(super) fn clear(&self, section: &mut Section<'_>, marker: &Marker) -> Result<bool> {
        let files = self.key.files();
        let declared = self.gate()?.is_some_and(|gate| gate.declared);
        let there = self.value_stat()?.is_some();
        section.change(|| {
            match marker {
                Marker::NotAFile => self.quarantine(&files.marker)?,
                _ => self.remove(&files.marker)?,
            }
            for name in [&files.value, &files.meta, &files.notice] {
                self.remove(name)?;
            }
            self.remove_started()?;
            if declared { Ok(()) } else { self.remove(&files.gate) }
        })?;
        if let Some(term) = marker.term().filter(|term| term.token.is_some()) {
            self.remove_temps(&TempNames::new(self.key, &term.nonce))?;
        }
        Ok(there)
    }
}
