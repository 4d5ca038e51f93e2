//! `Turns`: the threads of one process take turns at a guard, so that only one of them at a time competes for its
//! lock. Trying a lock again and again offers no order and no wake-up; a thousand threads that did so would time
//! out. Between processes the lock alone decides. A forked child begins with nobody's turn.

use crate::key::GUARDS;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Whose turn it is at each guard.
#[derive(Debug)]
pub(crate) struct Turns([Place; GUARDS as usize]);

#[derive(Debug, Default)]
struct Place {
    taken: Mutex<bool>,
    free: Condvar,
}

impl Default for Turns {
    fn default() -> Self {
        Turns(std::array::from_fn(|_| Place::default()))
    }
}

/// One thread's turn. Dropping it wakes the next.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    guard: usize,
}

/// Waits for the turn at a guard; none if it does not come in time.
pub(crate) fn take(turns: &Arc<Turns>, guard: u32, until: Instant) -> Option<Turn> {
    let guard = guard as usize % turns.0.len();
    let place = &turns.0[guard];
    let mut taken = place.taken.lock().unwrap_or_else(PoisonError::into_inner);
    while *taken {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        (taken, _) = place.free.wait_timeout(taken, left).unwrap_or_else(PoisonError::into_inner);
    }
    *taken = true;
    drop(taken);
    Some(Turn { turns: Arc::clone(turns), guard })
}

impl Drop for Turn {
    fn drop(&mut self) {
        let place = &self.turns.0[self.guard];
        *place.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        place.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_at_a_time_at_each_guard_and_nobody_waits_for_ever() {
        let turns = Arc::new(Turns::default());
        let first = take(&turns, 3, Instant::now()).unwrap();
        assert!(take(&turns, 3, Instant::now()).is_none());
        assert!(take(&turns, 4, Instant::now()).is_some());
        let other = Arc::clone(&turns);
        let waiter =
            std::thread::spawn(move || take(&other, 3, Instant::now() + Duration::from_secs(60)).is_some());
        drop(first);
        assert!(waiter.join().unwrap());
        assert!(take(&turns, 3, Instant::now()).is_some());
    }
}
