//! `Section`: the short critical section of one slot's keys: an exclusive lock on a guard file, and the
//! slot's number odd while anything changes.
//!
//! Guard files are never removed, so two processes never hold the lock of two files that bear one name, unless
//! the root was replaced, which is noticed by comparing. Each section opens the file anew, so that threads and
//! forks exclude each other as processes do; it ends by an explicit unlock, because a forked child's copy of
//! the descriptor would keep the lock of a mere close. Nobody ever breaks it: the kernel frees it on death.

use crate::error::{Code, Error, Result};
use crate::fs::root::{Control, Root, guard_name};
use crate::fs::turn::{self, Turn};
use crate::generation::Table;
use crate::key::{Key, guard_of};
use crate::sys::breaks::broken;
use crate::sys::fork::Held;
use crate::sys::{Fd, Stat, Sys};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a call waits for a guard.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);
/// How long `maybe_refresh` waits for it: it promises to return at once.
pub(crate) const SHORT_TIMEOUT: Duration = Duration::from_millis(100);

/// Inside of a guard. Dropping it ends what was begun, unlocks, and wakes who waits.
#[derive(Debug)]
pub(crate) struct Section<'r> {
    root: &'r Root,
    lock: Held,
    table: Option<Arc<Table>>,
    slot: u32,
    /// The slot's, as of the table: nobody else moves it while the guard is held.
    number: u32,
    changing: bool,
    changed: bool,
    /// Given up after the lock.
    _turn: Turn,
}

impl<'r> Section<'r> {
    /// Waits for the key's guard, at most `timeout`; makes what is missing of the root.
    pub(crate) fn enter(root: &'r Root, key: &Key, timeout: Duration) -> Result<Section<'r>> {
        let slot = key.slot();
        let name = guard_name(guard_of(slot));
        let until = Instant::now() + timeout;
        let turns = root.turns();
        let Some(turn) = turn::take(&turns, guard_of(slot), until) else {
            return Err(timed_out(root, &name, "another thread of this process"));
        };
        loop {
            let control = root.make_control()?;
            let Some(lock) = lock(root, &control, &name, until)? else {
                root.forget();
                continue;
            };
            let table = root.table(&control);
            let number = match &table {
                // A writer died in a change of this slot: what it left is a legal state, and is read anew.
                Some(table) => {
                    table.end_left_over(root.sys(), slot).map_err(|e| at(root, &name, "end a change", &e))?
                }
                None => 0,
            };
            return Ok(Section {
                root,
                lock,
                table,
                slot,
                number,
                changing: false,
                changed: false,
                _turn: turn,
            });
        }
    }

    /// Runs `change` between slot odd and slot even. May be called more than once in one section.
    pub(crate) fn change<T>(&mut self, change: impl FnOnce() -> Result<T>) -> Result<T> {
        self.begin()?;
        let result = change();
        self.end();
        result
    }

    fn begin(&mut self) -> Result<()> {
        if let Some(table) = self.table.as_ref().filter(|_| !broken("no-odd")) {
            self.number = table
                .begin(self.root.sys(), self.slot, self.number)
                .map_err(|e| at(self.root, "", "begin a change", &e))?;
            self.changing = true;
        }
        Ok(())
    }

    /// Also on error paths. If this write fails, the slot stays odd, which is safe: readers look at the files
    /// until the next one in the guard ends it.
    fn end(&mut self) {
        self.changed = true;
        if let (true, Some(table)) = (self.changing || broken("no-odd"), &self.table)
            && let Ok(number) = table.end(self.root.sys(), self.slot, self.number)
        {
            self.number = number;
        }
        self.changing = false;
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if self.changing {
            self.end();
        }
        if let Some(fd) = self.lock.fd() {
            let _ = self.root.sys().unlock(fd);
        }
        if let (true, Some(table)) = (self.changed, &self.table) {
            table.wake(self.root.sys(), self.slot);
        }
    }
}

fn path_of(root: &Root, name: &str) -> PathBuf {
    root.path().join(".forebay/guard").join(name)
}

fn at(root: &Root, name: &str, doing: &str, error: &io::Error) -> Error {
    Error::io(doing, &path_of(root, name), error)
}

/// The locked guard file; none if it is not the one that others find there (any more).
fn lock(root: &Root, control: &Control, name: &str, until: Instant) -> Result<Option<Held>> {
    let sys = root.sys();
    let fd = match sys.open(&control.guards, name) {
        Ok(fd) => Held::new(fd),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return if root.was_removed(&control.guards) { Ok(None) } else { Err(missing(root, name)) };
        }
        Err(error) => return Err(at(root, name, "open the guard", &error)),
    };
    let Some(open) = fd.fd() else { return Ok(None) };
    let stat = sys.stat(open).map_err(|e| at(root, name, "examine the guard", &e))?;
    wait(root, open, &stat, name, until)?;
    match root.stat_below(name) {
        Ok(there) if there.identity() == stat.identity() => Ok(Some(fd)),
        Ok(_) => give_up(sys, open),
        Err(error) if error.kind() == io::ErrorKind::NotFound => give_up(sys, open),
        Err(error) => Err(at(root, name, "examine the guard", &error)),
    }
}

fn timed_out(root: &Root, name: &str, who: &str) -> Error {
    Error::new(Code::LockTimeout, format!("{who} holds the guard for too long"))
        .with_path(path_of(root, name))
        .with_hint("it may be stopped: let it go on, or end it")
}

fn give_up(sys: &dyn Sys, fd: &Fd) -> Result<Option<Held>> {
    let _ = sys.unlock(fd);
    Ok(None)
}

fn missing(root: &Root, name: &str) -> Error {
    Error::new(Code::Io, "a guard file is missing")
        .with_path(path_of(root, name))
        .with_hint("somebody removed it: remove the whole folder .forebay/guard while no program runs")
}

/// Locks offer no wake-up with a bound, so the lock is tried at growing distances of at most a millisecond.
fn wait(root: &Root, fd: &Fd, stat: &Stat, name: &str, until: Instant) -> Result<()> {
    let sys = root.sys();
    let mut pause = Duration::from_micros(20);
    loop {
        if broken("guard") || sys.try_lock(fd, true).map_err(|e| at(root, name, "lock the guard", &e))? {
            return Ok(());
        }
        if Instant::now() >= until {
            let holder = sys.lock_holder(stat);
            let who = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            return Err(timed_out(root, name, &who));
        }
        sys.pause(pause);
        pause = (pause * 2).min(Duration::from_millis(1));
    }
}
