//! `MemoryStore`: the same facts in this process only, for programs that may not write, and the model against
//! which the file store is tested. It has no crashes to survive, so its rules are the protocol's in short.

use super::errors;
use super::{About, Ask, Claim, Committed, Draft, Ended, Facts, Failed, Lease, Look, Pruned, Store, Verdict};
use crate::entry::{Entry, Version};
use crate::error::Result;
use crate::fs::Durability;
use crate::gate::{ABANDONED, Backoff, Gate, Setback};
use crate::generation::Table;
use crate::key::Key;
use crate::lease::{Seen, check_length};
use crate::stamp::{Nanos, nanos};
use crate::sys::Sys;
use crate::sys::clock::Clock;
use crate::sys::fork::Permit;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Values, leases and gates of this process.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    sys: Arc<dyn Sys>,
    cells: Mutex<HashMap<Key, Cell>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Cell {
    entry: Option<Arc<Entry>>,
    notice: Option<u64>,
    lease: Option<Running>,
    gate: Option<Gate>,
    generation: u32,
    greatest: u64,
    started: Option<(Version, Nanos)>,
}

#[derive(Debug)]
struct Running {
    seen: Seen,
    /// By the boot clock, grace included.
    ends_ns: Nanos,
    released: bool,
}

/// Marks a lease as this store's.
#[derive(Debug)]
struct Hold {
    permit: Mutex<Option<Permit>>,
}

impl Cell {
    fn token(&self) -> u64 {
        self.greatest
    }

    fn look(&self) -> Look {
        let token = self.entry.as_ref().and_then(|entry| entry.token);
        let noticed = self.notice.is_some_and(|notice| token.is_some_and(|token| token <= notice));
        Look { entry: self.entry.clone(), noticed, damaged: None }
    }

    fn version(&self) -> Version {
        self.entry.as_ref().map_or_else(Version::absent, |entry| entry.version.clone())
    }

    /// Since when the outcome of what was started is not known.
    fn open_since(&self) -> Option<Nanos> {
        self.started.as_ref().filter(|(seen, _)| *seen == self.version()).map(|(_, at)| *at)
    }

    fn in_force(&self, boot_ns: Nanos) -> Option<&Running> {
        self.lease.as_ref().filter(|lease| !lease.released && boot_ns <= lease.ends_ns)
    }

    fn store(&mut self, entry: Entry) -> Committed {
        let token = entry.token.unwrap_or(0);
        let stored_ns = entry.stored_ns;
        self.entry = Some(Arc::new(entry));
        self.notice = self.notice.filter(|notice| *notice >= token);
        self.generation = self.generation.wrapping_add(2);
        Committed { token, stored_ns, noticed: self.notice.is_some() }
    }
}

impl MemoryStore {
    pub(crate) fn new(sys: Arc<dyn Sys>) -> MemoryStore {
        MemoryStore { sys, cells: Mutex::default(), changed: Condvar::new() }
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<Key, Cell>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_token(&self, cell: &mut Cell) -> u64 {
        cell.greatest = u64::try_from(self.sys.real_ns()).unwrap_or(0).max(cell.greatest + 1);
        cell.greatest
    }

    fn entry(&self, draft: &Draft<'_>, token: u64) -> Entry {
        draft.about.entry(draft.data, Some(token), self.clock().wall_ns())
    }

    /// Runs `end` if the lease is in force, and ends the lease unless `end` fails.
    fn end<T>(&self, lease: &Lease, end: impl FnOnce(&mut Cell) -> Result<T>) -> Result<T> {
        let hold: &Hold = lease.hold()?;
        let mut cells = self.cells();
        let cell = cells.entry(lease.key.clone()).or_default();
        if hold.permit.lock().unwrap_or_else(PoisonError::into_inner).take().is_none() {
            return Err(errors::already_used(&lease.key));
        }
        if cell.lease.as_ref().is_none_or(|running| running.seen.token != Some(lease.token)) {
            return Err(errors::lease_lost(&lease.key));
        }
        cell.lease = None;
        if cell.entry.as_ref().and_then(|entry| entry.token) > Some(lease.token) {
            return Err(errors::superseded(&lease.key));
        }
        let result = end(cell);
        drop(cells);
        self.changed.notify_all();
        result
    }

    fn settle(&self, cell: &mut Cell, backoff: &Backoff) {
        let Some(orphan) = cell.lease.take() else { return };
        let setback = Setback {
            token: orphan.seen.token.unwrap_or(0),
            error: ABANDONED.to_owned(),
            message: "the ticket was dropped".to_owned(),
            retry_after: None,
            credential: None,
        };
        let now = self.clock().wall_ns();
        cell.gate = Some(Gate::after(cell.gate.as_ref(), &setback, now, backoff, self.chance()));
    }
}

/// Refuses a lease that has ended on this side.
fn open(lease: &Lease) -> Result<()> {
    let hold: &Hold = lease.hold()?;
    let ended = hold.permit.lock().unwrap_or_else(PoisonError::into_inner).is_none();
    if ended { Err(errors::already_used(&lease.key)) } else { Ok(()) }
}

impl Store for MemoryStore {
    fn clock(&self) -> &Clock {
        self.sys.clock()
    }

    fn look(&self, key: &Key) -> Result<Look> {
        Ok(self.cells().get(key).map(Cell::look).unwrap_or_default())
    }

    fn facts(&self, key: &Key) -> Result<Facts> {
        let boot = self.clock().boot_ns();
        Ok(self.cells().get(key).map_or_else(Facts::default, |cell| Facts {
            lease: cell.in_force(boot).map(|running| running.seen.clone()),
            gate: cell.gate.clone(),
            started: cell.open_since(),
        }))
    }

    fn acquire(&self, key: &Key, ask: &Ask<'_>) -> Result<Claim> {
        check_length(ask.length)?;
        let mut cells = self.cells();
        let cell = cells.entry(key.clone()).or_default();
        let clock = self.clock();
        if let Some(running) = cell.in_force(clock.boot_ns()) {
            return Ok(Claim::InFlight(running.seen.clone()));
        }
        let overdue = cell.lease.as_ref().is_some_and(|running| !running.released);
        if let Some(since) = cell.open_since().filter(|_| overdue) {
            return Ok(Claim::Ambiguous(since));
        }
        self.settle(cell, &ask.backoff);
        let look = cell.look();
        if let Some(since) = cell.open_since() {
            return Ok(Claim::Ambiguous(since));
        }
        if (ask.enough)(&look) {
            return Ok(Claim::Enough(look));
        }
        if let Some(gate) = &cell.gate
            && ask.is_barred_by(gate, clock.wall_ns())
        {
            return Ok(Claim::Gated(gate.clone(), look));
        }
        let Some(permit) = Permit::take() else { return Err(errors::too_many_leases()) };
        let token = self.next_token(cell);
        let (started_ns, length) = (clock.wall_ns(), nanos(ask.length));
        let deadline_ns = started_ns.saturating_add(length);
        let pid = self.sys.process().pid;
        cell.lease = Some(Running {
            seen: Seen { token: Some(token), pid, started_ns, deadline_ns },
            ends_ns: clock.boot_ns().saturating_add(length.saturating_mul(3)),
            released: false,
        });
        let hold = Box::new(Hold { permit: Mutex::new(Some(permit)) });
        Ok(Claim::Lease(Lease { key: key.clone(), token, previous: look.entry, hold }))
    }

    fn complete(&self, lease: &Lease, draft: &Draft<'_>) -> Result<Committed> {
        self.end(lease, |cell| {
            cell.gate = None;
            Ok(cell.store(self.entry(draft, lease.token)))
        })
    }

    fn unchanged(&self, lease: &Lease, about: &About<'_>) -> Result<Committed> {
        open(lease)?;
        let Some(previous) = &lease.previous else {
            return Err(errors::nothing_unchanged(&lease.key));
        };
        self.end(lease, |cell| {
            cell.gate = None;
            let mut entry = self.entry(&Draft { data: &previous.data, about: *about }, lease.token);
            entry.validator = entry.validator.or_else(|| previous.validator.clone());
            entry.extra = entry.extra.or_else(|| previous.extra.clone());
            Ok(cell.store(entry))
        })
    }

    fn fail(&self, lease: &Lease, failed: &Failed<'_>) -> Result<Ended> {
        self.end(lease, |cell| {
            let verdict = failed.judge.map_or(Verdict::Gate, |judge| judge(&cell.look()));
            if verdict == Verdict::GateAndRemove {
                cell.entry = None;
                cell.notice = None;
            }
            if !failed.ambiguous {
                cell.started = None;
            }
            cell.generation = cell.generation.wrapping_add(2);
            if verdict == Verdict::Nothing {
                return Ok(Ended::Ignored);
            }
            let setback = Setback {
                token: lease.token,
                error: failed.code.as_str().to_owned(),
                message: failed.message.to_owned(),
                retry_after: failed.retry_after,
                credential: failed.credential.map(str::to_owned),
            };
            let now = self.clock().wall_ns();
            let gate = Gate::after(cell.gate.as_ref(), &setback, now, &failed.backoff, self.chance());
            cell.gate = Some(gate.clone());
            Ok(Ended::Recorded(Box::new(gate)))
        })
    }

    fn renew(&self, lease: &Lease, length: Duration) -> Result<()> {
        check_length(length)?;
        open(lease)?;
        let mut cells = self.cells();
        let running = cells.get_mut(&lease.key).and_then(|cell| cell.lease.as_mut());
        match running.filter(|running| running.seen.token == Some(lease.token)) {
            Some(running) => {
                let length = nanos(length);
                running.seen.deadline_ns = self.clock().wall_ns().saturating_add(length);
                running.ends_ns = self.clock().boot_ns().saturating_add(length.saturating_mul(3));
                Ok(())
            }
            None => Err(errors::lease_lost(&lease.key)),
        }
    }

    fn holds(&self, lease: &Lease) -> bool {
        let boot = self.clock().boot_ns();
        self.cells().get(&lease.key).is_some_and(|cell| {
            let mine = cell.in_force(boot).is_some_and(|running| running.seen.token == Some(lease.token));
            mine && cell.entry.as_ref().and_then(|entry| entry.token) <= Some(lease.token)
        })
    }

    fn release(&self, lease: &Lease) {
        if let Ok(hold) = lease.hold::<Hold>() {
            *hold.permit.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        if let Some(cell) = self.cells().get_mut(&lease.key)
            && let Some(running) = &mut cell.lease
            && running.seen.token == Some(lease.token)
        {
            running.released = true;
        }
        self.changed.notify_all();
    }

    fn start(&self, lease: &Lease) -> Result<()> {
        open(lease)?;
        let mut cells = self.cells();
        let cell = cells.entry(lease.key.clone()).or_default();
        if cell.lease.as_ref().is_none_or(|running| running.seen.token != Some(lease.token)) {
            return Err(errors::lease_lost(&lease.key));
        }
        cell.started = lease.key.files().started.is_some().then(|| (cell.version(), self.clock().wall_ns()));
        Ok(())
    }

    fn bar(&self, key: &Key, _: Durability, gate: &dyn Fn(Option<&Gate>) -> Gate) -> Result<Gate> {
        let mut cells = self.cells();
        let cell = cells.entry(key.clone()).or_default();
        let gate = gate(cell.gate.as_ref());
        cell.gate = Some(gate.clone());
        cell.generation = cell.generation.wrapping_add(2);
        drop(cells);
        self.changed.notify_all();
        Ok(gate)
    }

    fn unbar(&self, key: &Key, _: Durability) -> Result<bool> {
        let there = self.cells().get_mut(key).is_some_and(|cell| {
            cell.generation = cell.generation.wrapping_add(2);
            cell.gate.take().is_some()
        });
        self.changed.notify_all();
        Ok(there)
    }

    fn put(&self, key: &Key, draft: &Draft<'_>) -> Result<Committed> {
        let mut cells = self.cells();
        let cell = cells.entry(key.clone()).or_default();
        if cell.in_force(self.clock().boot_ns()).is_none() {
            self.settle(cell, &Backoff::new(None, None, None));
        }
        let token = self.next_token(cell);
        cell.notice = None;
        cell.gate = cell.gate.take().filter(|gate| gate.declared);
        let done = cell.store(self.entry(draft, token));
        drop(cells);
        self.changed.notify_all();
        Ok(done)
    }

    fn mark_stale(&self, key: &Key, _: Durability) -> Result<()> {
        if let Some(cell) = self.cells().get_mut(key) {
            cell.notice = Some(cell.token());
            cell.generation = cell.generation.wrapping_add(2);
        }
        self.changed.notify_all();
        Ok(())
    }

    fn remove(&self, key: &Key, _: Durability) -> Result<bool> {
        let mut cells = self.cells();
        let Some(cell) = cells.get_mut(key) else { return Ok(false) };
        let there = cell.entry.take().is_some();
        cell.lease = None;
        cell.notice = None;
        cell.started = None;
        cell.gate = cell.gate.take().filter(|gate| gate.declared);
        cell.generation = cell.generation.wrapping_add(2);
        drop(cells);
        self.changed.notify_all();
        Ok(there)
    }

    fn keys(&self) -> Result<Vec<Key>> {
        let cells = self.cells();
        let mut keys: Vec<Key> = cells
            .iter()
            .filter(|(key, cell)| cell.entry.is_some() && !key.is_quota())
            .map(|(key, _)| key.clone())
            .collect();
        keys.sort();
        Ok(keys)
    }

    fn quotas(&self) -> Result<Vec<Key>> {
        let cells = self.cells();
        let there = |key: &Key, cell: &Cell| key.is_quota() && (cell.entry.is_some() || cell.gate.is_some());
        let mut keys: Vec<Key> =
            cells.iter().filter(|(key, cell)| there(key, cell)).map(|(key, _)| key.clone()).collect();
        keys.sort();
        Ok(keys)
    }

    fn sweep(&self, _: &Key) -> Result<()> {
        Ok(())
    }

    fn prune(&self, keep: &[Key]) -> Result<Pruned> {
        let boot = self.clock().boot_ns();
        let mut pruned = Pruned::default();
        let mut cells = self.cells();
        for key in keep {
            if let Some(cell) = cells.get_mut(key).filter(|cell| cell.in_force(boot).is_none()) {
                self.settle(cell, &Backoff::new(None, None, None));
            }
        }
        let mut keys: Vec<Key> =
            cells.keys().filter(|key| !keep.contains(key) && !key.is_quota()).cloned().collect();
        keys.sort();
        for key in keys {
            let Some(cell) = cells.get_mut(&key) else { continue };
            if cell.in_force(boot).is_some() {
                pruned.skipped.push((key, "a refresh is running".to_owned()));
                continue;
            }
            if cell.entry.is_some() {
                pruned.removed.push(key.clone());
            }
            let (generation, greatest) = (cell.generation.wrapping_add(2), cell.greatest);
            let gate = cell.gate.take().filter(|gate| gate.declared);
            *cell = Cell { generation, greatest, gate, ..Cell::default() };
        }
        drop(cells);
        self.changed.notify_all();
        Ok(pruned)
    }

    fn generation(&self, key: &Key) -> u32 {
        self.cells().get(key).map_or(0, |cell| cell.generation)
    }

    fn sleep(&self, key: &Key, seen: u32, timeout: Duration) {
        let cells = self.cells();
        if cells.get(key).map_or(0, |cell| cell.generation) == seen {
            let _unused = self.changed.wait_timeout(cells, timeout).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn random(&self, bytes: &mut [u8]) {
        self.sys.random(bytes);
    }

    fn table(&self) -> Option<Arc<Table>> {
        None
    }
}
