//! Fuzz target: keys as people write them, and the file names made of them. What must hold is in `core/src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = forebay::fuzzing::run("key", bytes);
});
