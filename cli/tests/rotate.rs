//! `forebay rotate` and `forebay rotate-reset`: a single-use credential is exchanged by exactly one process, nobody uses
//! one again of which nobody knows whether it was used, and it is nowhere but where it belongs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Ran, Shell, anywhere, finish, heard, kill, start, tell};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const NOW_MS: i64 = 1_800_000_000_000;
const HINT: &str = "log in again, then 'forebay rotate-reset --stdin credentials/api'";

/// `rotate api` by that command, where the credential is still that version.
fn rotate(shell: &Shell, seen: Option<&str>, command: &Path) -> Command {
    let mut line = shell.forebay(["rotate"]);
    line.args(seen.map(|version| format!("--seen={version}"))).args(["api", "--"]).arg(command);
    line
}

fn run(mut command: Command) -> Ran {
    finish(start(&mut command))
}

/// Stores it as after a login, and returns its version.
fn login(shell: &Shell, secret: &str) -> String {
    let mut child = start(shell.forebay(["rotate-reset", "--json", "--stdin", "api"]).stdin(Stdio::piped()));
    child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
    let told = finish(child).json();
    assert_eq!(told["key"], "credentials/api");
    told["version"].as_str().unwrap().to_owned()
}

/// The credential that is stored now: asked for by someone who has seen none.
fn stored(shell: &Shell) -> String {
    run(rotate(shell, None, Path::new("false"))).ok()
}

#[test]
fn the_first_is_made_the_next_exchanged_and_who_comes_late_gets_what_is_there() {
    let shell = Shell::new();
    let command = shell.counting(
        "echo \"<$(cat)> $FOREBAY_KEY $FOREBAY_TIER $FOREBAY_NAME $FOREBAY_DEADLINE_MS\" >> seen; wc -l < seen",
    );
    let first = run(rotate(&shell, None, &command));
    assert_eq!((first.errors(), first.ok()), (String::new(), "1\n".to_owned()));
    assert_eq!((stored(&shell), shell.runs()), ("1\n".to_owned(), 1));
    let found = shell.run(["rotate", "--json", "api", "--", "false"]).json();
    let version = found["version"].as_str().unwrap().to_owned();
    let expected = json!({
        "key": "credentials/api", "version": version, "how": "coalesced", "stored_at_ms": NOW_MS, "error": null, "data": "1",
    });
    assert_eq!(found, expected);
    assert_eq!(run(rotate(&shell, Some(&version), &command)).ok(), "2\n");
    assert_eq!(run(rotate(&shell, Some(&version), &command)).ok(), "2\n", "it is another one already");
    let seen = fs::read_to_string(shell.path("seen")).unwrap();
    let surroundings = "credentials/api credentials api 30000";
    assert_eq!(seen, format!("<> {surroundings}\n<1> {surroundings}\n"));
}

#[test]
fn among_twenty_shells_one_exchanges() {
    let shell = Shell::new();
    let version = login(&shell, "old");
    let go = shell.fifo("go");
    let command = shell.counting("cat go; cat");
    let line = ["rotate", "--deadline", "1h", "--seen", &version, "api", "--", command.to_str().unwrap()];
    let all: Vec<Child> = (0..20).map(|_| start(&mut shell.forebay(line))).collect();
    tell(&go, "after-");
    for child in all {
        let ran = finish(child);
        assert_eq!((ran.code(), &*ran.text(), &*ran.errors()), (0, "after-old\n", ""));
    }
    assert_eq!(shell.runs(), 1);
}

#[test]
fn what_the_server_refused_or_never_saw_changes_nothing() {
    for (body, line) in [
        ("printf 'HTTP/2 400 \\r\\n\\r\\n{}'", "refused: HTTP 400"),
        ("printf 'HTTP/2 401 \\r\\n\\r\\n'; exit 22", "unauthorized: HTTP 401"),
        ("exit 77", "unauthorized: exit status 77"),
        ("exit 75", "unavailable: exit status 75"),
    ] {
        let shell = Shell::new();
        let version = login(&shell, "old");
        let command = shell.counting(body);
        let ran = run(rotate(&shell, Some(&version), &command));
        let line = format!("forebay: credentials/api: {line}; next attempt in 1 s\n");
        assert_eq!((ran.code(), ran.text(), ran.errors()), (5, String::new(), line));
        let held = run(rotate(&shell, Some(&version), &command));
        assert_eq!((held.code(), shell.runs()), (3, 1), "{}", held.errors());
        assert_eq!(stored(&shell), "old\n");
        shell.advance(SECOND);
        let command = shell.counting("echo \"after-$(cat)\"");
        assert_eq!(run(rotate(&shell, Some(&version), &command)).ok(), "after-old\n");
    }
    let shell = Shell::new();
    let version = login(&shell, "old");
    let ran = run(rotate(&shell, Some(&version), Path::new("no-such-command")));
    assert_eq!(ran.code(), 5);
    assert!(ran.errors().contains(": command not found; next attempt in 1 s"), "{}", ran.errors());
    shell.advance(SECOND);
    let limited = shell.counting("printf 'HTTP/1.1 429 X\\r\\nRetry-After: 120\\r\\n\\r\\n'");
    let ran = run(rotate(&shell, Some(&version), &limited));
    let line = "forebay: credentials/api: rate limited: HTTP 429; next attempt in 2 min\n";
    assert_eq!((ran.code(), &*ran.errors()), (3, line));
    shell.advance(119 * SECOND);
    assert_eq!((run(rotate(&shell, Some(&version), &limited)).code(), shell.runs()), (3, 1));
}

#[test]
fn what_may_have_been_used_up_is_used_no_more_until_a_new_login() {
    for (body, reason) in [
        ("exit 7", "exit status 7"),
        ("printf 'HTTP/2 500 \\r\\n\\r\\n'", "HTTP 500"),
        ("printf 'HTTP/2 503 \\r\\nRetry-After: 1\\r\\n\\r\\n'", "HTTP 503"),
        ("printf 'HTTP/2 408 \\r\\n\\r\\n'", "HTTP 408"),
        ("printf 'HTTP/2 200 \\r\\n\\r\\nne'; exit 18", "exit status 18"),
        ("kill -KILL $$", "killed by signal 9"),
        ("true", "it printed no credential"),
    ] {
        let shell = Shell::new();
        let version = login(&shell, "old");
        let command = shell.counting(body);
        let ran = run(rotate(&shell, Some(&version), &command));
        let line = format!("forebay: credentials/api: sent, and the answer is not known: {reason}; {HINT}\n");
        assert_eq!((ran.code(), ran.text(), ran.errors()), (5, String::new(), line));
        shell.advance(Duration::from_secs(1_000_000));
        let next = run(rotate(&shell, Some(&version), &command));
        assert_eq!((next.code(), &*next.text(), shell.runs()), (5, "", 1));
        assert!(next.errors().ends_with(&format!("; {HINT}\n")), "{}", next.errors());
        let version = login(&shell, "from the new login\n");
        assert_eq!(stored(&shell), "from the new login\n");
        let command = shell.counting("echo \"after-$(cat)\"");
        assert_eq!(run(rotate(&shell, Some(&version), &command)).ok(), "after-from the new login\n");
    }
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let shell = Shell::new();
    let version = login(&shell, "old");
    let ran = shell.run(["rotate", "--json", "--seen", &version, "api", "--", "false"]);
    assert_eq!((ran.code(), &*ran.text()), (5, ""));
    let failure: Value = serde_json::from_str(&ran.errors()).unwrap();
    assert_eq!(
        (&failure["error"]["code"], &failure["error"]["hint"], &failure["key"]),
        (&json!("ambiguous"), &json!(HINT), &json!("credentials/api"))
    );
}

#[test]
fn an_exchange_that_overruns_is_killed_with_all_that_it_started_and_is_open() {
    let shell = Shell::new();
    let version = login(&shell, "old");
    let went = shell.fifo("went");
    let command = shell.counting("exec 9> went; sleep 1000 & wait");
    let mut line = shell.forebay(["rotate", "--deadline", "300ms", "--seen", &version, "api", "--"]);
    let child = start(line.arg(&command));
    assert_eq!(heard(&went), "");
    let ran = finish(child);
    assert_eq!(ran.code(), 5);
    assert!(ran.errors().contains("is not known: its deadline was over"), "{}", ran.errors());
}

#[test]
fn one_who_is_killed_in_the_middle_leaves_the_credential_open() {
    let shell = Shell::new();
    let version = login(&shell, "old");
    let began = shell.fifo("began");
    let command = shell.counting("echo $$ > began; exec sleep 1000");
    let child = start(&mut rotate(&shell, Some(&version), &command));
    let orphan: u32 = heard(&began).trim().parse().unwrap();
    kill(child.id(), Signal::KILL);
    assert_eq!(finish(child).status.signal(), Some(Signal::KILL.as_raw()));
    let next = run(rotate(&shell, Some(&version), &command));
    assert_eq!((next.code(), shell.runs()), (5, 1), "{}", next.errors());
    assert!(next.errors().contains("how it ended is not known"), "{}", next.errors());
    kill(orphan, Signal::TERM);
}

#[test]
fn the_first_signal_waits_for_the_exchange_and_what_it_brought_is_stored() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let shell = Shell::new();
        let version = login(&shell, "old");
        let (began, go, told) = (shell.fifo("began"), shell.fifo("go"), shell.fifo("told"));
        let command = shell.counting("echo > began; cat go");
        let mut line = rotate(&shell, Some(&version), &command);
        // Its standard error is a FIFO, so that the test hears of the signal's arrival.
        let listener = std::thread::spawn({
            let told = told.clone();
            move || {
                let mut lines = std::io::BufReader::new(fs::File::open(told).unwrap());
                let mut line = String::new();
                std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
                (line, lines)
            }
        });
        line.stdout(Stdio::piped()).stderr(fs::OpenOptions::new().write(true).open(&told).unwrap());
        let child = line.spawn().unwrap();
        drop(line);
        heard(&began);
        kill(child.id(), signal);
        let (said, _rest) = common::within("the word of the signal", move || listener.join().unwrap());
        assert!(said.starts_with("forebay: waiting for the exchange to end"), "{said}");
        tell(&go, "new");
        let ran = finish(child);
        assert_eq!((ran.status.signal(), &*ran.text()), (Some(signal.as_raw()), "new\n"));
        assert_eq!(stored(&shell), "new\n");
    }
}

#[test]
fn a_second_signal_breaks_the_exchange_off() {
    let shell = Shell::new();
    let version = login(&shell, "old");
    let (began, went) = (shell.fifo("began"), shell.fifo("went"));
    let command = shell.counting("exec 9> went; echo > began; exec sleep 1000");
    let child = start(&mut rotate(&shell, Some(&version), &command));
    let gone = std::thread::spawn(move || heard(&went));
    heard(&began);
    // Two kinds, as two of one kind may become one.
    kill(child.id(), Signal::INT);
    kill(child.id(), Signal::TERM);
    let (pid, signal) = (child.id(), Signal::INT);
    let again = std::thread::spawn(move || finish(child));
    common::eventually("it ends", || {
        again.is_finished() || {
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            let _ = rustix::process::kill_process(pid, signal);
            again.is_finished()
        }
    });
    let ran = again.join().unwrap();
    assert!(ran.status.signal().is_some(), "{ran:?}");
    assert_eq!(gone.join().unwrap(), "");
    assert!(ran.errors().contains("is not known: killed by signal"), "{}", ran.errors());
    assert_eq!(run(rotate(&shell, Some(&version), Path::new("true"))).code(), 5);
}

#[test]
fn the_secret_is_in_its_file_alone() {
    let shell = Shell::new();
    let (old, new) = ("correct-horse-battery", "staple-horse-correct");
    let version = login(&shell, old);
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting("echo $$ > began; cat go");
    let child = start(&mut rotate(&shell, Some(&version), &command));
    let pid: u32 = heard(&began).trim().parse().unwrap();
    for pid in [pid, child.id()] {
        for name in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap();
            assert!(!bytes.windows(old.len()).any(|part| part == old.as_bytes()), "{name}");
        }
    }
    tell(&go, new);
    let ran = finish(child);
    assert_eq!((&*ran.text(), &*ran.errors()), (&*format!("{new}\n"), ""));
    let file = shell.state().join("credentials/api.json");
    assert_eq!(fs::read_to_string(&file).unwrap(), new);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!anywhere(&shell.state(), old), "the old one is gone");
    fs::remove_file(&file).unwrap();
    assert!(!anywhere(&shell.state(), new) && !shell.root().exists());
}

#[test]
fn reset_forgets_and_what_was_seen_is_not_exchanged_then() {
    let shell = Shell::new();
    let version = login(&shell, "old");
    assert_eq!(shell.run(["rotate-reset", "api"]).ok(), "");
    let command = shell.counting("echo new");
    let gone = run(rotate(&shell, Some(&version), &command));
    assert_eq!((gone.code(), shell.runs()), (1, 0), "{}", gone.errors());
    assert!(gone.errors().ends_with(&format!("; {HINT}\n")), "{}", gone.errors());
    let told = shell.run(["rotate-reset", "--json", "api"]).json();
    assert_eq!(told, json!({"key": "credentials/api", "version": null}));
    assert_eq!(run(rotate(&shell, None, &command)).ok(), "new\n");
    let empty = shell.run(["rotate-reset", "--stdin", "api"]);
    assert_eq!(empty.code(), 2, "nothing is no credential");
    assert_eq!(stored(&shell), "new\n");
}

#[test]
fn bytes_are_kept_as_they_are() {
    let shell = Shell::new();
    let command = shell.counting("printf '\\377\\000a\\n'");
    assert_eq!(run(rotate(&shell, None, &command)).out, b"\xff\0a\n");
    let found = shell.run(["rotate", "--json", "api", "--", "false"]).json();
    assert_eq!((&found["data_base64"], found.get("data")), (&json!("/wBh"), None));
}

#[test]
fn the_state_root_is_the_options_else_the_environments_else_the_users() {
    let shell = Shell::new();
    let run = |line: &[&str], variables: &[(&str, &str)]| {
        let mut command = shell.forebay(line);
        command.env_remove("FOREBAY_STATE").env_remove("XDG_STATE_HOME").env_remove("HOME");
        command.envs(variables.iter().map(|(name, value)| (name, shell.path(value))));
        finish(start(&mut command))
    };
    let all = [("FOREBAY_STATE", "environment"), ("XDG_STATE_HOME", "xdg"), ("HOME", "home")];
    let option = shell.path("option").display().to_string();
    run(&["rotate", "--state", &option, "tier/name", "--", "echo", "1"], &all).ok();
    run(&["rotate", "tier/name", "--", "echo", "2"], &all).ok();
    run(&["rotate", "tier/name", "--", "echo", "3"], &all[1..]).ok();
    run(&["rotate", "tier/name", "--", "echo", "4"], &all[2..]).ok();
    for root in ["option", "environment", "xdg/forebay", "home/.local/state/forebay"] {
        assert!(shell.path(root).join("tier/name.json").is_file(), "{root}");
    }
    let none = run(&["rotate", "api", "--", "echo", "5"], &[]);
    assert_ne!(none.code(), 0);
    assert!(none.errors().contains("FOREBAY_STATE"), "{}", none.errors());
}

/// The disk becomes full at each step in turn. Before the exchange that is an error, and nothing is sent (it may be open
/// all the same, where the disk cannot take back that it was to begin); after it whoever made it has the only copy, and
/// everyone else is told that it is open.
#[test]
fn one_that_cannot_be_stored_is_printed_all_the_same_and_said_so() {
    let mut only_copies = 0;
    for at in 1..200 {
        let shell = Shell::in_memory();
        let version = login(&shell, "old");
        let command = shell.counting("echo new");
        let mut line = rotate(&shell, Some(&version), &command);
        line.env("FOREBAY_FAIL_AT", format!("{at}+:28"));
        let ran = run(line);
        if shell.runs() == 0 {
            assert_eq!((ran.code(), &*ran.text()), (6, ""), "{at}: {}", ran.errors());
            let next = run(rotate(&shell, Some(&version), &command));
            assert!([0, 5].contains(&next.code()), "{at}: {next:?}");
            assert_eq!(shell.runs(), usize::from(next.code() == 0), "{at}");
            continue;
        }
        assert_eq!((ran.code(), &*ran.text()), (0, "new\n"), "{at}: {}", ran.errors());
        if ran.errors().is_empty() {
            assert_eq!(stored(&shell), "new\n", "{at}");
            assert!(only_copies > 0, "{at}");
            return;
        }
        only_copies += 1;
        assert!(
            ran.errors().contains("credentials/api: the credential was not stored: "),
            "{}",
            ran.errors()
        );
        let next = run(rotate(&shell, Some(&version), &command));
        let healed = next.code() == 0 && next.text() == "new\n";
        assert!((healed || next.code() == 5) && shell.runs() == 1, "{at}: {next:?}");
        login(&shell, "newer");
        assert_eq!(stored(&shell), "newer\n", "{at}");
    }
    unreachable!("it is stored at last");
}
