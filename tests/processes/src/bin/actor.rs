//! `forebay-actor`: another process for the tests of every language.
//!
//!     forebay-actor --root ROOT [--clock FILE] [--durability WORD] VERB [ARGUMENT…]
//!
//! does the verb, prints one line of JSON, then does the same for each line of standard input, split at
//! spaces, until `exit` or its end. It ends without ending its lease, so killing it or closing its input are two
//! ways to abandon one. Verbs: `acquire KEY [--deadline MS] [--ttl MS]` (with a ttl only if not fresh), `original KEY --length MS`,
//! `ready`, `complete TEXT`, `unchanged`, `fail CODE MESSAGE`, `renew MS`, `drop`, `put KEY TEXT`, `mark_stale KEY`,
//! `remove KEY`, `read KEY TTL_MS`; of quotas `resolve NAME [--credential TEXT] [--identity TEXT] [--ttl MS] [--timeout MS]`,
//! which goes up to its fetch, then `fetched JSON`, `fetch_unchanged`, `fetch_status STATUS [RETRY-AFTER]`, `fetch_fails CODE MESSAGE`,
//! and `quota_block NAME MS`, `quota_clear NAME`; of credentials, in the state root `state` beside ROOT, `current KEY`, `reset KEY TEXT`, `forget KEY`, `rotate KEY [seen]` (seen: what the last `current`, or the last
//! rotation's end, showed), which goes up to its exchange, then `exchanged TEXT`, `exchange_fails CODE MESSAGE`.

use forebay::Durability;
use forebay_processes::Actor;
use serde_json::Value as Json;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nobody reads it where the other end is gone.
            drop(writeln!(std::io::stderr(), "forebay-actor: {why}"));
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut option = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        let value = words.get(at + 1).map(PathBuf::from);
        words.drain(at..words.len().min(at + 2));
        value
    };
    let root = option("--root").ok_or("--root ROOT is missing")?;
    let clock = option("--clock");
    let durability = option("--durability").map(|word| word.to_string_lossy().into_owned());
    let durability = durability.map(|word| Durability::parse(&word)).transpose();
    let durability = durability.map_err(|why| why.to_string())?.unwrap_or_default();
    let mut actor = Actor::open(root, clock, durability).map_err(|why| why.to_string())?;
    answer(&actor.obey(&words))?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|why| why.to_string())?;
        if line == "exit" {
            break;
        }
        answer(&actor.obey(&line.split(' ').collect::<Vec<_>>()))?;
    }
    Ok(())
}

fn answer(json: &Json) -> Result<(), String> {
    // A test that records what happens to the files wants to know when a call had returned.
    forebay::tape_mark(&format!("answer {json}"));
    let mut out = std::io::stdout().lock();
    writeln!(out, "{json}").and_then(|()| out.flush()).map_err(|why| why.to_string())
}
