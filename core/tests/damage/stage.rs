//! `Stage`: a root with two entries, one kind of file damaged in it, and what must hold then.

use forebay::{
    AcquireOptions, Acquired, Cache, CacheOptions, Clock, Code, Commit, Durability, Error, Failure,
    RefreshOptions, Result, Source, State, Value,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const KEY: &str = "api/models";
const OTHER: &str = "api/other";
const TEXT: &str = "what was stored under the key";
const OTHER_TEXT: &str = "what was stored beside it";
const HEALED: &str = "what the next refresh brings";
const HOUR: Duration = Duration::from_secs(3600);
const NOW: i64 = 1_778_493_600_000_000_000;
/// No lease that a damaged marker may seem to name lasts until then.
const LATER: i64 = NOW + 5 * 86_400_000_000_000;

/// Runs a test's body; one that hangs fails.
pub fn guarded(body: impl FnOnce() + Send + 'static) {
    let (tell, told) = channel();
    let thread = std::thread::spawn(move || {
        body();
        tell.send(()).unwrap();
    });
    match told.recv_timeout(Duration::from_secs(300)) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => thread.join().unwrap(),
    }
}

/// A kind of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Value,
    Meta,
    Notice,
    Marker,
    Gate,
    Format,
    Guard,
    Table,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::Value,
        Kind::Meta,
        Kind::Notice,
        Kind::Marker,
        Kind::Gate,
        Kind::Format,
        Kind::Guard,
        Kind::Table,
    ];
}

/// What may stand in a file's place.
#[derive(Clone, Copy, Debug)]
pub enum Thing {
    Nothing,
    Zeros,
    Random,
    Mebibyte,
    Folder,
    FullFolder,
    Link,
    DanglingLink,
    Fifo,
}

pub const THINGS: [Thing; 9] = [
    Thing::Nothing,
    Thing::Zeros,
    Thing::Random,
    Thing::Mebibyte,
    Thing::Folder,
    Thing::FullFolder,
    Thing::Link,
    Thing::DanglingLink,
    Thing::Fifo,
];

pub struct Stage(TempDir);

impl Stage {
    pub fn new() -> Stage {
        let stage = Stage(tempfile::tempdir().unwrap());
        std::fs::write(stage.0.path().join("outside"), "secret").unwrap();
        let cache = stage.open(NOW).unwrap();
        cache.source(OTHER).put(OTHER_TEXT, &Commit::default()).unwrap();
        stage
    }

    pub fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// A handle of its own, as the next process has.
    fn open(&self, wall_ns: i64) -> Result<Cache> {
        let (clock, _) = Clock::manual(wall_ns);
        CacheOptions::new().root(self.root()).durability(Durability::None).clock(clock).open()
    }

    pub fn source(&self) -> Source {
        self.open(NOW).unwrap().source(KEY).ttl(HOUR)
    }

    pub fn slot(&self) -> usize {
        self.source().key().unwrap().slot() as usize
    }

    pub fn path(&self, kind: Kind) -> PathBuf {
        let guard =
            format!(".forebay/guard/{:02x}", forebay::guard_of(forebay::Key::parse(KEY).unwrap().slot()));
        self.root().join(match kind {
            Kind::Value => "api/models.json",
            Kind::Meta => "api/models.meta",
            Kind::Notice => "api/models.stale",
            Kind::Marker => "api/models.refreshing",
            Kind::Gate => "api/models.gate",
            Kind::Format => ".forebay/format",
            Kind::Guard => &guard,
            Kind::Table => ".forebay/generations",
        })
    }

    /// A whole root again, with a file of that kind in it.
    pub fn make(&self, kind: Kind) {
        if kind == Kind::Format {
            std::fs::create_dir_all(self.root().join(".forebay")).unwrap();
            std::fs::write(self.path(Kind::Format), "{\"version\":1}\n").unwrap();
        }
        let source = self.source();
        let commit = Commit { validator: Some("\"v1\"".into()), ..Commit::default() };
        source.put(TEXT, &commit).unwrap();
        let ask = AcquireOptions { override_gate: true, ..AcquireOptions::default() };
        match kind {
            Kind::Notice => source.mark_stale().unwrap(),
            Kind::Marker | Kind::Gate => {
                let Acquired::Ticket(ticket) = source.acquire(&ask).unwrap() else { panic!("no lease") };
                if kind == Kind::Gate {
                    ticket.fail(&Failure::new(Code::RateLimited, "HTTP 429").retry_after(HOUR)).unwrap();
                }
                // Else dropped: an orphan.
            }
            _ => {}
        }
    }

    /// Writes into the file itself, and leaves its time as it was: what a failing disk does.
    pub fn damage(&self, kind: Kind, bytes: &[u8]) {
        let path = self.path(kind);
        let mtime = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, bytes).unwrap();
        // An unreadable marker is believed to be in the making for a second.
        let mtime = if kind == Kind::Marker { SystemTime::now() - HOUR } else { mtime };
        File::options().write(true).open(&path).unwrap().set_modified(mtime).unwrap();
    }

    pub fn replace(&self, kind: Kind, thing: Thing) {
        let path = self.path(kind);
        std::fs::remove_file(&path).unwrap();
        let bytes =
            |length: usize| (0..length).map(|at| blake3::hash(&at.to_le_bytes()).as_bytes()[0]).collect();
        let content: Option<Vec<u8>> = match thing {
            Thing::Nothing => None,
            Thing::Zeros => Some(vec![0; 300]),
            Thing::Random => Some(bytes(300)),
            Thing::Mebibyte => Some(bytes(1 << 20)),
            Thing::Folder | Thing::FullFolder => {
                std::fs::create_dir(&path).unwrap();
                if matches!(thing, Thing::FullFolder) {
                    std::fs::write(path.join("something"), "of somebody").unwrap();
                }
                None
            }
            Thing::Link | Thing::DanglingLink => {
                let to = if matches!(thing, Thing::Link) { "outside" } else { "nowhere" };
                std::os::unix::fs::symlink(self.0.path().join(to), &path).unwrap();
                None
            }
            Thing::Fifo => {
                mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
                None
            }
        };
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() - HOUR).unwrap();
        }
    }

    /// What must hold whatever was damaged.
    pub fn check(&self, kind: Kind, context: &str) {
        // The other's own files are whole, so it is read, or the root as a whole is refused with a reason.
        let cache = match self.open(NOW) {
            Ok(cache) => cache,
            Err(error) => return self.refused(kind, &error, context),
        };
        self.reads(&cache, kind, context);
        let outcome = self.refresh();
        match outcome {
            Ok(value) => {
                assert_eq!(value.data(), Some(HEALED.as_bytes()), "{context}: {:?}", value.how);
                let healed = self.open(LATER).unwrap().source(KEY).ttl(HOUR).read().unwrap();
                assert_eq!(
                    (healed.data(), healed.state),
                    (Some(HEALED.as_bytes()), State::Fresh),
                    "{context}"
                );
                assert!(healed.error.is_none(), "{context}: {:?}", healed.error);
            }
            Err(error) => self.refused(kind, &error, context),
        }
        let other = self.open(NOW).unwrap().source(OTHER).read().unwrap();
        assert_eq!(other.data(), Some(OTHER_TEXT.as_bytes()), "{context}");
        // What was outside stays as it was: no link was followed.
        assert_eq!(std::fs::read(self.0.path().join("outside")).unwrap(), b"secret", "{context}");
    }

    fn refresh(&self) -> Result<Value> {
        let source = self.open(LATER)?.source(KEY).ttl(HOUR);
        let options = RefreshOptions { override_gate: true, ..RefreshOptions::default() };
        source.refresh_with(options, |_| Ok::<_, std::io::Error>(HEALED))
    }

    /// Only the control files may make that a call is refused; then the error names the file and what to do.
    fn refused(&self, kind: Kind, error: &Error, context: &str) {
        assert!(matches!(kind, Kind::Format | Kind::Guard), "{context}: {error}");
        let path = error.path().unwrap_or(Path::new(""));
        let folder = self.root().join(".forebay");
        assert!(
            path.starts_with(&folder) && path.ends_with(self.path(kind).file_name().unwrap()),
            "{context}: {error}"
        );
    }

    fn reads(&self, cache: &Cache, kind: Kind, context: &str) {
        let other = cache.source(OTHER).ttl(HOUR).read().unwrap();
        assert_eq!(other.data(), Some(OTHER_TEXT.as_bytes()), "{context}");
        let source = cache.source(KEY).ttl(HOUR);
        let value = source.read().unwrap_or_else(|error| panic!("{context}: {error}"));
        self.sound(&value, kind, context);
        let mut reader = source.reader();
        let read = reader.read().unwrap();
        assert_eq!(read.data(), value.data(), "{context}");
        self.sound(&reader.value().unwrap(), kind, context);
        source.refresh_state().unwrap_or_else(|error| panic!("{context}: {error}"));
        source.why().unwrap_or_else(|error| panic!("{context}: {error}"));
        let listed = cache.list().unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(listed.iter().any(|listed| listed.key.to_string() == OTHER), "{context}");
    }

    /// What is served as ours is what was stored; what is missing is missing for a reason that names the file.
    fn sound(&self, value: &Value, kind: Kind, context: &str) {
        match &value.entry {
            Some(entry) if entry.token.is_some() => {
                assert_eq!(value.data(), Some(TEXT.as_bytes()), "{context}");
            }
            // Taken for somebody else's: only where the description or the bytes are no longer ours.
            Some(entry) => {
                assert!(matches!(kind, Kind::Value | Kind::Meta), "{context}: taken for foreign");
                assert_eq!(entry.validator, None, "{context}");
            }
            None if kind == Kind::Value && !self.path(kind).exists() => {}
            None => {
                let error = value.error.as_ref().unwrap_or_else(|| panic!("{context}: lost without a word"));
                assert_eq!(error.code(), Code::Damaged, "{context}");
                assert!(
                    error.path().is_some_and(|path| path.ends_with("api/models.json")),
                    "{context}: {error}"
                );
                assert!(matches!(kind, Kind::Value | Kind::Meta), "{context}: {error}");
            }
        }
    }
}
