//! Telling: what is said to have changed, and by which names; also to a computation that is under way.

use crate::common::{Bench, key};
use forebay::{Code, Input, LiveTicket};

fn begun(bench: &Bench, name: &str, input: &str) -> LiveTicket {
    bench.live.begin(&key(name), &[Input::parse(input)], &[]).unwrap()
}

fn refused(ticket: LiveTicket) -> bool {
    match ticket.commit("x", "test") {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.code(), Code::Superseded, "{error}");
            true
        }
    }
}

#[test]
fn c10_a_file_is_of_the_folders_and_patterns_that_hold_it() {
    let bench = Bench::new();
    bench.write("src/deep/a.rs", "1");
    let keep = || {
        bench.keep("list", &["src/deep/"], &[]);
        bench.keep("above", &["src/"], &[]);
        bench.keep("glob", &["src/**/*.rs"], &[]);
        bench.keep("root", &["**/*.rs"], &[]);
        bench.keep("text", &["src/**/*.txt"], &[]);
        bench.keep("beside", &["other/*"], &[]);
    };
    let looks = || {
        ["list", "above", "glob", "root", "text", "beside"]
            .map(|name| bench.look(name) == "hit")
            .map(u8::from)
    };
    keep();
    assert_eq!(bench.live.invalidate_path("src/deep/new.rs").unwrap(), 3);
    assert_eq!(looks(), [0, 1, 0, 0, 1, 1]);
    keep();
    assert_eq!(bench.live.invalidate_path("src/deep/a.md").unwrap(), 1);
    assert_eq!(looks(), [0, 1, 1, 1, 1, 1]);
    keep();
    // A folder may hold anything; one that is gone held what was seen in it.
    assert_eq!(bench.live.invalidate_path("src/deep").unwrap(), 5);
    assert_eq!(looks(), [0, 0, 0, 0, 0, 1]);
    keep();
    std::fs::remove_dir_all(bench.path("src/deep")).unwrap();
    assert_eq!(bench.live.invalidate_path(bench.path("src/deep")).unwrap(), 4);
    assert_eq!(looks(), [0, 0, 0, 0, 1, 1]);
    assert_eq!(bench.live.invalidate_path("/elsewhere/a.rs").unwrap(), 0);
}

#[test]
fn c5_what_is_told_during_the_first_computation_refuses_it() {
    let bench = Bench::new();
    bench.write("src/a.rs", "1");
    bench.keep("unrelated", &["tag:u"], &[]);
    for (input, told) in [
        ("src/a.rs", "src/a.rs"),
        ("src/a.rs", "src"),
        ("src/a.rs", ""),
        ("src/", "src/b.rs"),
        ("src/**/*.rs", "src/new/c.rs"),
        ("absent:src/b.rs", "src/b.rs"),
    ] {
        let ticket = begun(&bench, "x", input);
        bench.live.invalidate_path(told).unwrap();
        assert!(refused(ticket), "{input} after {told}");
    }
    for (input, told) in [("src/a.rs", "src/b.rs"), ("src/a.rs", "src/a"), ("src/", "src2"), ("tag:t", "")] {
        let ticket = begun(&bench, "x", input);
        bench.live.invalidate_path(told).unwrap();
        assert!(!refused(ticket), "{input} after {told}");
    }
    let ticket = begun(&bench, "y", "tag:t");
    bench.live.invalidate_tag("t").unwrap();
    assert!(refused(ticket));
    let (own, other) = (begun(&bench, "y", "src/a.rs"), begun(&bench, "z", "src/a.rs"));
    bench.live.mark_dirty(&key("y")).unwrap();
    assert_eq!([refused(own), refused(other)], [true, false]);
}

#[test]
fn c5_more_than_is_kept_of_what_was_told_refuses_too() {
    let bench = Bench::new();
    bench.keep("unrelated", &["tag:u"], &[]);
    let ticket = begun(&bench, "x", "tag:t");
    for _ in 0..300 {
        bench.live.invalidate_tag("t").unwrap();
    }
    bench.live.gc().unwrap();
    assert!(refused(ticket));
}

#[test]
fn forgotten_versions_never_stand_for_others() {
    let bench = Bench::new();
    bench.keep_as("a", "one", &[], &[]);
    let on_result = bench.live.begin(&key("x"), &[], &[key("a")]).unwrap();
    let on_tag = begun(&bench, "y", "tag:t");
    let on_file = begun(&bench, "z", "file");
    bench.live.mark_dirty(&key("a")).unwrap();
    bench.live.invalidate_tag("t").unwrap();
    bench.live.gc().unwrap();
    bench.keep_as("a", "two", &[], &[]);
    assert_eq!([refused(on_result), refused(on_tag), refused(on_file)], [true, true, false]);
}

#[test]
fn c11_folders_with_long_paths_take_along_all_below_them() {
    let bench = Bench::new();
    let folder = vec!["d".repeat(120); 4].join("/");
    for (name, file) in [("short", format!("{folder}/a")), ("long", format!("{folder}/{}", "e".repeat(100)))]
    {
        bench.write(&file, "1");
        bench.keep(name, &[&file], &[]);
    }
    assert_eq!(bench.live.invalidate_path(&folder).unwrap(), 2);
    assert_eq!([bench.look("short"), bench.look("long")], ["miss", "miss"]);
}

#[test]
fn c15_what_is_used_keeps_what_it_is_built_on() {
    let bench = Bench::new();
    bench.keep_as("read", &"x".repeat(100), &[], &[]);
    bench.keep_as("grep", &"y".repeat(100), &[], &["read"]);
    bench.keep_as("other", &"z".repeat(100), &[], &[]);
    assert_eq!(bench.look("grep"), "hit");
    assert_eq!(bench.live.evict_to_cap(250).unwrap(), 1);
    assert_eq!([bench.look("read"), bench.look("grep"), bench.look("other")], ["hit", "hit", "miss"]);
    // The last one takes along what is built on it.
    assert_eq!(bench.live.evict_to_cap(150).unwrap(), 1);
    assert!(bench.live.total_bytes().unwrap() <= 150);
    assert_eq!(bench.live.gc().unwrap().0, 0, "nothing is left that does not hold");
    assert_eq!(bench.live.entry_count().unwrap(), bench.live.list().unwrap().len() as u64);
}
