//! What the state machines that a host drives have in common: one thread at a time inside, a flag that ends the wait, and
//! which question is still open. It doesn't know what the machines do.

use crate::attempt::LONG;
use crate::interrupt;
use crate::status::forebay_step;
use forebay_core::{Code, Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

/// A machine, and the flag that ends its wait.
pub(crate) struct Machine<M> {
    inner: Mutex<M>,
    interrupted: AtomicBool,
}

impl<M> Machine<M> {
    pub(crate) fn new(inner: M) -> Machine<M> {
        Machine { inner: Mutex::new(inner), interrupted: AtomicBool::new(false) }
    }

    /// The machine, for this thread alone.
    ///
    /// # Errors
    /// [`Code::Invalid`] while another thread is inside, or this one is.
    pub(crate) fn enter(&self, what: &str) -> Result<MutexGuard<'_, M>> {
        match self.inner.try_lock() {
            Ok(inner) => Ok(inner),
            // A panic inside was contained and reported; the machine itself says what it can still do.
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(Code::Invalid, format!("the {what} is being used by another thread")))
            }
        }
    }

    /// Ends the wait that runs, or else the next one.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
    }

    /// Waits as `wait` does, which says false where the flag ended it; none of `at_most` is without end.
    ///
    /// # Errors
    /// Those of [`Machine::enter`]; [`Code::Cancelled`] where the flag ended the wait.
    pub(crate) fn wait(
        &self,
        what: &str,
        at_most: Option<Duration>,
        wait: impl FnOnce(&mut M, Duration, &dyn Fn() -> bool) -> bool,
    ) -> Result<()> {
        // Taking the flag is what ends the wait: one interrupt, one wait.
        let asked = || self.interrupted.swap(false, Ordering::AcqRel);
        let mut inner = self.enter(what)?;
        // A machine that looked at the flag only before it slept is asked again after.
        if wait(&mut inner, at_most.unwrap_or(LONG), &asked) && !asked() {
            return Ok(());
        }
        Err(interrupt::cancelled())
    }
}

/// Which step the machine asked for and was not told yet, and which it was told before.
#[derive(Default)]
pub(crate) struct Questions {
    open: Option<forebay_step>,
    told: Vec<forebay_step>,
}

impl Questions {
    pub(crate) fn ask(&mut self, step: forebay_step) {
        self.open = Some(step);
    }

    pub(crate) fn open(&self) -> Option<forebay_step> {
        self.open
    }

    /// Closes the question.
    ///
    /// # Errors
    /// [`Code::AlreadyUsed`] where it was told before, [`Code::Invalid`] where it was not asked.
    pub(crate) fn tell(&mut self, step: forebay_step) -> Result<()> {
        if self.open == Some(step) {
            self.open = None;
            self.told.push(step);
            return Ok(());
        }
        if self.told.contains(&step) {
            return Err(Error::new(Code::AlreadyUsed, "that step was answered before"));
        }
        Err(Error::new(Code::Invalid, "that step was not asked for")
            .with_hint("answer the step that the last call of next said"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_once_and_only_when_it_was_asked() {
        let mut questions = Questions::default();
        let fetch = forebay_step::FOREBAY_STEP_FETCH;
        assert_eq!(questions.tell(fetch).err().unwrap().code(), Code::Invalid);
        questions.ask(fetch);
        assert_eq!(questions.open(), Some(fetch));
        assert!(questions.tell(fetch).is_ok() && questions.open().is_none());
        assert_eq!(questions.tell(fetch).err().unwrap().code(), Code::AlreadyUsed);
        let other = forebay_step::FOREBAY_STEP_FALLBACK;
        assert_eq!(questions.tell(other).err().unwrap().code(), Code::Invalid);
    }

    #[test]
    fn one_thread_at_a_time_is_inside() {
        let machine = Machine::new(1);
        let inside = machine.enter("thing").unwrap();
        assert_eq!(machine.enter("thing").err().unwrap().code(), Code::Invalid);
        drop(inside);
        assert_eq!(*machine.enter("thing").unwrap(), 1);
    }

    #[test]
    fn one_interrupt_ends_one_wait() {
        let machine = Machine::new(());
        machine.interrupt();
        let until_asked = |(): &mut (), _: Duration, asked: &dyn Fn() -> bool| !asked();
        assert_eq!(machine.wait("thing", None, until_asked).err().unwrap().code(), Code::Cancelled);
        assert!(machine.wait("thing", None, until_asked).is_ok());
    }
}
