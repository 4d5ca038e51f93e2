//! `libforebay`: the C ABI of forebay. One file per C noun; `include/forebay.h` is generated from these comments and
//! signatures, so they are written for a reader of the header.
//!
//! Each exported function is written out (cbindgen doesn't see what macros make), its body is one `ffi_guard!`, and it
//! only translates: arguments to Rust (`args`, `options`, `handle`), a call of core, and the outcome to C (`status`,
//! `error`). No behaviour lives here.

// The C names.
#![allow(non_camel_case_types)]
// The contract of each function is its comment in the header, which a C programmer reads.
#![allow(clippy::missing_safety_doc)]

pub mod acquire;
pub mod answer;
pub mod args;
pub mod attempt;
mod background;
pub mod cache;
pub mod compute;
pub mod computer;
pub mod credential;
pub mod credentials;
pub mod derived;
pub mod error;
pub mod events;
pub mod exchanger;
pub mod failure;
mod guard;
mod handle;
pub mod interrupt;
pub mod library;
pub mod listing;
pub mod live;
pub mod live_input;
pub mod live_kinds;
pub mod live_listing;
pub mod live_spec;
pub mod live_ticket;
pub mod live_upkeep;
pub mod live_why;
mod machine;
pub mod many;
pub mod options;
pub mod pruned;
pub mod quota;
pub mod quota_info;
pub mod quota_listing;
pub mod quota_source;
pub mod reader;
pub mod refresh;
pub mod refresh_info;
pub mod refresher;
pub mod resolve;
pub mod resolve_job;
pub mod response;
pub mod rotate_info;
pub mod rotation;
pub mod source;
pub mod status;
pub mod text;
pub mod ticket;
pub mod value;
pub mod why;
