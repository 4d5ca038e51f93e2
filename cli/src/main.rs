//! The `forebay` command: the cache for shells. It parses (`args`, by the table in `spec`), does one thing
//! (`run`, `derive`, `show`, `change`, `refresh`, `live`, `quota`, `resolve`, `rotate`) and says how that ended (`exit`).
//! All behaviour of the cache is core's.
//!
//! It starts in well under a millisecond, because it stands before every cached command: nothing is initialised
//! that the one thing does not need, and the parser is `lexopt` over a table (docs/command.md, Start-up).

mod args;
mod change;
mod command;
mod completions;
mod derive;
mod detach;
mod envelope;
mod exit;
mod feed;
mod fingerprint;
mod flags;
mod help;
mod here;
mod human;
mod json;
mod live;
mod open;
mod out;
mod progress;
mod quota;
mod refresh;
mod reply;
mod resolve;
mod rotate;
mod run;
mod say;
mod show;
mod signals;
mod spec;
mod stream;
mod table;
mod verdict;

use args::Parsed;
use exit::Failed;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let parsed = match args::parse(&arguments) {
        Ok(parsed) => parsed,
        Err(failed) => {
            out::warn(&failed);
            return failed.exit_code();
        }
    };
    let outcome = if parsed.has("help") { help(parsed.command.name) } else { perform(&parsed) };
    outcome.unwrap_or_else(|failed| {
        if parsed.has("json") {
            out::raw_error(format!("{}\n", json::text(&json::Failure::new(&failed))).as_bytes());
        } else {
            out::warn(&failed);
        }
        failed.exit_code()
    })
}

fn perform(parsed: &Parsed) -> Result<ExitCode, Failed> {
    match parsed.command.name {
        "run" => run::run(parsed),
        spec::DETACHED => run::detached(parsed),
        "get" => show::get(parsed),
        "state" => show::state(parsed),
        "list" => show::list(parsed),
        "why" => show::why(parsed),
        "put" => change::put(parsed),
        "mark-stale" => change::mark_stale(parsed),
        "remove" => change::remove(parsed),
        "prune" => change::prune(parsed),
        "refresh" => refresh::refresh(parsed),
        "live ls" => live::ls(parsed),
        "live why" => live::why(parsed),
        "live invalidate" => live::invalidate(parsed),
        "live gc" => live::gc(parsed),
        "live stats" => live::stats(parsed),
        "quota resolve" => resolve::resolve(parsed),
        "quota show" => quota::show(parsed),
        "quota block" => quota::block(parsed),
        "quota clear" => quota::clear(parsed),
        "rotate" => rotate::rotate(parsed),
        "rotate-reset" => rotate::reset(parsed),
        "completions" => completions(parsed),
        "version" => version(parsed),
        _ => {
            let words: Vec<_> = parsed.operands.iter().map(|word| word.to_string_lossy()).collect();
            help(&words.join(" "))
        }
    }
}

fn help(name: &str) -> Result<ExitCode, Failed> {
    let text = match (name, spec::group(name), spec::find(name)) {
        ("" | "help", ..) => help::overview(),
        (_, Some(group), _) => help::of_group(group),
        (_, None, Some(command)) => help::of(command),
        _ => return Err(args::usage(&format!("there is no command {name:?}"), None)),
    };
    out::data(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn version(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let version = env!("CARGO_PKG_VERSION");
    out::line(&match parsed.has("json") {
        true => format!(r#"{{"version":"{version}","format":1}}"#),
        false => format!("forebay {version}"),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn completions(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let shell = parsed.operands.first().and_then(|shell| shell.to_str()).unwrap_or_default();
    let text = completions::of(shell)
        .ok_or_else(|| parsed.usage("for which shell? there are completions for bash, zsh and fish"))?;
    out::data(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
