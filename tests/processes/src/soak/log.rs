//! `Event` and `Log`: one line per thing done or seen, appended by one write each, so that lines of killed
//! workers are whole or absent. Times are of the monotonic clock, which all processes share.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Nanoseconds of the monotonic clock.
#[must_use]
pub fn now() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// One line of a log: what, on which key, from when to when, with which token, and a word about how it went.
/// `end` is 0 where only the begin is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `acquire`, `complete`, `unchanged`, `fail`, `put`, `notice`, `remove`, `read`, `tag`, `join`, `kill`.
    pub what: String,
    /// The number of the key.
    pub key: usize,
    /// The process.
    pub pid: u32,
    /// When the call began.
    pub begin: i64,
    /// When it returned.
    pub end: i64,
    /// The token of the lease, or of the value read; 0 for none.
    pub token: u64,
    /// How it went.
    pub word: String,
}

impl Event {
    /// The line.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = String::new();
        let Event { what, key, pid, begin, end, token, word } = self;
        let _ = writeln!(line, "{what} {key} {pid} {begin} {end} {token} {word}");
        line
    }

    /// The event of a line.
    #[must_use]
    pub fn parse(line: &str) -> Option<Event> {
        let mut words = line.split(' ');
        Some(Event {
            what: words.next()?.to_owned(),
            key: words.next()?.parse().ok()?,
            pid: words.next()?.parse().ok()?,
            begin: words.next()?.parse().ok()?,
            end: words.next()?.parse().ok()?,
            token: words.next()?.parse().ok()?,
            word: words.next()?.to_owned(),
        })
    }
}

/// Where one process writes its events.
#[derive(Debug)]
pub struct Log(File);

impl Log {
    /// Opens the log of this process.
    ///
    /// # Errors
    /// Those of the system.
    pub fn open(folder: &Path) -> std::io::Result<Log> {
        let path = folder.join(format!("{}.log", std::process::id()));
        Ok(Log(OpenOptions::new().create(true).append(true).open(path)?))
    }

    /// Appends one event.
    pub fn write(&mut self, event: &Event) {
        // A log that cannot be written makes the judge find less, never more.
        let _ = self.0.write_all(event.line().as_bytes());
    }
}

/// All events of a folder of logs.
///
/// # Errors
/// Those of the system.
pub fn read_all(folder: &Path) -> std::io::Result<Vec<Event>> {
    let mut events = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let text = std::fs::read_to_string(entry?.path())?;
        events.extend(text.lines().filter_map(Event::parse));
    }
    events.sort_by_key(|event| event.begin);
    Ok(events)
}
