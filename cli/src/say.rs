//! The sentences that `forebay` says about values and refreshes, so that they are the same in every command.

use crate::{exit, human};
use forebay::{Answer, Code, Error, How, Key, Phase, RefreshState, Source, State, Value};
use std::time::{Duration, SystemTime};

/// The instant at which a value was looked at, by the cache's clock.
pub(crate) fn now_of(value: &Value) -> SystemTime {
    match (value.stored_at(), value.age) {
        (Some(stored), Some(age)) => stored + age,
        _ => SystemTime::now(),
    }
}

/// `; next attempt in 41 s`, or nothing where it may be made now.
pub(crate) fn next_attempt(state: Option<&RefreshState>, now: SystemTime) -> String {
    next(state.and_then(|state| state.retry_at), now)
}

fn attempts(state: Option<&RefreshState>) -> String {
    match state.map_or(0, |state| state.attempts) {
        0 | 1 => String::new(),
        number => format!(" ({} attempt)", human::ordinal(number)),
    }
}

/// The refresh failed, and the old value is served while that cools down.
pub(crate) fn still_failing(source: &Source, key: &Key, value: &Value) -> String {
    let state = source.refresh_state().ok();
    let last = state.as_ref().and_then(|state| state.last_error.as_ref());
    let reason = last.map_or("unknown reason", |error| error.message());
    format!(
        "{key}: refresh failed: {reason}{}; serving the value of {} ago{}",
        attempts(state.as_ref()),
        human::long(value.age.unwrap_or_default()),
        next_attempt(state.as_ref(), now_of(value)),
    )
}

/// The refresh failed just now, and the old value is served.
pub(crate) fn failed_but_serving(key: &Key, reason: &str, value: &Value) -> String {
    let age = human::long(value.age.unwrap_or_default());
    format!("{key}: refresh failed: {reason}; serving the value of {age} ago")
}

/// The command failed in another shell, now or a moment ago.
pub(crate) fn failed_elsewhere(
    source: &Source,
    key: &Key,
    reason: &str,
    state: Option<&RefreshState>,
) -> String {
    let now = source.read().map_or_else(|_| SystemTime::now(), |value| now_of(&value));
    format!(
        "{key}: the command failed in another run: {reason}{}{}",
        attempts(state),
        next_attempt(state, now)
    )
}

/// Where an output came from, for `--verbose`.
pub(crate) fn origin(key: &Key, value: &Value, more: &str) -> String {
    let how = value.how.map_or("cached", forebay::How::as_str);
    let age = value.age.map(human::long).unwrap_or_default();
    let more = if more.is_empty() { String::new() } else { format!("; {more}") };
    format!("{key}: {how}: {}, {age} old{more}", value.state)
}

/// What a refresh is doing, for the column of `list`: `-`, `running`, `retry in 41 s`.
pub(crate) fn column(phase: Phase, retry_at: Option<SystemTime>, now: SystemTime) -> String {
    match phase {
        Phase::Idle => "-".to_owned(),
        Phase::Running => "running".to_owned(),
        Phase::Cooling => {
            let left = retry_at.and_then(|at| at.duration_since(now).ok()).unwrap_or_default();
            format!("retry in {}", human::until(left))
        }
    }
}

/// A state, coloured where someone sees it.
pub(crate) fn state(state: State, width: usize, coloured: bool) -> String {
    let text = format!("{:<width$}", state.as_str());
    let colour = match state {
        State::Fresh => "32",
        State::Stale => "33",
        State::Expired | State::Absent => "31",
    };
    if coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text }
}

/// The age of a value in a sentence.
pub(crate) fn aged(age: Option<Duration>) -> String {
    age.map_or_else(String::new, |age| format!(", {} old", human::long(age)))
}

/// What is wrong with a quota or a credential: `usage: rate limited: HTTP 429`.
pub(crate) fn trouble(key: &Key, error: &Error) -> String {
    let (code, message) = (error.code(), error.message());
    let label = code.as_str().replace('_', " ");
    let labelled = code == Code::TimedOut || code == Code::Gated || exit::is_of_the_refresh(code);
    if message.starts_with(&format!("{key}: ")) {
        message.to_owned()
    } else if message.is_empty() || message == code.as_str() {
        format!("{key}: {label}")
    } else if labelled {
        format!("{key}: {label}: {message}")
    } else {
        format!("{key}: {error}")
    }
}

/// `; next attempt in 41 s`, or nothing where none is barred.
pub(crate) fn next(retry_at: Option<SystemTime>, now: SystemTime) -> String {
    match retry_at.and_then(|at| at.duration_since(now).ok()) {
        Some(left) if !left.is_zero() => format!("; next attempt in {}", human::until(left)),
        _ => String::new(),
    }
}

/// Why an answer is not better than it is; nothing, where it is as good as can be.
pub(crate) fn shortcoming(key: &Key, answer: &Answer, now: SystemTime) -> Option<String> {
    let error = answer.error.as_ref()?;
    let served = match answer.how {
        How::Stale => format!("serving the answer of {} ago", human::long(answer.age)),
        How::Fallback => "serving the fallback".to_owned(),
        _ => return Some(format!("{key}: the answer was not stored: {error}")),
    };
    Some(format!("{}; {served}{}", trouble(key, error), next(answer.retry_at, now)))
}

/// Where an answer came from, for `--verbose`.
pub(crate) fn source(key: &Key, answer: &Answer) -> String {
    format!("{key}: {}: {}, {} old", answer.how, answer.state, human::long(answer.age))
}
