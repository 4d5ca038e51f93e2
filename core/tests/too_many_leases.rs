//! P30: a process holds at most 256 leases. A program of its own, because leases are counted per process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a helper of tests fails the test"
)]

use forebay::{AcquireOptions, Acquired, Cache, Code, Commit, Ticket};

#[test]
fn p30_the_257th_lease_is_refused_and_a_freed_one_can_be_taken_again() {
    let folder = tempfile::tempdir().unwrap();
    // Two handles: the bound is the process's.
    let caches = [0, 1].map(|_| Cache::open(folder.path().join("root")).unwrap());
    let take = |number: usize| -> forebay::Result<Ticket> {
        match caches[number % 2].source(&format!("tier/{number}")).acquire(&AcquireOptions::default())? {
            Acquired::Ticket(ticket) => Ok(ticket),
            other => panic!("{number}: {other:?}"),
        }
    };
    let mut held: Vec<Ticket> = (0..256).map(|number| take(number).unwrap()).collect();
    for number in [256, 257, 256] {
        let error = take(number).unwrap_err();
        assert_eq!(error.code(), Code::TooManyLeases, "{error}");
    }
    // What was refused left nothing behind.
    assert!(!folder.path().join("root/tier/256.refreshing").exists());
    // Everything else goes on, and every way to end a lease frees it.
    caches[0].source("tier/put").put("x", &Commit::default()).unwrap();
    held.pop().unwrap().complete("x", &Commit::default()).unwrap();
    held.push(take(256).unwrap());
    assert_eq!(take(257).unwrap_err().code(), Code::TooManyLeases);
    held.pop();
    held.push(take(257).unwrap());
    assert_eq!(take(258).unwrap_err().code(), Code::TooManyLeases);
    drop(held);
    drop((300..556).map(|number| take(number).unwrap()).collect::<Vec<_>>());
}
