//! Fuzz target: `.forebay/generations`, its header and first slots. What must hold is in `core/src/fuzzing.rs`.
#![no_main]

use std::sync::LazyLock;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder of our own"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = forebay::fuzzing::table(FOLDER.path(), bytes);
});
