//! A worker: rotates the one credential again and again. In a rough run it is killed, not ended, and logs in again
//! where it is told that the outcome of an exchange is not known. What it should never be told it writes down.

use super::super::worker::Dice;
use super::server::ask;
use super::{FAULTS, KEY};
use forebay::{Code, Credential, Credentials, CredentialsOptions, Error, Exchange, Failure, How, Version};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an exchange may take in a rough run: workers are stopped for longer than that.
const SHORT: Duration = Duration::from_millis(20);
/// And in a calm one, on a machine that does other things too.
const LONG: Duration = Duration::from_secs(60);

struct Worker {
    folder: PathBuf,
    credentials: Credentials,
    dice: Dice,
    seen: Option<Version>,
    /// The number of the last token, in a calm run.
    target: Option<u64>,
}

/// Works until killed, or until it has seen token number `target`.
///
/// # Errors
/// What keeps it from beginning.
pub fn work(folder: &Path, seed: u64, target: Option<u64>) -> Result<(), Box<dyn std::error::Error>> {
    let deadline = if target.is_some() { LONG } else { SHORT };
    let credentials = CredentialsOptions::new().root(folder.join("state")).deadline(deadline).open()?;
    let mut worker =
        Worker { folder: folder.to_owned(), credentials, dice: Dice::new(seed), seen: None, target };
    while !worker.turn() {}
    Ok(())
}

impl Worker {
    /// One rotation; whether all is done.
    fn turn(&mut self) -> bool {
        let server = self.folder.join("server");
        let exchange = |job: &Exchange| exchange(&server, job);
        match self.credentials.rotate(KEY, self.seen.as_ref(), exchange) {
            Ok(got) => self.got(&got),
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    fn got(&mut self, got: &Credential) -> bool {
        if got.how() == How::Uncoordinated {
            // Somebody stopped for too long had lost its lease to a login.
            self.unless_rough(&format!("not stored: {:?}", got.error().map(Error::code)));
            self.seen = None;
            return false;
        }
        self.seen = Some(got.version().clone());
        self.pause(500);
        let number: Option<u64> =
            String::from_utf8_lossy(got.data()).rsplit('-').next().and_then(|text| text.parse().ok());
        match (number, self.target) {
            (None, _) => {
                self.fault("a token without a number");
                true
            }
            (Some(number), Some(target)) => number >= target,
            (Some(_), None) => false,
        }
    }

    fn failed(&mut self, error: &Error) {
        match error.code() {
            Code::Ambiguous if self.dice.below(3) == 0 => self.log_in(),
            // Gated: two died in a row.
            Code::Ambiguous | Code::Gated | Code::HolderDied | Code::LockTimeout => self.pause(5000),
            // A login came while somebody's exchange was under way.
            Code::NotFound => {}
            _ => return self.fault(&error.to_string()),
        }
        self.unless_rough(&error.to_string());
        self.seen = None;
    }

    fn log_in(&mut self) {
        let stored = match ask(&self.folder.join("server"), "login") {
            Ok(token) => self.credentials.reset(KEY, Some(token.as_bytes())).map(drop),
            Err((_, error)) => return self.fault(&format!("cannot log in: {error}")),
        };
        if let Err(error) = stored
            && error.code() != Code::LockTimeout
        {
            self.fault(&format!("cannot store a login: {error}"));
        }
    }

    fn unless_rough(&self, text: &str) {
        if self.target.is_some() {
            self.fault(text);
        }
    }

    fn fault(&self, text: &str) {
        let file = std::fs::File::options().create(true).append(true).open(self.folder.join(FAULTS));
        let line = format!("{text}\n");
        // Where it cannot be written the judge finds less, never more.
        drop(file.and_then(|mut file| file.write_all(line.as_bytes())));
    }

    /// Lets a little time pass, as the use of a token would.
    fn pause(&mut self, micros: u64) {
        let pause = Duration::from_micros(self.dice.below(micros));
        #[allow(clippy::disallowed_methods, reason = "the time between two requests is what is simulated")]
        std::thread::sleep(pause);
    }
}

fn exchange(server: &Path, job: &Exchange) -> Result<String, Failure> {
    let previous = String::from_utf8_lossy(job.previous().unwrap_or_default()).into_owned();
    match ask(server, &format!("use {previous}")) {
        Ok(answer) if answer == "refused" => Err(Failure::new(Code::Unauthorized, "the server refused")),
        Ok(token) => Ok(token),
        Err((false, error)) => Err(Failure::new(Code::Unavailable, error.to_string()).not_sent()),
        Err((true, error)) => Err(Failure::new(Code::Unavailable, error.to_string())),
    }
}
