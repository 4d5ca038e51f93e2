//! `forebay-soak`: real processes, killed and stopped at random, judged by what callers were told.
//!
//!     forebay-soak [tokens] [--seconds N] [--workers N] [--seed N] [--gap-ms N] [--break RULE | --controls]
//!     forebay-soak tokens --exchanges N [--workers N] [--seed N] [--break RULE]
//!
//! With `tokens` they rotate a single-use credential at a server that counts, else they use sources; with
//! `--exchanges` nobody is killed, and each token must be used exactly once.
//!
//! A clean run exits with 0. With `--break` one rule of the protocol is broken on purpose, and the run exits
//! with 0 only if faults were found; `--controls` does that for every rule.

use forebay_processes::soak::tokens::{self, Plan, Until};
use forebay_processes::soak::{KEYS, chaos, judge, log, worker};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("worker") => work(&arguments),
        Some("tokens-worker") => rotate(&arguments),
        _ => soak(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            say(&format!("forebay-soak: {error}"));
            ExitCode::from(2)
        }
    }
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn work(arguments: &[String]) -> Result<ExitCode> {
    let [_, folder, seed] = arguments else { return Err("worker FOLDER SEED".into()) };
    let folder = PathBuf::from(folder);
    worker::work(&folder.join("root"), &folder.join("logs"), seed.parse()?)?;
    Ok(ExitCode::SUCCESS)
}

fn rotate(arguments: &[String]) -> Result<ExitCode> {
    let [_, folder, seed, target @ ..] = arguments else { return Err("tokens-worker FOLDER SEED".into()) };
    let target = target.first().map(|target| target.parse()).transpose()?;
    tokens::worker::work(Path::new(folder), seed.parse()?, target)?;
    Ok(ExitCode::SUCCESS)
}

fn number(arguments: &[String], name: &str, default: u64) -> Result<u64> {
    match arguments.iter().position(|word| word == name) {
        Some(at) => Ok(arguments.get(at + 1).ok_or(format!("{name} wants a number"))?.parse()?),
        None => Ok(default),
    }
}

fn soak(arguments: &[String]) -> Result<ExitCode> {
    let time = Duration::from_secs(number(arguments, "--seconds", 10)?);
    let workers = usize::try_from(number(arguments, "--workers", 3)?)?;
    let seed = number(arguments, "--seed", log::now().unsigned_abs())?;
    let gap_ms = number(arguments, "--gap-ms", 1000)?;
    let single_use = arguments.first().is_some_and(|word| word == "tokens");
    let exchanges = number(arguments, "--exchanges", 0)?;
    let until = if exchanges > 0 { Until::Exchanges(exchanges) } else { Until::Time(time) };
    let run = |rule: Option<&str>| {
        if single_use {
            run_tokens(&Plan { workers, until, rule, seed, gap_ms })
        } else {
            run(rule, time, workers, seed, i64::try_from(gap_ms)?)
        }
    };
    let rule = arguments.iter().position(|word| word == "--break").and_then(|at| arguments.get(at + 1));
    let rules: Vec<&str> = match rule {
        Some(rule) => vec![rule.as_str()],
        None if arguments.iter().any(|word| word == "--controls") && single_use => {
            forebay::EXCHANGE_BREAKS.to_vec()
        }
        None if arguments.iter().any(|word| word == "--controls") => forebay::BREAKS.to_vec(),
        None => Vec::new(),
    };
    if rules.is_empty() {
        let faults = run(None)?;
        return Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut unnoticed = Vec::new();
    for rule in rules {
        if run(Some(rule))? == 0 {
            unnoticed.push(rule);
        }
    }
    say(&format!("rules whose break was not noticed: {unnoticed:?}"));
    Ok(if unnoticed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(rule: Option<&str>, time: Duration, workers: usize, seed: u64, gap_ms: i64) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("logs"))?;
    let done = chaos::run(&std::env::current_exe()?, "worker", folder.path(), workers, time, rule, seed)?;
    let events = log::read_all(&folder.path().join("logs"))?;
    let mut verdict = judge::judge(&events, gap_ms);
    for left in left_over(&folder.path().join("root"))? {
        verdict.faults.entry("left over").or_insert((0, left)).0 += 1;
    }
    say(&format!(
        "{} for {} s, {workers} workers, seed {seed}: {} kills, {} stops, {} leases, {} commits, {} reads, \
         longest without progress {} ms, {} faults",
        rule.map_or_else(|| "sound protocol".to_owned(), |rule| format!("broken: {rule}")),
        time.as_secs(),
        done.kills,
        done.stops,
        verdict.leases,
        verdict.commits,
        verdict.reads,
        verdict.longest_gap_ms,
        verdict.count(),
    ));
    for (name, (count, example)) in &verdict.faults {
        say(&format!("  {count} × {name}: {}", example.trim()));
    }
    Ok(verdict.count())
}

fn run_tokens(plan: &Plan<'_>) -> Result<u64> {
    let verdict = tokens::run(&std::env::current_exe()?, plan)?;
    say(&format!(
        "{}, {} workers, seed {}: {} kills, {} stops, {} exchanges, {} logins, longest without an exchange {} ms, \
         {} faults",
        plan.rule.map_or_else(|| "sound rotation".to_owned(), |rule| format!("broken: {rule}")),
        plan.workers,
        plan.seed,
        verdict.done.kills,
        verdict.done.stops,
        verdict.exchanges,
        verdict.logins,
        verdict.longest_gap_ms,
        verdict.count(),
    ));
    for (name, (count, example)) in &verdict.faults {
        say(&format!("  {count} × {name}: {}", example.trim()));
    }
    Ok(verdict.count())
}

/// What must not be there when all are dead and one has pruned: files that are no fact, slots left odd.
fn left_over(root: &Path) -> Result<Vec<String>> {
    let mut left = Vec::new();
    let cache = forebay::CacheOptions::new().root(root).sweep_age(Duration::ZERO).open()?;
    let keep: Vec<forebay::Key> = KEYS.iter().filter_map(|key| forebay::Key::parse(key).ok()).collect();
    cache.prune(&keep)?;
    for tier in ["soak", "other"] {
        let Ok(entries) = std::fs::read_dir(root.join(tier)) else { continue };
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || name.ends_with(".refreshing") {
                left.push(format!("{tier}/{name}"));
            }
        }
    }
    let table = std::fs::read(root.join(".forebay/generations"))?;
    for key in &keep {
        // Whoever takes the guard next ends what was left odd; prune took it.
        let at = 64 + 64 * key.slot() as usize;
        if table[at] & 1 == 1 {
            left.push(format!("slot of {key} is odd"));
        }
    }
    Ok(left)
}
