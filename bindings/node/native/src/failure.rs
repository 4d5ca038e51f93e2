//! How the core's errors reach JavaScript: as a plain object of facts that the TypeScript side makes a
//! `ForebayError` of. A synchronous call throws the same facts as JSON in a napi error's message.

use forebay::{Code, Error, Failure};
use napi::Status;
use napi_derive::napi;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

/// What is known of a failure.
#[napi(object, object_from_js = false)]
pub struct ErrorFacts {
    /// The code's text, lower case: `gated`.
    pub code: &'static str,
    /// What happened, where, and what to do next.
    pub message: String,
    pub path: Option<String>,
    pub hint: Option<String>,
    /// The system's errno.
    pub errno: Option<i32>,
    /// Epoch milliseconds.
    pub retry_at: Option<f64>,
    /// The text of what caused it.
    pub cause: Option<String>,
}

impl From<&Error> for ErrorFacts {
    fn from(error: &Error) -> ErrorFacts {
        ErrorFacts {
            code: error.code().as_str(),
            message: error.to_string(),
            path: error.path().map(|path| path.to_string_lossy().into_owned()),
            hint: error.hint().map(str::to_owned),
            errno: error.os(),
            retry_at: error.retry_at().map(epoch_ms),
            cause: std::error::Error::source(error).map(ToString::to_string),
        }
    }
}

/// An instant as JavaScript counts it.
pub(crate) fn epoch_ms(at: SystemTime) -> f64 {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => millis(after),
        Err(before) => -millis(before.duration()),
    }
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A duration given in milliseconds.
pub(crate) fn duration(ms: f64) -> forebay::Result<Duration> {
    Duration::try_from_secs_f64(ms / 1e3)
        .map_err(|_| Error::new(Code::Invalid, format!("{ms} ms is not a duration")))
}

/// [`duration`] of what may be unset.
pub(crate) fn durations(ms: Option<f64>) -> forebay::Result<Option<Duration>> {
    ms.map(duration).transpose()
}

fn thrown(error: &Error) -> napi::Error {
    let facts = ErrorFacts::from(error);
    let json = serde_json::json!({
        "forebay": {
            "code": facts.code, "message": facts.message, "path": facts.path, "hint": facts.hint,
            "errno": facts.errno, "retryAt": facts.retry_at, "cause": facts.cause,
        }
    });
    napi::Error::new(Status::GenericFailure, json.to_string())
}

fn panicked(payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned());
    Error::new(Code::Panic, format!("a bug in forebay was contained: {text}")).with_hint("please report it")
}

/// Runs `work`, and turns a panic into an error: none may cross into Node.
pub(crate) fn contain<T>(work: impl FnOnce() -> forebay::Result<T>) -> forebay::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(panicked(&*payload)))
}

/// The body of a synchronous function.
pub(crate) fn guard<T>(work: impl FnOnce() -> forebay::Result<T>) -> napi::Result<T> {
    contain(work).map_err(|error| thrown(&error))
}

/// A refresher's failure, as the TypeScript side describes it.
#[napi(object, object_to_js = false)]
pub struct FailureFacts {
    pub code: String,
    pub message: String,
    /// Milliseconds.
    pub retry_after: Option<f64>,
    /// The request certainly did not reach the server.
    pub not_sent: Option<bool>,
}

impl TryFrom<FailureFacts> for Failure {
    type Error = Error;

    fn try_from(facts: FailureFacts) -> forebay::Result<Failure> {
        let code = Code::from_text(&facts.code).unwrap_or(Code::RefreshFailed);
        let mut failure = Failure::new(code, facts.message);
        if facts.not_sent == Some(true) {
            failure = failure.not_sent();
        }
        Ok(match durations(facts.retry_after)? {
            Some(after) => failure.retry_after(after),
            None => failure,
        })
    }
}

/// What an HTTP status means for a refresh.
#[napi(object, object_from_js = false)]
pub struct StatusFacts {
    pub code: &'static str,
    pub message: String,
    /// Milliseconds.
    pub retry_after: Option<f64>,
}

/// The failure that an HTTP status and its `Retry-After` stand for.
#[napi]
pub fn failure_from_status(status: u16, retry_after: Option<String>) -> napi::Result<StatusFacts> {
    guard(|| {
        let failure = Failure::from_status(status, retry_after.as_deref());
        Ok(StatusFacts {
            code: failure.code.as_str(),
            message: failure.message,
            retry_after: failure.retry_after.map(millis),
        })
    })
}

/// All error codes with their numbers, for the test of completeness.
#[napi(object, object_from_js = false)]
pub struct CodeFacts {
    pub text: &'static str,
    pub number: i32,
}

/// All error codes of the core.
#[napi]
pub fn error_codes() -> Vec<CodeFacts> {
    Code::ALL.iter().map(|code| CodeFacts { text: code.as_str(), number: code.number() }).collect()
}
