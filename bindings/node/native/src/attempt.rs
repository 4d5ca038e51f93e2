//! Attempts: the state machine under `get`, `refresh` and their kin, one step at a time. The refresher runs in
//! JavaScript between the steps.

use crate::convert::ValueFacts;
use crate::course::{Course, Machine, Turn};
use crate::failure::{duration, durations, guard};
use crate::hub::{Hub, Interrupt};
use crate::ticket::Held;
use forebay::{Attempt, Code, Error, Mode, Next, RefreshOptions, Source, Wait};
use napi::bindgen_prelude::External;
use napi_derive::napi;
use std::time::{Duration, SystemTime};

impl Machine for Attempt {
    type Facts = NextFacts;

    fn step(&mut self) -> forebay::Result<Turn<NextFacts>> {
        let none = NextFacts { value: None, ticket: None };
        Ok(match self.next()? {
            Next::Done(value) => Turn::Over(NextFacts { value: Some(value.into()), ..none }),
            Next::Run(ticket) => Turn::Work(NextFacts { ticket: Some(Held::new(ticket)), ..none }),
            Next::Wait => Turn::Wait(none),
        })
    }

    fn pause(&self, at_most: Duration, interrupted: &dyn Fn() -> bool) -> bool {
        self.wait(at_most, Some(interrupted))
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
pub fn attempt_begin(source: &External<Source>, mode: ModeFacts) -> napi::Result<External<Course<Attempt>>> {
    guard(|| Ok(External::new(Course::new(source.begin(mode.try_into()?)))))
}

/// The next step; with `wait`, once there may be news.
#[napi]
pub fn attempt_next(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Attempt>>,
    wait: bool,
    interrupt: &External<Interrupt>,
) -> napi::Result<()> {
    guard(|| course.next(hub, id, wait, interrupt))
}

/// Leaves the attempt; a refresh that it waits for goes on.
#[napi]
pub fn attempt_close(course: &External<Course<Attempt>>) {
    course.close();
}
