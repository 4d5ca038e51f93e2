//! `Compute`: one caller's way to a derived result, as a state machine that calls nobody: it holds, or another is
//! computing it, or the caller computes it under a lease that all processes respect.

use super::Live;
use super::derived::Derived;
use super::here::{self, Working};
use super::input::{Input, LiveKey};
use super::ticket::LiveTicket;
use crate::error::{Code, Error, Result};
use crate::event::EventKind;
use crate::fs::Durability;
use crate::fs::guard::TIMEOUT;
use crate::gate::Backoff;
use crate::source::core::{Interrupt, SLICE};
use crate::source::fetched::Failure;
use crate::source::value::How;
use crate::stamp::{Nanos, instant, nanos, stamp};
use crate::store::{Ask, Claim, Failed, Lease, Pass, Store, Verdict, errors};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// What a computation needs next.
#[derive(Debug)]
pub enum LiveStep {
    /// Nothing: this is the result.
    Done(Derived),
    /// That it is computed, by [`Compute::job`]; then [`Compute::computed`].
    Compute,
    /// That another's computation ends: [`Compute::wait`].
    Wait,
}

enum At {
    Start,
    Waiting(u32),
    Computing(LiveTicket, LiveJob),
    Computed(LiveTicket, LiveJob, std::result::Result<Box<[u8]>, Failure>),
    Finished,
}

/// One way to a result. Use it from one thread at a time; dropped in the middle, it lets the next caller compute.
pub struct Compute {
    live: Live,
    key: LiveKey,
    inputs: Vec<Input>,
    upstreams: Vec<LiveKey>,
    kind: String,
    at: At,
    waited: bool,
    /// Only what was computed after it will do.
    newer_than: Option<Nanos>,
}

impl fmt::Debug for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compute({})", self.key)
    }
}

/// The right to compute one result. Cheap to clone; usable from any thread.
#[derive(Clone)]
pub struct LiveJob(Arc<Inner>);

struct Inner {
    live: Live,
    result: LiveKey,
    lease: Lease,
    deadline_ns: Nanos,
    ended: AtomicBool,
}

impl fmt::Debug for LiveJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveJob({})", self.0.lease.key)
    }
}

impl LiveJob {
    /// Until when it may take; then another may compute it too.
    #[must_use]
    pub fn deadline(&self) -> SystemTime {
        instant(self.0.deadline_ns)
    }

    /// How much of that is left.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        let left = self.0.deadline_ns.saturating_sub(self.0.live.core().now());
        Duration::from_nanos(u64::try_from(left).unwrap_or(0))
    }

    /// Whether nobody waits for the result any more: the lease is over.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
            || self.0.live.core().is_closed()
            || self.0.live.store().is_ok_and(|store| !store.holds(&self.0.lease))
    }

    /// Says that this thread is computing the result, for as long as the returned value lives: whoever asks for the
    /// same result on this thread meanwhile gets [`Code::Invalid`] rather than waiting for itself.
    /// [`Live::get_or_compute`] does so by itself.
    pub fn working(&self) -> Working {
        Working::new(&self.0.live, &self.0.result)
    }

    fn let_go(&self) {
        if !self.0.ended.swap(true, Ordering::AcqRel)
            && let Ok(store) = self.0.live.store()
        {
            store.release(&self.0.lease);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !*self.ended.get_mut()
            && let Ok(store) = self.live.store()
        {
            store.release(&self.lease);
        }
    }
}

impl Drop for Compute {
    fn drop(&mut self) {
        if let At::Computing(_, job) | At::Computed(_, job, _) = &self.at {
            job.let_go();
        }
    }
}

impl Compute {
    pub(super) fn new(
        live: &Live,
        key: LiveKey,
        inputs: &[Input],
        upstreams: &[LiveKey],
        kind: &str,
    ) -> Compute {
        Compute {
            live: live.clone(),
            key,
            inputs: inputs.to_vec(),
            upstreams: upstreams.to_vec(),
            kind: kind.to_owned(),
            at: At::Start,
            waited: false,
            newer_than: None,
        }
    }

    /// The same for one whom only a result will do that was computed after that instant, by the cache's clock, though
    /// nothing that an older one was computed from has changed. A computation that is under way is waited for.
    ///
    /// ```
    /// use forebay::{Cache, Failure, How, LiveKey, LiveStep};
    /// # let folder = tempfile::tempdir().unwrap();
    /// let cache = Cache::open(folder.path())?;
    /// let (live, key) = (cache.live()?, LiveKey::from_bytes(b"today's weather"));
    /// live.persist(&key, b"rain", "", &[])?;
    /// let mut way = live.compute(&key, &[], &[], "").newer_than(cache.now());
    /// assert!(matches!(way.next()?, LiveStep::Compute));
    /// way.computed(Ok("sun"));
    /// assert!(matches!(way.next()?, LiveStep::Done(derived) if derived.data() == b"sun"));
    /// # Ok::<(), forebay::Error>(())
    /// ```
    #[must_use]
    pub fn newer_than(mut self, at: SystemTime) -> Compute {
        self.newer_than = Some(stamp(at));
        self
    }

    /// What is there, if it holds and will do.
    fn found(&self) -> Result<Option<Derived>> {
        let found = self.live.lookup_revalidate(&self.key)?.hit();
        Ok(found.filter(|derived| self.newer_than.is_none_or(|then| stamp(derived.computed_at()) > then)))
    }

    /// What is needed next. It looks at the inputs, which may mean reading them.
    ///
    /// # Errors
    /// The computation's own, [`Code::Superseded`] where a result that it is built on does not hold, and those of
    /// reading the inputs and of writing. It is over then.
    #[allow(clippy::should_implement_trait, reason = "it ends with a result or an error, never with none")]
    pub fn next(&mut self) -> Result<LiveStep> {
        let step = match std::mem::replace(&mut self.at, At::Finished) {
            At::Start | At::Waiting(_) => self.look(),
            At::Computed(ticket, job, result) => self.end(ticket, &job, result).map(LiveStep::Done),
            At::Computing(..) | At::Finished => Err(Error::new(
                Code::AlreadyUsed,
                "the call has ended before, or was not told what it asked for",
            )),
        };
        if matches!(step, Err(_) | Ok(LiveStep::Done(_))) {
            self.at = At::Finished;
        }
        step
    }

    fn look(&mut self) -> Result<LiveStep> {
        self.live.core().check_open()?;
        if let Some(mut derived) = self.found()? {
            if self.waited {
                derived.how = How::Coalesced;
            }
            return Ok(LiveStep::Done(derived));
        }
        let live = self.live.clone();
        let (store, lease_key) = (live.store()?, live.lease_key(&self.key)?);
        let generation = store.generation(&lease_key);
        let ask = Ask {
            length: live.options().deadline,
            guard_timeout: TIMEOUT,
            enough: &|_| false,
            pass: Pass::All,
            backoff: Backoff::new(None, None, None),
        };
        match store.acquire(&lease_key, &ask)? {
            Claim::Lease(lease) => self.begin(lease),
            Claim::Ambiguous(since) => Err(errors::ambiguous(&lease_key, since)),
            Claim::InFlight(_) if here::is_computing(&self.live, &self.key) => Err(Error::new(
                Code::Invalid,
                format!("{}: its own computation asks for it, and would wait for itself", self.key),
            )
            .with_hint("compute it from other results")),
            Claim::InFlight(_) | Claim::Enough(_) | Claim::Gated(..) => {
                self.waited = true;
                self.at = At::Waiting(generation);
                Ok(LiveStep::Wait)
            }
        }
    }

    fn begin(&mut self, lease: Lease) -> Result<LiveStep> {
        let deadline_ns = self.live.core().now().saturating_add(nanos(self.live.options().deadline));
        let job = LiveJob(Arc::new(Inner {
            live: self.live.clone(),
            result: self.key,
            lease,
            deadline_ns,
            ended: AtomicBool::new(false),
        }));
        // Whoever held the lease before may have stored it between the look and the lease.
        if let Some(mut derived) = self.found()? {
            derived.how = How::Coalesced;
            self.give_back(&job);
            return Ok(LiveStep::Done(derived));
        }
        let ticket = match LiveTicket::begin(&self.live, self.key, &self.inputs, &self.upstreams) {
            Ok(ticket) => ticket,
            Err(error) => {
                self.give_back(&job);
                return Err(error);
            }
        };
        self.live.emit(EventKind::RefreshStarted, &self.key, None);
        self.at = At::Computing(ticket, job);
        Ok(LiveStep::Compute)
    }

    /// Ends the lease without a trace.
    fn give_back(&self, job: &LiveJob) {
        let failed = Failed {
            judge: Some(&|_| Verdict::Nothing),
            ..Failed::new(Code::RefreshFailed, "", Backoff::new(None, None, None), Durability::None)
        };
        let ended = self.live.store().and_then(|store| store.fail(&job.0.lease, &failed));
        match ended {
            Ok(_) => job.0.ended.store(true, Ordering::Release),
            Err(_) => job.let_go(),
        }
    }

    fn end(
        &self,
        ticket: LiveTicket,
        job: &LiveJob,
        result: std::result::Result<Box<[u8]>, Failure>,
    ) -> Result<Derived> {
        let derived = match result {
            Ok(data) => match ticket.commit(&data, &self.kind) {
                Ok(derived) => {
                    self.live.emit(EventKind::RefreshSucceeded, &self.key, None);
                    Ok(derived)
                }
                // It was computed: whoever asked gets it, and is told that it was not kept.
                Err(error) => {
                    self.live.emit(EventKind::RefreshFailed, &self.key, Some(error.code()));
                    Ok(LiveTicket::unstored(&self.live, self.key, &data, &self.kind, error))
                }
            },
            Err(failure) => {
                self.live.emit(EventKind::RefreshFailed, &self.key, Some(failure.code));
                Err(failure.caused(Error::new(failure.code, failure.message.clone())))
            }
        };
        self.give_back(job);
        derived
    }

    /// What may be known of the computation that is to be made; none when none is.
    #[must_use]
    pub fn job(&self) -> Option<LiveJob> {
        match &self.at {
            At::Computing(_, job) => Some(job.clone()),
            _ => None,
        }
    }

    /// Tells what was computed.
    pub fn computed(&mut self, result: std::result::Result<impl AsRef<[u8]>, Failure>) {
        match std::mem::replace(&mut self.at, At::Finished) {
            At::Computing(ticket, job) => {
                self.at = At::Computed(ticket, job, result.map(|data| data.as_ref().into()));
            }
            other => self.at = other,
        }
    }

    /// Sleeps until there may be news, at most `at_most`; false if `interrupt` ended it.
    pub fn wait(&self, at_most: Duration, interrupt: Interrupt<'_>) -> bool {
        if interrupt.is_some_and(|interrupted| interrupted()) {
            return false;
        }
        if let (At::Waiting(generation), Ok(store), Ok(key)) =
            (&self.at, self.live.store(), self.live.lease_key(&self.key))
        {
            store.sleep(&key, *generation, at_most.min(SLICE));
        }
        true
    }
}
