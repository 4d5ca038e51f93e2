//! A stand-in of the original discovery cache, after its description: the value is read, then stat says its
//! age; a refresh is claimed under an `O_EXCL` lock file by writing a marker in place; the value is written to a
//! temporary file and renamed; the marker is removed under the lock again; who finds a marker polls every 250 ms.
//!
//! It keeps that algorithm's weaknesses on purpose (nothing is flushed, a dead lock blocks for ever): it is a
//! peer for speed, not a cache to use.

use crate::Outcome;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often a waiter looks.
pub const POLL: Duration = Duration::from_millis(250);
const LOCK_POLL: Duration = Duration::from_millis(5);
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// One source of the original's cache.
pub struct Original {
    root: PathBuf,
    tier: String,
    name: String,
    deadline: Duration,
}

/// What a read found.
pub struct Found {
    /// The value's bytes.
    pub data: Vec<u8>,
    /// Younger than the ttl asked for.
    pub fresh: bool,
}

impl Original {
    /// The source `tier/name` below `root`.
    pub fn new(root: &Path, tier: &str, name: &str) -> Self {
        let deadline = Duration::from_secs(10);
        Self { root: root.to_owned(), tier: tier.to_owned(), name: name.to_owned(), deadline }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.root.join(&self.tier).join(format!("{}.{suffix}", self.name))
    }

    /// The bytes, then their age by stat.
    pub fn read(&self, ttl: Duration) -> Outcome<Option<Found>> {
        let path = self.path("json");
        let data = match fs::read(&path) {
            Ok(data) => data,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let age = fs::metadata(&path)?.modified()?.elapsed().unwrap_or_default();
        Ok(Some(Found { data, fresh: age < ttl }))
    }

    /// Takes the right to refresh; false: someone else has it.
    pub fn claim(&self) -> Outcome<bool> {
        fs::create_dir_all(self.root.join(&self.tier))?;
        let _lock = self.lock()?;
        if self.marker_in_force()? {
            return Ok(false);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let marker = serde_json::json!({
            "pid": std::process::id(),
            "started_at": now.as_millis() as u64,
            "deadline": (now + self.deadline).as_millis() as u64,
        });
        let mut file = File::create(self.path("refreshing"))?;
        file.write_all(marker.to_string().as_bytes())?;
        Ok(true)
    }

    /// Stores the value and gives the right back.
    pub fn commit(&self, bytes: &[u8]) -> Outcome<()> {
        let temporary = self.path("json.tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        drop(file);
        fs::rename(&temporary, self.path("json"))?;
        let _lock = self.lock()?;
        if self.marker()?.is_some_and(|marker| marker["pid"] == std::process::id()) {
            fs::remove_file(self.path("refreshing"))?;
        }
        Ok(())
    }

    /// Waits for another's refresh: looks again every [`POLL`].
    pub fn wait(&self) -> Outcome<()> {
        loop {
            std::thread::sleep(POLL);
            if !self.marker_in_force()? {
                return Ok(());
            }
        }
    }

    fn marker(&self) -> Outcome<Option<serde_json::Value>> {
        match fs::read(self.path("refreshing")) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn marker_in_force(&self) -> Outcome<bool> {
        let Some(marker) = self.marker()? else { return Ok(false) };
        let pid = marker["pid"].as_i64().unwrap_or(0) as libc::pid_t;
        // SAFETY: signal 0 only asks whether the process is there.
        let alive = unsafe { libc::kill(pid, 0) } == 0;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
        let end = marker["deadline"].as_u64().unwrap_or(0) + 2 * self.deadline.as_millis() as u64;
        Ok(alive && now <= end)
    }

    fn lock(&self) -> Outcome<Lock> {
        let path = self.path("lock");
        let start = std::time::Instant::now();
        loop {
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    file.write_all(std::process::id().to_string().as_bytes())?;
                    return Ok(Lock { path });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && start.elapsed() < LOCK_TIMEOUT => {
                    std::thread::sleep(LOCK_POLL);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

struct Lock {
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // As the original: a lock file that cannot be removed stays, and blocks.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_claims_others_wait_until_the_commit() {
        let root = std::env::temp_dir().join(format!("forebay-bench-original-{}", std::process::id()));
        let source = || Original::new(&root, "tier", "name");
        assert!(source().read(POLL).unwrap().is_none());
        assert!(source().claim().unwrap());
        assert!(!source().claim().unwrap());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                source().wait().unwrap();
                source().read(Duration::from_secs(60)).unwrap().unwrap()
            });
            source().commit(b"value").unwrap();
            let found = waiter.join().unwrap();
            assert!(found.fresh && found.data == b"value");
        });
        assert!(!source().read(Duration::ZERO).unwrap().unwrap().fresh);
        assert!(source().claim().unwrap());
        source().commit(b"next").unwrap();
        let left: Vec<_> =
            fs::read_dir(root.join("tier")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["name.json"]);
        fs::remove_dir_all(&root).unwrap();
    }
}
