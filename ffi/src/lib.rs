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

mod acquire;
mod args;
mod attempt;
mod background;
mod cache;
mod error;
mod events;
mod guard;
mod handle;
mod interrupt;
mod library;
mod listing;
mod many;
mod options;
mod pruned;
mod reader;
mod refresh;
mod refresh_info;
mod refresher;
mod source;
mod status;
mod text;
mod ticket;
mod value;
mod why;
