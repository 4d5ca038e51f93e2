//! Reading: what is served belongs together, whatever stands beside it, and readers never repair.

use crate::common::{HOUR, KEY, NOW, Place, lease, put, record, text, validated};
use forebay::{Clock, Code, Commit, GUARDS, State};
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

#[test]
fn p03_versions_of_equal_size_and_time_are_told_apart() {
    // A clock that stands on a whole second: all that a coarse file system keeps.
    let place = Place::new();
    let (cache, _hands) = place.manual();
    let source = cache.source(KEY).ttl(HOUR);
    let other = cache.source(KEY).ttl(HOUR);
    let mut reader = other.reader();
    for round in 0..200 {
        let (text, validator) = (format!("{round:03}"), format!("v{round}"));
        source.put(&text, &validated(&validator)).unwrap();
        let value = other.read().unwrap();
        assert_eq!((value.data(), value.validator()), (Some(text.as_bytes()), Some(validator.as_str())));
        assert!(value.error.is_none(), "a good value was condemned: {:?}", value.error);
        assert_eq!(reader.read().unwrap().data(), Some(text.as_bytes()));
    }
    assert_eq!(std::fs::metadata(place.file("json")).unwrap().mtime(), NOW / 1_000_000_000);
}

#[test]
fn p03_a_copied_root_keeps_its_descriptions() {
    let place = Place::new();
    place.source().put("copied", &validated("v1")).unwrap();
    let stat = std::fs::metadata(place.file("json")).unwrap();
    // Another inode, the same bytes and time.
    let copy = place.root().join("copy");
    std::fs::copy(place.file("json"), &copy).unwrap();
    File::options().write(true).open(&copy).unwrap().set_modified(stat.modified().unwrap()).unwrap();
    std::fs::rename(copy, place.file("json")).unwrap();
    assert_ne!(std::fs::metadata(place.file("json")).unwrap().ino(), stat.ino());
    assert_eq!(place.source().read().unwrap().validator(), Some("v1"));
}

#[test]
fn p04_between_the_renames_the_old_value_keeps_its_description() {
    let place = Place::new();
    place.source().put("old", &validated("v1")).unwrap();
    let kept = place.root().join("kept");
    std::fs::hard_link(place.file("json"), &kept).unwrap();
    place.source().put("new", &validated("v2")).unwrap();
    // The writer died after its meta's rename: the value is still the old one.
    std::fs::rename(kept, place.file("json")).unwrap();
    let value = place.source().read().unwrap();
    assert_eq!((value.data(), value.validator()), (Some(&b"old"[..]), Some("v1")));
    assert!(value.error.is_none() && value.entry.unwrap().token.is_some());
}

#[test]
fn p05_a_reader_serves_nothing_that_was_noticed_removed_or_replaced() {
    let place = Place::new();
    let source = place.source();
    let mut reader = place.source().reader();
    for round in 0..100 {
        put(&source, &round.to_string());
        assert_eq!(reader.read().unwrap().data(), Some(round.to_string().as_bytes()));
        source.mark_stale().unwrap();
        assert_eq!(reader.read().unwrap().state, State::Stale);
        source.remove().unwrap();
        assert_eq!(reader.read().unwrap().state, State::Absent);
    }
}

#[test]
fn p10_a_root_or_tier_that_is_removed_and_made_again_is_seen() {
    let place = Place::new();
    let (old, mut reader) = (place.source(), place.source().reader());
    let root = place.root();
    for (round, removed) in [root.join("api"), root.clone(), root.join("api"), root].iter().enumerate() {
        put(&place.source(), "before");
        assert_eq!(text(&old).as_deref(), Some("before"));
        reader.read().unwrap();
        std::fs::remove_dir_all(removed).unwrap();
        assert_eq!(text(&old), None, "round {round}");
        put(&place.source(), "after");
        assert_eq!(text(&old).as_deref(), Some("after"), "round {round}: nothing for ever");
        // A reader looks for such things at least every 100 ms.
        let until = Instant::now() + crate::common::HANG;
        while reader.read().unwrap().data() != Some(b"after") {
            assert!(Instant::now() < until, "round {round}: the reader saw nothing for ever");
        }
        // Writers, too, and they exclude each other again.
        drop(lease(&old));
        put(&old, "by the old handle");
        assert_eq!(text(&place.source()).as_deref(), Some("by the old handle"));
    }
}

#[test]
fn p18_readers_never_wait_and_never_repair() {
    let place = Place::new();
    place.source().put("good", &validated("v1")).unwrap();
    // Everything that asks for repair: damage, a torn notice, an orphan, a torn gate, litter.
    std::fs::write(place.file("stale"), "").unwrap();
    std::fs::write(place.file("refreshing"), "{").unwrap();
    std::fs::write(place.file("gate"), "\0\0").unwrap();
    std::fs::write(place.root().join("api/.models.json.dead"), "x").unwrap();
    let mut bytes = std::fs::read(place.file("json")).unwrap();
    bytes[0] ^= 1;
    let mtime = std::fs::metadata(place.file("json")).unwrap().modified().unwrap();
    let file = File::options().write(true).open(place.file("json")).unwrap();
    std::io::Write::write_all(&mut &file, &bytes).unwrap();
    file.set_modified(mtime).unwrap();
    let guards: Vec<File> = (0..GUARDS)
        .map(|guard| File::open(place.root().join(format!(".forebay/guard/{guard:02x}"))).unwrap())
        .collect();
    for guard in &guards {
        flock(guard, FlockOperation::LockExclusive).unwrap();
    }
    let before = place.snapshot();
    for _ in 0..3 {
        let source = place.source();
        let value = source.read().unwrap();
        assert_eq!(value.error.unwrap().code(), Code::Damaged);
        source.refresh_state().unwrap();
        source.why().unwrap();
        source.reader().read().unwrap();
        place.open().readers().get(KEY).unwrap();
        place.open().list().unwrap();
    }
    assert_eq!(place.snapshot(), before, "a reader wrote");
}

#[test]
fn p20_a_replaced_table_does_not_bring_an_old_tag_back() {
    let place = Place::new();
    let source = place.source();
    let table = place.root().join(".forebay/generations");
    put(&source, "old");
    let mut reader = place.source().reader();
    assert_eq!(reader.read().unwrap().data(), Some(&b"old"[..]));
    // A table with the very numbers of the reader's tag, while the value moves on.
    let copy = place.root().join("copy");
    std::fs::copy(&table, &copy).unwrap();
    put(&source, "new");
    std::fs::rename(&copy, &table).unwrap();
    // Over the 100 ms after which a reader compares the table with the one in place.
    let until = Instant::now() + Duration::from_millis(250);
    while Instant::now() < until {
        assert_eq!(reader.read().unwrap().data(), Some(&b"new"[..]));
    }
    // And changes by the new table are seen.
    put(&place.source(), "newer");
    let until = Instant::now() + crate::common::HANG;
    while reader.read().unwrap().data() != Some(b"newer") {
        assert!(Instant::now() < until);
    }
}

#[test]
fn s04_a_notice_over_a_foreign_value_is_not_lost() {
    let place = Place::new();
    put(&place.source(), "ours");
    place.place("json", b"foreign");
    assert!(place.source().read().unwrap().is_fresh());
    place.source().mark_stale().unwrap();
    assert!(!place.source().read().unwrap().is_fresh());
    // Whatever the clock does meanwhile.
    for wall in [NOW, 2 * NOW] {
        let (clock, _) = Clock::manual(wall);
        let cache = place.options().clock(clock).open().unwrap();
        assert!(!cache.source(KEY).ttl(HOUR).read().unwrap().is_fresh());
    }
    place.place("json", b"another");
    assert!(place.source().read().unwrap().is_fresh(), "written after the notice");
}

#[test]
fn s04_a_notice_covers_what_the_originals_refresh_in_flight_brings() {
    let place = Place::new();
    let (cache, hands) = place.manual();
    let source = cache.source(KEY).ttl(HOUR);
    put(&source, "ours");
    let marker = json!({"pid": std::process::id(), "started_at": "2026-05-11T10:00:00Z", "deadline": "2026-05-11T10:00:10Z"});
    place.place("refreshing", marker.to_string().as_bytes());
    source.mark_stale().unwrap();
    let write = |text: &str| {
        place.place("json", text.as_bytes());
        let file = File::options().write(true).open(place.file("json")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + now(&cache)).unwrap();
    };
    hands.advance(Duration::from_secs(9));
    write("fetched before the notice");
    assert!(!source.read().unwrap().is_fresh());
    std::fs::remove_file(place.file("refreshing")).unwrap();
    hands.advance(Duration::from_secs(60));
    write("fetched after it");
    assert!(source.read().unwrap().is_fresh());
}

/// What a cache's clock shows, as a put tells it.
fn now(cache: &forebay::Cache) -> Duration {
    let probe = cache.source("probe/now").put("", &Commit::default()).unwrap();
    probe.stored_at().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap()
}

#[test]
fn s05_an_empty_notice_covers_everything_once() {
    let place = Place::new();
    put(&place.source(), "old");
    std::fs::write(place.file("stale"), "").unwrap();
    assert!(!place.source().read().unwrap().is_fresh());
    let ticket = lease(&place.source());
    let written = place.json("stale");
    assert_eq!(written["token"], place.json("meta")["cur"]["token"], "written anew with what is known");
    ticket.complete("new", &Commit::default()).unwrap();
    assert!(place.source().read().unwrap().is_fresh(), "refreshed for ever");
    assert_eq!(place.names(), ["models.json", "models.meta"]);
}

#[test]
fn s12_bytes_are_never_taken_for_the_version_before_unless_its_hash_agrees() {
    let place = Place::new();
    put(&place.source(), "ours");
    place.place("json", b"foreign");
    // The inode, size and time of the version before: damaged, or by the rarest chance a foreign value.
    let mut was = record(&place.file("json"), 7);
    was["hash"] = json!(blake3::hash(b"replace").to_hex().to_string());
    was["validator"] = json!("of another value");
    let mut meta = place.json("meta");
    meta["was"] = was;
    place.place("meta", meta.to_string().as_bytes());
    let value = place.source().read().unwrap();
    assert_eq!((value.data(), value.validator()), (None, None));
    assert_eq!(value.error.unwrap().code(), Code::Damaged);
    put(&place.source(), "next");
    assert_eq!(text(&place.source()).as_deref(), Some("next"));
}

#[test]
fn s13_quarantine_does_not_take_the_good_value_that_followed() {
    let place = Place::new();
    put(&place.source(), "first");
    // Damaged under a record that is bound to it by its stamps.
    let mut meta = place.json("meta");
    meta["cur"]["hash"] = json!(blake3::hash(b"other").to_hex().to_string());
    place.place("meta", meta.to_string().as_bytes());
    let seen = place.source();
    assert_eq!(seen.read().unwrap().error.unwrap().code(), Code::Damaged);
    put(&place.source(), "good");
    drop(lease(&seen));
    assert_eq!(text(&seen).as_deref(), Some("good"));
    let quarantine = place.root().join(".forebay/quarantine");
    let kept = std::fs::read_dir(quarantine).map_or(0, Iterator::count);
    assert_eq!(kept, 0);
}
