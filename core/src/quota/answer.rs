//! `Answer`, `QuotaState` and `Blocked`: what a quota call returns: the data, where it came from and how old it is;
//! and what is recorded, for those who only look. Plain data.

use crate::error::{Code, Error, Result};
use crate::freshness::State;
use crate::source::value::{How, Phase};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The outcome of `resolve`. Cheap to clone; the text is shared.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The data: JSON, as the fetch or the fallback gave it.
    pub data: Arc<str>,
    /// How it came to be returned.
    pub how: How,
    /// Whether it is fresh; what a fallback made counts as fresh.
    pub state: State,
    /// How old it is; zero for what was made just now.
    pub age: Duration,
    /// When it was had from the server; none for what a fallback made.
    pub cached_at: Option<SystemTime>,
    /// When the gate in force ends; none where there is none.
    pub retry_at: Option<SystemTime>,
    /// Why it is not better than it is: the failure or the gate behind a stale answer or a fallback, or why what
    /// was fetched could not be stored.
    pub error: Option<Error>,
}

impl Answer {
    /// The data as a JSON value. Numbers that it cannot hold whole are rounded; the text keeps them.
    ///
    /// # Errors
    /// [`Code::Invalid`] where a fallback gave something else than JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.data)
            .map_err(|error| Error::new(Code::Invalid, format!("the answer is not JSON: {error}")))
    }
}

/// What is recorded of a quota.
#[derive(Clone, Debug)]
pub struct QuotaState {
    /// The last answer, of whatever age; none where there is none.
    pub answer: Option<Answer>,
    /// The last error, where a program of the original kind recorded one in the answer's place.
    pub recorded_error: Option<Error>,
    /// The gate in force.
    pub blocked: Option<Blocked>,
    /// What the fetch is doing.
    pub phase: Phase,
    /// The process that fetches, where it is known.
    pub holder: Option<u32>,
}

/// A gate in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blocked {
    /// When the next attempt may be made.
    pub until: SystemTime,
    /// Why; none where whoever wrote it did not say.
    pub error: Option<Code>,
    /// In words.
    pub message: String,
    /// A server, or somebody by hand, gave the time; else it was guessed.
    pub declared: bool,
    /// Failures in a row.
    pub attempts: u32,
}
