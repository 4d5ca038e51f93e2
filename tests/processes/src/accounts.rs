//! What the other process does with quotas and rotated credentials: one `resolve` and one rotation at a time, each
//! stopped where the caller's own work is due, so that a test may kill it there. It knows nothing of sources.

use crate::commands::{number, wrong};
use forebay::{
    Cache, Code, Credential, Credentials, CredentialsOptions, Error, Failure, Fetched, Resolve, Result,
    RotateStep, Rotation, Step, Version,
};
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::time::Duration;

/// How long one wait lasts at most; it is begun again.
const SLICE: Duration = Duration::from_secs(1);

/// The calls under way.
pub(crate) struct Accounts {
    state: PathBuf,
    clock: Option<PathBuf>,
    resolve: Option<Resolve>,
    secret: String,
    credentials: Option<Credentials>,
    rotation: Option<Rotation>,
    /// The version of the credential that was last shown.
    seen: Option<Version>,
}

impl Accounts {
    /// Credentials are in the state root, with the test clock in that file or with the real one.
    pub(crate) fn new(state: PathBuf, clock: Option<PathBuf>) -> Accounts {
        let (resolve, credentials, rotation) = (None, None, None);
        Accounts { state, clock, resolve, secret: String::new(), credentials, rotation, seen: None }
    }

    /// Does what the words say; none where they are no words of these.
    pub(crate) fn obey(&mut self, cache: &Cache, words: &[&str]) -> Result<Option<Json>> {
        match *words {
            ["resolve", name, ref options @ ..] => self.resolve(cache, name, options),
            ["quota_block", name, ms] => {
                let wait = Duration::from_millis(number(ms)?);
                cache.quota(name).block(wait, Code::RateLimited, "told so").map(|_| json!({"ok": true}))
            }
            ["quota_clear", name] => {
                cache.quota(name).clear().map(|cleared| json!({"ok": true, "cleared": cleared}))
            }
            ["fetch_unchanged"] => self.fetched(Ok(Fetched::unchanged())),
            ["fetched", ref text @ ..] => self.fetched(Ok(Fetched::new(text.join(" ")))),
            ["fetch_status", status, ref after @ ..] => {
                let status = u16::try_from(number(status)?).map_err(|_| wrong(status))?;
                let after = Some(after.join(" ")).filter(|after| !after.is_empty());
                self.fetched(Err(Failure::from_status(status, after.as_deref())))
            }
            ["fetch_fails", code, ref message @ ..] => self.fetched(Err(failure(code, message)?)),
            ["current", key] => {
                let current = self.credentials()?.current(key)?;
                Ok(current.map_or_else(|| json!({"data": null}), |credential| self.shown(&credential)))
            }
            ["rotate", key, ref seen @ ..] => {
                let seen = if seen == ["seen"] { self.seen.clone() } else { None };
                self.rotation = Some(self.credentials()?.begin(key, seen.as_ref()));
                self.rotate()
            }
            ["reset", key, text] => {
                self.credentials()?.reset(key, Some(text.as_bytes()))?;
                Ok(json!({"data": text, "how": "reset"}))
            }
            ["forget", key] => {
                self.credentials()?.reset(key, None)?;
                Ok(json!({"data": null, "how": "reset"}))
            }
            ["exchanged", ref text @ ..] => self.exchanged(Ok(text.join(" "))),
            ["exchange_fails", code, ref message @ ..] => self.exchanged(Err(failure(code, message)?)),
            _ => return Ok(None),
        }
        .map(Some)
    }

    fn resolve(&mut self, cache: &Cache, name: &str, options: &[&str]) -> Result<Json> {
        let mut quota = cache.quota(name);
        self.secret = "actor".to_owned();
        for option in options.chunks(2) {
            quota = match *option {
                ["--credential", text] => {
                    self.secret = text.to_owned();
                    quota
                }
                ["--identity", text] => quota.identity(text),
                ["--ttl", ms] => quota.ttl(Duration::from_millis(number(ms)?)),
                ["--timeout", ms] => quota.timeout(Duration::from_millis(number(ms)?)),
                _ => return Err(wrong(&option.join(" "))),
            };
        }
        self.resolve = Some(quota.begin());
        self.go_on()
    }

    /// Up to the fetch, or to the end.
    fn go_on(&mut self) -> Result<Json> {
        let resolve = self.resolve.as_mut().ok_or_else(|| missing("resolve"))?;
        loop {
            match resolve.next()? {
                Step::Credentials => resolve.credentials(Ok::<_, Failure>(&self.secret)),
                Step::Fallback => resolve.fallback(Ok::<_, Failure>(None::<Vec<u8>>)),
                Step::Wait => {
                    resolve.wait(SLICE, None);
                }
                Step::Fetch => return Ok(json!({"step": "fetch", "pid": std::process::id()})),
                Step::Done(answer) => {
                    return Ok(json!({
                        "how": answer.how.as_str(),
                        "state": answer.state.as_str(),
                        "data": &*answer.data,
                    }));
                }
            }
        }
    }

    fn fetched(&mut self, brought: std::result::Result<Fetched, Failure>) -> Result<Json> {
        self.resolve.as_mut().ok_or_else(|| missing("resolve"))?.fetched(brought);
        self.go_on()
    }

    fn credentials(&mut self) -> Result<&Credentials> {
        if self.credentials.is_none() {
            let options = CredentialsOptions::new().root(&self.state);
            let options = match &self.clock {
                Some(clock) => options.test_clock(clock),
                None => options,
            };
            self.credentials = Some(options.open()?);
        }
        self.credentials.as_ref().ok_or_else(|| missing("credentials"))
    }

    /// Up to the exchange, or to the end.
    fn rotate(&mut self) -> Result<Json> {
        let rotation = self.rotation.as_mut().ok_or_else(|| missing("rotation"))?;
        loop {
            match rotation.next()? {
                RotateStep::Wait => {
                    rotation.wait(SLICE, None);
                }
                RotateStep::Exchange => {
                    let previous = rotation.exchange().and_then(|exchange| exchange.previous().map(lossy));
                    let pid = std::process::id();
                    return Ok(json!({"step": "exchange", "previous": previous, "pid": pid}));
                }
                RotateStep::Done(credential) => return Ok(self.shown(&credential)),
            }
        }
    }

    fn exchanged(&mut self, brought: std::result::Result<String, Failure>) -> Result<Json> {
        self.rotation.as_mut().ok_or_else(|| missing("rotation"))?.exchanged(brought);
        self.rotate()
    }

    fn shown(&mut self, credential: &Credential) -> Json {
        self.seen = Some(credential.version().clone());
        json!({
            "data": lossy(credential.data()),
            "how": credential.how().as_str(),
            "version": credential.version().to_string(),
        })
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn failure(code: &str, message: &[&str]) -> Result<Failure> {
    let code = Code::from_text(code).ok_or_else(|| wrong(code))?;
    Ok(Failure::new(code, message.join(" ")))
}

fn missing(what: &str) -> Error {
    Error::new(Code::Invalid, format!("this actor has no {what} under way"))
}
