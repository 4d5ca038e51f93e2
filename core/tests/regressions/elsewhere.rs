//! P1: processes in other pid and time namespaces, over one root. This program starts itself again there.

use crate::common::{HOUR, KEY, Place, lease, not_run, put, text};
use forebay::{AcquireOptions, Acquired, Cache, Commit, Phase};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const ROOT: &str = "FOREBAY_TEST_ROOT";

/// The other process: not a test of its own. Acquires, says what came of it, and holds it until its input ends.
#[test]
#[ignore = "the other process of the tests in this file"]
fn holder() {
    let root = std::env::var_os(ROOT).expect("started by another test");
    let cache = Cache::open(root).unwrap();
    let claim =
        cache.source(KEY).ttl(HOUR).acquire(&AcquireOptions { override_gate: true, ..Default::default() });
    let said = match claim.as_ref().unwrap() {
        Acquired::Ticket(_) => "ticket",
        Acquired::InFlight(_) => "in_flight",
        _ => "other",
    };
    writeln!(std::io::stdout(), "\nanswer {said} pid {}", std::process::id()).unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    if let Acquired::Ticket(ticket) = claim.unwrap() {
        ticket.complete("from elsewhere", &Commit::default()).unwrap();
    }
}

/// Starts it by that wrapper; what it said.
fn start(wrapper: &[&str], root: &Path) -> (Child, String) {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "elsewhere::holder", "--nocapture", "--test-threads=1"]);
    command.env(ROOT, root).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answer = lines.find_map(|line| line.unwrap().strip_prefix("answer ").map(str::to_owned));
    // Its output stays readable for as long as it runs.
    std::thread::spawn(move || lines.for_each(drop));
    (child, answer.expect("it did not come so far"))
}

fn permitted(wrapper: &[&str]) -> bool {
    let run = Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn p01_a_live_holder_in_another_namespace_is_not_judged_dead() {
    let pids: &[&str] = &["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let times: &[&str] = &["unshare", "--time", "--boottime", "10000000", "--fork", "--kill-child"];
    for wrapper in [pids, times] {
        if !permitted(wrapper) {
            not_run("p01 in another namespace", &format!("the right to {}", wrapper.join(" ")));
            continue;
        }
        let place = Place::new();
        put(&place.source(), "old");
        // It holds, and we look.
        let (there, answer) = start(wrapper, &place.root());
        assert!(answer.starts_with("ticket"), "{wrapper:?}: {answer}");
        let source = place.source();
        assert_eq!(source.refresh_state().unwrap().phase, Phase::Running, "{wrapper:?}");
        let claim = crate::common::acquire(&source);
        assert!(matches!(claim, Acquired::InFlight(_)), "{wrapper:?}: {claim:?}");
        let keep = [source.key().unwrap().clone()];
        place.open().prune(&keep).unwrap();
        end(there);
        assert_eq!(text(&source).as_deref(), Some("from elsewhere"), "{wrapper:?}");
        // We hold, and it looks.
        let ticket = lease(&source);
        let (there, answer) = start(wrapper, &place.root());
        assert!(answer.starts_with("in_flight"), "{wrapper:?}: {answer}");
        end(there);
        assert!(!ticket.cancelled(), "{wrapper:?}");
        ticket.complete("from here", &Commit::default()).unwrap();
        // It holds and is killed: replaced at once.
        let (mut there, answer) = start(wrapper, &place.root());
        assert!(answer.starts_with("ticket"), "{wrapper:?}: {answer}");
        there.kill().unwrap();
        there.wait().unwrap();
        let until = std::time::Instant::now() + crate::common::HANG;
        while source.refresh_state().unwrap().phase == Phase::Running {
            assert!(std::time::Instant::now() < until, "{wrapper:?}: its lease outlived it");
            std::thread::yield_now();
        }
        drop(lease(&source));
    }
}
