//! `forebay-resolver ROOT STATE CLOCK PORT`: the Rust member of the crowd in `tests/crowd`, whose README has what it is asked
//! and answers. Its HTTP client knows no more than that server needs.

use forebay::{
    Answer, Cache, CacheOptions, Code, Credentials, CredentialsOptions, Error, Exchange, Failure, Fetched,
    QuotaJob, Version,
};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

const TIMEOUT: Duration = Duration::from_secs(60);

struct Member {
    cache: Cache,
    credentials: Credentials,
    port: u16,
}

/// One line: VERB NAME GIVEN PATIENCE_MS FALLBACK.
struct Question<'a> {
    name: &'a str,
    given: Option<&'a str>,
    patience: Duration,
    fallback: Option<&'a str>,
}

impl Member {
    fn answer(&self, line: &str) -> Result<Json, String> {
        let words: Vec<&str> = line.split(' ').collect();
        let [verb, name, given, patience_ms, fallback] = words[..] else {
            return Err(format!("{line:?} is not VERB NAME GIVEN PATIENCE_MS FALLBACK"));
        };
        let patience =
            Duration::from_millis(patience_ms.parse().map_err(|why| format!("{patience_ms}: {why}"))?);
        let [given, fallback] = [given, fallback].map(|word| Some(word).filter(|word| *word != "-"));
        let question = Question { name, given, patience, fallback };
        match verb {
            "resolve" => Ok(self.resolve(&question)),
            "rotate" => self.rotate(&question).map_err(|why| why.to_string()),
            other => Err(format!("no member of the crowd can {other:?}")),
        }
    }

    fn resolve(&self, question: &Question<'_>) -> Json {
        let called = RefCell::new(String::new());
        let answer = self.cache.quota(question.name).timeout(TIMEOUT).resolve(
            |job| {
                called.borrow_mut().push('f');
                self.fetch(question, job)
            },
            || {
                called.borrow_mut().push('c');
                question.given.ok_or_else(|| Failure::new(Code::NoCredentials, "signed out"))
            },
            || {
                called.borrow_mut().push('b');
                Ok::<_, Failure>(question.fallback)
            },
        );
        facts(answer, &called.borrow())
    }

    fn fetch(&self, question: &Question<'_>, job: &QuotaJob) -> Result<Fetched, Failure> {
        let credential = String::from_utf8_lossy(job.credential());
        let request = format!(
            "GET /{} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: rust\r\nAuthorization: Bearer {credential}\r\n\r\n",
            question.name
        );
        self.ask(&request, question.patience).map(Fetched::from)
    }

    fn rotate(&self, question: &Question<'_>) -> Result<Json, Error> {
        let called = RefCell::new(String::new());
        let seen = question.given.map(Version::parse).transpose()?;
        let credential = self.credentials.rotate(question.name, seen.as_ref(), |exchange| {
            called.borrow_mut().push('x');
            self.exchange(exchange, question.patience)
        });
        let called = called.into_inner();
        Ok(match credential {
            Ok(credential) => json!({
                "how": credential.how().as_str(),
                "version": credential.version().to_string(),
                "data": serde_json::from_slice::<Json>(credential.data()).ok(),
                "error": null,
                "called": called,
            }),
            Err(error) => {
                json!({"how": null, "version": null, "data": null, "error": error.code().as_str(), "called": called})
            }
        })
    }

    /// Asks for the next pair, or for the first one.
    fn exchange(&self, exchange: &Exchange, patience: Duration) -> Result<Vec<u8>, Failure> {
        let pair = exchange.previous().and_then(|previous| serde_json::from_slice::<Json>(previous).ok());
        let (path, form) = match pair.as_ref().and_then(|pair| pair["refresh_token"].as_str()) {
            Some(token) => ("token", format!("refresh_token={token}")),
            None => ("login", String::new()),
        };
        let request = format!(
            "POST /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: rust\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        self.ask(&request, patience)
    }

    /// The body of a 200, or what anything else means.
    fn ask(&self, request: &str, patience: Duration) -> Result<Vec<u8>, Failure> {
        let text = self.talk(request, patience).map_err(|why| match why.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Failure::new(Code::TimedOut, "the server does not answer")
            }
            _ => Failure::new(Code::RefreshFailed, why.to_string()),
        })?;
        let half = || Failure::new(Code::RefreshFailed, "no whole answer");
        let end = text.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(half)?;
        let head = String::from_utf8_lossy(&text[..end]).into_owned();
        let body = &text[end + 4..];
        if header(&head, "content-length").is_some_and(|length| length != body.len().to_string()) {
            return Err(half());
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(half)?;
        match status {
            200 => Ok(body.to_vec()),
            status => Err(Failure::from_status(status, header(&head, "retry-after"))),
        }
    }

    fn talk(&self, request: &str, patience: Duration) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(request.as_bytes())?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text)?;
        Ok(text)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn facts(answer: Result<Answer, Error>, called: &str) -> Json {
    let epoch_ms = |at: SystemTime| {
        at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    };
    match answer {
        Ok(answer) => json!({
            "how": answer.how.as_str(),
            "state": answer.state.as_str(),
            "data": answer.json().ok(),
            "age_ms": answer.age.as_millis() as u64,
            "retry_at_ms": answer.retry_at.map(epoch_ms),
            "error": answer.error.map(|error| error.code().as_str()),
            "called": called,
        }),
        Err(error) => json!({
            "how": null,
            "state": null,
            "data": null,
            "age_ms": null,
            "retry_at_ms": error.retry_at().map(epoch_ms),
            "error": error.code().as_str(),
            "called": called,
        }),
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, state, clock, port] = &arguments[..] else {
        return Err("usage: forebay-resolver ROOT STATE CLOCK PORT".into());
    };
    let cache = CacheOptions::new().root(root).test_clock(clock).open()?;
    let credentials = CredentialsOptions::new().root(state).test_clock(clock).deadline(TIMEOUT).open()?;
    let member = Member { cache, credentials, port: port.parse()? };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", json!({"language": "rust"}))?;
    for line in std::io::stdin().lock().lines() {
        writeln!(out, "{}", member.answer(&line?)?)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nobody reads it where the other end is gone.
            drop(writeln!(std::io::stderr(), "forebay-resolver: {why}"));
            ExitCode::from(2)
        }
    }
}
