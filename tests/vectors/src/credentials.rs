//! The ops on rotated credentials. Like those on sources, each takes its fields before anything runs.

use crate::callee::{Callee, Calls};
use crate::expect::{bytes, hex};
use crate::ops::{Run, found, object};
use crate::stage::{Stage, lock, now_ms_between};
use crate::{Check, Fields, Object, text};
use forebay::{Credential, Credentials, Exchange, RotateState, Version};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// Takes an op's fields.
pub(crate) fn prepare(stage: &Arc<Stage>, op: &str, mut fields: Fields, place: &str) -> Check<Run> {
    let creds = stage.creds(&fields.opt_text("creds")?.unwrap_or_else(|| "a".to_owned()))?;
    let key = fields.text("key")?;
    let run = match op {
        "rotate" => rotate(stage, creds, key, &mut fields, place)?,
        "rotate_current" => {
            let stage = Arc::clone(stage);
            Box::new(move || {
                Ok(found(&stage, creds.current(&key), |stored| match stored {
                    Some(credential) => of_credential(&credential, &stage),
                    None => object([("data", json!(null))]),
                }))
            })
        }
        "rotate_reset" => {
            let data = fields.take("data").map(|data| bytes(&data)).transpose()?;
            let stage = Arc::clone(stage);
            Box::new(move || {
                Ok(found(&stage, creds.reset(&key, data.as_deref()), |version| {
                    object([("version", json!(version.map(|version| version.to_string())))])
                }))
            })
        }
        _ => {
            let stage = Arc::clone(stage);
            Box::new(move || Ok(found(&stage, creds.state(&key), |state| of_state(&state, &stage))))
        }
    };
    fields.finish()?;
    Ok(run)
}

fn rotate(
    stage: &Arc<Stage>,
    creds: Arc<Credentials>,
    key: String,
    fields: &mut Fields,
    place: &str,
) -> Check<Run> {
    let calls = Arc::<Mutex<Calls>>::default();
    let callee = Callee::of(stage, "exchange", &fields.need("exchange")?, place, &calls)?;
    let seen = match fields.opt_text("seen")? {
        Some(name) => Some(Version::parse(&stage.saved(&name)?).map_err(text)?),
        None => None,
    };
    let stage = Arc::clone(stage);
    Ok(Box::new(move || {
        let exchange = |job: &Exchange| callee.bytes(of_job(job)).map(Option::unwrap_or_default);
        let rotated = creds.rotate(&key, seen.as_ref(), exchange);
        let mut object = found(&stage, rotated, |credential| of_credential(&credential, &stage));
        lock(&calls).tell(&mut object);
        Ok(object)
    }))
}

/// What the exchange is given.
fn of_job(job: &Exchange) -> Object {
    object([
        ("previous", json!(job.previous().map(hex))),
        ("remaining_ms", json!(u64::try_from(job.remaining().as_millis()).unwrap_or(u64::MAX))),
    ])
}

/// What a credential shows.
fn of_credential(credential: &Credential, stage: &Stage) -> Object {
    object([
        ("data", hex(credential.data())),
        ("how", json!(credential.how().as_str())),
        ("age_ms", json!(now_ms_between(credential.stored_at(), stage.now()))),
        ("error", json!(credential.error().map(|error| error.code().as_str()))),
        ("says", json!(credential.error().map(text))),
        ("version", json!(credential.version().to_string())),
    ])
}

/// What the state of a rotation shows.
fn of_state(state: &RotateState, stage: &Stage) -> Object {
    let now = stage.now();
    object([
        ("phase", json!(state.phase.as_str())),
        ("ambiguous_for_ms", json!(state.ambiguous_since.map(|since| now_ms_between(since, now)))),
        ("retry_in_ms", json!(state.retry_at.map(|at| now_ms_between(now, at)))),
        ("error", json!(state.last_error.as_ref().map(|error| error.code().as_str()))),
        ("says", json!(state.last_error.as_ref().map(text))),
        ("version", json!(state.version.to_string())),
    ])
}
