//! Fuzz target: versions that a caller gives back. What must hold is in `core/src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = forebay::fuzzing::run("version", bytes);
});
