//! The decoders of bytes on disk, of servers' headers and of what people write, over the committed fuzz corpus, over
//! mutations of it, and over random bytes: none panics, and what one believes it can say again. `fuzz/` runs the
//! same functions under libFuzzer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use forebay::fuzzing::{DECODERS, run, table};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::path::{Path, PathBuf};

/// All decoders together run on this many mutated or random inputs.
const INPUTS: u32 = 100_000;

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

/// Which inputs of the corpus are believed, so that a decoder that refuses everything is noticed.
fn believed(target: &str) -> &'static [&'static str] {
    match target {
        "meta" => &["first", "later_fields", "negative_time", "whole"],
        "notice" => &["largest", "least", "whole"],
        "marker" => &["far_boot", "original", "ours"],
        "gate" => &["forged", "lowest", "original", "original_far", "whole"],
        // Believed: refused as another format.
        "format" => &["two"],
        "duration" => &["fraction", "ms", "plain", "sum", "tiny", "weeks"],
        "retry_after" => {
            &["asctime", "date", "epoch", "epoch_ms", "far", "fraction", "negative", "rfc850", "seconds"]
        }
        "key" => &[
            "bare",
            "dots",
            "emoji",
            "long",
            "long_escapes",
            "nul",
            "plain",
            "reserved",
            "tilde",
            "up",
            "upper",
        ],
        "decode_key" => &["escape", "plain"],
        "version" => &["absent", "foreign", "negative", "token"],
        "table" => &["torn_slot", "whole"],
        other => panic!("no corpus is known for {other}"),
    }
}

#[test]
fn the_corpus_is_decoded_as_before() {
    for (target, _) in DECODERS {
        let yes: Vec<String> = corpus(target)
            .into_iter()
            .filter(|(_, bytes)| run(target, bytes))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(yes, believed(target), "{target}");
    }
    let folder = tempfile::tempdir().unwrap();
    let yes: Vec<String> = corpus("table")
        .into_iter()
        .filter(|(_, bytes)| table(folder.path(), bytes))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(yes, believed("table"));
}

/// One change to an input: a byte set, some removed, or some put in.
fn mutate(mut bytes: Vec<u8>, changes: &[(u16, u8, u8)]) -> Vec<u8> {
    for (place, kind, byte) in changes {
        let at = usize::from(*place) % (bytes.len() + 1);
        match kind % 4 {
            0 if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
            1 if at < bytes.len() => bytes[at] = *byte,
            2 => drop(bytes.drain(at..bytes.len().min(at + usize::from(byte % 16)))),
            _ => bytes.insert(at, *byte),
        }
    }
    bytes
}

#[test]
fn no_decoder_trips_over_mutated_or_random_bytes() {
    for (target, decoder) in DECODERS {
        let inputs: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, bytes)| bytes).collect();
        let digits = prop::sample::select(b"0123456789-\"{}[],:.e~%".to_vec());
        let change = (any::<u16>(), any::<u8>(), prop_oneof![any::<u8>(), digits]);
        let mutated = (prop::sample::select(inputs), vec(change, 0..6)).prop_map(|(b, c)| mutate(b, &c));
        let input = prop_oneof![3 => mutated, 1 => vec(any::<u8>(), 0..200)];
        let cases = INPUTS / u32::try_from(DECODERS.len()).unwrap();
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(
            config,
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        let outcome = runner.run(&input, |bytes| {
            let _ = decoder(&bytes);
            Ok(())
        });
        outcome.unwrap_or_else(|why| panic!("{target}: {why}"));
    }
}
