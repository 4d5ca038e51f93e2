//! How long others wait: a follower in another process after the commit, the same by the original's polling,
//! and a waiter after its holder was killed. Instants are CLOCK_MONOTONIC, which all processes share.

use crate::Plan;
use forebay::{AcquireOptions, Acquired, Commit, Durability, Phase};
use forebay_benches::children::Told;
use forebay_benches::fixture::{TTL, open};
use forebay_benches::original::Original;
use forebay_benches::series::{Random, print_series};
use forebay_benches::{Outcome, bare, check};
use serde_json::json;
use std::time::{Duration, Instant};

/// We lead, a worker follows: from the instant the commit returned (and, beside it, began) to the follower's return.
pub fn follow(plan: &Plan) -> Outcome<()> {
    let root = plan.root.join("follow");
    let cache = open(&root, Durability::None)?;
    let source = cache.source("follow/value").ttl(TTL);
    let mut follower = Told::start("follower", &root, &["follow/value"])?;
    let mut random = Random::new(3);
    let (mut after_end, mut after_begin) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let Acquired::Ticket(ticket) = source.acquire(&AcquireOptions::default())? else {
            return Err("the lease was not to be had, though nobody holds it".into());
        };
        check(follower.ask("go")? == "going", || "the follower does not follow".to_owned())?;
        pause(Duration::from_micros(4_000 + random.below(6_000) as u64));
        let bytes = format!("round {round}");
        let begun = bare::now();
        ticket.complete(bytes.clone().into_bytes(), &Commit::default())?;
        let ended = bare::now();
        let answer = follower.hear()?;
        let (at, rest) = answer.split_once(' ').ok_or("the follower did not say when")?;
        check(rest == format!("coalesced {bytes}"), || {
            format!("the follower got {rest:?} in round {round}")
        })?;
        let at: i64 = at.parse()?;
        after_end.push(at - ended);
        after_begin.push(at - begun);
    }
    print_series(
        "follow",
        "ns",
        json!({"after the commit's end": after_end, "after its begin": after_begin}),
    );
    Ok(())
}

/// The same with the original's algorithm. Followers mostly sleep, so a batch of them waits side by side.
pub fn follow_by_polling(plan: &Plan) -> Outcome<()> {
    const SIDE_BY_SIDE: usize = 16;
    let root = plan.root.join("follow-polling");
    let mut random = Random::new(5);
    let mut waits: Vec<i64> = Vec::new();
    for _ in 0..plan.rounds {
        let sources: Vec<_> =
            (0..SIDE_BY_SIDE).map(|at| Original::new(&root, "follow", &at.to_string())).collect();
        for source in &sources {
            check(source.claim()?, || "a claim is in force already".to_owned())?;
        }
        let mut follower = Told::start("poller", &root, &[&SIDE_BY_SIDE.to_string()])?;
        check(follower.hear()? == "going", || "the followers do not follow".to_owned())?;
        let mut ends = [0; SIDE_BY_SIDE];
        let mut due: Vec<_> = (0..SIDE_BY_SIDE).map(|at| (random.below(250_000) as u64, at)).collect();
        due.sort_unstable();
        let start = Instant::now();
        for (micros, at) in due {
            pause(Duration::from_micros(micros).saturating_sub(start.elapsed()));
            sources[at].commit(b"committed")?;
            ends[at] = bare::now();
        }
        for _ in 0..SIDE_BY_SIDE {
            let answer = follower.hear()?;
            let (which, at) = answer.split_once(' ').ok_or("a follower did not say when")?;
            waits.push(at.parse::<i64>()? - ends[which.parse::<usize>()?]);
        }
    }
    print_series("follow-polling", "ns", json!({"after the commit's end": waits}));
    Ok(())
}

/// A worker takes the lease, a thread of ours waits for it, the worker is killed: until our refresher runs.
pub fn take_over(plan: &Plan) -> Outcome<()> {
    let root = plan.root.join("takeover");
    let cache = open(&root, Durability::None)?;
    let mut random = Random::new(9);
    let mut times = Vec::new();
    for round in 0..plan.rounds {
        let key = format!("takeover/{}", round % 64);
        let source = cache.source(&key).ttl(TTL);
        let mut holder = Told::start("holder", &root, &[&key])?;
        check(holder.hear()? == "held", || "the holder does not hold".to_owned())?;
        check(source.refresh_state()?.phase == Phase::Running, || "nobody refreshes".to_owned())?;
        let waiter = std::thread::spawn(move || {
            let mut at = 0;
            let value = source.refresh(|_| {
                at = bare::now();
                Ok::<_, std::io::Error>("taken over")
            });
            (at, value.map(|value| value.data() == Some(b"taken over")))
        });
        pause(Duration::from_micros(3_000 + random.below(7_000) as u64));
        let killed = holder.kill()?;
        let (at, value) = waiter.join().map_err(|_| "the waiter panicked")?;
        check(value? && at > killed, || format!("round {round}: the refresher did not take over"))?;
        times.push(at - killed);
    }
    print_series("takeover", "ns", json!({"from SIGKILL to the next refresher": times}));
    Ok(())
}

/// Lets others get to where they wait; how long is part of what is measured, so it is a sleep on purpose.
fn pause(time: Duration) {
    std::thread::sleep(time);
}
