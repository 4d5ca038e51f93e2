//! `Attempt`: one caller's way through `get`, `refresh`, `maybe_refresh` or `maybe_refresh_sync`, as a state
//! machine that never blocks on a refresh: look, join or take the lease, wait, return. The callback forms and
//! every binding are built on it, so their rules are the same; a host runs the work where it wants.

use super::Source;
use super::core::{Interrupt, SLICE};
use super::options::{RefreshOptions, Wait};
use super::outcome::Outcome;
use super::ticket::Ticket;
use super::value::{How, Phase, Value};
use crate::entry::Version;
use crate::error::{Code, Error, Result};
use crate::event::EventKind;
use crate::flight::Flight;
use crate::freshness::State;
use crate::fs::guard::{SHORT_TIMEOUT, TIMEOUT};
use crate::gate::{Gate, failure_of};
use crate::key::Key;
use crate::lease::Seen;
use crate::stamp::{Nanos, stamp};
use crate::store::{Ask, Claim, Facts, Look, Pass, errors};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which call it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Fresh, or refreshed within `wait`, or stale while the refresh goes on.
    Get {
        /// How long to wait.
        wait: Wait,
    },
    /// Now, whatever the age.
    Refresh(RefreshOptions),
    /// If not fresh, in the background.
    MaybeRefresh,
    /// If not fresh, and waiting for it.
    MaybeRefreshSync,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// The call's result.
    Done(Value),
    /// The lease is ours: do the work anywhere, end the ticket, then ask for what comes next.
    Run(Ticket),
    /// Somebody is on it: [`Attempt::wait`], then ask again.
    Wait,
}

enum Step {
    Start,
    /// Our own ticket's flight.
    Own(Arc<Flight<Outcome>>),
    /// One of this process.
    Joined(Arc<Flight<Outcome>>),
    /// A lease of another process.
    Watching(Watch),
    Finished,
}

/// What was there when the wait for another process began.
struct Watch {
    token: Option<u64>,
    version: Version,
    failed: u64,
    /// The slot's number before the last look.
    seen: u32,
}

/// One call on its way. Use it from one thread at a time.
pub struct Attempt {
    source: Source,
    mode: Mode,
    step: Step,
    until: Option<Instant>,
    /// A value that a notice covers was met once: the next one is returned.
    noticed_once: bool,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attempt({:?} {:?})", self.source, self.mode)
    }
}

/// After this many new beginnings in one call the caller is asked to wait first.
const RESTARTS: usize = 4;

impl Attempt {
    pub(crate) fn new(source: Source, mode: Mode) -> Attempt {
        let until = match mode {
            Mode::Get { wait: Wait::AtMost(wait) } => Instant::now().checked_add(wait),
            _ => None,
        };
        Attempt { source, mode, step: Step::Start, until, noticed_once: false }
    }

    /// What comes next. Bounded by the guard's timeout; normally microseconds.
    ///
    /// # Errors
    /// The call's own error; the attempt is over then, as after [`Next::Done`].
    #[allow(clippy::should_implement_trait, reason = "it ends with a value or an error, never with none")]
    pub fn next(&mut self) -> Result<Next> {
        let result = self.advance();
        if matches!(result, Err(_) | Ok(Next::Done(_))) {
            self.step = Step::Finished;
        }
        if let Ok(Next::Done(value)) = &result {
            self.count(value);
        }
        result
    }

    fn count(&self, value: &Value) {
        if let Ok(key) = self.source.key() {
            let kind = match (value.how, value.state) {
                (Some(How::Fresh), _) => EventKind::Hit,
                (Some(How::Coalesced), _) => EventKind::Coalesced,
                (Some(How::Ran | How::Unchanged | How::Uncoordinated), _) => return,
                (_, State::Absent) => EventKind::Miss,
                _ => EventKind::StaleServed,
            };
            self.source.core().emit(kind, key, value.error.as_ref().map(Error::code));
        }
    }

    /// Sleeps until there may be news, at most `at_most`; false if `interrupt` ended it.
    pub fn wait(&self, at_most: Duration, interrupt: Interrupt<'_>) -> bool {
        let start = Instant::now();
        let mut until = start + at_most.min(Duration::from_secs(3600));
        if let Some(own) = self.until {
            until = until.min(own);
        }
        loop {
            if interrupt.is_some_and(|interrupted| interrupted()) {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now()).min(SLICE);
            if left.is_zero() {
                return true;
            }
            match &self.step {
                Step::Own(flight) | Step::Joined(flight) => {
                    if flight.outcome().is_some() {
                        return true;
                    }
                    flight.wait(left);
                }
                Step::Watching(watch) => {
                    if let Ok(key) = self.source.key() {
                        self.source.core().store.sleep(key, watch.seen, left);
                    }
                    return true;
                }
                Step::Start | Step::Finished => return true,
            }
        }
    }

    fn advance(&mut self) -> Result<Next> {
        self.source.core().check_open()?;
        let key = self.source.key()?.clone();
        for _ in 0..RESTARTS {
            let next = match &self.step {
                Step::Start => self.start(&key)?,
                Step::Own(flight) => match flight.outcome() {
                    Some(outcome) => self.own(outcome).map(Some)?,
                    None => Some(self.not_yet(Phase::Running)?),
                },
                Step::Joined(flight) => {
                    let (alive, flight) = (self.is_alive(&key, flight)?, Arc::clone(flight));
                    match flight.outcome() {
                        Some(outcome) => self.joined(outcome)?,
                        None if alive => Some(self.not_yet(Phase::Running)?),
                        None => None,
                    }
                }
                Step::Watching(_) => self.watch(&key)?,
                Step::Finished => {
                    return Err(Error::new(Code::AlreadyUsed, "the attempt has ended before"));
                }
            };
            if let Some(next) = next {
                return Ok(next);
            }
            self.step = Step::Start;
        }
        self.not_yet(Phase::Running)
    }

    /// Looks, joins, or takes the lease. None: begin anew.
    fn start(&mut self, key: &Key) -> Result<Option<Next>> {
        let look = self.source.core().store.look(key)?;
        if self.is_enough(&look) {
            return Ok(Some(Next::Done(self.source.judge(look, Some(How::Fresh)))));
        }
        let flight = self.source.core().local.get().flights.of(key);
        if let Some(flight) = flight.filter(|flight| self.is_alive(key, flight).unwrap_or(true)) {
            if self.mode == Mode::MaybeRefresh {
                return Ok(Some(self.as_it_is(look, Phase::Running, None)));
            }
            self.step = Step::Joined(flight);
            return self.not_yet(Phase::Running).map(Some);
        }
        let core = Arc::clone(self.source.core());
        let seen = core.store.generation(key);
        match self.acquire(key) {
            Ok(Claim::Enough(look)) => Ok(Some(Next::Done(self.source.judge(look, Some(How::Fresh))))),
            Ok(Claim::Lease(lease)) => Ok(Some(self.run(key, Ok(lease)))),
            Ok(Claim::InFlight(lease)) if self.mode == Mode::MaybeRefresh => {
                let _ = lease;
                Ok(Some(self.as_it_is(look, Phase::Running, None)))
            }
            Ok(Claim::InFlight(lease)) => {
                self.watch_from(key, &lease, &look, seen)?;
                self.not_yet(Phase::Running).map(Some)
            }
            Ok(Claim::Gated(gate, look)) => self.gated(key, &gate, look).map(Some),
            Ok(Claim::Ambiguous(since)) => Err(errors::ambiguous(key, since)),
            // A disk without room for a marker: the work is done all the same, and is not coordinated.
            Err(error) if error.code() == Code::NoSpace && self.mode != Mode::MaybeRefresh => {
                Ok(Some(self.run(key, Err(error))))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the lease of a refresh of this process is still in force: one that overran its time, or was
    /// removed, is not waited for.
    fn is_alive(&self, key: &Key, flight: &Flight<Outcome>) -> Result<bool> {
        let (store, token) = (&self.source.core().store, Some(flight.token()));
        if token == Some(0) {
            return Ok(true);
        }
        let facts = store.facts(key)?;
        let running = facts.lease.as_ref().is_some_and(|lease| lease.token == token);
        // Between its commit and the end of its flight a refresh has no lease any more, and has ended well.
        let ended = || Ok::<_, Error>(store.look(key)?.entry.is_some_and(|entry| entry.token == token));
        Ok(running || last_token(&facts) == token || ended()?)
    }

    fn acquire(&self, key: &Key) -> Result<Claim> {
        let options = self.source.options();
        let pass = match self.mode {
            Mode::Refresh(RefreshOptions { override_gate: true, .. }) => Pass::All,
            Mode::Refresh(_) => Pass::Guessed,
            _ => Pass::None,
        };
        let background = self.mode == Mode::MaybeRefresh;
        let ask = Ask {
            length: options.deadline,
            guard_timeout: if background { SHORT_TIMEOUT } else { TIMEOUT },
            enough: &|look| self.is_enough(look),
            pass,
            backoff: self.source.backoff_rule(),
        };
        self.source.core().store.acquire(key, &ask)
    }

    fn is_enough(&self, look: &Look) -> bool {
        match self.mode {
            Mode::Refresh(RefreshOptions { min_fresh_at, .. }) => min_fresh_at
                .zip(look.entry.as_ref())
                .is_some_and(|(at, entry)| entry.stored_ns > stamp(at) && !look.noticed),
            _ => self.source.state_of(look) == State::Fresh,
        }
    }

    fn run(&mut self, key: &Key, lease: std::result::Result<crate::store::Lease, Error>) -> Next {
        let ticket = Ticket::new(&self.source, key, lease, self.source.options().deadline);
        self.step = Step::Own(Arc::clone(ticket.flight()));
        Next::Run(ticket)
    }

    fn as_it_is(&self, look: Look, phase: Phase, error: Option<Error>) -> Next {
        let mut value = self.source.judge(look, Some(How::Stale));
        value.phase = Some(phase);
        value.error = error.or(value.error);
        Next::Done(value)
    }

    fn gated(&self, key: &Key, gate: &Gate, look: Look) -> Result<Next> {
        let (now, cap) = (self.source.core().now(), self.source.backoff_rule().cap);
        self.source.core().emit(EventKind::Gated, key, None);
        let error = gated_error(key, gate, now, cap);
        match self.mode {
            Mode::Refresh(_) => Err(error),
            Mode::Get { .. } if !self.source.servable_after_error(&look) => Err(error),
            _ => Ok(self.as_it_is(look, Phase::Cooling, Some(error))),
        }
    }

    /// What a call returns while a refresh runs that is not done: `Wait`, or when its time is over what there
    /// is.
    fn not_yet(&self, phase: Phase) -> Result<Next> {
        if self.until.is_none_or(|until| Instant::now() < until) {
            return Ok(Next::Wait);
        }
        let key = self.source.key()?;
        let look = self.source.core().store.look(key)?;
        match self.source.state_of(&look) {
            State::Fresh => Ok(Next::Done(self.source.judge(look, Some(How::Fresh)))),
            State::Stale => Ok(self.as_it_is(look, phase, None)),
            State::Expired | State::Absent => Err(Error::new(
                Code::TimedOut,
                format!("{key}: the refresh was not done in time, and there is nothing that may be served"),
            )
            .with_hint("wait longer; the refresh goes on")),
        }
    }

    fn own(&self, outcome: Outcome) -> Result<Next> {
        match outcome {
            Outcome::Failed(error) => self.failed(error),
            Outcome::Abandoned => {
                self.failed(Error::new(Code::HolderDied, "the ticket was dropped without an end"))
            }
            other => Ok(Next::Done(self.source.value_of(&other))),
        }
    }

    /// None: the outcome says nothing to this caller, who begins anew.
    fn joined(&mut self, outcome: Outcome) -> Result<Option<Next>> {
        match outcome {
            Outcome::Failed(error) => self.failed(error).map(Some),
            Outcome::Abandoned => Ok(None),
            Outcome::Stored { noticed: true, .. } if !std::mem::replace(&mut self.noticed_once, true) => {
                Ok(None)
            }
            Outcome::NotStored { ref error, .. }
                if matches!(error.code(), Code::LeaseLost | Code::Superseded) =>
            {
                self.newer_or_again(error.code())
            }
            other => {
                let mut value = self.source.value_of(&other);
                if value.how != Some(How::Uncoordinated) {
                    value.how = Some(How::Coalesced);
                }
                Ok(Some(Next::Done(value)))
            }
        }
    }

    /// The refresh was overtaken: by a value that was put, which is the outcome, or by another refresh.
    fn newer_or_again(&self, code: Code) -> Result<Option<Next>> {
        let look = self.source.core().store.look(self.source.key()?)?;
        let put = code == Code::Superseded && look.entry.is_some();
        Ok(put.then(|| Next::Done(self.source.judge(look, Some(How::Coalesced)))))
    }

    fn failed(&self, error: Error) -> Result<Next> {
        if let Mode::Get { .. } = self.mode {
            let look = self.source.core().store.look(self.source.key()?)?;
            if self.source.servable_after_error(&look) {
                let mut value = self.source.judge(look, Some(How::Stale));
                value.phase = Some(if error.retry_at().is_some() { Phase::Cooling } else { Phase::Idle });
                value.error = Some(error);
                return Ok(Next::Done(value));
            }
        }
        Err(error)
    }

    fn watch_from(&mut self, key: &Key, lease: &Seen, look: &Look, seen: u32) -> Result<()> {
        let facts = self.source.core().store.facts(key)?;
        let version = look.entry.as_ref().map_or_else(Version::absent, |entry| entry.version.clone());
        let failed = last_token(&facts).filter(|token| Some(*token) != lease.token).unwrap_or(0);
        self.step = Step::Watching(Watch { token: lease.token, version, failed, seen });
        Ok(())
    }

    /// Looks at another process's refresh. The lease is looked at before the value: a commit between the two
    /// then shows as a value, never as a holder that died. None: begin anew.
    fn watch(&mut self, key: &Key) -> Result<Option<Next>> {
        let core = Arc::clone(self.source.core());
        let seen = core.store.generation(key);
        let facts = core.store.facts(key)?;
        let look = core.store.look(key)?;
        let Step::Watching(watch) = &mut self.step else { return Ok(None) };
        watch.seen = seen;
        match outcome_of(watch, &facts, &look) {
            News::Value if look.noticed && !std::mem::replace(&mut self.noticed_once, true) => Ok(None),
            News::Value => Ok(Some(Next::Done(self.source.judge(look, Some(How::Coalesced))))),
            News::Failure => {
                let cap = self.source.backoff_rule().cap;
                let failure = facts.gate.as_ref().and_then(|gate| gate.failure(core.now(), cap));
                match failure {
                    Some(error) => self.failed(error).map(Some),
                    None => Ok(None),
                }
            }
            News::Running => self.not_yet(Phase::Running).map(Some),
            News::Gone => Ok(None),
        }
    }
}

enum News {
    Value,
    Failure,
    Running,
    /// The holder died, or lost its lease: acquire for oneself.
    Gone,
}

fn last_token(facts: &Facts) -> Option<u64> {
    facts.gate.as_ref()?.last.as_ref().map(|last| last.token)
}

/// The first that applies: the value or the failure with the lease's token; a value, then a failure, newer
/// than that and than what was there when the wait began.
fn outcome_of(watch: &Watch, facts: &Facts, look: &Look) -> News {
    let value = look.entry.as_ref().and_then(|entry| entry.token);
    let failed = last_token(facts);
    let changed = look.entry.as_ref().is_some_and(|entry| entry.version != watch.version);
    if watch.token.is_some() && value == watch.token {
        return News::Value;
    }
    if watch.token.is_some() && failed == watch.token {
        return News::Failure;
    }
    if changed && value.is_none_or(|value| Some(value) > watch.token) {
        return News::Value;
    }
    if failed.is_some_and(|failed| Some(failed) > watch.token && failed > watch.failed) {
        return News::Failure;
    }
    match &facts.lease {
        Some(lease) if lease.token == watch.token => News::Running,
        _ => News::Gone,
    }
}

/// Why an attempt is barred.
pub(crate) fn gated_error(key: &Key, gate: &Gate, now: Nanos, cap: Duration) -> Error {
    let retry_at = gate.retry_at(now, cap);
    let reason = gate
        .last
        .as_ref()
        .map_or_else(|| gate.message.clone(), |last| failure_of(last, None).message().to_owned());
    let wait = gate.barred_until(now, cap).map_or(0, |until| until.saturating_sub(now));
    let left = Duration::from_millis(u64::try_from(wait).unwrap_or(0).div_ceil(1_000_000));
    let attempt = match gate.attempts {
        0 | 1 => String::new(),
        attempts => format!(" ({attempts} attempts)"),
    };
    let text = format!(
        "{key}: not refreshed: {reason}{attempt}; next attempt in {}",
        crate::text::format_duration(left)
    );
    Error::new(Code::Gated, text).with_retry_at(retry_at)
}
