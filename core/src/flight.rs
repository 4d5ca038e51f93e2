//! `Flights`: the refreshes that this process runs, so that callers in it join one without asking the disk,
//! and get its very outcome. Across processes the lease does that.
//!
//! A flight is begun by whoever got the lease and ended exactly once. Its outcome is set under the lock and
//! announced after it, so a waiter that looked before and sleeps after cannot miss it. Forked children begin
//! with none (their parent's threads do not exist there).

use crate::key::Key;
use crate::sync::{Arc, Condvar, Mutex, PoisonError};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// One refresh that this process runs.
pub(crate) struct Flight<T> {
    token: u64,
    outcome: Mutex<Option<T>>,
    ended: Condvar,
}

impl<T> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flight({})", self.token)
    }
}

impl<T: Clone> Flight<T> {
    pub(crate) fn new(token: u64) -> Arc<Flight<T>> {
        Arc::new(Flight { token, outcome: Mutex::new(None), ended: Condvar::new() })
    }

    pub(crate) fn token(&self) -> u64 {
        self.token
    }

    /// Ends it. The first outcome stays.
    pub(crate) fn end(&self, outcome: T) {
        let mut place = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_none() {
            *place = Some(outcome);
        }
        drop(place);
        self.ended.notify_all();
    }

    pub(crate) fn outcome(&self) -> Option<T> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sleeps until it ends, `timeout` is over, or for no reason.
    pub(crate) fn wait(&self, timeout: Duration) {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if outcome.is_none() {
            let _unused = self.ended.wait_timeout(outcome, timeout).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The flights under way, by key.
pub(crate) struct Flights<T>(Mutex<HashMap<Key, Arc<Flight<T>>>>);

impl<T> fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flights")
    }
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Flights(Mutex::new(HashMap::new()))
    }
}

impl<T: Clone> Flights<T> {
    /// Makes it the flight of its key. A lease that was lost may still have one: the newer one stands.
    pub(crate) fn begin(&self, key: &Key, flight: &Arc<Flight<T>>) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flights.insert(key.clone(), Arc::clone(flight));
    }

    /// The flight of that key, unless it has ended.
    pub(crate) fn of(&self, key: &Key) -> Option<Arc<Flight<T>>> {
        let flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let flight = flights.get(key).map(Arc::clone);
        drop(flights);
        flight.filter(|flight| flight.outcome().is_none())
    }

    /// Ends the flight and forgets it, unless a newer one has taken its place.
    pub(crate) fn end(&self, key: &Key, flight: &Arc<Flight<T>>, outcome: T) {
        flight.end(outcome);
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.get(key).is_some_and(|known| Arc::ptr_eq(known, flight)) {
            flights.remove(key);
        }
    }

    /// One that has not ended.
    pub(crate) fn any(&self) -> Option<Arc<Flight<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().next().map(Arc::clone)
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(all(test, not(forebay_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_outcome_stays_and_an_older_flight_does_not_remove_a_newer_one() {
        let key = Key::parse("a/b").unwrap();
        let flights = Flights::<u32>::default();
        let (old, new) = (Flight::new(1), Flight::new(2));
        flights.begin(&key, &old);
        flights.begin(&key, &new);
        flights.end(&key, &old, 1);
        old.end(9);
        assert_eq!(old.outcome(), Some(1));
        assert_eq!(flights.of(&key).unwrap().token(), 2);
        flights.end(&key, &new, 2);
        assert!(flights.of(&key).is_none() && flights.count() == 0);
    }
}

#[cfg(all(test, forebay_shuttle))]
mod shuttle_tests {
    use super::*;
    use shuttle::thread;

    #[test]
    fn no_schedule_loses_an_outcome_or_sleeps_past_it() {
        shuttle::check_random(
            || {
                let key = Key::parse("a/b").unwrap();
                let flights = Arc::new(Flights::<u32>::default());
                let flight = Flight::new(1);
                flights.begin(&key, &flight);
                let waiters: Vec<_> = (0..2)
                    .map(|_| {
                        let flight = Arc::clone(&flight);
                        thread::spawn(move || {
                            while flight.outcome().is_none() {
                                flight.wait(Duration::from_secs(1));
                            }
                            assert_eq!(flight.outcome(), Some(7));
                        })
                    })
                    .collect();
                let (ender, own) = (Arc::clone(&flights), Arc::clone(&flight));
                let late = thread::spawn(move || own.end(7));
                ender.end(&key, &flight, 7);
                for waiter in waiters {
                    waiter.join().unwrap();
                }
                late.join().unwrap();
                assert_eq!(flights.count(), 0);
            },
            2000,
        );
    }
}
