//! `Resolve`: one caller's way to a quota answer, as a state machine that calls nobody: it says what it needs next
//! (credentials, a fetch, the fallback, a wait) and is told what came of it. The callback form and every binding
//! are built on it, so that what is touched, and in which order, is written once.

use super::Quota;
use super::answer::Answer;
use super::fetch::json_text;
use super::job::QuotaJob;
use super::{Seen, State};
use crate::error::{Code, Error, Result};
use crate::event::EventKind;
use crate::fs::guard::TIMEOUT;
use crate::gate::bounded;
use crate::key::Key;
use crate::lease::check_length;
use crate::source::core::{Interrupt, SLICE};
use crate::source::fetched::{Failure, Fetched};
use crate::source::options::Wait;
use crate::source::value::How;
use crate::store::{Ask, Claim, Lease, Look, Pass, errors};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a `resolve` needs next.
#[derive(Debug)]
pub enum Step {
    /// Nothing: this is the answer.
    Done(Answer),
    /// The credentials; then [`Resolve::credentials`].
    Credentials,
    /// A fetch, by [`Resolve::job`]; then [`Resolve::fetched`].
    Fetch,
    /// What the fallback can tell; then [`Resolve::fallback`].
    Fallback,
    /// That another's fetch ends: [`Resolve::wait`].
    Wait,
}

enum At {
    Start,
    Credentials,
    NoCredentials(Error),
    Fetching(QuotaJob),
    Fetched(QuotaJob, std::result::Result<Fetched, Failure>),
    /// There is no answer, for this reason.
    Fallback(Error),
    Told(Error, Option<Arc<str>>),
    /// The slot's number before the last look.
    Waiting(u32),
    Finished,
}

/// One `resolve` on its way. Use it from one thread at a time; dropped in the middle of a fetch, it lets the next
/// caller take over.
pub struct Resolve {
    pub(super) quota: Quota,
    at: At,
    /// What `credentials` said, and its hash.
    credential: Option<(Box<[u8]>, Option<String>)>,
    until: Option<Instant>,
    /// Another's fetch was waited for: what is fresh now came from it.
    pub(super) waited: bool,
    /// Why the lease could not be asked for: who looks again after that asks no more.
    late: Option<Error>,
    fetched: bool,
}

impl fmt::Debug for Resolve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolve({:?})", self.quota)
    }
}

impl Drop for Resolve {
    fn drop(&mut self) {
        if let At::Fetching(job) | At::Fetched(job, _) = &self.at {
            job.let_go();
        }
    }
}

/// The hash of a credential, as the record and the gate keep it: enough to tell two apart.
fn hash_of(credential: &[u8]) -> Option<String> {
    if credential.is_empty() {
        return None;
    }
    let hash = blake3::derive_key("forebay 2026-11-21 quota credential", credential);
    Some(blake3::Hash::from(hash).to_hex()[..32].to_owned())
}

/// What a caller has to be told who knows of no lease.
fn bad_timeout(error: &Error) -> Error {
    Error::new(error.code(), "the timeout of a fetch is 0, or over 24 h")
        .with_hint("give the time that one may take, such as 2 s")
}

impl Resolve {
    pub(super) fn new(quota: Quota) -> Resolve {
        let until = match quota.options().wait {
            Wait::AtMost(wait) => Instant::now().checked_add(wait),
            Wait::UntilDone => None,
        };
        Resolve { quota, at: At::Start, credential: None, until, waited: false, late: None, fetched: false }
    }

    /// What is needed next. Bounded by the guard's timeout; normally microseconds.
    ///
    /// # Errors
    /// Why there is no answer; it is over then, as after [`Step::Done`]. [`Code::AlreadyUsed`] after that, and
    /// where what was asked for was not told.
    #[allow(clippy::should_implement_trait, reason = "it ends with an answer or an error, never with none")]
    pub fn next(&mut self) -> Result<Step> {
        let step = self.advance();
        match &step {
            Err(_) => self.at = At::Finished,
            Ok(Step::Done(answer)) => {
                self.at = At::Finished;
                self.count(answer);
            }
            Ok(_) => {}
        }
        step
    }

    fn count(&self, answer: &Answer) {
        let kind = match answer.how {
            How::Fresh => EventKind::Hit,
            How::Coalesced => EventKind::Coalesced,
            How::Stale => EventKind::StaleServed,
            How::Fallback => EventKind::Miss,
            How::Ran | How::Unchanged | How::Uncoordinated => return,
        };
        if let Ok(key) = self.quota.key() {
            self.quota.core().emit(kind, key, answer.error.as_ref().map(Error::code));
        }
    }

    fn advance(&mut self) -> Result<Step> {
        self.quota.core().check_open()?;
        match std::mem::replace(&mut self.at, At::Finished) {
            At::Start | At::Waiting(_) => self.look(),
            At::Fetched(job, result) => self.end_fetch(&job, result),
            At::NoCredentials(reason) => Ok(self.need_fallback(reason)),
            At::Told(reason, None) => Err(reason),
            At::Told(reason, Some(data)) => Ok(Step::Done(Answer {
                data,
                how: How::Fallback,
                state: State::Fresh,
                age: Duration::ZERO,
                cached_at: None,
                retry_at: reason.retry_at(),
                error: Some(reason),
            })),
            At::Credentials | At::Fetching(_) | At::Fallback(_) | At::Finished => Err(Error::new(
                Code::AlreadyUsed,
                "the call has ended before, or was not told what it asked for",
            )),
        }
    }

    pub(super) fn look(&mut self) -> Result<Step> {
        let key = self.quota.key()?.clone();
        check_length(self.quota.options().timeout).map_err(|error| bad_timeout(&error))?;
        let late = self.late.take();
        let how = if self.waited || late.is_some() { How::Coalesced } else { How::Fresh };
        let seen = self.quota.see()?;
        if seen.is_fresh() {
            return Ok(self.done(&seen, how, None));
        }
        // Who may have to wait looks again, after the number that a wait begins with.
        let core = Arc::clone(self.quota.core());
        let generation = core.store.generation(&key);
        let seen = self.quota.see()?;
        if seen.is_fresh() {
            return Ok(self.done(&seen, how, None));
        }
        let facts = core.store.facts(&key)?;
        let (now, cap) = (core.now(), self.quota.growing_backoff().believed);
        if let Some(gate) = facts.gate.filter(|gate| gate.barred_until(now, cap).is_some()) {
            match &self.credential {
                // A new login ends what bars the old one; whether there is one only the credentials tell.
                None if gate.is_authorization() && gate.credential.is_some() => {
                    return Ok(self.ask_credentials());
                }
                Some((_, Some(hash))) if gate.is_about_another(Some(hash)) => {}
                _ => return Ok(self.held_back(&key, &seen, gate.bar(now, cap))),
            }
        }
        if seen.state == State::Fresh
            && let Some(error) = self.quota.recorded_error(&seen)
        {
            return Ok(self.need_fallback(error));
        }
        if facts.lease.is_some() {
            return self.follow(&seen, generation);
        }
        if self.credential.is_none() {
            return Ok(self.ask_credentials());
        }
        match late {
            Some(late) => Ok(self.without_fetch(&seen, late)),
            None => self.acquire(&key, &seen, generation),
        }
    }

    /// The hash of the credential in use.
    pub(super) fn credential_hash(&self) -> Option<&str> {
        self.credential.as_ref()?.1.as_deref()
    }

    /// The credential in use.
    pub(super) fn secret(&self) -> &[u8] {
        self.credential.as_ref().map_or(&[], |(secret, _)| secret)
    }

    pub(super) fn done(&self, seen: &Seen, how: How, error: Option<Error>) -> Step {
        match self.quota.answer_of(seen, how, error) {
            Some(answer) => Step::Done(answer),
            None => Step::Wait,
        }
    }

    fn ask_credentials(&mut self) -> Step {
        self.at = At::Credentials;
        Step::Credentials
    }

    pub(super) fn need_fallback(&mut self, reason: Error) -> Step {
        self.at = At::Fallback(reason);
        Step::Fallback
    }

    /// A gate bars the fetch: what is there is shown, unless the gate says that whoever had it may see it no more.
    fn held_back(&mut self, key: &Key, seen: &Seen, bar: Error) -> Step {
        self.quota.core().emit(EventKind::Gated, key, Some(bar.code()));
        self.without_fetch(seen, bar)
    }

    pub(super) fn without_fetch(&mut self, seen: &Seen, reason: Error) -> Step {
        if seen.is_servable() && reason.code() != Code::Unauthorized {
            return self.done(seen, How::Stale, Some(reason));
        }
        self.need_fallback(reason)
    }

    /// Another is fetching: what is there is shown meanwhile; with nothing there, one waits.
    fn follow(&mut self, seen: &Seen, generation: u32) -> Result<Step> {
        if seen.is_servable() {
            return Ok(self.done(seen, How::Stale, None));
        }
        if self.until.is_some_and(|until| Instant::now() >= until) {
            let late = Error::new(
                Code::TimedOut,
                format!(
                    "{}: another's fetch was not done in time, and there is nothing to show",
                    self.quota.name()
                ),
            );
            return Ok(self.need_fallback(late.with_hint("wait longer; the fetch goes on")));
        }
        self.waited = true;
        self.at = At::Waiting(generation);
        Ok(Step::Wait)
    }

    fn acquire(&mut self, key: &Key, seen: &Seen, generation: u32) -> Result<Step> {
        let hash = self.credential_hash().map(str::to_owned);
        let quota = self.quota.clone();
        let ask = Ask {
            length: quota.options().timeout,
            guard_timeout: TIMEOUT,
            enough: &|look: &Look| quota.judge(look.clone()).is_fresh(),
            pass: hash.as_deref().map_or(Pass::None, Pass::Credential),
            backoff: quota.growing_backoff(),
        };
        match quota.core().store.acquire(key, &ask) {
            Ok(Claim::Enough(look)) => Ok(self.done(&quota.judge(look), How::Coalesced, None)),
            Ok(Claim::InFlight(_)) => self.follow(seen, generation),
            Ok(Claim::Gated(gate, look)) => {
                let bar = gate.bar(quota.core().now(), ask.backoff.believed);
                Ok(self.held_back(key, &quota.judge(look), bar))
            }
            Ok(Claim::Ambiguous(since)) => Err(errors::ambiguous(key, since)),
            Ok(Claim::Lease(lease)) => Ok(self.fetch(Ok(lease))),
            // A disk without room for a marker: the fetch is made all the same, and is not coordinated.
            Err(error) if error.code() == Code::NoSpace => Ok(self.fetch(Err(error))),
            Err(error) if error.code() == Code::Invalid => Err(error),
            // Whoever held the guard has usually just stored what this caller wanted.
            Err(error) if error.code() == Code::LockTimeout => {
                self.late = Some(error);
                self.look()
            }
            Err(error) => Ok(self.without_fetch(seen, error)),
        }
    }

    fn fetch(&mut self, lease: std::result::Result<Lease, Error>) -> Step {
        if std::mem::replace(&mut self.fetched, true) {
            let late =
                format!("{}: what was fetched came too late, and is out of date again", self.quota.name());
            return self.need_fallback(Error::new(Code::Superseded, late));
        }
        self.at = At::Fetching(QuotaJob::new(&self.quota, lease, self.secret()));
        Step::Fetch
    }

    /// Tells the credentials: the secret itself, of which only a hash is kept. Empty: there is none to be had, and
    /// none is needed.
    pub fn credentials(&mut self, found: std::result::Result<impl AsRef<[u8]>, Failure>) {
        if !matches!(self.at, At::Credentials) {
            return;
        }
        match found {
            Ok(secret) => {
                let secret = secret.as_ref();
                self.credential = Some((secret.into(), hash_of(secret)));
                self.at = At::Start;
            }
            Err(failure) => {
                let code =
                    if failure.code == Code::RefreshFailed { Code::NoCredentials } else { failure.code };
                let error = failure.caused(Error::new(code, bounded(&failure.message)));
                // No gate: it would only keep the user waiting who has just logged in.
                self.at = At::NoCredentials(error);
            }
        }
    }

    /// The fetch that is to be made; none when none is.
    #[must_use]
    pub fn job(&self) -> Option<QuotaJob> {
        match &self.at {
            At::Fetching(job) => Some(job.clone()),
            _ => None,
        }
    }

    /// Tells what the fetch brought.
    pub fn fetched(&mut self, result: std::result::Result<Fetched, Failure>) {
        match std::mem::replace(&mut self.at, At::Finished) {
            At::Fetching(job) => self.at = At::Fetched(job, result),
            other => self.at = other,
        }
    }

    /// Tells what the fallback made: JSON, or nothing. What is not JSON counts as nothing.
    pub fn fallback(&mut self, made: std::result::Result<Option<impl AsRef<[u8]>>, Failure>) {
        match std::mem::replace(&mut self.at, At::Finished) {
            At::Fallback(reason) => {
                let made = made.ok().flatten();
                let text = made.and_then(|made| json_text(made.as_ref()).ok());
                self.at = At::Told(reason, text);
            }
            other => self.at = other,
        }
    }

    /// Sleeps until there may be news, at most `at_most`; false if `interrupt` ended it.
    pub fn wait(&self, at_most: Duration, interrupt: Interrupt<'_>) -> bool {
        if interrupt.is_some_and(|interrupted| interrupted()) {
            return false;
        }
        if let (At::Waiting(generation), Ok(key)) = (&self.at, self.quota.key()) {
            let own = self.until.map_or(SLICE, |until| until.saturating_duration_since(Instant::now()));
            self.quota.core().store.sleep(key, *generation, at_most.min(SLICE).min(own));
        }
        true
    }
}
