//! A quota answer that is fresh, resolved, against a strict read of a source that holds the same text. One thread,
//! 1,000 of each, about 4 KiB, in shuffled order. Neither knows anything of the other.

use crate::Plan;
use forebay::{Cache, Commit, Durability, Failure, Quota};
use forebay_benches::fixture::{self, Fixture, TTL, digest};
use forebay_benches::series::{Contest, timed};
use forebay_benches::{Outcome, check};

/// JSON without white space around it, whose length tells one from another.
fn texts(fixture: &Fixture) -> Vec<String> {
    let text = |(at, value): (usize, &Vec<u8>)| {
        let text = String::from_utf8_lossy(value);
        let open = text.trim_end().trim_end_matches("]}");
        format!("{open}{}]}}", " ".repeat(at % 512))
    };
    fixture.values.iter().enumerate().map(text).collect()
}

fn filled(cache: &Cache, texts: &[String]) -> Outcome<Vec<Quota>> {
    let mut quotas = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let quota = cache.quota(&format!("usage-{at:04}")).ttl(TTL);
        let fetch = |_: &forebay::QuotaJob| Ok::<_, Failure>(text.clone());
        let answer =
            quota.resolve(fetch, || Ok::<_, Failure>("token"), || Ok::<Option<String>, Failure>(None))?;
        check(answer.data.as_ref() == text.as_str() && answer.error.is_none(), || {
            format!("{at} was not stored")
        })?;
        cache.source(&format!("bench/usage-{at:04}")).ttl(TTL).put(text, &Commit::default())?;
        quotas.push(quota);
    }
    Ok(quotas)
}

/// Measures both in one contest.
pub fn run(plan: &Plan) -> Outcome<()> {
    let fixture = Fixture::new();
    let cache = fixture::open(&plan.root.join("cache"), Durability::None)?;
    let texts = texts(&fixture);
    let quotas = filled(&cache, &texts)?;
    let expected: Vec<u64> = texts.iter().map(|text| digest(text.as_bytes())).collect();
    let sources: Vec<_> =
        (0..texts.len()).map(|at| cache.source(&format!("bench/usage-{at:04}")).ttl(TTL)).collect();
    let mut contest = Contest::new("quota", plan.rounds, plan.batch);
    contest.add("resolve, fresh", 1_000, |operations| {
        timed(operations, &fixture.order, &expected, |at| {
            let never =
                |_: &forebay::QuotaJob| Err::<String, _>(Failure::new(forebay::Code::Io, "not fresh"));
            let answer = quotas[at].resolve(
                never,
                || Ok::<_, Failure>("token"),
                || Ok::<Option<String>, Failure>(None),
            );
            answer.map_or(0, |answer| digest(answer.data.as_bytes()))
        })
    });
    contest.add("Cache::read", 1_000, |operations| {
        timed(operations, &fixture.order, &expected, |at| match sources[at].read() {
            Ok(value) if value.is_fresh() => value.data().map_or(0, digest),
            _ => 0,
        })
    });
    contest.run()
}
