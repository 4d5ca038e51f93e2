//! `Told`: what was said to have changed: a path, a tag, a result. It finds the nodes that this concerns, by the
//! paths of inputs, also of folders and patterns that hold the path; and the last few are kept, so that a
//! computation that was under way meanwhile is refused though nothing of it is in the graph yet.

use super::graph::{self, Node, Record};
use super::input::{Input, LiveKey, Workspace};
use super::print::{Print, matcher_of};
use crate::error::Result;
use crate::store::index::tables::{Read, Table, Write};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How many of the last ones are kept: a computation that saw more of them pass is refused.
const KEPT: u64 = 256;
/// Paths longer than this are kept by their beginning and a hash.
const LONGEST_PATH: usize = 400;
const LAST: &[u8] = b"told";

/// Something that was said to have changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// The names of a path, as [`Workspace::names`] gives them.
    Path(Vec<Vec<u8>>),
    Tag(String),
    Result(LiveKey),
    /// Versions that nothing was built on were forgotten, so a computation's may stand for another now.
    Forgotten,
}

impl Told {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Told::Path(names) => [b"p".as_slice(), &names.join(&0)].concat(),
            Told::Tag(name) => [b"t", name.as_bytes()].concat(),
            Told::Result(key) => [b"k".as_slice(), &key.0].concat(),
            Told::Forgotten => b"f".to_vec(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Told> {
        let (kind, rest) = bytes.split_first()?;
        match kind {
            b'p' => Some(Told::Path(rest.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())),
            b't' => Some(Told::Tag(String::from_utf8_lossy(rest).into_owned())),
            b'k' => Some(Told::Result(LiveKey(rest.try_into().ok()?))),
            b'f' => Some(Told::Forgotten),
            _ => None,
        }
    }

    /// The nodes that it concerns.
    pub(super) fn nodes(&self, tx: &dyn Read, workspace: &Workspace) -> Result<Vec<Node>> {
        match self {
            Told::Path(names) => nodes_of_path(tx, workspace, names),
            Told::Tag(name) => Ok(vec![Input::Tag(name.clone()).node()]),
            Told::Result(key) => Ok(vec![key.0]),
            Told::Forgotten => Ok(Vec::new()),
        }
    }

    /// Whether a computation of `key`, whose record this would be, must not be kept after it.
    fn concerns(&self, workspace: &Workspace, key: &LiveKey, record: &Record) -> bool {
        let mut inputs = record.inputs.iter().filter_map(|row| row.input());
        match self {
            Told::Path(names) => inputs.any(|input| may_be_of(workspace, &input, names)),
            Told::Tag(name) => inputs.any(|input| matches!(input, Input::Tag(own) if own == *name)),
            Told::Result(of) => of == key || record.upstream_keys().any(|(upstream, _)| upstream == *of),
            Told::Forgotten => {
                !record.upstreams.is_empty() || inputs.any(|input| matches!(input, Input::Tag(_)))
            }
        }
    }
}

/// How many things were told so far.
pub(super) fn count(tx: &dyn Read) -> Result<u64> {
    tx.number(Table::Meta, LAST)
}

fn row(number: u64) -> Vec<u8> {
    [b"told.".as_slice(), &number.to_be_bytes()].concat()
}

/// Keeps it for the computations that are under way.
pub(super) fn tell(tx: &mut dyn Write, told: &Told) -> Result<()> {
    let number = count(tx)? + 1;
    tx.put_number(Table::Meta, LAST, number)?;
    tx.put(Table::Meta, &row(number), &told.to_bytes())?;
    tx.delete(Table::Meta, &row(number.saturating_sub(KEPT)))
}

/// Whether something was told after the first `then` that a computation of the record must not outlive.
pub(super) fn since(
    tx: &dyn Read,
    then: u64,
    workspace: &Workspace,
    key: &LiveKey,
    record: &Record,
) -> Result<bool> {
    let now = count(tx)?;
    if now < then || now - then > KEPT {
        return Ok(true);
    }
    for number in then + 1..=now {
        let told = tx.get(Table::Meta, &row(number))?.and_then(|bytes| Told::from_bytes(&bytes));
        if told.is_none_or(|told| told.concerns(workspace, key, record)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn path_of(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}

/// Whether `name` is the folder, or is below it. The empty name is the workspace: all that is not absolute.
pub(super) fn is_in(name: &[u8], folder: &[u8]) -> bool {
    if folder.is_empty() {
        return !name.starts_with(b"/");
    }
    path_of(name).starts_with(path_of(folder))
}

/// Whether a path of those names can be of the input: rather once too often.
fn may_be_of(workspace: &Workspace, input: &Input, told: &[Vec<u8>]) -> bool {
    let own = names_of(workspace, input);
    let holds = matches!(input, Input::Glob(_) | Input::Directory(_));
    own.iter().any(|own| told.iter().any(|told| is_in(own, told) || (holds && is_in(told, own))))
}

/// The names under which the input is found: those of its path, or of the folder where its pattern begins.
fn names_of(workspace: &Workspace, input: &Input) -> Vec<Vec<u8>> {
    match input {
        Input::Glob(pattern) => {
            let wild = |part: &&str| part.contains(['*', '?', '[', '{']);
            let base: Vec<&str> = pattern.split('/').take_while(|part| !wild(part)).collect();
            // A pattern without any wildcard is a path itself.
            let rooted = pattern.starts_with('/') && base.len() <= 1;
            let base = if rooted { "/".to_owned() } else { base.join("/") };
            workspace.names(Path::new(&base))
        }
        other => other.path().map(|path| workspace.names(path)).unwrap_or_default(),
    }
}

/// The inputs that name the path, or something below it; and the folders and patterns that it is in.
fn nodes_of_path(tx: &dyn Read, workspace: &Workspace, names: &[Vec<u8>]) -> Result<Vec<Node>> {
    let mut nodes = BTreeSet::new();
    for name in names {
        // The workspace itself: all that is in it, which is all that is not absolute.
        let everything = name.is_empty();
        let mut below = name.clone();
        if !name.ends_with(b"/") {
            below.push(b'/');
        }
        // Of a long path only its beginning: a wider search, never a narrower one.
        below.truncate(LONGEST_PATH - 32);
        let prefix = if everything { Vec::new() } else { below };
        for prefix in [[cut(name).as_slice(), &[0]].concat(), prefix] {
            tx.scan(Table::Path, &prefix, &mut |key, _| {
                if !(everything && key.starts_with(b"/")) {
                    nodes.extend(key.last_chunk::<32>().copied());
                }
                Ok(true)
            })?;
        }
        for folder in path_of(name).ancestors().skip(1) {
            let folder = folder.as_os_str().as_bytes();
            let mut found = Vec::new();
            tx.scan(Table::Path, &[cut(folder).as_slice(), &[0]].concat(), &mut |key, input| {
                let input = std::str::from_utf8(input).ok().and_then(Input::unescape);
                found.extend(key.last_chunk::<32>().copied().zip(input));
                Ok(true)
            })?;
            for (node, input) in found {
                if holds(tx, workspace, &node, &input, name, folder)? {
                    nodes.insert(node);
                }
            }
        }
    }
    Ok(nodes.into_iter().collect())
}

/// Whether an input at that folder above the path takes it in.
fn holds(
    tx: &dyn Read,
    workspace: &Workspace,
    node: &Node,
    input: &Input,
    name: &[u8],
    folder: &[u8],
) -> Result<bool> {
    let path = path_of(name);
    match input {
        Input::Directory(_) => Ok(path.parent() == Some(path_of(folder))),
        Input::Glob(pattern) => {
            // A folder may hold what matches; one that is gone held what was recorded of it.
            let matches = matcher_of(pattern).is_ok_and(|matcher| matcher.is_match(path));
            if matches || workspace.absolute(path).is_dir() {
                return Ok(true);
            }
            Ok(!workspace.absolute(path).exists() && recorded_below(tx, node, input, path)?)
        }
        _ => Ok(false),
    }
}

/// Whether files below the path matched when a result was built on the pattern.
fn recorded_below(tx: &dyn Read, node: &Node, input: &Input, path: &Path) -> Result<bool> {
    let text = input.escaped();
    for key in graph::linked(tx, node)? {
        let Some(record) = graph::record(tx, &key)? else { continue };
        for row in record.inputs.iter().filter(|row| row.input == text) {
            let Print::Files(files) = &row.print else { continue };
            let below = |name: &str| matches!(Input::unescape(name), Some(Input::File(file)) if file.starts_with(path));
            if files.iter().any(|(name, _)| below(name)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A path as the beginning of a key: a long one by its beginning and its hash.
fn cut(path: &[u8]) -> Vec<u8> {
    if path.len() <= LONGEST_PATH {
        return path.to_vec();
    }
    [&path[..LONGEST_PATH - 32], blake3::hash(path).as_bytes()].concat()
}

/// The keys by which an input is found from its paths.
pub(super) fn path_rows(workspace: &Workspace, input: &Input) -> Vec<Vec<u8>> {
    let node = input.node();
    let names = names_of(workspace, input);
    names.into_iter().map(|name| [cut(&name).as_slice(), &[0], &node].concat()).collect()
}
