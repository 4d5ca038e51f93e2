//! The functions that a scenario hands to a call: refreshers, and the callees of a quota and of a rotation. Each
//! first runs steps and waits where its scenario says so, then ends as it is written. It knows nothing of the call
//! that it is handed to.

use crate::expect::bytes;
use crate::ops::{code, commit, ms};
use crate::stage::{Hold, Stage, lock};
use crate::{Check, Fields, Object, run_steps};
use forebay::{Failure, Fetched};
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};

/// What was called so far, and what it was given.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) names: Vec<&'static str>,
    pub(crate) given: Object,
}

impl Calls {
    /// What is said of them among the results of a call.
    pub(crate) fn tell(&self, object: &mut Object) {
        object.insert("called".to_owned(), json!(self.names));
        object.insert("ran".to_owned(), json!(!self.names.is_empty()));
        object.extend(self.given.clone());
    }
}

/// How a callee ends.
pub(crate) enum Ending {
    Fetched(Fetched),
    /// Of a fallback: it has nothing.
    Nothing,
    Failure(Failure),
    Panic(String),
}

/// A function as its scenario describes it.
pub(crate) struct Callee {
    name: &'static str,
    stage: Arc<Stage>,
    place: String,
    during: Vec<Json>,
    hold: Option<Arc<Hold>>,
    ending: Ending,
    calls: Arc<Mutex<Calls>>,
}

impl Callee {
    /// `name` is what it is called among the calls, and decides how it may end.
    pub(crate) fn of(
        stage: &Arc<Stage>,
        name: &'static str,
        spec: &Json,
        place: &str,
        calls: &Arc<Mutex<Calls>>,
    ) -> Check<Callee> {
        let mut fields = Fields::of(spec)?;
        let during = match fields.take("during") {
            Some(steps) => steps.as_array().cloned().ok_or("\"during\" is not a list")?,
            None => Vec::new(),
        };
        let hold = fields.opt_text("hold")?.map(|name| stage.hold(&name));
        let ending = ending(name, &mut fields)?;
        fields.finish()?;
        let (stage, place, calls) = (Arc::clone(stage), format!("{place}.during."), Arc::clone(calls));
        Ok(Callee { name, stage, place, during, hold, ending, calls })
    }

    /// Runs it, having noted what it was given; what it brings, if it brings anything.
    pub(crate) fn call(self, given: Object) -> Result<Option<Fetched>, Failure> {
        {
            let mut calls = lock(&self.calls);
            calls.names.push(self.name);
            calls.given.extend(given);
        }
        let passed = run_steps(&self.stage, &self.during, &self.place)
            .and_then(|()| self.hold.map_or(Ok(()), |hold| hold.pass()));
        if let Err(why) = passed {
            self.stage.fail(why);
        }
        match self.ending {
            Ending::Fetched(fetched) => Ok(Some(fetched)),
            Ending::Nothing => Ok(None),
            Ending::Failure(failure) => Err(failure),
            Ending::Panic(text) => panicking(text),
        }
    }

    /// The same of a callee that brings bytes alone.
    pub(crate) fn bytes(self, given: Object) -> Result<Option<Box<[u8]>>, Failure> {
        self.call(given).map(|fetched| fetched.and_then(|fetched| fetched.data))
    }
}

#[allow(clippy::panic, reason = "a callee that panics is what its scenario is about")]
fn panicking(text: String) -> ! {
    std::panic::panic_any(text)
}

/// A failure as it is written.
pub(crate) fn failure(fields: &mut Fields) -> Check<Failure> {
    let failure = Failure::new(code(fields)?, fields.text("message")?);
    Ok(match fields.opt_number("retry_after_ms")?.map(ms).transpose()? {
        Some(after) => failure.retry_after(after),
        None => failure,
    })
}

fn ending(name: &str, fields: &mut Fields) -> Check<Ending> {
    if let Some(failure) = fields.take("fails") {
        let mut fields = Fields::of(&failure)?;
        let mut failure = self::failure(&mut fields)?;
        if name == "exchange" && fields.flag("not_sent")? {
            failure = failure.not_sent();
        }
        fields.finish()?;
        return Ok(Ending::Failure(failure));
    }
    if let Some(text) = fields.opt_text("throws")? {
        return Ok(Ending::Panic(text));
    }
    if name == "fetch"
        && let Some(status) = fields.opt_number("status")?
    {
        let status = u16::try_from(status).map_err(|_| format!("{status} is no status"))?;
        let after = fields.opt_text("retry_after")?;
        return Ok(Ending::Failure(Failure::from_status(status, after.as_deref())));
    }
    let may_tell_more = matches!(name, "fn" | "fetch");
    let commit = if may_tell_more { commit(fields)? } else { forebay::Commit::default() };
    match (fields.take("returns"), may_tell_more && fields.flag("unchanged")?) {
        (Some(Json::Null), false) if name == "fallback" => Ok(Ending::Nothing),
        (Some(data), false) => Ok(Ending::Fetched(Fetched { data: Some(bytes(&data)?.into()), commit })),
        (None, true) => Ok(Ending::Fetched(Fetched { data: None, commit })),
        _ => Err(format!("{name:?} has to say one of returns, unchanged, fails, throws, status")),
    }
}
