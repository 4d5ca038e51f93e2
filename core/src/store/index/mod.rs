//! `IndexStore`: entries, leases and gates as records of one LMDB environment: many small ones, changed together with
//! what links them. All records share one slot of the table of generations, whose guard every writer holds, because
//! LMDB's own lock cannot time out behind a stopped process.

pub(crate) mod env;
mod face;
pub(crate) mod holder;
pub(crate) mod objects;
mod presence;
pub(crate) mod tables;

use super::cell::{Cell, Given, World};
use super::errors;
use super::{About, Ask, Claim, Committed, Draft, Ended, Facts, Failed, Lease, Look, Pruned, Store};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::fs::Durability;
use crate::fs::guard::{Section, TIMEOUT};
use crate::fs::root::Root;
use crate::gate::{Backoff, Gate};
use crate::generation::Table as Generations;
use crate::key::Key;
use crate::lease::{Term, check_length};
use crate::sys::Sys;
use crate::sys::clock::Clock;
use crate::sys::fork::{PerProcess, Permit, forks};
use env::{Handle, index_key};
use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tables::{Read, Table, Write};

/// How long a waiter sleeps before it asks whether the holder lives.
const PROBE: Duration = Duration::from_millis(5);

/// The store in LMDB.
pub(crate) struct IndexStore {
    root: Arc<Root>,
    key: Key,
    open: PerProcess<Mutex<Option<Arc<Handle>>>>,
}

impl fmt::Debug for IndexStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexStore({})", self.root.path().display())
    }
}

/// Marks a lease as this store's.
struct Hold {
    term: Term,
    permit: Mutex<Option<Permit>>,
    forks: u64,
}

fn record_of(key: &Key) -> Vec<u8> {
    let text = key.to_string();
    if text.len() <= 400 {
        return text.into_bytes();
    }
    let mut record = text.as_bytes()[..300].to_vec();
    record.extend_from_slice(blake3::hash(text.as_bytes()).as_bytes());
    record
}

impl IndexStore {
    pub(crate) fn open(sys: Arc<dyn Sys>, path: &Path) -> Result<IndexStore> {
        Ok(IndexStore::of(Arc::new(Root::open(sys, path)?)))
    }

    pub(crate) fn of(root: Arc<Root>) -> IndexStore {
        IndexStore { root, key: index_key(), open: PerProcess::default() }
    }

    pub(crate) fn root(&self) -> &Arc<Root> {
        &self.root
    }

    fn sys(&self) -> &dyn Sys {
        self.root.sys()
    }

    /// The environment; none where nothing was ever written and `make` is false.
    fn handle(&self, make: bool) -> Result<Option<Arc<Handle>>> {
        let open = self.open.get();
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = open.as_ref().filter(|handle| handle.is_current()) {
            return Ok(Some(Arc::clone(handle)));
        }
        *open = None;
        *open = Handle::open(&self.root, make)?.map(Arc::new);
        Ok(open.clone())
    }

    /// Reads as of now; none where nothing was ever written.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&dyn Read) -> Result<T>) -> Result<Option<T>> {
        self.handle(false)?.map(|handle| handle.read(|tx| read(tx))).transpose()
    }

    /// Changes records, all or nothing, under the guard; wakes who waits.
    pub(crate) fn write<T>(
        &self,
        timeout: Duration,
        write: impl FnOnce(&mut dyn Write) -> Result<T>,
    ) -> Result<T> {
        // Whether that is still the index is looked at under the guard.
        let mut known = self.open.get().lock().unwrap_or_else(PoisonError::into_inner).clone();
        loop {
            let handle = known.take().map_or_else(|| self.handle(true), |known| Ok(Some(known)))?;
            let handle = handle.ok_or_else(|| {
                Error::io("open the index", self.root.path(), &std::io::ErrorKind::NotFound.into())
            })?;
            let mut section = Section::enter(&self.root, &self.key, timeout)?;
            // It may have been removed, and made anew by another, before the guard was had.
            if handle.is_current() {
                return section.change(|| handle.write(|tx| write(tx)));
            }
        }
    }

    fn change<T>(
        &self,
        key: &Key,
        timeout: Duration,
        change: impl FnOnce(&mut Cell, &World<'_>) -> Result<T>,
    ) -> Result<T> {
        let lives = |term: &Term| self.lives(term);
        let world = World { sys: self.sys(), lives: &lives, chance: self.chance() };
        let record = record_of(key);
        self.write(timeout, |tx| {
            let (mut cell, _) = face::load(tx, &self.root, &record)?;
            let before = cell.entry.clone();
            let result = change(&mut cell, &world)?;
            face::save(tx, &self.root, &record, &cell, before.as_ref())?;
            Ok(result)
        })
    }

    /// Whether the process that took the lease lives: its holder file is locked.
    fn lives(&self, term: &Term) -> bool {
        let here = self.sys().process();
        let gone = here.shares_pids(&term.boot, &term.pidns) && self.sys().process_gone(term.pid);
        !gone && holder::lives(&self.root, &term.nonce)
    }

    fn cell(&self, key: &Key) -> Result<(Cell, Option<Error>)> {
        let record = record_of(key);
        Ok(self.read(|tx| face::load(tx, &self.root, &record))?.unwrap_or_default())
    }

    fn entry(&self, draft: &Draft<'_>, token: u64) -> Entry {
        draft.about.entry(draft.data, Some(token), self.clock().wall_ns())
    }

    /// Ends the lease, on this side too; `end` runs if it was in force. A guard that cannot be had leaves it open.
    fn end<T>(&self, lease: &Lease, end: impl FnOnce(&mut Cell, &World<'_>) -> T) -> Result<T> {
        let hold = self.held(lease)?;
        let ended =
            self.change(&lease.key, TIMEOUT, |cell, world| match cell.end(&lease.key, lease.token) {
                Ok(()) => Ok(Ok(end(cell, world))),
                Err(error) => Ok(Err(error)),
            })?;
        *hold.permit.lock().unwrap_or_else(PoisonError::into_inner) = None;
        ended
    }

    /// Refuses a lease that has ended on this side, or belongs to a process that forked.
    fn held<'l>(&self, lease: &'l Lease) -> Result<&'l Hold> {
        let hold: &Hold = lease.hold()?;
        if hold.forks != forks() {
            return Err(errors::lease_lost(&lease.key));
        }
        if hold.permit.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(errors::already_used(&lease.key));
        }
        Ok(hold)
    }

    /// Removes files that nothing names: large values, and holders that ended; how many.
    pub(crate) fn sweep_files(&self) -> Result<u64> {
        let swept = self.write(TIMEOUT, |tx| {
            let (mut hashes, mut nonces) = (HashSet::new(), HashSet::new());
            for table in [Table::Cell, Table::Derived] {
                tx.scan(table, b"", &mut |_, value| {
                    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(value) {
                        let text = |value: Option<&serde_json::Value>| Some(value?.as_str()?.to_owned());
                        hashes.extend(text(json.get("hash")));
                        hashes.extend(text(json.get("entry").and_then(|entry| entry.get("hash"))));
                        nonces.extend(text(json.pointer("/lease/term/nonce")));
                    }
                    Ok(true)
                })?;
            }
            let objects = objects::sweep(&self.root, &|name| hashes.contains(name))?;
            Ok(objects + holder::sweep(&self.root, &|name| nonces.contains(name))?)
        })?;
        Ok(swept as u64)
    }

    fn all_keys(&self) -> Result<Vec<(String, bool)>> {
        let mut keys = Vec::new();
        self.read(|tx| {
            tx.scan(Table::Cell, b"", &mut |key, value| {
                let has_value = serde_json::from_slice::<serde_json::Value>(value)
                    .is_ok_and(|v| v.get("entry").is_some());
                if let Ok(text) = std::str::from_utf8(key) {
                    keys.push((text.to_owned(), has_value));
                }
                Ok(true)
            })
        })?;
        Ok(keys)
    }
}

impl Store for IndexStore {
    fn clock(&self) -> &Clock {
        self.sys().clock()
    }

    fn look(&self, key: &Key) -> Result<Look> {
        let (cell, damaged) = self.cell(key)?;
        Ok(Look { damaged, ..cell.look() })
    }

    fn facts(&self, key: &Key) -> Result<Facts> {
        let lives = |term: &Term| self.lives(term);
        let world = World { sys: self.sys(), lives: &lives, chance: 0.0 };
        let (cell, _) = self.cell(key)?;
        Ok(Facts { lease: cell.seen(&world), gate: cell.gate.clone(), started: cell.open_since() })
    }

    fn acquire(&self, key: &Key, ask: &Ask<'_>) -> Result<Claim> {
        check_length(ask.length)?;
        // A look first: those who wait ask again and again, and each write would wake them all.
        if let Some(seen) = self.facts(key)?.lease {
            return Ok(Claim::InFlight(seen));
        }
        let Some(permit) = Permit::take() else { return Err(errors::too_many_leases()) };
        let nonce = holder::own(&self.root)?;
        let given =
            self.change(key, ask.guard_timeout, |cell, world| Ok(cell.acquire(world, ask, &nonce)))?;
        Ok(match given {
            Given::Other(claim) => claim,
            Given::Lease(term, previous) => {
                let token = term.token.unwrap_or(0);
                let hold = Hold { term, permit: Mutex::new(Some(permit)), forks: forks() };
                Claim::Lease(Lease { key: key.clone(), token, previous, hold: Box::new(hold) })
            }
        })
    }

    fn complete(&self, lease: &Lease, draft: &Draft<'_>) -> Result<Committed> {
        self.end(lease, |cell, _| {
            cell.gate = None;
            cell.store(self.entry(draft, lease.token))
        })
    }

    fn unchanged(&self, lease: &Lease, about: &About<'_>) -> Result<Committed> {
        self.held(lease)?;
        let Some(previous) = &lease.previous else {
            return Err(errors::nothing_unchanged(&lease.key));
        };
        self.end(lease, |cell, _| {
            cell.gate = None;
            let mut entry = self.entry(&Draft { data: &previous.data, about: *about }, lease.token);
            entry.validator = entry.validator.or_else(|| previous.validator.clone());
            entry.extra = entry.extra.or_else(|| previous.extra.clone());
            cell.store(entry)
        })
    }

    fn fail(&self, lease: &Lease, failed: &Failed<'_>) -> Result<Ended> {
        self.end(lease, |cell, world| cell.fail(world, lease.token, failed))
    }

    fn renew(&self, lease: &Lease, length: Duration) -> Result<()> {
        check_length(length)?;
        self.held(lease)?;
        let renewed =
            self.change(&lease.key, TIMEOUT, |cell, world| Ok(cell.renew(world, lease.token, length)))?;
        if renewed { Ok(()) } else { Err(errors::lease_lost(&lease.key)) }
    }

    fn holds(&self, lease: &Lease) -> bool {
        let look = || -> Result<bool> {
            self.held(lease)?;
            let lives = |_: &Term| true;
            let world = World { sys: self.sys(), lives: &lives, chance: 0.0 };
            let (cell, _) = self.cell(&lease.key)?;
            let mine = cell.seen(&world).is_some_and(|seen| seen.token == Some(lease.token));
            Ok(mine && cell.entry.as_ref().and_then(|entry| entry.token) <= Some(lease.token))
        };
        look().unwrap_or_else(|error| {
            !matches!(error.code(), crate::error::Code::LeaseLost | crate::error::Code::AlreadyUsed)
        })
    }

    fn release(&self, lease: &Lease) {
        let Ok(hold) = self.held(lease) else { return };
        let released = self.change(&lease.key, TIMEOUT, |cell, _| {
            if let Some(running) = cell.lease.as_mut().filter(|running| running.term.token == hold.term.token)
            {
                running.released = true;
            }
            Ok(())
        });
        if let Err(error) = released {
            tracing::debug!(target: "forebay", key = %lease.key, %error, "a lease ends by its time only");
        }
        *hold.permit.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// No record of the index begins what may not begin twice.
    fn start(&self, lease: &Lease) -> Result<()> {
        self.held(lease).map(drop)
    }

    fn bar(&self, key: &Key, _: Durability, gate: &dyn Fn(Option<&Gate>) -> Gate) -> Result<Gate> {
        self.change(key, TIMEOUT, |cell, _| {
            let gate = gate(cell.gate.as_ref());
            cell.gate = Some(gate.clone());
            Ok(gate)
        })
    }

    fn unbar(&self, key: &Key, _: Durability) -> Result<bool> {
        self.change(key, TIMEOUT, |cell, _| Ok(cell.gate.take().is_some()))
    }

    fn put(&self, key: &Key, draft: &Draft<'_>) -> Result<Committed> {
        self.change(key, TIMEOUT, |cell, world| {
            let token = cell.make_way(world);
            Ok(cell.store(self.entry(draft, token)))
        })
    }

    fn mark_stale(&self, key: &Key, _: Durability) -> Result<()> {
        self.change(key, TIMEOUT, |cell, _| {
            if cell.entry.is_some() || cell.lease.is_some() {
                cell.notice = Some(cell.greatest);
            }
            Ok(())
        })
    }

    fn remove(&self, key: &Key, _: Durability) -> Result<bool> {
        self.change(key, TIMEOUT, |cell, _| Ok(cell.clear()))
    }

    fn keys(&self) -> Result<Vec<Key>> {
        let found = self.all_keys()?;
        let mut keys: Vec<Key> = found
            .into_iter()
            .filter(|(_, has_value)| *has_value)
            .filter_map(|(text, _)| Key::parse(&text).ok())
            .collect();
        keys.sort();
        Ok(keys)
    }

    fn quotas(&self) -> Result<Vec<Key>> {
        Ok(Vec::new())
    }

    fn sweep(&self, _: &Key) -> Result<()> {
        Ok(())
    }

    fn prune(&self, keep: &[Key]) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        for (text, _) in self.all_keys()? {
            let Ok(key) = Key::parse(&text) else { continue };
            self.change(&key, TIMEOUT, |cell, world| {
                if keep.contains(&key) {
                    if cell.in_force(world).is_none() {
                        cell.settle(world, &Backoff::new(None, None, None));
                    }
                } else if cell.in_force(world).is_some() {
                    pruned.skipped.push((key.clone(), "a refresh is running".to_owned()));
                } else if cell.clear() {
                    pruned.removed.push(key.clone());
                }
                Ok(())
            })?;
        }
        Ok(pruned)
    }

    fn generation(&self, _: &Key) -> u32 {
        let number = self.table().and_then(|table| table.number_on_file(self.sys(), self.key.slot()).ok());
        number.unwrap_or(1)
    }

    fn sleep(&self, key: &Key, seen: u32, timeout: Duration) {
        let Some(table) = self.table().filter(|_| seen & 1 == 0) else {
            return self.sys().pause(timeout.min(Duration::from_millis(1)));
        };
        let until = std::time::Instant::now() + timeout;
        loop {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() || self.generation(key) != seen {
                return;
            }
            table.sleep(self.sys(), self.key.slot(), seen, left.min(PROBE));
            let held = self.cell(key).is_ok_and(|(cell, _)| {
                cell.lease.is_some_and(|running| !running.released && self.lives(&running.term))
            });
            if !held {
                return;
            }
        }
    }

    fn random(&self, bytes: &mut [u8]) {
        self.sys().random(bytes);
    }

    fn table(&self) -> Option<Arc<Generations>> {
        let control = self.root.control().ok()??;
        if let Some(table) =
            control.table.load_full().filter(|table| table.is_current(self.sys(), &control.dir))
        {
            return Some(table);
        }
        let table = Arc::new(Generations::open(self.sys(), &control.dir, true).ok()??);
        control.table.store(Some(Arc::clone(&table)));
        Some(table)
    }
}
