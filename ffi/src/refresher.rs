//! Callback tables: a host function, what belongs to it, and how that is given back. The table is copied at entry,
//! and from then on `drop` runs once, whatever happens. They don't know what they are called for.

use crate::args::{self, Options, forebay_slice};
use crate::handle::{self, null};
use crate::status::forebay_status;
use crate::ticket::{Held, forebay_ticket};
use forebay_core::{Result, Ticket};
use std::ffi::c_void;

/// Does a refresh: fetches the new value and ends `ticket`, here or later, on this thread or another.
///
/// `ticket` is borrowed until the function returns; to end it later, call `forebay_ticket_retain` first. A function
/// that returns without having ended or retained it abandons the refresh. It may call forebay, also for the same
/// source; no lock of forebay's is held. It must not throw, `longjmp` or end its thread.
///
/// May be called on: the thread of the call that was given it, for calls that wait until the refresh ends; else on a
/// thread of forebay's, which blocks all signals.
pub type forebay_refresh_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, ticket: *mut forebay_ticket)>;

/// Gives back `userdata`: called exactly once, when forebay will not call the function again, also when the call failed.
///
/// May be called on: any thread, also inside the call that was given it.
pub type forebay_drop_fn = Option<unsafe extern "C" fn(userdata: *mut c_void)>;

/// Told after each source of `forebay_refresh_many`: `done` of `total` are ready, the last being `key`, with `status` as
/// its call would return it. `key` is borrowed for the call, without a NUL.
///
/// May be called on: the thread that called `forebay_refresh_many`.
pub type forebay_progress_fn = Option<
    unsafe extern "C" fn(
        userdata: *mut c_void,
        done: usize,
        total: usize,
        key: forebay_slice,
        status: forebay_status,
    ),
>;

/// A refresher: `forebay_refresher fetch = {sizeof fetch, &mine, fetch_models, NULL};`. The struct itself is copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_refresher {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// Given to the functions as it is. It has to live until `drop` was called, which for background work may be after
    /// the call returned.
    pub userdata: *mut c_void,
    /// Does the refresh. Not NULL.
    pub refresh: forebay_refresh_fn,
    /// Gives back `userdata`; NULL where nothing has to be.
    pub drop: forebay_drop_fn,
}

// SAFETY: repr(C), the size first, pointers only, of which the functions may be NULL.
unsafe impl Options for forebay_refresher {
    const INIT: Self = forebay_refresher {
        struct_size: size_of::<Self>(),
        userdata: std::ptr::null_mut(),
        refresh: None,
        drop: None,
    };
}

/// Who is told of the progress of `forebay_refresh_many`. The struct itself is copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_progress {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// Given to the functions as it is.
    pub userdata: *mut c_void,
    /// Is told. Not NULL.
    pub progress: forebay_progress_fn,
    /// Gives back `userdata`; NULL where nothing has to be.
    pub drop: forebay_drop_fn,
}

// SAFETY: repr(C), the size first, pointers only, of which the functions may be NULL.
unsafe impl Options for forebay_progress {
    const INIT: Self = forebay_progress {
        struct_size: size_of::<Self>(),
        userdata: std::ptr::null_mut(),
        progress: None,
        drop: None,
    };
}

/// What belongs to a host function; given back when this is dropped.
pub(crate) struct Userdata {
    pub(crate) pointer: *mut c_void,
    pub(crate) drop: forebay_drop_fn,
}

// SAFETY: the header says that the functions may be called on any thread, one at a time.
unsafe impl Send for Userdata {}

impl Drop for Userdata {
    fn drop(&mut self) {
        if let Some(give_back) = self.drop {
            // SAFETY: the table's contract: callable once, with its userdata.
            unsafe { give_back(self.pointer) };
        }
    }
}

/// A host's refresher, which has its `drop` called when this is dropped.
pub(crate) struct Refresher {
    userdata: Userdata,
    refresh: forebay_refresh_fn,
}

impl Refresher {
    /// Copies the table. Call it before anything else can fail, so that `drop` runs also then.
    ///
    /// # Safety
    /// As [`args::options`]; the functions and the userdata are as the header asks.
    pub(crate) unsafe fn take(table: *const forebay_refresher) -> Result<Refresher> {
        // SAFETY: the caller's promise.
        let table = unsafe { args::options(table, "refresher")? }.ok_or_else(|| null("refresher"))?;
        let taken = Refresher {
            userdata: Userdata { pointer: table.userdata, drop: table.drop },
            refresh: table.refresh,
        };
        if taken.refresh.is_none() {
            return Err(null("refresh of refresher"));
        }
        Ok(taken)
    }

    /// Calls the host. The ticket is lent: what the host doesn't retain is given up when it returns.
    pub(crate) fn run(&self, ticket: Ticket) {
        let lent: *mut forebay_ticket = handle::export(Held::new(ticket));
        if let Some(refresh) = self.refresh {
            // SAFETY: the table's contract; the handle lives until after the call.
            unsafe { refresh(self.userdata.pointer, lent) };
        }
        // SAFETY: our own hold, used no more.
        unsafe { handle::free(lent) };
    }
}

/// A host's progress function, which has its `drop` called when this is dropped.
pub(crate) struct Progress {
    userdata: Userdata,
    progress: forebay_progress_fn,
}

impl Progress {
    /// Copies the table; none for NULL.
    ///
    /// # Safety
    /// As [`Refresher::take`].
    pub(crate) unsafe fn take(table: *const forebay_progress) -> Result<Option<Progress>> {
        // SAFETY: the caller's promise.
        let Some(table) = (unsafe { args::options(table, "progress")? }) else { return Ok(None) };
        let taken = Progress {
            userdata: Userdata { pointer: table.userdata, drop: table.drop },
            progress: table.progress,
        };
        if taken.progress.is_none() {
            return Err(null("progress of progress"));
        }
        Ok(Some(taken))
    }

    pub(crate) fn tell(&self, done: usize, total: usize, key: &str, status: forebay_status) {
        if let Some(progress) = self.progress {
            // SAFETY: the table's contract; the key lives during the call.
            unsafe { progress(self.userdata.pointer, done, total, forebay_slice::of(key), status) };
        }
    }
}
