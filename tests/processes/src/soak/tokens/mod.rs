//! Single-use credentials, soaked: many processes rotate one token at a server that accepts each token once. `server`
//! counts, `worker` rotates; here both are run, and judged: the server must never see a token twice, and whatever
//! a worker is told must be a new token or one of the errors that say what to do.
//!
//! In a calm run nobody dies, and the server sees each token exactly once, in their order. In a rough run workers are
//! killed and stopped at random; who is told `ambiguous` logs in again, which gives a new token.

pub mod server;
pub mod worker;

use super::chaos::{self, Done};
use forebay::{Code, Credentials, Failure, Phase};
use server::Server;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The key of the one credential.
pub const KEY: &str = "soak/token";
/// Where a worker that was told what it should not be writes so, below the run's folder.
pub const FAULTS: &str = "faults";

/// What a run did, and what was wrong with it.
#[derive(Debug, Default)]
pub struct Verdict {
    /// How many tokens the server exchanged.
    pub exchanges: u64,
    /// How many times a worker logged in again.
    pub logins: u64,
    /// How many workers were killed and stopped.
    pub done: Done,
    /// The longest time without an exchange, in ms.
    pub longest_gap_ms: u64,
    /// Faults by name: how many, and an example.
    pub faults: BTreeMap<&'static str, (u64, String)>,
}

impl Verdict {
    fn fault(&mut self, name: &'static str, example: impl Into<String>) {
        self.faults.entry(name).or_insert_with(|| (0, example.into())).0 += 1;
    }

    /// How many faults there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.faults.values().map(|(count, _)| count).sum()
    }
}

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// How many processes.
    pub workers: usize,
    /// Until the server has exchanged so many, and nobody is killed; or for a time, and workers are.
    pub until: Until,
    /// The rule that workers break on purpose.
    pub rule: Option<&'a str>,
    /// Where chance begins.
    pub seed: u64,
    /// Longer than this without an exchange is a fault.
    pub gap_ms: u64,
}

/// When a run is over.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// So many exchanges, in a calm run.
    Exchanges(u64),
    /// After that time, in a rough one.
    Time(Duration),
}

/// Runs `program tokens-worker FOLDER SEED [EXCHANGES]` in many processes, and judges what came of it.
///
/// # Errors
/// Those of the system, and of the first login.
pub fn run(program: &Path, plan: &Plan<'_>) -> Result<Verdict, Box<dyn std::error::Error>> {
    // In memory where there is such a file system: what is tried is the order of things, not the disk.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
    let folder = folder.path();
    std::fs::create_dir(folder.join("logs"))?;
    let server = Server::start(&folder.join("server"), plan.seed)?;
    let credentials = Credentials::open(folder.join("state"))?;
    credentials.reset(KEY, Some(server.login().as_bytes()))?;
    let mut verdict = Verdict::default();
    match plan.until {
        Until::Exchanges(target) => calm(program, folder, plan, target, &mut verdict)?,
        Until::Time(time) => {
            let Plan { workers, rule, seed, .. } = *plan;
            verdict.done = chaos::run(program, "tokens-worker", folder, workers, time, rule, seed)?;
        }
    }
    let seen = server.seen();
    (verdict.exchanges, verdict.logins, verdict.longest_gap_ms) =
        (seen.exchanges, seen.logins - 1, seen.longest_gap_ms);
    for token in seen.twice {
        verdict.fault("a token was used twice", token);
    }
    if seen.longest_gap_ms > plan.gap_ms {
        verdict.fault("no progress", format!("{} ms", seen.longest_gap_ms));
    }
    for line in std::fs::read_to_string(folder.join(FAULTS)).unwrap_or_default().lines() {
        verdict.fault("told what should not be", line);
    }
    if let Until::Exchanges(target) = plan.until {
        let (logins, exchanges) = (verdict.logins, verdict.exchanges);
        if (exchanges, logins) != (target, 0) {
            verdict.fault("lost", format!("{exchanges} exchanges of {target}, {logins} logins"));
        }
    }
    goes_on(&credentials, &server, &mut verdict);
    Ok(verdict)
}

/// All workers at once, until each has seen the last token.
fn calm(
    program: &Path,
    folder: &Path,
    plan: &Plan<'_>,
    target: u64,
    verdict: &mut Verdict,
) -> std::io::Result<()> {
    let start = |number: usize| {
        let mut command = Command::new(program);
        command.arg("tokens-worker").arg(folder).arg((plan.seed + number as u64).to_string());
        command.arg(target.to_string()).envs(plan.rule.map(|rule| ("FOREBAY_BREAK", rule)));
        command.stdin(Stdio::null()).spawn()
    };
    let workers: Vec<_> = (0..plan.workers).map(start).collect::<Result<_, _>>()?;
    for mut worker in workers {
        let ended = worker.wait()?;
        if !ended.success() {
            verdict.fault("a worker failed", ended.to_string());
        }
    }
    Ok(())
}

/// When all are dead the next process gets on: at once, or after a login that it is told to make.
fn goes_on(credentials: &Credentials, server: &Server, verdict: &mut Verdict) {
    let exchange =
        |previous: Option<&[u8]>| server.exchange(&String::from_utf8_lossy(previous.unwrap_or_default()));
    let rotate = || {
        let seen = credentials.current(KEY)?;
        credentials.rotate(KEY, seen.as_ref().map(forebay::Credential::version), |job| {
            exchange(job.previous()).ok_or(Failure::new(Code::Unauthorized, "refused"))
        })
    };
    let mut result = rotate();
    if result.as_ref().is_err_and(|error| matches!(error.code(), Code::Ambiguous | Code::Gated)) {
        result = credentials.reset(KEY, Some(server.login().as_bytes())).and_then(|_| rotate());
    }
    match result.and_then(|_| credentials.state(KEY)) {
        Ok(state) if state.phase == Phase::Idle && state.ambiguous_since.is_none() => {}
        other => verdict.fault("does not go on", format!("{other:?}")),
    }
}
