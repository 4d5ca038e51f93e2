//! What a person sees on a terminal, and what a program sees that reads a pipe: colour and progress bars are for
//! people. The terminal here is a pty.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Shell, finish, terminal, within};
use std::io::Read;
use std::process::{Command, Stdio};

/// What it writes to a terminal as standard output (or, with `errors`, as standard error).
fn seen(command: &mut Command, errors: bool) -> String {
    let (mut ours, theirs) = terminal();
    if errors {
        command.stdout(Stdio::null()).stderr(theirs);
    } else {
        command.stdout(theirs).stderr(Stdio::null());
    }
    let child = command.spawn().unwrap();
    // The command keeps the other end, which must be closed for the reading to end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let text = within("the terminal", move || {
        let mut bytes = Vec::new();
        // A terminal whose other end is closed ends with EIO.
        let _ = ours.read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap()
    });
    finish(child);
    text
}

fn with_values(count: usize) -> Shell {
    let shell = Shell::new();
    for number in 0..count {
        shell.run(["refresh", "--ttl", "1h", &format!("a/{number}"), "--", "true"]).ok();
    }
    shell
}

#[test]
fn states_are_coloured_on_a_terminal_unless_told_otherwise() {
    let shell = with_values(1);
    let coloured = seen(&mut shell.forebay(["list"]), false);
    assert!(coloured.contains("\x1b[32mfresh\x1b[0m"), "{coloured:?}");
    let coloured = seen(&mut shell.forebay(["state", "a/0"]), false);
    assert!(coloured.contains("\x1b[32mfresh\x1b[0m"), "{coloured:?}");
    for value in ["1", "yes"] {
        let plain = seen(shell.forebay(["list"]).env("NO_COLOR", value), false);
        assert!(plain.contains("fresh") && !plain.contains('\x1b'), "{plain:?}");
    }
    let empty = seen(shell.forebay(["list"]).env("NO_COLOR", ""), false);
    assert!(empty.contains('\x1b'), "an empty NO_COLOR is none");
    let json = seen(&mut shell.forebay(["list", "--json"]), false);
    assert!(!json.contains('\x1b'), "{json:?}");
}

#[test]
fn nothing_is_coloured_in_a_pipe() {
    let shell = with_values(1);
    for line in [&["list"][..], &["state", "a/0"], &["list", "--json"], &["why", "a/0"]] {
        assert!(!shell.run(line).text().contains('\x1b'), "{line:?}");
    }
}

#[test]
fn long_work_has_a_bar_on_a_terminal_only() {
    let shell = with_values(0);
    let line = ["refresh", "--ttl", "1h", "a/1", "a/2", "a/3", "--", "true"];
    let bar = seen(&mut shell.forebay(line), true);
    assert!(bar.contains("refreshing [") && bar.contains("3/3"), "{bar:?}");
    assert!(bar.ends_with("\r\x1b[K"), "it goes away: {bar:?}");
    assert_eq!(shell.run(line).errors(), "");
    let bar = seen(&mut shell.forebay(["rm", "a/1", "a/2"]), true);
    assert!(bar.contains("removing [") && bar.ends_with("\r\x1b[K"), "{bar:?}");
    assert!(seen(&mut shell.forebay(["prune", "--keep", "a/9"]), true).contains("pruning"));
    assert_eq!(shell.run(["prune", "--keep", "a/9"]).errors(), "");
}
