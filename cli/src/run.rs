//! `forebay run`: which output is served, who makes a new one, and what is said when that fails. How a command is
//! run is `command`'s and `here`'s, the process behind a stale output `detach`'s, an output that holds while its inputs do
//! `derive`'s.

use crate::args::Parsed;
use crate::command::{self, Outcome, Show};
use crate::detach::{self, Report};
use crate::envelope::Envelope;
use crate::exit::{self, Failed, OURS, RUN_TIMED_OUT};
use crate::here::{self, Here};
use crate::verdict::Verdict;
use crate::{derive, fingerprint, open, out, say, stream};
use forebay::{
    Code, Commit, Error, Failure, Key, Mode, Next, Phase, RefreshOptions, Source, State, Ticket, Value, Wait,
};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The ttl of an output, unless given.
const TTL: Duration = Duration::from_secs(60);
/// The deadline of a command, unless given.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long to sleep at once in a wait that has no end of its own.
pub(crate) const NAP: Duration = Duration::from_secs(3600);

/// One `run` command line.
struct Run<'a> {
    parsed: &'a Parsed,
    here: Here<'a>,
    key: Key,
    /// None: without end.
    max_stale: Option<Duration>,
    wait: Option<Duration>,
    force: bool,
}

/// `forebay run`.
pub(crate) fn run(parsed: &Parsed) -> Result<ExitCode, Failed> {
    if parsed.has("input") {
        return derive::run(parsed);
    }
    if parsed.has("workspace") {
        return Err(parsed.usage("--workspace is the folder of inputs: name them with --input"));
    }
    let run = Run::new(parsed)?;
    match run.source() {
        Ok(source) => run.serve_or_make(&source),
        Err(failed) if failed.error().code() == Code::Invalid => Err(failed.status(OURS)),
        Err(failed) => run.here.without_store(failed.error()),
    }
}

/// The same, in the process behind a stale output: nobody sees what the command writes.
pub(crate) fn detached(parsed: &Parsed) -> Result<ExitCode, Failed> {
    detach::leave();
    let run = Run::new(parsed)?;
    let report = match run.source() {
        Ok(source) => run.make_unseen(&source, parsed.has("report")),
        Err(_) => Report::NoStore,
    };
    if parsed.has("report") {
        report.send();
    }
    Ok(ExitCode::SUCCESS)
}

impl<'a> Run<'a> {
    fn new(parsed: &'a Parsed) -> Result<Run<'a>, Failed> {
        let mut here = Here::new(parsed, DEADLINE)?;
        let wait = parsed.duration("wait")?;
        // Whoever says how long to wait at most wants what is there after that, however old it is.
        let unless_given = if wait.is_some() { None } else { Some(Duration::ZERO) };
        let max_stale = parsed.duration("max-stale")?.or(unless_given);
        let key = fingerprint::key(parsed)?;
        here.label = key.to_string();
        Ok(Run { parsed, here, key, max_stale, wait, force: parsed.has("force") })
    }

    fn source(&self) -> Result<Source, Failed> {
        let cache = open::cache(self.parsed)?;
        let ttl = self.parsed.duration("ttl")?.unwrap_or(TTL);
        let source = cache.source_of(&self.key).ttl(ttl).deadline(self.here.deadline);
        Ok(match self.max_stale {
            Some(max_stale) => source.max_stale(max_stale),
            None => source,
        })
    }

    /// Whether that may be printed. Stale is what a value is too that was marked so within its ttl, or at the very
    /// end of it: not for someone who wants nothing stale.
    fn may_serve(&self, value: &Value) -> bool {
        match value.state {
            State::Fresh => true,
            State::Stale => self.max_stale != Some(Duration::ZERO),
            State::Expired | State::Absent => false,
        }
    }

    fn serve_or_make(&self, source: &Source) -> Result<ExitCode, Failed> {
        let seen = match source.read() {
            Ok(seen) => seen,
            Err(error) => return self.here.without_store(&error),
        };
        let servable = self.may_serve(&seen);
        if seen.state == State::Fresh && !self.force {
            return self.serve(&seen, "");
        }
        let cooling = seen.phase == Some(Phase::Cooling) && !self.force;
        if servable && cooling {
            out::warn(&say::still_failing(source, &self.key, &seen));
            return self.serve(&seen, "cooling down");
        }
        match self.wait {
            Some(wait) if !cooling => self.wait_a_little(source, &seen, wait),
            None if servable && !self.force => self.serve_and_refresh(&seen),
            _ => self.make(source),
        }
    }

    /// Prints an output from the cache.
    fn serve(&self, value: &Value, more: &str) -> Result<ExitCode, Failed> {
        let broken = self.print(value, more).err();
        broken.map_or(Ok(ExitCode::SUCCESS), |broken| Err(self.here.failed(stream::settle(broken))))
    }

    fn print(&self, value: &Value, more: &str) -> Result<(), rustix::io::Errno> {
        if self.here.verbose {
            out::warn(&say::origin(&self.key, value, more));
        }
        if let Some(text) = value.extra() {
            out::raw_error(&Envelope::from_text(text).stderr());
        }
        out::write(value.data().unwrap_or_default())
    }

    /// Prints an old output at once, and has it refreshed behind.
    fn serve_and_refresh(&self, value: &Value) -> Result<ExitCode, Failed> {
        let printed = self.print(value, "refreshing behind it");
        if value.phase == Some(Phase::Idle)
            && let Err(error) = detach::start(self.parsed, false)
        {
            out::warn(&format_args!("{}: cannot refresh it behind the old output: {error}", self.key));
        }
        printed
            .map_or_else(|broken| Err(self.here.failed(stream::settle(broken))), |()| Ok(ExitCode::SUCCESS))
    }

    /// Has it refreshed behind, and waits at most that long for the new output.
    fn wait_a_little(&self, source: &Source, seen: &Value, wait: Duration) -> Result<ExitCode, Failed> {
        let report = match detach::start(self.parsed, true) {
            Ok(Some(from)) => detach::wait_for(from, wait),
            _ => Some(None),
        };
        let servable = self.may_serve(seen);
        match report {
            Some(Some(Report::Stored)) => match source.read() {
                Ok(value) if value.data().is_some() => self.serve(&value, "refreshed"),
                _ => self.make(source),
            },
            Some(Some(Report::Failed { text, .. })) if servable => {
                out::warn(&say::failed_but_serving(&self.key, &text, seen));
                self.serve(seen, "the refresh failed")
            }
            Some(Some(Report::Failed { status, text })) => {
                out::warn(&format_args!("{}: {text}", self.key));
                Ok(ExitCode::from(status))
            }
            Some(Some(Report::NoStore) | None) => self.make(source),
            None if servable => self.serve(seen, "the refresh goes on"),
            None => {
                let waited = forebay::format_duration(wait);
                let error = Error::new(Code::TimedOut, format!("no output yet after {waited}"));
                let error = error.with_hint("the command goes on, and its output will be stored");
                Err(self.here.failed(error).status(RUN_TIMED_OUT))
            }
        }
    }

    /// Runs the command, or waits for the one that runs it.
    fn make(&self, source: &Source) -> Result<ExitCode, Failed> {
        let mut attempt = source.begin(self.mode());
        let patience = Instant::now().checked_add(self.here.deadline);
        loop {
            match attempt.next() {
                Ok(Next::Wait) => {
                    attempt.wait(NAP, None);
                }
                Ok(Next::Run(ticket)) => return self.run_here(&ticket),
                // A crowd, or a process that was stopped at the wrong moment: to run the command beside the others
                // is the last resort.
                Err(error)
                    if error.code() == Code::LockTimeout
                        && patience.is_some_and(|end| Instant::now() < end) =>
                {
                    attempt = source.begin(self.mode());
                }
                Ok(Next::Done(value)) => {
                    return match &value.error {
                        Some(error) if !self.may_serve(&value) => self.refused(source, error),
                        _ => self.serve(&value, ""),
                    };
                }
                Err(error) => return self.refused(source, &error),
            }
        }
    }

    fn mode(&self) -> Mode {
        match self.force {
            true => Mode::Refresh(RefreshOptions::default()),
            false => Mode::Get { wait: Wait::UntilDone },
        }
    }

    /// Runs the command before the user's eyes, and stores its output.
    fn run_here(&self, ticket: &Ticket) -> Result<ExitCode, Failed> {
        let mut outcome = match command::run(&self.here.job(Show::Both)) {
            Ok(outcome) => outcome,
            Err(error) => {
                let verdict = Verdict::of_no_start(&error);
                record_failure(ticket, verdict);
                return self.here.not_started(verdict, &error);
            }
        };
        if let Err(problem) = self.store(ticket, &outcome) {
            out::warn(&format_args!("{}: the output was not stored: {problem}", self.key));
        }
        self.here.finish(&mut outcome)
    }

    /// Stores what a command brought, or records that it failed.
    fn store(&self, ticket: &Ticket, outcome: &Outcome) -> Result<(), Error> {
        if outcome.signal.is_some() {
            // Not the command's fault, so no failure: the ticket is dropped, and whoever waits runs it anew.
            return Ok(());
        }
        if !outcome.is_success() {
            record_failure(ticket, Verdict::of(outcome));
            return Ok(());
        }
        let Some(output) = outcome.stdout.whole() else {
            fail(ticket, &Failure::new(Code::RefreshFailed, "the output is too large to be stored"));
            return Err(here::too_large());
        };
        let inputs = fingerprint::key(self.parsed).ok();
        if inputs.as_ref() != Some(&self.key) {
            fail(ticket, &Failure::new(Code::Superseded, "a file that it depends on has changed"));
            return Err(Error::new(Code::Superseded, "a --file changed while the command ran"));
        }
        let (stderr, dropped) = outcome.stderr.tail();
        let envelope = Envelope::new(stderr, dropped).to_text();
        let commit = Commit { extra: Some(envelope), ..Commit::default() };
        loop {
            match ticket.complete(output, &commit) {
                Err(error) if error.code() == Code::LockTimeout && !ticket.cancelled() => {}
                other => return other.map(drop),
            }
        }
    }

    /// Nobody may run it now, or another shell ran it and it failed there.
    fn refused(&self, source: &Source, error: &Error) -> Result<ExitCode, Failed> {
        let code = error.code();
        if code != Code::Gated && code != Code::TimedOut && !exit::is_of_the_refresh(code) {
            return self.here.without_store(error);
        }
        let state = source.refresh_state().ok();
        let last = state.as_ref().and_then(|state| state.last_error.as_ref()).map(Error::message);
        let verdict = [Some(error.message()), last].into_iter().flatten().find_map(Verdict::found_in);
        let status = match (verdict, code) {
            (Some(verdict), _) => verdict.status(),
            (None, Code::TimedOut) => RUN_TIMED_OUT,
            (None, _) => OURS,
        };
        match verdict {
            Some(verdict) => {
                out::warn(&say::failed_elsewhere(source, &self.key, &verdict.to_string(), state.as_ref()));
                Ok(ExitCode::from(status))
            }
            None => Err(self.here.failed(error.clone()).status(status)),
        }
    }

    /// Runs the command unseen, or, where someone waits for a report, waits for the one that runs it.
    fn make_unseen(&self, source: &Source, awaited: bool) -> Report {
        let mode = if awaited || self.force { self.mode() } else { Mode::MaybeRefresh };
        let mut attempt = source.begin(mode);
        loop {
            match attempt.next() {
                Ok(Next::Wait) => {
                    attempt.wait(NAP, None);
                }
                Ok(Next::Run(ticket)) => return self.run_unseen(&ticket),
                Ok(Next::Done(value)) => return report_of(&value),
                Err(error) => return report_of_error(source, &error),
            }
        }
    }

    fn run_unseen(&self, ticket: &Ticket) -> Report {
        let verdict = match command::run(&self.here.job(Show::Nothing)) {
            Ok(outcome) => match self.store(ticket, &outcome) {
                Err(_) => return Report::NoStore,
                Ok(()) => Verdict::of(&outcome),
            },
            Err(error) => {
                let verdict = Verdict::of_no_start(&error);
                record_failure(ticket, verdict);
                verdict
            }
        };
        match verdict {
            Verdict::Status(0) => Report::Stored,
            verdict => Report::Failed { status: verdict.status(), text: verdict.to_string() },
        }
    }
}

fn record_failure(ticket: &Ticket, verdict: Verdict) {
    fail(ticket, &Failure::new(Code::RefreshFailed, verdict.to_string()));
}

/// Records a failure, so that those who wait end as this one does. Where it cannot be written the lease ends all the
/// same, and one of them runs the command anew.
fn fail(ticket: &Ticket, failure: &Failure) {
    while let Err(error) = ticket.fail(failure) {
        if error.code() != Code::LockTimeout || ticket.cancelled() {
            break;
        }
    }
}

fn report_of(value: &Value) -> Report {
    match &value.error {
        None => Report::Stored,
        Some(error) => Report::Failed { status: status_of(error), text: error.message().to_owned() },
    }
}

fn report_of_error(source: &Source, error: &Error) -> Report {
    let code = error.code();
    if code != Code::Gated && code != Code::TimedOut && !exit::is_of_the_refresh(code) {
        return Report::NoStore;
    }
    let last = source.refresh_state().ok().and_then(|state| state.last_error);
    let error = last.as_ref().filter(|_| Verdict::found_in(error.message()).is_none()).unwrap_or(error);
    Report::Failed { status: status_of(error), text: error.message().to_owned() }
}

fn status_of(error: &Error) -> u8 {
    Verdict::found_in(error.message()).map_or(OURS, Verdict::status)
}
