//! Refreshers that misbehave: they panic, bring nothing or very much, overrun, call back, or never come back.

use crate::common::{HANG, HOUR, KEY, Place, acquire, lease, put, text};
use forebay::{Acquired, Code, How, Phase, Started, State, Wait};
use std::io;
use std::sync::mpsc::channel;
use std::time::Duration;

#[test]
fn d21_a_panic_is_a_failed_refresh_in_every_form() {
    type Boom = Result<&'static str, io::Error>;
    type Form<'f> = &'f dyn Fn(&forebay::Source) -> forebay::Result<forebay::Value>;
    let place = Place::new();
    let cache = place.open();
    let boom = |_: &forebay::Job<'_>| -> Boom { panic!("boom") };
    let forms: [(&str, Form<'_>); 4] = [
        ("refresh", &|source| source.refresh(boom)),
        ("get", &|source| source.get(boom, None)),
        ("get in the background", &|source| source.get(boom, HANG)),
        ("maybe_refresh_sync", &|source| source.maybe_refresh_sync(boom)),
    ];
    for (form, call) in forms {
        let source = cache.source(KEY).ttl(HOUR);
        let error = call(&source).expect_err(form);
        assert_eq!(error.code(), Code::RefreshFailed, "{form}");
        assert!(error.to_string().contains("boom"), "{form}: {error}");
        assert_eq!(place.names(), ["models.gate"], "{form}: the marker stayed");
        assert_eq!(source.refresh_state().unwrap().phase, Phase::Cooling);
        // The cache goes on.
        assert_eq!(source.refresh(|_| Ok::<_, io::Error>("x")).unwrap().how, Some(How::Ran));
        source.remove().unwrap();
    }
}

#[test]
fn d21_a_panic_in_the_background_shows_in_the_state() {
    let place = Place::new();
    let source = place.source();
    put(&source, "old");
    source.mark_stale().unwrap();
    let started = source.maybe_refresh(|_| -> Result<&str, io::Error> { panic!("boom") }).unwrap();
    assert_eq!(started, Started::Started);
    let until = std::time::Instant::now() + HANG;
    let state = loop {
        let state = source.refresh_state().unwrap();
        if state.failed {
            break state;
        }
        assert!(std::time::Instant::now() < until, "{state:?}");
        std::thread::yield_now();
    };
    assert!(state.last_error.unwrap().to_string().contains("boom"));
    assert_eq!(text(&source).as_deref(), Some("old"));
}

#[test]
fn nothing_and_sixty_four_mebibytes_are_values() {
    let place = Place::new();
    let source = place.source();
    for length in [0, 64 << 20, 0, 1] {
        let bytes: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[1]).collect();
        let value = source.refresh(|_| Ok::<_, io::Error>(bytes.clone())).unwrap();
        assert_eq!((value.how, value.data() == Some(&bytes[..])), (Some(How::Ran), true), "{length}");
        let value = place.source().read().unwrap();
        assert!(value.data() == Some(&bytes[..]) && value.state == State::Fresh, "{length}");
        assert!(place.source().reader().read().unwrap().data() == Some(&bytes[..]), "{length}");
        assert_eq!(place.names(), ["models.json", "models.meta"]);
    }
}

#[test]
fn d06_overrunning_the_deadline_is_fenced_and_the_caller_is_told() {
    let place = Place::new();
    let (cache, hands) = place.manual();
    let source = cache.source(KEY).ttl(HOUR).deadline(Duration::from_secs(1));
    put(&source, "old");
    let value = source.refresh(|job| {
        hands.advance(Duration::from_secs(2));
        assert_eq!(job.remaining(), Duration::ZERO);
        assert!(!job.cancelled(), "nobody has taken over");
        Ok::<_, io::Error>("late, but alone")
    });
    assert_eq!(value.unwrap().how, Some(How::Ran));
    let value = source.refresh(|job| {
        hands.advance(Duration::from_nanos(3_000_000_001));
        lease(&source).complete("successor", &forebay::Commit::default()).unwrap();
        assert!(job.cancelled());
        Ok::<_, io::Error>("too late")
    });
    let value = value.unwrap();
    assert_eq!((value.data(), value.how), (Some(&b"too late"[..]), Some(How::Uncoordinated)));
    assert_eq!(value.error.unwrap().code(), Code::LeaseLost);
    assert_eq!(text(&source).as_deref(), Some("successor"));
    assert_eq!(place.names(), ["models.json", "models.meta"]);
}

#[test]
fn a_refresher_may_call_back_and_never_deadlocks() {
    let place = Place::new();
    let cache = place.open();
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let source = cache.source(KEY).ttl(HOUR);
            put(&source, "old");
            source.mark_stale().unwrap();
            let value = source.refresh(|job| {
                assert_eq!(job.previous().unwrap().data[..], b"old"[..]);
                // The same key: it says that it is being refreshed, to this handle and to others.
                for same in [source.clone(), place.source()] {
                    assert_eq!(same.read().unwrap().phase, Some(Phase::Running));
                    assert!(matches!(acquire(&same), Acquired::InFlight(_)));
                    let stale = same.get(|_| Ok::<_, io::Error>("second"), Duration::ZERO).unwrap();
                    assert_eq!((stale.data(), stale.how), (Some(&b"old"[..]), Some(How::Stale)));
                    let started = same.maybe_refresh(|_| Ok::<_, io::Error>("third")).unwrap();
                    assert_eq!(started, Started::InFlight);
                }
                // Other keys: all that it can do anywhere.
                let other = cache.source("api/other").ttl(HOUR);
                let inner = other.get(|_| Ok::<_, io::Error>("inner"), Wait::UntilDone).unwrap();
                assert_eq!(inner.how, Some(How::Ran));
                cache.prune(&[other.key().unwrap().clone()]).unwrap();
                assert_eq!(cache.list().unwrap().len(), 2, "prune spares what is being refreshed");
                Ok::<_, io::Error>("new")
            });
            assert_eq!(value.unwrap().how, Some(How::Ran));
            tell.send(()).unwrap();
        });
        told.recv_timeout(HANG).expect("a deadlock, or a failed assertion above");
    });
    assert_eq!(text(&place.source()).as_deref(), Some("new"));
}

#[test]
fn a_dropped_ticket_is_replaced_at_once_and_the_second_in_a_row_sets_a_gate() {
    let place = Place::new();
    let source = place.source();
    drop(lease(&source));
    assert_eq!(source.refresh_state().unwrap().phase, Phase::Idle);
    // Without an override: the first abandoned attempt bars nobody.
    let ask = forebay::AcquireOptions::default();
    let Acquired::Ticket(second) = source.acquire(&ask).unwrap() else { panic!("barred by one death") };
    let clone = second.clone();
    drop(second);
    assert!(matches!(source.acquire(&ask).unwrap(), Acquired::InFlight(_)), "a clone is the same ticket");
    drop(clone);
    assert!(matches!(source.acquire(&ask).unwrap(), Acquired::Gated(_)));
    assert_eq!(source.refresh(|_| Ok::<_, io::Error>("x")).unwrap().how, Some(How::Ran));
    assert_eq!(place.names(), ["models.json", "models.meta"]);
}
