//! How a cell is kept in a table: what is known of a key as JSON, the bytes of its value beside it, large ones as
//! objects named by their hash. What does not fit its description is no value.

use super::objects;
use super::tables::{Read, Table, Write};
use crate::entry::{Entry, Kind, Lifetime, Version};
use crate::error::{Code, Error, Result};
use crate::fs::root::Root;
use crate::gate::Gate;
use crate::stamp::Nanos;
use crate::store::cell::{Cell, Running};
use crate::text::{decimal, optional_decimal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

#[derive(Default, Serialize, Deserialize)]
struct Face {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<EntryFace>,
    #[serde(default, with = "optional_decimal", skip_serializing_if = "Option::is_none")]
    notice: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<Running>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gate: Option<Gate>,
    #[serde(with = "decimal")]
    greatest: u64,
}

#[derive(Serialize, Deserialize)]
struct EntryFace {
    size: u64,
    hash: String,
    #[serde(with = "decimal")]
    stored_ns: Nanos,
    #[serde(with = "decimal")]
    token: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    validator: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extra: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_stale_ms: Option<u64>,
    #[serde(default)]
    ttl_own: bool,
    #[serde(default)]
    max_stale_own: bool,
}

fn ms(duration: Option<Duration>) -> Option<u64> {
    duration.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The cell of that key, and why its value is not there although there should be one.
pub(super) fn load(tx: &dyn Read, root: &Root, key: &[u8]) -> Result<(Cell, Option<Error>)> {
    let Some(bytes) = tx.get(Table::Cell, key)? else { return Ok((Cell::default(), None)) };
    let Ok(face) = serde_json::from_slice::<Face>(&bytes) else {
        return Ok((Cell::default(), Some(damaged(root, "described by what cannot be read"))));
    };
    let mut cell = Cell {
        entry: None,
        notice: face.notice,
        lease: face.lease,
        gate: face.gate,
        greatest: face.greatest,
        started: None,
    };
    let Some(entry) = face.entry else { return Ok((cell, None)) };
    match objects::read(tx, root, key, entry.size, &entry.hash)? {
        Some(data) => {
            cell.entry = Some(Arc::new(entry_of(entry, data)));
            Ok((cell, None))
        }
        None => Ok((cell, Some(damaged(root, "not what was written")))),
    }
}

fn damaged(root: &Root, what: &str) -> Error {
    Error::new(Code::Damaged, format!("the stored value is {what}"))
        .with_path(root.path().join(".forebay/index"))
        .with_hint("the next refresh or put replaces it")
}

fn entry_of(face: EntryFace, data: Vec<u8>) -> Entry {
    Entry {
        data: data.into_boxed_slice(),
        stored_ns: face.stored_ns,
        validator: face.validator.map(Into::into),
        extra: face.extra.map(Into::into),
        version: Version(Kind::Token(face.token)),
        token: Some(face.token),
        lifetime: Lifetime {
            ttl: face.ttl_ms.map(Duration::from_millis),
            max_stale: face.max_stale_ms.map(Duration::from_millis),
            own_ttl: face.ttl_own,
            own_max_stale: face.max_stale_own,
        },
    }
}

/// Writes the cell; its value only where it is another than `before`.
pub(super) fn save(
    tx: &mut dyn Write,
    root: &Root,
    key: &[u8],
    cell: &Cell,
    before: Option<&Arc<Entry>>,
) -> Result<()> {
    // A cell that says nothing needs no room: a token given later is greater all the same, because time has gone on.
    if cell.entry.is_none() && cell.notice.is_none() && cell.lease.is_none() && cell.gate.is_none() {
        tx.delete(Table::Value, key)?;
        return tx.delete(Table::Cell, key);
    }
    let same = |entry: &Arc<Entry>| before.is_some_and(|before| Arc::ptr_eq(before, entry));
    let hash = |entry: &Entry| blake3::hash(&entry.data).to_hex().to_string();
    let entry = cell.entry.as_ref().map(|entry| (entry, hash(entry)));
    match &entry {
        Some((entry, _)) if same(entry) => {}
        Some((entry, hash)) => objects::write(tx, root, key, &entry.data, hash)?,
        None => tx.delete(Table::Value, key)?,
    }
    let face = Face {
        v: 1,
        entry: entry.map(|(entry, hash)| EntryFace {
            size: entry.data.len() as u64,
            hash,
            stored_ns: entry.stored_ns,
            token: entry.token.unwrap_or(0),
            validator: entry.validator.as_deref().map(str::to_owned),
            extra: entry.extra.as_deref().map(str::to_owned),
            ttl_ms: ms(entry.lifetime.ttl),
            max_stale_ms: ms(entry.lifetime.max_stale),
            ttl_own: entry.lifetime.own_ttl,
            max_stale_own: entry.lifetime.own_max_stale,
        }),
        notice: cell.notice,
        lease: cell.lease.clone(),
        gate: cell.gate.clone(),
        greatest: cell.greatest,
    };
    let bytes = serde_json::to_vec(&face)
        .map_err(|error| Error::new(Code::Invalid, format!("cannot be written as JSON: {error}")))?;
    tx.put(Table::Cell, key, &bytes)
}
