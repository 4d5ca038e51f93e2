//! `Pool`: threads for refreshers that go on while their caller does not wait, started when first needed. Each
//! job gets a thread at once, because its lease already counts; a thread without work ends after a while.

use crate::sys::signals::block_signals;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

type Work = Box<dyn FnOnce() + Send>;

const IDLE: Duration = Duration::from_secs(5);

/// Threads that run refreshers.
#[derive(Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    work: VecDeque<Work>,
    idle: usize,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

impl Pool {
    /// Runs it on a thread of the pool; in the caller's where no thread can be had.
    pub(crate) fn run(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.work.push_back(Box::new(work));
        if state.work.len() <= state.idle {
            self.arrived.notify_one();
            return;
        }
        drop(state);
        let pool = Arc::clone(self);
        let thread = std::thread::Builder::new().name("forebay-refresh".to_owned());
        let serve = move || {
            block_signals();
            pool.serve();
        };
        if thread.spawn(serve).is_err() {
            let work = self.state.lock().unwrap_or_else(PoisonError::into_inner).work.pop_back();
            if let Some(work) = work {
                work();
            }
        }
    }

    fn serve(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(work) = state.work.pop_front() {
                drop(state);
                work();
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.idle += 1;
            let (after, timeout) =
                self.arrived.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = after;
            state.idle -= 1;
            if timeout.timed_out() && state.work.is_empty() {
                return;
            }
        }
    }
}
