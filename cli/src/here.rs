//! `Here`: a command line that runs before the user's eyes, and all the ways in which that ends. Whether it may run, and
//! what becomes of its output, is not known here.

use crate::args::Parsed;
use crate::command::{self, Job, Outcome, Show};
use crate::exit::{Failed, OURS, RUN_TIMED_OUT};
use crate::verdict::Verdict;
use crate::{open, out, stream};
use forebay::{Code, Error};
use std::process::ExitCode;
use std::time::Duration;

/// The command line of a `run`, with what is to be said about it.
pub(crate) struct Here<'a> {
    parsed: &'a Parsed,
    /// The key, as messages name it.
    pub(crate) label: String,
    /// How long the command may take.
    pub(crate) deadline: Duration,
    /// Whether to say where an output came from.
    pub(crate) verbose: bool,
}

impl<'a> Here<'a> {
    /// Of that command line; `deadline` is for one that names none.
    pub(crate) fn new(parsed: &'a Parsed, deadline: Duration) -> Result<Here<'a>, Failed> {
        if parsed.line.first().is_none_or(|program| program.is_empty()) {
            return Err(parsed.usage("which command?"));
        }
        let deadline = open::limit(parsed, "deadline")?.unwrap_or(deadline);
        Ok(Here { parsed, label: String::new(), deadline, verbose: parsed.has("verbose") })
    }

    /// The command to be run.
    pub(crate) fn job(&self, show: Show) -> Job<'_> {
        Job::new(&self.parsed.line, self.deadline, show)
    }

    /// Prints the rest of the output and ends as the command did.
    pub(crate) fn finish(&self, outcome: &mut Outcome) -> Result<ExitCode, Failed> {
        outcome.stderr.flush();
        outcome.stdout.flush();
        let verdict = Verdict::of(outcome);
        if let (Some(signal), Verdict::Signal(_)) = (outcome.signal, verdict) {
            out::die_of(signal);
        }
        if let Some(broken) = outcome.stdout.broken() {
            return Err(self.failed(stream::settle(broken)));
        }
        if verdict == Verdict::Overran {
            let deadline = forebay::format_duration(self.deadline);
            let error =
                Error::new(Code::TimedOut, format!("the command was ended after its deadline of {deadline}"));
            return Err(self.failed(error.with_hint("give it longer with --deadline")).status(RUN_TIMED_OUT));
        }
        if self.verbose {
            out::warn(&format_args!("{}: ran here: {verdict}", self.label));
        }
        Ok(ExitCode::from(verdict.status()))
    }

    /// Ends as for a command that could not be started.
    pub(crate) fn not_started(&self, verdict: Verdict, error: &std::io::Error) -> Result<ExitCode, Failed> {
        let program = self.parsed.line.first().map(|program| program.to_string_lossy()).unwrap_or_default();
        let text = error.to_string();
        let reason = text.split(" (os error ").next().unwrap_or(&text);
        let error = Error::new(Code::RefreshFailed, format!("cannot run '{program}': {reason}"));
        Err(Failed::from(error).status(verdict.status()))
    }

    /// The store cannot be used: the command runs all the same.
    pub(crate) fn without_store(&self, problem: &Error) -> Result<ExitCode, Failed> {
        out::warn(&format_args!("{problem} (the command runs without the cache)"));
        match command::run(&self.job(Show::Both)) {
            Ok(mut outcome) => self.finish(&mut outcome),
            Err(error) => self.not_started(Verdict::of_no_start(&error), &error),
        }
    }

    /// A failure of ours.
    pub(crate) fn failed(&self, error: Error) -> Failed {
        Failed::from(error).about(&self.label).status(OURS)
    }
}

/// The error of an output that is too large to be kept.
pub(crate) fn too_large() -> Error {
    let most = crate::human::size(command::MAX_OUTPUT as u64);
    Error::new(Code::NoSpace, format!("it is larger than {most}"))
}
