//! `quota show`, `quota block` and `quota clear`: what is recorded of rate-limited servers, looked at and changed
//! without asking any. Asking is `resolve`'s.

use crate::args::Parsed;
use crate::exit::{ABSENT, Failed, GATED, OK};
use crate::json::{self, Barred, Cleared, Recorded};
use crate::{human, open, out, say, table};
use forebay::{Blocked, Cache, Code, Error, Key, Phase, QuotaState, State};
use std::process::ExitCode;
use std::time::SystemTime;

/// `forebay quota show`.
pub(crate) fn show(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let cache = open::cache(parsed)?;
    if parsed.operands.is_empty() {
        if parsed.has("identity") {
            return Err(parsed.usage("which quota? --identity is of one"));
        }
        return list(parsed, &cache);
    }
    let quota = open::quota(parsed, &cache)?;
    let (key, state) = (quota.key()?, quota.read()?);
    if parsed.has("json") {
        out::line(&json::text(&Recorded::new(key, &state)))?;
    } else if parsed.has("names") {
        return Err(parsed.usage("--names is for the list of all"));
    } else {
        out::line(&sentence(key, &state, cache.now()))?;
    }
    Ok(ExitCode::from(match (&state.answer, &state.blocked) {
        (Some(_), _) => OK,
        (None, Some(_)) => GATED,
        (None, None) => ABSENT,
    }))
}

/// `usage: stale, 14 minutes old, 18 B; rate limited: HTTP 429; next attempt in 41 s`.
fn sentence(key: &Key, state: &QuotaState, now: SystemTime) -> String {
    let mut text = format!("{key}: {}", say::state(state_of(state), 0, out::coloured()));
    if let Some(answer) = &state.answer {
        let size = human::size(answer.data.len() as u64);
        text += &format!("{}, {size}", say::aged(Some(answer.age)));
    }
    if let Some(error) = &state.recorded_error {
        text += &format!("; recorded error: {}", label(Some(error.code())));
    }
    if state.phase == Phase::Running {
        let holder = state.holder.map(|pid| format!(" in process {pid}")).unwrap_or_default();
        text += &format!("; a fetch runs{holder}");
    }
    if let Some(blocked) = &state.blocked {
        text += &format!("; {}{}{}", why(blocked), attempts(blocked), say::next(Some(blocked.until), now));
    }
    text
}

fn state_of(state: &QuotaState) -> State {
    state.answer.as_ref().map_or(State::Absent, |answer| answer.state)
}

fn label(code: Option<Code>) -> String {
    code.map_or("gated", Code::as_str).replace('_', " ")
}

/// Why a gate bars: `rate limited: HTTP 429`.
fn why(blocked: &Blocked) -> String {
    let label = label(blocked.error);
    let said = [Some(""), blocked.error.map(Code::as_str), Some("gated")].contains(&Some(&*blocked.message));
    if said { label } else { format!("{label}: {}", blocked.message) }
}

fn attempts(blocked: &Blocked) -> String {
    match blocked.attempts {
        0 | 1 => String::new(),
        number => format!(" ({} attempt)", human::ordinal(number)),
    }
}

/// All quotas.
fn list(parsed: &Parsed, cache: &Cache) -> Result<ExitCode, Failed> {
    let mut rows = Vec::new();
    for key in cache.quotas()? {
        let state = open::tuned(parsed, cache.quota_of(&key))?.read()?;
        rows.push((key, state));
    }
    rows.sort_by_cached_key(|(key, _)| key.to_string());
    if parsed.has("json") {
        let rows: Vec<Recorded> = rows.iter().map(|(key, state)| Recorded::new(key, state)).collect();
        out::line(&json::text(&rows))?;
    } else if parsed.has("names") {
        let mut names: Vec<String> = rows.iter().map(|(key, _)| table::harmless(key.name())).collect();
        names.dedup();
        out::data(names.iter().map(|name| format!("{name}\n")).collect::<String>().as_bytes())?;
    } else if !rows.is_empty() {
        let lines: Vec<table::Row> = rows.iter().map(|row| line_of(row, cache.now())).collect();
        out::data(table::text(&lines, out::coloured()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A line of the table, which is that of `list`.
fn line_of((key, state): &(Key, QuotaState), now: SystemTime) -> table::Row {
    let (answer, blocked) = (state.answer.as_ref(), state.blocked.as_ref());
    let reason = blocked.map(|blocked| format!(": {}", why(blocked))).unwrap_or_default();
    let column = say::column(state.phase, blocked.map(|blocked| blocked.until), now);
    table::Row {
        name: key.to_string(),
        state: Some(state_of(state)),
        instead: "",
        age: answer.map_or("-".to_owned(), |answer| human::short(answer.age)),
        size: answer.map_or("-".to_owned(), |answer| human::size(answer.data.len() as u64)),
        refresh: format!("{column}{reason}"),
    }
}

/// `forebay quota block`.
pub(crate) fn block(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let cache = open::cache(parsed)?;
    let quota = open::quota(parsed, &cache)?;
    let time = parsed.duration("for")?.ok_or_else(|| parsed.usage("for how long? give --for TIME"))?;
    if time.is_zero() {
        return Err(parsed.usage("--for 0 blocks nothing; 'forebay quota clear' takes a gate away"));
    }
    let key = quota.key()?;
    let reason = parsed.text("reason")?.unwrap_or_default();
    let until = quota
        .block(time, Code::RateLimited, reason)
        .map_err(|error: Error| Failed::from(error).about(key))?;
    if parsed.has("json") {
        out::line(&json::text(&Barred { key: key.to_string(), retry_at_ms: json::instant(until) }))?;
    } else {
        let left = until.duration_since(cache.now()).unwrap_or_default();
        out::line(&format!("{key}: next attempt in {}", human::until(left)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `forebay quota clear`.
pub(crate) fn clear(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let cache = open::cache(parsed)?;
    let quota = open::quota(parsed, &cache)?;
    let key = quota.key()?;
    let cleared = quota.clear().map_err(|error| Failed::from(error).about(key))?;
    if parsed.has("json") {
        out::line(&json::text(&Cleared { key: key.to_string(), cleared }))?;
    } else if !cleared {
        out::warn(&format_args!("{key}: there is nothing to clear"));
    }
    Ok(ExitCode::from(if cleared { OK } else { ABSENT }))
}
