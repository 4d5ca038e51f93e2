//! Attempts: the state machine under `get`, `refresh` and their kin, one step at a time. The refresher runs in
//! JavaScript between the steps.

use crate::convert::ValueFacts;
use crate::failure::{duration, durations, guard};
use crate::hub::{Hub, Interrupt, Stop};
use crate::ticket::Held;
use forebay::{Attempt, Code, Error, Mode, Next, RefreshOptions, Source, Wait};
use napi::bindgen_prelude::External;
use napi_derive::napi;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// One look at a wait; the TypeScript side asks again.
const LOOK: Duration = Duration::from_secs(3600);

enum Slot {
    Here(Box<Attempt>),
    /// A thread is taking a step with it.
    Away,
    Closed,
}

/// An attempt that threads take steps with, one at a time.
#[derive(Clone)]
pub struct Course(Arc<Mutex<Slot>>);

impl Course {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> forebay::Result<Box<Attempt>> {
        let mut slot = self.slot();
        match std::mem::replace(&mut *slot, Slot::Away) {
            Slot::Here(attempt) => Ok(attempt),
            other => {
                *slot = other;
                Err(Error::new(Code::AlreadyUsed, "the attempt is over"))
            }
        }
    }

    /// What comes next, without a wait.
    fn step(&self) -> forebay::Result<NextFacts> {
        let mut attempt = self.take()?;
        let next = attempt.next()?;
        Ok(self.facts(attempt, next))
    }

    /// What comes next other than to wait.
    fn wait(&self, stop: &Stop) -> forebay::Result<NextFacts> {
        let mut attempt = self.take()?;
        loop {
            if !attempt.wait(LOOK, Some(&|| stop.requested())) {
                self.put(attempt);
                return Err(Error::new(Code::Cancelled, "the wait was cancelled"));
            }
            match attempt.next()? {
                Next::Wait => {}
                next => return Ok(self.facts(attempt, next)),
            }
        }
    }

    fn facts(&self, attempt: Box<Attempt>, next: Next) -> NextFacts {
        if !matches!(next, Next::Done(_)) {
            self.put(attempt);
        }
        match next {
            Next::Done(value) => NextFacts { value: Some(value.into()), ticket: None },
            Next::Run(ticket) => NextFacts { value: None, ticket: Some(Held::new(ticket)) },
            Next::Wait => NextFacts { value: None, ticket: None },
        }
    }

    /// Puts it back, unless it was closed meanwhile.
    fn put(&self, attempt: Box<Attempt>) {
        let mut slot = self.slot();
        if matches!(*slot, Slot::Away) {
            *slot = Slot::Here(attempt);
        }
    }
}

/// Which call it is, and its options; durations in milliseconds, instants in epoch milliseconds.
#[napi(object, object_to_js = false)]
pub struct ModeFacts {
    /// `get`, `refresh`, `maybe_refresh` or `maybe_refresh_sync`.
    pub call: String,
    /// Of `get`; unset: until the refresh is done.
    pub wait: Option<f64>,
    pub min_fresh_at: Option<f64>,
    pub override_gate: Option<bool>,
}

impl TryFrom<ModeFacts> for Mode {
    type Error = Error;

    fn try_from(facts: ModeFacts) -> forebay::Result<Mode> {
        Ok(match facts.call.as_str() {
            "get" => Mode::Get { wait: durations(facts.wait)?.map_or(Wait::UntilDone, Wait::AtMost) },
            "refresh" => Mode::Refresh(RefreshOptions {
                min_fresh_at: instant(facts.min_fresh_at)?,
                override_gate: facts.override_gate.unwrap_or(false),
            }),
            "maybe_refresh" => Mode::MaybeRefresh,
            "maybe_refresh_sync" => Mode::MaybeRefreshSync,
            other => return Err(Error::new(Code::Invalid, format!("{other:?} is not a kind of refresh"))),
        })
    }
}

fn instant(epoch_ms: Option<f64>) -> forebay::Result<Option<SystemTime>> {
    let Some(epoch_ms) = epoch_ms else { return Ok(None) };
    let distance = duration(epoch_ms.abs())?;
    let at = if epoch_ms < 0.0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    at.map(Some).ok_or_else(|| Error::new(Code::Invalid, format!("{epoch_ms} is not an instant")))
}

/// What to do next: use the value, run the refresher for the ticket, or wait (neither).
#[napi(object, object_from_js = false)]
pub struct NextFacts {
    pub value: Option<ValueFacts>,
    pub ticket: Option<External<Held>>,
}

/// Begins an attempt; touches nothing yet.
#[napi]
pub fn attempt_begin(source: &External<Source>, mode: ModeFacts) -> napi::Result<External<Course>> {
    guard(|| {
        let attempt = source.begin(mode.try_into()?);
        Ok(External::new(Course(Arc::new(Mutex::new(Slot::Here(Box::new(attempt)))))))
    })
}

/// The next step; with `wait`, once there may be news.
#[napi]
pub fn attempt_next(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course>,
    wait: bool,
    interrupt: &External<Interrupt>,
) -> napi::Result<()> {
    let course = Course::clone(course);
    guard(|| {
        if wait {
            hub.submit_wait(id, Some(interrupt), move |stop| course.wait(stop))
        } else {
            hub.submit(id, move || course.step())
        }
    })
}

/// Leaves the attempt; a refresh that it waits for goes on.
#[napi]
pub fn attempt_close(course: &External<Course>) {
    let closed = std::mem::replace(&mut *course.slot(), Slot::Closed);
    drop(closed);
}
