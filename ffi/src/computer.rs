//! `forebay_computer`: the function by which a host computes a derived result, and how a computation is driven with it.
//! It doesn't know what is stored.

use crate::args::{self, Options};
use crate::compute::{Lent, Moved, forebay_compute};
use crate::handle::null;
use crate::refresher::{Userdata, forebay_drop_fn};
use crate::status::forebay_step;
use forebay_core::{Compute, Derived, LiveKey, Result};
use std::ffi::c_void;

/// Computes a derived result, and says what came of it with `forebay_compute_computed` or `forebay_compute_failed`
/// before it returns; else it has failed.
///
/// `compute` is borrowed until the function returns, and must not be freed. The function may call forebay, also for
/// other results; asking for its own, which would be waiting for itself, is `FOREBAY_E_INVALID`. No lock of forebay's is
/// held. It must not throw, `longjmp` or end its thread.
///
/// May be called on: the thread of the call that was given it.
pub type forebay_compute_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, compute: *mut forebay_compute)>;

/// How a derived result is computed: `forebay_computer count = {sizeof count, &mine, count_words, NULL};`. The struct
/// itself is copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_computer {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// Given to the functions as it is.
    pub userdata: *mut c_void,
    /// Computes. Not NULL.
    pub compute: forebay_compute_fn,
    /// Gives back `userdata`; NULL where nothing has to be.
    pub drop: forebay_drop_fn,
}

// SAFETY: repr(C), the size first, pointers only, of which the functions may be NULL.
unsafe impl Options for forebay_computer {
    const INIT: Self = forebay_computer {
        struct_size: size_of::<Self>(),
        userdata: std::ptr::null_mut(),
        compute: None,
        drop: None,
    };
}

/// A host's computer for one call; `drop` is called when this is dropped.
pub(crate) struct Computer {
    userdata: Userdata,
    compute: forebay_compute_fn,
}

impl Computer {
    /// Copies the table. Call it before anything else can fail, so that `drop` runs also then.
    ///
    /// # Safety
    /// As [`args::options`]; the functions and the userdata are as the header asks.
    pub(crate) unsafe fn take(table: *const forebay_computer) -> Result<Computer> {
        // SAFETY: the caller's promise.
        let table = unsafe { args::options(table, "computer")? }.ok_or_else(|| null("computer"))?;
        let taken = Computer {
            userdata: Userdata { pointer: table.userdata, drop: table.drop },
            compute: table.compute,
        };
        if taken.compute.is_none() {
            return Err(null("compute of computer"));
        }
        Ok(taken)
    }

    /// Drives a computation to its end, with the host's function in this thread.
    pub(crate) fn drive(&self, way: Compute, key: LiveKey) -> Result<Derived> {
        let lent = Lent::new(way, key);
        loop {
            match lent.computing().advance()? {
                Moved::Done(derived) => return Ok(derived),
                Moved::Asks(forebay_step::FOREBAY_STEP_WAIT) => lent.computing().wait(None)?,
                Moved::Asks(_) => {
                    let _working = lent.computing().working();
                    if let Some(compute) = self.compute {
                        // SAFETY: the table's contract; the handle lives until after the call.
                        unsafe { compute(self.userdata.pointer, lent.pointer()) };
                    }
                    lent.computing().tell_if_silent()?;
                }
            }
        }
    }
}
