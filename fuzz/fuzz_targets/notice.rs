//! Fuzz target: `<name>.stale`: what was fetched up to a token is out of date. What must hold is in `core/src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = forebay::fuzzing::run("notice", bytes);
});
