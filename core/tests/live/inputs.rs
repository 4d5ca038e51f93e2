//! Inputs: what counts as a change of each kind, and which paths are the same.

use crate::common::{Bench, key};
use forebay::{Code, Commit, Input};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;

/// Keeps a result on that input, makes the change, and tells what a look then finds.
fn after(input: &str, before: impl Fn(&Bench), change: impl Fn(&Bench)) -> &'static str {
    let bench = Bench::new();
    before(&bench);
    bench.keep("x", &[input], &[]);
    assert_eq!(bench.check("x"), "hit", "{input}");
    change(&bench);
    bench.check("x")
}

fn remove(bench: &Bench, name: &str) {
    std::fs::remove_file(bench.path(name)).unwrap();
}

#[test]
fn c10_each_kind_shows_its_change() {
    let file = |bench: &Bench| bench.write("d/a.rs", "1");
    assert_eq!(after("d/a.rs", file, |bench| bench.write("d/a.rs", "2")), "invalidated");
    assert_eq!(after("d/a.rs", file, |bench| remove(bench, "d/a.rs")), "invalidated");
    assert_eq!(after("d/b.rs", file, |bench| bench.write("d/b.rs", "new")), "invalidated");
    assert_eq!(after("d/", file, |bench| bench.write("d/b.rs", "new")), "invalidated");
    assert_eq!(after("d/", file, |bench| bench.write("d/a.rs", "2")), "hit");
    assert_eq!(after("d/**/*.rs", file, |bench| bench.write("d/deep/b.rs", "new")), "invalidated");
    assert_eq!(after("d/**/*.rs", file, |bench| bench.write("d/b.txt", "new")), "hit");
    assert_eq!(after("d/**/*.rs", file, |bench| remove(bench, "d/a.rs")), "invalidated");
    assert_eq!(after("absent:d/b", file, |bench| bench.write("d/b", "")), "invalidated");
    assert_eq!(after("stat:d/a.rs", file, |bench| bench.write("d/a.rs", "longer")), "invalidated");
    let source = |bench: &Bench| {
        bench.cache.source("api/models").put("1", &Commit::default()).unwrap();
    };
    assert_eq!(after("source:api/models", source, source), "invalidated");
    let mine = |bench: &Bench| {
        bench.cache.source("api/models").identity("me").put("1", &Commit::default()).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    let cache = forebay::Cache::open(folder.path()).unwrap();
    let named = format!("source:{}", cache.source("api/models").identity("me").key().unwrap());
    assert_eq!(after(&named, mine, mine), "invalidated");
    assert_eq!(after(&named, mine, source), "hit", "another identity's is another source");
    assert_eq!(after("env:FOREBAY_TEST_NOT_SET", file, |_| {}), "hit");
}

#[test]
fn the_same_content_written_again_is_no_change() {
    let write = |bench: &Bench| bench.write("a", "1");
    assert_eq!(after("a", write, write), "hit");
    assert_eq!(after("**/*", write, write), "hit");
}

#[test]
fn c11_links_deleted_files_and_any_bytes_are_matched() {
    let bench = Bench::new();
    bench.write("real/a", "1");
    symlink(bench.path("real"), bench.path("link")).unwrap();
    bench.keep("through", &["link/a"], &[]);
    assert_eq!(bench.live.invalidate_path("real/a").unwrap(), 1);
    bench.keep("through", &["link/a"], &[]);
    std::fs::remove_dir_all(bench.path("real")).unwrap();
    assert_eq!(bench.live.invalidate_path("link/a").unwrap(), 1, "also when it is gone");
    let odd = std::ffi::OsString::from_vec(b"caf\xe9 %41".to_vec());
    std::fs::write(bench.folder.path().join("w").join(&odd), "1").unwrap();
    let input = Input::File(odd.clone().into());
    let kept = bench.live.persist(&key("odd"), b"x", "test", std::slice::from_ref(&input)).unwrap();
    assert_eq!(kept.inputs(), [input]);
    assert_eq!(bench.check("odd"), "hit");
    assert_eq!(bench.live.invalidate_path(&odd).unwrap(), 1);
}

#[test]
fn a_link_that_points_elsewhere_has_changed() {
    let bench = Bench::new();
    bench.write("one", "1");
    bench.write("two", "2");
    symlink(bench.path("one"), bench.path("current")).unwrap();
    bench.keep("x", &["current"], &[]);
    remove(&bench, "current");
    symlink(bench.path("two"), bench.path("current")).unwrap();
    assert_eq!(bench.check("x"), "invalidated");
}

#[test]
fn a_folder_takes_all_below_it_and_nothing_beside_it() {
    let bench = Bench::new();
    for (name, input) in
        [("a", "src/a"), ("b", "src/deep/b"), ("c", "src2/c"), ("g", "src/**/*.rs"), ("out", "/etc/hostname")]
    {
        bench.keep(name, &[input], &[]);
    }
    assert_eq!(bench.live.invalidate_path("src").unwrap(), 3);
    assert_eq!(
        [bench.look("a"), bench.look("b"), bench.look("g"), bench.look("c")],
        ["miss", "miss", "miss", "hit"]
    );
    assert_eq!(
        bench.live.invalidate_path(bench.path("")).unwrap(),
        1,
        "the whole workspace, and nothing outside"
    );
    assert_eq!(bench.look("out"), "hit");
    assert_eq!(bench.live.invalidate_path("/etc").unwrap(), 1);
    assert_eq!(bench.live.invalidate_path("nowhere").unwrap(), 0);
}

#[test]
fn long_paths_are_found_by_file_and_by_folder() {
    let bench = Bench::new();
    let folder = ["d".repeat(150), "e".repeat(150), "f".repeat(150)].join("/");
    let file = format!("{folder}/{}", "x".repeat(100));
    bench.write(&file, "1");
    bench.keep("x", &[&file], &[]);
    assert_eq!(bench.check("x"), "hit");
    assert_eq!(bench.live.invalidate_path(&file).unwrap(), 1);
    bench.keep("x", &[&file], &[]);
    assert_eq!(bench.live.invalidate_path("d".repeat(150)).unwrap(), 1);
}

#[test]
fn unreadable_and_odd_inputs_are_defined() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("folder")).unwrap();
    bench.keep("x", &["folder"], &[]);
    assert_eq!(bench.check("x"), "hit");
    std::fs::remove_dir(bench.path("folder")).unwrap();
    assert_eq!(bench.check("x"), "invalidated");
    assert_eq!(
        bench.live.begin(&key("y"), &[Input::Glob("a[".into())], &[]).unwrap_err().code(),
        Code::Invalid
    );
    symlink("loop", bench.path("loop")).unwrap();
    let looped = bench.live.begin(&key("y"), &[Input::File("loop".into())], &[]);
    assert_eq!(looped.unwrap_err().code(), Code::Io);
}

#[test]
fn a_large_sparse_file_and_a_crowded_folder() {
    let bench = Bench::new();
    let file = std::fs::File::create(bench.path("sparse")).unwrap();
    file.set_len(10 << 30).unwrap();
    bench.keep("x", &["stat:sparse"], &[]);
    file.set_len((10 << 30) + 1).unwrap();
    assert_eq!(bench.check("x"), "invalidated");
    std::fs::create_dir(bench.path("crowd")).unwrap();
    for at in 0..3_000 {
        std::fs::write(bench.path(&format!("crowd/{at}")), "").unwrap();
    }
    bench.keep("listing", &["crowd/"], &[]);
    bench.keep("all", &["crowd/*"], &[]);
    assert_eq!([bench.check("listing"), bench.check("all")], ["hit", "hit"]);
    remove(&bench, "crowd/7");
    assert_eq!([bench.check("listing"), bench.check("all")], ["invalidated", "invalidated"]);
}
