//! `quota resolve`: a rate-limited server's answer for shells. Core says what is needed next; here the commands of
//! the command line give it, and what came of it is printed. What a command's output means is `reply`'s.

use crate::args::Parsed;
use crate::command::{self, Job, Outcome, Show};
use crate::exit::{self, Failed};
use crate::json::{self, Answered};
use crate::verdict::Verdict;
use crate::{open, out, reply, say};
use forebay::{Answer, Cache, Code, Error, Failure, Fetched, Key, Quota, QuotaJob, Resolve, Step};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Between SIGTERM at the deadline and SIGKILL: whoever looks at a status line waits for it.
const GRACE: Duration = Duration::from_millis(250);
/// How long to sleep at once in a wait that has no end of its own.
const NAP: Duration = Duration::from_secs(3600);

/// One `quota resolve` command line.
struct Asking<'a> {
    parsed: &'a Parsed,
    cache: Cache,
    quota: Quota,
    key: Key,
}

/// A signal came for us; nothing was recorded.
struct Interrupted(i32);

/// `forebay quota resolve`.
pub(crate) fn resolve(parsed: &Parsed) -> Result<ExitCode, Failed> {
    if parsed.line.first().is_none_or(|program| program.is_empty()) {
        return Err(parsed.usage("which command? give it behind --"));
    }
    let cache = open::cache(parsed)?;
    let quota = open::quota(parsed, &cache)?;
    let key = quota.key()?.clone();
    let asking = Asking { parsed, cache, quota, key };
    let mut resolve = asking.quota.begin();
    let patience = Instant::now().checked_add(asking.quota.options().timeout);
    loop {
        match resolve.next() {
            // A crowd, or a process that was stopped at the wrong moment: nobody has been asked.
            Err(error)
                if error.code() == Code::LockTimeout && patience.is_some_and(|end| Instant::now() < end) =>
            {
                resolve = asking.quota.begin();
            }
            Ok(Step::Done(answer)) => return asking.tell(&answer),
            Ok(Step::Wait) => {
                resolve.wait(NAP, None);
            }
            Ok(step) => {
                if let Err(Interrupted(signal)) = asking.take(&step, &mut resolve) {
                    // Whoever is next need not wait for the end of the lease.
                    drop(resolve);
                    out::die_of(signal);
                }
            }
            Err(error) => return asking.tell_failure(error),
        }
    }
}

impl Asking<'_> {
    /// Gives what the step asks for.
    fn take(&self, step: &Step, resolve: &mut Resolve) -> Result<(), Interrupted> {
        match step {
            Step::Credentials => resolve.credentials(self.credentials()?),
            Step::Fallback => resolve.fallback(Ok(self.fallback()?)),
            Step::Fetch => {
                if let Some(job) = resolve.job() {
                    let fetched = self.fetch(&job)?;
                    drop(job);
                    resolve.fetched(fetched);
                }
            }
            Step::Done(_) | Step::Wait => {}
        }
        Ok(())
    }

    /// What the command of `--credentials` prints.
    fn credentials(&self) -> Result<Result<Vec<u8>, Failure>, Interrupted> {
        let failed = |verdict: Verdict| Failure::new(Code::NoCredentials, verdict.to_string());
        Ok(match self.shell("credentials")? {
            None => Ok(Vec::new()),
            Some(Err(verdict)) => Err(failed(verdict)),
            Some(Ok(output)) => match reply::without_line_end(&output) {
                [] => Err(Failure::new(Code::NoCredentials, "the command of --credentials printed nothing")),
                secret => Ok(secret.to_vec()),
            },
        })
    }

    /// What the command of `--fallback` prints, if it is JSON.
    fn fallback(&self) -> Result<Option<Vec<u8>>, Interrupted> {
        let problem = match self.shell("fallback")? {
            None => return Ok(None),
            Some(Ok(output)) if output.trim_ascii().is_empty() => return Ok(None),
            Some(Ok(output)) if serde_json::from_slice::<serde::de::IgnoredAny>(&output).is_ok() => {
                return Ok(Some(output.trim_ascii().to_vec()));
            }
            Some(Ok(_)) => "what it printed is not JSON".to_owned(),
            Some(Err(verdict)) => verdict.to_string(),
        };
        out::warn(&format_args!("{}: the fallback failed: {problem}", self.key));
        Ok(None)
    }

    /// The output of a shell command that an option gives; none: no such option.
    fn shell(&self, option: &str) -> Result<Option<Result<Vec<u8>, Verdict>>, Interrupted> {
        let Some(script) = self.parsed.value(option) else { return Ok(None) };
        let line = ["sh".into(), "-c".into(), script.clone()];
        let variables = vec![("FOREBAY_NAME", self.key.name().to_owned())];
        let outcome = match self.run(&line, variables, self.quota.options().timeout, None)? {
            Ok(outcome) => outcome,
            Err(error) => return Ok(Some(Err(Verdict::of_no_start(&error)))),
        };
        Ok(Some(match (Verdict::of(&outcome), outcome.stdout.whole()) {
            (Verdict::Status(0), Some(output)) => Ok(output.to_vec()),
            (verdict, _) => Err(verdict),
        }))
    }

    /// What COMMAND brings.
    fn fetch(&self, job: &QuotaJob) -> Result<Result<Fetched, Failure>, Interrupted> {
        let time = job.remaining();
        let mut variables = vec![
            ("FOREBAY_NAME", self.key.name().to_owned()),
            ("FOREBAY_DEADLINE_MS", time.as_millis().to_string()),
        ];
        variables.extend(job.validator().map(|validator| ("FOREBAY_VALIDATOR", validator.to_owned())));
        let input = Some(job.credential().to_vec()).filter(|secret| !secret.is_empty());
        Ok(match self.run(&self.parsed.line, variables, time, input)? {
            Ok(outcome) => reply::fetched(&outcome),
            Err(error) => Err(Failure::new(Code::RefreshFailed, Verdict::of_no_start(&error).to_string())),
        })
    }

    /// Runs a command in a process group of its own; what it writes to standard error is passed on at its end.
    fn run(
        &self,
        line: &[OsString],
        variables: Vec<(&'static str, String)>,
        time: Duration,
        input: Option<Vec<u8>>,
    ) -> Result<std::io::Result<Outcome>, Interrupted> {
        let job = Job { variables, input, grace: GRACE, ..Job::new(line, time, Show::Nothing) };
        let mut ran = command::run(&job);
        if let Ok(outcome) = &mut ran {
            out::raw_error(outcome.stderr.tail().0);
            if let Some(signal) = outcome.interrupted() {
                return Err(Interrupted(signal));
            }
        }
        Ok(ran)
    }

    /// Prints the answer; one line says where it falls short.
    fn tell(&self, answer: &Answer) -> Result<ExitCode, Failed> {
        match say::shortcoming(&self.key, answer, self.cache.now()) {
            Some(told) => out::warn(&told),
            None if self.parsed.has("verbose") => out::warn(&say::source(&self.key, answer)),
            None => {}
        }
        match self.parsed.has("json") {
            true => out::line(&json::text(&Answered::new(&self.key, answer)))?,
            false => out::line(&json::one_line(&answer.data))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Says why there is no answer.
    fn tell_failure(&self, error: Error) -> Result<ExitCode, Failed> {
        let status = exit::status_of_quota(error.code());
        if self.parsed.has("json") {
            return Err(Failed::from(error).about(&self.key).status(status));
        }
        let next = say::next(error.retry_at(), self.cache.now());
        out::warn(&format_args!("{}{next}", say::trouble(&self.key, &error)));
        Ok(ExitCode::from(status))
    }
}
