//! What the other process of a test does: it holds leases, obeys lines, and can be killed at any moment. The
//! program `forebay-actor` is this with standard input and output; it knows nothing of any one test.

mod accounts;
mod commands;
mod original;

pub use commands::Actor;
pub use original::write_marker;

pub mod live;
pub mod power;
pub mod soak;
