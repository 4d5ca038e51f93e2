//! `Cell`: entry, notice, lease, gate and started of one key as one value, and what each call of a store does to it.
//! For stores that change a key in one step: the memory store, and those on LMDB. It knows no place where it is
//! kept; whether a lease's holder lives is asked of its caller.

use super::errors;
use super::{Ask, Claim, Committed, Ended, Failed, Look, Verdict};
use crate::entry::{Entry, Version};
use crate::error::Result;
use crate::gate::{ABANDONED, Backoff, Gate, Setback};
use crate::key::Key;
use crate::lease::{Seen, Term};
use crate::stamp::Nanos;
use crate::sys::Sys;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// All that is known of a key.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    pub(crate) entry: Option<Arc<Entry>>,
    /// What was fetched up to this token is out of date.
    pub(crate) notice: Option<u64>,
    pub(crate) lease: Option<Running>,
    pub(crate) gate: Option<Gate>,
    /// The greatest token that was given for it.
    pub(crate) greatest: u64,
    pub(crate) started: Option<(Version, Nanos)>,
}

/// A lease that was given and not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) term: Term,
    /// Its holder let it go without an end.
    #[serde(default)]
    pub(crate) released: bool,
}

/// What a change of a cell needs to know of the world.
pub(crate) struct World<'w> {
    pub(crate) sys: &'w dyn Sys,
    /// Whether the holder of a lease lives.
    pub(crate) lives: &'w dyn Fn(&Term) -> bool,
    /// Uniform in 0..1.
    pub(crate) chance: f64,
}

impl World<'_> {
    fn now(&self) -> Nanos {
        self.sys.clock().wall_ns()
    }
}

/// What `acquire` found, before it is a lease of anyone.
pub(crate) enum Given {
    /// The lease is given: a term of that token.
    Lease(Term, Option<Arc<Entry>>),
    Other(Claim),
}

impl Cell {
    pub(crate) fn look(&self) -> Look {
        let token = self.entry.as_ref().and_then(|entry| entry.token);
        let noticed = self.notice.is_some_and(|notice| token.is_some_and(|token| token <= notice));
        Look { entry: self.entry.clone(), noticed, damaged: None }
    }

    pub(crate) fn version(&self) -> Version {
        self.entry.as_ref().map_or_else(Version::absent, |entry| entry.version.clone())
    }

    /// Since when the outcome of what was started is not known.
    pub(crate) fn open_since(&self) -> Option<Nanos> {
        self.started.as_ref().filter(|(seen, _)| *seen == self.version()).map(|(_, at)| *at)
    }

    /// The lease in force.
    pub(crate) fn in_force(&self, world: &World<'_>) -> Option<&Running> {
        let running = self.lease.as_ref()?;
        let holds = !running.released
            && running.term.in_time(&world.sys.process(), world.sys.clock())
            && (world.lives)(&running.term);
        holds.then_some(running)
    }

    pub(crate) fn seen(&self, world: &World<'_>) -> Option<Seen> {
        self.in_force(world).map(|running| Seen::from(&running.term))
    }

    /// A token greater than any that was given.
    pub(crate) fn next_token(&mut self, world: &World<'_>) -> u64 {
        self.greatest = u64::try_from(world.sys.real_ns()).unwrap_or(0).max(self.greatest + 1);
        self.greatest
    }

    /// Clears an orphan and counts the attempt.
    pub(crate) fn settle(&mut self, world: &World<'_>, backoff: &Backoff) {
        let Some(orphan) = self.lease.take() else { return };
        let setback = Setback {
            token: orphan.term.token.unwrap_or(0),
            error: ABANDONED.to_owned(),
            message: "the process that ran the refresh ended before it did".to_owned(),
            retry_after: None,
            credential: None,
        };
        self.gate = Some(Gate::after(self.gate.as_ref(), &setback, world.now(), backoff, world.chance));
    }

    pub(crate) fn acquire(&mut self, world: &World<'_>, ask: &Ask<'_>, nonce: &str) -> Given {
        if let Some(seen) = self.seen(world) {
            return Given::Other(Claim::InFlight(seen));
        }
        let overdue =
            self.lease.as_ref().is_some_and(|running| !running.released && (world.lives)(&running.term));
        if let Some(since) = self.open_since().filter(|_| overdue) {
            return Given::Other(Claim::Ambiguous(since));
        }
        self.settle(world, &ask.backoff);
        let look = self.look();
        if let Some(since) = self.open_since() {
            return Given::Other(Claim::Ambiguous(since));
        }
        if (ask.enough)(&look) {
            return Given::Other(Claim::Enough(look));
        }
        if let Some(gate) = &self.gate
            && ask.is_barred_by(gate, world.now())
        {
            return Given::Other(Claim::Gated(gate.clone(), look));
        }
        let token = self.next_token(world);
        let term = Term::new(token, nonce.to_owned(), &world.sys.process(), world.sys.clock(), ask.length);
        self.lease = Some(Running { term: term.clone(), released: false });
        Given::Lease(term, look.entry)
    }

    /// Whether the lease of that token is the one that was given last.
    pub(crate) fn is_held_by(&self, token: u64) -> bool {
        self.lease.as_ref().is_some_and(|running| running.term.token == Some(token))
    }

    /// Ends the lease; an error where it is lost, or something greater was stored.
    pub(crate) fn end(&mut self, key: &Key, token: u64) -> Result<()> {
        if !self.is_held_by(token) {
            return Err(errors::lease_lost(key));
        }
        self.lease = None;
        if self.entry.as_ref().and_then(|entry| entry.token) > Some(token) {
            return Err(errors::superseded(key));
        }
        Ok(())
    }

    pub(crate) fn store(&mut self, entry: Entry) -> Committed {
        let token = entry.token.unwrap_or(0);
        let stored_ns = entry.stored_ns;
        self.entry = Some(Arc::new(entry));
        self.notice = self.notice.filter(|notice| *notice >= token);
        self.started = None;
        Committed { token, stored_ns, noticed: self.notice.is_some() }
    }

    pub(crate) fn fail(&mut self, world: &World<'_>, token: u64, failed: &Failed<'_>) -> Ended {
        let verdict = failed.judge.map_or(Verdict::Gate, |judge| judge(&self.look()));
        if verdict == Verdict::GateAndRemove {
            self.entry = None;
            self.notice = None;
        }
        if !failed.ambiguous {
            self.started = None;
        }
        if verdict == Verdict::Nothing {
            return Ended::Ignored;
        }
        let setback = Setback {
            token,
            error: failed.code.as_str().to_owned(),
            message: failed.message.to_owned(),
            retry_after: failed.retry_after,
            credential: failed.credential.map(str::to_owned),
        };
        let gate = Gate::after(self.gate.as_ref(), &setback, world.now(), &failed.backoff, world.chance);
        self.gate = Some(gate.clone());
        Ended::Recorded(Box::new(gate))
    }

    pub(crate) fn renew(&mut self, world: &World<'_>, token: u64, length: Duration) -> bool {
        match &mut self.lease {
            Some(running) if running.term.token == Some(token) => {
                running.term.prolong(world.sys.clock(), length);
                true
            }
            _ => false,
        }
    }

    /// Makes way for a value that needs no lease, and gives its token.
    pub(crate) fn make_way(&mut self, world: &World<'_>) -> u64 {
        if self.in_force(world).is_none() {
            self.settle(world, &Backoff::new(None, None, None));
        }
        self.notice = None;
        self.gate = self.gate.take().filter(|gate| gate.declared);
        self.next_token(world)
    }

    /// Forgets value, lease and what belongs to them; whether there was a value.
    pub(crate) fn clear(&mut self) -> bool {
        let there = self.entry.take().is_some();
        self.lease = None;
        self.notice = None;
        self.started = None;
        self.gate = self.gate.take().filter(|gate| gate.declared);
        there
    }
}
