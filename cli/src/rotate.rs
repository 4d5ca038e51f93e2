//! `rotate` and `rotate-reset`: a single-use credential for shells. Exactly one process exchanges it; what a command's
//! output means is `reply`'s, and everything that must not go wrong in between is core's.

use crate::args::Parsed;
use crate::command::{self, Job, Outcome, Show};
use crate::exit::{self, Failed, REFRESH_FAILED};
use crate::json::{self, Rotated, Stored};
use crate::verdict::Verdict;
use crate::{open, out, reply, say};
use forebay::{Code, Credential, Credentials, Error, Exchange, Failure, Key, RotateStep, Rotation, Version};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The tier of a key that names none.
const TIER: &str = "credentials";
/// How long to sleep at once in a wait that has no end of its own.
const NAP: Duration = Duration::from_secs(3600);
/// The deadline of an exchange, unless given.
const DEADLINE: Duration = Duration::from_secs(30);
/// Said at the first signal.
const PATIENCE: &str =
    "waiting for the exchange to end, as to break it off may lose the credential; interrupt again to do so";

/// The key of the command line: as it is written, and taken apart.
fn key_of(parsed: &Parsed) -> Result<(&str, Key), Failed> {
    let operand = parsed.operands.first().ok_or_else(|| parsed.usage("which credential?"))?;
    let text = operand.to_str().ok_or_else(|| parsed.usage(&format!("the key {operand:?} is not UTF-8")))?;
    let (tier, name) = text.split_once('/').unwrap_or((TIER, text));
    Ok((text, Key::new(tier, name)?))
}

/// `forebay rotate`.
pub(crate) fn rotate(parsed: &Parsed) -> Result<ExitCode, Failed> {
    if parsed.line.first().is_none_or(|program| program.is_empty()) {
        return Err(parsed.usage("which command? give it behind --"));
    }
    let (text, key) = key_of(parsed)?;
    let seen = parsed.text("seen")?.map(|seen| seen_of(parsed, seen)).transpose()?;
    let credentials = open::credentials(parsed)?;
    let mut rotation = credentials.begin(text, seen.as_ref());
    // Kept until all is done: as long as it lives no signal ends us between the answer and the disk.
    let mut ran = None;
    let patience = Instant::now().checked_add(open::limit(parsed, "deadline")?.unwrap_or(DEADLINE));
    let ended = loop {
        match rotation.next() {
            // A crowd, or a process that was stopped at the wrong moment: nothing has been sent.
            Err(error)
                if error.code() == Code::LockTimeout && patience.is_some_and(|end| Instant::now() < end) =>
            {
                rotation = credentials.begin(text, seen.as_ref());
            }
            Ok(RotateStep::Done(credential)) => break tell(parsed, &key, &credential),
            Ok(RotateStep::Wait) => {
                rotation.wait(NAP, None);
            }
            Ok(RotateStep::Exchange) => ran = make(parsed, &key, &mut rotation),
            Err(error) => break tell_failure(parsed, &key, error, &credentials),
        }
    };
    if let Some(signal) = ran.as_mut().and_then(Outcome::interrupted) {
        if let Err(failed) = &ended {
            out::warn(failed);
        }
        out::die_of(signal);
    }
    ended
}

fn seen_of(parsed: &Parsed, text: &str) -> Result<Version, Failed> {
    Version::parse(text).map_err(|_| parsed.usage("--seen wants a version, as --json printed it"))
}

/// Runs COMMAND, and tells what came of it.
fn make(parsed: &Parsed, key: &Key, rotation: &mut Rotation) -> Option<Outcome> {
    let exchange = rotation.exchange()?;
    let mut ran = run(parsed, key, &exchange);
    drop(exchange);
    match &mut ran {
        Ok(outcome) => {
            out::raw_error(outcome.stderr.tail().0);
            rotation.exchanged(reply::exchanged(outcome));
        }
        Err(error) => {
            let verdict = Verdict::of_no_start(error);
            let failure = Failure::new(Code::RefreshFailed, verdict.to_string()).not_sent();
            rotation.exchanged(Err::<&[u8], _>(failure));
        }
    }
    ran.ok()
}

fn run(parsed: &Parsed, key: &Key, exchange: &Exchange) -> std::io::Result<Outcome> {
    let time = exchange.remaining();
    let variables = vec![
        ("FOREBAY_KEY", key.to_string()),
        ("FOREBAY_TIER", key.tier().to_owned()),
        ("FOREBAY_NAME", key.name().to_owned()),
        ("FOREBAY_DEADLINE_MS", time.as_millis().to_string()),
    ];
    command::run(&Job {
        variables,
        input: exchange.previous().map(<[u8]>::to_vec),
        patience: Some(PATIENCE),
        ..Job::new(&parsed.line, time, Show::Nothing)
    })
}

/// Prints the credential.
fn tell(parsed: &Parsed, key: &Key, credential: &Credential) -> Result<ExitCode, Failed> {
    if let Some(error) = credential.error() {
        let hint =
            format!("nobody else has it: keep it, and give it to 'forebay rotate-reset --stdin {key}'");
        let error = error.clone().with_hint(hint);
        out::warn(&format_args!("{key}: the credential was not stored: {error}"));
    }
    if parsed.has("json") {
        out::line(&json::text(&Rotated::new(key, credential)))?;
    } else {
        out::data(&[credential.data(), b"\n"].concat())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says why there is no credential.
fn tell_failure(
    parsed: &Parsed,
    key: &Key,
    error: Error,
    credentials: &Credentials,
) -> Result<ExitCode, Failed> {
    // The command line was understood: what is invalid here is the credential, to the server.
    let refused = error.code() == Code::Invalid;
    let status = if refused { REFRESH_FAILED } else { exit::status_of_quota(error.code()) };
    let error = match error.code() {
        Code::Ambiguous | Code::NotFound => {
            error.with_hint(format!("log in again, then 'forebay rotate-reset --stdin {key}'"))
        }
        _ => error,
    };
    if parsed.has("json") {
        return Err(Failed::from(error).about(key).status(status));
    }
    let what = match refused {
        true => format!("{key}: refused: {}", error.message()),
        false => say::trouble(key, &error),
    };
    let next = say::next(error.retry_at(), credentials.now());
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    out::warn(&format_args!("{what}{next}{hint}"));
    Ok(ExitCode::from(status))
}

/// `forebay rotate-reset`.
pub(crate) fn reset(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let (text, key) = key_of(parsed)?;
    let credential = match parsed.has("stdin") {
        true => Some(input(parsed)?),
        false => None,
    };
    let version = open::credentials(parsed)?
        .reset(text, credential.as_deref())
        .map_err(|error| Failed::from(error).about(&key))?;
    if parsed.has("json") {
        let version = version.map(|version| version.to_string());
        out::line(&json::text(&Stored { key: key.to_string(), version }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The credential that standard input brings.
fn input(parsed: &Parsed) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read it", Path::new("standard input"), &error))?;
    match reply::without_line_end(&bytes) {
        [] => Err(parsed.usage("standard input brought no credential")),
        credential => Ok(credential.to_vec()),
    }
}
