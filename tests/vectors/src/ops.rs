//! The ops that are calls on sources. Each op takes its fields first, so that an unknown one is
//! an error before anything runs.

use crate::callee::{Callee, Calls, failure};
use crate::expect::{bytes, of_error, of_state, of_value};
use crate::stage::{LIMIT, Stage, lock};
use crate::{Check, Fields, Object, text};
use forebay::{
    AcquireOptions, Acquired, Cache, Code, Commit, Durability, Failure, Fetched, Job, RefreshOptions, Result,
    Source, Value, Version, Wait,
};
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A step whose fields were taken: calling it makes the call, and gives what it found.
pub(crate) type Run = Box<dyn FnOnce() -> Check<Object> + Send>;

/// The ops that may run in the background.
pub(crate) const IN_BACKGROUND: &[&str] =
    &["refresh", "get", "maybe_refresh_sync", "wait_for_change", "quota_resolve", "rotate"];

pub(crate) fn ms(number: i64) -> Check<Duration> {
    u64::try_from(number).map(Duration::from_millis).map_err(|_| format!("{number} ms is negative"))
}

pub(crate) fn opt_ms(fields: &mut Fields, name: &str) -> Check<Option<Duration>> {
    fields.opt_number(name)?.map(ms).transpose()
}

/// Takes an op's fields.
pub(crate) fn prepare(stage: &Arc<Stage>, op: &str, mut fields: Fields, place: &str) -> Check<Run> {
    let cache = fields.opt_text("cache")?.unwrap_or_else(|| "a".to_owned());
    let stage = Arc::clone(stage);
    match op {
        "open" => open(stage, cache, fields),
        "list" | "prune" | "close" => whole(stage, op, &cache, fields),
        "ticket" | "complete" | "unchanged" | "fail" | "renew" | "drop" => ticket(stage, op, fields),
        "refresh" | "get" | "maybe_refresh" | "maybe_refresh_sync" => {
            refreshing(stage, op, &cache, fields, place)
        }
        "read" | "load" | "put" | "mark_stale" | "remove" | "refresh_state" | "wait_for_change"
        | "acquire" | "why" | "idle" => plain(stage, op, &cache, fields),
        "quota_resolve" | "quota_read" | "quota_block" | "quota_clear" | "quotas" => {
            crate::quota::prepare(&stage, op, &cache, fields, place)
        }
        "rotate" | "rotate_current" | "rotate_reset" | "rotate_state" => {
            crate::credentials::prepare(&stage, op, fields, place)
        }
        _ => crate::stagehand::prepare(stage, op, fields),
    }
}

/// The step's source: the scenario's fields, and its own before them.
fn source(stage: &Stage, cache: &str, fields: &mut Fields) -> Check<Source> {
    for (name, json) in &stage.defaults {
        fields.0.entry(name).or_insert_with(|| json.clone());
    }
    let mut source = stage.cache(cache)?.source(&fields.text("key")?);
    for (name, set) in [
        ("ttl_ms", Source::ttl as fn(Source, Duration) -> Source),
        ("max_stale_ms", Source::max_stale),
        ("stale_if_error_ms", Source::stale_if_error),
        ("deadline_ms", Source::deadline),
    ] {
        if let Some(duration) = opt_ms(fields, name)? {
            source = set(source, duration);
        }
    }
    if let Some(identity) = fields.opt_text("identity")? {
        source = source.identity(&identity);
    }
    if let Some(pair) = fields.take("backoff_ms") {
        let at =
            |index: usize| pair[index].as_i64().ok_or("backoff_ms is [floor, cap]".to_owned()).and_then(ms);
        source = source.backoff(at(0)?, at(1)?);
    }
    Ok(source)
}

pub(crate) fn commit(fields: &mut Fields) -> Check<Commit> {
    let Some(json) = fields.take("commit") else { return Ok(Commit::default()) };
    let mut fields = Fields::of(&json)?;
    let commit = Commit {
        validator: fields.opt_text("validator")?,
        ttl: opt_ms(&mut fields, "ttl_ms")?,
        max_stale: opt_ms(&mut fields, "max_stale_ms")?,
        ..Commit::default()
    };
    fields.finish()?;
    Ok(commit)
}

pub(crate) fn code(fields: &mut Fields) -> Check<Code> {
    let name = fields.text("code")?;
    Code::from_text(&name).ok_or_else(|| format!("{name:?} is no code"))
}

/// What a call found: its result, or its failure.
pub(crate) fn found<T>(stage: &Stage, result: Result<T>, of: impl FnOnce(T) -> Object) -> Object {
    match result {
        Ok(value) => of(value),
        Err(error) => of_error(&error, stage),
    }
}

fn value(stage: &Stage, result: Result<Value>) -> Object {
    found(stage, result, |value| of_value(&value))
}

pub(crate) fn object<const N: usize>(pairs: [(&str, Json); N]) -> Object {
    pairs.into_iter().map(|(name, json)| (name.to_owned(), json)).collect()
}

fn open(stage: Arc<Stage>, name: String, mut fields: Fields) -> Check<Run> {
    let durability = fields.opt_text("durability")?;
    fields.finish()?;
    Ok(Box::new(move || {
        let mut options = forebay::CacheOptions::default().root(stage.root()).test_clock(stage.clock());
        if let Some(text) = durability {
            options = options.durability(Durability::parse(&text).map_err(crate::text)?);
        }
        Ok(found(&stage, options.open(), |cache| {
            lock(&stage.caches).insert(name, cache);
            Object::new()
        }))
    }))
}

fn whole(stage: Arc<Stage>, op: &str, cache: &str, mut fields: Fields) -> Check<Run> {
    let cache = stage.cache(cache)?;
    let op = op.to_owned();
    let keep = match op.as_str() {
        "prune" => fields.need("keep")?,
        _ => json!([]),
    };
    fields.finish()?;
    Ok(Box::new(move || {
        Ok(match op.as_str() {
            "list" => list(&stage, &cache),
            "prune" => prune(&stage, &cache, &keep),
            _ => found(&stage, cache.close(None), |()| Object::new()),
        })
    }))
}

fn list(stage: &Stage, cache: &Cache) -> Object {
    found(stage, cache.list(), |listed| {
        let entries = listed.iter().map(|one| {
            json!({
                "key": one.key.to_string(),
                "state": one.state.as_str(),
                "age_ms": one.age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
                "size": one.size,
                "phase": one.phase.as_str(),
                "validator": one.validator,
                "error": one.error.as_ref().map(|error| error.code().as_str()),
            })
        });
        object([("list", entries.collect())])
    })
}

fn prune(stage: &Stage, cache: &Cache, keep: &Json) -> Object {
    let keys = keep.as_array().into_iter().flatten().filter_map(Json::as_str).map(forebay::Key::parse);
    let pruned = keys.collect::<Result<Vec<_>>>().and_then(|keys| cache.prune(&keys));
    found(stage, pruned, |pruned| {
        let names = |keys: Vec<String>| json!(keys);
        object([
            ("removed_keys", names(pruned.removed.iter().map(ToString::to_string).collect())),
            ("skipped_keys", names(pruned.skipped.iter().map(|(key, _)| key.to_string()).collect())),
        ])
    })
}

fn ticket(stage: Arc<Stage>, op: &str, mut fields: Fields) -> Check<Run> {
    let name = fields.text("ticket")?;
    let ticket = stage.ticket(&name)?;
    let run: Run = match op {
        "ticket" => Box::new(move || {
            let previous = ticket.previous().map(|entry| crate::expect::hex(&entry.data));
            Ok(object([
                ("cancelled", json!(ticket.cancelled())),
                ("previous", json!(previous)),
                ("validator", json!(ticket.validator())),
                ("remaining_ms", json!(u64::try_from(ticket.remaining().as_millis()).unwrap_or(u64::MAX))),
            ]))
        }),
        "complete" => {
            let (data, commit) = (bytes(&fields.need("data")?)?, commit(&mut fields)?);
            Box::new(move || Ok(value(&stage, ticket.complete(data, &commit))))
        }
        "unchanged" => {
            let commit = commit(&mut fields)?;
            Box::new(move || Ok(value(&stage, ticket.unchanged(&commit))))
        }
        "fail" => {
            let failure = failure(&mut fields)?;
            Box::new(move || Ok(found(&stage, ticket.fail(&failure), |()| Object::new())))
        }
        "renew" => {
            let length = ms(fields.number("ms")?)?;
            Box::new(move || Ok(found(&stage, ticket.renew(length), |()| Object::new())))
        }
        _ => Box::new(move || {
            drop(ticket);
            lock(&stage.tickets).remove(&name);
            Ok(Object::new())
        }),
    };
    fields.finish()?;
    Ok(run)
}

fn plain(stage: Arc<Stage>, op: &str, cache: &str, mut fields: Fields) -> Check<Run> {
    let source = source(&stage, cache, &mut fields)?;
    let run: Run = match op {
        "read" => Box::new(move || Ok(value(&stage, source.read()))),
        "load" => {
            let name = fields.text("reader")?;
            Box::new(move || {
                let mut readers = lock(&stage.readers);
                Ok(value(&stage, readers.entry(name).or_insert_with(|| source.reader()).value()))
            })
        }
        "put" => {
            let (data, commit) = (bytes(&fields.need("data")?)?, commit(&mut fields)?);
            Box::new(move || Ok(value(&stage, source.put(data, &commit))))
        }
        "mark_stale" => Box::new(move || Ok(found(&stage, source.mark_stale(), |()| Object::new()))),
        "remove" => Box::new(move || {
            Ok(found(&stage, source.remove(), |removed| object([("removed", json!(removed))])))
        }),
        "refresh_state" => {
            Box::new(move || Ok(found(&stage, source.refresh_state(), |state| of_state(&state, &stage))))
        }
        "wait_for_change" => {
            let since = version(&stage, &mut fields)?.ok_or("it has no \"since\"")?;
            let timeout = opt_ms(&mut fields, "timeout_ms")?;
            Box::new(move || {
                let changed = source.wait_for_change(&since, timeout, None);
                Ok(found(&stage, changed, |version| object([("changed", json!(version.is_some()))])))
            })
        }
        "acquire" => acquire(stage, source, &mut fields)?,
        "why" => Box::new(move || {
            Ok(found(&stage, source.why(), |why| {
                object([
                    ("state", json!(why.state.as_str())),
                    ("phase", json!(why.phase.as_str())),
                    ("says", json!(why.text)),
                ])
            }))
        }),
        _ => Box::new(move || idle(&source)),
    };
    fields.finish()?;
    Ok(run)
}

fn version(stage: &Stage, fields: &mut Fields) -> Check<Option<Version>> {
    let Some(name) = fields.opt_text("since")? else { return Ok(None) };
    Version::parse(&stage.saved(&name)?).map(Some).map_err(text)
}

fn acquire(stage: Arc<Stage>, source: Source, fields: &mut Fields) -> Check<Run> {
    let name = fields.text("ticket")?;
    let options = AcquireOptions {
        unless_fresh: fields.flag("unless_fresh")?,
        unless_changed_since: version(&stage, fields)?,
        override_gate: fields.flag("override_gate")?,
        force: fields.flag("force")?,
        ..AcquireOptions::default()
    };
    Ok(Box::new(move || {
        let (outcome, mut object) = match source.acquire(&options) {
            Ok(Acquired::Ticket(ticket)) => {
                lock(&stage.tickets).insert(name, ticket);
                ("ticket", Object::new())
            }
            Ok(Acquired::InFlight(state)) => ("in_flight", of_state(&state, &stage)),
            Ok(Acquired::Fresh(value)) => ("fresh", of_value(&value)),
            Ok(Acquired::Gated(state)) => ("gated", of_state(&state, &stage)),
            Err(error) => return Ok(of_error(&error, &stage)),
        };
        object.insert("outcome".to_owned(), json!(outcome));
        Ok(object)
    }))
}

/// Looks until no refresh runs, each time woken by a change or after 25 ms.
fn idle(source: &Source) -> Check<Object> {
    let end = Instant::now() + LIMIT;
    while source.refresh_state().map_err(text)?.phase == forebay::Phase::Running {
        if Instant::now() > end {
            return Err("a refresh is still running".to_owned());
        }
        let since = source.read().map_err(text)?.version();
        source.wait_for_change(&since, Some(Duration::from_millis(25)), None).map_err(text)?;
    }
    Ok(Object::new())
}

fn refreshing(stage: Arc<Stage>, op: &str, cache: &str, mut fields: Fields, place: &str) -> Check<Run> {
    let source = source(&stage, cache, &mut fields)?;
    let (refresher, calls) = refresher(&stage, &fields.need("fn")?, place)?;
    let min_fresh = fields.opt_number("min_fresh_in_ms")?;
    let override_gate = fields.flag("override_gate")?;
    let wait = opt_ms(&mut fields, "wait_ms")?;
    if op != "refresh" && (min_fresh.is_some() || override_gate) || op != "get" && wait.is_some() {
        return Err(format!("a field does not belong to {op}"));
    }
    fields.finish()?;
    let op = op.to_owned();
    Ok(Box::new(move || {
        let mut object = match op.as_str() {
            "refresh" => {
                let shifted = |ms: i64| {
                    let by = Duration::from_millis(ms.unsigned_abs());
                    if ms < 0 { stage.now() - by } else { stage.now() + by }
                };
                let options = RefreshOptions { min_fresh_at: min_fresh.map(shifted), override_gate };
                value(&stage, source.refresh_with(options, refresher))
            }
            "get" => value(&stage, source.get(refresher, wait.map_or(Wait::UntilDone, Wait::AtMost))),
            "maybe_refresh_sync" => value(&stage, source.maybe_refresh_sync(refresher)),
            _ => found(&stage, source.maybe_refresh(refresher), |started| {
                self::object([("outcome", json!(started.as_str()))])
            }),
        };
        object.insert("ran".to_owned(), json!(!lock(&calls).names.is_empty()));
        Ok(object)
    }))
}

type Refresher = Box<dyn FnOnce(&Job<'_>) -> std::result::Result<Fetched, Failure> + Send>;

/// A refresher as the scenario describes it, and whether it was called.
fn refresher(stage: &Arc<Stage>, spec: &Json, place: &str) -> Check<(Refresher, Arc<Mutex<Calls>>)> {
    let calls = Arc::<Mutex<Calls>>::default();
    let callee = Callee::of(stage, "fn", spec, place, &calls)?;
    let refresher: Refresher =
        Box::new(move |_: &Job<'_>| callee.call(Object::new()).map(Option::unwrap_or_default));
    Ok((refresher, calls))
}
