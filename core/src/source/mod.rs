//! The source system: slow data, read without waiting, refreshed once for all processes.
//!
//! The room: [`Cache`] is the door, [`Source`] one thing that is cached; `attempt` is the state machine under
//! every refreshing call, `refresh` the callback forms over it, `ticket` what the one who does the work holds;
//! `reader` is the fast path, `why` the explanation. Values and options are plain data.

pub(crate) mod assignment;
pub(crate) mod attempt;
pub(crate) mod cache;
pub(crate) mod core;
pub(crate) mod fetched;
pub(crate) mod many;
pub(crate) mod options;
pub(crate) mod outcome;
mod pool;
pub(crate) mod reader;
pub(crate) mod readers;
pub(crate) mod refresh;
pub(crate) mod ticket;
pub(crate) mod value;
mod why;

use self::core::{Core, Interrupt, SLICE, cancelled};
use crate::entry::{Entry, Lifetime, Version};
use crate::error::{Code, Error, Result};
use crate::event::EventKind;
use crate::freshness::{Freshness, State, age};
use crate::fs::Durability;
use crate::fs::guard::TIMEOUT;
use crate::gate::{Backoff, Gate};
use crate::key::Key;
use crate::lease::Seen;
use crate::stamp::instant;
use crate::store::{About, Ask, Claim, Draft, Facts, Look, Pass, errors};
use attempt::{Attempt, Mode};
use fetched::Commit;
use options::{AcquireOptions, SourceOptions};
use outcome::Outcome;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ticket::Ticket;
use value::{How, Phase, RefreshState, Started, Value};

/// One slow thing that is cached: a key, and how it is read and refreshed. Cheap to clone, usable from any
/// thread.
///
/// ```
/// use forebay::{Cache, State};
/// use std::time::Duration;
/// # let folder = tempfile::tempdir().unwrap();
/// let cache = Cache::open(folder.path().join("cache"))?;
/// let models = cache.source("api/models").ttl(Duration::from_secs(3600));
/// assert_eq!(models.read()?.state, State::Absent);
/// let got = models.get(|_job| Ok::<_, std::io::Error>("[]"), None)?;
/// assert_eq!(got.data(), Some(&b"[]"[..]));
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Clone)]
pub struct Source {
    core: Arc<Core>,
    key: std::result::Result<Key, Error>,
    options: Arc<SourceOptions>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Ok(key) => write!(f, "Source({key})"),
            Err(error) => write!(f, "Source({error})"),
        }
    }
}

/// What `acquire` found.
#[derive(Debug)]
pub enum Acquired {
    /// The refresh is the caller's to make.
    Ticket(Ticket),
    /// Another is making it.
    InFlight(RefreshState),
    /// What is there is what was asked for.
    Fresh(Value),
    /// A gate bars it.
    Gated(RefreshState),
}

impl Source {
    pub(crate) fn new(core: Arc<Core>, key: std::result::Result<Key, Error>) -> Source {
        Source { core, key, options: Arc::default() }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// How it is read and refreshed.
    #[must_use]
    pub fn options(&self) -> &SourceOptions {
        &self.options
    }

    /// The same key, with those options.
    #[must_use]
    pub fn with_options(mut self, options: SourceOptions) -> Source {
        self.options = Arc::new(options);
        self
    }

    fn set(mut self, change: impl FnOnce(&mut SourceOptions)) -> Source {
        change(Arc::make_mut(&mut self.options));
        self
    }

    /// Fresh while younger than this; zero: always stale.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Source {
        self.set(|options| options.ttl = Some(ttl))
    }

    /// May be served for this long after it stopped being fresh.
    #[must_use]
    pub fn max_stale(self, max_stale: Duration) -> Source {
        self.set(|options| options.max_stale = Some(max_stale))
    }

    /// The same after a failed refresh.
    #[must_use]
    pub fn stale_if_error(self, stale_if_error: Duration) -> Source {
        self.set(|options| options.stale_if_error = Some(stale_if_error))
    }

    /// How long a refresh may take; zero is refused.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Source {
        self.set(|options| options.deadline = deadline)
    }

    /// How well its commits survive a power cut.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Source {
        self.set(|options| options.durability = Some(durability))
    }

    /// The shortest and the longest guessed cooldown after a failure.
    #[must_use]
    pub fn backoff(self, floor: Duration, cap: Duration) -> Source {
        self.set(|options| (options.backoff_floor, options.backoff_cap) = (Some(floor), Some(cap)))
    }

    /// For one identity (an account, a user): another identity, another record.
    #[must_use]
    pub fn identity(mut self, identity: &str) -> Source {
        self.key = self.key.map(|key| key.with_identity(identity));
        self
    }

    /// Which source.
    ///
    /// # Errors
    /// [`Code::Invalid`] where the text that it was made from is no key.
    pub fn key(&self) -> Result<&Key> {
        self.key.as_ref().map_err(Error::clone)
    }

    /// The durability that its commits have: its own, else the cache's.
    pub(crate) fn durability_now(&self) -> Durability {
        self.options.durability.unwrap_or(self.core.durability)
    }

    /// What is recorded beside a value: what the refresher said goes before the source's own options.
    pub(crate) fn about<'c>(&self, commit: &'c Commit) -> About<'c> {
        About {
            validator: commit.validator.as_deref(),
            extra: commit.extra.as_deref(),
            lifetime: Lifetime {
                ttl: commit.ttl.or(self.options.ttl),
                max_stale: commit.max_stale.or(self.options.max_stale),
                own_ttl: commit.ttl.is_some(),
                own_max_stale: commit.max_stale.is_some(),
            },
            durability: self.durability_now(),
        }
    }

    pub(crate) fn backoff_rule(&self) -> Backoff {
        let options = &self.options;
        Backoff::new(options.backoff_floor, options.backoff_cap, options.ttl)
    }

    fn freshness(&self, entry: &Entry) -> Freshness {
        Freshness::effective(self.options.ttl, self.options.max_stale, &entry.lifetime)
    }

    pub(crate) fn state_of(&self, look: &Look) -> State {
        match &look.entry {
            Some(entry) => self.freshness(entry).state(entry.stored_ns, self.core.now(), look.noticed),
            None => State::Absent,
        }
    }

    /// Whether what is there may be served after a refresh failed or was barred.
    pub(crate) fn servable_after_error(&self, look: &Look) -> bool {
        let Some(entry) = &look.entry else { return false };
        let mut freshness = self.freshness(entry);
        freshness.max_stale = self.options.stale_if_error.or(freshness.max_stale);
        let state = freshness.state(entry.stored_ns, self.core.now(), look.noticed);
        matches!(state, State::Fresh | State::Stale)
    }

    pub(crate) fn judge(&self, look: Look, how: Option<How>) -> Value {
        let now = self.core.now();
        let state = self.state_of(&look);
        let fresh_until = look.entry.as_ref().filter(|_| state == State::Fresh);
        Value {
            state,
            fresh_until: fresh_until.map(|e| instant(self.freshness(e).fresh_between(e.stored_ns).1)),
            age: look.entry.as_ref().map(|entry| age(entry.stored_ns, now)),
            how,
            phase: None,
            error: look.damaged,
            entry: look.entry,
        }
    }

    pub(crate) fn value_of(&self, outcome: &Outcome) -> Value {
        let (entry, noticed, how, error) = match outcome {
            Outcome::Stored { entry, noticed, how } => (entry, *noticed, *how, None),
            Outcome::NotStored { entry, error } => (entry, false, How::Uncoordinated, Some(error.clone())),
            Outcome::Failed(error) => return Value { error: Some(error.clone()), ..Value::default() },
            Outcome::Abandoned => return Value::default(),
        };
        let look = Look { entry: Some(Arc::clone(entry)), noticed, damaged: error };
        self.judge(look, Some(how))
    }

    /// What is there, fresh or not. One look at the disk; never waits, never writes. Nothing there is not an
    /// error, nor is damage, which shows in [`Value::error`].
    ///
    /// # Errors
    /// [`Code::Io`] and its like for real errors of the system.
    pub fn read(&self) -> Result<Value> {
        self.core.check_open()?;
        let key = self.key()?;
        let look = self.core.store.look(key)?;
        if look.damaged.is_some() {
            self.core.emit(EventKind::Damaged, key, Some(Code::Damaged));
        }
        let mut value = self.judge(look, None);
        let kind = match value.state {
            State::Fresh => EventKind::Hit,
            State::Absent => EventKind::Miss,
            State::Stale | State::Expired => EventKind::StaleServed,
        };
        self.core.emit(kind, key, None);
        if value.state != State::Fresh {
            let state = self.state_from(&self.core.store.facts(key)?);
            value.phase = Some(state.phase);
            value.error = value.error.or(state.last_error);
        }
        Ok(value)
    }

    /// What marker and gate say.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn refresh_state(&self) -> Result<RefreshState> {
        self.core.check_open()?;
        Ok(self.state_from(&self.core.store.facts(self.key()?)?))
    }

    pub(crate) fn state_from(&self, facts: &Facts) -> RefreshState {
        refresh_state(facts.lease.as_ref(), facts.gate.as_ref(), self.core.now(), self.backoff_rule().cap)
    }

    /// Stores the bytes, whatever refresh is running: what that one brings later is not stored. A cooldown that
    /// was guessed ends; one that a server declared stays.
    ///
    /// # Errors
    /// Those of writing; the old value stays then.
    pub fn put(&self, data: impl AsRef<[u8]>, commit: &Commit) -> Result<Value> {
        self.core.check_open()?;
        let key = self.key()?;
        let draft = Draft { data: data.as_ref(), about: self.about(commit) };
        self.core.store.put(key, &draft)?;
        Ok(self.judge(self.core.store.look(key)?, None))
    }

    /// Says that the value is out of date: kept, served as stale, and refreshed by the next who asks. A refresh
    /// that is running goes on; what it brings is stale too, for it may have begun before the change.
    ///
    /// # Errors
    /// Those of writing.
    pub fn mark_stale(&self) -> Result<()> {
        self.core.check_open()?;
        let key = self.key()?;
        self.core.store.mark_stale(key, self.durability_now())?;
        self.core.emit(EventKind::Invalidated, key, None);
        Ok(())
    }

    /// Deletes the value and what is known of it; whether there was one.
    ///
    /// # Errors
    /// Those of writing.
    pub fn remove(&self) -> Result<bool> {
        self.core.check_open()?;
        let key = self.key()?;
        let there = self.core.store.remove(key, self.durability_now())?;
        self.core.emit(EventKind::Invalidated, key, None);
        Ok(there)
    }

    /// Waits until the version is another than `since`; none when the time is over. Changes by processes that
    /// follow the protocol wake it at once, others are seen within 25 ms.
    ///
    /// # Errors
    /// [`Code::Cancelled`] where `interrupt` said so.
    pub fn wait_for_change(
        &self,
        since: &Version,
        timeout: Option<Duration>,
        interrupt: Interrupt<'_>,
    ) -> Result<Option<Version>> {
        let key = self.key()?;
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            self.core.check_open()?;
            let seen = self.core.store.generation(key);
            let look = self.core.store.look(key)?;
            let version = look.entry.map_or_else(Version::absent, |entry| entry.version.clone());
            if version != *since {
                return Ok(Some(version));
            }
            let left =
                until.map_or(SLICE, |until| until.saturating_duration_since(Instant::now()).min(SLICE));
            if left.is_zero() {
                return Ok(None);
            }
            if interrupt.is_some_and(|interrupted| interrupted()) {
                return Err(cancelled());
            }
            self.core.store.sleep(key, seen, left);
        }
    }

    /// Asks for the right to refresh. The host does the work where it wants and ends the ticket.
    ///
    /// # Errors
    /// [`Code::TooManyLeases`], [`Code::LockTimeout`], and those of writing.
    pub fn acquire(&self, ask: &AcquireOptions) -> Result<Acquired> {
        self.core.check_open()?;
        let key = self.key()?;
        let length = ask.deadline.unwrap_or(self.options.deadline);
        let enough = |look: &Look| {
            let version = look.entry.as_ref().map_or_else(Version::absent, |entry| entry.version.clone());
            let changed = ask.unless_changed_since.as_ref().is_some_and(|since| version != *since);
            changed || (ask.unless_fresh && self.state_of(look) == State::Fresh)
        };
        let pass = match (ask.override_gate, ask.force) {
            (true, _) => Pass::All,
            (false, true) => Pass::Guessed,
            (false, false) => Pass::None,
        };
        let ask = Ask { length, guard_timeout: TIMEOUT, enough: &enough, pass, backoff: self.backoff_rule() };
        Ok(match self.core.store.acquire(key, &ask)? {
            Claim::Lease(lease) => Acquired::Ticket(Ticket::new(self, key, Ok(lease), length)),
            Claim::Enough(look) => Acquired::Fresh(self.judge(look, Some(How::Fresh))),
            Claim::InFlight(lease) => {
                Acquired::InFlight(self.state_from(&Facts { lease: Some(lease), ..Facts::default() }))
            }
            Claim::Ambiguous(since) => return Err(errors::ambiguous(key, since)),
            Claim::Gated(gate, _) => {
                self.core.emit(EventKind::Gated, key, None);
                Acquired::Gated(self.state_from(&Facts { gate: Some(gate), ..Facts::default() }))
            }
        })
    }

    /// Begins a call as a state machine, for hosts that wait in their own way.
    #[must_use]
    pub fn begin(&self, mode: Mode) -> Attempt {
        Attempt::new(self.clone(), mode)
    }

    /// If the value is not fresh, takes the lease now and queues the ticket for
    /// [`Cache::next_refresh`](crate::Cache::next_refresh).
    ///
    /// # Errors
    /// Those of [`Source::acquire`].
    pub fn request_refresh(&self) -> Result<Started> {
        self.start_in_background(|core, ticket| core.offer(ticket))
    }
}

/// What a lease in force and a gate amount to.
pub(crate) fn refresh_state(
    lease: Option<&Seen>,
    gate: Option<&Gate>,
    now: i64,
    cap: Duration,
) -> RefreshState {
    let retry_at = gate.and_then(|gate| gate.retry_at(now, cap));
    let phase = match (lease, retry_at) {
        (Some(_), _) => Phase::Running,
        (None, Some(_)) => Phase::Cooling,
        (None, None) => Phase::Idle,
    };
    let last_error = gate.and_then(|gate| gate.failure(now, cap));
    RefreshState {
        phase,
        in_flight: phase != Phase::Idle,
        failed: last_error.is_some(),
        last_error,
        started_at: lease.map(|lease| instant(lease.started_ns)),
        deadline: lease.map(|lease| instant(lease.deadline_ns)),
        retry_at,
        attempts: gate.map_or(0, |gate| gate.attempts),
        declared: gate.is_some_and(|gate| gate.declared),
        holder: lease.map(|lease| lease.pid).filter(|pid| *pid != 0),
    }
}
