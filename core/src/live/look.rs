//! Looking for a derived result: by what is recorded, or at the inputs themselves; and saying what decided.

use super::Live;
use super::derived::{Derived, LiveWhy, Lookup};
use super::graph::{self, Row};
use super::input::{Input, LiveKey};
use super::print::{Eye, Print};
use crate::error::Result;
use crate::event::EventKind;
use crate::fs::guard::TIMEOUT;
use crate::source::core::SLICE;
use crate::source::value::How;
use crate::store::index::tables::{Read, Write};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

impl Live {
    /// The result, if all that is recorded of what it was computed from still holds. The inputs themselves are not
    /// looked at: that is [`Live::lookup_revalidate`].
    ///
    /// # Errors
    /// Those of reading.
    pub fn lookup(&self, key: &LiveKey) -> Result<Lookup> {
        let found = self.read(|tx| match graph::flaw(tx, key, &mut HashMap::new())? {
            None => self.load(tx, key),
            Some(_) => Ok(None),
        })?;
        self.told(key, found.flatten())
    }

    /// A result as it stands; none where its bytes are not what was written.
    fn load(&self, tx: &dyn Read, key: &LiveKey) -> Result<Option<Derived>> {
        let Some(record) = graph::record(tx, key)? else { return Ok(None) };
        let Some(data) = graph::data(tx, self.store()?.root(), key, &record)? else {
            return Ok(None);
        };
        let record = Arc::new(record);
        Ok(Some(Derived { key: *key, data: data.into(), record, how: How::Fresh, error: None }))
    }

    fn told(&self, key: &LiveKey, found: Option<Derived>) -> Result<Lookup> {
        let kind = if found.is_some() { EventKind::Hit } else { EventKind::Miss };
        self.emit(kind, key, None);
        if found.is_some() {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(*key, self.core.now());
        }
        Ok(found.map_or(Lookup::Miss, Lookup::Hit))
    }

    /// The result, after a look at everything that it, and the results that it is built on, were computed from.
    /// Where something has changed, is gone or cannot be read, all that was built on it is removed, for every process.
    ///
    /// # Errors
    /// Those of reading and writing the index.
    pub fn lookup_revalidate(&self, key: &LiveKey) -> Result<Lookup> {
        let found = self.read(|tx| {
            if graph::flaw(tx, key, &mut HashMap::new())?.is_some() {
                return Ok(None);
            }
            Ok(self.load(tx, key)?.zip(Some(graph::ancestors(tx, key)?)))
        })?;
        let Some((derived, ancestors)) = found.flatten() else { return self.told(key, None) };
        let mut changed = Vec::new();
        let mut known: HashMap<String, Option<Print>> = HashMap::new();
        for (ancestor, record) in &ancestors {
            if self.first_changed(&record.inputs, &mut known)?.is_some() {
                changed.push(*ancestor);
            }
        }
        if changed.is_empty() {
            self.settle(&ancestors, &known);
            return self.told(key, Some(derived));
        }
        let nodes: Vec<graph::Node> = changed.iter().map(|key| key.0).collect();
        self.store()?.write(TIMEOUT, |tx| {
            changed.iter().try_for_each(|key| graph::remove(tx, &self.workspace, key).map(drop))
        })?;
        self.remove_dependents(&nodes)?;
        self.emit(EventKind::Invalidated, key, None);
        Ok(Lookup::Invalidated)
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
    fn settle(&self, ancestors: &[(LiveKey, graph::Record)], known: &HashMap<String, Option<Print>>) {
        let better = |row: &Row| {
            let now = known.get(&row.input)?.as_ref()?;
            (*now != row.print && now.is_settled()).then(|| now.clone())
        };
        let changed: Vec<_> = ancestors
            .iter()
            .filter(|(_, record)| record.inputs.iter().any(|row| better(row).is_some()))
            .collect();
        if changed.is_empty() {
            return;
        }
        let write = |tx: &mut dyn Write| -> Result<()> {
            for (key, before) in &changed {
                if graph::record(tx, key)?.as_ref() == Some(before) {
                    let mut record = before.clone();
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

    /// Whether a look with revalidation would find the result, and what decides that. Nothing is removed.
    ///
    /// # Errors
    /// Those of reading.
    pub fn why(&self, key: &LiveKey) -> Result<LiveWhy> {
        let found =
            self.read(|tx| Ok((graph::flaw(tx, key, &mut HashMap::new())?, graph::ancestors(tx, key)?)))?;
        let Some((flaw, ancestors)) = found else { return Ok(LiveWhy::of(&graph::Flaw::Missing)) };
        if let Some(flaw) = flaw {
            return Ok(LiveWhy::of(&flaw));
        }
        let mut known = HashMap::new();
        for (ancestor, record) in &ancestors {
            if let Some(input) = self.first_changed(&record.inputs, &mut known)? {
                return Ok(LiveWhy::changed(&input, Some(*ancestor).filter(|ancestor| ancestor != key)));
            }
        }
        Ok(LiveWhy::holds())
    }
}
