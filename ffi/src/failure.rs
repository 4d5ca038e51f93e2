//! `forebay_failure`: how a host says that its work failed, whatever the work was. It doesn't know what follows from it.

use crate::args::{self, Options, duration, flag, forebay_slice};
use crate::options::reserved;
use crate::status::forebay_code;
use forebay_core::{Code, Error, Failure, Result};

/// Why a refresh, a fetch or an exchange failed. Begin with `FOREBAY_FAILURE_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_failure {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// What happened, in your words. They come back verbatim: `forebay_error_host_text`.
    pub message: forebay_slice,
    /// How long the origin asks to be left alone. -1: it didn't say, and forebay chooses.
    pub retry_after_ms: i64,
    /// One of the negative numbers of `forebay_code`.
    pub code: i32,
    /// Must be 0.
    pub reserved: i32,
    /// 1: the request certainly did not reach the server, which an exchange of credentials wants to know. Else 0.
    pub not_sent: i32,
    /// Must be 0.
    pub reserved2: i32,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_failure {
    const INIT: Self = forebay_failure {
        struct_size: size_of::<Self>(),
        message: forebay_slice::EMPTY,
        retry_after_ms: -1,
        code: forebay_code::FOREBAY_E_REFRESH_FAILED as i32,
        reserved: 0,
        not_sent: 0,
        reserved2: 0,
    };
}

/// The host's own words, as the cause of the failure that carries them.
#[derive(Debug)]
struct HostText(String);

impl std::fmt::Display for HostText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostText {}

/// The failure that the host says.
///
/// # Safety
/// As [`args::options`], and its message is readable.
pub(crate) unsafe fn failure_of(failure: *const forebay_failure) -> Result<Failure> {
    // SAFETY: the caller's promise.
    let options = unsafe { args::options(failure, "failure")? }.unwrap_or(Options::INIT);
    reserved(options.reserved)?;
    reserved(options.reserved2)?;
    let code = Code::from_number(options.code).ok_or_else(|| {
        Error::new(Code::Invalid, format!("code of failure is {}", options.code))
            .with_hint("give one of the negative numbers of forebay_code")
    })?;
    // SAFETY: the caller's promise.
    let said = unsafe { options.message.some_text("message")? };
    let mut failure = Failure::new(code, said.unwrap_or("no reason was given"));
    if let Some(after) = duration(options.retry_after_ms, "retry_after_ms")? {
        failure = failure.retry_after(after);
    }
    if let Some(said) = said {
        failure.source = Some(std::sync::Arc::new(HostText(said.to_owned())));
    }
    Ok(if flag(options.not_sent, "not_sent")? { failure.not_sent() } else { failure })
}
