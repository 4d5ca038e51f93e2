//! Quotas against a model: random scenarios, whose expectations a small model of the rules predicts, step by step.
//! Everything a single caller can see is in it: data, state, who was called, the gate, its reason, attempts and end.
//! A failure names its seed; `FOREBAY_SEED=n` plays that one alone, and then fails, so that it cannot be left set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value as Json, json};
use std::path::Path;

const TTL: i64 = 180_000;
const MAX_STALE: i64 = 86_400_000;
const DECLARED_CAP: i64 = 86_400_000;
const SCENARIOS: u64 = 150;

/// Numbers that depend on the seed alone.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()].clone()
    }
}

#[derive(Clone)]
struct Record {
    at: i64,
    data: Json,
    credential: Option<&'static str>,
}

#[derive(Clone)]
struct Gate {
    until: i64,
    code: &'static str,
    credential: Option<&'static str>,
    declared: bool,
    attempts: u32,
}

impl Gate {
    fn is_about_another(&self, credential: Option<&str>) -> bool {
        self.code == "unauthorized" && self.credential.is_some() && self.credential != credential
    }
}

/// What one `resolve` is given.
#[derive(Clone, Copy)]
struct Given {
    credentials: Option<&'static str>,
    fetch: &'static str,
    fallback: Option<&'static str>,
    number: u64,
}

/// What is expected of it.
#[derive(Default)]
struct Expected {
    called: Vec<&'static str>,
    rest: serde_json::Map<String, Json>,
}

impl Expected {
    fn set(&mut self, json: &Json) {
        self.rest.extend(json.as_object().unwrap().clone());
    }
}

#[derive(Default)]
struct Model {
    now: i64,
    record: Option<Record>,
    gate: Option<Gate>,
}

impl Model {
    fn barred(&self) -> Option<&Gate> {
        self.gate.as_ref().filter(|gate| self.now < gate.until)
    }

    fn age(&self) -> Option<i64> {
        self.record.as_ref().map(|record| self.now - record.at)
    }

    /// What a look shows.
    fn look(&self) -> Json {
        let mut found = json!({
            "json": self.record.as_ref().map(|record| &record.data),
            "retry_in_ms": self.barred().map(|gate| gate.until - self.now),
            "error": self.barred().map(|gate| gate.code),
        });
        if let Some(gate) = self.barred() {
            found["attempts"] = json!(gate.attempts);
            found["declared"] = json!(gate.declared);
        }
        if let Some(age) = self.age() {
            found["age_ms"] = json!(age);
            found["state"] = json!(match age {
                age if age < TTL => "fresh",
                age if age <= TTL + MAX_STALE => "stale",
                _ => "expired",
            });
        }
        found
    }

    fn resolve(&mut self, given: Given) -> Expected {
        let mut out = Expected::default();
        if self.age().is_some_and(|age| age < TTL) {
            let data = self.record.as_ref().map(|record| &record.data);
            out.set(&json!({"how": "fresh", "json": data, "error": null, "retry_in_ms": null}));
            return out;
        }
        let hash = given.credentials.filter(|text| *text != "none");
        let asked = match self.barred().cloned() {
            Some(gate) if gate.code == "unauthorized" && gate.credential.is_some() => {
                if !ask(given, &mut out) {
                    return out;
                }
                if hash.is_none() || hash == gate.credential {
                    self.without_fetch(gate.code, given, &mut out);
                    return out;
                }
                true
            }
            Some(gate) => {
                self.without_fetch(gate.code, given, &mut out);
                return out;
            }
            None => false,
        };
        if asked || ask(given, &mut out) {
            out.called.push("fetch");
            self.fetch(hash, given, &mut out);
        }
        out
    }

    fn fetch(&mut self, hash: Option<&'static str>, given: Given, out: &mut Expected) {
        let (how, data) = match (given.fetch, self.record.take()) {
            ("ok", _) => ("ran", json!({"number": given.number})),
            ("304", Some(record)) => ("unchanged", record.data),
            (_, record) => {
                self.record = record;
                self.fail(hash, given, out);
                return;
            }
        };
        out.set(&json!({"how": how, "json": data, "error": null, "retry_in_ms": null, "age_ms": 0}));
        (self.record, self.gate) = (Some(Record { at: self.now, data, credential: hash }), None);
    }

    fn fail(&mut self, hash: Option<&'static str>, given: Given, out: &mut Expected) {
        let (code, declared) = match given.fetch {
            "429" => ("rate_limited", None),
            "429 60" => ("rate_limited", Some(60_000)),
            "429 0" => ("rate_limited", Some(0)),
            "401" => ("unauthorized", None),
            "503" => ("unavailable", None),
            "503 20" => ("unavailable", Some(20_000)),
            "slow" => ("timed_out", None),
            _ => ("refresh_failed", None),
        };
        let attempts = self.gate.as_ref().map_or(0, |gate| gate.attempts) + 1;
        let wait = match (declared, code) {
            (Some(wait), _) => 1000.max(wait),
            (None, "rate_limited" | "unauthorized") => 300_000,
            (None, _) => 180_000.min(1000 << attempts.saturating_sub(1).min(20)),
        };
        let credential = hash.filter(|_| code == "unauthorized");
        let mut gate =
            Gate { until: self.now + wait, code, credential, declared: declared.is_some(), attempts };
        if let Some(old) = self.barred()
            && old.until > gate.until
            && !(hash.is_some() && old.is_about_another(hash))
        {
            gate = Gate { attempts, ..old.clone() };
        }
        self.gate = Some(gate);
        let theirs = self.record.as_ref().and_then(|record| record.credential);
        if code == "unauthorized" && (theirs.is_none() || theirs == hash) {
            self.record = None;
        }
        self.without_fetch(code, given, out);
    }

    /// Stale data if it may be shown, else the fallback's, else the error.
    fn without_fetch(&self, code: &str, given: Given, out: &mut Expected) {
        if let Some((record, age)) = self.record.as_ref().zip(self.age())
            && age <= TTL + MAX_STALE
            && code != "unauthorized"
        {
            out.set(&json!({"how": "stale", "json": record.data, "error": code, "age_ms": age}));
            return;
        }
        fall_back(code, given, out);
    }

    fn block(&mut self, wait: i64, code: &'static str) -> Json {
        let attempts = self.gate.as_ref().map_or(0, |gate| gate.attempts);
        let until = self.now + wait.min(DECLARED_CAP);
        if self.barred().is_none_or(|old| old.until <= until) {
            self.gate = Some(Gate { until, code, credential: None, declared: true, attempts });
        }
        json!({"retry_in_ms": self.barred().map(|gate| gate.until - self.now)})
    }

    /// A time at which something ends, or about.
    fn step(&self, dice: &mut Dice) -> i64 {
        let mut ends = vec![self.now + 1, self.now + 1000, self.now + 20_000, self.now + TTL];
        ends.extend(self.barred().map(|gate| gate.until));
        ends.extend(self.record.iter().flat_map(|record| [record.at + TTL, record.at + TTL + MAX_STALE]));
        (dice.of(&ends) + dice.of(&[-1, 0, 0, 1]) - self.now).max(1)
    }
}

/// Asks for credentials, where there is somebody to ask; whether there are any.
fn ask(given: Given, out: &mut Expected) -> bool {
    if given.credentials.is_some() {
        out.called.push("credentials");
    }
    if given.credentials == Some("none") {
        fall_back("no_credentials", given, out);
        return false;
    }
    true
}

fn fall_back(code: &str, given: Given, out: &mut Expected) {
    if given.fallback.is_some() {
        out.called.push("fallback");
    }
    out.set(&match given.fallback {
        Some("data") => json!({
            "how": "fallback", "json": {"fallback": given.number}, "error": code, "cached_in_ms": null,
        }),
        _ => json!({ "fails": code }),
    });
}

/// The step that gives a `resolve` that.
fn written(given: Given, expected: Expected) -> Json {
    let failing = |code: &str| json!({"fails": {"code": code, "message": "x"}});
    let returning = |data: &Json| json!({"returns": data.to_string()});
    let mut step = json!({"do": "quota_resolve"});
    step["fetch"] = match given.fetch {
        "ok" => returning(&json!({"number": given.number})),
        "304" => json!({"unchanged": true}),
        "slow" => failing("timed_out"),
        "garbage" => json!({"returns": "<html>"}),
        status => {
            let mut words = status.split(' ');
            let mut answer = json!({"status": words.next().unwrap().parse::<u16>().unwrap()});
            if let Some(after) = words.next() {
                answer["retry_after"] = json!(after);
            }
            answer
        }
    };
    match given.credentials {
        None => {}
        Some("none") => step["credentials"] = failing("no_credentials"),
        Some(secret) => step["credentials"] = json!({"returns": secret}),
    }
    match given.fallback {
        None => {}
        Some("data") => step["fallback"] = returning(&json!({"fallback": given.number})),
        Some("nothing") => step["fallback"] = json!({"returns": null}),
        Some("garbage") => step["fallback"] = json!({"returns": "<html>"}),
        Some(_) => step["fallback"] = failing("io"),
    }
    let mut expect = expected.rest;
    expect.insert("called".to_owned(), json!(expected.called));
    step["expect"] = Json::Object(expect);
    step
}

fn scenario(seed: u64) -> Json {
    let (mut dice, mut model, mut steps) = (Dice(seed), Model::default(), Vec::new());
    for number in 0..8 + dice.below(40) {
        steps.push(match dice.below(20) {
            0..=5 => {
                let ms = model.step(&mut dice);
                model.now += ms;
                json!({"do": "advance", "ms": ms})
            }
            6 => {
                let (wait, code) = (dice.of(&[1000, 50_000, 400_000, 10_i64.pow(12)]), "unavailable");
                let expect = model.block(wait, code);
                json!({"do": "quota_block", "for_ms": wait, "code": code, "message": "m", "expect": expect})
            }
            7 => {
                let cleared = model.record.take().is_some() | model.gate.take().is_some();
                json!({"do": "quota_clear", "expect": {"cleared": cleared}})
            }
            _ => {
                let given = Given {
                    credentials: dice.of(&[
                        None,
                        Some("secret-a"),
                        Some("secret-a"),
                        Some("secret-b"),
                        Some("none"),
                    ]),
                    fetch: dice.of(&[
                        "ok", "ok", "ok", "304", "429", "429 60", "429 0", "401", "401", "503", "503 20",
                        "500", "slow", "garbage",
                    ]),
                    fallback: dice.of(&[None, Some("data"), Some("nothing"), Some("garbage"), Some("fails")]),
                    number,
                };
                let expected = model.resolve(given);
                written(given, expected)
            }
        });
        steps.push(json!({"do": "quota_read", "expect": model.look()}));
    }
    json!({"name": format!("seed_{seed}"), "about": "random", "source": {}, "steps": steps})
}

#[test]
fn quotas_do_what_the_model_says() {
    let chosen = std::env::var("FOREBAY_SEED").ok().map(|text| text.parse::<u64>().unwrap());
    let folder = tempfile::tempdir().unwrap();
    for seed in chosen.map_or(0..SCENARIOS, |seed| seed..seed + 1) {
        let path = folder.path().join(format!("seed_{seed}.json"));
        std::fs::write(&path, scenario(seed).to_string()).unwrap();
        // Nothing here starts another process.
        if let Err(why) = forebay_vectors::run_file(&path, Path::new("no-actor")) {
            panic!("FOREBAY_SEED={seed}: {why}");
        }
    }
    assert_eq!(chosen, None, "not all seeds were played");
}
