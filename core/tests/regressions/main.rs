//! Failures of the original programs and of earlier drafts of the protocol, each named by its id, staged through
//! files and the public interface. Ids that other tests have: `tests/vectors` (through every language),
//! `tests/processes` (kills and faults), and the unit tests beside the code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a helper of tests fails the test"
)]

mod calls;
mod common;
mod elsewhere;
mod leases;
mod orphans;
mod places;
mod races;
mod reading;
mod refreshers;
mod settling;
mod waiting;
