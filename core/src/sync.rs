//! Locks of the in-process parts, from the standard library, or from the scheduler that explores their
//! interleavings (`--cfg forebay_shuttle`).

#[cfg(not(forebay_shuttle))]
pub(crate) use std::sync::{Arc, Condvar, Mutex, PoisonError};

#[cfg(forebay_shuttle)]
pub(crate) use shuttle::sync::{Arc, Condvar, Mutex};
#[cfg(forebay_shuttle)]
pub(crate) use std::sync::PoisonError;
