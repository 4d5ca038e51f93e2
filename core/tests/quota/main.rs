//! Quota answers: each rule of the orchestrator, and the failures of the original program (L1 to L14), through the
//! public interface on real files under a clock that the tests move. Kills are in `tests/processes`, many programs
//! at once in `tests/crowd`, the same rules in every language in `tests/vectors`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a helper of tests fails the test"
)]

mod common;
mod gates;
mod identities;
mod records;
mod resolving;
mod stores;
