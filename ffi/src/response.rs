//! `forebay_response`: an HTTP server's answer as a host has it, and what it means. It doesn't know who asked.

use crate::args::{self, Options, forebay_slice};
use crate::handle::null;
use crate::options::reserved;
use forebay_core::{Code, Commit, Error, Failure, Result};

/// The answer of an HTTP server. Begin with `FOREBAY_RESPONSE_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_response {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// The body; copied during the call.
    pub body: forebay_slice,
    /// The header ETag. Empty: none.
    pub etag: forebay_slice,
    /// The header Last-Modified. Empty: none.
    pub last_modified: forebay_slice,
    /// The header Retry-After, or a reset epoch. Empty: none.
    pub retry_after: forebay_slice,
    /// The status: 200, 304, 429, …
    pub status: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_response {
    const INIT: Self = forebay_response {
        struct_size: size_of::<Self>(),
        body: forebay_slice::EMPTY,
        etag: forebay_slice::EMPTY,
        last_modified: forebay_slice::EMPTY,
        retry_after: forebay_slice::EMPTY,
        status: 0,
        reserved: 0,
    };
}

/// What an answer means.
pub(crate) enum Meaning<'a> {
    New(&'a [u8], Commit),
    Unchanged(Commit),
    Failed(Failure),
}

/// What the answer means that has to be there.
///
/// # Safety
/// As [`args::options`], and its slices are readable while the result is used.
pub(crate) unsafe fn meaning_of<'a>(response: *const forebay_response) -> Result<Meaning<'a>> {
    // SAFETY: the caller's promise.
    let options = unsafe { args::options(response, "response")? }.ok_or_else(|| null("response"))?;
    reserved(options.reserved)?;
    // SAFETY: the caller's promise.
    let (body, etag, modified, after) = unsafe {
        (
            options.body.bytes("body")?,
            options.etag.some_text("etag")?,
            options.last_modified.some_text("last_modified")?,
            options.retry_after.some_text("retry_after")?,
        )
    };
    let commit = Commit { validator: etag.or(modified).map(str::to_owned), ..Commit::default() };
    match u16::try_from(options.status) {
        Ok(200..=299) => Ok(Meaning::New(body, commit)),
        Ok(304) => Ok(Meaning::Unchanged(commit)),
        Ok(status @ 100..=999) => Ok(Meaning::Failed(Failure::from_status(status, after))),
        _ => Err(Error::new(Code::Invalid, format!("{} is no HTTP status", options.status))),
    }
}
