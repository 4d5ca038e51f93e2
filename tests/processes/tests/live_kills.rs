//! Derived results and deaths: workers killed at random and at each system call, leases taken over, two processes
//! that keep one result, an index after a power cut, one that is full, one that a second copy of the library opens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod common;

use common::{ENDLESS, folder};
use forebay::{Cache, Code, Failure, How, Lookup};
use forebay_processes::live::{judge, key, open, races, storm};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_forebay-live");

fn program(folder: &Path, deeds: &[&str], faults: &[(&str, String)]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("do")
        .arg(folder)
        .args(deeds)
        .envs(faults.iter().map(|(name, value)| (*name, value.as_str())));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Does the deeds in another process: what it said, what it complained of, and whether it survived.
fn act(folder: &Path, deeds: &[&str], faults: &[(&str, String)]) -> (String, String, bool) {
    let output = program(folder, deeds, faults).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.success())
}

fn edit(folder: &Path, file: &str, content: &str) {
    std::fs::write(folder.join(file), content).unwrap();
}

/// Makes the results that the deeds are done to.
const WHOLE: [&str; 3] = ["get 7", "get 10", "get 13"];

/// A graph with results of all kinds.
fn prepared() -> tempfile::TempDir {
    let folder = folder();
    ["0", "1", "2"].iter().for_each(|file| edit(folder.path(), file, "first"));
    let (said, complained, survived) = act(folder.path(), &WHOLE, &[]);
    assert!(survived, "{said} {complained}");
    folder
}

#[test]
fn workers_killed_at_random_leave_tables_that_agree_and_nothing_stale() {
    let folder = folder();
    let plan = storm::Plan { program: PathBuf::from(PROGRAM), workers: 3, rounds: 12, seed: 7 };
    assert_eq!(storm::run(&plan, folder.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_writer_killed_at_each_call_leaves_nothing_half_applied() {
    for deed in ["get 10", "path 0", "tag 1", "dirty 4", "dependents 4", "evict 60000", "gc"] {
        let (mut deaths, folder) = (0, prepared());
        loop {
            // So that something is to be done.
            edit(folder.path(), "1", &format!("number {deaths}"));
            let fault = [("FOREBAY_CRASH_AT", (deaths + 1).to_string())];
            let (_, complained, survived) = act(folder.path(), &[deed], &fault);
            assert_eq!(complained, "", "{deed}, call {deaths}");
            let live = open(folder.path()).unwrap();
            assert_eq!(live.check().unwrap(), Vec::<String>::new(), "{deed}, killed at call {deaths}");
            assert_eq!(judge(&live, folder.path()).unwrap(), Vec::<String>::new(), "{deed}, call {deaths}");
            if survived {
                break;
            }
            // At once: nobody waits for a dead one's lease.
            assert!(act(folder.path(), &WHOLE, &[]).2, "{deed}, killed at call {deaths}");
            deaths += 1;
            assert!(deaths < ENDLESS, "{deed} never ends");
        }
        assert!(deaths > 5, "{deed}: {deaths} deaths");
    }
}

/// Starts one that computes, and waits until it does.
fn holder(folder: &Path) -> Child {
    let mut child = program(folder, &["hold 99"], &[]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "computing\n");
    child
}

#[test]
fn a_killed_computation_is_taken_over_at_once() {
    let folder = folder();
    let mut child = holder(folder.path());
    let live = open(folder.path()).unwrap();
    let begun = std::time::Instant::now();
    let made = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            live.get_or_compute(&key(99), &[], &[], "test", |_| Ok::<_, Failure>("taken over")).unwrap()
        });
        child.kill().unwrap();
        child.wait().unwrap();
        waiter.join().unwrap()
    });
    assert_eq!((made.how(), made.data()), (How::Ran, &b"taken over"[..]));
    assert!(begun.elapsed().as_secs() < 300, "its lease was for ten minutes");
    let mut child = holder_of_other(folder.path());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// The same for a result that nobody has; its input is closed by its caller.
fn holder_of_other(folder: &Path) -> Child {
    open(folder).unwrap().mark_dirty(&key(99)).unwrap();
    holder(folder)
}

#[test]
fn c8_processes_that_keep_other_bytes_under_one_key_never_hurt_it() {
    let folder = folder();
    let live = open(folder.path()).unwrap();
    live.persist(&key(1), b"first", "put", &[]).unwrap();
    let large = "x".repeat(70_000);
    let deeds = [String::from("repeat 150 put 1 small"), format!("repeat 150 put 1 {large}")];
    let mut children: Vec<Child> =
        deeds.iter().map(|deed| program(folder.path(), &[deed], &[]).spawn().unwrap()).collect();
    let mut looks = 0;
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        let Lookup::Hit(found) = live.lookup(&key(1)).unwrap() else { panic!("after {looks} looks") };
        assert!([5, 70_000].contains(&found.data().len()));
        looks += 1;
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(looks > 10);
    assert_eq!(live.check().unwrap(), Vec::<String>::new());
}

#[test]
fn c6_a_file_that_changes_while_it_is_computed_from_is_never_blessed() {
    let folder = tempfile::tempdir().unwrap();
    let seen = races::run(folder.path(), 400, 11).unwrap();
    assert_eq!(seen.stale, 0, "{seen:?}");
    // Which of these happens is a matter of time; that it is one of them is not.
    assert_eq!(seen.refused + seen.new + seen.noticed, 400, "{seen:?}");
}

#[test]
fn after_a_power_cut_the_index_is_made_anew_and_after_a_clean_end_it_is_kept() {
    let boot = |name: &str| [("FOREBAY_BOOT_ID", format!("00000000-0000-0000-0000-00000000000{name}"))];
    let has = |folder: &Path, name: &str| {
        // A hit leaves the bytes as they are; a miss makes them anew: the first line tells which.
        let before = std::fs::read_dir(folder.join("root/.forebay/index")).unwrap().count();
        let (_, complained, survived) = act(folder, &["look 1"], &boot(name));
        assert!(survived && before > 0, "{complained}");
        pages(folder)
    };
    let folder = folder();
    assert!(act(folder.path(), &["put 1 kept"], &boot("a")).2);
    let made = pages(folder.path());
    assert_eq!(
        has(folder.path(), "b"),
        made,
        "it was closed, so another start of the machine changes nothing"
    );
    // One is killed after it wrote; to be sure, while it computes.
    let mut child = program(folder.path(), &["put 2 x", "hold 3"], &boot("b")).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map(|line| line.unwrap()).any(|line| line == "computing"));
    let other = has(folder.path(), "c");
    assert_eq!(other, made, "who has it open has met no power cut");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(has(folder.path(), "b"), made, "a death is no power cut");
    // The last one said that it is clean again, so another is killed.
    let mut child = program(folder.path(), &["put 2 x", "hold 3"], &boot("b")).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map(|line| line.unwrap()).any(|line| line == "computing"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(has(folder.path(), "c"), made);
    let live = open(folder.path()).unwrap();
    assert!(live.lookup(&key(1)).unwrap().hit().is_none());
    live.persist(&key(1), b"again", "put", &[]).unwrap();
    assert_eq!(live.check().unwrap(), Vec::<String>::new());
}

/// The name of the file with the pages: another for each index.
fn pages(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("root/.forebay/index")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("data.") && !name.ends_with("-lock")).collect()
}

#[test]
fn a_full_index_says_so_and_is_whole_and_room_can_be_made() {
    let folder = folder();
    let small = [("FOREBAY_INDEX_MAP", (1 << 20).to_string())];
    let (said, complained, survived) = act(folder.path(), &["put 1 first", "fill", "look 1"], &small);
    assert!(survived && said == "done\ndone\ndone\n", "{said} {complained}");
    let (said, complained, survived) = act(folder.path(), &["look 1", "evict 1000", "put 2 again"], &small);
    assert!(survived && said == "done\ndone\ndone\n", "{said} {complained}");
    let live = open(folder.path()).unwrap();
    assert_eq!(live.check().unwrap(), Vec::<String>::new());
    assert!(live.lookup(&key(2)).unwrap().hit().is_some());
    assert!(live.total_bytes().unwrap() <= 1010);
}

#[test]
fn a_second_copy_of_the_library_in_one_process_is_told_so() {
    let folder = folder();
    // Another copy has a registry of its own; all that this one can see of it is its lock.
    let (_, complained, survived) = act(folder.path(), &["put 1 x"], &[]);
    assert!(survived, "{complained}");
    let name = format!("root/.forebay/index/open.{}", std::process::id());
    let other = std::fs::File::create(folder.path().join(name)).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let refused = open(folder.path()).unwrap().lookup(&key(1)).unwrap_err();
    assert_eq!(refused.code(), Code::Unsupported);
    assert!(refused.message().contains("another copy of forebay"), "{refused}");
    // By name: a child that another test is starting may have a copy of the descriptor for a moment.
    rustix::fs::flock(&other, rustix::fs::FlockOperation::Unlock).unwrap();
    assert!(
        Cache::open(folder.path().join("root"))
            .unwrap()
            .live()
            .unwrap()
            .lookup(&key(1))
            .unwrap()
            .hit()
            .is_some()
    );
}
