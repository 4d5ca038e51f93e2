//! The native part of the npm package `forebay`: plain functions over the core, and threads to wait on.
//!
//! Nothing here is an interface for users: `src/*.ts` is, and it alone calls these. Handles are externals and
//! calls are plain functions, because a class method costs Node ten times as much. What may wait or flush runs
//! on a thread of [`hub`], never on the event loop and never in libuv's pool; only reads run in place.

#![allow(clippy::needless_pass_by_value, reason = "napi hands its arguments over by value")]

mod attempt;
mod cache;
mod convert;
mod course;
mod credentials;
mod derive;
mod failure;
mod hub;
mod live;
mod quota;
mod resolve;
mod rotation;
mod source;
mod table;
mod ticket;
