//! Every flipped byte and every truncation of each kind of file, and other things in its place: reads never hang or
//! panic and never serve wrong bytes as ours, the other key is intact, the error names the file, and the next
//! refresh heals.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a helper of tests fails the test"
)]

mod stage;

use forebay::{Code, How};
use stage::{Kind, Stage};

/// Damage to a file, as a test goes through it.
fn each_flip_and_cut(kind: Kind) {
    stage::guarded(move || {
        let stage = Stage::new();
        stage.make(kind);
        let whole = std::fs::read(stage.path(kind)).unwrap();
        assert!(whole.len() > 10, "{kind:?} has nothing to damage");
        for at in 0..whole.len() {
            let mut flipped = whole_of(&stage, kind);
            if at >= flipped.len() {
                break;
            }
            flipped[at] ^= 1 << (at % 8);
            stage.damage(kind, &flipped);
            stage.check(kind, &format!("{kind:?}: byte {at} flipped"));
        }
        for length in 0..whole.len() {
            let mut cut = whole_of(&stage, kind);
            cut.truncate(length);
            stage.damage(kind, &cut);
            stage.check(kind, &format!("{kind:?}: cut to {length}"));
        }
    });
}

fn whole_of(stage: &Stage, kind: Kind) -> Vec<u8> {
    stage.make(kind);
    std::fs::read(stage.path(kind)).unwrap()
}

#[test]
fn values_flipped_and_cut() {
    each_flip_and_cut(Kind::Value);
}

#[test]
fn metas_flipped_and_cut() {
    each_flip_and_cut(Kind::Meta);
}

#[test]
fn notices_flipped_and_cut() {
    each_flip_and_cut(Kind::Notice);
}

#[test]
fn markers_flipped_and_cut() {
    each_flip_and_cut(Kind::Marker);
}

#[test]
fn gates_flipped_and_cut() {
    each_flip_and_cut(Kind::Gate);
}

#[test]
fn formats_flipped_and_cut() {
    each_flip_and_cut(Kind::Format);
}

/// The header, the key's own slot, and some others: the file has half a million bytes of one shape.
#[test]
fn tables_flipped_and_cut() {
    stage::guarded(|| {
        let stage = Stage::new();
        let kind = Kind::Table;
        let slot = 64 + 64 * stage.slot();
        let length = whole_of(&stage, kind).len();
        for at in (0..80).chain(slot..slot + 10).chain((1000..length).step_by(50_021)) {
            let mut flipped = whole_of(&stage, kind);
            flipped[at] ^= 1 << (at % 8);
            stage.damage(kind, &flipped);
            stage.check(kind, &format!("table: byte {at} flipped"));
        }
        for cut in (0..80).step_by(7).chain([slot, slot + 4, length - 1]) {
            let mut bytes = whole_of(&stage, kind);
            bytes.truncate(cut);
            stage.damage(kind, &bytes);
            stage.check(kind, &format!("table: cut to {cut}"));
        }
    });
}

#[test]
fn anything_at_all_in_a_files_place() {
    stage::guarded(|| {
        for kind in Kind::ALL {
            for thing in stage::THINGS {
                // A root of its own: some of these stay until somebody moves them away.
                let stage = Stage::new();
                stage.make(kind);
                stage.replace(kind, thing);
                stage.check(kind, &format!("{kind:?}: {thing:?} in its place"));
            }
        }
    });
}

/// That the checks above can fail: a wrong value under a right description.
#[test]
fn damage_to_a_value_is_told_with_its_path_and_remedy() {
    let stage = Stage::new();
    stage.make(Kind::Value);
    let mut bytes = std::fs::read(stage.path(Kind::Value)).unwrap();
    bytes[0] ^= 1;
    stage.damage(Kind::Value, &bytes);
    let value = stage.source().read().unwrap();
    let error = value.error.clone().unwrap();
    assert_eq!((error.code(), value.data()), (Code::Damaged, None));
    assert_eq!(error.path(), Some(stage.path(Kind::Value).as_path()));
    assert!(error.hint().is_some(), "{error}");
    let value = stage.source().get(|_| Ok::<_, std::io::Error>("healed"), None).unwrap();
    assert_eq!((value.how, value.data()), (Some(How::Ran), Some(&b"healed"[..])));
    // Moved out of the way, not destroyed.
    let kept: Vec<_> = std::fs::read_dir(stage.root().join(".forebay/quarantine")).unwrap().collect();
    assert_eq!(kept.len(), 2);
}
