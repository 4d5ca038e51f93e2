//! `MemoryStore`: the same facts in this process only, for programs that may not write, and the model against
//! which the file store is tested. It has no crashes to survive, so its rules are the protocol's in short.

use super::cell::{Cell, Given, World};
use super::errors;
use super::{About, Ask, Claim, Committed, Draft, Ended, Facts, Failed, Lease, Look, Pruned, Store};
use crate::entry::Entry;
use crate::error::Result;
use crate::fs::Durability;
use crate::gate::{Backoff, Gate};
use crate::generation::Table;
use crate::key::Key;
use crate::lease::check_length;
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
    slots: Mutex<HashMap<Key, Slot>>,
    changed: Condvar,
}

/// A cell, and the number that moves with each change of it.
#[derive(Debug, Default)]
struct Slot {
    cell: Cell,
    generation: u32,
}

impl Slot {
    fn moved(&mut self) {
        self.generation = self.generation.wrapping_add(2);
    }
}

/// Marks a lease as this store's.
#[derive(Debug)]
struct Hold {
    permit: Mutex<Option<Permit>>,
}

impl MemoryStore {
    pub(crate) fn new(sys: Arc<dyn Sys>) -> MemoryStore {
        MemoryStore { sys, slots: Mutex::default(), changed: Condvar::new() }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holders are of this process, so they live.
    fn world(&self) -> World<'_> {
        World { sys: &*self.sys, lives: &|_| true, chance: self.chance() }
    }

    /// Changes the cell of a key, and wakes who waits for that.
    fn change<T>(&self, key: &Key, change: impl FnOnce(&mut Cell, &World<'_>) -> T) -> T {
        let world = self.world();
        let mut slots = self.slots();
        let slot = slots.entry(key.clone()).or_default();
        let result = change(&mut slot.cell, &world);
        slot.moved();
        drop(slots);
        self.changed.notify_all();
        result
    }

    fn entry(&self, draft: &Draft<'_>, token: u64) -> Entry {
        draft.about.entry(draft.data, Some(token), self.clock().wall_ns())
    }

    /// Ends the lease, on this side too; `end` runs if it was in force.
    fn end<T>(&self, lease: &Lease, end: impl FnOnce(&mut Cell, &World<'_>) -> T) -> Result<T> {
        let hold: &Hold = lease.hold()?;
        if hold.permit.lock().unwrap_or_else(PoisonError::into_inner).take().is_none() {
            return Err(errors::already_used(&lease.key));
        }
        self.change(&lease.key, |cell, world| {
            cell.end(&lease.key, lease.token)?;
            Ok(end(cell, world))
        })
    }
}

impl MemoryStore {
    /// The keys whose cells are as asked, in their order.
    fn listed(&self, wanted: impl Fn(&Key, &Cell) -> bool) -> Vec<Key> {
        let slots = self.slots();
        let mut keys: Vec<Key> =
            slots.iter().filter(|(key, slot)| wanted(key, &slot.cell)).map(|(key, _)| key.clone()).collect();
        keys.sort();
        keys
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
        Ok(self.slots().get(key).map(|slot| slot.cell.look()).unwrap_or_default())
    }

    fn facts(&self, key: &Key) -> Result<Facts> {
        let world = self.world();
        Ok(self.slots().get(key).map_or_else(Facts::default, |slot| Facts {
            lease: slot.cell.seen(&world),
            gate: slot.cell.gate.clone(),
            started: slot.cell.open_since(),
        }))
    }

    fn acquire(&self, key: &Key, ask: &Ask<'_>) -> Result<Claim> {
        check_length(ask.length)?;
        let Some(permit) = Permit::take() else { return Err(errors::too_many_leases()) };
        let world = self.world();
        let given = self.slots().entry(key.clone()).or_default().cell.acquire(&world, ask, "");
        Ok(match given {
            Given::Other(claim) => claim,
            Given::Lease(term, previous) => {
                let hold = Box::new(Hold { permit: Mutex::new(Some(permit)) });
                Claim::Lease(Lease { key: key.clone(), token: term.token.unwrap_or(0), previous, hold })
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
        open(lease)?;
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
        open(lease)?;
        let renewed = self.change(&lease.key, |cell, world| cell.renew(world, lease.token, length));
        if renewed { Ok(()) } else { Err(errors::lease_lost(&lease.key)) }
    }

    fn holds(&self, lease: &Lease) -> bool {
        let world = self.world();
        self.slots().get(&lease.key).is_some_and(|slot| {
            let mine = slot.cell.seen(&world).is_some_and(|seen| seen.token == Some(lease.token));
            mine && slot.cell.entry.as_ref().and_then(|entry| entry.token) <= Some(lease.token)
        })
    }

    fn release(&self, lease: &Lease) {
        if let Ok(hold) = lease.hold::<Hold>() {
            *hold.permit.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.change(&lease.key, |cell, _| {
            if let Some(running) =
                cell.lease.as_mut().filter(|running| running.term.token == Some(lease.token))
            {
                running.released = true;
            }
        });
    }

    fn start(&self, lease: &Lease) -> Result<()> {
        open(lease)?;
        let now = self.clock().wall_ns();
        self.change(&lease.key, |cell, _| {
            if !cell.is_held_by(lease.token) {
                return Err(errors::lease_lost(&lease.key));
            }
            cell.started = lease.key.files().started.is_some().then(|| (cell.version(), now));
            Ok(())
        })
    }

    fn bar(&self, key: &Key, _: Durability, gate: &dyn Fn(Option<&Gate>) -> Gate) -> Result<Gate> {
        Ok(self.change(key, |cell, _| {
            let gate = gate(cell.gate.as_ref());
            cell.gate = Some(gate.clone());
            gate
        }))
    }

    fn unbar(&self, key: &Key, _: Durability) -> Result<bool> {
        Ok(self.change(key, |cell, _| cell.gate.take().is_some()))
    }

    fn put(&self, key: &Key, draft: &Draft<'_>) -> Result<Committed> {
        Ok(self.change(key, |cell, world| {
            let token = cell.make_way(world);
            cell.store(self.entry(draft, token))
        }))
    }

    fn mark_stale(&self, key: &Key, _: Durability) -> Result<()> {
        self.change(key, |cell, _| {
            if cell.entry.is_some() || cell.lease.is_some() {
                cell.notice = Some(cell.greatest);
            }
        });
        Ok(())
    }

    fn remove(&self, key: &Key, _: Durability) -> Result<bool> {
        Ok(self.change(key, |cell, _| cell.clear()))
    }

    fn keys(&self) -> Result<Vec<Key>> {
        Ok(self.listed(|key, cell| cell.entry.is_some() && !key.is_quota()))
    }

    fn quotas(&self) -> Result<Vec<Key>> {
        Ok(self.listed(|key, cell| key.is_quota() && (cell.entry.is_some() || cell.gate.is_some())))
    }

    fn sweep(&self, _: &Key) -> Result<()> {
        Ok(())
    }

    fn prune(&self, keep: &[Key]) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        for key in self.listed(|key, _| !key.is_quota()) {
            self.change(&key, |cell, world| {
                if keep.contains(&key) {
                    if cell.in_force(world).is_none() {
                        cell.settle(world, &Backoff::new(None, None, None));
                    }
                } else if cell.in_force(world).is_some() {
                    pruned.skipped.push((key.clone(), "a refresh is running".to_owned()));
                } else if cell.clear() {
                    pruned.removed.push(key.clone());
                }
            });
        }
        Ok(pruned)
    }

    fn generation(&self, key: &Key) -> u32 {
        self.slots().get(key).map_or(0, |slot| slot.generation)
    }

    fn sleep(&self, key: &Key, seen: u32, timeout: Duration) {
        let slots = self.slots();
        if slots.get(key).map_or(0, |slot| slot.generation) == seen {
            let _unused = self.changed.wait_timeout(slots, timeout).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn random(&self, bytes: &mut [u8]) {
        self.sys.random(bytes);
    }

    fn table(&self) -> Option<Arc<Table>> {
        None
    }
}
