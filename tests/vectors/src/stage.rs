//! The stage of one scenario: its folder and clock, and what its steps have named (caches, tickets, readers,
//! versions, holds, background steps, actors). It knows nothing of ops.

use crate::ops::Run;
use crate::{Check, Object, text};
use forebay::{Cache, Credentials, CredentialsOptions, Reader, Ticket};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How long anything of the runner's own may take: only a hang is longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

const START_WALL: i64 = 1_700_000_000_000_000_000;
const START_BOOT: i64 = 1_000_000_000_000;

pub(crate) struct Stage {
    folder: tempfile::TempDir,
    actor: PathBuf,
    pub(crate) defaults: Object,
    pub(crate) quota_defaults: Object,
    wall: AtomicI64,
    boot: AtomicI64,
    pub(crate) caches: Mutex<HashMap<String, Cache>>,
    creds: Mutex<HashMap<String, Arc<Credentials>>>,
    pub(crate) tickets: Mutex<HashMap<String, Ticket>>,
    pub(crate) readers: Mutex<HashMap<String, Reader>>,
    saved: Mutex<HashMap<String, String>>,
    holds: Mutex<HashMap<String, Arc<Hold>>>,
    running: Mutex<HashMap<String, std::sync::mpsc::Receiver<Check<Object>>>>,
    actors: Mutex<HashMap<String, Actor>>,
    failed: Mutex<Option<String>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many milliseconds after `now` that is.
pub(crate) fn now_ms_between(now: SystemTime, at: SystemTime) -> i64 {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match at.duration_since(now) {
        Ok(after) => ms(after),
        Err(before) => -ms(before.duration()),
    }
}

impl Stage {
    pub(crate) fn new(actor: &Path, defaults: Object, quota_defaults: Object) -> Check<Stage> {
        let stage = Stage {
            folder: tempfile::tempdir().map_err(text)?,
            actor: actor.to_owned(),
            defaults,
            quota_defaults,
            wall: AtomicI64::new(START_WALL),
            boot: AtomicI64::new(START_BOOT),
            caches: Mutex::default(),
            creds: Mutex::default(),
            tickets: Mutex::default(),
            readers: Mutex::default(),
            saved: Mutex::default(),
            holds: Mutex::default(),
            running: Mutex::default(),
            actors: Mutex::default(),
            failed: Mutex::default(),
        };
        stage.advance(0, 0)?;
        let cache = forebay::CacheOptions::default().root(stage.root()).test_clock(stage.clock()).open();
        lock(&stage.caches).insert("a".to_owned(), cache.map_err(text)?);
        Ok(stage)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The state root, which credentials are in.
    pub(crate) fn state_root(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn clock(&self) -> PathBuf {
        self.folder.path().join("clock")
    }

    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.wall.load(Ordering::SeqCst).unsigned_abs())
    }

    /// Moves both clocks by `ms`, and the wall clock alone by `wall_ms`.
    pub(crate) fn advance(&self, ms: i64, wall_ms: i64) -> Check {
        let by =
            |clock: &AtomicI64, ms: i64| clock.fetch_add(ms * 1_000_000, Ordering::SeqCst) + ms * 1_000_000;
        let (wall, boot) = (by(&self.wall, ms + wall_ms), by(&self.boot, ms));
        let written = self.folder.path().join("clock.new");
        let stamps = json!({"wall_ns": wall.to_string(), "boot_ns": boot.to_string()});
        std::fs::write(&written, stamps.to_string()).map_err(text)?;
        std::fs::rename(&written, self.clock()).map_err(text)
    }

    pub(crate) fn cache(&self, name: &str) -> Check<Cache> {
        lock(&self.caches).get(name).cloned().ok_or_else(|| format!("no cache {name:?} was opened"))
    }

    /// The credentials of that handle, opened at its first use.
    pub(crate) fn creds(&self, name: &str) -> Check<Arc<Credentials>> {
        let mut all = lock(&self.creds);
        if let Some(creds) = all.get(name) {
            return Ok(Arc::clone(creds));
        }
        let options = CredentialsOptions::new().root(self.state_root()).test_clock(self.clock());
        let creds = Arc::new(options.open().map_err(text)?);
        all.insert(name.to_owned(), Arc::clone(&creds));
        Ok(creds)
    }

    pub(crate) fn ticket(&self, name: &str) -> Check<Ticket> {
        lock(&self.tickets).get(name).cloned().ok_or_else(|| format!("there is no ticket {name:?}"))
    }

    pub(crate) fn save(&self, name: String, version: Option<&Json>) -> Check {
        let version =
            version.and_then(Json::as_str).ok_or("it gave no value whose version could be saved")?;
        lock(&self.saved).insert(name, version.to_owned());
        Ok(())
    }

    pub(crate) fn saved(&self, name: &str) -> Check<String> {
        lock(&self.saved).get(name).cloned().ok_or_else(|| format!("no version {name:?} was saved"))
    }

    pub(crate) fn hold(&self, name: &str) -> Arc<Hold> {
        Arc::clone(lock(&self.holds).entry(name.to_owned()).or_default())
    }

    /// Notes what went wrong inside a refresher, for the step that is under way.
    pub(crate) fn fail(&self, why: String) {
        lock(&self.failed).get_or_insert(why);
    }

    pub(crate) fn failure(&self) -> Check {
        lock(&self.failed).take().map_or(Ok(()), Err)
    }

    pub(crate) fn background(&self, name: &str, run: Run) -> Check {
        let (send, receive) = std::sync::mpsc::channel();
        // Where the scenario has ended meanwhile, nobody wants the result any more.
        std::thread::spawn(move || drop(send.send(run())));
        match lock(&self.running).insert(name.to_owned(), receive) {
            None => Ok(()),
            Some(_) => Err(format!("{name:?} runs already")),
        }
    }

    pub(crate) fn join(&self, name: &str) -> Check<Object> {
        let running = lock(&self.running).remove(name).ok_or_else(|| format!("no {name:?} runs"))?;
        running.recv_timeout(LIMIT).map_err(|_| format!("{name:?} did not end"))?
    }

    pub(crate) fn start(&self, name: &str, arguments: &[String]) -> Check<Json> {
        let mut child = Command::new(&self.actor)
            .arg("--root")
            .arg(self.root())
            .arg("--clock")
            .arg(self.clock())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|why| {
                format!("{}: {why}; run cargo build -p forebay-processes", self.actor.display())
            })?;
        let (stdin, stdout) =
            (child.stdin.take().ok_or("no input")?, child.stdout.take().ok_or("no output")?);
        let mut actor = Actor { child, stdin, stdout: BufReader::new(stdout) };
        let answer = actor.answer();
        lock(&self.actors).insert(name.to_owned(), actor);
        answer
    }

    pub(crate) fn tell(&self, name: &str, line: &str) -> Check<Json> {
        let mut actors = lock(&self.actors);
        let actor = actors.get_mut(name).ok_or_else(|| format!("there is no actor {name:?}"))?;
        writeln!(actor.stdin, "{line}").map_err(text)?;
        actor.answer()
    }

    pub(crate) fn kill(&self, name: &str) -> Check {
        // Dropping it kills it, and waits.
        lock(&self.actors).remove(name).map(drop).ok_or_else(|| format!("there is no actor {name:?}"))
    }

    /// Lets whatever still waits go on, and ends everything.
    pub(crate) fn end(&self) {
        lock(&self.holds).values().for_each(|hold| hold.release());
        lock(&self.tickets).clear();
        lock(&self.readers).clear();
        lock(&self.creds).clear();
        lock(&self.actors).clear();
        for (_, cache) in lock(&self.caches).drain() {
            drop(cache.close(Some(LIMIT)));
        }
    }
}

/// A refresher that waits to be let go on.
#[derive(Default)]
pub(crate) struct Hold {
    /// Entered, and released.
    seen: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Hold {
    pub(crate) fn pass(&self) -> Check {
        lock(&self.seen).0 = true;
        self.changed.notify_all();
        self.wait(|seen| seen.1).map_err(|()| "it was never released".to_owned())
    }

    pub(crate) fn entered(&self) -> Check {
        self.wait(|seen| seen.0).map_err(|()| "the refresher was not called".to_owned())
    }

    pub(crate) fn release(&self) {
        lock(&self.seen).1 = true;
        self.changed.notify_all();
    }

    fn wait(&self, until: impl Fn(&(bool, bool)) -> bool) -> Result<(), ()> {
        let end = Instant::now() + LIMIT;
        let mut seen = lock(&self.seen);
        while !until(&seen) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(());
            }
            seen = self.changed.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

struct Actor {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Actor {
    fn answer(&mut self) -> Check<Json> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line).map_err(text)? {
            0 => Err("the actor ended without an answer".to_owned()),
            _ => serde_json::from_str(&line).map_err(|why| format!("the actor answered {line:?}: {why}")),
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
