//! Fuzz target: `<name>.gate`: when the next attempt may be made. What must hold is in `core/src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = forebay::fuzzing::run("gate", bytes);
});
