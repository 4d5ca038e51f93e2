//! What a death leaves, and who heals it: results that were whole are finished, once; nothing else is believed.

use crate::common::{HOUR, KEY, NOW, Place, lease, put, record, text, validated};
use crate::orphans::Orphan;
use forebay::{Clock, Code, Commit, Failure, How};
use serde_json::json;
use std::time::Duration;

#[test]
fn d29_a_result_that_was_whole_is_finished_by_acquire_put_and_prune() {
    for settler in ["acquire", "prune"] {
        let place = Place::new();
        put(&place.source(), "old");
        let orphan = Orphan::new(&place);
        orphan.leave_whole(b"acknowledged");
        if settler == "acquire" {
            drop(lease(&place.source()));
        } else {
            let keep = [place.source().key().unwrap().clone()];
            assert_eq!(place.open().prune(&keep).unwrap().swept, 1);
        }
        let value = place.source().read().unwrap();
        assert_eq!(value.data(), Some(&b"acknowledged"[..]), "{settler}");
        assert_eq!(value.entry.unwrap().token, Some(orphan.token));
        assert!(!orphan.temporary("json").exists() && !orphan.temporary("meta").exists());
    }
}

#[test]
fn s01_what_is_not_whole_is_never_put_in_place() {
    let place = Place::new();
    put(&place.source(), "old");
    let torn = |leave: &dyn Fn(&Orphan<'_>)| {
        let orphan = Orphan::new(&place);
        leave(&orphan);
        orphan.leave_marker();
        drop(lease(&place.source()));
        assert_eq!(text(&place.source()).as_deref(), Some("old"));
        place.source().remove().unwrap();
        put(&place.source(), "old");
        assert_eq!(place.names(), ["models.json", "models.meta"]);
    };
    // Without a meta; with one that was not renamed yet; of another size; of another file; described as older.
    torn(&|orphan| orphan.leave_value(b"half a val"));
    torn(&|orphan| {
        orphan.leave_value(b"whole");
        let unfinished = format!("{}.new", orphan.temporary("meta").display());
        std::fs::write(unfinished, orphan.meta().to_string()).unwrap();
    });
    torn(&|orphan| {
        orphan.leave_value(b"whole");
        let meta = orphan.meta();
        orphan.leave_value(b"whole, and then written on");
        orphan.leave_meta(&meta);
    });
    torn(&|orphan| {
        orphan.leave_value(b"whole");
        let mut meta = orphan.meta();
        meta["was"] = json!(null);
        orphan.leave_meta(&meta);
    });
    torn(&|orphan| {
        orphan.leave_value(b"whole");
        let mut meta = orphan.meta();
        meta["cur"]["token"] = json!("5");
        orphan.leave_meta(&meta);
    });
}

#[test]
fn s01_after_another_boot_a_description_is_not_enough() {
    let place = Place::new();
    put(&place.source(), "old");
    let orphan = Orphan::new(&place).of_another_boot();
    orphan.leave_value(b"whole");
    let mut meta = orphan.meta();
    meta["cur"]["hash"] = json!(blake3::hash(b"other").to_hex().to_string());
    orphan.leave_meta(&meta);
    orphan.leave_marker();
    drop(lease(&place.source()));
    assert_eq!(text(&place.source()).as_deref(), Some("old"));
    let orphan = Orphan::new(&place).of_another_boot();
    orphan.leave_whole(b"whole");
    drop(lease(&place.source()));
    assert_eq!(text(&place.source()).as_deref(), Some("whole"));
}

#[test]
fn s03_a_holder_that_was_settled_half_way_wakes_and_does_not_commit_again() {
    let place = Place::new();
    put(&place.source(), "old");
    let ticket = lease(&place.source());
    // As a settler leaves it that died after the renames: the result in place, the marker still there.
    place.place("json", b"result");
    let cur = record(&place.file("json"), ticket.token());
    let meta = json!({"v": 1, "cur": cur, "was": place.json("meta")["cur"], "tier": "api", "name": "models"});
    place.place("meta", meta.to_string().as_bytes());
    let before = std::fs::metadata(place.file("json")).unwrap();
    let value = ticket.complete("result", &Commit::default()).unwrap();
    assert_eq!(value.how, Some(How::Ran));
    let after = std::fs::metadata(place.file("json")).unwrap();
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&before),
        std::os::unix::fs::MetadataExt::ino(&after),
        "committed a second time"
    );
    assert_eq!(place.names(), ["models.json", "models.meta"]);
    // The same for one that wants to say that it failed: it is told that its result is stored.
    let ticket = lease(&place.source());
    let mut meta = place.json("meta");
    meta["cur"]["token"] = json!(ticket.token().to_string());
    place.place("meta", meta.to_string().as_bytes());
    ticket.fail(&Failure::new(Code::Io, "late")).unwrap();
    assert_eq!(place.names(), ["models.json", "models.meta"]);
}

#[test]
fn s06_a_result_that_lay_for_a_day_is_not_returned_as_new() {
    let place = Place::new();
    put(&place.source(), "old");
    Orphan::new(&place).leave_whole(b"whole");
    let (clock, _) = Clock::manual(Clock::real().wall_ns() + 86_400_000_000_000);
    let source = place.options().clock(clock).open().unwrap().source(KEY).ttl(HOUR);
    let value = source.refresh(|job| {
        assert_eq!(job.previous().unwrap().data[..], b"whole"[..], "the orphan was settled");
        Ok::<_, std::io::Error>("new")
    });
    let value = value.unwrap();
    assert_eq!((value.data(), value.how), (Some(&b"new"[..]), Some(How::Ran)));
}

#[test]
fn s09_a_failure_after_a_prepared_result_leaves_nothing_to_settle() {
    let place = Place::new();
    put(&place.source(), "old");
    let ticket = lease(&place.source());
    // What a timed-out complete leaves: both temporary files, whole.
    let nonce = place.json("refreshing")["nonce"].as_str().unwrap().to_owned();
    for ending in ["json", "meta"] {
        std::fs::write(place.root().join(format!("api/.models.{ending}.{nonce}")), "prepared").unwrap();
    }
    ticket.fail(&Failure::new(Code::Unavailable, "HTTP 503")).unwrap();
    assert_eq!(place.names(), ["models.gate", "models.json", "models.meta"]);
    drop(lease(&place.source()));
    assert_eq!(text(&place.source()).as_deref(), Some("old"));
}

#[test]
fn s16_a_put_settles_an_orphan_first() {
    let place = Place::new();
    put(&place.source(), "old");
    let orphan = Orphan::new(&place);
    orphan.leave_whole(b"whole");
    put(&place.source(), "put");
    assert_eq!(text(&place.source()).as_deref(), Some("put"));
    assert_eq!(
        place.json("meta")["was"]["token"],
        orphan.token.to_string(),
        "the orphan's result was skipped"
    );
    assert_eq!(place.names(), ["models.json", "models.meta"]);
}

#[test]
fn s17_an_unchanged_whose_holder_died_within_a_tick_is_finished_with_its_meta() {
    let place = Place::new();
    let (cache, _hands) = place.manual();
    cache.source(KEY).put("same", &validated("v1")).unwrap();
    cache.source(KEY).mark_stale().unwrap();
    let orphan = Orphan::new(&place);
    // The clock stands within one tick: the new record describes the value in place already.
    let mut cur = place.json("meta")["cur"].clone();
    cur["token"] = json!(orphan.token.to_string());
    let meta = json!({"v": 1, "cur": cur, "was": place.json("meta")["cur"], "tier": "api", "name": "models"});
    orphan.leave_meta(&meta);
    orphan.leave_marker();
    drop(lease(&cache.source(KEY)));
    let value = place.manual().0.source(KEY).ttl(HOUR).read().unwrap();
    assert_eq!(value.entry.as_ref().unwrap().token, Some(orphan.token), "taken as done without its meta");
    assert!(value.is_fresh() && value.validator() == Some("v1"), "the notice is older than it");
    assert!(!place.file("stale").exists());
}

#[test]
fn s17_a_notice_that_is_newer_than_a_finished_unchanged_stays() {
    let place = Place::new();
    let (cache, _hands) = place.manual();
    put(&cache.source(KEY), "same");
    let orphan = Orphan::new(&place);
    let mut cur = place.json("meta")["cur"].clone();
    cur["token"] = json!(orphan.token.to_string());
    let meta = json!({"v": 1, "cur": cur, "was": place.json("meta")["cur"], "tier": "api", "name": "models"});
    orphan.leave_meta(&meta);
    orphan.leave_marker();
    // Given while that refresh was in flight: it covers what it brings.
    place.place("stale", json!({"v": 1, "token": orphan.token.to_string()}).to_string().as_bytes());
    drop(lease(&cache.source(KEY)));
    let value = cache.source(KEY).ttl(HOUR).read().unwrap();
    assert_eq!(value.entry.as_ref().unwrap().token, Some(orphan.token));
    assert!(!value.is_fresh(), "the notice was lost");
}

#[test]
fn p12_an_orphan_is_settled_also_where_acquire_returns_early() {
    let place = Place::new();
    put(&place.source(), "fresh");
    Orphan::new(&place).leave_marker();
    let ask = forebay::AcquireOptions { unless_fresh: true, ..forebay::AcquireOptions::default() };
    let claim = place.source().acquire(&ask).unwrap();
    assert!(matches!(claim, forebay::Acquired::Fresh(_)), "{claim:?}");
    assert!(!place.file("refreshing").exists());
}

#[test]
fn p16_lock_and_age_decide_what_prune_sweeps() {
    let place = Place::new();
    put(&place.source(), "old");
    let keep = [place.source().key().unwrap().clone()];
    let name = |nonce: &str| place.root().join(format!("api/.models.json.{nonce}"));
    let used = crate::common::locked(&name("used"), b"in use, for however long");
    std::fs::write(name("dead"), "a dead writer's").unwrap();
    // Young by the real clock, whatever an injected one says: left alone.
    let (far, _) = Clock::manual(NOW + 864_000_000_000_000_000);
    assert_eq!(place.options().clock(far).open().unwrap().prune(&keep).unwrap().swept, 0);
    assert!(name("dead").exists());
    let eager = place.options().sweep_age(Duration::ZERO).open().unwrap();
    assert_eq!(eager.prune(&keep).unwrap().swept, 1);
    assert!(!name("dead").exists() && name("used").exists());
    drop(used);
    assert_eq!(eager.prune(&keep).unwrap().swept, 1);
    assert_eq!(place.names(), ["models.json", "models.meta"]);
}
