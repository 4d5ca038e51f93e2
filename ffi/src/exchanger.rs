//! `forebay_exchanger`: the function by which a host exchanges a credential for the next one, and how a rotation is driven
//! with it. It doesn't know what is stored.

use crate::args::{self, Options};
use crate::handle::null;
use crate::refresher::{Userdata, forebay_drop_fn};
use crate::rotation::{Lent, Moved, forebay_rotation};
use crate::status::forebay_step;
use forebay_core::{Credential, Result, Rotation};
use std::ffi::c_void;

/// Exchanges `forebay_rotation_previous` for a new credential, and says what came of it with `forebay_rotation_exchanged` or
/// `forebay_rotation_failed` before it returns; else the outcome is ambiguous.
///
/// `rotation` is borrowed until the function returns, and must not be freed. The function may call forebay; no lock of
/// forebay's is held. It must not throw, `longjmp` or end its thread.
///
/// May be called on: the thread of the call that was given it.
pub type forebay_exchange_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, rotation: *mut forebay_rotation)>;

/// How a credential is exchanged: `forebay_exchanger login = {sizeof login, &mine, exchange_token, NULL};`. The struct itself
/// is copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_exchanger {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// Given to the functions as it is.
    pub userdata: *mut c_void,
    /// Exchanges. Not NULL.
    pub exchange: forebay_exchange_fn,
    /// Gives back `userdata`; NULL where nothing has to be.
    pub drop: forebay_drop_fn,
}

// SAFETY: repr(C), the size first, pointers only, of which the functions may be NULL.
unsafe impl Options for forebay_exchanger {
    const INIT: Self = forebay_exchanger {
        struct_size: size_of::<Self>(),
        userdata: std::ptr::null_mut(),
        exchange: None,
        drop: None,
    };
}

/// A host's exchange for one call; `drop` is called when this is dropped.
pub(crate) struct Exchanger {
    userdata: Userdata,
    exchange: forebay_exchange_fn,
}

impl Exchanger {
    /// Copies the table. Call it before anything else can fail, so that `drop` runs also then.
    ///
    /// # Safety
    /// As [`args::options`]; the functions and the userdata are as the header asks.
    pub(crate) unsafe fn take(table: *const forebay_exchanger) -> Result<Exchanger> {
        // SAFETY: the caller's promise.
        let table = unsafe { args::options(table, "exchanger")? }.ok_or_else(|| null("exchanger"))?;
        let taken = Exchanger {
            userdata: Userdata { pointer: table.userdata, drop: table.drop },
            exchange: table.exchange,
        };
        if taken.exchange.is_none() {
            return Err(null("exchange of exchanger"));
        }
        Ok(taken)
    }

    /// Drives a rotation to its end, with the host's function in this thread.
    pub(crate) fn drive(&self, rotation: Rotation) -> Result<Credential> {
        let lent = Lent::new(rotation);
        loop {
            match lent.turning().advance()? {
                Moved::Done(credential) => return Ok(credential),
                Moved::Asks(forebay_step::FOREBAY_STEP_WAIT) => lent.turning().wait(None)?,
                Moved::Asks(_) => {
                    if let Some(exchange) = self.exchange {
                        // SAFETY: the table's contract; the handle lives until after the call.
                        unsafe { exchange(self.userdata.pointer, lent.pointer()) };
                    }
                    lent.turning().tell_if_silent()?;
                }
            }
        }
    }
}
