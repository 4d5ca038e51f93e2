//! What these tests share: roots, sources, and files written by hand as another process would leave them.

use forebay::{
    AcquireOptions, Acquired, Cache, CacheOptions, Clock, Commit, Durability, ManualClock, Source, Ticket,
};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value as Json, json};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

pub const KEY: &str = "api/models";
pub const HOUR: Duration = Duration::from_secs(3600);
/// Where a test would hang without it. No test waits for it to pass.
pub const HANG: Duration = Duration::from_secs(60);
/// Where manual clocks begin.
pub const NOW: i64 = 1_778_493_600_000_000_000;

/// A root of a test's own.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// Another handle, as another process would have.
    pub fn open(&self) -> Cache {
        self.options().open().unwrap()
    }

    pub fn options(&self) -> CacheOptions {
        CacheOptions::new().root(self.root()).durability(Durability::None)
    }

    pub fn manual(&self) -> (Cache, ManualClock) {
        let (clock, hands) = Clock::manual(NOW);
        (self.options().clock(clock).open().unwrap(), hands)
    }

    /// The source of [`KEY`] with a ttl of an hour, by a handle of its own.
    pub fn source(&self) -> Source {
        self.open().source(KEY).ttl(HOUR)
    }

    /// One of the key's files.
    pub fn file(&self, ending: &str) -> PathBuf {
        self.root().join("api").join(format!("models.{ending}"))
    }

    pub fn json(&self, ending: &str) -> Json {
        serde_json::from_slice(&std::fs::read(self.file(ending)).unwrap()).unwrap()
    }

    /// Puts bytes in the place of one of the key's files by a rename, as every writer does.
    pub fn place(&self, ending: &str, bytes: &[u8]) {
        let temporary = self.0.path().join("by-hand");
        std::fs::write(&temporary, bytes).unwrap();
        std::fs::rename(temporary, self.file(ending)).unwrap();
    }

    /// The names in the key's folder.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root().join("api")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Every file below the root with its content, to see that nothing was written.
    pub fn snapshot(&self) -> Vec<(PathBuf, u64, Vec<u8>)> {
        let mut all = Vec::new();
        collect(&self.root(), &mut all);
        all.sort();
        all
    }
}

fn collect(folder: &Path, all: &mut Vec<(PathBuf, u64, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, all);
        } else {
            let ino = path.metadata().unwrap().ino();
            let bytes = std::fs::read(&path).unwrap();
            all.push((path, ino, bytes));
        }
    }
}

/// The lease, whatever gate there is.
pub fn lease(source: &Source) -> Ticket {
    match acquire(source) {
        Acquired::Ticket(ticket) => ticket,
        other => panic!("no lease: {other:?}"),
    }
}

pub fn acquire(source: &Source) -> Acquired {
    source.acquire(&AcquireOptions { override_gate: true, ..AcquireOptions::default() }).unwrap()
}

pub fn put(source: &Source, text: &str) {
    source.put(text, &Commit::default()).unwrap();
}

pub fn text(source: &Source) -> Option<String> {
    source.read().unwrap().data().map(|data| String::from_utf8(data.to_vec()).unwrap())
}

pub fn validated(validator: &str) -> Commit {
    Commit { validator: Some(validator.to_owned()), ..Commit::default() }
}

/// What a record says of a file, as `fstat` gives it.
pub fn record(path: &Path, token: u64) -> Json {
    let stat = path.metadata().unwrap();
    let mtime_ns = stat.mtime() * 1_000_000_000 + stat.mtime_nsec();
    json!({
        "size": stat.size(),
        "mtime_ns": mtime_ns.to_string(),
        "ino": stat.ino().to_string(),
        "hash": blake3::hash(&std::fs::read(path).unwrap()).to_hex().to_string(),
        "token": token.to_string(),
    })
}

/// A file at `path`, locked as its writer would hold it.
pub fn locked(path: &Path, bytes: &[u8]) -> File {
    let mut file = File::create(path).unwrap();
    flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// A marker as a process of this boot and these namespaces writes it.
pub fn marker_of(place: &Place) -> Json {
    let ticket = lease(&place.source());
    let marker = place.json("refreshing");
    ticket.fail(&forebay::Failure::new(forebay::Code::Io, "only a look at its marker")).unwrap();
    std::fs::remove_file(place.file("gate")).unwrap();
    marker
}

/// The process of that pid has ended, and was waited for: nobody has the pid.
pub fn dead_pid() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    pid
}

/// What a test that needs more than it was given says: with `CI=true` that is a failure, else one line.
pub fn not_run(what: &str, needs: &str) {
    let line = format!("not run: {what}: it needs {needs}");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{line}");
    // Tests' output is captured; this goes to whoever looks at the run.
    let _ = writeln!(std::io::stderr(), "{line}");
}
