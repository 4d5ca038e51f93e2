//! How much room derived results take: the least recently used go first, what does not hold any more is removed, and
//! files that nothing names are swept.

use super::Live;
use super::graph;
use crate::error::Result;
use crate::event::EventKind;
use crate::fs::guard::TIMEOUT;
use crate::store::Store;

impl Live {
    /// Removes the least recently used results until they have at most that many bytes, never one that is being
    /// computed; how many.
    ///
    /// # Errors
    /// Those of writing.
    pub fn evict_to_cap(&self, cap: u64) -> Result<u64> {
        self.note_used()?;
        let mut bytes = self.total_bytes()?;
        if bytes <= cap {
            return Ok(0);
        }
        let mut all = self.read(|tx| graph::all(tx))?.unwrap_or_default();
        all.sort_by_key(|(key, _, used)| (*used, *key));
        let mut chosen = Vec::new();
        for (key, record, _) in all {
            if bytes <= cap {
                break;
            }
            if self.store()?.facts(&self.lease_key(&key)?)?.lease.is_none() {
                bytes = bytes.saturating_sub(record.size);
                chosen.push(key);
            }
        }
        for batch in chosen.chunks(1_000) {
            self.store()?.write(TIMEOUT, |tx| {
                batch.iter().try_for_each(|key| graph::remove(tx, &self.workspace, key).map(drop))
            })?;
        }
        for key in &chosen {
            self.emit(EventKind::Evicted, key, None);
        }
        Ok(chosen.len() as u64)
    }

    pub(super) fn evict_over_cap(&self) -> Result<()> {
        match self.options.size_cap {
            Some(cap) => self.evict_to_cap(cap).map(drop),
            None => Ok(()),
        }
    }

    /// Writes down what was used since the last time.
    fn note_used(&self) -> Result<()> {
        let used = self.memo.take_used();
        if used.is_empty() {
            return Ok(());
        }
        self.store()?.write(TIMEOUT, |tx| {
            for (key, at) in &used {
                if graph::record(tx, key)?.is_some() {
                    graph::touch(tx, key, *at)?;
                }
            }
            Ok(())
        })
    }

    /// Removes what does not hold any more, and files that nothing names; how many results and how many files.
    ///
    /// # Errors
    /// Those of writing.
    pub fn gc(&self) -> Result<(u64, u64)> {
        self.note_used()?;
        let keys =
            self.read(|tx| graph::all(tx))?.unwrap_or_default().into_iter().map(|(key, ..)| key).collect();
        let removed = self.remove_flawed(keys)?;
        Ok((removed, self.store()?.sweep_files()?))
    }
}
