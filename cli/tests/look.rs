//! `get`, `state`, `list` and `why`: what they print for people and for programs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Shell, finish, heard, start, tell};
use std::fs;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const NOW_MS: i64 = 1_800_000_000_000;

fn put(shell: &Shell, key: &str, bytes: &[u8], options: &[&str]) {
    fs::write(shell.path("bytes"), bytes).unwrap();
    shell.run(["put"].iter().chain(options).chain(&[key, "bytes"])).ok();
}

#[test]
fn get_prints_the_bytes_until_they_have_expired() {
    let shell = Shell::new();
    let odd = [0, 1, 0xff, b'\n', 0];
    put(&shell, "api/odd", &odd, &["--ttl", "10s", "--max-stale", "20s"]);
    for _ in 0..2 {
        let ran = shell.run(["get", "api/odd"]);
        assert_eq!((ran.code(), &ran.out[..], &*ran.errors()), (0, &odd[..], ""));
        shell.advance(25 * SECOND);
    }
    let gone = shell.run(["get", "api/odd"]);
    assert_eq!((gone.code(), &*gone.text()), (1, ""));
    assert_eq!(gone.errors(), "forebay: api/odd: has expired: it is 50 seconds old\n");
    assert_eq!(shell.run(["get", "--max-stale", "1h", "api/odd"]).out, odd);
    assert_eq!(shell.run(["get", "--max-stale", "0s", "--ttl", "51s", "api/odd"]).out, odd);
    let absent = shell.run(["get", "api/none"]);
    assert_eq!((absent.code(), &*absent.errors()), (1, "forebay: api/none: there is no value\n"));
}

#[test]
fn get_json_has_the_bytes_and_what_is_known() {
    let shell = Shell::new();
    put(&shell, "api/models", b"[1,2]\n", &["--ttl", "10s", "--validator", "\"v1\""]);
    shell.advance(3 * SECOND);
    let found = shell.run(["get", "--json", "api/models"]).json();
    let version = found["version"].as_str().unwrap().to_owned();
    let expected = serde_json::json!({
        "key": "api/models", "state": "fresh", "age_ms": 3000, "size": 6, "stored_at_ms": NOW_MS,
        "version": version, "validator": "\"v1\"", "extra": null, "how": found["how"], "error": null, "data": "[1,2]\n",
    });
    assert_eq!(found, expected);
    put(&shell, "api/odd", &[0xff, 0], &[]);
    let odd = shell.run(["get", "--json", "api/odd"]).json();
    assert_eq!((&odd["data_base64"], odd.get("data")), (&serde_json::json!("/wA="), None));
    let absent = shell.run(["get", "--json", "api/none"]);
    assert_eq!((absent.code(), &*absent.text()), (1, ""));
    let told: serde_json::Value = serde_json::from_str(&absent.errors()).unwrap();
    assert_eq!((&told["error"]["code"], &told["status"]), (&"not_found".into(), &1.into()));
}

#[test]
fn state_tells_value_and_refresh() {
    let shell = Shell::new();
    let absent = shell.run(["state", "api/x"]);
    assert_eq!((absent.code(), &*absent.text()), (1, "api/x: absent\n"));
    put(&shell, "api/x", &[7; 2150], &["--ttl", "10s"]);
    shell.advance(14 * 60 * SECOND);
    assert_eq!(shell.run(["state", "api/x"]).ok(), "api/x: stale, 14 minutes old, 2.1 KiB\n");
    let state = shell.run(["state", "--json", "api/x"]).json();
    assert_eq!((&state["state"], &state["age_ms"]), (&"stale".into(), &840_000.into()));
    let idle = serde_json::json!({
        "phase": "idle", "in_flight": false, "failed": false, "last_error": null, "started_at_ms": null,
        "deadline_at_ms": null, "retry_at_ms": null, "attempts": 0, "declared": false, "holder": null,
    });
    assert_eq!(state["refresh"], idle);
}

#[test]
fn state_tells_who_refreshes_and_what_failed() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting("echo > began; cat go; exit 3");
    put(&shell, "api/x", b"old", &["--ttl", "1m"]);
    let runner = start(&mut shell.forebay(["refresh", "api/x", "--", command.to_str().unwrap()]));
    heard(&began);
    shell.advance(7 * SECOND);
    let refresh = &shell.run(["state", "--json", "api/x"]).json()["refresh"];
    assert_eq!((&refresh["phase"], &refresh["holder"]), (&"running".into(), &runner.id().into()));
    assert_eq!(refresh["started_at_ms"], NOW_MS);
    assert_eq!(refresh["deadline_at_ms"], NOW_MS + 30_000);
    let told = shell.run(["state", "api/x"]).ok();
    let expected =
        format!("api/x: fresh, 7 seconds old, 3 B; a refresh runs for 7 s in process {}\n", runner.id());
    assert_eq!(told, expected);
    tell(&go, "");
    assert_eq!(finish(runner).code(), 5);
    let told = shell.run(["state", "api/x"]).ok();
    assert!(told.contains("; refresh failed: exit status 3 (1st attempt); next attempt in 1 s"), "{told}");
    assert_eq!(
        shell.run(["state", "--json", "api/x"]).json()["refresh"]["last_error"]["code"],
        "refresh_failed"
    );
}

#[test]
fn a_failed_refresh_is_not_a_fault_of_the_value() {
    let shell = Shell::new();
    put(&shell, "api/x", b"old", &["--ttl", "1m"]);
    shell.advance(90 * SECOND);
    assert_eq!(shell.run(["refresh", "api/x", "--", "sh", "-c", "exit 3"]).code(), 5);
    let ran = shell.run(["get", "api/x"]);
    assert_eq!((&*ran.errors(), ran.code(), &*ran.text()), ("", 0, "old"));
    let told = shell.run(["state", "api/x"]).ok();
    assert!(
        told.starts_with("api/x: stale, 1 minute old, 3 B; refresh failed: exit status 3 (1st"),
        "{told}"
    );
    assert!(shell.run(["list"]).ok().contains("  stale  "));
    assert_eq!(shell.run(["refresh", "api/y", "--", "sh", "-c", "exit 3"]).code(), 5);
    let absent = shell.run(["get", "api/y"]);
    assert_eq!((absent.code(), &*absent.errors()), (1, "forebay: api/y: there is no value\n"));
}

#[test]
fn list_is_a_table_as_wide_as_what_it_holds() {
    let shell = Shell::new();
    assert_eq!(shell.run(["list"]).ok(), "", "nothing is there, and no root either");
    put(&shell, "api/models", &[7; 2150], &["--ttl", "1h", "--max-stale", "0s"]);
    put(&shell, "api/usage", b"", &["--ttl", "1m", "--max-stale", "30d"]);
    shell.advance(3 * 3600 * SECOND);
    put(&shell, "b", &[7; 5], &["--ttl", "1h"]);
    let expected = "\
NAME        STATE    AGE     SIZE  REFRESH
api/models  expired  3 h  2.1 KiB  -
api/usage   stale    3 h      0 B  -
default/b   fresh    0 s      5 B  -
";
    let ran = shell.run(["list"]);
    assert_eq!(ran.ok(), expected);
    assert_eq!(shell.run(["ls", "api/u"]).ok().lines().count(), 2);
    assert_eq!(shell.run(["ls", "--names"]).ok(), "api/models\napi/usage\ndefault/b\n");
}

#[test]
fn list_json_is_an_array_of_rows() {
    let shell = Shell::new();
    assert_eq!(shell.run(["list", "--json"]).json(), serde_json::json!([]));
    put(&shell, "api/models", &[7; 2150], &["--ttl", "1h"]);
    shell.advance(2 * SECOND);
    let rows = shell.run(["list", "--json"]).json();
    let expected = serde_json::json!([{
        "key": "api/models", "tier": "api", "name": "models", "state": "fresh", "age_ms": 2000, "size": 2150,
        "stored_at_ms": NOW_MS, "phase": "idle", "retry_at_ms": null, "version": rows[0]["version"],
        "validator": null, "error": null,
    }]);
    assert_eq!(rows, expected);
}

#[test]
fn list_shows_what_a_refresh_does() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    put(&shell, "api/x", b"x", &["--ttl", "1s"]);
    shell.advance(5 * SECOND);
    let command = shell.counting("echo > began; cat go; exit 3");
    let runner = start(&mut shell.forebay(["refresh", "api/x", "--", command.to_str().unwrap()]));
    heard(&began);
    assert!(shell.run(["list"]).ok().ends_with("  running\n"));
    tell(&go, "");
    finish(runner);
    assert!(shell.run(["list"]).ok().ends_with("  retry in 1 s\n"), "{}", shell.run(["list"]).text());
}

#[test]
fn names_cannot_act_on_the_terminal() {
    let shell = Shell::new();
    put(&shell, "t/\x1b[2J", b"x", &[]);
    let table = shell.run(["list"]).ok();
    assert!(table.contains(r"t/\u{1b}[2J") && !table.contains('\x1b'), "{table:?}");
}

#[test]
fn why_gives_the_fact_and_a_cache_status_line() {
    let shell = Shell::new();
    put(&shell, "api/x", b"x", &["--ttl", "10s"]);
    let told = shell.run(["why", "api/x"]).ok();
    let (sentence, line) = told.trim_end().split_once('\n').unwrap();
    assert!(sentence.starts_with("api/x: fresh: "), "{told}");
    assert!(line.starts_with("Cache-Status: "), "{told}");
    let json = shell.run(["why", "--json", "api/x"]).json();
    assert_eq!(
        (&json["key"], &json["state"], &json["phase"]),
        (&"api/x".into(), &"fresh".into(), &"idle".into())
    );
    assert_eq!(json["why"], sentence);
    assert_eq!(format!("Cache-Status: {}", json["cache_status"].as_str().unwrap()), line);
    assert_eq!(shell.run(["why", "api/none"]).code(), 1);
}

#[test]
fn looking_writes_nothing() {
    let shell = Shell::new();
    for line in [&["get", "a/b"][..], &["state", "a/b"], &["list"], &["why", "a/b"], &["list", "--json"]] {
        shell.run(line);
        assert!(!shell.root().exists(), "{line:?}");
    }
}

#[test]
fn a_damaged_value_is_told_and_is_not_served() {
    let shell = Shell::new();
    put(&shell, "api/x", b"whole", &["--ttl", "1h"]);
    let file = shell.root().join("api/x.json");
    let when = fs::metadata(&file).unwrap().modified().unwrap();
    let handle = fs::OpenOptions::new().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_at(&handle, b"W", 0).unwrap();
    handle.set_modified(when).unwrap();
    let ran = shell.run(["get", "api/x"]);
    assert_eq!((ran.code(), &*ran.text()), (1, ""), "{}", ran.errors());
    assert!(ran.errors().starts_with("forebay: api/x: "), "{}", ran.errors());
}
