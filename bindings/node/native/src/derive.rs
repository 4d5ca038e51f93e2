//! Computations of derived results: the state machine under `getOrCompute`, one step at a time, and tickets, which
//! are ended by hand. The computation runs in JavaScript between the steps.

use crate::course::{Course, Machine, Turn};
use crate::failure::{FailureFacts, epoch_ms, guard, millis};
use crate::hub::{Hub, Interrupt};
use crate::live::{DerivedFacts, FromFacts};
use forebay::{Code, Compute, Error, Failure, Live, LiveJob, LiveKey, LiveStep, LiveTicket};
use napi::bindgen_prelude::{External, Uint8Array};
use napi_derive::napi;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a computation may know of itself, until it is over. Emptied by hand: the garbage collector takes its time.
pub struct HeldLiveJob(Mutex<Option<LiveJob>>);

impl HeldLiveJob {
    fn with<T>(&self, look: impl FnOnce(&LiveJob) -> T) -> forebay::Result<T> {
        let job = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        job.as_ref().map(look).ok_or_else(|| Error::new(Code::AlreadyUsed, "the computation is over"))
    }
}

/// What to do next: use the result, compute it, or wait (neither).
#[napi(object, object_from_js = false)]
pub struct LiveStepFacts {
    pub derived: Option<DerivedFacts>,
    pub job: Option<External<HeldLiveJob>>,
}

impl Machine for Compute {
    type Facts = LiveStepFacts;

    fn step(&mut self) -> forebay::Result<Turn<LiveStepFacts>> {
        let none = LiveStepFacts { derived: None, job: None };
        Ok(match self.next()? {
            LiveStep::Done(derived) => Turn::Over(LiveStepFacts { derived: Some(derived.into()), ..none }),
            LiveStep::Compute => {
                let job = self.job().map(|job| External::new(HeldLiveJob(Mutex::new(Some(job)))));
                Turn::Work(LiveStepFacts { job, ..none })
            }
            LiveStep::Wait => Turn::Wait(none),
        })
    }

    fn pause(&self, at_most: Duration, interrupted: &dyn Fn() -> bool) -> bool {
        self.wait(at_most, Some(interrupted))
    }
}

/// Begins a computation; touches nothing yet.
#[napi]
pub fn compute_begin(
    live: &External<Live>,
    key: String,
    from: FromFacts,
    kind: String,
) -> napi::Result<External<Course<Compute>>> {
    guard(|| {
        let (key, (inputs, upstream)) = (LiveKey::parse(&key)?, from.parts()?);
        Ok(External::new(Course::new(live.compute(&key, &inputs, &upstream, &kind))))
    })
}

/// The next step; with `wait`, once there may be news.
#[napi]
pub fn compute_next(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Compute>>,
    wait: bool,
    interrupt: &External<Interrupt>,
) -> napi::Result<()> {
    guard(|| course.next(hub, id, wait, interrupt))
}

/// Hands over what was computed, and takes the next step.
#[napi]
pub fn compute_computed(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Compute>>,
    bytes: Uint8Array,
) -> napi::Result<()> {
    let bytes = bytes.to_vec();
    guard(|| course.tell(hub, id, move |compute| compute.computed(Ok(bytes))))
}

/// Says how the computation failed, and takes the next step.
#[napi]
pub fn compute_failed(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Compute>>,
    failure: FailureFacts,
) -> napi::Result<()> {
    guard(|| {
        let failed: Result<Vec<u8>, Failure> = Err(failure.try_into()?);
        course.tell(hub, id, move |compute| compute.computed(failed))
    })
}

/// Leaves the computation: what it brings is not stored any more, and the next caller may compute.
#[napi]
pub fn compute_close(course: &External<Course<Compute>>) {
    course.close();
}

/// Until when the computation may take, in epoch milliseconds.
#[napi]
pub fn live_job_deadline(held: &External<HeldLiveJob>) -> napi::Result<f64> {
    guard(|| held.with(|job| epoch_ms(job.deadline())))
}

/// Milliseconds until the deadline, 0 after it.
#[napi]
pub fn live_job_remaining(held: &External<HeldLiveJob>) -> napi::Result<f64> {
    guard(|| held.with(|job| millis(job.remaining())))
}

/// Whether nobody waits for the result any more.
#[napi]
pub fn live_job_cancelled(held: &External<HeldLiveJob>) -> napi::Result<bool> {
    guard(|| held.with(LiveJob::cancelled))
}

/// Ends the job: it says nothing any more.
#[napi]
pub fn live_job_release(held: &External<HeldLiveJob>) {
    let job = held.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(job);
}

/// A ticket, until it is used or released.
pub struct HeldLiveTicket(Mutex<Option<LiveTicket>>);

impl HeldLiveTicket {
    fn take(&self) -> Option<LiveTicket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Looks at the inputs. Answers with a ticket.
#[napi]
pub fn live_begin(
    hub: &External<Hub>,
    id: u32,
    live: &External<Live>,
    key: String,
    from: FromFacts,
) -> napi::Result<()> {
    guard(|| {
        let (key, (inputs, upstream)) = (LiveKey::parse(&key)?, from.parts()?);
        let live = Live::clone(live);
        hub.submit(id, move || {
            let ticket = live.begin(&key, &inputs, &upstream)?;
            Ok(External::new(HeldLiveTicket(Mutex::new(Some(ticket)))))
        })
    })
}

/// Stores the result, if nothing that it was computed from has changed.
#[napi]
pub fn live_commit(
    hub: &External<Hub>,
    id: u32,
    held: &External<HeldLiveTicket>,
    bytes: Uint8Array,
    kind: String,
) -> napi::Result<()> {
    let bytes = bytes.to_vec();
    guard(|| {
        let used = || Error::new(Code::AlreadyUsed, "the ticket was committed or released before");
        let ticket = held.take().ok_or_else(used)?;
        hub.submit(id, move || ticket.commit(bytes, &kind).map(DerivedFacts::from))
    })
}

/// Gives the ticket back.
#[napi]
pub fn live_release(held: &External<HeldLiveTicket>) {
    drop(held.take());
}
