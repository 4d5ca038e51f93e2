//! Every scenario, in Rust. `FOREBAY_VECTOR=text` runs only those whose name contains the text, and then fails
//! at the end, so that it cannot be left set by mistake.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// The actor: what `FOREBAY_ACTOR` names, else the workspace's own, built here so that it is never an old one.
fn actor() -> PathBuf {
    if let Some(path) = std::env::var_os("FOREBAY_ACTOR") {
        return path.into();
    }
    let cargo = std::env::var_os("CARGO").expect("cargo test sets CARGO");
    let status = Command::new(cargo).args(["build", "--quiet", "-p", "forebay-processes"]).status().unwrap();
    assert!(status.success(), "forebay-actor could not be built");
    // target/debug/deps/run-…: the programs are one folder up.
    let here = std::env::current_exe().unwrap();
    here.parent().and_then(|deps| deps.parent()).expect("tests run below target").join("forebay-actor")
}

/// Runs a scenario in a thread of its own, so that a call that hangs is a failure with a name.
fn run_in_time(path: &Path, actor: &Path) -> Result<(), String> {
    let (send, receive) = std::sync::mpsc::channel();
    let (path, actor) = (path.to_owned(), actor.to_owned());
    std::thread::spawn(move || send.send(forebay_vectors::run_file(&path, &actor)));
    match receive.recv_timeout(Duration::from_secs(60)) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Err("it hangs".to_owned()),
        Err(RecvTimeoutError::Disconnected) => Err("it panicked; see above".to_owned()),
    }
}

#[test]
fn every_scenario_holds() {
    let (actor, only) = (actor(), std::env::var("FOREBAY_VECTOR").ok());
    let files = forebay_vectors::scenarios().unwrap();
    assert!(!files.is_empty());
    let (mut ran, mut failed) = (0, Vec::new());
    for path in &files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        if only.as_ref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        ran += 1;
        if let Err(why) = run_in_time(path, &actor) {
            failed.push(format!("{name}: {why}"));
        }
    }
    assert!(failed.is_empty(), "{} of {ran} scenarios do not hold:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(ran, files.len(), "not every scenario was run");
    let said = writeln!(std::io::stdout(), "{ran} scenarios");
    said.unwrap();
}
