//! The ops on quotas. Like those on sources, each takes its fields before anything runs.

use crate::callee::{Callee, Calls};
use crate::expect::{hex, of_error};
use crate::ops::{Run, code, found, ms, object, opt_ms};
use crate::stage::{Stage, lock, now_ms_between};
use crate::{Check, Fields, Object, text};
use forebay::{Answer, Failure, Quota, QuotaJob, QuotaState, Wait};
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Takes an op's fields.
pub(crate) fn prepare(
    stage: &Arc<Stage>,
    op: &str,
    cache: &str,
    mut fields: Fields,
    place: &str,
) -> Check<Run> {
    if op == "quotas" {
        let (stage, cache) = (Arc::clone(stage), stage.cache(cache)?);
        fields.finish()?;
        return Ok(Box::new(move || {
            Ok(found(&stage, cache.quotas(), |keys| {
                object([("keys", keys.iter().map(ToString::to_string).collect())])
            }))
        }));
    }
    let quota = quota(stage, cache, &mut fields)?;
    let run = match op {
        "quota_resolve" => resolve(stage, quota, &mut fields, place)?,
        "quota_block" => block(stage, quota, &mut fields)?,
        _ => {
            let (stage, clears) = (Arc::clone(stage), op == "quota_clear");
            Box::new(move || {
                Ok(if clears {
                    found(&stage, quota.clear(), |cleared| object([("cleared", json!(cleared))]))
                } else {
                    found(&stage, quota.read(), |state| of_state(&state, &stage))
                })
            })
        }
    };
    fields.finish()?;
    Ok(run)
}

/// The step's quota: the scenario's fields, and its own before them.
fn quota(stage: &Stage, cache: &str, fields: &mut Fields) -> Check<Quota> {
    for (name, json) in &stage.quota_defaults {
        fields.0.entry(name).or_insert_with(|| json.clone());
    }
    let name = fields.opt_text("name")?.unwrap_or_else(|| "usage".to_owned());
    let mut quota = stage.cache(cache)?.quota(&name);
    for (name, set) in [
        ("ttl_ms", Quota::ttl as fn(Quota, Duration) -> Quota),
        ("error_ttl_ms", Quota::error_ttl),
        ("rate_limited_ms", Quota::rate_limited),
        ("unauthorized_ms", Quota::unauthorized),
        ("timeout_ms", Quota::timeout),
        ("max_stale_ms", Quota::max_stale),
    ] {
        if let Some(duration) = opt_ms(fields, name)? {
            quota = set(quota, duration);
        }
    }
    if let Some(wait) = opt_ms(fields, "wait_ms")? {
        quota = quota.wait(Wait::AtMost(wait));
    }
    if let Some(identity) = fields.opt_text("identity")? {
        quota = quota.identity(&identity);
    }
    if let Some(pair) = fields.take("backoff_ms") {
        let at =
            |index: usize| pair[index].as_i64().ok_or("backoff_ms is [floor, cap]".to_owned()).and_then(ms);
        quota = quota.backoff(at(0)?, at(1)?);
    }
    Ok(quota)
}

fn resolve(stage: &Arc<Stage>, quota: Quota, fields: &mut Fields, place: &str) -> Check<Run> {
    let calls = Arc::<Mutex<Calls>>::default();
    let callee = |name, spec: &Json| Callee::of(stage, name, spec, place, &calls);
    let fetch = callee("fetch", &fields.need("fetch")?)?;
    let mut optional = |name| fields.take(name).map(|spec| callee(name, &spec)).transpose();
    let (credentials, fallback) = (optional("credentials")?, optional("fallback")?);
    let stage = Arc::clone(stage);
    Ok(Box::new(move || {
        let answer = quota.resolve(
            |job: &QuotaJob| fetch.call(of_job(job)).map(Option::unwrap_or_default),
            || match credentials {
                None => Ok(Box::default()),
                Some(callee) => callee.bytes(Object::new()).map(Option::unwrap_or_default),
            },
            || match fallback {
                None => Ok::<_, Failure>(None),
                Some(callee) => callee.bytes(Object::new()),
            },
        );
        let mut object = found(&stage, answer, |answer| of_answer(&answer, &stage));
        lock(&calls).tell(&mut object);
        Ok(object)
    }))
}

fn block(stage: &Arc<Stage>, quota: Quota, fields: &mut Fields) -> Check<Run> {
    let (wait, code, message) = (ms(fields.number("for_ms")?)?, code(fields)?, fields.text("message")?);
    let stage = Arc::clone(stage);
    Ok(Box::new(move || {
        Ok(match quota.block(wait, code, &message) {
            Ok(until) => object([("retry_in_ms", json!(now_ms_between(stage.now(), until)))]),
            Err(error) => of_error(&error, &stage),
        })
    }))
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What the fetch is given.
fn of_job(job: &QuotaJob) -> Object {
    object([
        ("credential", hex(job.credential())),
        ("previous", json!(job.previous().map(|text| hex(text.as_bytes())))),
        ("validator", json!(job.validator())),
        ("remaining_ms", json!(whole_ms(job.remaining()))),
    ])
}

/// What an answer shows.
fn of_answer(answer: &Answer, stage: &Stage) -> Object {
    let in_ms = |at| now_ms_between(stage.now(), at);
    object([
        ("data", hex(answer.data.as_bytes())),
        ("json", serde_json::from_str(&answer.data).unwrap_or_default()),
        ("state", json!(answer.state.as_str())),
        ("how", json!(answer.how.as_str())),
        ("age_ms", json!(whole_ms(answer.age))),
        ("cached_in_ms", json!(answer.cached_at.map(in_ms))),
        ("retry_in_ms", json!(answer.retry_at.map(in_ms))),
        ("error", json!(answer.error.as_ref().map(|error| error.code().as_str()))),
        ("says", json!(answer.error.as_ref().map(text))),
    ])
}

/// What is recorded of a quota.
fn of_state(state: &QuotaState, stage: &Stage) -> Object {
    let mut found = match &state.answer {
        Some(answer) => of_answer(answer, stage),
        None => object([("json", Json::Null), ("data", Json::Null)]),
    };
    let blocked = state.blocked.as_ref();
    let own = std::process::id();
    found.extend(object([
        ("recorded_error", json!(state.recorded_error.as_ref().map(|error| error.code().as_str()))),
        ("phase", json!(state.phase.as_str())),
        ("holder", json!(state.holder.map(|pid| if pid == own { "self" } else { "other" }))),
        ("retry_in_ms", json!(blocked.map(|blocked| now_ms_between(stage.now(), blocked.until)))),
        ("error", json!(blocked.and_then(|blocked| blocked.error).map(|code| code.as_str()))),
        ("says", json!(blocked.map(|blocked| blocked.message.as_str()))),
    ]));
    if let Some(blocked) = blocked {
        found.insert("declared".to_owned(), json!(blocked.declared));
        found.insert("attempts".to_owned(), json!(blocked.attempts));
    }
    found
}
