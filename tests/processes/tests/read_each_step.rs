//! A reader is stopped just before each of its system calls; meanwhile a commit replaces a value that a notice
//! covered, and takes the notice away. Whatever the reader then returns, it must not be the old value called
//! fresh: that is why the notice is read before the value.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails in a helper of tests fails the test")]

mod common;

use common::{ENDLESS, KEY, folder, open};
use forebay::{AcquireOptions, Acquired, Commit};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn reader(root: &Path, stop_at: u32, rule: Option<&str>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forebay-actor"));
    command.arg("--root").arg(root).args(["read", KEY, "3600000"]);
    command.env("FOREBAY_CRASH_AT", format!("{stop_at}:stop"));
    command.envs(rule.map(|rule| ("FOREBAY_BREAK", rule)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Whether it stopped, rather than ended.
fn stopped(child: &mut Child) -> bool {
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        match stat.rsplit(") ").next().and_then(|rest| rest.chars().next()) {
            Some('T') => return true,
            Some('Z') | None => return false,
            _ => std::thread::yield_now(),
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
    }
}

fn walk(rule: Option<&str>) -> u32 {
    for at in 1..ENDLESS {
        let folder = folder();
        let root = folder.path().join("root");
        let source = open(&root).source(KEY);
        source.put("old", &Commit::default()).unwrap();
        source.mark_stale().unwrap();
        let mut child = reader(&root, at, rule);
        if !stopped(&mut child) {
            child.wait().unwrap();
            return at - 1;
        }
        let Acquired::Ticket(ticket) = source.acquire(&AcquireOptions::default()).unwrap() else {
            panic!("the lease was not free");
        };
        ticket.complete("new", &Commit::default()).unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::CONT).unwrap();
        let mut answer = String::new();
        child.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
        child.wait().unwrap();
        let (old, fresh) = (answer.contains("\"old\""), answer.contains("\"fresh\""));
        assert!(old || answer.contains("\"new\""), "stopped at call {at}: {answer}");
        assert!(!(old && fresh), "stopped at call {at}, the old value was called fresh: {answer}");
    }
    panic!("no reader got to its end");
}

#[test]
fn d27_a_reader_stopped_at_any_call_never_calls_an_old_value_fresh() {
    let stops = walk(None);
    assert!(stops > 10, "{stops} stops");
}

#[test]
fn the_walk_notices_a_notice_that_is_read_after_the_value() {
    assert!(std::panic::catch_unwind(|| walk(Some("notice-late"))).is_err());
}
