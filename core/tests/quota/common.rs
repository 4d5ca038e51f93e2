//! A bench for quota tests: a root, a clock, and `resolve` with counted callbacks whose outcomes are given.

use forebay::{Answer, Cache, CacheOptions, Clock, Code, Error, Failure, ManualClock, Quota};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// 2026-04-19T12:00:00Z.
pub const START: i64 = 1_776_600_000_000_000_000;

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub struct Bench {
    pub folder: tempfile::TempDir,
    pub cache: Cache,
    pub hands: ManualClock,
    pub usage: Quota,
}

/// What one `resolve` did.
pub struct Told {
    pub result: Result<Answer, Error>,
    /// Which callbacks ran, in order: `c`, `f`, `b` (fallback).
    pub calls: String,
}

impl Told {
    /// The outcome in short: how and data, or the code.
    pub fn short(&self) -> String {
        match &self.result {
            Ok(answer) => format!("{} {} {}", self.calls, answer.how, answer.data),
            Err(error) => format!("{} {}", self.calls, error.code()),
        }
    }
}

type Outcome = Result<String, Failure>;

pub fn data(text: &str) -> Outcome {
    Ok(text.to_owned())
}

pub fn status(status: u16, retry_after: Option<&str>) -> Outcome {
    Err(Failure::from_status(status, retry_after))
}

impl Bench {
    pub fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let (clock, hands) = Clock::manual(START);
        let cache = CacheOptions::new().root(folder.path().join("root")).clock(clock).open().unwrap();
        let usage = cache.quota("usage");
        Bench { folder, cache, hands, usage }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("root").join(name)
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.path().join("root"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub fn write(&self, name: &str, text: &str) {
        self.write_at(name, text, 0);
    }

    /// Writes a file as another program would, `offset` seconds from the clock's start.
    pub fn write_at(&self, name: &str, text: &str, offset: i64) {
        use std::os::unix::fs::DirBuilderExt;
        let root = self.folder.path().join("root");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root).unwrap();
        std::fs::write(self.path(name), text).unwrap();
        let at = SystemTime::UNIX_EPOCH + secs(u64::try_from(START / 1_000_000_000 + offset).unwrap());
        std::fs::File::options().write(true).open(self.path(name)).unwrap().set_modified(at).unwrap();
    }

    pub fn until(&self, seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(START).unwrap()) + secs(seconds)
    }

    pub fn resolve(&self, fetched: Outcome) -> Told {
        resolve(&self.usage, "token", fetched, None)
    }

    /// One that may not touch credentials or network.
    pub fn look(&self) -> Told {
        let told = self.resolve(data("\"fetched\""));
        assert!(!told.calls.contains('f'), "it fetched: {}", told.short());
        told
    }
}

/// `resolve` with that credential, that outcome of the fetch, and that fallback.
pub fn resolve(quota: &Quota, credential: &str, fetched: Outcome, fallback: Option<&str>) -> Told {
    let calls = std::cell::RefCell::new(String::new());
    let call = |which: char| calls.borrow_mut().push(which);
    let result = quota.resolve(
        |job| {
            call('f');
            assert_eq!(job.credential(), credential.as_bytes());
            fetched
        },
        || {
            call('c');
            match credential {
                "none" => Err(Failure::new(Code::NoCredentials, "log in first")),
                other => Ok(other.to_owned()),
            }
        },
        || {
            call('b');
            Ok::<_, Failure>(fallback.map(str::to_owned))
        },
    );
    Told { result, calls: calls.into_inner() }
}
