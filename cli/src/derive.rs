//! `forebay run --input`: an output that holds while what the command line names is as it was. One process of all runs
//! the command, the others get what it printed. What is kept is a derived result, in which the envelope of the run
//! stands before its standard output.

use crate::args::Parsed;
use crate::command::{self, Outcome, Show};
use crate::envelope::Envelope;
use crate::exit::{Failed, OURS};
use crate::here::{self, Here};
use crate::run::NAP;
use crate::verdict::Verdict;
use crate::{fingerprint, human, open, out, stream};
use forebay::{Cache, Code, Compute, Derived, Error, Failure, Input, Live, LiveKey, LiveStep};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

/// The deadline of a command, unless given.
const DEADLINE: Duration = Duration::from_secs(600);

/// One `run --input` command line.
struct Derive<'a> {
    parsed: &'a Parsed,
    here: Here<'a>,
    key: LiveKey,
    kind: String,
    inputs: Vec<Input>,
    ttl: Option<Duration>,
}

/// `forebay run --input`.
pub(crate) fn run(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let derive = Derive::new(parsed)?;
    match derive.live() {
        Ok((cache, live)) => derive.serve_or_make(&cache, &live),
        Err(failed) if failed.error().code() == Code::Invalid => Err(failed.status(OURS)),
        Err(failed) => derive.here.without_store(failed.error()),
    }
}

impl<'a> Derive<'a> {
    fn new(parsed: &'a Parsed) -> Result<Derive<'a>, Failed> {
        for option in ["max-stale", "wait"] {
            if parsed.has(option) {
                let what = format!("--{option} has no meaning beside --input: no old output is served");
                return Err(parsed.usage(&what));
            }
        }
        let mut here = Here::new(parsed, DEADLINE)?;
        let key = fingerprint::live_key(parsed)?;
        here.label = short(&key);
        let inputs: Result<Vec<Input>, Failed> =
            parsed.all("input").map(|text| input_of(parsed, text)).collect();
        let (kind, ttl) = (fingerprint::kind(parsed)?, parsed.duration("ttl")?);
        Ok(Derive { parsed, here, key, kind, inputs: inputs?, ttl })
    }

    fn live(&self) -> Result<(Cache, Live), Failed> {
        let cache = open::cache(self.parsed)?;
        let live = open::live(self.parsed, &cache, Some(self.here.deadline))?;
        Ok((cache, live))
    }

    /// What is there has to be from after this instant.
    fn newer_than(&self, now: SystemTime) -> Option<SystemTime> {
        match (self.parsed.has("force"), self.ttl) {
            (true, _) => Some(now),
            (false, Some(ttl)) => now.checked_sub(ttl),
            (false, None) => None,
        }
    }

    fn serve_or_make(&self, cache: &Cache, live: &Live) -> Result<ExitCode, Failed> {
        let newer_than = self.newer_than(cache.now());
        let begin = || {
            let way = live.compute(&self.key, &self.inputs, &[], &self.kind);
            match newer_than {
                Some(at) => way.newer_than(at),
                None => way,
            }
        };
        let patience = Instant::now().checked_add(self.here.deadline);
        let mut way = begin();
        loop {
            match way.next() {
                Ok(LiveStep::Wait) => {
                    way.wait(NAP, None);
                }
                Ok(LiveStep::Compute) => return self.run_here(way),
                Ok(LiveStep::Done(derived)) => return self.serve(cache, live, &derived),
                // A crowd, or a process that was stopped at the wrong moment: to run the command beside the others
                // is the last resort.
                Err(error)
                    if error.code() == Code::LockTimeout
                        && patience.is_some_and(|end| Instant::now() < end) =>
                {
                    way = begin();
                }
                Err(error) if error.code() == Code::Invalid => return Err(self.here.failed(error)),
                Err(error) => return self.here.without_store(&error),
            }
        }
    }

    /// Prints a result that is there.
    fn serve(&self, cache: &Cache, live: &Live, derived: &Derived) -> Result<ExitCode, Failed> {
        if self.here.verbose {
            let age = cache.now().duration_since(derived.computed_at()).unwrap_or_default();
            let (label, how) = (&self.here.label, derived.how());
            out::warn(&format_args!("{label}: {how}: {} old", human::long(age)));
        }
        let (envelope, output) = Envelope::split(derived.data());
        out::raw_error(&envelope.stderr());
        match out::write(output) {
            Ok(()) => {
                // It is printed already: that its use cannot be written down is no failure.
                let _ = live.note_use();
                Ok(ExitCode::SUCCESS)
            }
            Err(broken) => Err(self.here.failed(stream::settle(broken))),
        }
    }

    /// Runs the command before the user's eyes, and stores its output.
    fn run_here(&self, mut way: Compute) -> Result<ExitCode, Failed> {
        let mut outcome = match command::run(&self.here.job(Show::Both)) {
            Ok(outcome) => outcome,
            Err(error) => {
                let verdict = Verdict::of_no_start(&error);
                give_up(&mut way, &verdict.to_string());
                return self.here.not_started(verdict, &error);
            }
        };
        let problem = self.store(&mut way, &outcome);
        drop(way);
        if let Some(problem) = problem {
            self.tell(&problem);
        }
        self.here.finish(&mut outcome)
    }

    /// Stores what the command brought; why not, where something is amiss.
    fn store(&self, way: &mut Compute, outcome: &Outcome) -> Option<Error> {
        if !outcome.is_success() {
            give_up(way, &Verdict::of(outcome).to_string());
            return None;
        }
        let Some(output) = outcome.stdout.whole() else {
            give_up(way, "the output is too large to be stored");
            return Some(here::too_large());
        };
        if fingerprint::live_key(self.parsed).ok() != Some(self.key) {
            give_up(way, "a file that it depends on has changed");
            return Some(Error::new(Code::Superseded, "a --file changed while the command ran"));
        }
        let (stderr, dropped) = outcome.stderr.tail();
        way.computed(Ok(Envelope::new(stderr, dropped).before(output)));
        match way.next() {
            Ok(LiveStep::Done(derived)) => derived.error().cloned(),
            Ok(LiveStep::Compute | LiveStep::Wait) => None,
            Err(error) => Some(error),
        }
    }

    /// Why the output was not stored. That an input changed is nobody's fault, and the next run will show it.
    fn tell(&self, problem: &Error) {
        if self.here.verbose || problem.code() != Code::Superseded {
            // Of an input the core says the same, after its whole key.
            let text = match problem.code() {
                Code::Superseded => problem.message().to_owned(),
                _ => problem.to_string(),
            };
            let text = text.strip_prefix(&format!("{}: ", self.key)).unwrap_or(&text);
            let text = text.strip_suffix(": not stored").unwrap_or(text);
            out::warn(&format_args!("{}: the output was not stored: {text}", self.here.label));
        }
    }
}

/// Ends a computation without a result: whoever waits for it runs the command next.
fn give_up(way: &mut Compute, why: &str) {
    way.computed(Err::<&[u8], Failure>(Failure::new(Code::RefreshFailed, why)));
    // The error is the one that was given.
    let _ = way.next();
}

/// As much of a key as a message needs.
pub(crate) fn short(key: &LiveKey) -> String {
    let mut text = key.to_string();
    text.truncate(16);
    text
}

/// What makes an input of a path.
type Make = fn(PathBuf) -> Input;

/// The input that an argument names. Paths need not be UTF-8.
fn input_of(parsed: &Parsed, argument: &OsStr) -> Result<Input, Failed> {
    if argument.is_empty() {
        return Err(parsed.usage("--input is empty"));
    }
    if let Some(text) = argument.to_str() {
        let input = Input::parse(text);
        return match &input {
            Input::File(path) if path.as_os_str() == argument => file_of(parsed, input),
            _ => Ok(input),
        };
    }
    let bytes = argument.as_bytes();
    let path = |start: usize| OsStr::from_bytes(&bytes[start..]).into();
    let made: [(&[u8], Make); 4] = [
        (b"file:", Input::File),
        (b"dir:", Input::Directory),
        (b"absent:", Input::Absent),
        (b"stat:", Input::Stat),
    ];
    match made.iter().find(|(prefix, _)| bytes.starts_with(prefix)) {
        Some((prefix, make)) => Ok(make(path(prefix.len()))),
        None if bytes.contains(&b'*') || bytes.contains(&b'?') || bytes.contains(&b'[') => Err(parsed.usage(
            &format!("--input {argument:?}: a pattern has to be UTF-8; file: before it makes it a file"),
        )),
        None if bytes.ends_with(b"/") => Ok(Input::Directory(path(0))),
        None => file_of(parsed, Input::File(path(0))),
    }
}

/// A file that was named without a word about what it is: of a folder only that it is one would count.
fn file_of(parsed: &Parsed, input: Input) -> Result<Input, Failed> {
    let workspace = parsed.value("workspace").map(Path::new).unwrap_or_else(|| Path::new("."));
    match &input {
        Input::File(path) if workspace.join(path).is_dir() => {
            let name = path.display();
            let what = format!(
                "--input {name} is a folder: write {name}/ for the names in it, or '{name}/**' for its files"
            );
            Err(parsed.usage(&what))
        }
        _ => Ok(input),
    }
}
