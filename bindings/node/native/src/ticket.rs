//! Tickets: the right to make the next value. A handle here can be emptied by hand, because waiting for the
//! garbage collector to give a lease back would hold up every other process.

use crate::convert::{RefreshFacts, ValueFacts};
use crate::failure::{FailureFacts, duration, durations, epoch_ms, guard, millis};
use crate::hub::Hub;
use forebay::{Acquired, Code, Commit, Error, Failure, Ticket};
use napi::bindgen_prelude::{Buffer, External, Uint8Array};
use napi_derive::napi;
use std::sync::{Mutex, PoisonError};

/// A ticket, until it is released.
pub struct Held(Mutex<Option<Ticket>>);

impl Held {
    pub(crate) fn new(ticket: Ticket) -> External<Held> {
        External::new(Held(Mutex::new(Some(ticket))))
    }

    fn ticket(&self) -> forebay::Result<Ticket> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(|| Error::new(Code::AlreadyUsed, "the ticket was released"))
    }
}

/// What goes with the bytes of a commit; durations in milliseconds.
#[napi(object, object_to_js = false)]
pub struct CommitFacts {
    pub validator: Option<String>,
    pub ttl: Option<f64>,
    pub max_stale: Option<f64>,
    pub extra: Option<String>,
}

impl TryFrom<CommitFacts> for Commit {
    type Error = Error;

    fn try_from(facts: CommitFacts) -> forebay::Result<Commit> {
        Ok(Commit {
            validator: facts.validator,
            ttl: durations(facts.ttl)?,
            max_stale: durations(facts.max_stale)?,
            extra: facts.extra,
        })
    }
}

/// A ticket, or why there is none.
#[napi(object, object_from_js = false)]
pub struct AcquiredFacts {
    pub outcome: &'static str,
    pub ticket: Option<External<Held>>,
    pub value: Option<ValueFacts>,
    pub refresh: Option<RefreshFacts>,
}

impl From<Acquired> for AcquiredFacts {
    fn from(acquired: Acquired) -> AcquiredFacts {
        let none = AcquiredFacts { outcome: "ticket", ticket: None, value: None, refresh: None };
        match acquired {
            Acquired::Ticket(ticket) => AcquiredFacts { ticket: Some(Held::new(ticket)), ..none },
            Acquired::Fresh(value) => AcquiredFacts { outcome: "fresh", value: Some(value.into()), ..none },
            Acquired::InFlight(state) => {
                AcquiredFacts { outcome: "in_flight", refresh: Some(state.into()), ..none }
            }
            Acquired::Gated(state) => AcquiredFacts { outcome: "gated", refresh: Some(state.into()), ..none },
        }
    }
}

/// A conditional request's header.
#[napi(object, object_from_js = false)]
pub struct HeaderFacts {
    pub name: &'static str,
    pub value: String,
}

/// What does not change while the ticket is held, but for the deadline, which `renew` moves.
#[napi(object, object_from_js = false)]
pub struct TicketFacts {
    pub key: String,
    pub token: String,
    /// Epoch milliseconds.
    pub deadline: f64,
    pub validator: Option<String>,
    pub headers: Vec<HeaderFacts>,
}

/// What the ticket says of itself.
#[napi]
pub fn ticket_facts(held: &External<Held>) -> napi::Result<TicketFacts> {
    guard(|| {
        let ticket = held.ticket()?;
        Ok(TicketFacts {
            key: ticket.key().to_string(),
            token: ticket.token().to_string(),
            deadline: epoch_ms(ticket.deadline()),
            validator: ticket.validator().map(str::to_owned),
            headers: ticket
                .conditional_headers()
                .into_iter()
                .map(|(name, value)| HeaderFacts { name, value })
                .collect(),
        })
    })
}

/// Milliseconds until the deadline, 0 after it.
#[napi]
pub fn ticket_remaining(held: &External<Held>) -> napi::Result<f64> {
    guard(|| held.ticket().map(|ticket| millis(ticket.remaining())))
}

/// Whether what the ticket makes is no longer wanted: one look at the marker.
#[napi]
pub fn ticket_cancelled(held: &External<Held>) -> napi::Result<bool> {
    guard(|| held.ticket().map(|ticket| ticket.cancelled()))
}

/// The bytes that were there when the lease was taken.
#[napi]
pub fn ticket_previous(held: &External<Held>) -> napi::Result<Option<Buffer>> {
    guard(|| {
        let ticket = held.ticket()?;
        Ok(ticket.previous().map(|entry| Buffer::from(entry.data.to_vec())))
    })
}

/// Stores the bytes.
#[napi]
pub fn ticket_complete(
    hub: &External<Hub>,
    id: u32,
    held: &External<Held>,
    bytes: Uint8Array,
    commit: CommitFacts,
) -> napi::Result<()> {
    guard(|| {
        let (ticket, bytes, commit) = (held.ticket()?, bytes.to_vec(), Commit::try_from(commit)?);
        hub.submit(id, move || ticket.complete(bytes, &commit).map(ValueFacts::from))
    })
}

/// Keeps the bytes that are there, as new.
#[napi]
pub fn ticket_unchanged(
    hub: &External<Hub>,
    id: u32,
    held: &External<Held>,
    commit: CommitFacts,
) -> napi::Result<()> {
    guard(|| {
        let (ticket, commit) = (held.ticket()?, Commit::try_from(commit)?);
        hub.submit(id, move || ticket.unchanged(&commit).map(ValueFacts::from))
    })
}

/// Records the failure, and until when nobody shall try again.
#[napi]
pub fn ticket_fail(
    hub: &External<Hub>,
    id: u32,
    held: &External<Held>,
    failure: FailureFacts,
) -> napi::Result<()> {
    guard(|| {
        let (ticket, failure) = (held.ticket()?, Failure::try_from(failure)?);
        hub.submit(id, move || ticket.fail(&failure))
    })
}

/// Moves the deadline to `length` ms from now.
#[napi]
pub fn ticket_renew(hub: &External<Hub>, id: u32, held: &External<Held>, length: f64) -> napi::Result<()> {
    guard(|| {
        let (ticket, length) = (held.ticket()?, duration(length)?);
        hub.submit(id, move || ticket.renew(length))
    })
}

/// Gives the ticket back. A lease that was not ended is over: abandoned.
#[napi]
pub fn ticket_release(held: &External<Held>) {
    let ticket = held.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(ticket);
}
