//! Fuzz target: `<name>.refreshing`: the lease in force. What must hold is in `core/src/fuzzing.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = forebay::fuzzing::run("marker", bytes);
});
