//! Roots that cannot be written: read-only, full, not permitted, of another user. This program starts itself again
//! where that is so: the error names path and remedy, what is there stays readable, and on a full disk
//! refreshes go on without being stored.

use crate::common::{HOUR, KEY, Place, not_run, put, text};
use forebay::{Cache, Code, Commit, Error, How};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

const ROOT: &str = "FOREBAY_TEST_ROOT";
const EXPECTED: &str = "FOREBAY_TEST_CODE";
/// A user who owns nothing.
const NOBODY: u32 = 65_534;

fn check(error: &Error, root: &Path) {
    let expected = std::env::var(EXPECTED).unwrap();
    assert_eq!(error.code().as_str(), expected, "{error}");
    assert!(error.path().is_some_and(|path| path.starts_with(root)), "{error}: names no path");
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains("FOREBAY_ROOT"), "{error}: names no remedy");
}

/// The other process: not a test of its own.
#[test]
#[ignore = "the other process of the tests in this file"]
fn in_a_root_that_cannot_be_written() {
    let root = std::path::PathBuf::from(std::env::var_os(ROOT).expect("started by another test"));
    let source = Cache::open(&root).unwrap().source(KEY).ttl(HOUR);
    let large = vec![7; 16 << 20];
    let before = text(&source);
    check(&source.put(&large, &Commit::default()).unwrap_err(), &root);
    let mut ran = false;
    let refreshed = source.refresh(|_| {
        ran = true;
        Ok::<_, io::Error>(large.clone())
    });
    match refreshed {
        // A full disk: the work is done all the same.
        Ok(value) => {
            assert_eq!((value.data() == Some(&large[..]), value.how), (true, Some(How::Uncoordinated)));
            check(&value.error.unwrap(), &root);
        }
        // One that may not be written: told before any work is done.
        Err(error) => {
            check(&error, &root);
            assert!(!ran && error.code() == Code::Permission, "{error}");
        }
    }
    assert_eq!(text(&source), before, "the old value is intact");
    assert!(source.read().unwrap().error.is_none());
}

/// Root that may not be opened at all: not a test of its own.
#[test]
#[ignore = "the other process of the tests in this file"]
fn in_a_root_of_another_user() {
    let root = std::path::PathBuf::from(std::env::var_os(ROOT).expect("started by another test"));
    check(&Cache::open(&root).map(drop).unwrap_err(), &root);
}

/// Runs one of the above by that wrapper. `exe`: where this program can be started from there.
fn run(wrapper: &[&str], exe: &Path, test: &str, root: &Path, code: Code) {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(exe).args(["--ignored", "--exact", test, "--nocapture"]);
    command.env(ROOT, root).env(EXPECTED, code.as_str());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{wrapper:?} {test}: {said}");
}

fn permitted(command: &[&str]) -> bool {
    let run =
        Command::new(command[0]).args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

const WRITING: &str = "places::in_a_root_that_cannot_be_written";

#[test]
fn a_read_only_root_is_read_and_says_why_it_is_not_written() {
    if !permitted(&["unshare", "--mount", "true"]) {
        return not_run("a read-only root", "the right to unshare --mount");
    }
    let place = Place::new();
    put(&place.source(), "old");
    let script = r#"mount --bind "$FOREBAY_TEST_ROOT" "$FOREBAY_TEST_ROOT" &&
        mount -o remount,ro,bind "$FOREBAY_TEST_ROOT" && exec "$0" "$@""#;
    let exe = std::env::current_exe().unwrap();
    run(&["unshare", "--mount", "sh", "-c", script], &exe, WRITING, &place.root(), Code::Permission);
    assert_eq!(text(&place.source()).as_deref(), Some("old"));
    assert_eq!(place.names(), ["models.json", "models.meta"]);
}

#[test]
fn a_full_disk_loses_nothing_and_names_the_remedy() {
    if !permitted(&["unshare", "--mount", "true"]) {
        return not_run("a full disk", "the right to unshare --mount");
    }
    let place = Place::new();
    put(&place.source(), "old");
    // A file system of its own, too small for the value that comes; what is in the root is copied into it.
    let script = r#"copy=$(mktemp -d) && cp -a "$FOREBAY_TEST_ROOT"/. "$copy" &&
        mount -t tmpfs -o size=4m,mode=0700 tmpfs "$FOREBAY_TEST_ROOT" && cp -a "$copy"/. "$FOREBAY_TEST_ROOT" &&
        rm -rf "$copy" && exec "$0" "$@""#;
    let exe = std::env::current_exe().unwrap();
    run(&["unshare", "--mount", "sh", "-c", script], &exe, WRITING, &place.root(), Code::NoSpace);
    // Not even an empty root fits: everything goes on uncoordinated.
    let script = r#"mount -t tmpfs -o size=64k,mode=0700 tmpfs "$FOREBAY_TEST_ROOT" && exec "$0" "$@""#;
    run(&["unshare", "--mount", "sh", "-c", script], &exe, WRITING, &place.root(), Code::NoSpace);
}

#[test]
fn missing_permission_and_foreign_roots_say_what_to_do() {
    if !permitted(&["setpriv", "--reuid", "65534", "--clear-groups", "true"]) {
        return not_run("missing permission", "root, and setpriv");
    }
    let nobody: &[&str] = &["setpriv", "--reuid", "65534", "--clear-groups"];
    let place = Place::new();
    put(&place.source(), "old");
    let folder = place.root().parent().unwrap().to_owned();
    let exe = folder.join("this-program");
    std::fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(place.root(), PermissionsExt::from_mode(0o755)).unwrap();
    // Another user's root is refused: several users on one root are not supported.
    run(nobody, &exe, "places::in_a_root_of_another_user", &place.root(), Code::UnsafeRoot);
    // One's own root, in which a folder may not be written.
    give(&place.root());
    for folder in ["api", ".forebay"] {
        std::fs::set_permissions(place.root().join(folder), PermissionsExt::from_mode(0o500)).unwrap();
    }
    run(nobody, &exe, WRITING, &place.root(), Code::Permission);
}

/// Gives all of a folder to the user who owns nothing.
fn give(folder: &Path) {
    chown(folder, Some(NOBODY), None).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { give(&path) } else { chown(&path, Some(NOBODY), None).unwrap() }
    }
}
