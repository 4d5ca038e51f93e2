//! Rotations: the state machine under `rotate`, one step at a time. The exchange runs in JavaScript between the steps.

use crate::convert::versions;
use crate::course::{Course, Machine, Turn};
use crate::credentials::CredentialFacts;
use crate::failure::{FailureFacts, epoch_ms, guard, millis};
use crate::hub::{Hub, Interrupt};
use forebay::{Code, Credentials, Error, Exchange, Failure, RotateStep, Rotation};
use napi::bindgen_prelude::{Buffer, External, Uint8Array};
use napi_derive::napi;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What an exchange may know of itself, until it is over. Emptied by hand: it holds a secret.
pub struct HeldExchange(Mutex<Option<Exchange>>);

impl HeldExchange {
    fn with<T>(&self, look: impl FnOnce(&Exchange) -> T) -> forebay::Result<T> {
        let exchange = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        exchange.as_ref().map(look).ok_or_else(|| Error::new(Code::AlreadyUsed, "the exchange is over"))
    }
}

/// What to do next: use the credential, exchange it, or wait (neither).
#[napi(object, object_from_js = false)]
pub struct RotateStepFacts {
    pub credential: Option<CredentialFacts>,
    pub exchange: Option<External<HeldExchange>>,
}

impl Machine for Rotation {
    type Facts = RotateStepFacts;

    fn step(&mut self) -> forebay::Result<Turn<RotateStepFacts>> {
        let none = RotateStepFacts { credential: None, exchange: None };
        Ok(match self.next()? {
            RotateStep::Done(credential) => {
                Turn::Over(RotateStepFacts { credential: Some(credential.into()), ..none })
            }
            RotateStep::Exchange => {
                let exchange =
                    self.exchange().map(|held| External::new(HeldExchange(Mutex::new(Some(held)))));
                Turn::Work(RotateStepFacts { exchange, ..none })
            }
            RotateStep::Wait => Turn::Wait(none),
        })
    }

    fn pause(&self, at_most: Duration, interrupted: &dyn Fn() -> bool) -> bool {
        self.wait(at_most, Some(interrupted))
    }
}

/// Begins a rotation of the version that the caller has seen; touches nothing yet.
#[napi]
pub fn rotation_begin(
    credentials: &External<Credentials>,
    key: String,
    seen: Option<String>,
) -> napi::Result<External<Course<Rotation>>> {
    guard(|| {
        // The error of parsing quotes the text, which may be the secret itself.
        let seen = versions(seen).map_err(|_| {
            Error::new(Code::Invalid, "`seen` is no version; give a Credential, or the version of one")
        })?;
        Ok(External::new(Course::new(credentials.begin(&key, seen.as_ref()))))
    })
}

/// The next step; with `wait`, once there may be news.
#[napi]
pub fn rotation_next(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Rotation>>,
    wait: bool,
    interrupt: &External<Interrupt>,
) -> napi::Result<()> {
    guard(|| course.next(hub, id, wait, interrupt))
}

/// Hands the new credential over, and takes the next step.
#[napi]
pub fn rotation_exchanged(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Rotation>>,
    bytes: Uint8Array,
) -> napi::Result<()> {
    let bytes = bytes.to_vec();
    guard(|| course.tell(hub, id, move |rotation| rotation.exchanged(Ok(bytes))))
}

/// Says how the exchange failed, and takes the next step.
#[napi]
pub fn rotation_failed(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Rotation>>,
    failure: FailureFacts,
) -> napi::Result<()> {
    guard(|| {
        let failed: Result<Vec<u8>, Failure> = Err(failure.try_into()?);
        course.tell(hub, id, move |rotation| rotation.exchanged(failed))
    })
}

/// Leaves the rotation. An exchange that runs is ambiguous then.
#[napi]
pub fn rotation_close(course: &External<Course<Rotation>>) {
    course.close();
}

/// Until when the exchange may take, in epoch milliseconds.
#[napi]
pub fn exchange_deadline(held: &External<HeldExchange>) -> napi::Result<f64> {
    guard(|| held.with(|exchange| epoch_ms(exchange.deadline())))
}

/// The credential to exchange; none at first.
#[napi]
pub fn exchange_previous(held: &External<HeldExchange>) -> napi::Result<Option<Buffer>> {
    guard(|| held.with(|exchange| exchange.previous().map(|bytes| Buffer::from(bytes.to_vec()))))
}

/// Milliseconds until the deadline, 0 after it.
#[napi]
pub fn exchange_remaining(held: &External<HeldExchange>) -> napi::Result<f64> {
    guard(|| held.with(|exchange| millis(exchange.remaining())))
}

/// Whether the exchange is no longer this process's.
#[napi]
pub fn exchange_cancelled(held: &External<HeldExchange>) -> napi::Result<bool> {
    guard(|| held.with(Exchange::cancelled))
}

/// Ends the exchange: it says nothing any more.
#[napi]
pub fn exchange_release(held: &External<HeldExchange>) {
    let exchange = held.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(exchange);
}
