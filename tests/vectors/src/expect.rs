//! What a step found, as JSON, and whether that is what its scenario expects. Bytes are compared as hex text.

use crate::stage::{Stage, now_ms_between};
use crate::{Check, Fields, Object, text};
use forebay::{Error, RefreshState, Value};
use serde_json::{Value as Json, json};

/// The bytes that a scenario writes as a text, as hex, or as a fill.
pub(crate) fn bytes(json: &Json) -> Check<Vec<u8>> {
    if let Some(text) = json.as_str() {
        return Ok(text.as_bytes().to_vec());
    }
    let mut fields = Fields::of(json)?;
    let out = match (fields.opt_text("hex")?, fields.take("fill")) {
        (Some(hex), None) if hex.len() % 2 == 0 => (0..hex.len() / 2)
            .map(|at| hex.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect::<Option<Vec<u8>>>()
            .ok_or_else(|| format!("{hex:?} is not hex"))?,
        (None, Some(fill)) => {
            let byte = fill[0].as_u64().and_then(|byte| u8::try_from(byte).ok());
            let count = fill[1].as_u64().and_then(|count| usize::try_from(count).ok());
            vec![byte.ok_or("not a byte")?; count.ok_or("not a count")?]
        }
        _ => return Err(format!("{json} is not bytes")),
    };
    fields.finish()?;
    Ok(out)
}

/// Bytes as they are compared and shown.
pub(crate) fn hex(bytes: &[u8]) -> Json {
    Json::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn object(json: Json) -> Object {
    match json {
        Json::Object(object) => object,
        _ => Object::new(),
    }
}

/// What a value shows.
pub(crate) fn of_value(value: &Value) -> Object {
    object(json!({
        "data": value.data().map(hex),
        "state": value.state.as_str(),
        "how": value.how.map(|how| how.as_str()),
        "phase": value.phase.map(|phase| phase.as_str()),
        "age_ms": value.age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        "validator": value.validator(),
        "error": value.error.as_ref().map(|error| error.code().as_str()),
        "says": value.error.as_ref().map(text),
        "version": value.version().to_string(),
    }))
}

/// What the state of a refresh shows.
pub(crate) fn of_state(state: &RefreshState, stage: &Stage) -> Object {
    let now = stage.now();
    object(json!({
        "phase": state.phase.as_str(),
        "in_flight": state.in_flight,
        "failed": state.failed,
        "error": state.last_error.as_ref().map(|error| error.code().as_str()),
        "says": state.last_error.as_ref().map(text),
        "attempts": state.attempts,
        "declared": state.declared,
        "retry_in_ms": state.retry_at.map(|at| now_ms_between(now, at)),
        "deadline_in_ms": state.deadline.map(|at| now_ms_between(now, at)),
        "holder": state.holder.map(|pid| if pid == std::process::id() { "self" } else { "other" }),
    }))
}

/// What a failed call shows.
pub(crate) fn of_error(error: &Error, stage: &Stage) -> Object {
    object(json!({
        "fails": error.code().as_str(),
        "says": error.to_string(),
        "retry_in_ms": error.retry_at().map(|at| now_ms_between(stage.now(), at)),
    }))
}

/// Whether each expectation holds, and nothing failed that was not expected to.
pub(crate) fn compare(op: &str, expect: &Object, found: &Object, stage: &Stage) -> Check {
    if found.contains_key("fails") && !expect.contains_key("fails") {
        return Err(format!("it failed: {}", shown(found)));
    }
    if op == "acquire" && !expect.contains_key("outcome") && !found.contains_key("fails") {
        matches("outcome", &json!("ticket"), found, stage)?;
    }
    expect.iter().try_for_each(|(name, want)| matches(name, want, found, stage))
}

fn matches(name: &str, want: &Json, found: &Object, stage: &Stage) -> Check {
    let wrong = || Err(format!("expected {name} {want}, found {}", shown(found)));
    if let "same_version" | "other_version" = name {
        let saved = stage.saved(want.as_str().ok_or("not a name")?)?;
        let same = found.get("version").and_then(Json::as_str) == Some(saved.as_str());
        return if same == (name == "same_version") { Ok(()) } else { wrong() };
    }
    let have = match (name, found.get(shown_by(name))) {
        (_, Some(have)) => have,
        // Nothing is said at all.
        ("silent", None) => return Ok(()),
        (_, None) => return wrong(),
    };
    let holds = match name {
        "data" | "previous" | "credential" => match want {
            Json::Null => have.is_null(),
            want => *have == hex(&bytes(want)?),
        },
        "says" => have.as_str().is_some_and(|have| have.contains(want.as_str().unwrap_or("\0"))),
        "silent" => !have.as_str().is_some_and(|have| have.contains(want.as_str().unwrap_or(""))),
        "how" | "outcome" | "fails" | "state" => match want {
            Json::Array(any) => any.contains(have),
            want => want == have,
        },
        "list" => return entries(want, have, stage),
        "removed_keys" | "skipped_keys" | "keys" => sorted(want) == sorted(have),
        "json" => subset(want, have),
        "lacks" => strings(want).iter().all(|field| have.get(field).is_none()),
        _ => number_or_equal(want, have),
    };
    if holds { Ok(()) } else { wrong() }
}

/// The name among what was found that an expectation is about.
fn shown_by(name: &str) -> &str {
    match name {
        "lacks" => "json",
        "silent" => "says",
        name => name,
    }
}

fn number_or_equal(want: &Json, have: &Json) -> bool {
    match (want.as_array().map(Vec::as_slice), have.as_i64()) {
        (Some([low, high]), Some(have)) if low.is_i64() || low.is_u64() => {
            low.as_i64().is_some_and(|low| low <= have) && high.as_i64().is_some_and(|high| have <= high)
        }
        _ => want == have,
    }
}

fn entries(want: &Json, have: &Json, stage: &Stage) -> Check {
    let (want, have) = (want.as_array().ok_or("not a list")?, have.as_array().ok_or("nothing is listed")?);
    if want.len() != have.len() {
        return Err(format!("expected {} listed, found {have:?}", want.len()));
    }
    for want in want {
        let mut want = Fields::of(want)?;
        let key = want.need("key")?;
        let found = have
            .iter()
            .find(|have| have["key"] == key)
            .ok_or_else(|| format!("{key} is not among {have:?}"))?;
        compare("list", &want.0, &object(found.clone()), stage)?;
    }
    Ok(())
}

/// Whether `have` has what `want` has, objects within likewise.
fn subset(want: &Json, have: &Json) -> bool {
    match (want, have) {
        (Json::Object(want), Json::Object(have)) => {
            want.iter().all(|(name, want)| have.get(name).is_some_and(|have| subset(want, have)))
        }
        _ => want == have,
    }
}

fn strings(json: &Json) -> Vec<&str> {
    json.as_array().into_iter().flatten().filter_map(Json::as_str).collect()
}

fn sorted(json: &Json) -> Vec<&str> {
    let mut all = strings(json);
    all.sort_unstable();
    all
}

/// What was found, with long bytes cut.
fn shown(found: &Object) -> String {
    let cut = |json: &Json| match json.as_str() {
        Some(text) if text.len() > 200 => {
            json!(format!("{}… ({} characters)", text.chars().take(60).collect::<String>(), text.len()))
        }
        _ => json.clone(),
    };
    Json::Object(found.iter().map(|(name, json)| (name.clone(), cut(json))).collect()).to_string()
}
