//! `forebay run --input` in one shell: an output holds while what was named is as it was, and never longer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Shell, anywhere, finish, start};
use forebay::{Cache, Input, LiveKey};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Runs the counting command with these options; its output is how often it has run.
fn counted(shell: &Shell, options: &[&str]) -> String {
    let command = shell.counting("echo err >&2; wc -l < runs | tr -d ' '");
    let ran = shell.run(["run"].iter().chain(options).chain(&["--", command.to_str().unwrap()]));
    assert_eq!((ran.code(), &*ran.errors()), (0, "err\n"), "{options:?}");
    ran.text()
}

#[test]
fn it_holds_while_its_input_is_as_it_was() {
    for (input, change) in [
        ("a", "echo other > a"),
        ("a", "rm a"),
        ("file:a", "touch -d @0 a; echo other > a; touch -d @0 a"),
        ("gone", "touch gone"),
        ("src/", "touch src/new"),
        ("dir:src", "rm src/x.rs"),
        ("src/**/*.rs", "mkdir src/deep; touch src/deep/y.rs"),
        ("glob:src/*.rs", "echo more >> src/x.rs"),
        ("absent:gone", "mkdir gone"),
        ("stat:a", "touch -d @7 a"),
        ("source:api/models", "echo v2 | forebay put api/models"),
        ("tag:schema", "forebay live invalidate --tag schema"),
    ] {
        let shell = Shell::new();
        fs::write(shell.path("a"), "content").unwrap();
        fs::create_dir(shell.path("src")).unwrap();
        fs::write(shell.path("src/x.rs"), "").unwrap();
        finish(start(&mut shell.sh("echo v1 | forebay put api/models"))).ok();
        for _ in 0..3 {
            assert_eq!(counted(&shell, &["--input", input]), "1\n", "{input}");
            shell.advance(1_000_000 * SECOND);
        }
        // Changes of what is no input of it.
        finish(start(&mut shell.sh("touch b src/.hidden.rs.swp; rm src/.hidden.rs.swp"))).ok();
        assert_eq!(counted(&shell, &["--input", input]), "1\n", "{input}");
        finish(start(&mut shell.sh(change))).ok();
        assert_eq!(counted(&shell, &["--input", input]), "2\n", "{input}: {change}");
        assert_eq!(counted(&shell, &["--input", input]), "2\n", "{input}: {change}");
    }
}

#[test]
fn a_file_that_was_written_anew_with_the_same_content_changes_nothing() {
    let shell = Shell::new();
    for _ in 0..3 {
        fs::write(shell.path("new"), "content").unwrap();
        fs::rename(shell.path("new"), shell.path("a")).unwrap();
        assert_eq!(counted(&shell, &["--input", "a", "--input", "absent:b"]), "1\n");
    }
}

#[test]
fn a_variable_may_be_an_input_or_part_of_the_key() {
    let shell = Shell::new();
    let command = shell.counting("wc -l < runs | tr -d ' '");
    let run = |option: &str, value: &str, who: &str| {
        let mut forebay = shell.forebay(["run", "--input", "a", option, value, command.to_str().unwrap()]);
        finish(start(forebay.env("WHO", who))).ok()
    };
    assert_eq!((run("--env", "WHO", "me"), run("--env", "WHO", "you")), ("1\n".into(), "2\n".into()));
    assert_eq!((run("--env", "WHO", "me"), run("--env", "WHO", "you")), ("1\n".into(), "2\n".into()));
    assert_eq!(run("--input", "env:WHO", "me"), "3\n");
    assert_eq!(run("--input", "env:WHO", "me"), "3\n");
    assert_eq!(
        (run("--input", "env:WHO", "you"), run("--input", "env:WHO", "me")),
        ("4\n".into(), "5\n".into())
    );
}

#[test]
fn the_names_of_the_inputs_and_the_folder_are_part_of_the_key() {
    let shell = Shell::new();
    fs::create_dir(shell.path("sub")).unwrap();
    assert_eq!(counted(&shell, &["--input", "a", "--input", "b"]), "1\n");
    assert_eq!(counted(&shell, &["--input", "b", "--input", "a", "--input", "b"]), "1\n", "in any order");
    assert_eq!(counted(&shell, &["--input", "a"]), "2\n");
    assert_eq!(counted(&shell, &["--input", "a", "--cwd"]), "2\n", "the folder counts anyway");
    assert_eq!(counted(&shell, &["--input", "a", "--name", "n"]), "3\n");
    assert_eq!(counted(&shell, &["--input", "a", "--workspace", "sub"]), "4\n");
    let command = shell.counting("wc -l < ../runs | tr -d ' '");
    let mut elsewhere = shell.forebay(["run", "--input", "a", command.to_str().unwrap()]);
    assert_eq!(finish(start(elsewhere.current_dir(shell.path("sub")))).ok(), "5\n");
}

#[test]
fn inputs_are_relative_to_the_workspace() {
    let shell = Shell::new();
    fs::create_dir(shell.path("sub")).unwrap();
    let options = ["--workspace", "sub", "--input", "*"];
    assert_eq!(counted(&shell, &options), "1\n");
    fs::write(shell.path("beside"), "").unwrap();
    assert_eq!(counted(&shell, &options), "1\n");
    fs::write(shell.path("sub/within"), "").unwrap();
    assert_eq!(counted(&shell, &options), "2\n");
}

#[test]
fn a_path_need_not_be_text() {
    let shell = Shell::new();
    let command = shell.counting("wc -l < runs | tr -d ' '");
    let odd = OsStr::from_bytes(b"o\xffdd");
    let prefixed = |prefix: &str| [prefix.as_bytes(), odd.as_bytes()].concat();
    for (round, prefix) in ["", "file:", "stat:"].into_iter().enumerate() {
        let input = OsString::from(OsStr::from_bytes(&prefixed(prefix)));
        let run = || {
            let line = ["run".into(), "--input".into(), input.clone(), command.clone().into_os_string()];
            shell.run(line).ok()
        };
        let first = run();
        assert_eq!(run(), first, "{prefix}");
        fs::write(shell.folder().join(odd), format!("{round}")).unwrap();
        assert_ne!(run(), first, "{prefix}");
        fs::remove_file(shell.folder().join(odd)).unwrap();
    }
}

#[test]
fn with_a_ttl_it_has_to_be_young_too() {
    let shell = Shell::new();
    let options = ["--input", "a", "--ttl", "10s"];
    assert_eq!(counted(&shell, &options), "1\n");
    shell.advance(9 * SECOND);
    assert_eq!(counted(&shell, &options), "1\n");
    shell.advance(SECOND);
    assert_eq!(counted(&shell, &["--input", "a"]), "1\n", "who gives none takes it at any age");
    assert_eq!(counted(&shell, &options), "2\n");
    fs::write(shell.path("a"), "").unwrap();
    assert_eq!(counted(&shell, &options), "3\n", "and it is no excuse for a change");
}

#[test]
fn force_computes_it_anew() {
    let shell = Shell::new();
    assert_eq!(counted(&shell, &["--input", "a"]), "1\n");
    shell.advance(SECOND);
    assert_eq!(counted(&shell, &["--input", "a", "--force"]), "2\n");
    assert_eq!(counted(&shell, &["--input", "a"]), "2\n");
    let broken = ["run", "--input", "a", "--key", "k", "sh", "-c", "test -e broken && exit 3; echo good"];
    assert_eq!(shell.run(broken).ok(), "good\n");
    fs::write(shell.path("broken"), "").unwrap();
    shell.advance(SECOND);
    assert_eq!(shell.run(["run", "--force"].iter().chain(&broken[1..])).code(), 3);
    assert_eq!(shell.run(broken).ok(), "good\n", "a failure destroys nothing");
}

#[test]
fn both_outputs_come_back_byte_for_byte() {
    let shell = Shell::new();
    let odd: Vec<u8> = (0..=255).chain([0, 0, b'\n', 0xff, 0xc3]).collect();
    let lookalike = b"{\"status\":0,\"stderr\":\"\"}\nx".to_vec();
    for (round, bytes) in [odd.clone(), lookalike, Vec::new(), odd.repeat(40_000)].into_iter().enumerate() {
        fs::write(shell.path("bytes"), &bytes).unwrap();
        let end = bytes.len() - bytes.len().min(1000);
        let script = format!("cat bytes; tail -c +{} bytes >&2; echo run >> runs", end + 1);
        for _ in 0..2 {
            let ran = shell.run(["run", "--input", "bytes", "sh", "-c", &script]);
            assert_eq!(ran.code(), 0);
            assert!(ran.out == bytes && ran.err == bytes[end..], "{round}: {} bytes", ran.out.len());
        }
        assert_eq!(shell.runs(), round + 1);
    }
}

#[test]
fn a_failure_is_passed_on_not_stored_and_does_not_cool_down() {
    let shell = Shell::new();
    let command = shell.counting("echo half; echo reason >&2; exit 3");
    for round in 1..=3 {
        let ran = shell.run(["run", "--input", "a", command.to_str().unwrap()]);
        assert_eq!((ran.code(), &*ran.text(), &*ran.errors()), (3, "half\n", "reason\n"));
        assert_eq!(shell.runs(), round);
    }
    assert_eq!(shell.run(["live", "stats", "--json"]).json()["results"], 0);
}

#[test]
fn statuses_are_those_of_run() {
    let shell = Shell::new();
    fs::create_dir(shell.path("src")).unwrap();
    fs::write(shell.path("plain"), "not a program").unwrap();
    let killed = shell.script("killed", "kill -9 $$");
    let hex = "AB".repeat(32);
    for (line, status, told) in [
        (&["/no/such/command"][..], 127, "cannot run"),
        (&["./plain"], 126, "cannot run"),
        (&[killed.to_str().unwrap()], 137, ""),
        (&["sh", "-c", "exit 255"], 255, ""),
        (&["--deadline", "100ms", "sleep", "1000"], 124, "its deadline of 100ms"),
        (&["--ttl", "nonsense", "true"], 125, "--ttl"),
        (&["--deadline", "0s", "true"], 125, "--deadline"),
        (&["--max-stale", "1h", "true"], 125, "--max-stale has no meaning beside --input"),
        (&["--wait", "1s", "true"], 125, "--wait has no meaning beside --input"),
        (&["--input", "src", "true"], 125, "write src/ for the names in it, or 'src/**' for its files"),
        (&["--input", "", "true"], 125, "--input is empty"),
        (&["--input", "a[", "true"], 125, "no pattern"),
        (&["--input", "source:", "true"], 125, ""),
        (&["--workspace", "nowhere", "true"], 125, "no such folder"),
        (&["--workspace", "", "true"], 125, "no such folder"),
        (&["--name", "", "true"], 125, "--name is empty"),
        (&["--tier", "", "true"], 125, "tier"),
        (&["--key", "a/b", "--cwd", "true"], 125, "--key is the whole key"),
        (&["--key", "", "true"], 125, "--key is empty"),
        (&["--key", &hex, "true"], 125, "64 lower-case hex digits"),
        (&["--file", "src", "true"], 125, "is not a file"),
        (&[""], 125, "which command?"),
    ] {
        let ran = shell.run(["run", "--input", "a"].iter().chain(line));
        assert_eq!((ran.code(), &*ran.text()), (status, ""), "{line:?}: {}", ran.errors());
        let errors = ran.errors();
        assert!(errors.contains(told) && errors.lines().count() <= 1, "{line:?}: {errors}");
    }
    let alone = shell.run(["run", "--workspace", "src", "true"]);
    assert_eq!(alone.code(), 125);
    assert!(alone.errors().contains("name them with --input"), "{}", alone.errors());
}

#[test]
fn what_saw_its_input_change_is_passed_on_and_not_stored() {
    let shell = Shell::new();
    fs::write(shell.path("a"), "one\n").unwrap();
    let command = shell.counting("cat a; test -e calm || echo more >> a");
    let line = ["run", "--input", "a", command.to_str().unwrap()];
    let quiet = shell.run(line);
    assert_eq!((quiet.code(), &*quiet.text(), &*quiet.errors()), (0, "one\n", ""));
    let told = shell.run(["run", "--verbose"].iter().chain(&line[1..]));
    let expected = "the output was not stored: file:a has changed since the computation began\n";
    assert!(told.errors().contains(expected), "{}", told.errors());
    assert_eq!(told.ok(), "one\nmore\n");
    assert_eq!(shell.run(["live", "stats", "--json"]).json()["results"], 0);
    fs::write(shell.path("calm"), "").unwrap();
    assert_eq!(shell.run(line).ok(), "one\nmore\nmore\n");
    assert_eq!((shell.run(line).ok(), shell.runs()), ("one\nmore\nmore\n".into(), 3));
    let file = ["run", "--verbose", "--input", "b", "--file", "a", "sh", "-c", "echo out; echo even >> a"];
    let told = shell.run(file);
    assert!(
        told.errors().contains("not stored: a --file changed while the command ran"),
        "{}",
        told.errors()
    );
    assert_eq!(told.ok(), "out\n");
}

#[test]
fn a_key_given_whole_is_that_of_programs() {
    let shell = Shell::new();
    let key = LiveKey::from_bytes(b"an answer");
    {
        let live = Cache::open(shell.root()).unwrap().live().unwrap().workspace(shell.folder()).unwrap();
        live.persist(&key, b"{\"status\":0}\nby a program", "answer", &[Input::parse("a")]).unwrap();
    }
    let hex = key.to_string();
    for name in ["an answer", &hex] {
        let ran = shell.run(["run", "--verbose", "--input", "a", "--key", name, "echo", "by a command"]);
        assert!(ran.errors().starts_with(&format!("forebay: {}: fresh: ", &hex[..16])), "{}", ran.errors());
        assert_eq!(ran.ok(), "{\"status\":0}\nby a program", "printed as it is");
    }
    fs::write(shell.path("a"), "").unwrap();
    shell.run(["run", "--input", "a", "--key", "an answer", "echo", "by a command"]).ok();
    let live = Cache::open(shell.root()).unwrap().live().unwrap().workspace(shell.folder()).unwrap();
    let found = live.lookup_revalidate(&key).unwrap().hit().unwrap();
    assert_eq!((found.data(), found.kind()), (&b"{\"status\":0,\"stderr\":\"\"}\nby a command\n"[..], "run"));
}

#[test]
fn no_argument_and_no_value_of_a_variable_is_written_to_the_disk() {
    let shell = Shell::new();
    let secret = "hunter2-a-secret";
    let line = ["run", "--input", "env:TOKEN", "--input", "readable", "test", "-n", secret];
    finish(start(shell.forebay(line).env("TOKEN", "t0k3n-a-secret"))).ok();
    assert!(anywhere(&shell.root(), "readable"), "the search finds what is there");
    assert!(!anywhere(&shell.root(), "a-secret"));
}

#[test]
fn where_the_cache_cannot_be_used_the_command_runs() {
    let shell = Shell::new();
    fs::write(shell.path("file"), "").unwrap();
    let command = shell.counting("echo out; exit 3");
    let ran = shell.run(["run", "--root", "file", "--input", "a", command.to_str().unwrap()]);
    assert_eq!((ran.code(), &*ran.text(), shell.runs()), (3, "out\n", 1));
    assert!(ran.errors().ends_with("(the command runs without the cache)\n"), "{}", ran.errors());
}

#[test]
fn many_runs_leave_no_more_behind_than_one() {
    let shell = Shell::new();
    for name in ["a", "b", "c", "d"] {
        shell.run(["run", "--input", name, "true"]).ok();
        assert_eq!(fs::read_dir(shell.root().join(".forebay/holders")).unwrap().count(), 1, "{name}");
    }
}

#[test]
fn the_command_inherits_nothing_of_the_index() {
    let shell = Shell::new();
    let open = shell.run(["run", "--input", "a", "sh", "-c", "ls -l /proc/$$/fd"]).ok();
    assert!(open.contains("/dev/null") && !open.contains("/.forebay/"), "{open}");
}
