//! Rotated credentials against a model: random scenarios, whose expectations a small model of the rules predicts, step
//! by step: who may exchange, who gets what, what stays open, and what bars whom. `seen` is any version that was ever
//! stored. A failure names its seed; `FOREBAY_SEED=n` plays that one alone, and then fails, so that it cannot be left set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value as Json, json};
use std::path::Path;

const SCENARIOS: u64 = 100;
/// How an exchange may end, and what the server is said to have said: a wait in ms, -1 for none.
const ENDS: &[(&str, i64)] = &[
    ("ok", -1),
    ("ok", -1),
    ("ok", -1),
    ("unauthorized", -1),
    ("unauthorized", 60_000),
    ("rate_limited", 0),
    ("rate_limited", 5000),
    ("invalid", -1),
    ("no_credentials", -1),
    ("not_sent", -1),
    ("timed_out", -1),
    ("refresh_failed", 7000),
    ("unavailable", -1),
    ("nothing", -1),
];

/// Numbers that depend on the seed alone.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % bound
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()].clone()
    }
}

/// The latest failure, and how long it bars.
struct Gate {
    until: i64,
    code: &'static str,
    attempts: u32,
}

#[derive(Default)]
struct Model {
    now: i64,
    /// Which of the versions is stored.
    stored: Option<usize>,
    /// The bytes of every version that ever was.
    versions: Vec<String>,
    open_since: Option<i64>,
    gate: Option<Gate>,
}

fn saved(version: usize) -> String {
    format!("v{version}")
}

impl Model {
    fn barred(&self) -> Option<&Gate> {
        self.gate.as_ref().filter(|gate| self.now < gate.until)
    }

    fn store(&mut self, data: String) -> usize {
        self.versions.push(data);
        (self.open_since, self.gate, self.stored) = (None, None, Some(self.versions.len() - 1));
        self.versions.len() - 1
    }

    /// A `rotate` step with what has to come of it.
    fn rotate(&mut self, seen: Option<usize>, (end, wait): (&'static str, i64), handle: &str) -> Json {
        let data = format!("secret-{}", self.versions.len());
        let failing = |code: &str| {
            let mut failure = json!({"code": code, "message": "told"});
            if wait >= 0 {
                failure["retry_after_ms"] = json!(wait);
            }
            json!({ "fails": failure })
        };
        let exchange = match end {
            "ok" => json!({ "returns": data }),
            "nothing" => json!({"returns": ""}),
            "not_sent" => json!({"fails": {"code": "io", "message": "told", "not_sent": true}}),
            code => failing(code),
        };
        let mut step = json!({"do": "rotate", "key": "k", "creds": handle, "exchange": exchange});
        if let Some(seen) = seen {
            step["seen"] = json!(saved(seen));
        }
        step["expect"] = match (self.open_since, self.stored) {
            (Some(_), _) => json!({"ran": false, "fails": "ambiguous"}),
            (None, Some(stored)) if seen != Some(stored) => json!({
                "ran": false, "how": "coalesced", "data": self.versions[stored], "same_version": saved(stored),
            }),
            (None, None) if seen.is_some() => json!({"ran": false, "fails": "not_found"}),
            _ if self.barred().is_some() => {
                let left = self.barred().map(|gate| gate.until - self.now);
                json!({"ran": false, "fails": "gated", "retry_in_ms": left})
            }
            (None, stored) => {
                let previous = stored.map(|stored| self.versions[stored].clone());
                let mut expect = self.exchange((end, wait), &data);
                if end == "ok" {
                    step["save"] = json!(saved(self.versions.len() - 1));
                }
                expect["previous"] = json!(previous);
                expect["ran"] = json!(true);
                expect
            }
        };
        step
    }

    fn exchange(&mut self, (end, wait): (&'static str, i64), data: &str) -> Json {
        if end == "ok" {
            self.store(data.to_owned());
            return json!({"how": "ran", "data": data, "error": null});
        }
        let (code, definite) = match end {
            "not_sent" => ("io", true),
            "nothing" => ("refresh_failed", false),
            "unauthorized" | "rate_limited" | "invalid" | "no_credentials" => (end, true),
            _ => (end, false),
        };
        let attempts = self.gate.as_ref().map_or(0, |gate| gate.attempts) + 1;
        let guess = 300_000.min(250 << (attempts - 1).min(20));
        let wait = if wait >= 0 { 250.max(wait) } else { guess };
        self.gate = Some(Gate { until: self.now + wait, code, attempts });
        if !definite {
            self.open_since = Some(self.now);
        }
        json!({"fails": if definite { code } else { "ambiguous" }})
    }

    fn reset(&mut self, data: Option<String>) -> Json {
        let mut step = json!({"do": "rotate_reset", "key": "k"});
        match data {
            Some(data) => {
                step["data"] = json!(data);
                step["save"] = json!(saved(self.store(data)));
            }
            None => (self.open_since, self.gate, self.stored) = (None, None, None),
        }
        step
    }

    /// What each look shows.
    fn looks(&self) -> [Json; 2] {
        let mut current = json!({"data": self.stored.map(|stored| &self.versions[stored])});
        let mut state = json!({
            "phase": if self.barred().is_some() { "cooling" } else { "idle" },
            "ambiguous_for_ms": self.open_since.map(|since| self.now - since),
            "retry_in_ms": self.barred().map(|gate| gate.until - self.now),
            "error": self.gate.as_ref().map(|gate| gate.code),
        });
        for (look, stored) in [(&mut current, self.stored), (&mut state, self.stored)] {
            if let Some(stored) = stored {
                look["same_version"] = json!(saved(stored));
            }
        }
        [
            json!({"do": "rotate_current", "key": "k", "expect": current}),
            json!({"do": "rotate_state", "key": "k", "expect": state}),
        ]
    }
}

fn scenario(seed: u64) -> Json {
    let (mut dice, mut model, mut steps) = (Dice(seed), Model::default(), Vec::new());
    for number in 0..8 + dice.below(30) {
        steps.push(match dice.below(12) {
            0..=2 => {
                let end = model.barred().map_or(1000, |gate| gate.until - model.now);
                let ms = dice.of(&[end - 1, end, end, 250, 400_000]).max(1);
                model.now += ms;
                json!({"do": "advance", "ms": ms})
            }
            3 => model.reset(Some(format!("login-{number}"))),
            4 if model.open_since.is_some() || number % 4 == 0 => model.reset(None),
            _ => {
                let stored = model.stored;
                let any = |dice: &mut Dice| match model.versions.len() {
                    0 => None,
                    count => Some(usize::try_from(dice.below(count as u64)).unwrap()),
                };
                let seen = match dice.below(6) {
                    0 => None,
                    1 => any(&mut dice),
                    _ => stored,
                };
                let (end, handle) = (dice.of(ENDS), dice.of(&["a", "b"]));
                model.rotate(seen, end, handle)
            }
        });
        steps.extend(model.looks());
    }
    json!({"name": format!("seed_{seed}"), "about": "random", "source": {}, "steps": steps})
}

#[test]
fn credentials_do_what_the_model_says() {
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
