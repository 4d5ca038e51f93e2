//! Looking for a derived result: by what is recorded, or at the inputs themselves; and saying what decided.

use super::Live;
use super::derived::{Body, Derived, LiveWhy, Lookup};
use super::graph::{self, Row};
use super::input::{Input, LiveKey};
use super::memo::{Kept, Watched};
use super::print::{Eye, Print};
use crate::error::{Code, Result};
use crate::event::EventKind;
use crate::fs::guard::TIMEOUT;
use crate::source::core::SLICE;
use crate::source::value::How;
use crate::stamp::Nanos;
use crate::store::index::tables::{Read, Table, Write};
use crate::sys::clock::coarse;
use std::collections::HashMap;
use std::sync::Arc;

/// A use is written down on its own only this long after the one that is recorded.
const NOTED: Nanos = 3_600_000_000_000;
/// How often a result that is computed anew all the time is looked at.
const TRIES: usize = 4;

/// What the index has of a result that holds.
struct Found {
    record: graph::Record,
    /// None where the bytes are not what was written.
    data: Option<Vec<u8>>,
    ancestors: Option<Vec<(LiveKey, graph::Record)>>,
}

impl Live {
    /// The result, if all that is recorded of what it was computed from still holds. The inputs themselves are not
    /// looked at: that is [`Live::lookup_revalidate`].
    ///
    /// # Errors
    /// Those of reading.
    pub fn lookup(&self, key: &LiveKey) -> Result<Lookup> {
        let (store, real) = (self.store()?, coarse());
        match self.memo.find(store, key, real, |kept| self.hit(kept, real)) {
            Some(hit) => Ok(hit),
            None => Ok(self.told(self.find(key, false)?.as_deref(), key)),
        }
    }

    #[inline]
    fn hit(&self, kept: &Kept, real: Nanos) -> Lookup {
        let clock = self.core.store.clock();
        self.memo.touch(kept, if clock.is_real() { real } else { clock.wall_ns() });
        self.emit(EventKind::Hit, &kept.derived.key, None);
        Lookup::Hit(kept.derived.clone())
    }

    #[cold]
    fn told(&self, found: Option<&Kept>, key: &LiveKey) -> Lookup {
        match found {
            Some(kept) => self.hit(kept, coarse()),
            None => {
                self.emit(EventKind::Miss, key, None);
                Lookup::Miss
            }
        }
    }

    /// Asks the index; `whole`: also for what the result is built on. What is found is kept; what is damaged removed.
    fn find(&self, key: &LiveKey, whole: bool) -> Result<Option<Arc<Kept>>> {
        // A large value may be replaced, and its file swept, between the record and the bytes: then once more.
        for again in [true, false] {
            // Before the look: see `memo`.
            let mark = self.memo.mark(self.store()?, coarse());
            let Some(found) = self.read(|tx| self.load(tx, key, whole))?.flatten() else { return Ok(None) };
            match found.data {
                Some(data) => {
                    let body = Arc::new(Body { data: data.into(), record: found.record });
                    let derived = Derived { key: *key, body, how: How::Fresh, error: None };
                    let kept = Arc::new(Kept::new(derived, found.ancestors, mark));
                    self.memo.keep(&kept);
                    return Ok(Some(kept));
                }
                None if again => {}
                None => self.remove_damaged(key, &found.record)?,
            }
        }
        Ok(None)
    }

    fn load(&self, tx: &dyn Read, key: &LiveKey, whole: bool) -> Result<Option<Found>> {
        let Some(record) = graph::record(tx, key)? else { return Ok(None) };
        if graph::flaw_of(tx, key, &record, &mut HashMap::new())?.is_some() {
            return Ok(None);
        }
        let data = graph::data(tx, self.store()?.root(), key, &record)?;
        let ancestors = match (record.upstreams.is_empty(), whole) {
            (true, _) => Some(Vec::new()),
            (false, true) => Some(graph::ancestors(tx, key, &record)?),
            (false, false) => None,
        };
        Ok(Some(Found { record, data, ancestors }))
    }

    /// Removes a result whose bytes are not what was written; nothing where it was replaced meanwhile.
    fn remove_damaged(&self, key: &LiveKey, found: &graph::Record) -> Result<()> {
        self.emit(EventKind::Damaged, key, Some(Code::Damaged));
        let removed = self.remove_if_same(&[(*key, found)])?;
        if removed > 0 { self.remove_dependents(&[key.0]).map(drop) } else { Ok(()) }
    }

    /// Removes those whose records are still these; how many.
    fn remove_if_same(&self, found: &[(LiveKey, &graph::Record)]) -> Result<u64> {
        self.store()?.write(TIMEOUT, |tx| {
            let mut removed = 0;
            for (key, before) in found {
                if graph::record(tx, key)?.as_ref() == Some(*before) {
                    removed += u64::from(graph::remove(tx, &self.workspace, key)?);
                }
            }
            Ok(removed)
        })
    }

    /// The result, after a look at everything that it, and the results that it is built on, were computed from.
    /// Where something has changed, is gone or cannot be read, all that was built on it is removed, for every process.
    ///
    /// # Errors
    /// Those of reading and writing the index.
    pub fn lookup_revalidate(&self, key: &LiveKey) -> Result<Lookup> {
        for _ in 0..TRIES {
            let (store, real) = (self.store()?, coarse());
            let whole = |kept: &Arc<Kept>| kept.ancestors.is_some().then(|| Arc::clone(kept));
            let kept = match self.memo.find(store, key, real, whole).flatten() {
                Some(kept) => Some(kept),
                None => self.find(key, true)?,
            };
            let Some(kept) = kept else { return Ok(self.told(None, key)) };
            if self.is_as_it_was(&kept) {
                return Ok(self.hit(&kept, real));
            }
            let (mut changed, mut known) = (Vec::new(), HashMap::new());
            for (ancestor, record) in kept.records() {
                if self.first_changed(&record.inputs, &mut known)?.is_some() {
                    changed.push((ancestor, record));
                }
            }
            if changed.is_empty() {
                self.settle(&kept, &known);
                return Ok(self.hit(&kept, real));
            }
            // None removed: others did, or computed them anew meanwhile, and what is there now is to be looked at.
            if self.remove_if_same(&changed)? > 0 {
                let nodes: Vec<graph::Node> = changed.iter().map(|(key, _)| key.0).collect();
                self.remove_dependents(&nodes)?;
                self.emit(EventKind::Invalidated, key, None);
                return Ok(Lookup::Invalidated);
            }
        }
        Ok(self.told(None, key))
    }

    /// Whether all inputs look as they did, as far as that shows without reading what may have changed.
    fn is_as_it_was(&self, kept: &Kept) -> bool {
        let eye = self.eye();
        kept.watched(&self.workspace).iter().all(|Watched { input, file, print }| match (file, print) {
            (Some(path), Print::File(_)) => print.is_still(path),
            _ => print.is_settled() && eye.take(input, Some(print)).is_ok_and(|now| Eye::same(print, &now)),
        })
    }

    /// The first of the rows whose input does not look as it did. What cannot be looked at has changed.
    fn first_changed(
        &self,
        rows: &[Row],
        known: &mut HashMap<String, Option<Print>>,
    ) -> Result<Option<Input>> {
        let eye = self.eye();
        for row in rows {
            let Some(input) = row.input() else { continue };
            let now =
                known.entry(row.input.clone()).or_insert_with(|| eye.take(&input, Some(&row.print)).ok());
            if !now.as_ref().is_some_and(|now| Eye::same(&row.print, now)) {
                return Ok(Some(input));
            }
        }
        Ok(None)
    }

    /// Keeps the prints of files whose numbers speak for their content by now, so that they need not be read at the
    /// next look. Best effort.
    fn settle(&self, kept: &Kept, known: &HashMap<String, Option<Print>>) {
        let better = |row: &Row| {
            let now = known.get(&row.input)?.as_ref()?;
            (*now != row.print && now.is_settled()).then(|| now.clone())
        };
        let changed: Vec<_> = kept
            .records()
            .filter(|(_, record)| record.inputs.iter().any(|row| better(row).is_some()))
            .collect();
        if changed.is_empty() {
            return;
        }
        let write = |tx: &mut dyn Write| -> Result<()> {
            for (key, before) in &changed {
                if graph::record(tx, key)?.as_ref() == Some(*before) {
                    let mut record = (*before).clone();
                    for row in &mut record.inputs {
                        if let Some(print) = better(row) {
                            row.print = print;
                        }
                    }
                    graph::rewrite(tx, key, &record)?;
                }
            }
            Ok(())
        };
        if let Err(error) = self.store().and_then(|store| store.write(SLICE, write)) {
            tracing::debug!(target: "forebay", %error, "prints are read again at the next look");
        }
    }

    /// Writes down when this process found which results, so that they are not the next to go for space. Only programs
    /// that end at once have to: others do it along with what they store. A use within an hour of the recorded one is
    /// not worth a write.
    ///
    /// ```
    /// use forebay::{Cache, LiveKey};
    /// # let folder = tempfile::tempdir().unwrap();
    /// let live = Cache::open(folder.path())?.live()?;
    /// let key = LiveKey::from_bytes(b"a hit of a script");
    /// live.persist(&key, b"data", "", &[])?;
    /// assert!(live.lookup(&key)?.hit().is_some());
    /// live.note_use()?;
    /// # Ok::<(), forebay::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of reading and writing the index.
    pub fn note_use(&self) -> Result<()> {
        let used = self.memo.take_used();
        let due = self.read(|tx| {
            let mut due = Vec::new();
            for (key, at) in &used {
                let recorded = Nanos::try_from(tx.number(Table::Used, &key.0)?).unwrap_or(Nanos::MAX);
                if at.saturating_sub(recorded) >= NOTED {
                    due.push((*key, *at));
                }
            }
            Ok(due)
        })?;
        match due {
            Some(due) if !due.is_empty() => self.store()?.write(TIMEOUT, |tx| {
                for (key, at) in &due {
                    if graph::record(tx, key)?.is_some() {
                        graph::touch(tx, key, *at)?;
                    }
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    /// Whether a look with revalidation would find the result, and what decides that. Nothing is removed.
    ///
    /// # Errors
    /// Those of reading.
    pub fn why(&self, key: &LiveKey) -> Result<LiveWhy> {
        let found = self.read(|tx| match graph::record(tx, key)? {
            None => Ok((Some(graph::Flaw::Missing), Vec::new())),
            Some(record) => {
                let flaw = graph::flaw_of(tx, key, &record, &mut HashMap::new())?;
                let mut records = graph::ancestors(tx, key, &record)?;
                records.insert(0, (*key, record));
                Ok((flaw, records))
            }
        })?;
        let Some((flaw, records)) = found else { return Ok(LiveWhy::of(&graph::Flaw::Missing)) };
        if let Some(flaw) = flaw {
            return Ok(LiveWhy::of(&flaw));
        }
        let mut known = HashMap::new();
        for (ancestor, record) in &records {
            if let Some(input) = self.first_changed(&record.inputs, &mut known)? {
                return Ok(LiveWhy::changed(&input, Some(*ancestor).filter(|ancestor| ancestor != key)));
            }
        }
        Ok(LiveWhy::holds())
    }
}
