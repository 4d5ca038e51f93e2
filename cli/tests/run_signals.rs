//! `forebay run` when a signal comes, nobody reads, or the store cannot be used.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{FOREBAY, Shell, finish, heard, kill, start, tell};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;

#[test]
fn a_signal_reaches_the_command_and_ends_forebay_as_it_would_end_the_command() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let shell = Shell::new();
        let (began, went) = (shell.fifo("began"), shell.fifo("went"));
        // It says when it began, and once more, through a descriptor of its own, when it is gone.
        let command = shell.counting("exec 9> went; echo > began; exec sleep 1000");
        let runner = start(&mut shell.forebay(["run", command.to_str().unwrap()]));
        let gone = std::thread::spawn(move || heard(&went));
        heard(&began);
        kill(runner.id(), signal);
        let ran = finish(runner);
        assert_eq!(ran.status.signal(), Some(signal.as_raw()), "{ran:?}");
        assert_eq!(gone.join().unwrap(), "", "the command has ended");
    }
}

/// The key goes to the whole foreground group, so the command has the signal from the terminal; were it passed on as
/// well, programs that take a second one for impatience would break off their cleaning up.
#[test]
fn a_key_pressed_on_the_terminal_reaches_the_command_once() {
    let shell = Shell::new();
    let (began, first) = (shell.fifo("began"), shell.fifo("first"));
    let command = shell.counting(
        "trap 'echo int >> ints; test -e told || { touch told; echo > first; }' INT
        trap 'kill $!; exit 0' TERM
        sleep 1000 & echo > began
        while :; do wait; done",
    );
    let (mut keyboard, screen) = common::terminal();
    let mut line = std::process::Command::new("setsid");
    line.args(["--ctty", FOREBAY, "run", command.to_str().unwrap()]).current_dir(shell.path(""));
    line.envs(shell.forebay(["run"]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    let runner = start(line.stdin(screen));
    heard(&began);
    std::io::Write::write_all(&mut keyboard, b"\x03").unwrap();
    heard(&first);
    // Whatever was to be passed on is passed on before this.
    kill(runner.id(), Signal::TERM);
    assert_eq!(finish(runner).code(), 0);
    assert_eq!(fs::read_to_string(shell.path("ints")).unwrap(), "int\n");
}

#[test]
fn an_interrupted_run_is_not_stored_and_bars_nobody() {
    let shell = Shell::new();
    let began = shell.fifo("began");
    let command = shell.counting("test -e stop && { echo whole; exit; }\ntouch stop; trap 'echo part; exit 0' INT; echo > began; while :; do sleep 0.05; done");
    let line = ["run", command.to_str().unwrap()];
    let runner = start(&mut shell.forebay(line));
    heard(&began);
    kill(runner.id(), Signal::INT);
    let ran = finish(runner);
    assert_eq!((ran.code(), &*ran.text()), (0, "part\n"), "the command chose to end like this");
    assert_eq!(shell.run(line).ok(), "whole\n", "what an interrupted command printed is not its output");
    assert_eq!(shell.runs(), 2);
}

#[test]
fn one_who_waits_can_be_interrupted_alone() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting("echo > began; cat go");
    let line = ["run", "--verbose", command.to_str().unwrap()];
    let runner = start(&mut shell.forebay(line));
    heard(&began);
    let waiter = start(&mut shell.forebay(line));
    kill(waiter.id(), Signal::INT);
    assert_eq!(finish(waiter).status.signal(), Some(Signal::INT.as_raw()));
    tell(&go, "done\n");
    assert_eq!(finish(runner).ok(), "done\n");
    assert_eq!(shell.runs(), 1);
}

#[test]
fn a_signal_that_is_to_be_ignored_stays_ignored() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting("echo > began; cat go");
    let script = format!("trap '' HUP; exec forebay run {}", command.display());
    let runner = start(&mut shell.sh(&script));
    heard(&began);
    kill(runner.id(), Signal::HUP);
    tell(&go, "done\n");
    assert_eq!(finish(runner).ok(), "done\n");
}

#[test]
fn when_nobody_reads_it_ends_quietly_and_the_output_is_stored() {
    let shell = Shell::new();
    let command = shell.counting("yes | head -c 1000000");
    for _ in 0..2 {
        let mut child = start(&mut shell.forebay(["run", command.to_str().unwrap()]));
        drop(child.stdout.take());
        let ran = finish(child);
        assert_eq!((ran.status.signal(), &*ran.errors()), (Some(Signal::PIPE.as_raw()), ""));
    }
    assert_eq!(shell.run(["run", command.to_str().unwrap()]).ok().len(), 1_000_000);
    assert_eq!(shell.runs(), 1, "the first reader went away, the output did not");
    let mut list = start(&mut shell.forebay(["list"]));
    drop(list.stdout.take());
    assert_eq!(finish(list).errors(), "");
}

#[test]
fn an_endless_output_ends_when_nobody_reads_it() {
    let shell = Shell::new();
    let ran = finish(start(&mut shell.sh("forebay run yes | head -n 1")));
    assert_eq!((&*ran.text(), &*ran.errors()), ("y\n", ""));
    assert_eq!(shell.run(["list"]).ok(), "");
}

#[test]
fn an_output_too_large_to_be_kept_goes_through_all_the_same() {
    let shell = Shell::new();
    let ran = finish(start(&mut shell.sh("forebay run sh -c 'yes | head -c 300000000' | wc -c")));
    assert_eq!(ran.text().trim(), "300000000");
    assert!(ran.errors().contains("not stored: it is larger than 256.0 MiB"), "{}", ran.errors());
    assert_eq!(shell.run(["list"]).ok(), "");
}

#[test]
fn a_standard_output_that_takes_nothing_is_told() {
    let shell = Shell::new();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for _ in 0..2 {
        let mut command = shell.forebay(["run", "--name", "n", "echo", "hello"]);
        let ran = finish(command.stdout(full()).stderr(Stdio::piped()).spawn().unwrap());
        assert_eq!(ran.code(), 125);
        assert!(ran.errors().contains("cannot write standard output: No space left on device"), "{ran:?}");
    }
    assert_eq!(shell.run(["get", "run/n"]).ok(), "hello\n");
}

#[test]
fn where_the_store_fails_the_command_runs_all_the_same() {
    let shell = Shell::new();
    fs::write(shell.path("file"), "").unwrap();
    let command = shell.counting("echo out; exit 5");
    for (times, root) in ["file", "file/below", "/proc/forebay"].iter().enumerate() {
        let ran = shell.run(["run", "--root", root, command.to_str().unwrap()]);
        assert_eq!((ran.code(), &*ran.text(), shell.runs()), (5, "out\n", times + 1), "{root}");
        let told = ran.errors();
        assert!(told.starts_with("forebay: ") && told.lines().count() == 1, "{told}");
        assert!(told.contains("without the cache"), "{told}");
        let wanting = shell.run(["run", "--wait", "1h", "--root", root, "echo", "out"]);
        assert_eq!(wanting.ok(), "out\n");
    }
}

/// Root may write anywhere, so as root the test lets `forebay` run as nobody.
#[test]
fn under_a_root_that_cannot_be_written_what_is_there_is_served_and_the_rest_runs() {
    let shell = Shell::new();
    let program = shell.path("forebay");
    fs::copy(FOREBAY, &program).unwrap();
    shell.run(["run", "--name", "n", "echo", "stored"]).ok();
    let nobody = rustix::process::geteuid().is_root().then_some(65_534);
    open_up(&shell.path(""), nobody);
    lock_up(&shell.root(), nobody);
    let run = |line: &[&str]| {
        let mut command = shell.forebay(line);
        let mut as_nobody = std::process::Command::new(&program);
        as_nobody.args(line).current_dir(shell.path("")).stdin(Stdio::null());
        as_nobody.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(nobody) = nobody {
            as_nobody.uid(nobody).gid(nobody);
        }
        command.arg("");
        finish(start(&mut as_nobody))
    };
    let served = run(&["run", "--name", "n", "echo", "stored"]);
    assert_eq!((&*served.text(), &*served.errors()), ("stored\n", ""));
    let ran = run(&["run", "sh", "-c", "echo ran; exit 3"]);
    assert_eq!((ran.code(), &*ran.text()), (3, "ran\n"), "{}", ran.errors());
    assert_eq!(ran.errors().lines().count(), 1, "{}", ran.errors());
    unlock(&shell.root());
}

fn open_up(folder: &std::path::Path, owner: Option<u32>) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        chown(entry.unwrap().path(), owner, owner).unwrap();
    }
}

/// Every file and folder below becomes that user's and read-only.
fn lock_up(path: &std::path::Path, owner: Option<u32>) {
    chown(path, owner, owner).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            lock_up(&entry.unwrap().path(), owner);
        }
    }
    let mode = if path.is_dir() { 0o500 } else { 0o400 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// So that the folder can be deleted.
fn unlock(path: &std::path::Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            unlock(&entry.unwrap().path());
        }
    }
}
