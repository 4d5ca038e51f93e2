//! `Quota`: the last answer of a rate-limited server, or why there is none, and one gate that all processes
//! respect. A policy over the store: the record is an entry whose bytes are the original program's JSON, its lock
//! file is the gate. It knows no server: fetching is the caller's.

pub(crate) mod answer;
mod fetch;
pub(crate) mod job;
pub(crate) mod options;
pub(crate) mod record;
pub(crate) mod resolve;
pub(crate) mod stores;

use crate::entry::Entry;
use crate::error::{Code, Error, Result};
use crate::event::EventKind;
use crate::freshness::{Freshness, State, age};
use crate::fs::Durability;
use crate::gate::{Backoff, Gate};
use crate::key::Key;
use crate::source::core::{Core, SLICE};
use crate::source::fetched::{Failure, Fetched};
use crate::source::options::Wait;
use crate::source::refresh::panicked;
use crate::source::value::{How, Phase};
use crate::stamp::instant;
use crate::store::Look;
use answer::{Answer, Blocked, QuotaState};
use job::QuotaJob;
use options::QuotaOptions;
use record::{Body, Record};
use resolve::{Resolve, Step};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// One rate-limited answer, shared by all processes: a name, whose account it is, and how it is kept. Cheap to
/// clone, usable from any thread.
///
/// ```
/// use forebay::{Cache, Failure, How};
/// # let folder = tempfile::tempdir().unwrap();
/// let cache = Cache::open(folder.path().join("cache"))?;
/// let usage = cache.quota("usage").identity("me@example.org");
/// let answer = usage.resolve(
///     |job| Ok::<_, Failure>(format!(r#"{{"used": {}}}"#, job.credential().len())),
///     || Ok::<_, Failure>("secret"),
///     || Ok::<Option<String>, Failure>(None),
/// )?;
/// assert_eq!((answer.how, &*answer.data), (How::Ran, r#"{"used": 6}"#));
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Clone)]
pub struct Quota {
    core: Arc<Core>,
    key: Result<Key, Error>,
    options: Arc<QuotaOptions>,
    /// The record last read, and the entry that it was read from.
    parsed: Arc<Mutex<Option<Parsed>>>,
}

type Parsed = (Arc<Entry>, Option<Arc<Record>>);

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Ok(key) => write!(f, "Quota({key})"),
            Err(error) => write!(f, "Quota({error})"),
        }
    }
}

/// What one look at the record found.
#[derive(Clone)]
struct Seen {
    look: Look,
    record: Option<Arc<Record>>,
    state: State,
    age: Duration,
}

impl Seen {
    fn data(&self) -> Option<&Arc<str>> {
        self.record.as_ref()?.data()
    }

    fn is_fresh(&self) -> bool {
        self.state == State::Fresh && self.data().is_some()
    }

    /// Whether its data may be shown although it is not fresh.
    fn is_servable(&self) -> bool {
        matches!(self.state, State::Fresh | State::Stale) && self.data().is_some()
    }
}

impl Quota {
    pub(crate) fn new(core: Arc<Core>, key: Result<Key, Error>) -> Quota {
        Quota { core, key, options: Arc::default(), parsed: Arc::default() }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// How it is kept and fetched.
    #[must_use]
    pub fn options(&self) -> &QuotaOptions {
        &self.options
    }

    /// The same quota, with those options.
    #[must_use]
    pub fn with_options(mut self, options: QuotaOptions) -> Quota {
        self.options = Arc::new(options);
        self
    }

    fn set(mut self, change: impl FnOnce(&mut QuotaOptions)) -> Quota {
        change(Arc::make_mut(&mut self.options));
        self
    }

    /// Whose answer it is: another identity has another record and another gate.
    #[must_use]
    pub fn identity(mut self, identity: &str) -> Quota {
        self.key = self.key.map(|key| key.with_identity(identity));
        self.parsed = Arc::default();
        self
    }

    /// An answer is fresh while younger than this.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Quota {
        self.set(|options| options.ttl = ttl)
    }

    /// An error that a program of the original kind recorded holds for this long.
    #[must_use]
    pub fn error_ttl(self, ttl: Duration) -> Quota {
        self.set(|options| options.error_ttl = ttl)
    }

    /// The cooldown after a 429 that names no time.
    #[must_use]
    pub fn rate_limited(self, wait: Duration) -> Quota {
        self.set(|options| options.rate_limited = wait)
    }

    /// The cooldown after a 401 or 403.
    #[must_use]
    pub fn unauthorized(self, wait: Duration) -> Quota {
        self.set(|options| options.unauthorized = wait)
    }

    /// How long a fetch may take; zero is refused.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Quota {
        self.set(|options| options.timeout = timeout)
    }

    /// An answer may be served for this long after it stopped being fresh.
    #[must_use]
    pub fn max_stale(self, max_stale: Duration) -> Quota {
        self.set(|options| options.max_stale = max_stale)
    }

    /// The shortest and the longest guessed cooldown after other failures.
    #[must_use]
    pub fn backoff(self, floor: Duration, cap: Duration) -> Quota {
        self.set(|options| (options.backoff_floor, options.backoff_cap) = (floor, cap))
    }

    /// How long a caller who has nothing to show waits for another's fetch.
    #[must_use]
    pub fn wait(self, wait: impl Into<Wait>) -> Quota {
        let wait = wait.into();
        self.set(|options| options.wait = wait)
    }

    /// How well its records survive a power cut.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Quota {
        self.set(|options| options.durability = Some(durability))
    }

    /// Which quota.
    ///
    /// # Errors
    /// [`Code::Invalid`] where the name that it was made from is none.
    pub fn key(&self) -> Result<&Key> {
        self.key.as_ref().map_err(Error::clone)
    }

    fn durability_now(&self) -> Durability {
        self.options.durability.unwrap_or(self.core.durability)
    }

    /// How cooldowns grow after failures whose server names no time.
    fn backoff_after(&self, code: Code) -> Backoff {
        let options = &self.options;
        match code {
            Code::RateLimited => Backoff::fixed(options.rate_limited).of_any_writer(),
            Code::Unauthorized => Backoff::fixed(options.unauthorized).of_any_writer(),
            _ => self.growing_backoff(),
        }
    }

    fn growing_backoff(&self) -> Backoff {
        let options = &self.options;
        Backoff::new(Some(options.backoff_floor), Some(options.backoff_cap), None).of_any_writer()
    }

    /// The record in an entry; parsed once for as long as the disk shows the same.
    fn record_of(&self, entry: &Arc<Entry>) -> Option<Arc<Record>> {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, record)) = &*parsed
            && Arc::ptr_eq(of, entry)
        {
            return record.clone();
        }
        let record = Record::parse(&entry.data).map(Arc::new);
        *parsed = Some((Arc::clone(entry), record.clone()));
        record
    }

    fn see(&self) -> Result<Seen> {
        Ok(self.judge(self.core.store.look(self.key()?)?))
    }

    fn judge(&self, look: Look) -> Seen {
        let now = self.core.now();
        let record = look.entry.as_ref().and_then(|entry| self.record_of(entry));
        let Some((record, entry)) = record.zip(look.entry.as_ref()) else {
            return Seen { look, record: None, state: State::Absent, age: Duration::ZERO };
        };
        let options = &self.options;
        let ttl = if record.data().is_some() { options.ttl } else { options.error_ttl };
        let freshness = Freshness::effective(Some(ttl), Some(options.max_stale), &entry.lifetime);
        let state = freshness.state(record.cached_ns, now, look.noticed);
        let age = age(record.cached_ns, now);
        Seen { look, record: Some(record), state, age }
    }

    fn answer_of(&self, seen: &Seen, how: How, error: Option<Error>) -> Option<Answer> {
        Some(Answer {
            data: Arc::clone(seen.data()?),
            how,
            state: seen.state,
            age: seen.age,
            cached_at: seen.record.as_ref().map(|record| instant(record.cached_ns)),
            retry_at: error.as_ref().and_then(Error::retry_at),
            error,
        })
    }

    /// What is recorded: the last answer of whatever age, the gate, and whether somebody is fetching. Nothing is
    /// asked, written or waited for.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(&self) -> Result<QuotaState> {
        self.core.check_open()?;
        let key = self.key()?;
        let seen = self.see()?;
        let facts = self.core.store.facts(key)?;
        let (now, cap) = (self.core.now(), self.growing_backoff().believed);
        let gate = facts.gate.filter(|gate| gate.barred_until(now, cap).is_some());
        let phase = match (&facts.lease, &gate) {
            (Some(_), _) => Phase::Running,
            (None, Some(_)) => Phase::Cooling,
            (None, None) => Phase::Idle,
        };
        let how = if seen.is_fresh() { How::Fresh } else { How::Stale };
        let error = gate.as_ref().map(|gate| gate.bar(now, cap)).or_else(|| seen.look.damaged.clone());
        Ok(QuotaState {
            recorded_error: self.recorded_error(&seen),
            answer: self.answer_of(&seen, how, error),
            blocked: gate.as_ref().and_then(|gate| blocked(gate, now, cap)),
            phase,
            holder: facts.lease.map(|lease| lease.pid).filter(|pid| *pid != 0),
        })
    }

    /// The error of a record that holds one.
    fn recorded_error(&self, seen: &Seen) -> Option<Error> {
        match seen.record.as_ref()?.body {
            Body::Error(code) => {
                Some(Error::new(code, format!("{}: the last answer was an error", self.name())))
            }
            Body::Data(_) => None,
        }
    }

    fn name(&self) -> String {
        self.key.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// Keeps every process from fetching for that long, at most 24 hours. A gate that ends later stays. Until when
    /// nobody fetches is returned.
    ///
    /// # Errors
    /// Those of writing.
    pub fn block(&self, wait: Duration, code: Code, message: &str) -> Result<SystemTime> {
        self.core.check_open()?;
        let (now, cap) = (self.core.now(), self.growing_backoff().believed);
        let gate = self.core.store.bar(self.key()?, self.durability_now(), &|previous| {
            Gate::blocked(previous, wait, (code, message), now, cap)
        })?;
        Ok(gate.retry_at(now, cap).unwrap_or_else(|| instant(now)))
    }

    /// Forgets answer and gate, also one that a server declared. Whether there was anything.
    ///
    /// # Errors
    /// Those of writing.
    pub fn clear(&self) -> Result<bool> {
        self.core.check_open()?;
        let (key, durability) = (self.key()?, self.durability_now());
        // The gate first: removing the record takes a guessed one along, without saying so.
        let gate = self.core.store.unbar(key, durability)?;
        let record = self.core.store.remove(key, durability)?;
        self.core.emit(EventKind::Invalidated, key, None);
        Ok(record || gate)
    }

    /// Begins `resolve` as a state machine, for hosts that fetch and wait in their own way.
    #[must_use]
    pub fn begin(&self) -> Resolve {
        Resolve::new(self.clone())
    }

    /// The answer: fresh, or fetched by one of all processes, or stale, or the fallback's. Each of the three is called
    /// at most once, only when it is needed, in this thread: `credentials` before `fetch`, whose answer must be JSON;
    /// `fallback` when there is no answer that may be shown.
    ///
    /// # Errors
    /// Why there is no answer: the failure of this fetch or of the one that set the gate ([`Code::RateLimited`],
    /// [`Code::Unauthorized`], …), or that of `credentials`. A fallback that has nothing, or fails, never hides it.
    pub fn resolve<T, E, C, CE, B, BE>(
        &self,
        fetch: impl FnOnce(&QuotaJob) -> std::result::Result<T, E>,
        credentials: impl FnOnce() -> std::result::Result<C, CE>,
        fallback: impl FnOnce() -> std::result::Result<Option<B>, BE>,
    ) -> Result<Answer>
    where
        T: Into<Fetched>,
        E: Into<Failure>,
        C: AsRef<[u8]>,
        CE: Into<Failure>,
        B: AsRef<[u8]>,
        BE: Into<Failure>,
    {
        let (mut fetch, mut credentials, mut fallback) = (Some(fetch), Some(credentials), Some(fallback));
        let mut resolve = self.begin();
        loop {
            match resolve.next()? {
                Step::Done(answer) => return Ok(answer),
                Step::Wait => {
                    resolve.wait(SLICE, None);
                }
                Step::Credentials => {
                    let found = contained(credentials.take(), |credentials| credentials());
                    resolve.credentials(found);
                }
                Step::Fetch => {
                    let job = resolve.job();
                    let fetched = contained(fetch.take().zip(job), |(fetch, job)| fetch(&job));
                    resolve.fetched(fetched.map(Into::into));
                }
                Step::Fallback => {
                    let made = contained(fallback.take(), |fallback| fallback());
                    resolve.fallback(made);
                }
            }
        }
    }
}

/// Calls it; a panic is a failure like any other.
fn contained<F, T, E: Into<Failure>>(
    callback: Option<F>,
    call: impl FnOnce(F) -> std::result::Result<T, E>,
) -> std::result::Result<T, Failure> {
    let Some(callback) = callback else {
        return Err(Failure::new(Code::RefreshFailed, "asked for twice"));
    };
    match catch_unwind(AssertUnwindSafe(|| call(callback))) {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => Err(panicked(&*panic)),
    }
}

fn blocked(gate: &Gate, now: i64, cap: Duration) -> Option<Blocked> {
    Some(Blocked {
        until: gate.retry_at(now, cap)?,
        error: gate.reason(),
        message: gate.bar(now, cap).message().to_owned(),
        declared: gate.declared,
        attempts: gate.attempts,
    })
}
