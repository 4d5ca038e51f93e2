//! Committing: a holder ends its lease with a value, with "unchanged", with a failure, or prolongs it. Each
//! presents its marker and token under the guard, and writes nothing if they are no longer in force.
//!
//! Order, found by killing processes at each step: the value and its meta are written and flushed before the
//! guard; under it meta, value, gate, notice, marker. Meta comes first, and names the version that it
//! replaces, so that between the renames the old value is as well described as the new one.

use super::FileStore;
use super::hold::{self, Hold, Prepared, State};
use super::record::{Meta, Record};
use super::settle::follows;
use super::site::{Site, TempNames};
use crate::entry::Entry;
use crate::error::{Code, Error, Result};
use crate::fs::Durability;
use crate::fs::guard::{Section, TIMEOUT};
use crate::fs::temp::{self, Temp};
use crate::gate::{Gate, Setback};
use crate::lease::check_length;
use crate::stamp::Nanos;
use crate::store::{About, Committed, Draft, Ended, Failed, Lease, MAX_VALUE, Store, Verdict, errors};
use crate::sys::breaks::broken;
use crate::sys::{Stat, absent};
use std::sync::Arc;
use std::time::Duration;

/// How often meta is written anew because another version came in between; the last time under the guard.
const ROUNDS: usize = 3;

/// What a holder finds when it comes to commit.
enum Standing {
    /// The lease is in force.
    Holds,
    /// Somebody settled this very result.
    Stored,
    /// A greater token is bound.
    Superseded,
    Lost,
}

impl FileStore {
    pub(super) fn commit_draft(&self, lease: &Lease, draft: &Draft<'_>) -> Result<Committed> {
        let hold = hold::of(lease)?;
        let mut state = hold.open(&lease.key)?;
        let site = self.make_site(&lease.key)?;
        site.prepare(&hold.names, &mut state, lease.token, draft)?;
        for round in 1..=ROUNDS {
            let mut section = Section::enter(&self.root, &lease.key, TIMEOUT)?;
            if let Some(end) = self.unless_holding(&site, &mut section, hold, &mut state, lease.token)? {
                return end;
            }
            let Some(prepared) = &state.prepared else { return Err(errors::lease_lost(&lease.key)) };
            if site.stat(&hold.names.value)?.is_none() {
                return self.lose(&site, &mut section, hold, &mut state);
            }
            let value = site.value_stat()?;
            let ready =
                follows(prepared.was.as_ref(), value.as_ref()) && site.stat(&hold.names.meta)?.is_some();
            if !ready && round < ROUNDS {
                drop(section);
                site.prepare_meta(&hold.names, &mut state, draft.about.durability)?;
                continue;
            }
            if !ready {
                site.prepare_meta(&hold.names, &mut state, draft.about.durability)?;
            }
            let done = self.publish(&site, &mut section, hold, &state, lease.token)?;
            drop(section);
            site.flush_folder(draft.about.durability)?;
            self.after_commit(&site, hold, &mut state, draft, &done);
            return Ok(done);
        }
        Err(errors::lease_lost(&lease.key))
    }

    /// ⟨meta, value, gate, notice if smaller, marker⟩
    fn publish(
        &self,
        site: &Site<'_>,
        section: &mut Section<'_>,
        hold: &Hold,
        state: &State,
        token: u64,
    ) -> Result<Committed> {
        let files = site.key.files();
        let stat = state.prepared.as_ref().map(|prepared| prepared.stat);
        section.change(|| {
            if broken("value-before-meta") {
                site.rename(&hold.names.value, &files.value)?;
            }
            site.rename(&hold.names.meta, &files.meta)?;
            if !broken("value-before-meta") {
                site.rename(&hold.names.value, &files.value)?;
            }
            site.remove(&files.gate)?;
            site.remove_smaller_notice(token)?;
            site.remove_started()?;
            site.remove(&files.marker)
        })?;
        let stored_ns = stat.map_or(0, |stat| stat.mtime_ns);
        let noticed = stat.is_some_and(|stat| site.notice().is_ok_and(|n| n.covers(Some(token), &stat)));
        Ok(Committed { token, stored_ns, noticed })
    }

    fn after_commit(
        &self,
        site: &Site<'_>,
        hold: &Hold,
        state: &mut State,
        draft: &Draft<'_>,
        done: &Committed,
    ) {
        if let Some(prepared) = &state.prepared
            && let Ok(stat) = prepared.value.fd().and_then(|fd| self.sys().stat(fd))
        {
            self.keep_committed(site.key, Arc::new(entry_of(draft, done)), stat);
        }
        hold.end(self.sys(), state);
    }

    /// The outcome, if the lease is not in force any more.
    fn unless_holding(
        &self,
        site: &Site<'_>,
        section: &mut Section<'_>,
        hold: &Hold,
        state: &mut State,
        token: u64,
    ) -> Result<Option<Result<Committed>>> {
        Ok(match standing(site, state, token)? {
            Standing::Holds => None,
            Standing::Stored => Some(self.stored(site, section, hold, state, token)),
            Standing::Superseded => {
                section.change(|| site.remove(&site.key.files().marker))?;
                site.remove_temps(&hold.names)?;
                hold.end(self.sys(), state);
                Some(Err(errors::superseded(site.key)))
            }
            Standing::Lost => {
                site.remove_temps(&hold.names)?;
                hold.end(self.sys(), state);
                Some(Err(errors::lease_lost(site.key)))
            }
        })
    }

    /// A settler finished this result, or began to: what is left of it is done, and it is a success.
    fn stored(
        &self,
        site: &Site<'_>,
        section: &mut Section<'_>,
        hold: &Hold,
        state: &mut State,
        token: u64,
    ) -> Result<Committed> {
        if state.holds(site, token)? {
            site.finish_own(section, &state.term, token, &hold.names)?;
        } else {
            site.remove_temps(&hold.names)?;
        }
        let value = site.value_stat()?;
        hold.end(self.sys(), state);
        let noticed = value.is_some_and(|stat| site.notice().is_ok_and(|n| n.covers(Some(token), &stat)));
        Ok(Committed { token, stored_ns: value.map_or(0, |stat| stat.mtime_ns), noticed })
    }

    /// ⟨marker⟩, and the result is lost to the cache.
    fn lose(
        &self,
        site: &Site<'_>,
        section: &mut Section<'_>,
        hold: &Hold,
        state: &mut State,
    ) -> Result<Committed> {
        section.change(|| site.remove(&site.key.files().marker))?;
        site.remove_temps(&hold.names)?;
        hold.end(self.sys(), state);
        Err(errors::lease_lost(site.key))
    }

    pub(super) fn commit_unchanged(&self, lease: &Lease, about: &About<'_>) -> Result<Committed> {
        let hold = hold::of(lease)?;
        let mut state = hold.open(&lease.key)?;
        let (Some((descriptor, seen)), Some(previous)) = (&hold.value, &lease.previous) else {
            return Err(errors::nothing_unchanged(&lease.key));
        };
        let site = self.make_site(&lease.key)?;
        let record = site.prepare_unchanged(&hold.names, lease.token, previous, about)?;
        let mut section = Section::enter(&self.root, &lease.key, TIMEOUT)?;
        if let Some(end) = self.unless_holding(&site, &mut section, hold, &mut state, lease.token)? {
            return end;
        }
        let same = |stat: Stat| {
            stat.identity() == seen.identity() && (stat.size, stat.mtime_ns) == (seen.size, seen.mtime_ns)
        };
        let still = site.value_stat()?.is_some_and(same);
        let (true, Some(fd), Some(record)) = (still, descriptor.fd(), record) else {
            return self.lose(&site, &mut section, hold, &mut state);
        };
        let files = site.key.files();
        if site.stat(&hold.names.meta)?.is_none() {
            return self.lose(&site, &mut section, hold, &mut state);
        }
        section.change(|| {
            site.rename(&hold.names.meta, &files.meta)?;
            self.sys().set_mtime(fd, record.mtime_ns).map_err(|e| site.fail("stamp", &files.value, &e))?;
            site.remove(&files.gate)?;
            site.remove_smaller_notice(lease.token)?;
            site.remove(&files.marker)
        })?;
        drop(section);
        // The folder first: a time that is kept without the meta that names it would be one of a foreign value.
        site.flush_folder(about.durability)?;
        if about.durability == Durability::Full {
            self.sys().flush_all(fd).map_err(|e| site.fail("flush", &files.value, &e))?;
        }
        hold.end(self.sys(), &mut state);
        let stat = Stat { mtime_ns: record.mtime_ns, ..*seen };
        let noticed = site.notice()?.covers(Some(lease.token), &stat);
        Ok(Committed { token: lease.token, stored_ns: record.mtime_ns, noticed })
    }

    pub(super) fn commit_failure(&self, lease: &Lease, failed: &Failed<'_>) -> Result<Ended> {
        let hold = hold::of(lease)?;
        let mut state = hold.open(&lease.key)?;
        let site = self.make_site(&lease.key)?;
        let mut section = Section::enter(&self.root, &lease.key, TIMEOUT)?;
        match self.unless_holding(&site, &mut section, hold, &mut state, lease.token)? {
            Some(Ok(_)) => return Ok(Ended::Stored),
            Some(Err(error)) => return Err(error),
            None => {}
        }
        let verdict = match failed.judge {
            Some(judge) => judge(&self.look_at(&lease.key)?),
            None => Verdict::Gate,
        };
        let gate = self.gate_after(&site, lease.token, failed)?;
        let files = site.key.files();
        let mut written = Ok(());
        section.change(|| {
            // First the temporary files: else a settler could store what its caller was told has failed.
            site.remove_temps(&hold.names)?;
            if verdict == Verdict::GateAndRemove {
                // The value before the gate: a death between the two must not leave it to be served as fresh.
                [&files.value, &files.meta, &files.notice].iter().try_for_each(|name| site.remove(name))?;
            }
            if !failed.ambiguous {
                site.remove_started()?;
            }
            if verdict != Verdict::Nothing {
                written = site.write_gate(&gate, failed.durability);
            }
            site.remove(&files.marker)
        })?;
        drop(section);
        hold.end(self.sys(), &mut state);
        site.flush_folder(failed.durability)?;
        written.map(|()| {
            if verdict == Verdict::Nothing { Ended::Ignored } else { Ended::Recorded(Box::new(gate)) }
        })
    }

    fn gate_after(&self, site: &Site<'_>, token: u64, failed: &Failed<'_>) -> Result<Gate> {
        let setback = Setback {
            token,
            error: failed.code.as_str().to_owned(),
            message: failed.message.to_owned(),
            retry_after: failed.retry_after,
            credential: failed.credential.map(str::to_owned),
        };
        let now = self.sys().clock().wall_ns();
        Ok(Gate::after(site.gate()?.as_ref(), &setback, now, &failed.backoff, self.chance()))
    }

    pub(super) fn renew_lease(&self, lease: &Lease, length: Duration) -> Result<()> {
        check_length(length)?;
        let hold = hold::of(lease)?;
        let mut state = hold.open(&lease.key)?;
        let site = self.make_site(&lease.key)?;
        let section = Section::enter(&self.root, &lease.key, TIMEOUT)?;
        if !state.holds(&site, lease.token)? {
            return Err(errors::lease_lost(&lease.key));
        }
        let name = &lease.key.files().marker;
        let io = |error: std::io::Error| site.fail("write", name, &error);
        let mut term = state.term.clone();
        term.prolong(self.sys().clock(), length);
        let marker = site.new_marker(&term)?;
        temp::replace(self.sys(), &site.folder, marker.name(), name).map_err(io)?;
        let stat = self.sys().stat(marker.fd().map_err(io)?).map_err(io)?;
        drop(section);
        let old = std::mem::replace(&mut state.marker, marker.into_lock());
        if let Some(fd) = old.fd() {
            let _ = self.sys().unlock(fd);
        }
        (state.stat, state.term) = (stat, term);
        Ok(())
    }

    pub(super) fn still_holds(&self, lease: &Lease) -> bool {
        let look = || -> Result<bool> {
            let hold = hold::of(lease)?;
            let state = hold.open(&lease.key)?;
            let Some(site) = self.site(&lease.key)? else { return Ok(false) };
            let here = self.sys().process();
            if !state.term.in_time(&here, self.clock()) || !state.holds(&site, lease.token)? {
                return Ok(false);
            }
            // A put leaves the lease in place, yet what this refresh brings will not be stored.
            let value = site.value_stat()?;
            let seen = hold.value.as_ref().map(|(_, stat)| stat.identity());
            if value.map(|stat| stat.identity()) == seen {
                return Ok(true);
            }
            let meta = site.meta()?;
            let bound = site.bound(&meta, value.as_ref())?.and_then(|bound| bound.record.token);
            Ok(bound <= Some(lease.token))
        };
        // What cannot be looked at is not known to be lost.
        look().unwrap_or_else(|error| !matches!(error.code(), Code::LeaseLost | Code::AlreadyUsed))
    }

    pub(super) fn let_go(&self, lease: &Lease) {
        if let Ok(hold) = hold::of(lease)
            && let Ok(mut state) = hold.open(&lease.key)
        {
            hold.end(self.sys(), &mut state);
        }
    }
}

fn standing(site: &Site<'_>, state: &State, token: u64) -> Result<Standing> {
    let (meta, value) = (site.meta()?, site.value_stat()?);
    let bound = site.bound(&meta, value.as_ref())?.and_then(|bound| bound.record.token);
    Ok(if bound == Some(token) {
        Standing::Stored
    } else if !state.holds(site, token)? {
        Standing::Lost
    } else if bound > Some(token) {
        Standing::Superseded
    } else {
        Standing::Holds
    })
}

pub(super) fn entry_of(draft: &Draft<'_>, done: &Committed) -> Entry {
    draft.about.entry(draft.data, Some(done.token), done.stored_ns)
}

impl Site<'_> {
    /// Writes the temporary value, once, and its meta after it: a temporary meta that is there is whole, and so
    /// is the value that it describes. That is what lets another process finish for a dead one.
    fn prepare(&self, names: &TempNames, state: &mut State, token: u64, draft: &Draft<'_>) -> Result<()> {
        let hash = blake3::hash(draft.data).to_hex().to_string();
        if let Some(prepared) = &state.prepared {
            return if prepared.record.hash.as_deref() == Some(&hash) {
                Ok(())
            } else {
                Err(Error::new(Code::Invalid, format!("{}: completed again with other bytes", self.key))
                    .with_hint("repeat the call with the same bytes, or fail the ticket"))
            };
        }
        let prepared = self.prepare_value(names.value.clone(), token, hash, draft)?;
        state.prepared = Some(prepared);
        let written = self.prepare_meta(names, state, draft.about.durability).and_then(|()| {
            // Durability full: a settler after a power cut must find marker and files, or nothing that was seen.
            if draft.about.durability == Durability::Full
                && let Some(fd) = state.marker.fd()
            {
                self.sys().flush(fd).map_err(|e| self.fail("flush", &self.key.files().marker, &e))?;
                self.flush_folder(Durability::Full)?;
            }
            Ok(())
        });
        if written.is_err() {
            state.prepared = None;
            let _ = self.remove_temps(names);
        }
        written
    }

    pub(super) fn prepare_value(
        &self,
        name: String,
        token: u64,
        hash: String,
        draft: &Draft<'_>,
    ) -> Result<Prepared> {
        if draft.data.len() as u64 > MAX_VALUE {
            return Err(errors::too_large(self.key, draft.data.len() as u64));
        }
        let (sys, value) = (self.sys(), &self.key.files().value);
        let temp = Temp::create(sys, &self.folder, name).map_err(|e| self.fail("write", value, &e))?;
        let now: Nanos = sys.clock().wall_ns();
        let stat = match temp.fill(sys, draft.data, Some(now), draft.about.durability) {
            Ok(stat) => stat,
            Err(error) => {
                let _ = temp::remove(sys, &self.folder, temp.name());
                return Err(self.fail("write", value, &error));
            }
        };
        let mut record = Record::foreign(&stat);
        record.hash = Some(hash);
        record.token = Some(token);
        record.validator = draft.about.validator.map(str::to_owned);
        record.extra = draft.about.extra.map(str::to_owned);
        record.set_lifetime(&draft.about.lifetime);
        Ok(Prepared { value: temp, stat, record, was: None })
    }

    fn prepare_meta(&self, names: &TempNames, state: &mut State, durability: Durability) -> Result<()> {
        let Some(prepared) = &mut state.prepared else { return Ok(()) };
        let (meta, value) = self.meta_and_value()?;
        prepared.was = self.record_in_place(&meta, value.as_ref())?;
        let was = prepared.was.clone().filter(|_| !broken("no-was"));
        let meta = Meta::new(self.key, prepared.record.clone(), was);
        // Prune spares it without a lock, too: the marker names it.
        self.write_meta(names, &meta, durability)?.unlock(self.sys());
        Ok(())
    }

    /// Writes the temporary meta. The lock on it keeps prune away until it is in its place, or let go.
    pub(super) fn write_meta(&self, names: &TempNames, meta: &Meta, durability: Durability) -> Result<Temp> {
        let sys = self.sys();
        let name = &self.key.files().meta;
        let bytes = serde_json::to_vec(meta).unwrap_or_default();
        let temp = Temp::create(sys, &self.folder, names.meta_new.clone())
            .map_err(|e| self.fail("write", name, &e))?;
        // A settler that found this lease over may have removed the file; that it is missing shows under the guard.
        let renamed = || absent(sys.rename(&self.folder, temp.name(), &names.meta)).map(drop);
        let written = temp.fill(sys, &bytes, None, durability).and_then(|_| renamed());
        match written {
            Ok(()) => Ok(temp),
            Err(error) => {
                let _ = temp::remove(sys, &self.folder, temp.name());
                temp.unlock(sys);
                Err(self.fail("write", name, &error))
            }
        }
    }

    /// The old record with a new token and time, as the file system keeps times: tried on the file that will
    /// carry the record. None where the value is gone.
    fn prepare_unchanged(
        &self,
        names: &TempNames,
        token: u64,
        previous: &Entry,
        about: &About<'_>,
    ) -> Result<Option<Record>> {
        let sys = self.sys();
        let name = &self.key.files().meta;
        let io = |error: std::io::Error| self.fail("write", name, &error);
        let (meta, value) = self.meta_and_value()?;
        let was = self.record_in_place(&meta, value.as_ref())?;
        let Some(mut record) = was.clone() else { return Ok(None) };
        let trial = Temp::create(sys, &self.folder, names.meta_new.clone()).map_err(io)?;
        let fd = trial.fd().map_err(io)?;
        sys.set_mtime(fd, sys.clock().wall_ns()).map_err(io)?;
        record.mtime_ns = sys.stat(fd).map_err(io)?.mtime_ns;
        trial.unlock(sys);
        record.hash.get_or_insert_with(|| blake3::hash(&previous.data).to_hex().to_string());
        record.token = Some(token);
        record.validator = about.validator.map(str::to_owned).or(record.validator);
        record.extra = about.extra.map(str::to_owned).or(record.extra);
        record.set_lifetime(&about.lifetime);
        self.write_meta(names, &Meta::new(self.key, record.clone(), was), about.durability)?.unlock(sys);
        Ok(Some(record))
    }
}
