//! `get`, `state`, `list` and `why`: what looks and changes nothing.

use crate::args::Parsed;
use crate::exit::{ABSENT, Failed};
use crate::json::{self, Both, Found, Reason, Refresh, Row};
use crate::{human, open, out, say, table};
use forebay::{Cache, Code, Error, Key, Listed, State, Value};
use std::process::ExitCode;
use std::time::SystemTime;

/// The key that is meant where there is nothing under the one given: `run --name N` stores under `N` and a hash, so
/// `run/N` alone stands for it, if there is but one.
fn meant(cache: &Cache, key: Key) -> Result<Key, Failed> {
    let beginning = format!("{key}.");
    let hashed = |found: &Key| {
        let text = found.to_string();
        let rest = text.strip_prefix(&beginning);
        rest.is_some_and(|hash| hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let mut found: Vec<Key> = cache.list()?.into_iter().map(|listed| listed.key).filter(hashed).collect();
    match found.len() {
        0 => Ok(key),
        1 => Ok(found.remove(0)),
        number => {
            let error = Error::new(Code::Invalid, format!("stands for {number} keys, such as {}", found[0]));
            Err(Failed::from(error.with_hint("give the whole key; see 'forebay list'")).about(&key))
        }
    }
}

/// The key of the command line, and what is under it.
fn look(parsed: &Parsed) -> Result<(Cache, Key, Value), Failed> {
    let (cache, mut key) = (open::cache(parsed)?, parsed.key()?);
    let mut value = open::source(parsed, &cache, &key)?.read()?;
    if value.state == State::Absent && damage(&value).is_none() {
        key = meant(&cache, key)?;
        value = open::source(parsed, &cache, &key)?.read()?;
    }
    Ok((cache, key, value))
}

/// As `meant`, but only where there is nothing under the key itself.
pub(crate) fn resolve(parsed: &Parsed, cache: &Cache, key: Key) -> Result<Key, Failed> {
    let value = open::source(parsed, cache, &key)?.read()?;
    if value.state == State::Absent && damage(&value).is_none() { meant(cache, key) } else { Ok(key) }
}

/// Why the value cannot be read, if that is so; a failed refresh is not about the value.
fn damage(value: &Value) -> Option<&Error> {
    value.error.as_ref().filter(|error| error.code() == Code::Damaged)
}

/// `forebay get`.
pub(crate) fn get(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let (_, key, value) = look(parsed)?;
    let gone = match value.state {
        State::Fresh | State::Stale => None,
        State::Expired => {
            Some(format!("has expired: it is {} old", human::long(value.age.unwrap_or_default())))
        }
        State::Absent => Some("there is no value".to_owned()),
    };
    if let (Some(_), Some(error)) = (&gone, damage(&value)) {
        return Err(Failed::from(error.clone()).about(&key).status(ABSENT));
    }
    if let Some(gone) = gone {
        return Err(Failed::from(Error::new(Code::NotFound, gone)).about(&key));
    }
    let bytes = value.data().unwrap_or_default();
    if parsed.has("json") {
        out::line(&json::text(&Found::new(&key, &value).with_data(bytes)))?;
    } else {
        out::data(bytes)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `forebay state`.
pub(crate) fn state(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let (cache, key, value) = look(parsed)?;
    let refresh = open::source(parsed, &cache, &key)?.refresh_state()?;
    if parsed.has("json") {
        let both = Both { value: Found::new(&key, &value), refresh: Refresh::new(&refresh) };
        out::line(&json::text(&both))?;
    } else {
        let size =
            value.data().map(|data| format!(", {}", human::size(data.len() as u64))).unwrap_or_default();
        let state = say::state(value.state, 0, out::coloured());
        let mut text = format!("{key}: {state}{}{size}", say::aged(value.age));
        if let Some(error) = damage(&value) {
            text += &format!("; {error}");
        }
        let now = say::now_of(&value);
        text += match refresh.phase {
            forebay::Phase::Idle => String::new(),
            forebay::Phase::Running => running(&refresh, now),
            forebay::Phase::Cooling => cooling(&refresh, now),
        }
        .as_str();
        out::line(&text)?;
    }
    let status = if value.state == State::Absent { ABSENT } else { crate::exit::OK };
    Ok(ExitCode::from(status))
}

fn running(refresh: &forebay::RefreshState, now: SystemTime) -> String {
    let since = refresh.started_at.and_then(|at| now.duration_since(at).ok());
    let since = since.map(|time| format!(" for {}", human::short(time))).unwrap_or_default();
    let holder = refresh.holder.map(|pid| format!(" in process {pid}")).unwrap_or_default();
    format!("; a refresh runs{since}{holder}")
}

fn cooling(refresh: &forebay::RefreshState, now: SystemTime) -> String {
    let reason = refresh.last_error.as_ref().map_or("unknown reason", |error| error.message());
    let attempts = human::ordinal(refresh.attempts.max(1));
    let next = say::next_attempt(Some(refresh), now);
    format!("; refresh failed: {reason} ({attempts} attempt){next}")
}

/// `forebay why`.
pub(crate) fn why(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let (cache, key, _) = look(parsed)?;
    let why = open::source(parsed, &cache, &key)?.why()?;
    if parsed.has("json") {
        out::line(&json::text(&Reason::new(&key, &why)))?;
    } else {
        out::line(&format!("{}\nCache-Status: {}", why.text, why.cache_status))?;
    }
    let status = if why.state == State::Absent { ABSENT } else { crate::exit::OK };
    Ok(ExitCode::from(status))
}

/// `forebay list`.
pub(crate) fn list(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let mut rows = open::cache(parsed)?.list()?;
    if let Some(prefix) = parsed.operands.first().and_then(|prefix| prefix.to_str()) {
        rows.retain(|row| row.key.to_string().starts_with(prefix));
    }
    rows.sort_by_cached_key(|row| row.key.to_string());
    if parsed.has("json") {
        let rows: Vec<Row> = rows.iter().map(Row::new).collect();
        out::line(&json::text(&rows))?;
    } else if parsed.has("names") {
        let names: String =
            rows.iter().map(|row| format!("{}\n", table::harmless(&row.key.to_string()))).collect();
        out::data(names.as_bytes())?;
    } else if !rows.is_empty() {
        let lines: Vec<table::Row> = rows.iter().map(line_of).collect();
        out::data(table::text(&lines, out::coloured()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn is_damaged(row: &Listed) -> bool {
    row.error.as_ref().is_some_and(|error| error.code() == Code::Damaged)
}

/// A line of the table of `list`.
fn line_of(row: &Listed) -> table::Row {
    let now = match (row.stored_at, row.age) {
        (Some(stored), Some(age)) => stored + age,
        _ => SystemTime::now(),
    };
    let size = if row.stored_at.is_some() { human::size(row.size) } else { "-".to_owned() };
    table::Row {
        name: row.key.to_string(),
        state: (!is_damaged(row)).then_some(row.state),
        instead: "damaged",
        age: row.age.map_or("-".to_owned(), human::short),
        size,
        refresh: say::column(row.phase, row.retry_at, now),
    }
}
