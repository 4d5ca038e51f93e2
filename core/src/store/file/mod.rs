//! `FileStore`: entries, leases and gates as plain files, one per fact, exactly as `docs/protocol.md` has them.
//! Each fact's file is there only while the fact holds, so `ls` tells the state.
//!
//! The room: `record`, `bind`, `marker` are shapes and their rules; `site` looks at one key's files; `look` is
//! the reader's way in, which takes no lock and never writes; `acquire`, `commit`, `put`, `settle` and `prune`
//! change things under the guard, in the order that was found by killing processes at each step.

mod acquire;
mod bind;
mod commit;
#[cfg(feature = "testing")]
pub(crate) mod fuzzing;
mod hold;
mod look;
mod marker;
mod prune;
mod put;
mod quarantine;
mod record;
mod settle;
mod site;
mod started;

use crate::error::Result;
use crate::fs::Durability;
use crate::fs::root::Root;
use crate::gate::Gate;
use crate::generation::Table;
use crate::key::Key;
use crate::store::{About, Ask, Claim, Committed, Draft, Ended, Facts, Failed, Lease, Look, Pruned, Store};
use crate::sys::Sys;
use crate::sys::clock::Clock;
use crate::sys::fork::PerProcess;
use look::Shelf;
use site::Site;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a sleeper asks whether the holder lives.
const PROBE: Duration = Duration::from_millis(5);
/// Temporary files of the dead are swept when they are older than this.
const SWEEP_AGE: Duration = Duration::from_secs(60);

/// The store on disk.
#[derive(Debug)]
pub(crate) struct FileStore {
    root: Root,
    shelf: PerProcess<Shelf>,
    sweep_age: Duration,
}

impl FileStore {
    pub(crate) fn open(sys: Arc<dyn Sys>, path: &Path, sweep_age: Option<Duration>) -> Result<FileStore> {
        let root = Root::open(sys, path)?;
        Ok(FileStore { root, shelf: PerProcess::default(), sweep_age: sweep_age.unwrap_or(SWEEP_AGE) })
    }

    /// Opens a state root: as a cache root, but not marked as one.
    pub(crate) fn open_state(sys: Arc<dyn Sys>, path: &Path) -> Result<FileStore> {
        let root = Root::open_state(sys, path)?;
        Ok(FileStore { root, shelf: PerProcess::default(), sweep_age: SWEEP_AGE })
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    fn sys(&self) -> &dyn Sys {
        self.root.sys()
    }

    /// The key's files, if its folder is there.
    fn site<'s>(&'s self, key: &'s Key) -> Result<Option<Site<'s>>> {
        let folder = self.root.tier(key.folder(), false)?;
        Ok(folder.map(|folder| Site { root: &self.root, folder, key }))
    }

    /// Sleeps on the slot's number. While somebody holds the lease it asks now and then whether the holder lives,
    /// whose death wakes nobody; that ends the sleep too.
    fn sleep_beside(&self, table: &Table, key: &Key, seen: u32, timeout: Duration) {
        let site = self.site(key).ok().flatten();
        let held = || {
            site.as_ref().is_some_and(|site| marker::is_held(self.sys(), &site.folder, &key.files().marker))
        };
        if !held() {
            return table.sleep(self.sys(), key.slot(), seen, timeout);
        }
        let until = Instant::now() + timeout;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            table.sleep(self.sys(), key.slot(), seen, left.min(PROBE));
            if self.generation(key) != seen || !held() {
                return;
            }
        }
    }

    /// The key's files; their folder is made where it is missing, also one that was removed under us.
    fn make_site<'s>(&'s self, key: &'s Key) -> Result<Site<'s>> {
        for _ in 0..2 {
            let Some(folder) = self.root.tier(key.folder(), true)? else { continue };
            if !self.root.was_removed(&folder) {
                return Ok(Site { root: &self.root, folder, key });
            }
            self.root.forget_tier(key.folder());
        }
        Err(crate::error::Error::io(
            "open the folder",
            &self.root.path().join(key.folder()),
            &std::io::ErrorKind::NotFound.into(),
        ))
    }
}

impl Store for FileStore {
    fn clock(&self) -> &Clock {
        self.sys().clock()
    }

    fn look(&self, key: &Key) -> Result<Look> {
        self.look_at(key)
    }

    fn facts(&self, key: &Key) -> Result<Facts> {
        let Some(site) = self.site(key)? else { return Ok(Facts::default()) };
        Ok(Facts { lease: site.lease_in_force()?, gate: site.gate()?, started: site.started()? })
    }

    fn acquire(&self, key: &Key, ask: &Ask<'_>) -> Result<Claim> {
        self.acquire_lease(key, ask)
    }

    fn complete(&self, lease: &Lease, draft: &Draft<'_>) -> Result<Committed> {
        self.commit_draft(lease, draft)
    }

    fn unchanged(&self, lease: &Lease, about: &About<'_>) -> Result<Committed> {
        self.commit_unchanged(lease, about)
    }

    fn fail(&self, lease: &Lease, failed: &Failed<'_>) -> Result<Ended> {
        self.commit_failure(lease, failed)
    }

    fn renew(&self, lease: &Lease, length: Duration) -> Result<()> {
        self.renew_lease(lease, length)
    }

    fn holds(&self, lease: &Lease) -> bool {
        self.still_holds(lease)
    }

    fn release(&self, lease: &Lease) {
        self.let_go(lease);
    }

    fn start(&self, lease: &Lease) -> Result<()> {
        self.start_effect(lease)
    }

    fn bar(&self, key: &Key, durability: Durability, gate: &dyn Fn(Option<&Gate>) -> Gate) -> Result<Gate> {
        self.put_gate(key, durability, gate)
    }

    fn unbar(&self, key: &Key, durability: Durability) -> Result<bool> {
        self.remove_gate(key, durability)
    }

    fn put(&self, key: &Key, draft: &Draft<'_>) -> Result<Committed> {
        self.put_draft(key, draft)
    }

    fn mark_stale(&self, key: &Key, durability: Durability) -> Result<()> {
        self.write_notice(key, durability)
    }

    fn remove(&self, key: &Key, durability: Durability) -> Result<bool> {
        self.remove_all(key, durability)
    }

    fn keys(&self) -> Result<Vec<Key>> {
        self.list_keys()
    }

    fn quotas(&self) -> Result<Vec<Key>> {
        self.list_quotas()
    }

    fn sweep(&self, key: &Key) -> Result<()> {
        self.sweep_key(key)
    }

    fn prune(&self, keep: &[Key]) -> Result<Pruned> {
        self.prune_all(keep)
    }

    fn generation(&self, key: &Key) -> u32 {
        let number = self.table().and_then(|table| table.number_on_file(self.sys(), key.slot()).ok());
        number.unwrap_or(1)
    }

    fn sleep(&self, key: &Key, seen: u32, timeout: Duration) {
        match self.table() {
            // An odd number moves on at once; sleeping on it is sound, but a dead writer's stays odd.
            Some(table) if seen & 1 == 0 => self.sleep_beside(&table, key, seen, timeout),
            _ => self.sys().pause(timeout.min(Duration::from_millis(1))),
        }
    }

    fn random(&self, bytes: &mut [u8]) {
        self.sys().random(bytes);
    }

    fn table(&self) -> Option<Arc<Table>> {
        let control = self.root.control().ok()??;
        if let Some(table) =
            control.table.load_full().filter(|table| table.is_current(self.sys(), &control.dir))
        {
            return Some(table);
        }
        let table = Arc::new(Table::open(self.sys(), &control.dir, true).ok()??);
        control.table.store(Some(Arc::clone(&table)));
        Some(table)
    }
}
