//! Whether the tables agree with each other, for tests: every record has its bytes and its ways, every way a record,
//! and the counters their sums. Not part of the public interface.

use super::Live;
use super::graph::{self, Record, Row};
use super::input::LiveKey;
use super::told::path_rows;
use crate::error::Result;
use crate::store::index::tables::{Read, Table};
use std::collections::{HashMap, HashSet};

impl Live {
    /// What is wrong with the index; nothing where nothing is.
    ///
    /// # Errors
    /// Those of reading.
    #[doc(hidden)]
    pub fn check(&self) -> Result<Vec<String>> {
        Ok(self.read(|tx| self.faults(tx))?.unwrap_or_default())
    }

    fn faults(&self, tx: &dyn Read) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        let mut records: HashMap<LiveKey, Record> = HashMap::new();
        tx.scan(Table::Derived, b"", &mut |key, bytes| {
            match (key.try_into().map(LiveKey), serde_json::from_slice(bytes)) {
                (Ok(key), Ok(record)) => drop(records.insert(key, record)),
                _ => faults.push(format!("a record that cannot be read: {key:?}")),
            }
            Ok(true)
        })?;
        let (mut links, mut paths) = (HashSet::new(), HashSet::new());
        for (key, record) in &records {
            if graph::data(tx, self.store()?.root(), key, record)?.is_none() {
                faults.push(format!("{key}: its bytes are not there"));
            }
            links.extend(record.nodes().into_iter().map(|(node, _)| [node, key.0].concat()));
            let inputs = record.inputs.iter().filter_map(Row::input);
            paths.extend(inputs.flat_map(|input| path_rows(&self.workspace, &input)));
        }
        let keys: HashSet<Vec<u8>> = records.keys().map(|key| key.0.to_vec()).collect();
        for (table, expected) in [(Table::Link, &links), (Table::Path, &paths), (Table::Used, &keys)] {
            let found: HashSet<Vec<u8>> = tx.below(table, b"")?.into_iter().collect();
            for row in found.difference(expected) {
                faults.push(format!("{table:?} has {}", row.escape_ascii()));
            }
            for row in expected.difference(&found) {
                faults.push(format!("{table:?} lacks {}", row.escape_ascii()));
            }
        }
        for key in tx.below(Table::Value, b"live:")? {
            if !keys.contains(&key) {
                faults.push(format!("bytes of no record: {}", key.escape_ascii()));
            }
        }
        let sum: u64 = records.values().map(|record| record.size).sum();
        if (graph::results(tx)?, graph::bytes(tx)?) != (records.len() as u64, sum) {
            let (results, bytes) = (graph::results(tx)?, graph::bytes(tx)?);
            faults.push(format!(
                "{results} results of {bytes} bytes, but there are {} of {sum}",
                records.len()
            ));
        }
        Ok(faults)
    }
}
