//! `Rotation`: one caller's way through `rotate`, as a state machine that calls nobody: it says when the exchange is
//! to be made and is told what came of it. The callback form and every binding are built on it.

use super::Credentials;
use super::credential::{Credential, Exchange};
use crate::entry::{Lifetime, Version};
use crate::error::{Code, Error, Result};
use crate::event::EventKind;
use crate::fs::Durability;
use crate::fs::guard::TIMEOUT;
use crate::gate::{Backoff, bounded};
use crate::key::Key;
use crate::source::assignment::Assignment;
use crate::source::core::{Interrupt, SLICE};
use crate::source::fetched::Failure;
use crate::source::value::How;
use crate::store::{About, Ask, Claim, Draft, Ended, Failed, Lease, Look, Pass, errors};
use crate::sys::breaks::broken;
use crate::text::redact;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a `rotate` needs next.
#[derive(Debug)]
pub enum RotateStep {
    /// Nothing: this is the credential.
    Done(Credential),
    /// The exchange, by [`Rotation::exchange`]; then [`Rotation::exchanged`]. That it has begun is on disk already.
    Exchange,
    /// That another's exchange ends: [`Rotation::wait`].
    Wait,
}

enum At {
    Start,
    Waiting(u32),
    Exchanging(Exchange),
    Exchanged(Exchange, std::result::Result<Box<[u8]>, Failure>),
    Finished,
}

/// One `rotate` on its way. Use it from one thread at a time. Dropped in the middle of an exchange, it leaves the
/// credential ambiguous: nobody knows whether the server has seen it.
pub struct Rotation {
    credentials: Credentials,
    key: Result<Key, Error>,
    seen: Version,
    at: At,
    waited: bool,
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rotation({:?})", self.key)
    }
}

impl Drop for Rotation {
    fn drop(&mut self) {
        if let At::Exchanging(exchange) | At::Exchanged(exchange, _) = &self.at {
            exchange.0.let_go();
        }
    }
}

/// What the exchange of single-use credentials records: everything flushed before anyone sees it.
pub(super) const ABOUT: About<'_> = About {
    validator: None,
    extra: None,
    lifetime: Lifetime { ttl: None, max_stale: None, own_ttl: false, own_max_stale: false },
    durability: Durability::Full,
};

pub(super) fn backoff() -> Backoff {
    Backoff::new(None, None, None)
}

fn version_of(look: &Look) -> Version {
    look.entry.as_ref().map_or_else(Version::absent, |entry| entry.version.clone())
}

impl Rotation {
    pub(super) fn new(
        credentials: &Credentials,
        key: Result<Key, Error>,
        seen: Option<&Version>,
    ) -> Rotation {
        let seen = seen.cloned().unwrap_or_else(Version::absent);
        Rotation { credentials: credentials.clone(), key, seen, at: At::Start, waited: false }
    }

    /// What is needed next. Bounded by the guard's timeout and two flushes.
    ///
    /// # Errors
    /// Why there is no new credential; it is over then, as after [`RotateStep::Done`]. [`Code::Ambiguous`]: an
    /// exchange was begun, and how it ended is not known.
    #[allow(
        clippy::should_implement_trait,
        reason = "it ends with a credential or an error, never with none"
    )]
    pub fn next(&mut self) -> Result<RotateStep> {
        let step = self.advance();
        if matches!(step, Err(_) | Ok(RotateStep::Done(_))) {
            self.at = At::Finished;
        }
        step
    }

    fn advance(&mut self) -> Result<RotateStep> {
        self.credentials.core.check_open()?;
        match std::mem::replace(&mut self.at, At::Finished) {
            At::Start | At::Waiting(_) => self.acquire(),
            At::Exchanged(exchange, result) => self.end(&exchange, result),
            At::Exchanging(_) | At::Finished => Err(Error::new(
                Code::AlreadyUsed,
                "the call has ended before, or was not told what it asked for",
            )),
        }
    }

    fn acquire(&mut self) -> Result<RotateStep> {
        let key = self.key.as_ref().map_err(Error::clone)?.clone();
        let core = Arc::clone(&self.credentials.core);
        let generation = core.store.generation(&key);
        let ask = Ask {
            length: self.credentials.deadline,
            guard_timeout: TIMEOUT,
            enough: &|look: &Look| version_of(look) != self.seen,
            pass: Pass::None,
            backoff: backoff(),
        };
        match core.store.acquire(&key, &ask)? {
            Claim::Enough(look) => self.another(&key, look),
            Claim::InFlight(_) => {
                self.waited = true;
                self.at = At::Waiting(generation);
                Ok(RotateStep::Wait)
            }
            Claim::Ambiguous(since) => Err(errors::ambiguous(&key, since)),
            Claim::Gated(gate, _) => {
                core.emit(EventKind::Gated, &key, None);
                let bar = gate.bar(core.now(), ask.backoff.cap);
                // Who waited for the exchange that failed gets its failure; who comes later, that it is barred.
                Err(if self.waited {
                    bar
                } else {
                    Error::new(Code::Gated, format!("{key}: not exchanged: {}", bar.message()))
                        .with_retry_at(bar.retry_at())
                })
            }
            Claim::Lease(lease) => match self.begin_exchange(lease) {
                // Something was stored between the two: nothing was sent, and one looks again.
                Err(error) if error.code() == Code::LeaseLost => {
                    self.at = At::Waiting(generation);
                    Ok(RotateStep::Wait)
                }
                other => other,
            },
        }
    }

    /// Another version is in place than the caller has seen: it is the newer one.
    fn another(&self, key: &Key, look: Look) -> Result<RotateStep> {
        let entry = look.entry.ok_or_else(|| {
            let gone = Error::new(
                Code::NotFound,
                format!("{key}: the credential that was seen is not stored any more"),
            );
            look.damaged.unwrap_or(gone).with_hint("log in again, then store it with rotate_reset")
        })?;
        self.credentials.core.emit(EventKind::Coalesced, key, None);
        Ok(RotateStep::Done(Credential { entry, how: How::Coalesced, error: None }))
    }

    fn begin_exchange(&mut self, lease: Lease) -> Result<RotateStep> {
        let core = Arc::clone(&self.credentials.core);
        if let Err(error) = if broken("started-late") { Ok(()) } else { core.store.start(&lease) } {
            // Nothing was sent: the lease is let go, and whoever comes next begins anew.
            core.store.release(&lease);
            return Err(error);
        }
        let assignment = Assignment::new(&core, Ok(lease), self.credentials.deadline);
        self.at = At::Exchanging(Exchange(Arc::new(assignment)));
        Ok(RotateStep::Exchange)
    }

    /// The exchange that is to be made; none when none is.
    #[must_use]
    pub fn exchange(&self) -> Option<Exchange> {
        match &self.at {
            At::Exchanging(exchange) => Some(exchange.clone()),
            _ => None,
        }
    }

    /// Tells what the exchange brought. Nothing is no credential: how it ended is not known then.
    pub fn exchanged(&mut self, result: std::result::Result<impl AsRef<[u8]>, Failure>) {
        match std::mem::replace(&mut self.at, At::Finished) {
            At::Exchanging(exchange) => {
                let result = result.and_then(|bytes| match bytes.as_ref() {
                    [] => Err(Failure::new(Code::RefreshFailed, "the exchange returned nothing")),
                    secret => Ok(secret.into()),
                });
                self.at = At::Exchanged(exchange, result);
            }
            other => self.at = other,
        }
    }

    fn end(
        &self,
        exchange: &Exchange,
        result: std::result::Result<Box<[u8]>, Failure>,
    ) -> Result<RotateStep> {
        if broken("started-late") {
            let _ = exchange.0.lease().map(|lease| self.credentials.core.store.start(lease));
        }
        let ended = match result {
            Ok(secret) => Ok(RotateStep::Done(self.store(exchange, &secret))),
            Err(failure) => Err(self.fail(exchange, &failure)),
        };
        exchange.0.end();
        ended
    }

    /// Sleeps until there may be news, at most `at_most`; false if `interrupt` ended it.
    pub fn wait(&self, at_most: Duration, interrupt: Interrupt<'_>) -> bool {
        if interrupt.is_some_and(|interrupted| interrupted()) {
            return false;
        }
        if let (At::Waiting(generation), Ok(key)) = (&self.at, &self.key) {
            self.credentials.core.store.sleep(key, *generation, at_most.min(SLICE));
        }
        true
    }
}

impl Rotation {
    /// Stores the new credential. Where that fails the caller has the only copy, and is told so.
    fn store(&self, exchange: &Exchange, secret: &[u8]) -> Credential {
        match exchange.0.store(&Draft { data: secret, about: ABOUT }, EventKind::RefreshSucceeded) {
            Ok(done) => {
                let entry = Arc::new(ABOUT.entry(secret, Some(done.token), done.stored_ns));
                Credential { entry, how: How::Ran, error: None }
            }
            Err(error) => {
                let entry = Arc::new(ABOUT.entry(secret, None, self.credentials.core.now()));
                // A login that came meanwhile is the better one: this one is not to be put over it.
                let error = if error.code() == Code::Superseded {
                    error
                } else {
                    error.with_hint("keep it: nobody else has it; store it with rotate_reset")
                };
                Credential { entry, how: How::Uncoordinated, error: Some(error) }
            }
        }
    }

    /// Records the failure: definite where the server answered or was never asked, else ambiguous.
    fn fail(&self, exchange: &Exchange, failure: &Failure) -> Error {
        let definite = !failure.sent
            || matches!(
                failure.code,
                Code::Unauthorized | Code::RateLimited | Code::Invalid | Code::NoCredentials
            );
        let message = bounded(&redact(&failure.message, exchange.previous().unwrap_or_default()));
        let failed = Failed {
            retry_after: failure.retry_after,
            ambiguous: !definite,
            ..Failed::new(failure.code, &message, backoff(), Durability::Full)
        };
        let code = if definite { failure.code } else { Code::Ambiguous };
        let recorded = exchange.0.fail(&failed, code);
        if !definite {
            let key = self.key.as_ref().map(ToString::to_string).unwrap_or_default();
            let text = format!("{key}: sent, and the answer is not known: {message}");
            return failure.caused(errors::ambiguous_because(text));
        }
        let error = failure.caused(Error::new(code, message.clone()));
        match recorded {
            Ok(Ended::Recorded(gate)) => {
                error.with_retry_at(gate.retry_at(self.credentials.core.now(), backoff().cap))
            }
            _ => error,
        }
    }
}
