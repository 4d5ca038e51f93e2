//! `forebay_live_spec`: which derived result, and what it is computed from; and how keys are made and read. It doesn't
//! know how it is computed.

use crate::args::{self, Options, array, bytes, forebay_slice};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::null;
use crate::live_input::{forebay_live_input, inputs_of};
use crate::status::{OK, forebay_status};
use forebay_core::{Code, Error, Input, LiveKey, Result};
use std::ffi::{c_char, c_void};

/// Which derived result, and what it is computed from. Begin with `FOREBAY_LIVE_SPEC_INIT`. forebay copies what it
/// needs during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_live_spec {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// Its key: 64 lower-case hexadecimal digits, as `forebay_live_key` makes them. It stands for all that the result
    /// depends on beside its inputs: the work, its arguments, the version of the program.
    pub key: forebay_slice,
    /// What it is computed from; NULL where that is nothing.
    pub inputs: *const forebay_live_input,
    /// How many of these.
    pub input_count: usize,
    /// The keys of the derived results that it is built on; NULL where there are none.
    pub upstreams: *const forebay_slice,
    /// How many of these.
    pub upstream_count: usize,
    /// What kind of result it is, for those who list them: any text, also an empty one.
    pub kind: forebay_slice,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_live_spec {
    const INIT: Self = forebay_live_spec {
        struct_size: size_of::<Self>(),
        key: forebay_slice::EMPTY,
        inputs: std::ptr::null(),
        input_count: 0,
        upstreams: std::ptr::null(),
        upstream_count: 0,
        kind: forebay_slice::EMPTY,
    };
}

/// What the caller said.
pub(crate) struct Spec {
    pub(crate) key: LiveKey,
    pub(crate) inputs: Vec<Input>,
    pub(crate) upstreams: Vec<LiveKey>,
    pub(crate) kind: String,
}

impl Spec {
    /// # Safety
    /// As [`args::options`]; its slices and arrays are readable.
    pub(crate) unsafe fn take(spec: *const forebay_live_spec) -> Result<Spec> {
        // SAFETY: the caller's promise.
        let spec = unsafe { args::options(spec, "spec")? }.ok_or_else(|| null("spec"))?;
        // SAFETY: as before.
        unsafe {
            let upstreams = array(spec.upstreams, spec.upstream_count, "upstreams")?;
            Ok(Spec {
                key: key_of(spec.key, "key")?,
                inputs: inputs_of(spec.inputs, spec.input_count)?,
                upstreams: upstreams
                    .iter()
                    .map(|key| key_of(*key, "a key of upstreams"))
                    .collect::<Result<_>>()?,
                kind: spec.kind.text("kind")?.to_owned(),
            })
        }
    }
}

/// The key that is written there.
///
/// # Safety
/// `key` is readable.
pub(crate) unsafe fn key_of(key: forebay_slice, what: &str) -> Result<LiveKey> {
    // SAFETY: the caller's promise.
    let text = unsafe { key.text(what)? };
    LiveKey::parse(text).map_err(|_| {
        Error::new(Code::Invalid, format!("{what} is no key of a derived result"))
            .with_hint("a key is 64 lower-case hexadecimal digits; forebay_live_key makes one")
    })
}

/// The key of those bytes: their BLAKE3 hash, in hexadecimal.
///
/// `key`: `capacity` bytes of yours, at least `FOREBAY_LIVE_KEY_SIZE`; the key is written there, with a NUL at its end.
/// `data`: all that the result depends on beside its inputs, `size` bytes. Errors: `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_key(
    key: *mut c_char,
    capacity: usize,
    data: *const c_void,
    size: usize,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        if key.is_null() {
            return Err(null("key"));
        }
        // SAFETY: the header asks for readable bytes.
        let made = LiveKey::from_bytes(unsafe { bytes(data, size, "data")? }).to_string();
        if capacity <= made.len() {
            return Err(Error::new(Code::Invalid, format!("key has {capacity} bytes"))
                .with_hint("a key takes FOREBAY_LIVE_KEY_SIZE bytes"));
        }
        // SAFETY: the header asks for `capacity` bytes, which are more than the key has.
        unsafe {
            std::ptr::copy_nonoverlapping(made.as_ptr().cast(), key, made.len());
            key.add(made.len()).write(0);
        }
        Ok(OK)
    })
}
