//! `Reply`: what a command that asks a server says of the answer. It may print a whole HTTP response (`curl -i`,
//! `gh api -i`), whose status, `Retry-After` and `ETag` then count; else its output is the answer, and its exit
//! status says how it went. No JSON begins as a response does. It knows nothing of quotas and credentials.

use crate::command::Outcome;
use crate::verdict::Verdict;
use forebay::{Code, Failure, Fetched};

/// `EX_TEMPFAIL` of sysexits.h: try again later.
const TEMPFAIL: u8 = 75;
/// `EX_NOPERM`: the credential was refused.
const NOPERM: u8 = 77;
/// What `timeout` ends with.
const TIMED_OUT: u8 = 124;

/// The head of a response, as far as it is of interest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Head {
    status: u16,
    retry_after: Option<String>,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// An output, taken apart.
struct Reply<'a> {
    head: Option<Head>,
    body: &'a [u8],
}

/// The status of a line such as `HTTP/1.1 429 Too Many Requests`.
fn status_of(line: &str) -> Option<u16> {
    let (version, rest) = line.strip_prefix("HTTP/")?.split_once(' ')?;
    let known = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let status = rest.trim_start().split(' ').next()?;
    (known && status.len() == 3).then(|| status.parse().ok()).flatten()
}

/// The first line, without its end, and what follows.
fn line_of(bytes: &[u8]) -> (std::borrow::Cow<'_, str>, &[u8]) {
    let (line, rest) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    (String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)), rest)
}

impl Head {
    /// The head at the beginning, if there is one, and what follows.
    fn parse(bytes: &[u8]) -> Option<(Head, &[u8])> {
        let (first, mut rest) = line_of(bytes);
        let mut head = Head { status: status_of(&first)?, ..Head::default() };
        while !rest.is_empty() {
            let (line, more) = line_of(rest);
            rest = more;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            let field = match &*name.to_ascii_lowercase() {
                "retry-after" => &mut head.retry_after,
                "etag" => &mut head.etag,
                "last-modified" => &mut head.last_modified,
                _ => continue,
            };
            *field = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        }
        Some((head, rest))
    }

    fn validator(self) -> Option<String> {
        self.etag.or(self.last_modified)
    }
}

impl<'a> Reply<'a> {
    fn parse(output: &'a [u8]) -> Reply<'a> {
        let mut reply = Reply { head: None, body: output };
        // Before the response there may be that of a proxy, of a redirection, or a 100.
        while let Some((head, rest)) = Head::parse(reply.body) {
            reply = Reply { head: Some(head), body: rest };
        }
        reply
    }
}

/// The failure of a command that printed no response.
fn failure_of(verdict: Verdict) -> Failure {
    let code = match verdict {
        Verdict::Status(TEMPFAIL) => Code::Unavailable,
        Verdict::Status(NOPERM) => Code::Unauthorized,
        Verdict::Status(TIMED_OUT) | Verdict::Overran => Code::TimedOut,
        _ => Code::RefreshFailed,
    };
    Failure::new(code, verdict.to_string())
}

fn whole(outcome: &Outcome) -> Result<&[u8], Failure> {
    outcome.stdout.whole().ok_or_else(|| Failure::new(Code::RefreshFailed, "the output is too large"))
}

/// The answer of a command that asked for one.
pub(crate) fn fetched(outcome: &Outcome) -> Result<Fetched, Failure> {
    fetched_from(Verdict::of(outcome), whole(outcome)?)
}

fn fetched_from(verdict: Verdict, output: &[u8]) -> Result<Fetched, Failure> {
    let Reply { head, body } = Reply::parse(output);
    let head = head.unwrap_or(Head { status: 200, ..Head::default() });
    let mut fetched = match (head.status, verdict) {
        (_, Verdict::Overran) => return Err(failure_of(verdict)),
        (304, _) => Fetched::unchanged(),
        (200..=299, Verdict::Status(0)) => Fetched::new(body),
        (200..=299, _) => return Err(failure_of(verdict)),
        (status, _) => return Err(Failure::from_status(status, head.retry_after.as_deref())),
    };
    fetched.commit.validator = head.validator();
    Ok(fetched)
}

/// The new credential that a command got for the old one. An error that says that the server refused the exchange, or
/// that it was never asked, leaves the old credential as it is; any other leaves open whether it was used up.
pub(crate) fn exchanged(outcome: &Outcome) -> Result<&[u8], Failure> {
    exchanged_from(Verdict::of(outcome), whole(outcome)?)
}

fn exchanged_from(verdict: Verdict, output: &[u8]) -> Result<&[u8], Failure> {
    let Reply { head, body } = Reply::parse(output);
    let body = without_line_end(body);
    match (head.map(|head| (head.status, head.retry_after)), verdict) {
        (_, Verdict::Overran) => Err(failure_of(verdict)),
        (None, Verdict::Status(TEMPFAIL)) => Err(failure_of(verdict).not_sent()),
        (None | Some((200..=299, _)), Verdict::Status(0)) if body.is_empty() => {
            Err(Failure::new(Code::RefreshFailed, "it printed no credential"))
        }
        (None | Some((200..=299, _)), Verdict::Status(0)) => Ok(body),
        // What RFC 6749 has a server answer to a refresh token that it does not take, and its like. After a 408 the
        // server may still have had it.
        (Some((status @ (400 | 402 | 404..=407 | 409..=428 | 430..=499), _)), _) => {
            Err(Failure::new(Code::Invalid, format!("HTTP {status}")))
        }
        (None | Some((200..=299, _)), _) => Err(failure_of(verdict)),
        (Some((status, retry_after)), _) => Err(Failure::from_status(status, retry_after.as_deref())),
    }
}

/// An output without the line ends behind it, as `$(…)` takes it.
pub(crate) fn without_line_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn fetch(status: u8, output: &str) -> Result<Fetched, Failure> {
        fetched_from(Verdict::Status(status), output.as_bytes())
    }

    #[test]
    fn without_a_head_the_output_is_the_answer_and_the_exit_status_counts() {
        assert_eq!(fetch(0, "{\"HTTP/1.1 500\":1}\n").unwrap(), Fetched::new("{\"HTTP/1.1 500\":1}\n"));
        for (status, code) in [
            (1, Code::RefreshFailed),
            (75, Code::Unavailable),
            (77, Code::Unauthorized),
            (124, Code::TimedOut),
        ] {
            assert_eq!(fetch(status, "{}").unwrap_err().code, code);
        }
        let overran = fetched_from(Verdict::Overran, b"{}").unwrap_err();
        assert_eq!((overran.code, &*overran.message), (Code::TimedOut, "its deadline was over"));
    }

    #[test]
    fn the_last_head_counts() {
        let output = "HTTP/1.1 200 Connection established\r\n\r\nHTTP/2 302 \r\nETag: \"a\"\r\n\r\nHTTP/2 200 \r\n\
                      etag: W/\"b\"\r\nlast-modified: x\r\nRetry-After:\r\n\r\n{\"a\":\n\n1}";
        assert_eq!(fetch(0, output).unwrap(), Fetched::new("{\"a\":\n\n1}").validator("W/\"b\""));
        assert_eq!(fetch(18, output).unwrap_err().code, Code::RefreshFailed, "it broke off");
        let dated = "HTTP/1.1 200 OK\nLast-Modified: Tue, 14 Nov 2023 22:14:20 GMT\n\n{}";
        let dated = fetch(0, dated).unwrap();
        assert_eq!(dated.commit.validator.as_deref(), Some("Tue, 14 Nov 2023 22:14:20 GMT"));
    }

    #[test]
    fn a_head_says_what_failed_whatever_the_exit_status() {
        for status in [0, 22] {
            let failure = fetch(status, "HTTP/2 429 \r\nretry-after: 120\r\n\r\n{\"error\":1}").unwrap_err();
            assert_eq!(
                (failure.code, failure.retry_after),
                (Code::RateLimited, Some(Duration::from_secs(120)))
            );
            assert_eq!(fetch(status, "HTTP/1.1 401 Unauthorized").unwrap_err().code, Code::Unauthorized);
            assert_eq!(fetch(status, "HTTP/1.1 500 Oh\n\n").unwrap_err().message, "HTTP 500");
            let unchanged = fetch(status, "HTTP/1.1 304 Not Modified\nETag: \"v\"\n\n").unwrap();
            assert_eq!(unchanged, Fetched::unchanged().validator("\"v\""));
        }
    }

    #[test]
    fn what_is_no_status_line_is_no_head() {
        for text in ["HTTP/1.1", "HTTP/1.1 20", "HTTP/x 200 OK", "http/1.1 200 OK", "HTTP/1.1 2000 OK", ""] {
            assert_eq!(Reply::parse(text.as_bytes()).head, None, "{text}");
        }
    }

    #[test]
    fn an_exchange_is_refused_or_open_or_done() {
        let exchange =
            |status, output: &'static str| exchanged_from(Verdict::Status(status), output.as_bytes());
        assert_eq!(exchange(0, "new\r\n\n").unwrap(), b"new");
        assert_eq!(exchange(0, "HTTP/2 200 \r\n\r\n{\"a\":1}\n").unwrap(), b"{\"a\":1}");
        for (status, output, code, sent) in [
            (0, "HTTP/2 400 \r\n\r\n{\"error\":\"invalid_grant\"}", Code::Invalid, true),
            (0, "HTTP/2 401 \r\n\r\n", Code::Unauthorized, true),
            (0, "HTTP/2 429 \r\n\r\n", Code::RateLimited, true),
            (0, "HTTP/2 408 \r\n\r\n", Code::RefreshFailed, true),
            (0, "HTTP/2 503 \r\n\r\n", Code::Unavailable, true),
            (18, "HTTP/2 200 \r\n\r\n{", Code::RefreshFailed, true),
            (0, "\n", Code::RefreshFailed, true),
            (75, "", Code::Unavailable, false),
            (77, "", Code::Unauthorized, true),
            (7, "", Code::RefreshFailed, true),
        ] {
            let failure = exchange(status, output).unwrap_err();
            assert_eq!((failure.code, failure.sent), (code, sent), "{status} {output}");
        }
    }
}
