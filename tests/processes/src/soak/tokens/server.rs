//! A server of single-use tokens: each is accepted once, and gives the next. It lives in a thread of the judging
//! process, takes one line per connection of a Unix socket (`use TOKEN`, `login`), and is slow now and then, so that
//! workers die before, while and after it takes a token. It knows nothing of how tokens are kept.

use super::super::worker::Dice;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the server saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How many tokens it exchanged.
    pub exchanges: u64,
    /// How many logins there were.
    pub logins: u64,
    /// The tokens that came although they had been used.
    pub twice: Vec<String>,
    /// The longest time without an exchange, in ms.
    pub longest_gap_ms: u64,
}

#[derive(Debug)]
struct State {
    seen: Seen,
    next: u64,
    valid: HashSet<String>,
    last: Instant,
    dice: Dice,
}

/// The running server.
#[derive(Clone, Debug)]
pub struct Server(Arc<Mutex<State>>);

impl Server {
    /// Listens on a socket of that path, until the process ends.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(path: &Path, seed: u64) -> std::io::Result<Server> {
        let listener = UnixListener::bind(path)?;
        let seen = Seen { exchanges: 0, logins: 0, twice: Vec::new(), longest_gap_ms: 0 };
        let (last, dice) = (Instant::now(), Dice::new(seed));
        let server = Server(Arc::new(Mutex::new(State { seen, next: 0, valid: HashSet::new(), last, dice })));
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = serving.clone();
                // A worker that was killed reads no answer.
                std::thread::spawn(move || server.serve(&stream).unwrap_or_default());
            }
        });
        Ok(server)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &UnixStream) -> std::io::Result<()> {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        self.dawdle();
        let answer = match line.trim_end().split_once(' ') {
            Some(("use", token)) => self.exchange(token).unwrap_or_else(|| "refused".to_owned()),
            // A killed worker's line may be cut off: nothing was asked.
            _ if line == "login\n" => self.login(),
            _ => return Ok(()),
        };
        self.dawdle();
        let mut stream = stream;
        writeln!(stream, "{answer}")
    }

    /// Takes its time, mostly little.
    fn dawdle(&self) {
        let micros = {
            let dice = &mut self.state().dice;
            let most = if dice.below(10) == 0 { 3000 } else { 300 };
            dice.below(most)
        };
        #[allow(clippy::disallowed_methods, reason = "the time that a server takes is what is simulated")]
        std::thread::sleep(Duration::from_micros(micros));
    }

    /// Exchanges a token; none where it is none, or was used.
    #[must_use]
    pub fn exchange(&self, token: &str) -> Option<String> {
        let mut state = self.state();
        if !state.valid.remove(token) {
            state.seen.twice.push(token.to_owned());
            return None;
        }
        state.seen.exchanges += 1;
        let gap = u64::try_from(state.last.elapsed().as_millis()).unwrap_or(u64::MAX);
        state.seen.longest_gap_ms = state.seen.longest_gap_ms.max(gap);
        state.last = Instant::now();
        Some(state.issue())
    }

    /// A new token for a new login.
    #[must_use]
    pub fn login(&self) -> String {
        let mut state = self.state();
        state.seen.logins += 1;
        state.issue()
    }

    /// What it saw so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.state().seen.clone()
    }
}

impl State {
    fn issue(&mut self) -> String {
        let token = format!("token-{}", self.next);
        self.next += 1;
        self.valid.insert(token.clone());
        token
    }
}

/// Asks the server at that path.
///
/// # Errors
/// Those of the system: before anything was sent, or, as the second of the pair, after it.
pub fn ask(path: &Path, line: &str) -> Result<String, (bool, std::io::Error)> {
    let mut stream = UnixStream::connect(path).map_err(|error| (false, error))?;
    let mut answer = String::new();
    writeln!(stream, "{line}")
        .and_then(|()| BufReader::new(stream).read_line(&mut answer))
        .map_err(|error| (true, error))?;
    match answer.trim_end() {
        "" => Err((true, std::io::ErrorKind::UnexpectedEof.into())),
        answer => Ok(answer.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_accepted_once_and_its_second_use_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server");
        let server = Server::start(&path, 1).unwrap();
        let first = ask(&path, "login").unwrap();
        let second = ask(&path, &format!("use {first}")).unwrap();
        assert!(second != first && server.seen().twice.is_empty());
        assert_eq!(ask(&path, &format!("use {first}")).unwrap(), "refused");
        let seen = server.seen();
        assert_eq!((seen.exchanges, seen.logins, seen.twice), (1, 1, vec![first]));
    }
}
