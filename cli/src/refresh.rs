//! `forebay refresh`: new values for sources from a command's output, now. A refresh in flight is joined.

use crate::args::Parsed;
use crate::command::{self, Job, Outcome, Show};
use crate::exit::Failed;
use crate::json::{self, Failure as JsonFailure, Found, Refreshed};
use crate::progress::Progress;
use crate::verdict::Verdict;
use crate::{human, open, out};
use forebay::{Code, Error, Failure, Fetched, Key, RefreshOptions, Value};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The deadline of a command, unless given.
const DEADLINE: Duration = Duration::from_secs(30);
/// How many keys are refreshed at once, unless given.
const JOBS: usize = 4;

/// `forebay refresh`.
pub(crate) fn refresh(parsed: &Parsed) -> Result<ExitCode, Failed> {
    if parsed.line.is_empty() {
        return Err(parsed.usage("which command? give it behind --"));
    }
    let (cache, keys) = (open::cache(parsed)?, parsed.keys()?);
    let deadline = parsed.duration("deadline")?.unwrap_or(DEADLINE);
    if deadline.is_zero() {
        return Err(parsed.usage("--deadline 0 leaves no time to run"));
    }
    let options = RefreshOptions { override_gate: parsed.has("override"), ..RefreshOptions::default() };
    let jobs = jobs(parsed)?;
    let progress = Mutex::new(Progress::new("refreshing", keys.len()));
    let next = Mutex::new(keys.iter().enumerate());
    let results: Mutex<Vec<Option<Result<Value, Error>>>> = Mutex::new(keys.iter().map(|_| None).collect());
    let source_of = |key: &Key| open::source(parsed, &cache, key).map(|source| source.deadline(deadline));
    let sources: Result<Vec<_>, Failed> = keys.iter().map(source_of).collect();
    let sources = sources?;
    let work = || {
        loop {
            let Some((index, key)) = lock(&next).next() else { return };
            let result = sources[index].refresh_with(options, |job| fetch(parsed, key, deadline, job));
            lock(&results)[index] = Some(result);
            lock(&progress).step(&key.to_string());
        }
    };
    std::thread::scope(|scope| {
        // The last of them is this thread.
        for _ in 1..jobs.min(keys.len()) {
            scope.spawn(work);
        }
        work();
    });
    drop(progress);
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    report(parsed, &keys, results.into_iter().flatten())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn jobs(parsed: &Parsed) -> Result<usize, Failed> {
    let Some(text) = parsed.text("jobs")? else { return Ok(JOBS) };
    match text.parse() {
        Ok(jobs @ 1..=64) => Ok(jobs),
        _ => Err(parsed.usage("--jobs wants a number from 1 to 64")),
    }
}

/// The refresher: runs the command.
fn fetch(parsed: &Parsed, key: &Key, deadline: Duration, job: &forebay::Job<'_>) -> Result<Fetched, Failure> {
    let mut variables = vec![
        ("FOREBAY_KEY", key.to_string()),
        ("FOREBAY_TIER", key.tier().to_owned()),
        ("FOREBAY_NAME", key.name().to_owned()),
    ];
    variables.extend(job.validator().map(|validator| ("FOREBAY_VALIDATOR", validator.to_owned())));
    let to_run = Job { variables, ..Job::new(&parsed.line, deadline, Show::Errors) };
    match command::run(&to_run) {
        Ok(mut outcome) => {
            outcome.stderr.flush();
            fetched(&outcome)
        }
        Err(error) => Err(Failure::new(Code::RefreshFailed, Verdict::of_no_start(&error).to_string())),
    }
}

fn fetched(outcome: &Outcome) -> Result<Fetched, Failure> {
    if let Some(signal) = outcome.signal {
        return Err(Failure::new(Code::Cancelled, format!("interrupted by signal {signal}")));
    }
    match (outcome.is_success(), outcome.stdout.whole()) {
        (true, Some(output)) => Ok(Fetched::new(output)),
        (true, None) => Err(Failure::new(Code::RefreshFailed, "the output is too large to be stored")),
        (false, _) => Err(Failure::new(Code::RefreshFailed, Verdict::of(outcome).to_string())),
    }
}

/// A failure as a person reads it.
fn told(key: &Key, failed: &Failed) -> String {
    let error = failed.error();
    if error.code() != Code::RefreshFailed {
        return failed.to_string();
    }
    let left = error.retry_at().and_then(|at| at.duration_since(SystemTime::now()).ok());
    let next = left.map(|left| format!("; next attempt in {}", human::until(left))).unwrap_or_default();
    format!("{key}: refresh failed: {}{next}", error.message())
}

/// Says what became of each, and ends with the status of the first that failed.
fn report(
    parsed: &Parsed,
    keys: &[Key],
    results: impl Iterator<Item = Result<Value, Error>>,
) -> Result<ExitCode, Failed> {
    let mut status = crate::exit::OK;
    let mut rows = Vec::new();
    for (key, result) in keys.iter().zip(results) {
        let failed = match &result {
            Ok(value) => value.error.clone(),
            Err(error) => Some(error.clone()),
        };
        let failed = failed.map(|error| Failed::from(error).about(key));
        if let Some(failed) = &failed {
            status = if status == crate::exit::OK { failed.exit_status() } else { status };
        }
        if parsed.has("json") {
            let value = result.as_ref().ok().map(|value| Found::new(key, value));
            rows.push(Refreshed { value, failure: failed.as_ref().map(JsonFailure::new) });
        } else if let Some(failed) = &failed {
            out::warn(&told(key, failed));
        } else if let Ok(value) = &result {
            let how = value.how.map_or("refreshed", forebay::How::as_str);
            let size = human::size(value.data().map_or(0, <[u8]>::len) as u64);
            out::line(&format!("{key}: {how}, {size}"))?;
        }
    }
    if parsed.has("json") {
        out::line(&json::text(&rows))?;
    }
    Ok(ExitCode::from(status))
}
