//! The JSON forms, as docs/command.md has them: durations are `…_ms`, instants `…_at_ms` in milliseconds since the
//! epoch, versions opaque texts. What is not known is null.

use crate::envelope::encode;
use crate::exit::Failed;
use forebay::{
    Answer, Blocked, Credential, Error, Input, Key, Listed, LiveKey, LiveListed, LiveWhy, Phase, Pruned,
    QuotaState, RefreshState, State, Value, Why,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Milliseconds since the epoch; before it, negative.
pub(crate) fn instant(at: SystemTime) -> i64 {
    let whole = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => -whole(before.duration()),
    }
}

fn span(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A text of that as JSON, in one line.
pub(crate) fn text(of: &impl Serialize) -> String {
    serde_json::to_string(of).unwrap_or_else(|_| "null".to_owned())
}

/// A failure.
#[derive(Serialize)]
pub(crate) struct Trouble {
    code: &'static str,
    message: String,
    path: Option<String>,
    hint: Option<String>,
    retry_at_ms: Option<i64>,
}

impl Trouble {
    fn new(error: &Error) -> Trouble {
        Trouble {
            code: error.code().as_str(),
            message: error.message().to_owned(),
            path: error.path().map(|path| path.display().to_string()),
            hint: error.hint().map(str::to_owned),
            retry_at_ms: error.retry_at().map(instant),
        }
    }
}

/// What goes to standard error where `--json` was given.
#[derive(Serialize)]
pub(crate) struct Failure {
    error: Trouble,
    key: Option<String>,
    status: u8,
}

impl Failure {
    pub(crate) fn new(failed: &Failed) -> Failure {
        Failure {
            error: Trouble::new(failed.error()),
            key: failed.key().map(str::to_owned),
            status: failed.exit_status(),
        }
    }
}

/// A value and what is known of it.
#[derive(Serialize)]
pub(crate) struct Found {
    key: String,
    state: &'static str,
    age_ms: Option<u64>,
    size: Option<usize>,
    stored_at_ms: Option<i64>,
    version: String,
    validator: Option<String>,
    extra: Option<String>,
    how: Option<&'static str>,
    error: Option<Trouble>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

impl Found {
    /// Without its bytes.
    pub(crate) fn new(key: &Key, value: &Value) -> Found {
        Found {
            key: key.to_string(),
            state: value.state.as_str(),
            age_ms: value.age.map(span),
            size: value.data().map(<[u8]>::len),
            stored_at_ms: value.stored_at().map(instant),
            version: value.version().to_string(),
            validator: value.validator().map(str::to_owned),
            extra: value.extra().map(str::to_owned),
            how: value.how.map(forebay::How::as_str),
            error: value.error.as_ref().map(Trouble::new),
            data: None,
            data_base64: None,
        }
    }

    /// With its bytes: as `data` if they are UTF-8, else as `data_base64`.
    pub(crate) fn with_data(mut self, bytes: &[u8]) -> Found {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.data = Some(text.to_owned()),
            Err(_) => self.data_base64 = Some(encode(bytes)),
        }
        self
    }
}

/// What a refresh is doing.
#[derive(Serialize)]
pub(crate) struct Refresh {
    phase: &'static str,
    in_flight: bool,
    failed: bool,
    last_error: Option<Trouble>,
    started_at_ms: Option<i64>,
    deadline_at_ms: Option<i64>,
    retry_at_ms: Option<i64>,
    attempts: u32,
    declared: bool,
    holder: Option<u32>,
}

impl Refresh {
    pub(crate) fn new(state: &RefreshState) -> Refresh {
        Refresh {
            phase: state.phase.as_str(),
            in_flight: state.in_flight,
            failed: state.failed,
            last_error: state.last_error.as_ref().map(Trouble::new),
            started_at_ms: state.started_at.map(instant),
            deadline_at_ms: state.deadline.map(instant),
            retry_at_ms: state.retry_at.map(instant),
            attempts: state.attempts,
            declared: state.declared,
            holder: state.holder,
        }
    }
}

/// `state --json`: a value and its refresh.
#[derive(Serialize)]
pub(crate) struct Both {
    #[serde(flatten)]
    pub(crate) value: Found,
    pub(crate) refresh: Refresh,
}

/// One line of `list --json`.
#[derive(Serialize)]
pub(crate) struct Row {
    key: String,
    tier: String,
    name: String,
    state: &'static str,
    age_ms: Option<u64>,
    size: u64,
    stored_at_ms: Option<i64>,
    phase: &'static str,
    retry_at_ms: Option<i64>,
    version: String,
    validator: Option<String>,
    error: Option<Trouble>,
}

impl Row {
    pub(crate) fn new(listed: &Listed) -> Row {
        Row {
            key: listed.key.to_string(),
            tier: listed.key.tier().to_owned(),
            name: listed.key.name().to_owned(),
            state: listed.state.as_str(),
            age_ms: listed.age.map(span),
            size: listed.size,
            stored_at_ms: listed.stored_at.map(instant),
            phase: listed.phase.as_str(),
            retry_at_ms: listed.retry_at.map(instant),
            version: listed.version.to_string(),
            validator: listed.validator.as_deref().map(str::to_owned),
            error: listed.error.as_ref().map(Trouble::new),
        }
    }
}

/// `why --json`.
#[derive(Serialize)]
pub(crate) struct Reason {
    key: String,
    state: &'static str,
    phase: &'static str,
    why: String,
    cache_status: String,
}

impl Reason {
    pub(crate) fn new(key: &Key, why: &Why) -> Reason {
        Reason {
            key: key.to_string(),
            state: why.state.as_str(),
            phase: Phase::as_str(why.phase),
            why: why.text.clone(),
            cache_status: why.cache_status.clone(),
        }
    }
}

/// `remove --json`, one per key.
#[derive(Serialize)]
pub(crate) struct Removed {
    pub(crate) key: String,
    pub(crate) removed: bool,
}

/// A key that prune did not remove.
#[derive(Serialize)]
struct Skipped {
    key: String,
    why: String,
}

/// `prune --json`.
#[derive(Serialize)]
pub(crate) struct Sweep {
    removed: Vec<String>,
    skipped: Vec<Skipped>,
    swept: usize,
}

impl Sweep {
    pub(crate) fn new(pruned: &Pruned) -> Sweep {
        let skipped = pruned.skipped.iter();
        Sweep {
            removed: pruned.removed.iter().map(Key::to_string).collect(),
            skipped: skipped
                .map(|(key, why)| Skipped { key: key.to_string(), why: why.to_string() })
                .collect(),
            swept: pruned.swept,
        }
    }
}

/// `refresh --json`, one per key.
#[derive(Serialize)]
pub(crate) struct Refreshed {
    #[serde(flatten)]
    pub(crate) value: Option<Found>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
}

/// A text of JSON without the white space between its parts: one line, and every number as it was written.
pub(crate) fn one_line(json: &str) -> String {
    let (mut out, mut inside, mut escaped) = (String::with_capacity(json.len()), false, false);
    for letter in json.chars() {
        if inside || !matches!(letter, ' ' | '\t' | '\n' | '\r') {
            out.push(letter);
        }
        inside = if letter == '"' && !escaped { !inside } else { inside };
        escaped = inside && letter == '\\' && !escaped;
    }
    out
}

/// That text within a line of JSON; null, should it be none.
fn raw(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(one_line(json)).ok()
}

/// `quota resolve --json`.
#[derive(Serialize)]
pub(crate) struct Answered {
    key: String,
    how: &'static str,
    state: &'static str,
    age_ms: u64,
    cached_at_ms: Option<i64>,
    retry_at_ms: Option<i64>,
    error: Option<Trouble>,
    data: Option<Box<RawValue>>,
}

impl Answered {
    pub(crate) fn new(key: &Key, answer: &Answer) -> Answered {
        Answered {
            key: key.to_string(),
            how: answer.how.as_str(),
            state: answer.state.as_str(),
            age_ms: span(answer.age),
            cached_at_ms: answer.cached_at.map(instant),
            retry_at_ms: answer.retry_at.map(instant),
            error: answer.error.as_ref().map(Trouble::new),
            data: raw(&answer.data),
        }
    }
}

/// A gate in force.
#[derive(Serialize)]
struct Gate {
    retry_at_ms: i64,
    code: Option<&'static str>,
    message: String,
    declared: bool,
    attempts: u32,
}

impl Gate {
    fn new(blocked: &Blocked) -> Gate {
        Gate {
            retry_at_ms: instant(blocked.until),
            code: blocked.error.map(forebay::Code::as_str),
            message: blocked.message.clone(),
            declared: blocked.declared,
            attempts: blocked.attempts,
        }
    }
}

/// `quota show --json`, for one quota.
#[derive(Serialize)]
pub(crate) struct Recorded {
    key: String,
    name: String,
    state: &'static str,
    age_ms: Option<u64>,
    cached_at_ms: Option<i64>,
    size: Option<usize>,
    phase: &'static str,
    holder: Option<u32>,
    blocked: Option<Gate>,
    error: Option<Trouble>,
    data: Option<Box<RawValue>>,
}

impl Recorded {
    pub(crate) fn new(key: &Key, state: &QuotaState) -> Recorded {
        let answer = state.answer.as_ref();
        Recorded {
            key: key.to_string(),
            name: key.name().to_owned(),
            state: answer.map_or(State::Absent, |answer| answer.state).as_str(),
            age_ms: answer.map(|answer| span(answer.age)),
            cached_at_ms: answer.and_then(|answer| answer.cached_at).map(instant),
            size: answer.map(|answer| answer.data.len()),
            phase: state.phase.as_str(),
            holder: state.holder,
            blocked: state.blocked.as_ref().map(Gate::new),
            error: state.recorded_error.as_ref().map(Trouble::new),
            data: answer.and_then(|answer| raw(&answer.data)),
        }
    }
}

/// `quota clear --json`.
#[derive(Serialize)]
pub(crate) struct Cleared {
    pub(crate) key: String,
    pub(crate) cleared: bool,
}

/// `quota block --json`.
#[derive(Serialize)]
pub(crate) struct Barred {
    pub(crate) key: String,
    pub(crate) retry_at_ms: i64,
}

/// `rotate --json`: with the credential, as whoever asks needs both it and its version.
#[derive(Serialize)]
pub(crate) struct Rotated {
    key: String,
    version: String,
    how: &'static str,
    stored_at_ms: Option<i64>,
    error: Option<Trouble>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

impl Rotated {
    pub(crate) fn new(key: &Key, credential: &Credential) -> Rotated {
        let (data, data_base64) = match std::str::from_utf8(credential.data()) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(encode(credential.data()))),
        };
        Rotated {
            key: key.to_string(),
            version: credential.version().to_string(),
            how: credential.how().as_str(),
            stored_at_ms: Some(instant(credential.stored_at())).filter(|_| credential.error().is_none()),
            error: credential.error().map(Trouble::new),
            data,
            data_base64,
        }
    }
}

/// One line of `live ls --json`.
#[derive(Serialize)]
pub(crate) struct Result {
    key: String,
    kind: String,
    size: u64,
    inputs: Vec<String>,
    upstreams: Vec<String>,
    computed_at_ms: i64,
    used_at_ms: i64,
}

impl Result {
    pub(crate) fn new(listed: &LiveListed) -> Result {
        Result {
            key: listed.key.to_string(),
            kind: listed.kind.clone(),
            size: listed.size,
            inputs: listed.inputs.iter().map(Input::to_string).collect(),
            upstreams: listed.upstreams.iter().map(LiveKey::to_string).collect(),
            computed_at_ms: instant(listed.computed_at),
            used_at_ms: instant(listed.used_at),
        }
    }
}

/// `live stats --json`.
#[derive(Serialize)]
pub(crate) struct Stats {
    pub(crate) results: u64,
    pub(crate) bytes: u64,
    pub(crate) kinds: BTreeMap<String, u64>,
}

/// `live why --json`.
#[derive(Serialize)]
pub(crate) struct Holds {
    key: String,
    holds: bool,
    why: String,
    input: Option<String>,
    upstream: Option<String>,
}

impl Holds {
    pub(crate) fn new(key: &LiveKey, why: &LiveWhy) -> Holds {
        Holds {
            key: key.to_string(),
            holds: why.holds,
            why: why.text.clone(),
            input: why.input.as_ref().map(Input::to_string),
            upstream: why.upstream.as_ref().map(LiveKey::to_string),
        }
    }
}

/// `live invalidate --json`, one per path, tag or key.
#[derive(Serialize)]
pub(crate) struct Ended {
    /// What it was: path, tag, key, upstream.
    pub(crate) by: &'static str,
    pub(crate) name: String,
    pub(crate) results: u64,
}

/// `live gc --json`.
#[derive(Serialize)]
pub(crate) struct Cleaned {
    pub(crate) removed: u64,
    pub(crate) evicted: u64,
    pub(crate) swept: u64,
}

/// `rotate-reset --json`.
#[derive(Serialize)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
}
