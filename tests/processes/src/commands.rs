//! `Actor`: one cache, at most one ticket, and what `accounts` has under way, driven by lines of words. Each line gets one line of JSON.

use crate::accounts::Accounts;
use forebay::{
    AcquireOptions, Acquired, Cache, Code, Commit, Durability, Error, Failure, Result, Source, Ticket, Value,
};
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::time::Duration;

/// Another process's cache, and the lease that it holds.
pub struct Actor {
    cache: Cache,
    root: PathBuf,
    clock: Option<PathBuf>,
    ticket: Option<Ticket>,
    accounts: Accounts,
}

impl Actor {
    /// Opens the root, with the test clock in that file or with the real one.
    ///
    /// # Errors
    /// As opening the cache.
    ///
    /// ```
    /// use forebay::Durability;
    /// let folder = std::env::temp_dir().join(format!("forebay-actor-{}", std::process::id()));
    /// let mut actor = forebay_processes::Actor::open(folder.clone(), None, Durability::Data)?;
    /// let answer = actor.obey(&["acquire", "api/models", "--deadline", "5000"]);
    /// assert_eq!(answer["outcome"], "ticket");
    /// assert_eq!(actor.obey(&["complete", "some", "text"])["ok"], true);
    /// assert_eq!(actor.obey(&["read", "api/models", "1000"])["data"], "some text");
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// # Ok::<(), forebay::Error>(())
    /// ```
    pub fn open(root: PathBuf, clock: Option<PathBuf>, durability: Durability) -> Result<Actor> {
        let options = forebay::CacheOptions::default().root(&root).durability(durability);
        let options = match &clock {
            Some(clock) => options.test_clock(clock),
            None => options,
        };
        // The state root stands beside the cache's.
        let accounts = Accounts::new(root.with_file_name("state"), clock.clone());
        Ok(Actor { cache: options.open()?, root, clock, ticket: None, accounts })
    }

    /// Does what the words say, and tells what came of it.
    pub fn obey(&mut self, words: &[&str]) -> Json {
        match self.run(words) {
            Ok(answer) => answer,
            Err(error) => json!({"error": error.code().as_str(), "message": error.to_string()}),
        }
    }

    fn run(&mut self, words: &[&str]) -> Result<Json> {
        let ok = |_| json!({"ok": true});
        if let Some(answer) = self.accounts.obey(&self.cache, words)? {
            return Ok(answer);
        }
        match *words {
            ["acquire", key, ref options @ ..] => self.acquire(key, options),
            ["original", key, "--length", ms] => {
                crate::write_marker(&self.root, self.clock.as_deref(), key, number(ms)?)?;
                Ok(json!({"outcome": "ticket", "pid": std::process::id()}))
            }
            ["ready"] => Ok(json!({"ok": true, "pid": std::process::id()})),
            ["complete", ref text @ ..] => {
                self.ticket()?.complete(text.join(" "), &Commit::default()).map(ok)
            }
            ["unchanged"] => self.ticket()?.unchanged(&Commit::default()).map(ok),
            ["fail", code, ref message @ ..] => {
                let code = Code::from_text(code).ok_or_else(|| wrong(code))?;
                self.ticket()?.fail(&Failure::new(code, message.join(" "))).map(|()| json!({"ok": true}))
            }
            ["renew", ms] => {
                let length = Duration::from_millis(number(ms)?);
                self.ticket()?.renew(length).map(|()| json!({"ok": true}))
            }
            ["drop"] => {
                self.ticket = None;
                Ok(json!({"ok": true}))
            }
            ["put", key, ref text @ ..] => {
                self.cache.source(key).put(text.join(" "), &Commit::default()).map(ok)
            }
            ["mark_stale", key] => self.cache.source(key).mark_stale().map(|()| json!({"ok": true})),
            ["remove", key] => {
                self.cache.source(key).remove().map(|removed| json!({"ok": true, "removed": removed}))
            }
            ["read", key, ttl] => {
                let source = self.cache.source(key).ttl(Duration::from_millis(number(ttl)?));
                source.read().map(|value| shown(&value))
            }
            _ => Err(wrong(&words.join(" "))),
        }
    }

    fn ticket(&self) -> Result<&Ticket> {
        self.ticket.as_ref().ok_or_else(|| Error::new(Code::Invalid, "this actor holds no ticket"))
    }

    fn acquire(&mut self, key: &str, options: &[&str]) -> Result<Json> {
        let (mut source, mut ask) = (self.cache.source(key), AcquireOptions::default());
        for option in options.chunks(2) {
            source = match *option {
                ["--deadline", ms] => source.deadline(Duration::from_millis(number(ms)?)),
                ["--ttl", ms] => ttl(source, &mut ask, number(ms)?),
                _ => return Err(wrong(&option.join(" "))),
            };
        }
        let outcome = match source.acquire(&ask)? {
            Acquired::Ticket(ticket) => {
                let answer = json!({
                    "outcome": "ticket",
                    "token": ticket.token().to_string(),
                    "pid": std::process::id(),
                });
                self.ticket = Some(ticket);
                return Ok(answer);
            }
            Acquired::InFlight(_) => "in_flight",
            Acquired::Fresh(_) => "fresh",
            Acquired::Gated(_) => "gated",
        };
        Ok(json!({ "outcome": outcome }))
    }
}

/// With a ttl, a fresh value is enough.
fn ttl(source: Source, ask: &mut AcquireOptions, ms: u64) -> Source {
    ask.unless_fresh = true;
    source.ttl(Duration::from_millis(ms))
}

pub(crate) fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| wrong(text))
}

pub(crate) fn wrong(text: &str) -> Error {
    Error::new(Code::Invalid, format!("an actor does not understand {text:?}"))
}

fn shown(value: &Value) -> Json {
    json!({
        "data": value.data().map(String::from_utf8_lossy),
        "state": value.state.as_str(),
        "phase": value.phase.map(|phase| phase.as_str()),
        "validator": value.validator(),
    })
}
