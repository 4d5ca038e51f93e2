//! What must hold of a single-use credential and of a quota record, whatever became of the process that changed
//! them: judged from what that process had answered, and by what the next one finds and can do.

use super::open;
use forebay::{Answer, Cache, Code, Credentials, Failure, Fetched, How, Phase, RotateStep, Step};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::time::Duration;

const KEY: &str = "login/k";
/// The text of a credential.
type Token = Option<String>;

/// What stands in the state root before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Before {
    Nothing,
    /// The credential `t0`.
    Token,
    /// The same, and an exchange of it was begun by one who is dead.
    Ambiguous,
}

/// What a process does with the credential.
pub struct Rotating {
    pub name: &'static str,
    pub before: Before,
    pub script: &'static [&'static str],
    /// What may be stored, in the order in which it came to be; an empty text: nothing.
    pub tokens: &'static [&'static str],
    /// Whether the server refuses: then the credential is as it was, and may be used again.
    pub refused: bool,
}

const fn rotating(
    name: &'static str,
    before: Before,
    script: &'static [&'static str],
    tokens: &'static [&'static str],
) -> Rotating {
    Rotating { name, before, script, tokens, refused: false }
}

pub const ROTATING: [Rotating; 8] = [
    rotating(
        "rotate",
        Before::Token,
        &["current login/k", "rotate login/k seen", "exchanged t1"],
        &["t0", "t1"],
    ),
    rotating(
        "rotate twice",
        Before::Token,
        &["current login/k", "rotate login/k seen", "exchanged t1", "rotate login/k seen", "exchanged t2"],
        &["t0", "t1", "t2"],
    ),
    rotating("rotate the first", Before::Nothing, &["rotate login/k", "exchanged t1"], &["", "t1"]),
    Rotating {
        name: "refused",
        before: Before::Token,
        script: &["current login/k", "rotate login/k seen", "exchange_fails unauthorized no"],
        tokens: &["t0"],
        refused: true,
    },
    rotating(
        "no answer",
        Before::Token,
        &["current login/k", "rotate login/k seen", "exchange_fails timed_out none"],
        &["t0"],
    ),
    rotating("reset", Before::Token, &["reset login/k t9"], &["t0", "t9"]),
    rotating("reset of an ambiguous one", Before::Ambiguous, &["reset login/k t9"], &["t0", "t9"]),
    rotating("forget", Before::Token, &["forget login/k"], &["t0", ""]),
];

/// What the process had told.
#[derive(Default)]
struct Told {
    /// The credentials whose exchange has begun.
    used: Vec<Token>,
    /// What it was told to be stored last.
    acknowledged: Option<Token>,
}

impl Told {
    fn by(case: &Rotating, answers: &[String]) -> Told {
        let mut told = Told::default();
        if case.before == Before::Ambiguous {
            told.used.push(Some("t0".to_owned()));
        }
        for answer in answers {
            let answer: Json = serde_json::from_str(answer).unwrap();
            let text = |field: &str| answer[field].as_str().map(str::to_owned);
            if answer["step"] == "exchange" {
                told.used.push(text("previous"));
            }
            if matches!(answer["how"].as_str(), Some("ran" | "reset")) {
                told.acknowledged = Some(text("data"));
            }
        }
        told
    }
}

fn state_of(root: &Path) -> PathBuf {
    root.with_file_name("state")
}

/// Prepares what is there before; `end` runs the actor with a script and ends it.
pub fn prepare(case: &Rotating, root: &Path, end: impl FnOnce(&[&str])) {
    if case.before == Before::Nothing {
        return;
    }
    Credentials::open(state_of(root)).unwrap().reset(KEY, Some(b"t0")).unwrap();
    if case.before == Before::Ambiguous {
        end(&["current login/k", "rotate login/k seen"]);
    }
}

/// What the next process finds, and whether it gets on.
pub fn judge_rotating(case: &Rotating, root: &Path, answers: &[String]) -> Result<(), String> {
    let told = Told::by(case, answers);
    let credentials = Credentials::open(state_of(root)).map_err(|error| error.to_string())?;
    let place = |token: &Token| {
        let text = token.as_deref().unwrap_or_default();
        case.tokens.iter().position(|known| *known == text).ok_or(format!("{token:?} is stored"))
    };
    let (token, go_on) = next_of(&credentials)?;
    let least = told.acknowledged.as_ref().map_or(Ok(0), place)?;
    if place(&token)? < least {
        return Err(format!("{token:?} is stored, and {:?} was acknowledged", told.acknowledged));
    }
    match go_on {
        GoOn::Exchanged if told.used.contains(&token) && !case.refused => {
            return Err(format!("{token:?} was used twice"));
        }
        GoOn::Exchanged => {}
        GoOn::Ambiguous if told.acknowledged.as_ref() == Some(&token) && !told.used.contains(&token) => {
            // Told that it is open although nobody had begun: only where somebody was about to and could not.
            let about_to =
                answers.len() < case.script.len() || answers.iter().any(|one| one.contains("error"));
            if !about_to {
                return Err(format!("{token:?} is called ambiguous, and nobody used it"));
            }
        }
        GoOn::Ambiguous => {
            let since = credentials.state(KEY).map_err(|error| error.to_string())?.ambiguous_since;
            if since.is_none() {
                return Err("ambiguous, and the state does not say since when".to_owned());
            }
        }
        GoOn::Barred if case.refused => {}
        GoOn::Barred => return Err("barred, and nobody refused".to_owned()),
    }
    heals(&credentials, root)
}

/// How the next process gets on with the credential.
enum GoOn {
    /// It may exchange it, and did.
    Exchanged,
    Ambiguous,
    Barred,
}

/// What is stored once what was left is settled, and what `rotate` then says. Nobody waits.
fn next_of(credentials: &Credentials) -> Result<(Token, GoOn), String> {
    let mut current = credentials.current(KEY).map_err(|error| format!("current: {error}"))?;
    for _ in 0..2 {
        let token = current.as_ref().map(|one| String::from_utf8_lossy(one.data()).into_owned());
        let mut rotation = credentials.begin(KEY, current.as_ref().map(forebay::Credential::version));
        match rotation.next() {
            Ok(RotateStep::Exchange) => {
                let previous = rotation.exchange().and_then(|one| one.previous().map(<[u8]>::to_vec));
                if previous.as_deref() != token.as_ref().map(String::as_bytes) {
                    return Err(format!("{previous:?} was to be exchanged, not {token:?}"));
                }
                rotation.exchanged(Ok::<_, Failure>("next"));
                return match rotation.next() {
                    Ok(RotateStep::Done(done)) if done.how() == How::Ran => Ok((token, GoOn::Exchanged)),
                    other => Err(format!("exchanged, and then: {other:?}")),
                };
            }
            Ok(RotateStep::Done(settled)) => current = Some(settled),
            Ok(RotateStep::Wait) => return Err("the next one has to wait".to_owned()),
            Err(error) if error.code() == Code::Ambiguous => return Ok((token, GoOn::Ambiguous)),
            Err(error) if error.code() == Code::Gated => return Ok((token, GoOn::Barred)),
            Err(error) => return Err(format!("rotate: {error}")),
        }
    }
    Err("another credential is stored at each look".to_owned())
}

/// After a new login everything goes on, and no litter stays: it would hold secrets.
fn heals(credentials: &Credentials, root: &Path) -> Result<(), String> {
    let version = credentials.reset(KEY, Some(b"login")).map_err(|error| format!("reset: {error}"))?;
    let next = credentials
        .rotate(KEY, version.as_ref(), |_| Ok::<_, Failure>("after"))
        .map_err(|error| format!("rotate after a login: {error}"))?;
    let state = credentials.state(KEY).map_err(|error| error.to_string())?;
    if (next.how(), state.phase, state.ambiguous_since) != (How::Ran, Phase::Idle, None) {
        return Err(format!("not healed: {next:?}, {state:?}"));
    }
    let left = names(&state_of(root).join("login"));
    if left == ["k.json", "k.meta"] { Ok(()) } else { Err(format!("litter: {left:?}")) }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What a process does with a quota record that holds `{"n":0}`.
pub struct Asking {
    pub name: &'static str,
    pub script: &'static [&'static str],
    /// What the record may hold; an empty text: there is none.
    pub may: &'static [&'static str],
    /// What it must hold once the last line was answered.
    pub must: &'static str,
    /// The gate that must then be in force.
    pub gate: Option<Code>,
}

const OLD: &str = r#"{"n":0}"#;
const NEW: &str = r#"{"n":1}"#;
const RESOLVE: &str = "resolve usage --ttl 0 --credential mine";

pub const ASKING: [Asking; 7] = [
    Asking {
        name: "success",
        script: &[RESOLVE, r#"fetched {"n":1}"#],
        may: &[OLD, NEW],
        must: NEW,
        gate: None,
    },
    Asking { name: "unchanged", script: &[RESOLVE, "fetch_unchanged"], may: &[OLD], must: OLD, gate: None },
    Asking {
        name: "unauthorized",
        script: &[RESOLVE, "fetch_status 401"],
        may: &[OLD, ""],
        must: "",
        gate: Some(Code::Unauthorized),
    },
    Asking {
        name: "rate limited",
        script: &[RESOLVE, "fetch_status 429 120"],
        may: &[OLD],
        must: OLD,
        gate: Some(Code::RateLimited),
    },
    Asking {
        name: "no connection",
        script: &[RESOLVE, "fetch_fails unavailable none"],
        may: &[OLD],
        must: OLD,
        gate: Some(Code::Unavailable),
    },
    Asking {
        name: "block",
        script: &["quota_block usage 60000"],
        may: &[OLD],
        must: OLD,
        gate: Some(Code::RateLimited),
    },
    Asking { name: "clear", script: &["quota_clear usage"], may: &[OLD, ""], must: "", gate: None },
];

/// What becomes of a process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Killed,
    /// It meets errors of the system: what the server told it may not be recorded.
    Failing,
    /// The power is cut.
    Cut,
}

/// Stores the first answer.
pub fn ask_first(root: &Path) {
    let answer = resolve(&open(root), "mine", OLD).unwrap();
    assert_eq!((answer.how, &*answer.data), (How::Ran, OLD));
}

/// What the whole process must have left, when it lived to answer its last line, and what the next one can do.
pub fn judge_asking(case: &Asking, root: &Path, answers: &[String], fate: Fate) -> Result<(), String> {
    let cache = open(root);
    let quota = cache.quota("usage").ttl(Duration::ZERO);
    let state = quota.read().map_err(|error| format!("read: {error}"))?;
    let data = state.answer.as_ref().map_or("", |answer| &*answer.data);
    if !case.may.contains(&data) {
        return Err(format!("{data:?} is recorded"));
    }
    let stored = answers.iter().any(|answer| answer.contains("\"how\":\"ran\""));
    let told = answers.len() == case.script.len() && (fate != Fate::Failing || stored);
    let gate = state.blocked.as_ref().and_then(|blocked| blocked.error);
    // A guessed gate is over within a second.
    let over = case.gate == Some(Code::Unavailable) && gate.is_none();
    if told && (data != case.must || gate != case.gate && !over) {
        return Err(format!("{data:?} is recorded, behind {gate:?}"));
    }
    let answer = resolve(&cache, "another", NEW).map_err(|error| format!("the next one: {error}"));
    match (answer, gate) {
        (Ok(answer), None) if answer.how == How::Ran => {}
        // A gate of a refused credential does not bar another.
        (Ok(answer), Some(Code::Unauthorized)) if answer.how == How::Ran => {}
        (Ok(answer), Some(_)) if answer.how == How::Stale && case.may.contains(&&*answer.data) => {}
        // A marker without its bytes does not say whose it was: it counts as an attempt, and holds up a little.
        (Err(_), Some(Code::Unauthorized)) if fate == Fate::Cut && !told => {}
        (other, gate) => return Err(format!("the next one, behind {gate:?}: {other:?}")),
    }
    quota.clear().map_err(|error| format!("clear: {error}"))?;
    let healed = resolve(&cache, "another", NEW).map_err(|error| format!("after clearing: {error}"))?;
    cache.prune(&[]).map_err(|error| format!("prune: {error}"))?;
    let left: Vec<String> = names(root)
        .into_iter()
        // The fixed name of a gate that is being written stays until the next one is.
        .filter(|name| !matches!(name.as_str(), ".forebay" | "CACHEDIR.TAG" | ".usage.lock.new"))
        .collect();
    if healed.how != How::Ran || left != ["usage.json", "usage.meta"] {
        return Err(format!("not healed: {healed:?}, {left:?}"));
    }
    Ok(())
}

/// A resolve that must not wait.
fn resolve(cache: &Cache, credential: &str, text: &'static str) -> Result<Answer, String> {
    let mut resolve = cache.quota("usage").ttl(Duration::ZERO).begin();
    loop {
        match resolve.next().map_err(|error| error.to_string())? {
            Step::Done(answer) => return Ok(answer),
            Step::Credentials => resolve.credentials(Ok::<_, Failure>(credential)),
            Step::Fetch => resolve.fetched(Ok(Fetched::new(text))),
            Step::Fallback => resolve.fallback(Ok::<_, Failure>(None::<Vec<u8>>)),
            Step::Wait => return Err("it has to wait".to_owned()),
        }
    }
}
