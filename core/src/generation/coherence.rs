//! Why the tag is read before the look, and the number moves twice: every schedule of a writer and a reader is
//! held against "no read is older than a commit that had ended before it", and the two protocols that looked
//! simpler are shown to fail under the same check.

use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU32, Ordering::SeqCst};
use shuttle::{check_random, thread};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    Sound,
    /// The value is tagged with the number read after it.
    LateTag,
    /// The number moves once, before the value is published.
    OneStep,
}

#[derive(Default)]
struct Shared {
    number: AtomicU32,
    value: AtomicU32,
    committed: AtomicU32,
}

fn write(shared: &Shared, protocol: Protocol) {
    for value in 1..=3 {
        let number = shared.number.load(SeqCst);
        let begun = if protocol == Protocol::OneStep { number + 2 } else { number | 1 };
        shared.number.store(begun, SeqCst);
        shared.value.store(value, SeqCst);
        if protocol != Protocol::OneStep {
            shared.number.store((number | 1) + 1, SeqCst);
        }
        shared.committed.store(value, SeqCst);
    }
}

/// A tag and the value that is kept under it.
fn look(shared: &Shared, protocol: Protocol) -> (u32, u32) {
    let before = shared.number.load(SeqCst);
    let value = shared.value.load(SeqCst);
    let tag = if protocol == Protocol::LateTag { shared.number.load(SeqCst) } else { before };
    (tag, value)
}

fn read(shared: &Shared, protocol: Protocol) {
    let mut kept: Option<(u32, u32)> = None;
    for _ in 0..4 {
        let must_see = shared.committed.load(SeqCst);
        let hit = kept.filter(|(tag, _)| tag & 1 == 0 && shared.number.load(SeqCst) == *tag);
        let (tag, value) = hit.unwrap_or_else(|| look(shared, protocol));
        assert!(value >= must_see, "read {value} after {must_see} was committed");
        kept = Some((tag, value));
    }
}

fn run(protocol: Protocol) -> bool {
    let check = || {
        check_random(
            move || {
                let shared = Arc::new(Shared::default());
                let writer = Arc::clone(&shared);
                let writer = thread::spawn(move || write(&writer, protocol));
                read(&shared, protocol);
                writer.join().unwrap();
            },
            20_000,
        );
    };
    catch_unwind(AssertUnwindSafe(check)).is_ok()
}

#[test]
fn a_value_tagged_before_the_look_is_never_served_too_long() {
    assert!(run(Protocol::Sound));
}

#[test]
fn tagging_late_and_moving_once_are_both_caught() {
    assert!(!run(Protocol::LateTag));
    assert!(!run(Protocol::OneStep));
}
