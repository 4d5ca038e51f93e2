//! How much room derived results take: the least recently used go first, what does not hold any more is removed, and
//! files that nothing names are swept.

use super::Live;
use super::graph;
use super::input::LiveKey;
use super::told::{self, Told};
use crate::error::{Code, Result};
use crate::event::EventKind;
use crate::fs::guard::TIMEOUT;
use crate::stamp::Nanos;
use crate::store::Store;
use crate::store::index::tables::{Read, Write};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// What goes, in this order; and what is in use later than it says, because something built on it is.
type Choice = (Vec<LiveKey>, Vec<(u64, LiveKey)>);

/// More results than these are many.
const MANY: u64 = 1_000;

impl Live {
    /// Removes the least recently used results until they have at most that many bytes, never one that is being
    /// computed; how many. A result counts as used when one that is built on it is, and takes those along.
    ///
    /// # Errors
    /// Those of writing.
    pub fn evict_to_cap(&self, cap: u64) -> Result<u64> {
        unless_full(self.note_used())?;
        if self.total_bytes()? <= cap {
            return Ok(0);
        }
        let Some((chosen, later)) = self.read(|tx| self.choose(tx, cap))? else { return Ok(0) };
        self.in_batches(&chosen, |tx, keys| {
            keys.iter().try_for_each(|key| graph::remove(tx, &self.workspace, key).map(drop)).map(|()| 0)
        })?;
        let later = |tx: &mut dyn Write| later.iter().try_for_each(|(at, key)| graph::put_used(tx, key, *at));
        unless_full(self.store()?.write(TIMEOUT, later))?;
        let nodes: Vec<graph::Node> = chosen.iter().map(|key| key.0).collect();
        self.remove_dependents(&nodes)?;
        for key in &chosen {
            self.emit(EventKind::Evicted, key, None);
        }
        Ok(chosen.len() as u64)
    }

    fn choose(&self, tx: &dyn Read, cap: u64) -> Result<Choice> {
        let (mut chosen, mut later) = (Vec::new(), Vec::new());
        let mut bytes = graph::bytes(tx)?;
        let mut waiting: BinaryHeap<_> = graph::by_use(tx)?.into_iter().map(Reverse).collect();
        while bytes > cap
            && let Some(Reverse((used, key))) = waiting.pop()
        {
            let latest = graph::used_with_dependents(tx, &key)?;
            if latest > used {
                waiting.push(Reverse((latest, key)));
                later.push((latest, key));
                continue;
            }
            let Some(record) = graph::record(tx, &key)? else { continue };
            if self.store()?.facts(&self.lease_key(&key)?)?.lease.is_none() {
                bytes = bytes.saturating_sub(record.size);
                chosen.push(key);
            }
        }
        later.retain(|(_, key)| !chosen.contains(key));
        Ok((chosen, later))
    }

    /// Of many results somewhat more go at once, so that not each commit has to look for the oldest.
    pub(super) fn evict_over_cap(&self) -> Result<()> {
        let Some(cap) = self.options.size_cap else { return Ok(()) };
        let (bytes, results) = (self.total_bytes()?, self.entry_count()?);
        if bytes > cap {
            self.evict_to_cap(if results > MANY { cap - cap / 16 } else { cap })?;
        }
        Ok(())
    }

    /// Writes down what was used since the last time.
    fn note_used(&self) -> Result<()> {
        match self.memo.take_used() {
            used if used.is_empty() => Ok(()),
            used => self.store()?.write(TIMEOUT, |tx| note(tx, &used)),
        }
    }

    /// The same in a transaction that is made anyway, so that other processes evict something else.
    pub(super) fn note_used_along(&self, tx: &mut dyn Write) -> Result<()> {
        note(tx, &self.memo.take_used())
    }

    /// Removes what does not hold any more, and files that nothing names; how many results and how many files.
    ///
    /// # Errors
    /// Those of writing.
    pub fn gc(&self) -> Result<(u64, u64)> {
        unless_full(self.note_used())?;
        let Some(keys) = self.read(|tx| graph::flawed(tx))? else { return Ok((0, 0)) };
        let removed = self.remove_fallen(&keys.into_iter().map(|key| (key, None)).collect::<Vec<_>>())?;
        let store = self.store()?;
        store.write(TIMEOUT, |tx| match graph::forget_nodes(tx)? {
            0 => Ok(()),
            _ => told::tell(tx, &Told::Forgotten),
        })?;
        Ok((removed, store.sweep_files()?))
    }
}

/// When something was used is not worth a failure: a full index has room for removals only.
fn unless_full(written: Result<()>) -> Result<()> {
    written.or_else(|error| if error.code() == Code::Full { Ok(()) } else { Err(error) })
}

fn note(tx: &mut dyn Write, used: &HashMap<LiveKey, Nanos>) -> Result<()> {
    for (key, at) in used {
        if graph::record(tx, key)?.is_some() {
            graph::touch(tx, key, *at)?;
        }
    }
    Ok(())
}
