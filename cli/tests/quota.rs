//! `forebay quota resolve`, `show`, `block` and `clear` in one shell: which answer is printed, when the command is
//! run, what is recorded, and what is said.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Ran, Shell, anywhere, finish, start};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const NOW_MS: i64 = 1_800_000_000_000;

/// `quota resolve usage` with these options, by that command.
fn resolve(shell: &Shell, options: &[&str], command: &Path) -> Ran {
    let line = ["quota", "resolve"].iter().chain(options).chain(&["usage", "--"]).copied();
    shell.run(line.chain([command.to_str().unwrap()]))
}

/// A command that counts its runs and answers like an HTTP server with the file `answer`.
fn server(shell: &Shell, answer: &str) -> std::path::PathBuf {
    fs::write(shell.path("answer"), answer).unwrap();
    shell.counting("cat answer")
}

fn lock(shell: &Shell) -> Value {
    serde_json::from_slice(&fs::read(shell.root().join("usage.lock")).unwrap()).unwrap()
}

/// Exit status, standard output, standard error.
fn all(ran: &Ran) -> (i32, String, String) {
    (ran.code(), ran.text(), ran.errors())
}

fn told(status: i32, out: &str, err: &str) -> (i32, String, String) {
    (status, out.to_owned(), err.to_owned())
}

#[test]
fn a_fresh_answer_is_printed_in_one_line_and_nothing_is_run() {
    let shell = Shell::new();
    let command = server(&shell, "{\n  \"used\": 1.50,\n  \"of\": \"a  b\\\" \"\n}\n");
    let options = ["--credentials", "echo run >> asked; echo secret", "--fallback", "echo run >> asked"];
    let line = "{\"used\":1.50,\"of\":\"a  b\\\" \"}\n";
    assert_eq!(all(&resolve(&shell, &options, &command)), told(0, line, ""));
    for _ in 0..3 {
        shell.advance(59 * SECOND);
        assert_eq!(all(&resolve(&shell, &options, &command)), told(0, line, ""));
    }
    assert_eq!((shell.runs(), &*fs::read_to_string(shell.path("asked")).unwrap()), (1, "run\n"));
    shell.advance(3 * SECOND);
    assert_eq!(resolve(&shell, &options, &command).ok(), line);
    assert_eq!(shell.runs(), 2, "3 minutes are over");
    assert_eq!(resolve(&shell, &["--ttl", "0s"], &command).ok(), line);
    assert_eq!(shell.runs(), 3);
}

#[test]
fn the_record_and_the_gate_are_the_original_programs() {
    let shell = Shell::new();
    resolve(&shell, &[], &server(&shell, "{\"a\":1}")).ok();
    let record: Value = serde_json::from_slice(&fs::read(shell.root().join("usage.json")).unwrap()).unwrap();
    assert_eq!(
        (&record["schema_version"], &record["cached_at"], &record["data"], &record["error"]),
        (&json!(1), &json!("2027-01-15T08:00:00Z"), &json!({"a": 1}), &Value::Null)
    );
    shell.advance(200 * SECOND);
    resolve(&shell, &[], &server(&shell, "HTTP/1.1 429 Too Many\n\n")).ok();
    let gate = lock(&shell);
    assert_eq!((&gate["error"], &gate["blocked_until"]), (&json!("RateLimited"), &json!(1_800_000_500)));
    // What the original wrote is respected too.
    let until = NOW_MS / 1000 + 1000;
    fs::write(
        shell.root().join("usage.lock"),
        json!({"blocked_until": until, "error": "Timeout"}).to_string(),
    )
    .unwrap();
    let file = fs::OpenOptions::new().write(true).open(shell.root().join("usage.lock")).unwrap();
    let now = u64::try_from(NOW_MS).unwrap() + 200_000;
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(now)).unwrap();
    shell.advance(400 * SECOND);
    let ran = resolve(&shell, &[], &server(&shell, "{\"b\":2}"));
    let line = "forebay: usage: timed out; serving the answer of 10 minutes ago; next attempt in 6 min\n";
    assert_eq!(all(&ran), told(0, "{\"a\":1}\n", line));
    assert_eq!(shell.runs(), 2);
}

#[test]
fn while_a_rate_limit_holds_nobody_asks_and_what_there_is_is_served() {
    let shell = Shell::new();
    resolve(&shell, &[], &server(&shell, "{\"a\":1}")).ok();
    shell.advance(840 * SECOND);
    let limited = server(&shell, "HTTP/2 429 \r\nretry-after: 7200\r\n\r\n{\"error\":\"slow down\"}");
    let line = |age: &str, left: &str| {
        format!(
            "forebay: usage: rate limited: HTTP 429; serving the answer of {age} ago; next attempt in {left}\n"
        )
    };
    let first = resolve(&shell, &[], &limited);
    assert_eq!(all(&first), told(0, "{\"a\":1}\n", &line("14 minutes", "2 h")));
    shell.advance(7199 * SECOND);
    let held = resolve(&shell, &["--credentials", "echo run >> asked"], &limited);
    assert_eq!(all(&held), told(0, "{\"a\":1}\n", &line("2 hours", "1 s")));
    assert!(!shell.path("asked").exists(), "not even the credentials were asked for");
    assert_eq!(shell.runs(), 2);
    shell.advance(SECOND);
    assert_eq!(resolve(&shell, &[], &server(&shell, "{\"b\":2}")).ok(), "{\"b\":2}\n");
    assert!(!shell.root().join("usage.lock").exists());
}

#[test]
fn with_nothing_to_serve_the_exit_status_says_why() {
    for (answer, exit, status, line) in [
        ("HTTP/1.1 429 X\nRetry-After: 90\n\n", 0, 3, "rate limited: HTTP 429; next attempt in 1 min"),
        ("HTTP/1.1 429 X\n\n", 0, 3, "rate limited: HTTP 429; next attempt in 5 min"),
        ("HTTP/1.1 403 X\n\n", 22, 5, "unauthorized: HTTP 403; next attempt in 5 min"),
        ("HTTP/1.1 503 X\nRetry-After: 0\n\n", 0, 5, "unavailable: HTTP 503; next attempt in 1 s"),
        ("HTTP/1.1 500 X\n\n", 0, 5, "refresh failed: HTTP 500; next attempt in 1 s"),
        ("", 1, 5, "refresh failed: exit status 1; next attempt in 1 s"),
        ("{}", 7, 5, "refresh failed: exit status 7; next attempt in 1 s"),
        ("", 75, 5, "unavailable: exit status 75; next attempt in 1 s"),
        ("", 77, 5, "unauthorized: exit status 77; next attempt in 5 min"),
        ("", 124, 4, "timed out: exit status 124; next attempt in 1 s"),
    ] {
        let shell = Shell::new();
        fs::write(shell.path("answer"), answer).unwrap();
        let command = shell.counting(&format!("cat answer; exit {exit}"));
        for _ in 0..2 {
            let ran = resolve(&shell, &[], &command);
            assert_eq!(all(&ran), told(status, "", &format!("forebay: usage: {line}\n")), "{answer} {exit}");
        }
        let ran = resolve(&shell, &["--json"], &command);
        assert_eq!((ran.code(), &*ran.text(), shell.runs()), (status, "", 1));
        let failure: Value = serde_json::from_str(&ran.errors()).unwrap();
        assert_eq!((&failure["key"], &failure["status"]), (&json!("usage"), &json!(status)));
    }
}

#[test]
fn what_is_no_json_is_a_failure_and_so_is_a_command_that_is_not_there() {
    let shell = Shell::new();
    let ran = resolve(&shell, &[], &server(&shell, "<html>busy</html>"));
    assert_eq!((ran.code(), &*ran.text()), (5, ""));
    assert!(ran.errors().starts_with("forebay: usage: refresh failed: "), "{}", ran.errors());
    assert!(!ran.errors().contains("busy"), "what it printed is not repeated: {}", ran.errors());
    shell.advance(2 * SECOND);
    let ran = shell.run(["quota", "resolve", "usage", "--", "no-such-command"]);
    assert_eq!(ran.code(), 5);
    let line = "forebay: usage: refresh failed: command not found; next attempt in 2 s\n";
    assert_eq!(ran.errors(), line);
}

#[test]
fn an_old_answer_is_served_for_as_long_as_it_may_be() {
    let shell = Shell::new();
    resolve(&shell, &[], &server(&shell, "[1]")).ok();
    shell.advance(Duration::from_secs(180 + 3599));
    let failing = server(&shell, "HTTP/1.1 500 X\n\n");
    let options = ["--max-stale", "1h"];
    assert_eq!(resolve(&shell, &options, &failing).ok(), "[1]\n");
    shell.advance(2 * SECOND);
    let gone = resolve(&shell, &options, &failing);
    assert_eq!((gone.code(), &*gone.text()), (5, ""), "{}", gone.errors());
    shell.advance(10 * SECOND);
    assert_eq!(resolve(&shell, &["--stale", "2h"], &failing).ok(), "[1]\n");
}

#[test]
fn what_whoever_is_refused_had_is_not_shown_again_and_a_new_login_passes_the_gate() {
    let shell = Shell::new();
    fs::write(shell.path("token"), "first-token").unwrap();
    let options = ["--credentials", "cat token"];
    resolve(&shell, &options, &server(&shell, "[1]")).ok();
    shell.advance(200 * SECOND);
    let refusing = server(&shell, "HTTP/1.1 401 X\n\n");
    for _ in 0..2 {
        let ran = resolve(&shell, &options, &refusing);
        let line = "forebay: usage: unauthorized: HTTP 401; next attempt in 5 min\n";
        assert_eq!(all(&ran), told(5, "", line));
    }
    assert_eq!(shell.runs(), 2);
    fs::write(shell.path("token"), "second-token").unwrap();
    assert_eq!(resolve(&shell, &options, &server(&shell, "[2]")).ok(), "[2]\n");
    assert!(!anywhere(&shell.root(), "first-token") && !anywhere(&shell.root(), "second-token"));
}

#[test]
fn a_fallback_is_asked_last_and_hides_no_error() {
    let shell = Shell::new();
    let failing = server(&shell, "HTTP/1.1 500 X\n\n");
    let fallback = |script: &str| resolve(&shell, &["--fallback", script], &failing);
    let error = "forebay: usage: refresh failed: HTTP 500; next attempt in 1 s\n";
    let line = "forebay: usage: refresh failed: HTTP 500; serving the fallback; next attempt in 1 s\n";
    assert_eq!(all(&fallback("echo ' {\"local\": 3} '")), told(0, "{\"local\":3}\n", line));
    for (script, more) in [
        ("true", String::new()),
        ("exit 4", "forebay: usage: the fallback failed: exit status 4\n".to_owned()),
        ("echo nonsense", "forebay: usage: the fallback failed: what it printed is not JSON\n".to_owned()),
        ("sleep 1000 & wait", "forebay: usage: the fallback failed: its deadline was over\n".to_owned()),
    ] {
        let ran = resolve(&shell, &["--timeout", "200ms", "--fallback", script], &failing);
        assert_eq!(all(&ran), told(5, "", &format!("{more}{error}")), "{script}");
    }
    assert_eq!(shell.runs(), 1);
    let found = resolve(&shell, &["--json", "--fallback", "echo '[4]'"], &failing).json();
    let expected = json!({
        "key": "usage", "how": "fallback", "state": "fresh", "age_ms": 0, "cached_at_ms": null,
        "retry_at_ms": NOW_MS + 1000, "data": [4], "error": found["error"],
    });
    assert_eq!((&found, &found["error"]["code"]), (&expected, &json!("refresh_failed")));
}

#[test]
fn json_has_the_whole_answer_and_verbose_says_where_it_came_from() {
    let shell = Shell::new();
    let command = server(&shell, "{ \"a\" : 12345678901234567890.10 }");
    let ran = resolve(&shell, &["--verbose", "--json"], &command);
    assert_eq!(ran.errors(), "forebay: usage: ran: fresh, 0 seconds old\n");
    let line = format!(
        "{{\"key\":\"usage\",\"how\":\"ran\",\"state\":\"fresh\",\"age_ms\":0,\"cached_at_ms\":{NOW_MS},\
         \"retry_at_ms\":null,\"error\":null,\"data\":{{\"a\":12345678901234567890.10}}}}\n"
    );
    assert_eq!(ran.ok(), line);
    shell.advance(90 * SECOND);
    let ran = resolve(&shell, &["--verbose"], &command);
    assert_eq!(ran.errors(), "forebay: usage: fresh: fresh, 1 minute old\n");
    shell.advance(SECOND);
    let found = resolve(&shell, &["--json"], &command).json();
    assert_eq!((&found["how"], &found["age_ms"]), (&json!("fresh"), &json!(91_000)));
}

#[test]
fn an_answer_that_has_not_changed_is_fresh_again() {
    let shell = Shell::new();
    let command = shell.counting("echo \"${FOREBAY_VALIDATOR-none} $FOREBAY_NAME\" >> seen; cat answer");
    fs::write(shell.path("answer"), "HTTP/1.1 200 OK\nETag: \"v1\"\n\n[1]").unwrap();
    resolve(&shell, &[], &command).ok();
    shell.advance(200 * SECOND);
    fs::write(shell.path("answer"), "HTTP/1.1 304 Not Modified\n\n").unwrap();
    let found = resolve(&shell, &["--json"], &command).json();
    assert_eq!((&found["how"], &found["data"]), (&json!("unchanged"), &json!([1])));
    shell.advance(100 * SECOND);
    assert_eq!(resolve(&shell, &[], &command).ok(), "[1]\n");
    assert_eq!(fs::read_to_string(shell.path("seen")).unwrap(), "none usage\n\"v1\" usage\n");
}

#[test]
fn another_identity_has_another_answer_and_another_gate() {
    let shell = Shell::new();
    let limited = server(&shell, "HTTP/1.1 429 X\n\n");
    assert_eq!(resolve(&shell, &["--identity", "me"], &limited).code(), 3);
    let command = server(&shell, "[1]");
    assert_eq!(resolve(&shell, &["--identity", "me"], &command).code(), 3);
    assert_eq!(resolve(&shell, &["--identity", "you"], &command).ok(), "[1]\n");
    assert_eq!(resolve(&shell, &[], &server(&shell, "[2]")).ok(), "[2]\n");
    assert_eq!(resolve(&shell, &["--identity", "you"], &limited).ok(), "[1]\n");
    assert_eq!(shell.run(["quota", "show", "usage", "--identity", "you"]).code(), 0);
    assert_eq!(shell.run(["quota", "show", "usage", "--identity", "me"]).code(), 3);
    let list = shell.run(["quota", "show"]).ok();
    assert_eq!((list.lines().count(), list.matches("\nusage~").count()), (4, 2), "{list}");
    assert_eq!(shell.run(["quota", "show", "--names"]).ok(), "usage\n");
    assert!(!anywhere(&shell.root(), "you"));
    assert_eq!(shell.run(["quota", "clear", "usage", "--identity", "me"]).code(), 0);
    assert_eq!(resolve(&shell, &["--identity", "me"], &server(&shell, "[3]")).ok(), "[3]\n");
}

#[test]
fn show_tells_answer_gate_and_fetch() {
    let shell = Shell::new();
    let show = |line: &[&str]| all(&shell.run(["quota", "show"].iter().chain(line)));
    assert_eq!(show(&[]), told(0, "", ""));
    assert_eq!(show(&["usage"]), told(1, "usage: absent\n", ""));
    assert!(!shell.root().exists(), "looking writes nothing");
    resolve(&shell, &[], &server(&shell, "HTTP/1.1 500 X\n\n"));
    let failed = "refresh failed: HTTP 500; next attempt in 1 s";
    assert_eq!(show(&["usage"]), told(3, &format!("usage: absent; {failed}\n"), ""));
    shell.advance(2 * SECOND);
    resolve(&shell, &[], &server(&shell, "[1, 2]")).ok();
    shell.advance(840 * SECOND);
    assert_eq!(show(&["usage"]), told(0, "usage: stale, 14 minutes old, 6 B\n", ""));
    assert_eq!(show(&["--ttl", "1h", "usage"]), told(0, "usage: fresh, 14 minutes old, 6 B\n", ""));
    assert_eq!(show(&["--max-stale", "1m", "usage"]).1, "usage: expired, 14 minutes old, 6 B\n");
    for _ in 0..2 {
        resolve(&shell, &[], &server(&shell, "HTTP/1.1 500 X\n\n")).ok();
        shell.advance(SECOND);
    }
    let sentence =
        "usage: stale, 14 minutes old, 6 B; refresh failed: HTTP 500 (2nd attempt); next attempt in 1 s\n";
    assert_eq!(show(&["usage"]), told(0, sentence, ""));
    let table = "\
NAME   STATE     AGE  SIZE  REFRESH
usage  stale  14 min   6 B  retry in 1 s: refresh failed: HTTP 500
";
    assert_eq!(show(&[]), told(0, table, ""));
    let found = shell.run(["quota", "show", "--json", "usage"]).json();
    let expected = json!({
        "key": "usage", "name": "usage", "state": "stale", "age_ms": 842_000, "cached_at_ms": NOW_MS + 2000,
        "size": 6, "phase": "cooling", "holder": null, "error": null, "data": [1, 2],
        "blocked": {"retry_at_ms": NOW_MS + 845_000, "code": "refresh_failed", "message": "HTTP 500", "declared": false, "attempts": 2},
    });
    assert_eq!(found, expected);
    assert_eq!(shell.run(["quota", "show", "--json"]).json(), json!([expected]));
}

#[test]
fn block_bars_everyone_until_the_later_end_and_clear_takes_all_away() {
    let shell = Shell::new();
    let block = |line: &[&str]| all(&shell.run(["quota", "block"].iter().chain(line).chain(&["usage"])));
    let line = "usage: next attempt in 1 h\n";
    assert_eq!(block(&["--for", "1h", "--reason", "deploying"]), told(0, line, ""));
    assert_eq!(block(&["--for", "5m"]), told(0, line, ""), "the later end stays");
    let command = server(&shell, "[1]");
    let ran = resolve(&shell, &[], &command);
    let line = "forebay: usage: rate limited: deploying; next attempt in 1 h\n";
    assert_eq!(all(&ran), told(3, "", line));
    let barred = shell.run(["quota", "block", "--json", "--for", "2h", "usage"]).json();
    assert_eq!(barred, json!({"key": "usage", "retry_at_ms": NOW_MS + 7_200_000}));
    assert_eq!(
        shell.run(["quota", "clear", "--json", "usage"]).json(),
        json!({"key": "usage", "cleared": true})
    );
    let again = shell.run(["quota", "clear", "usage"]);
    assert_eq!(all(&again), told(1, "", "forebay: usage: there is nothing to clear\n"));
    assert_eq!(resolve(&shell, &[], &command).ok(), "[1]\n");
    assert_eq!(all(&shell.run(["quota", "clear", "usage"])), told(0, "", ""));
    assert_eq!(shell.run(["quota", "show"]).ok(), "");
}

#[test]
fn where_the_store_fails_the_answer_comes_all_the_same_or_nobody_is_asked() {
    let shell = Shell::new();
    let command = server(&shell, "[1]");
    fs::write(shell.path("file"), "").unwrap();
    let ran = resolve(&shell, &["--root", "file"], &command);
    assert_eq!((ran.code(), &*ran.text(), shell.runs()), (6, "", 0), "without a gate nobody asks");
    resolve(&shell, &[], &command).ok();
    shell.advance(200 * SECOND);
    let mut uncoordinated = 0;
    for at in 1..40 {
        let before = shell.runs();
        let mut line = shell.forebay(["quota", "resolve", "--ttl", "0s", "usage", "--"]);
        let ran = finish(start(line.arg(&command).env("FOREBAY_FAIL_AT", format!("{at}+:28"))));
        assert!(ran.errors().lines().count() <= 1 && shell.runs() <= before + 1, "{at}: {ran:?}");
        match ran.code() {
            0 => assert_eq!(ran.text(), "[1]\n", "{at}"),
            status => assert_eq!((status, &*ran.text()), (6, ""), "{at}: {}", ran.errors()),
        }
        uncoordinated += usize::from(ran.errors().contains("the answer was not stored: "));
    }
    assert!(uncoordinated > 0);
    assert_eq!(resolve(&shell, &["--ttl", "0s"], &server(&shell, "[2]")).ok(), "[2]\n");
}

#[test]
fn without_credentials_nobody_asks_and_nothing_is_recorded() {
    let shell = Shell::new();
    let command = server(&shell, "[1]");
    for (script, line) in [
        ("exit 4", "exit status 4"),
        ("true", "the command of --credentials printed nothing"),
        ("echo secret-word; exit 1", "exit status 1"),
        ("sleep 1000 & wait", "its deadline was over"),
    ] {
        let options = ["--timeout", "200ms", "--credentials", script];
        let line = format!("forebay: usage: no credentials: {line}\n");
        assert_eq!(all(&resolve(&shell, &options, &command)), told(5, "", &line));
    }
    assert_eq!((shell.runs(), shell.run(["quota", "show", "usage"]).code()), (0, 1));
}
