//! `forebay_quota_source`: the functions by which a host asks the server of a quota, and how the steps of a resolve are
//! answered by them. It doesn't know what the steps are for.

use crate::args::{self, Options};
use crate::handle::null;
use crate::refresher::{Userdata, forebay_drop_fn};
use crate::resolve::{Lent, Moved, forebay_resolve};
use crate::status::forebay_step;
use forebay_core::{Answer, Resolve, Result};
use std::ffi::c_void;

/// Answers one step of a resolve: with `forebay_resolve_credentials` or `_credentials_failed`; `forebay_resolve_fetched`,
/// `_unchanged`, `_respond` or `_fetch_failed`; `forebay_resolve_fallback` or `_fallback_failed`.
///
/// `resolve` is borrowed until the function returns, and has to be answered by then: else that counts as a failure. What
/// is known of the fetch can be asked of it (`forebay_resolve_credential`, `_previous`, `_remaining_ms`, …); it must not be
/// freed. The function may call forebay; no lock of forebay's is held. It must not throw, `longjmp` or end its thread.
///
/// May be called on: the thread of the call that was given it.
pub type forebay_resolve_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, resolve: *mut forebay_resolve)>;

/// How a quota is asked: `forebay_quota_source ask = {sizeof ask, &mine, read_token, fetch_usage, count_locally, NULL};`. The
/// struct itself is copied. Each function is called at most once for each call, and only where it is needed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_quota_source {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// Given to the functions as it is.
    pub userdata: *mut c_void,
    /// Gives the credential to ask with. NULL: none is needed, and the fetch finds an empty one.
    pub credentials: forebay_resolve_fn,
    /// Asks the server. Not NULL.
    pub fetch: forebay_resolve_fn,
    /// Gives an answer of another kind where there is none of the server's. NULL: there is none.
    pub fallback: forebay_resolve_fn,
    /// Gives back `userdata`; NULL where nothing has to be.
    pub drop: forebay_drop_fn,
}

// SAFETY: repr(C), the size first, pointers only, of which the functions may be NULL.
unsafe impl Options for forebay_quota_source {
    const INIT: Self = forebay_quota_source {
        struct_size: size_of::<Self>(),
        userdata: std::ptr::null_mut(),
        credentials: None,
        fetch: None,
        fallback: None,
        drop: None,
    };
}

/// A host's functions for one call; `drop` is called when this is dropped.
pub(crate) struct Asked {
    userdata: Userdata,
    credentials: forebay_resolve_fn,
    fetch: forebay_resolve_fn,
    fallback: forebay_resolve_fn,
}

impl Asked {
    /// Copies the table. Call it before anything else can fail, so that `drop` runs also then.
    ///
    /// # Safety
    /// As [`args::options`]; the functions and the userdata are as the header asks.
    pub(crate) unsafe fn take(table: *const forebay_quota_source) -> Result<Asked> {
        // SAFETY: the caller's promise.
        let table = unsafe { args::options(table, "source")? }.ok_or_else(|| null("source"))?;
        let taken = Asked {
            userdata: Userdata { pointer: table.userdata, drop: table.drop },
            credentials: table.credentials,
            fetch: table.fetch,
            fallback: table.fallback,
        };
        if taken.fetch.is_none() {
            return Err(null("fetch of source"));
        }
        Ok(taken)
    }

    /// Drives a resolve to its end, with the host's functions in this thread.
    pub(crate) fn drive(&self, resolve: Resolve) -> Result<Answer> {
        let lent = Lent::new(resolve);
        loop {
            match lent.resolving().advance()? {
                Moved::Done(answer) => return Ok(answer),
                Moved::Asks(forebay_step::FOREBAY_STEP_WAIT) => lent.resolving().wait(None)?,
                Moved::Asks(step) => self.answer(step, &lent)?,
            }
        }
    }

    fn answer(&self, step: forebay_step, lent: &Lent) -> Result<()> {
        let function = match step {
            forebay_step::FOREBAY_STEP_CREDENTIALS => self.credentials,
            forebay_step::FOREBAY_STEP_FALLBACK => self.fallback,
            _ => self.fetch,
        };
        let Some(function) = function else { return lent.resolving().tell_nothing(step) };
        // SAFETY: the table's contract; the handle lives until after the call.
        unsafe { function(self.userdata.pointer, lent.pointer()) };
        lent.resolving().tell_if_silent(step)
    }
}
