//! Computing: once for all, from inputs that were looked at before, and never blessed when they changed meanwhile.

use crate::common::{Bench, key, short};
use forebay::{Code, Failure, How, Input, LiveStep};
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn c6_a_change_while_it_is_computed_is_not_blessed() {
    let bench = Bench::new();
    bench.write("a", "1");
    let inputs = [Input::parse("a")];
    let made = bench.live.get_or_compute(&key("x"), &inputs, &[], "test", |_| {
        bench.write("a", "2");
        Ok::<_, Failure>("of the old")
    });
    let made = made.unwrap();
    assert_eq!((made.how(), made.error().unwrap().code()), (How::Uncoordinated, Code::Superseded));
    assert_eq!(bench.look("x"), "miss");
    let again = bench
        .live
        .get_or_compute(&key("x"), &inputs, &[], "test", |_| Ok::<_, Failure>("of the new"))
        .unwrap();
    assert_eq!((again.how(), again.data()), (How::Ran, &b"of the new"[..]));
}

#[test]
fn c6_nor_within_one_time_step_of_the_file_system() {
    let bench = Bench::new();
    let mut refused = 0;
    for round in 0..300 {
        let (one, two) = (format!("{round:08}"), format!("{:08}", round + 1_000_000));
        bench.write("a", &one);
        let ticket = bench.live.begin(&key("x"), &[Input::parse("a")], &[]).unwrap();
        // The same size, in place, at once: its numbers may well be the same.
        std::fs::write(bench.path("a"), &two).unwrap();
        match ticket.commit(&one, "test") {
            Err(error) => {
                assert_eq!(error.code(), Code::Superseded);
                refused += 1;
            }
            Ok(_) => panic!("round {round}: a result of {one} was kept while the file has {two}"),
        }
    }
    assert_eq!(refused, 300);
}

#[test]
fn c6_a_change_after_the_commit_shows_at_the_next_look() {
    let bench = Bench::new();
    for round in 0..300 {
        let (one, two) = (format!("{round:08}"), format!("{:08}", round + 1_000_000));
        bench.write("a", &one);
        bench.keep("x", &["a"], &[]);
        std::fs::write(bench.path("a"), &two).unwrap();
        assert_eq!(bench.check("x"), "invalidated", "round {round}");
    }
}

#[test]
fn one_computes_and_the_others_get_it() {
    let bench = Bench::new();
    bench.write("a", "1");
    let runs = AtomicUsize::new(0);
    for round in 0..10 {
        let name = format!("x{round}");
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let live = bench.live.clone();
                    start.wait();
                    let made = live.get_or_compute(&key(&name), &[Input::parse("a")], &[], "test", |_| {
                        runs.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, Failure>("made")
                    });
                    assert_eq!(made.unwrap().data(), b"made");
                });
            }
        });
        assert_eq!(runs.swap(0, Ordering::Relaxed), 1, "round {round}");
    }
}

#[test]
fn a_failed_computation_is_its_own_and_bars_nobody() {
    let bench = Bench::new();
    let failed = bench.live.get_or_compute(&key("x"), &[], &[], "test", |_| {
        Err::<String, _>(Failure::new(Code::Unavailable, "the model is down"))
    });
    assert_eq!(failed.unwrap_err().code(), Code::Unavailable);
    let panicked = bench
        .live
        .get_or_compute(&key("x"), &[], &[], "test", |_| -> Result<String, Failure> { panic!("boom") });
    assert_eq!(panicked.unwrap_err().code(), Code::RefreshFailed);
    let made = bench.live.get_or_compute(&key("x"), &[], &[], "test", |_| Ok::<_, Failure>("made")).unwrap();
    assert_eq!(made.how(), How::Ran);
}

#[test]
fn a_dropped_computation_is_taken_over_at_once() {
    let bench = Bench::new();
    let mut first = bench.live.compute(&key("x"), &[], &[], "test");
    assert!(matches!(first.next(), Ok(LiveStep::Compute)));
    let mut second = bench.live.compute(&key("x"), &[], &[], "test");
    assert!(matches!(second.next(), Ok(LiveStep::Wait)));
    let job = first.job().unwrap();
    drop(first);
    assert!(job.cancelled());
    assert!(matches!(second.next(), Ok(LiveStep::Compute)));
    second.computed(Ok("made"));
    assert!(matches!(second.next(), Ok(LiveStep::Done(made)) if made.data() == b"made"));
}

#[test]
fn c8_two_that_keep_other_bytes_under_one_key_never_hurt_it() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let live = bench.other();
            scope.spawn(move || {
                for round in 0..200 {
                    live.persist(&key("x"), format!("{writer} {round}").as_bytes(), "test", &[]).unwrap();
                }
            });
        }
        for _ in 0..500 {
            assert_ne!(short(&bench.live.lookup(&key("x")).unwrap()), "invalidated");
        }
    });
    assert_eq!((bench.check("x"), bench.live.entry_count().unwrap()), ("hit", 1));
}

#[test]
fn a_computation_that_asks_for_its_own_result_is_told_so() {
    let bench = Bench::new();
    let other = bench.other();
    let mut told = Vec::new();
    let ask = |name: &str| {
        let asked = other.get_or_compute(&key(name), &[], &[], "test", |_| Ok::<_, Failure>("inner"));
        asked.map(|found| found.data().to_vec()).map_err(|error| error.code())
    };
    let made = bench.live.get_or_compute(&key("x"), &[], &[], "test", |_| {
        told.push(ask("x"));
        bench.live.get_or_compute(&key("y"), &[], &[], "test", |_| {
            told.push(ask("x"));
            told.push(ask("z"));
            Ok::<_, Failure>("inner")
        })?;
        Ok::<_, forebay::Error>("made")
    });
    assert_eq!(made.unwrap().data(), b"made");
    assert_eq!(told, [Err(Code::Invalid), Err(Code::Invalid), Ok(b"inner".to_vec())]);
    assert_eq!(ask("x"), Ok(b"made".to_vec()), "afterwards it is asked as ever");
}
