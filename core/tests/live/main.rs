//! Derived results: what they are built on, what ends them, and the failures of the original program (C1 to C17),
//! through the public interface on real files. Kills are in `tests/processes`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a helper of tests fails the test"
)]

mod chains;
mod common;
mod computing;
mod inputs;
mod keeping;
mod original;
mod telling;
