//! `forebay-peer ROOT`: the Rust side of the matrix in `tests/interop`, whose README has the protocol.

use forebay::{
    AcquireOptions, Acquired, Cache, Code, Commit, Credentials, Error, Failure, Fetched, Live, Result,
    Source, Ticket, Value, Wait,
};
use serde_json::{Value as Json, json};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

#[path = "peer/accounts.rs"]
mod accounts;
#[path = "peer/live.rs"]
mod live;

struct Peer {
    cache: Cache,
    ticket: Option<Ticket>,
    credentials: Credentials,
    root: PathBuf,
    live: Option<Live>,
}

impl Peer {
    fn answer(&mut self, request: &Json) -> Result<Json> {
        let key = request["key"].as_str().unwrap_or_default();
        let source = lifetimes(self.cache.source(key), request);
        match request["op"].as_str().unwrap_or_default() {
            "put" => source.put(data(request)?, &commit(request)).map(|value| version(&value)),
            "read" => source.read().map(|value| shown(&value)),
            "acquire" => self.acquire(&source),
            "complete" => {
                self.ticket()?.complete(data(request)?, &commit(request)).map(|value| version(&value))
            }
            "fail" => self.fail(request),
            "state" => state(&source),
            "get" => {
                let bytes = data(request)?;
                let value = source.get(move |_| Ok::<_, Failure>(Fetched::new(bytes)), Wait::UntilDone)?;
                Ok(json!({"hex": value.data().map(hex), "how": value.how.map(|how| how.as_str())}))
            }
            "mark_stale" => source.mark_stale().map(|()| json!({})),
            "remove" => source.remove().map(|removed| json!({ "removed": removed })),
            "list" => {
                let keys: Vec<String> = self.cache.list()?.iter().map(|one| one.key.to_string()).collect();
                Ok(json!({ "keys": keys }))
            }
            op if op.starts_with("live_") => live::answer(self, request),
            _ => accounts::answer(self, request),
        }
    }

    fn ticket(&self) -> Result<&Ticket> {
        self.ticket.as_ref().ok_or_else(|| Error::new(Code::Invalid, "this peer holds no ticket"))
    }

    fn acquire(&mut self, source: &Source) -> Result<Json> {
        let outcome = match source.acquire(&AcquireOptions::default())? {
            Acquired::Ticket(ticket) => {
                self.ticket = Some(ticket);
                "ticket"
            }
            Acquired::InFlight(_) => "in_flight",
            Acquired::Fresh(_) => "fresh",
            Acquired::Gated(_) => "gated",
        };
        Ok(json!({ "outcome": outcome }))
    }

    fn fail(&self, request: &Json) -> Result<Json> {
        let code = request["code"].as_str().and_then(Code::from_text).unwrap_or(Code::RefreshFailed);
        let failure = Failure::new(code, request["message"].as_str().unwrap_or_default());
        let failure = match request["retry_after_ms"].as_u64() {
            Some(ms) => failure.retry_after(Duration::from_millis(ms)),
            None => failure,
        };
        self.ticket()?.fail(&failure).map(|()| json!({}))
    }
}

fn lifetimes(source: Source, request: &Json) -> Source {
    let ms = |name: &str| request[name].as_u64().map(Duration::from_millis);
    let source = match ms("ttl_ms") {
        Some(ttl) => source.ttl(ttl),
        None => source,
    };
    match ms("deadline_ms") {
        Some(deadline) => source.deadline(deadline),
        None => source,
    }
}

fn commit(request: &Json) -> Commit {
    Commit { validator: request["validator"].as_str().map(str::to_owned), ..Commit::default() }
}

fn data(request: &Json) -> Result<Vec<u8>> {
    let hex = request["hex"].as_str().unwrap_or("?");
    let pairs = (0..hex.len().div_ceil(2))
        .map(|at| hex.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()));
    pairs.collect::<Option<_>>().ok_or_else(|| Error::new(Code::Invalid, "that is not hex"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn version(value: &Value) -> Json {
    json!({"version": value.version().to_string()})
}

fn shown(value: &Value) -> Json {
    json!({
        "hex": value.data().map(hex),
        "state": value.state.as_str(),
        "phase": value.phase.map(|phase| phase.as_str()),
        "validator": value.validator(),
        "version": value.version().to_string(),
        "error": value.error.as_ref().map(|error| error.code().as_str()),
    })
}

fn epoch_ms(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn state(source: &Source) -> Result<Json> {
    let state = source.refresh_state()?;
    Ok(json!({
        "phase": state.phase.as_str(),
        "error": state.last_error.as_ref().map(|error| error.code().as_str()),
        "message": state.last_error.as_ref().map(forebay::Error::message),
        "attempts": state.attempts,
        "declared": state.declared,
        "retry_at_ms": state.retry_at.map(epoch_ms),
        "holder": state.holder,
    }))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nobody reads it where the other end is gone.
            drop(writeln!(std::io::stderr(), "forebay-peer: {why}"));
            ExitCode::from(2)
        }
    }
}

fn run() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).ok_or("usage: forebay-peer ROOT")?;
    let credentials = Credentials::open(Path::new(&root).with_file_name("state"))?;
    let cache = Cache::open(&root)?;
    let mut peer = Peer { cache, ticket: None, credentials, root: root.into(), live: None };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", json!({"language": "rust"}))?;
    for line in std::io::stdin().lock().lines() {
        let answer = match peer.answer(&serde_json::from_str(&line?)?) {
            Ok(answer) => answer,
            Err(error) => json!({"error": error.code().as_str(), "message": error.to_string()}),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}
