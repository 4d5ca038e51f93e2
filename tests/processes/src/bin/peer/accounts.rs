//! What the Rust peer does with quotas and rotated credentials.

use super::{Peer, data, epoch_ms, hex};
use forebay::{Answer, Code, Error, Failure, Fetched, Quota, Result, Version};
use serde_json::{Value as Json, json};
use std::time::Duration;

pub(crate) fn answer(peer: &Peer, request: &Json) -> Result<Json> {
    let key = request["key"].as_str().unwrap_or_default();
    match request["op"].as_str().unwrap_or_default() {
        "quota_resolve" => resolve(&quota(peer, request), request),
        "quota_read" => look(&quota(peer, request)),
        "quota_block" => {
            let wait = Duration::from_millis(request["for_ms"].as_u64().unwrap_or(0));
            let message = request["message"].as_str().unwrap_or_default();
            let until = quota(peer, request).block(wait, code(request), message)?;
            Ok(json!({"until_ms": epoch_ms(until)}))
        }
        "quota_clear" => quota(peer, request).clear().map(|cleared| json!({ "cleared": cleared })),
        "quotas" => {
            let keys: Vec<String> = peer.cache.quotas()?.iter().map(ToString::to_string).collect();
            Ok(json!({ "keys": keys }))
        }
        "rotate" => rotate(peer, key, request),
        "rotate_current" => Ok(match peer.credentials.current(key)? {
            None => json!({"hex": null, "version": null}),
            Some(found) => json!({"hex": hex(found.data()), "version": found.version().to_string()}),
        }),
        "rotate_reset" => {
            let data = if request["hex"].is_null() { None } else { Some(data(request)?) };
            let version = peer.credentials.reset(key, data.as_deref())?;
            Ok(json!({"version": version.map(|version| version.to_string())}))
        }
        "rotate_state" => {
            let state = peer.credentials.state(key)?;
            Ok(json!({
                "phase": state.phase.as_str(),
                "ambiguous_since_ms": state.ambiguous_since.map(epoch_ms),
                "error": state.last_error.as_ref().map(|error| error.code().as_str()),
                "version": state.version.to_string(),
            }))
        }
        other => Err(Error::new(Code::Invalid, format!("a peer has no op {other:?}"))),
    }
}

fn quota(peer: &Peer, request: &Json) -> Quota {
    let quota = peer.cache.quota(request["name"].as_str().unwrap_or_default());
    match request["identity"].as_str() {
        Some(identity) => quota.identity(identity),
        None => quota,
    }
}

fn code(request: &Json) -> Code {
    request["code"].as_str().and_then(Code::from_text).unwrap_or(Code::RefreshFailed)
}

fn resolve(quota: &Quota, request: &Json) -> Result<Json> {
    let secret = request["credential"].as_str().unwrap_or_default();
    let answer = quota.resolve(
        |_| match request["json"].as_str() {
            Some(json) => Ok(Fetched::new(json)),
            None => {
                let status = request["status"].as_u64().and_then(|status| u16::try_from(status).ok());
                Err(Failure::from_status(status.unwrap_or(500), request["retry_after"].as_str()))
            }
        },
        || Ok::<_, Failure>(secret),
        || Ok::<_, Failure>(None::<Vec<u8>>),
    )?;
    Ok(json!({
        "json": &*answer.data,
        "how": answer.how.as_str(),
        "error": error(&answer),
        "retry_at_ms": answer.retry_at.map(epoch_ms),
    }))
}

fn error(answer: &Answer) -> Option<&'static str> {
    answer.error.as_ref().map(|error| error.code().as_str())
}

fn look(quota: &Quota) -> Result<Json> {
    let state = quota.read()?;
    let (answer, blocked) = (state.answer.as_ref(), state.blocked.as_ref());
    Ok(json!({
        "json": answer.map(|answer| &*answer.data),
        "state": answer.map(|answer| answer.state.as_str()),
        "cached_at_ms": answer.and_then(|answer| answer.cached_at).map(epoch_ms),
        "blocked_until_ms": blocked.map(|blocked| epoch_ms(blocked.until)),
        "error": blocked.and_then(|blocked| blocked.error).map(Code::as_str),
        "message": blocked.map(|blocked| blocked.message.as_str()),
        "declared": blocked.map(|blocked| blocked.declared),
        "attempts": blocked.map(|blocked| blocked.attempts),
    }))
}

fn rotate(peer: &Peer, key: &str, request: &Json) -> Result<Json> {
    let seen = request["seen"].as_str().map(Version::parse).transpose()?;
    let mut given = None;
    let rotated = peer.credentials.rotate(key, seen.as_ref(), |job| {
        given = job.previous().map(hex);
        if request["hex"].is_null() {
            let message = request["message"].as_str().unwrap_or_default();
            return Err(Failure::new(code(request), message));
        }
        data(request).map_err(Failure::from)
    })?;
    Ok(json!({
        "hex": hex(rotated.data()),
        "how": rotated.how().as_str(),
        "version": rotated.version().to_string(),
        "previous": given,
    }))
}
