//! The graph of derived results in its tables: what each is built on, the current version of all that, and from
//! there back to the results. A result is valid while every version that it was built on is the current one, and
//! every result that it was built on is valid; so an invalidation is one number, whatever hangs on it, and removing
//! what it made invalid comes after.

use super::input::{Input, LiveKey, Workspace};
use super::print::Print;
use super::told::path_rows;
use crate::error::Result;
use crate::fs::root::Root;
use crate::stamp::Nanos;
use crate::store::index::objects;
use crate::store::index::tables::{Read, Table, Write};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet};
use xxhash_rust::xxh3::xxh3_128;

const BYTES: &[u8] = b"bytes";
const RESULTS: &[u8] = b"results";

pub(crate) type Node = [u8; 32];

/// A derived result as it is kept, without its bytes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) v: u32,
    pub(crate) kind: String,
    pub(crate) hash: String,
    pub(crate) size: u64,
    pub(crate) computed_ns: Nanos,
    pub(crate) inputs: Vec<Row>,
    /// The results that it was built on, and their versions then.
    pub(crate) upstreams: Vec<(String, u64)>,
}

/// One input of a record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// As [`Input::escaped`] writes it.
    pub(crate) input: String,
    /// The version of its node when it was looked at.
    pub(crate) version: u64,
    pub(crate) print: Print,
}

impl Row {
    pub(crate) fn input(&self) -> Option<Input> {
        Input::unescape(&self.input)
    }
}

impl Record {
    pub(crate) fn upstream_keys(&self) -> impl Iterator<Item = (LiveKey, u64)> {
        self.upstreams.iter().filter_map(|(key, version)| Some((LiveKey::parse(key).ok()?, *version)))
    }

    /// The nodes that it is built on, with their versions.
    pub(super) fn nodes(&self) -> Vec<(Node, u64)> {
        let inputs = self.inputs.iter().filter_map(|row| Some((row.input()?.node(), row.version)));
        inputs.chain(self.upstream_keys().map(|(key, version)| (key.0, version))).collect()
    }
}

/// Why a result does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    /// It is not there.
    Missing,
    /// This input was told to have changed.
    Input(Input),
    /// This result is not what it was, or does not hold itself.
    Upstream(LiveKey),
}

/// The bytes of a result stand under its key, so named that no other record's do.
fn value_key(key: &LiveKey) -> Vec<u8> {
    [b"live:".as_slice(), &key.0].concat()
}

pub(crate) fn record(tx: &dyn Read, key: &LiveKey) -> Result<Option<Record>> {
    let bytes = tx.get(Table::Derived, &key.0)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

pub(crate) fn version(tx: &dyn Read, node: &Node) -> Result<u64> {
    tx.number(Table::Node, node)
}

fn move_on(tx: &mut dyn Write, node: &Node) -> Result<()> {
    let next = version(tx, node)? + 1;
    tx.put_number(Table::Node, node, next)
}

/// What keeps a result from holding, if anything does. `seen` spares looking at one twice, and ends cycles: a cycle
/// holds as long as nothing in it fails.
pub(crate) fn flaw(tx: &dyn Read, key: &LiveKey, seen: &mut HashMap<LiveKey, bool>) -> Result<Option<Flaw>> {
    match record(tx, key)? {
        Some(found) => flaw_of(tx, key, &found, seen),
        None => Ok(Some(Flaw::Missing)),
    }
}

/// The same of a result whose record is known.
pub(crate) fn flaw_of(
    tx: &dyn Read,
    key: &LiveKey,
    found: &Record,
    seen: &mut HashMap<LiveKey, bool>,
) -> Result<Option<Flaw>> {
    seen.insert(*key, true);
    for row in &found.inputs {
        let Some(input) = row.input() else { return Ok(Some(Flaw::Missing)) };
        if version(tx, &input.node())? != row.version {
            return Ok(Some(Flaw::Input(input)));
        }
    }
    for (upstream, then) in found.upstream_keys() {
        let holds = version(tx, &upstream.0)? == then && upstream_holds(tx, &upstream, seen)?;
        if !holds {
            return Ok(Some(Flaw::Upstream(upstream)));
        }
    }
    Ok(None)
}

fn upstream_holds(tx: &dyn Read, key: &LiveKey, seen: &mut HashMap<LiveKey, bool>) -> Result<bool> {
    // Iterative: chains may be long.
    let mut left = vec![*key];
    while let Some(key) = left.pop() {
        if let Some(holds) = seen.get(&key) {
            if *holds {
                continue;
            }
            return Ok(false);
        }
        seen.insert(key, true);
        let Some(found) = record(tx, &key)? else {
            seen.insert(key, false);
            return Ok(false);
        };
        for (node, then) in found.nodes() {
            if version(tx, &node)? != then {
                seen.insert(key, false);
                return Ok(false);
            }
        }
        left.extend(found.upstream_keys().map(|(key, _)| key));
    }
    Ok(true)
}

/// All that the result is built on, directly and not, without itself.
pub(crate) fn ancestors(tx: &dyn Read, key: &LiveKey, of: &Record) -> Result<Vec<(LiveKey, Record)>> {
    let (mut seen, mut found) = (HashSet::from([*key]), Vec::new());
    let mut left: Vec<LiveKey> =
        of.upstream_keys().map(|(key, _)| key).filter(|key| seen.insert(*key)).collect();
    while let Some(key) = left.pop() {
        let Some(record) = record(tx, &key)? else { continue };
        left.extend(record.upstream_keys().map(|(key, _)| key).filter(|key| seen.insert(*key)));
        found.push((key, record));
    }
    Ok(found)
}

pub(super) fn linked(tx: &dyn Read, node: &Node) -> Result<Vec<LiveKey>> {
    let keys = tx.below(Table::Link, node)?;
    Ok(keys.into_iter().filter_map(|key| key.try_into().ok().map(LiveKey)).collect())
}

fn is_linked(tx: &dyn Read, node: &Node) -> Result<bool> {
    let mut found = false;
    tx.scan(Table::Link, node, &mut |_, _| {
        found = true;
        Ok(false)
    })?;
    Ok(found)
}

/// All results built on these nodes, directly and not: the nearer ones first, those equally near in the order of
/// their keys, so that what lies together in the tables is changed together.
pub(crate) fn dependents(tx: &dyn Read, of: &[Node]) -> Result<Vec<LiveKey>> {
    let mut seen: HashSet<LiveKey> = HashSet::new();
    let mut level: Vec<Node> = of.to_vec();
    let mut found = Vec::new();
    while !level.is_empty() {
        let mut next = Vec::new();
        for node in &level {
            next.extend(linked(tx, node)?.into_iter().filter(|key| seen.insert(*key)));
        }
        next.sort_unstable();
        level = next.iter().map(|key| key.0).collect();
        found.append(&mut next);
    }
    Ok(found)
}

/// The results built on these nodes directly.
pub(crate) fn direct(tx: &dyn Read, of: &[Node]) -> Result<BTreeSet<LiveKey>> {
    let mut found = BTreeSet::new();
    for node in of {
        found.extend(linked(tx, node)?);
    }
    Ok(found)
}

/// Says that something changed: nothing built on it holds any more.
pub(crate) fn invalidate(tx: &mut dyn Write, nodes: &[Node]) -> Result<()> {
    nodes.iter().try_for_each(|node| move_on(tx, node))
}

/// Keeps a result: its record, its bytes, and the ways from what it is built on. Whether its bytes are others than
/// before, so that nothing built on it holds any more.
pub(crate) fn keep(
    tx: &mut dyn Write,
    root: &Root,
    workspace: &Workspace,
    key: &LiveKey,
    new: &Record,
    data: &[u8],
) -> Result<bool> {
    let old = record(tx, key)?;
    if let Some(old) = &old {
        unlink(tx, workspace, key, old)?;
    }
    let changed = old.as_ref().is_some_and(|old| old.hash != new.hash);
    if changed {
        move_on(tx, &key.0)?;
    }
    objects::write(tx, root, &value_key(key), data, &new.hash)?;
    for (node, _) in new.nodes() {
        tx.put(Table::Link, &[node, key.0].concat(), &[])?;
    }
    for input in new.inputs.iter().filter_map(Row::input) {
        for row in path_rows(workspace, &input) {
            tx.put(Table::Path, &row, input.escaped().as_bytes())?;
        }
    }
    let bytes = serde_json::to_vec(new).unwrap_or_default();
    tx.put(Table::Derived, &key.0, &bytes)?;
    count(tx, old.map_or((0, 0), |old| (1, old.size)), (1, new.size))?;
    touch(tx, key, new.computed_ns)?;
    Ok(changed)
}

/// The bytes of a result, if they are what was written.
pub(crate) fn data(tx: &dyn Read, root: &Root, key: &LiveKey, record: &Record) -> Result<Option<Vec<u8>>> {
    objects::read(tx, root, &value_key(key), record.size, &record.hash)
}

/// Results and bytes that are gone, and that are new.
fn count(tx: &mut dyn Write, less: (u64, u64), more: (u64, u64)) -> Result<()> {
    for (name, less, more) in [(RESULTS, less.0, more.0), (BYTES, less.1, more.1)] {
        let number = tx.number(Table::Meta, name)?.saturating_sub(less).saturating_add(more);
        tx.put_number(Table::Meta, name, number)?;
    }
    Ok(())
}

/// How many results there are.
pub(crate) fn results(tx: &dyn Read) -> Result<u64> {
    tx.number(Table::Meta, RESULTS)
}

pub(crate) fn bytes(tx: &dyn Read) -> Result<u64> {
    tx.number(Table::Meta, BYTES)
}

/// Says that a result was used.
pub(crate) fn touch(tx: &mut dyn Write, key: &LiveKey, now: Nanos) -> Result<()> {
    put_used(tx, key, u64::try_from(now).unwrap_or(0))
}

/// The same with the number that is kept.
pub(crate) fn put_used(tx: &mut dyn Write, key: &LiveKey, used: u64) -> Result<()> {
    tx.put_number(Table::Used, &key.0, used)
}

/// Takes away the ways to a result; the paths of inputs that nothing else is built on too.
fn unlink(tx: &mut dyn Write, workspace: &Workspace, key: &LiveKey, record: &Record) -> Result<()> {
    for (node, _) in record.nodes() {
        tx.delete(Table::Link, &[node, key.0].concat())?;
    }
    for input in record.inputs.iter().filter_map(Row::input) {
        if !is_linked(tx, &input.node())? {
            for row in path_rows(workspace, &input) {
                tx.delete(Table::Path, &row)?;
            }
        }
    }
    Ok(())
}

/// Removes a result; whether it was there. What is built on it does not hold any more.
pub(crate) fn remove(tx: &mut dyn Write, workspace: &Workspace, key: &LiveKey) -> Result<bool> {
    let Some(record) = record(tx, key)? else { return Ok(false) };
    remove_known(tx, workspace, key, &record)?;
    count(tx, (1, record.size), (0, 0))?;
    Ok(true)
}

fn remove_known(tx: &mut dyn Write, workspace: &Workspace, key: &LiveKey, record: &Record) -> Result<()> {
    unlink(tx, workspace, key, record)?;
    tx.delete(Table::Derived, &key.0)?;
    tx.delete(Table::Value, &value_key(key))?;
    tx.delete(Table::Used, &key.0)?;
    move_on(tx, &key.0)
}

/// A result that did not hold, and the hash of its record then; without it, one that is to be looked at anew.
pub(crate) type Fallen = (LiveKey, Option<u128>);

/// Those built on these nodes, directly and not, that do not hold.
pub(crate) fn fallen(tx: &dyn Read, of: &[Node]) -> Result<Vec<Fallen>> {
    let (mut found, mut ended): (Vec<Fallen>, HashSet<LiveKey>) = (Vec::new(), HashSet::new());
    for key in dependents(tx, of)? {
        let Some(bytes) = tx.get(Table::Derived, &key.0)? else { continue };
        let Ok(record) = serde_json::from_slice::<Record>(&bytes) else { continue };
        // The nearer ones come first, so mostly this tells without a walk.
        let mut ends = record.upstream_keys().any(|(upstream, _)| ended.contains(&upstream));
        ends = ends || flaw_of(tx, &key, &record, &mut HashMap::new())?.is_some();
        if ends {
            ended.insert(key);
            found.push((key, Some(xxh3_128(&bytes))));
        }
    }
    Ok(found)
}

/// Removes these, unless they hold; how many. Where all are known by their hashes, those that lie together in the tables
/// should come together.
pub(crate) fn remove_fallen(tx: &mut dyn Write, workspace: &Workspace, of: &[Fallen]) -> Result<u64> {
    let (mut removed, mut bytes) = (0, 0);
    for (key, then) in of {
        let Some(now) = tx.get(Table::Derived, &key.0)? else { continue };
        let Ok(found) = serde_json::from_slice::<Record>(&now) else { continue };
        // One that was computed anew meanwhile may hold; what did not hold, and is the same, does not.
        if *then == Some(xxh3_128(&now)) || flaw_of(tx, key, &found, &mut HashMap::new())?.is_some() {
            remove_known(tx, workspace, key, &found)?;
            bytes += found.size;
            removed += 1;
        }
    }
    count(tx, (removed, bytes), (0, 0))?;
    Ok(removed)
}

/// Writes a record anew whose links and bytes are the same.
pub(crate) fn rewrite(tx: &mut dyn Write, key: &LiveKey, record: &Record) -> Result<()> {
    let bytes = serde_json::to_vec(record).unwrap_or_default();
    tx.put(Table::Derived, &key.0, &bytes)
}

/// All results, with when each was last used.
pub(crate) fn all(tx: &dyn Read) -> Result<Vec<(LiveKey, Record, u64)>> {
    let mut found = Vec::new();
    tx.scan(Table::Derived, b"", &mut |key, bytes| {
        if let (Ok(key), Ok(record)) = (key.try_into(), serde_json::from_slice::<Record>(bytes)) {
            found.push((LiveKey(key), record, 0));
        }
        Ok(true)
    })?;
    for (key, _, used) in &mut found {
        *used = tx.number(Table::Used, &key.0)?;
    }
    Ok(found)
}

/// All results, by when they were last used: what goes first comes first.
pub(crate) fn by_use(tx: &dyn Read) -> Result<Vec<(u64, LiveKey)>> {
    let mut found = Vec::new();
    tx.scan(Table::Used, b"", &mut |key, used| {
        if let (Ok(key), Ok(used)) = (key.try_into(), used.try_into()) {
            found.push((u64::from_be_bytes(used), LiveKey(key)));
        }
        Ok(true)
    })?;
    found.sort_unstable();
    Ok(found)
}

/// When the result, or anything that is built on it, was last used.
pub(crate) fn used_with_dependents(tx: &dyn Read, key: &LiveKey) -> Result<u64> {
    let mut latest = tx.number(Table::Used, &key.0)?;
    for dependent in dependents(tx, &[key.0])? {
        latest = latest.max(tx.number(Table::Used, &dependent.0)?);
    }
    Ok(latest)
}

/// All results that do not hold, what others are built on first.
pub(crate) fn flawed(tx: &dyn Read) -> Result<Vec<LiveKey>> {
    let mut found = Vec::new();
    tx.scan(Table::Derived, b"", &mut |key, bytes| {
        let Ok(key) = key.try_into().map(LiveKey) else { return Ok(true) };
        let Ok(record) = serde_json::from_slice::<Record>(bytes) else { return Ok(true) };
        let mut holds = record.inputs.iter().all(|row| row.input().is_some());
        for (node, then) in record.nodes() {
            holds = holds && version(tx, &node)? == then;
        }
        for (upstream, _) in record.upstream_keys() {
            holds = holds && tx.get(Table::Derived, &upstream.0)?.is_some();
        }
        if !holds {
            found.push(key);
        }
        Ok(true)
    })?;
    let nodes: Vec<Node> = found.iter().map(|key| key.0).collect();
    let known: HashSet<LiveKey> = found.iter().copied().collect();
    found.extend(dependents(tx, &nodes)?.into_iter().filter(|key| !known.contains(key)));
    Ok(found)
}

/// Forgets the versions of what nothing is built on, and ways to it: links between folders may have changed since they
/// were made. How many versions.
pub(crate) fn forget_nodes(tx: &mut dyn Write) -> Result<usize> {
    let mut free = Vec::new();
    for node in tx.below(Table::Node, b"")? {
        if let Ok(node) = Node::try_from(node)
            && !is_linked(tx, &node)?
        {
            free.push(node);
        }
    }
    for node in &free {
        tx.delete(Table::Node, node)?;
    }
    for row in tx.below(Table::Path, b"")? {
        if !row.last_chunk::<32>().is_some_and(|node| is_linked(tx, node).unwrap_or(true)) {
            tx.delete(Table::Path, &row)?;
        }
    }
    Ok(free.len())
}
