//! What the tests of faults share: the actor run with a fault, and what must hold after it.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod accounts;

use forebay::{AcquireOptions, Acquired, Cache, CacheOptions, Code, Commit, State};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub const KEY: &str = "api/models";
/// More calls than any operation makes.
pub const ENDLESS: u32 = 2000;

/// Runs the actor with a script and faults, as variables of its environment. Its answers, and whether it survived.
pub fn act(root: &Path, script: &[&str], faults: &[(&str, String)]) -> (Vec<String>, bool) {
    act_with(root, &[], script, faults)
}

/// The same, with options of the actor.
pub fn act_with(
    root: &Path,
    options: &[&str],
    script: &[&str],
    faults: &[(&str, String)],
) -> (Vec<String>, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forebay-actor"));
    command
        .arg("--root")
        .arg(root)
        .args(options)
        .arg("ready")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.envs(faults.iter().map(|(name, value)| (*name, value.as_str())));
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in script {
        // A dead actor reads no more.
        let _ = writeln!(input, "{line}");
    }
    drop(input);
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    let survived = child.wait().unwrap().success();
    (output.lines().skip(1).map(str::to_owned).collect(), survived)
}

/// A folder for roots, in memory where there is such a file system: thousands of deaths need no disk.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

pub fn open(root: &Path) -> Cache {
    CacheOptions::new().root(root).sweep_age(Duration::ZERO).open().unwrap()
}

pub fn text(cache: &Cache) -> Option<String> {
    let value = cache.source(KEY).ttl(Duration::from_secs(3600)).read().unwrap();
    assert!(
        value.error.as_ref().is_none_or(|error| error.code() != Code::Damaged),
        "a death damaged the value: {:?}",
        value.error
    );
    assert!(
        value.entry.as_ref().is_none_or(|entry| entry.token.is_some()),
        "a death left a value of ours without its description"
    );
    value.data().map(|data| String::from_utf8(data.to_vec()).unwrap())
}

pub fn files(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root.join("api"))
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// The next process refreshes at once, and prune leaves nothing but the value and its description.
pub fn heals(root: &Path, context: &str) {
    let cache = open(root);
    let source = cache.source(KEY).ttl(Duration::from_secs(3600));
    let ticket = match source.acquire(&AcquireOptions { override_gate: true, ..Default::default() }).unwrap()
    {
        Acquired::Ticket(ticket) => ticket,
        other => panic!("{context}: the next one did not get the lease: {other:?}"),
    };
    ticket.complete("healed", &Commit::default()).unwrap();
    let value = source.read().unwrap();
    assert_eq!((value.data(), value.state), (Some(&b"healed"[..]), State::Fresh), "{context}");
    cache.prune(&[source.key().unwrap().clone()]).unwrap();
    assert_eq!(files(root), ["models.json", "models.meta"], "{context}: litter");
    let control = std::fs::read_dir(root.join(".forebay")).unwrap();
    let litter: Vec<_> =
        control.map(|e| e.unwrap().file_name()).filter(|n| n.to_string_lossy().starts_with('.')).collect();
    // What a death while a root was being set up leaves is not a key's, and small; it is bounded by that death.
    assert!(litter.len() <= 2, "{context}: {litter:?}");
}
