//! `forebay-resolver ROOT CLOCK PORT`: the Rust member of the crowd in `tests/crowd`, whose README has what it is asked
//! and answers. Its HTTP client knows no more than that server needs.

use forebay::{Answer, Cache, CacheOptions, Code, Error, Failure, Fetched, QuotaJob};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

struct Member {
    cache: Cache,
    port: u16,
}

impl Member {
    fn resolve(&self, words: &[&str]) -> Result<Json, String> {
        let [name, credential, patience_ms, fallback] = words else {
            return Err(format!("{words:?} is not NAME CREDENTIAL PATIENCE_MS FALLBACK"));
        };
        let patience =
            Duration::from_millis(patience_ms.parse().map_err(|why| format!("{patience_ms}: {why}"))?);
        let called = RefCell::new(String::new());
        let answer = self.cache.quota(name).timeout(Duration::from_secs(60)).resolve(
            |job| {
                called.borrow_mut().push('f');
                self.fetch(name, job, patience)
            },
            || {
                called.borrow_mut().push('c');
                let signed_out = || Failure::new(Code::NoCredentials, "signed out");
                Some(*credential).filter(|credential| *credential != "-").ok_or_else(signed_out)
            },
            || {
                called.borrow_mut().push('b');
                Ok::<_, Failure>(Some(*fallback).filter(|fallback| *fallback != "-"))
            },
        );
        Ok(facts(answer, &called.borrow()))
    }

    fn fetch(&self, name: &str, job: &QuotaJob, patience: Duration) -> Result<Fetched, Failure> {
        let text = self.ask(name, job.credential(), patience).map_err(|why| match why.kind() {
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
            200 => Ok(Fetched::new(body)),
            status => Err(Failure::from_status(status, header(&head, "retry-after"))),
        }
    }

    fn ask(&self, name: &str, credential: &[u8], patience: Duration) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(patience))?;
        let credential = String::from_utf8_lossy(credential);
        let request = format!(
            "GET /{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: rust\r\nAuthorization: Bearer {credential}\r\n\
             Connection: close\r\n\r\n"
        );
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
    let [root, clock, port] = &arguments[..] else {
        return Err("usage: forebay-resolver ROOT CLOCK PORT".into());
    };
    let cache = CacheOptions::new().root(root).test_clock(clock).open()?;
    let member = Member { cache, port: port.parse()? };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", json!({"language": "rust"}))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        writeln!(out, "{}", member.resolve(&line.split(' ').collect::<Vec<_>>())?)?;
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
