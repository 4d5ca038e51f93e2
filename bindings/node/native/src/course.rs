//! `Course`: a state machine of the core on its way: an attempt, a resolve, a rotation. Threads of the hub take steps
//! with it, one at a time; JavaScript does the work between the steps. It does not know what the steps are for.

use crate::hub::{Hub, Interrupt, Stop};
use forebay::{Code, Error};
use napi::bindgen_prelude::ToNapiValue;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One look at a wait; the TypeScript side asks again.
const LOOK: Duration = Duration::from_secs(3600);

/// What a step came to, told as `F`.
pub(crate) enum Turn<F> {
    /// The machine is done with.
    Over(F),
    /// It is JavaScript's turn.
    Work(F),
    /// Somebody else is on it.
    Wait(F),
}

/// A machine of the core.
pub(crate) trait Machine: Send + 'static {
    /// What JavaScript is told of a step.
    type Facts: ToNapiValue + Send + 'static;
    /// What comes next, without a wait. An error is the end.
    fn step(&mut self) -> forebay::Result<Turn<Self::Facts>>;
    /// Sleeps until there may be news; false if `interrupted` ended it.
    fn pause(&self, at_most: Duration, interrupted: &dyn Fn() -> bool) -> bool;
}

enum Slot<M> {
    Here(Box<M>),
    /// A thread is taking a step with it.
    Away,
    Closed,
}

/// A machine that threads take steps with.
pub struct Course<M>(Arc<Mutex<Slot<M>>>);

impl<M> Clone for Course<M> {
    fn clone(&self) -> Course<M> {
        Course(Arc::clone(&self.0))
    }
}

impl<M> Course<M> {
    fn slot(&self) -> MutexGuard<'_, Slot<M>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the machine; one that a thread is busy with goes when that is done.
    pub(crate) fn close(&self) {
        let closed = std::mem::replace(&mut *self.slot(), Slot::Closed);
        drop(closed);
    }
}

impl<M: Machine> Course<M> {
    pub(crate) fn new(machine: M) -> Course<M> {
        Course(Arc::new(Mutex::new(Slot::Here(Box::new(machine)))))
    }

    fn take(&self) -> forebay::Result<Box<M>> {
        let mut slot = self.slot();
        match std::mem::replace(&mut *slot, Slot::Away) {
            Slot::Here(machine) => Ok(machine),
            other => {
                *slot = other;
                Err(Error::new(Code::AlreadyUsed, "the call is over"))
            }
        }
    }

    /// Delivers the next step under `id`; with `wait`, once there may be news.
    pub(crate) fn next(&self, hub: &Hub, id: u32, wait: bool, interrupt: &Interrupt) -> forebay::Result<()> {
        if !wait {
            return self.tell(hub, id, |_| {});
        }
        let course = self.clone();
        hub.submit_wait(id, Some(interrupt), move |stop| course.wait(stop))
    }

    /// Tells the machine what it asked for, and delivers the next step under `id`.
    pub(crate) fn tell<F>(&self, hub: &Hub, id: u32, news: F) -> forebay::Result<()>
    where
        F: FnOnce(&mut M) + Send + 'static,
    {
        let course = self.clone();
        hub.submit(id, move || {
            let mut machine = course.take()?;
            news(&mut machine);
            let turn = machine.step()?;
            Ok(course.facts(machine, turn))
        })
    }

    fn wait(&self, stop: &Stop) -> forebay::Result<M::Facts> {
        let mut machine = self.take()?;
        loop {
            if !machine.pause(LOOK, &|| stop.requested()) {
                self.put(machine);
                return Err(Error::new(Code::Cancelled, "the wait was cancelled"));
            }
            match machine.step()? {
                Turn::Wait(_) => {}
                turn => return Ok(self.facts(machine, turn)),
            }
        }
    }

    fn facts(&self, machine: Box<M>, turn: Turn<M::Facts>) -> M::Facts {
        match turn {
            Turn::Over(facts) => facts,
            Turn::Work(facts) | Turn::Wait(facts) => {
                self.put(machine);
                facts
            }
        }
    }

    /// Puts it back, unless it was closed meanwhile.
    fn put(&self, machine: Box<M>) {
        let mut slot = self.slot();
        if matches!(*slot, Slot::Away) {
            *slot = Slot::Here(machine);
        }
    }
}
