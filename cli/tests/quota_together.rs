//! `forebay quota resolve` with real processes: many shells ask once, what overruns is killed with all that it started,
//! a signal ends everything and bars nobody, and the credential is nowhere but where it belongs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Shell, anywhere, eventually, finish, heard, kill, start, tell, waits};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// `quota resolve usage` with these options, by that command.
fn resolve(shell: &Shell, options: &[&str], command: &Path) -> Command {
    let mut line = shell.forebay(["quota", "resolve"].iter().chain(options).chain(&["usage", "--"]));
    line.arg(command);
    line
}

#[test]
fn among_twenty_shells_one_asks() {
    let shell = Shell::new();
    let go = shell.fifo("go");
    let command = shell.counting("cat go");
    let line = || resolve(&shell, &["--timeout", "1h", "--json"], &command);
    let all: Vec<Child> = (0..20).map(|_| start(&mut line())).collect();
    tell(&go, "{\"n\":1}");
    let mut hows: Vec<String> = Vec::new();
    for child in all {
        let ran = finish(child);
        assert_eq!(ran.errors(), "");
        let found = ran.json();
        assert_eq!((&found["data"], &found["state"]), (&json!({"n": 1}), &json!("fresh")));
        hows.push(found["how"].as_str().unwrap().to_owned());
    }
    assert_eq!(shell.runs(), 1);
    assert_eq!(hows.iter().filter(|how| *how == "ran").count(), 1, "{hows:?}");
    assert!(hows.iter().all(|how| ["ran", "coalesced", "fresh"].contains(&&**how)), "{hows:?}");
}

#[test]
fn those_who_waited_for_a_failure_get_it_and_ask_no_more() {
    let shell = Shell::new();
    let go = shell.fifo("go");
    let command = shell.counting("cat go");
    let all: Vec<Child> =
        (0..8).map(|_| start(&mut resolve(&shell, &["--timeout", "1h"], &command))).collect();
    tell(&go, "HTTP/1.1 429 X\nRetry-After: 3600\n\n");
    for child in all {
        let ran = finish(child);
        assert_eq!((ran.code(), &*ran.text()), (3, ""));
        assert_eq!(ran.errors(), "forebay: usage: rate limited: HTTP 429; next attempt in 1 h\n");
    }
    assert_eq!(shell.runs(), 1);
}

#[test]
fn while_one_asks_the_others_are_served_the_old_answer_at_once() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting("test -e old || { touch old; echo 1; exit; }\necho > began; cat go");
    let options = ["--timeout", "1h"];
    finish(start(&mut resolve(&shell, &options, &command))).ok();
    shell.advance(Duration::from_secs(600));
    let asking = start(&mut resolve(&shell, &options, &command));
    heard(&began);
    let other = finish(start(&mut resolve(&shell, &["--timeout", "1h", "--verbose"], &command)));
    assert_eq!(other.errors(), "forebay: usage: stale: stale, 10 minutes old\n");
    assert_eq!(other.ok(), "1\n");
    let sentence = shell.run(["quota", "show", "usage"]).ok();
    let expected = format!("usage: stale, 10 minutes old, 1 B; a fetch runs in process {}\n", asking.id());
    assert_eq!(sentence, expected);
    assert!(shell.run(["quota", "show"]).ok().ends_with("  running\n"));
    tell(&go, "2");
    assert_eq!(finish(asking).ok(), "2\n");
    assert_eq!(shell.runs(), 2);
}

#[test]
fn what_overruns_is_killed_with_all_that_it_started_and_counts_as_timed_out() {
    let shell = Shell::new();
    let went = shell.fifo("went");
    // The descriptor is inherited by the child, so it is closed only when both are gone.
    let command = shell.counting("exec 9> went; trap '' TERM; sleep 1000 & while :; do wait; done");
    let asking = start(&mut resolve(&shell, &["--timeout", "300ms"], &command));
    assert_eq!(heard(&went), "", "both have ended");
    let ran = finish(asking);
    assert_eq!((ran.code(), &*ran.text()), (4, ""));
    assert_eq!(ran.errors(), "forebay: usage: timed out: its deadline was over; next attempt in 1 s\n");
    let gate: Value = serde_json::from_slice(&fs::read(shell.root().join("usage.lock")).unwrap()).unwrap();
    assert_eq!((&gate["error"], &gate["last"]["error"]), (&json!("Timeout"), &json!("timed_out")));
    let held = finish(start(&mut resolve(&shell, &[], &command)));
    assert_eq!((held.code(), shell.runs()), (4, 1));
}

#[test]
fn a_signal_reaches_the_command_ends_forebay_and_bars_nobody() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let shell = Shell::new();
        let (began, went) = (shell.fifo("began"), shell.fifo("went"));
        let command = shell.counting(
            "test -e again && { echo 1; exit; }\ntouch again; exec 9> went; echo > began; exec sleep 1000",
        );
        let asking = start(&mut resolve(&shell, &["--timeout", "1h"], &command));
        let gone = std::thread::spawn(move || heard(&went));
        heard(&began);
        kill(asking.id(), signal);
        assert_eq!(finish(asking).status.signal(), Some(signal.as_raw()));
        assert_eq!(gone.join().unwrap(), "", "the command has ended");
        let next = finish(start(&mut resolve(&shell, &[], &command)));
        assert_eq!((&*next.errors(), &*next.text(), shell.runs()), ("", "1\n", 2));
    }
}

/// After the command of `--credentials` has run, nothing of ours may go on catching signals. (It is asked for before the
/// wait where a gate bars another credential.)
#[test]
fn one_who_waits_for_another_can_be_interrupted_alone() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let refused = shell.script("refused", "exit 77");
    let old = finish(start(&mut resolve(&shell, &["--credentials", "echo old"], &refused)));
    assert_eq!(old.code(), 5);
    let command = shell.counting("echo > began; cat go");
    let options = ["--timeout", "1h", "--credentials", "echo run >> asked; echo new"];
    let asking = start(&mut resolve(&shell, &options, &command));
    heard(&began);
    let waiter = start(&mut resolve(&shell, &options, &command));
    eventually("both had credentials", || {
        fs::read_to_string(shell.path("asked")).is_ok_and(|asked| asked.lines().count() == 2)
    });
    waits(waiter.id());
    kill(waiter.id(), Signal::INT);
    assert_eq!(finish(waiter).status.signal(), Some(Signal::INT.as_raw()));
    tell(&go, "3");
    assert_eq!(finish(asking).ok(), "3\n");
    assert_eq!(shell.runs(), 1);
}

#[test]
fn one_who_asks_and_is_killed_is_replaced() {
    let shell = Shell::new();
    let began = shell.fifo("began");
    let command =
        shell.counting("test -e again && { echo 1; exit; }\ntouch again; echo $$ > began; exec sleep 1000");
    let asking = start(&mut resolve(&shell, &["--timeout", "1h"], &command));
    let orphan: u32 = heard(&began).trim().parse().unwrap();
    let waiter = start(&mut resolve(&shell, &["--timeout", "1h"], &command));
    waits(waiter.id());
    kill(asking.id(), Signal::KILL);
    assert_eq!(finish(asking).status.signal(), Some(Signal::KILL.as_raw()));
    assert_eq!(finish(waiter).ok(), "1\n");
    kill(orphan, Signal::TERM);
}

/// The bytes of a file of /proc.
fn proc_file(pid: u32, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    fs::File::open(format!("/proc/{pid}/{name}")).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_credential_is_on_the_commands_standard_input_and_nowhere_else() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let secret = "correct-horse-battery-staple";
    fs::write(shell.path("token"), format!("{secret}\n\n")).unwrap();
    let command = shell.counting("echo $$ > began; cat go; cat > got; exit 1");
    let options = ["--timeout", "1h", "--credentials", "cat token", "--json", "--verbose"];
    let asking = start(&mut resolve(&shell, &options, &command));
    let pid: u32 = heard(&began).trim().parse().unwrap();
    for pid in [pid, asking.id()] {
        for name in ["cmdline", "environ"] {
            let bytes = proc_file(pid, name);
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{pid} {name}");
        }
    }
    tell(&go, "HTTP/1.1 500 X\n\n");
    let ran = finish(asking);
    assert_eq!((ran.code(), &*ran.text()), (5, ""));
    assert!(!ran.errors().contains(secret), "{}", ran.errors());
    assert_eq!(
        fs::read_to_string(shell.path("got")).unwrap(),
        secret,
        "without the line ends, as $(…) has it"
    );
    assert!(!anywhere(&shell.root(), secret));
}

#[test]
fn without_credentials_the_commands_standard_input_is_empty() {
    let shell = Shell::new();
    let command = shell.counting("cat; echo 1");
    let mut line = resolve(&shell, &[], &command);
    let mut child = start(line.stdin(std::process::Stdio::piped()));
    child.stdin.take().unwrap().write_all(b"typed").unwrap();
    assert_eq!(finish(child).ok(), "1\n");
}

#[test]
fn what_a_command_says_on_standard_error_is_passed_on() {
    let shell = Shell::new();
    let command = shell.counting("echo from-command >&2; echo 1");
    let options = ["--credentials", "echo from-credentials >&2; echo secret"];
    let ran = finish(start(&mut resolve(&shell, &options, &command)));
    assert_eq!((&*ran.text(), &*ran.errors()), ("1\n", "from-credentials\nfrom-command\n"));
}

/// Somebody was stopped while it held the guard.
#[test]
fn one_who_cannot_have_the_guard_tries_again_as_long_as_it_may() {
    let shell = Shell::new();
    shell.run(["quota", "block", "--for", "1s", "usage"]).ok();
    shell.advance(Duration::from_secs(2));
    let guard = forebay::guard_of(forebay::Key::quota("usage").unwrap().slot());
    let guard = fs::File::open(shell.root().join(format!(".forebay/guard/{guard:02x}"))).unwrap();
    guard.lock().unwrap();
    let command = shell.counting("echo 1");
    let mut patient = start(&mut resolve(&shell, &["--timeout", "1h"], &command));
    // Begun later, and over: so the first one's attempt was over too.
    for _ in 0..2 {
        let hasty = finish(start(&mut resolve(&shell, &["--timeout", "1ms"], &command)));
        assert_eq!((hasty.code(), &*hasty.text()), (6, ""), "{}", hasty.errors());
        assert!(hasty.errors().contains("the guard"), "{}", hasty.errors());
    }
    assert!(patient.try_wait().unwrap().is_none());
    assert_eq!(shell.runs(), 0);
    guard.unlock().unwrap();
    assert_eq!(finish(patient).ok(), "1\n");
}

/// A server that answers each of these once, in turn, and gives the heads of the requests.
fn server(answers: Vec<String>) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        answers
            .into_iter()
            .map(|answer| {
                let mut stream = listener.accept().unwrap().0;
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(head).unwrap()
            })
            .collect()
    });
    (port, served)
}

/// The line of docs/command.md, against a real server.
#[test]
fn curl_is_all_that_is_needed() {
    let installed = Command::new("curl").arg("--version").output();
    assert!(installed.is_ok_and(|ran| ran.status.success()), "install curl: this test runs it");
    let answer = |head: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    };
    let (port, served) = server(vec![
        answer("200 OK\r\nETag: \"v1\"", "{\"used\": 42}"),
        answer("304 Not Modified", ""),
        answer("429 Too Many Requests\r\nRetry-After: 120", "{\"error\": 1}"),
    ]);
    let shell = Shell::new();
    fs::write(shell.path("token"), "correct-horse\n").unwrap();
    let url = format!("http://127.0.0.1:{port}/usage");
    let script =
        "curl -si --noproxy '*' -H @- ${FOREBAY_VALIDATOR:+-H \"If-None-Match: $FOREBAY_VALIDATOR\"} ";
    let script = format!("{script}{url}");
    let header = "printf 'Authorization: Bearer %s' \"$(cat token)\"";
    let ask = || {
        let line = ["quota", "resolve", "--json", "--timeout", "1m", "--credentials", header, "usage"];
        shell.run(line.into_iter().chain(["--", "sh", "-c", &script])).json()
    };
    let first = ask();
    assert_eq!((&first["how"], &first["data"]), (&json!("ran"), &json!({"used": 42})), "{first}");
    shell.advance(Duration::from_secs(200));
    assert_eq!(ask()["how"], "unchanged");
    shell.advance(Duration::from_secs(200));
    let last = ask();
    assert_eq!((&last["how"], &last["data"]), (&json!("stale"), &json!({"used": 42})));
    assert_eq!(last["retry_at_ms"].as_i64().unwrap(), 1_800_000_520_000);
    let heads = common::within("the server", move || served.join().unwrap());
    assert!(
        heads.iter().all(|head| head.contains("\r\nAuthorization: Bearer correct-horse\r\n")),
        "{heads:?}"
    );
    assert!(heads[1].contains("\r\nIf-None-Match: \"v1\"\r\n"), "{heads:?}");
}

#[test]
fn with_a_refused_connection_curl_says_nothing_and_the_failure_is_told() {
    let shell = Shell::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let line = ["quota", "resolve", "--timeout", "1m", "usage", "--", "curl", "-si", "--noproxy", "*", &url];
    let ran = shell.run(line);
    assert_eq!(ran.code(), 5, "{}", ran.errors());
    assert_eq!(ran.errors(), "forebay: usage: refresh failed: exit status 7; next attempt in 1 s\n");
}
