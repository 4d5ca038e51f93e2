//! What the measuring programs share: how contestants are timed in turn, the values they serve, bare file
//! operations as a floor, and a stand-in of the original discovery cache's algorithm as a peer.
//!
//! Nothing here judges: programs print what they measured as JSON lines, and `scripts/bench` computes the
//! ratios and the table.

pub mod bare;
pub mod children;
pub mod fixture;
pub mod original;
pub mod original_live;
pub mod series;

use std::error::Error;

/// Errors are only reported: a measurement that failed is no measurement.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Refuses a figure whose result was wrong.
pub fn check(holds: bool, what: impl Fn() -> String) -> Outcome<()> {
    if holds { Ok(()) } else { Err(what().into()) }
}
