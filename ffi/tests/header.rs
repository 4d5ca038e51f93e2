//! `include/forebay.h` is what cbindgen makes of `ffi/src`, in memory, at each `cargo test`.
//! `FOREBAY_BLESS=1 cargo test -p forebay-ffi --test header` writes it anew.

// Helpers outside of #[test] functions fail as loudly as these.
#![allow(clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

/// The files in the order of the header: what a reader needs first comes first.
const ORDER: &[&str] = &[
    "status",
    "args",
    "text",
    "error",
    "library",
    "cache",
    "options",
    "value",
    "source",
    "refresh_info",
    "why",
    "refresher",
    "refresh",
    "many",
    "interrupt",
    "failure",
    "response",
    "ticket",
    "acquire",
    "attempt",
    "listing",
    "pruned",
    "reader",
    "events",
    "quota",
    "quota_source",
    "answer",
    "resolve",
    "resolve_job",
    "quota_info",
    "quota_listing",
    "credentials",
    "exchanger",
    "credential",
    "rotation",
    "rotate_info",
    "live",
    "live_input",
    "live_spec",
    "computer",
    "compute",
    "live_ticket",
    "derived",
    "live_upkeep",
    "live_kinds",
    "live_listing",
    "live_why",
];
/// Files without a part in the header.
const INNER: &[&str] = &["lib", "guard", "handle", "machine", "background"];

fn crate_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn generate() -> String {
    let dir = crate_dir();
    let config = cbindgen::Config::from_file(dir.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in ORDER {
        builder = builder.with_src(dir.join("src").join(name).with_extension("rs"));
    }
    let mut header = Vec::new();
    builder.generate().expect("cbindgen reads ffi/src").write(&mut header);
    String::from_utf8(header).expect("UTF-8")
}

fn committed() -> PathBuf {
    crate_dir().join("../include/forebay.h")
}

fn first_difference(left: &str, right: &str) -> String {
    let differs = |(_, (left, right)): &(usize, (&str, &str))| left != right;
    match left.lines().zip(right.lines()).enumerate().find(differs) {
        Some((line, (left, right))) => format!("line {}:\n- {left}\n+ {right}", line + 1),
        None => format!("{} and {} lines", left.lines().count(), right.lines().count()),
    }
}

#[test]
fn the_committed_header_is_what_the_source_says() {
    let made = generate();
    let path = committed();
    if std::env::var_os("FOREBAY_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &made).expect("include/forebay.h can be written");
    }
    let there = std::fs::read_to_string(&path).expect("include/forebay.h is there");
    assert!(
        there == made,
        "include/forebay.h is not what ffi/src says; run FOREBAY_BLESS=1 cargo test -p forebay-ffi --test header\n{}",
        first_difference(&there, &made)
    );
}

#[test]
fn every_source_file_has_its_place_in_the_header() {
    let mut found: Vec<String> = std::fs::read_dir(crate_dir().join("src"))
        .expect("ffi/src")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .filter_map(|path| path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned))
        .collect();
    found.sort();
    let mut known: Vec<&str> = ORDER.iter().chain(INNER).copied().collect();
    known.sort_unstable();
    assert_eq!(found, known);
}

/// The comment right above a line of the header.
fn comment_above<'a>(header: &'a str, line: &str) -> &'a str {
    let at = header.find(line).unwrap_or_else(|| panic!("{line:?} is in the header"));
    let before = header[..at].trim_end();
    assert!(before.ends_with("*/"), "{line:?} has a comment");
    &before[before.rfind("/*").expect("a comment begins")..]
}

#[test]
fn each_opaque_type_says_which_threads_may_use_it() {
    let header = generate();
    let opaque: Vec<&str> = header
        .lines()
        .filter(|line| line.starts_with("typedef struct forebay_") && line.ends_with(';'))
        .collect();
    assert!(opaque.len() >= 25, "the opaque types are found: {opaque:?}");
    for line in opaque {
        assert!(comment_above(&header, line).contains("Thread safety:"), "{line}");
    }
}

#[test]
fn each_callback_says_on_which_threads_it_may_be_called() {
    let header = generate();
    for name in [
        "forebay_refresh_fn",
        "forebay_drop_fn",
        "forebay_progress_fn",
        "forebay_resolve_fn",
        "forebay_exchange_fn",
        "forebay_compute_fn",
    ] {
        let line = format!("typedef void (*{name})");
        assert!(comment_above(&header, &line).contains("May be called on:"), "{name}");
    }
}

#[test]
fn each_function_has_a_comment() {
    let header = generate();
    for name in exported(&crate_dir().join("src")) {
        let at = header.find(&format!("{name}(")).unwrap_or_else(|| panic!("{name} is in the header"));
        let line_start = header[..at].rfind('\n').map_or(0, |end| end + 1);
        assert!(header[..line_start].trim_end().ends_with("*/"), "{name} has a comment");
    }
}

/// The names of all exported functions, but those of test builds.
fn exported(src: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for name in ORDER {
        let text = std::fs::read_to_string(src.join(name).with_extension("rs")).expect("a source file");
        for line in
            text.lines().filter(|line| line.contains("extern \"C\" fn forebay_") && line.starts_with("pub "))
        {
            let rest = &line[line.find("fn ").expect("fn") + 3..];
            let name = &rest[..rest.find('(').expect("an argument list")];
            if !name.contains("__") {
                names.push(name.to_owned());
            }
        }
    }
    assert!(names.len() > 100, "the exported functions are found");
    names
}

#[test]
fn the_list_of_symbols_is_that_of_the_functions() {
    let path = crate_dir().join("abi/symbols.txt");
    let mut names = exported(&crate_dir().join("src"));
    names.sort();
    let made = names.join("\n") + "\n";
    if std::env::var_os("FOREBAY_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &made).expect("abi/symbols.txt can be written");
    }
    let there = std::fs::read_to_string(&path).expect("ffi/abi/symbols.txt is there");
    assert_eq!(there, made, "ffi/abi/symbols.txt only grows; FOREBAY_BLESS=1 writes it anew");
}

#[test]
fn the_body_of_each_exported_function_is_one_guard() {
    for name in ORDER {
        let path = crate_dir().join("src").join(name).with_extension("rs");
        let text = std::fs::read_to_string(&path).expect("a source file");
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains("extern \"C\" fn ") && line.starts_with("pub "))
        {
            let body = at + lines[at..].iter().position(|line| line.ends_with('{')).expect("a body begins");
            assert!(
                lines[body + 1].trim_start().starts_with("ffi_guard!("),
                "{}:{}: the body is not a guard: {line}",
                path.display(),
                at + 1
            );
            let end = body + lines[body..].iter().position(|line| *line == "}").expect("a body ends");
            let outside = lines[body + 1..end]
                .iter()
                .filter(|line| line.starts_with("    ") && !line.starts_with("     "))
                .count();
            // The guard's first and last line, or one line that is both.
            assert!(outside <= 2, "{}:{}: something stands beside the guard", path.display(), at + 1);
        }
    }
}
