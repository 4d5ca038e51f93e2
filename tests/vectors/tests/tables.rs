//! The tables that every binding is compared with: written from core with `FOREBAY_BLESS=1`, compared else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use forebay::{
    AcquireOptions, Acquired, Cache, Code, Durability, EventKind, Failure, How, Key, Phase, Source, Started,
    State, Ticket,
};
use serde_json::{Value as Json, json};
use std::time::{Duration, SystemTime};

/// Writes or compares `tests/vectors/<name>`: an object, whose lists stand with one entry to a line.
fn table(name: &str, json: &Json) {
    let mut text = String::from("{\n");
    for (index, (field, value)) in json.as_object().unwrap().iter().enumerate() {
        let separator = if index == 0 { "" } else { ",\n" };
        match value.as_array().filter(|list| list.iter().any(Json::is_object)) {
            Some(list) => {
                let lines: Vec<String> = list.iter().map(|entry| format!("    {entry}")).collect();
                text += &format!("{separator}  {}: [\n{}\n  ]", json!(field), lines.join(",\n"));
            }
            None => text += &format!("{separator}  {}: {value}", json!(field)),
        }
    }
    text += "\n}\n";
    let path = forebay_vectors::folder().join(name);
    if std::env::var_os("FOREBAY_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, text, "{name} is not what core says; FOREBAY_BLESS=1 writes it anew");
}

#[test]
fn error_codes() {
    let codes = Code::ALL.iter().map(|code| {
        let node = format!("FOREBAY_E_{}", code.as_str().to_uppercase());
        json!({"code": code.as_str(), "number": code.number(), "node": node})
    });
    table("error_codes.json", &json!({"codes": codes.collect::<Vec<_>>()}));
}

/// Tiers and names that are files, paths, escapes, or nothing special.
const KEYS: &[(&str, &str)] = &[
    ("api", "models"),
    ("api", "models-v2"),
    ("api", "models_v2.1"),
    ("default", "models"),
    ("a", "b"),
    ("b", "a"),
    ("..", ".."),
    (".", "."),
    ("..", "../../etc/passwd"),
    ("...", ".hidden"),
    ("a", "..."),
    ("a", "a/b"),
    ("a", "/"),
    ("a", "\0"),
    ("\0", "a"),
    ("a", "a\0b"),
    ("a", "\\"),
    ("a", "\n"),
    ("a", "\u{7f}"),
    ("a", " "),
    ("a", "a b"),
    ("A", "A"),
    ("a", "README"),
    ("a", "é"),
    ("a", "É"),
    ("a", "e\u{301}"),
    ("a", "ß"),
    ("a", "日本語"),
    ("🦀", "🦀"),
    ("a", "👩‍👩‍👧"),
    ("a", "~"),
    ("a", "%"),
    ("a", "%41"),
    ("a", "a~b"),
    ("a", "*?:|<>\""),
    ("con", "con"),
    ("a", "con.txt"),
    ("a", "CON"),
    ("a", "Con"),
    ("a", "console"),
    ("a", "prn"),
    ("a", "aux"),
    ("a", "nul"),
    ("a", "nul."),
    ("a", "com0"),
    ("a", "com1"),
    ("a", "com9.x"),
    ("a", "com10"),
    ("a", "lpt1"),
    ("a", "lpt0"),
    ("lpt9", "x"),
    ("a", "com"),
    ("a", "com¹"),
    ("a", "models.json"),
    ("a", "models.meta"),
    ("a", "x.refreshing"),
];

/// Names of quotas, beside those of [`KEYS`], and whose they are.
const QUOTAS: &[(&str, Option<&str>)] = &[
    ("usage", None),
    ("usage", Some("alice@example.org")),
    ("usage", Some("")),
    ("claude", None),
    ("a/b", None),
    (".forebay", None),
    ("CACHEDIR.TAG", None),
    ("..", Some("bob")),
    ("Ünï 🦀", None),
    ("con", None),
    ("usage.json", None),
    ("~", None),
];

/// Keys of rotated credentials.
const CREDENTIALS: &[&str] =
    &["github-oauth", "oauth/github", "a/b/c", "credentials/x", "../x", "Ünï", "con/aux", ".hidden"];

fn keys() -> Vec<(String, String, Option<&'static str>)> {
    let own = |tier: &str, name: &str| (tier.to_owned(), name.to_owned(), None);
    let mut keys: Vec<_> = KEYS.iter().map(|(tier, name)| own(tier, name)).collect();
    for length in [139, 140, 141, 179, 180, 181, 300, 4096] {
        keys.push(own("long", &"a".repeat(length)));
    }
    keys.push(own(&"t".repeat(300), &"n".repeat(300)));
    // The cut falls behind, on and within an escape.
    for before in 0..6 {
        keys.push(own("cut", &format!("{}{}", "x".repeat(before), "é".repeat(100))));
        keys.push(own("cut", &format!("{}{}", "x".repeat(before), "A".repeat(61))));
    }
    for identity in ["alice", "bob", "", "日本", "alice@example.org"] {
        keys.push(("api".to_owned(), "usage".to_owned(), Some(identity)));
    }
    keys.push(("api".to_owned(), "n".repeat(200), Some("alice")));
    keys
}

#[test]
fn names() {
    let names = keys().into_iter().map(|(tier, name, identity)| {
        let mut key = Key::new(&tier, &name).unwrap();
        let mut row =
            serde_json::Map::from_iter([("tier".to_owned(), json!(tier)), ("name".to_owned(), json!(name))]);
        if let Some(identity) = identity {
            key = key.with_identity(identity);
            row.insert("identity".to_owned(), json!(identity));
        }
        row.insert("folder".to_owned(), json!(key.folder()));
        row.insert("stem".to_owned(), json!(key.stem()));
        row.insert("hash".to_owned(), json!(format!("{:016x}", key.hash())));
        row.insert("slot".to_owned(), json!(key.slot()));
        row.insert("guard".to_owned(), json!(format!("{:02x}", forebay::guard_of(key.slot()))));
        Json::Object(row)
    });
    let refused: Vec<String> = ["", "/", "a/", "/a"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("a/{}", "n".repeat(4097)), format!("{}/n", "t".repeat(4097))])
        .collect();
    for key in &refused {
        assert_eq!(Key::parse(key).unwrap_err().code(), Code::Invalid, "{key:?}");
    }
    let parsed = ["api/models", "models", "a/b/c", "a//b", "../x", "a/ ", "é/É"].map(|text| {
        let key = Key::parse(text).unwrap();
        json!({"text": text, "tier": key.tier(), "name": key.name()})
    });
    let quotas_refused = [String::new(), "n".repeat(4097)];
    for name in &quotas_refused {
        assert_eq!(Key::quota(name).unwrap_err().code(), Code::Invalid, "{name:?}");
    }
    table(
        "names.json",
        &json!({
            "names": names.collect::<Vec<_>>(), "refused": refused, "keys": parsed,
            "quotas": quotas(), "quotas_refused": quotas_refused, "credentials": credentials(),
        }),
    );
}

fn quotas() -> Vec<Json> {
    let long = [(&*"q".repeat(180), None), (&*"q".repeat(181), None), (&*"Q".repeat(4096), Some("alice"))];
    let rows = QUOTAS.iter().copied().chain(long).map(|(name, identity)| {
        let mut key = Key::quota(name).unwrap();
        let mut row = json!({"name": name});
        if let Some(identity) = identity {
            key = key.with_identity(identity);
            row["identity"] = json!(identity);
        }
        row["key"] = json!(key.to_string());
        row["stem"] = json!(key.stem());
        row["hash"] = json!(format!("{:016x}", key.hash()));
        row["slot"] = json!(key.slot());
        row["guard"] = json!(format!("{:02x}", forebay::guard_of(key.slot())));
        row
    });
    rows.collect()
}

/// Where each credential is kept: found by keeping it.
fn credentials() -> Vec<Json> {
    let rows = CREDENTIALS.iter().map(|key| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("state");
        let creds = forebay::CredentialsOptions::new().root(&root).open().unwrap();
        creds.reset(key, Some(b"secret")).unwrap();
        let mut found = Vec::new();
        for tier in std::fs::read_dir(&root).unwrap().map(Result::unwrap) {
            let tier_name = tier.file_name().into_string().unwrap();
            if tier_name == ".forebay" || !tier.file_type().unwrap().is_dir() {
                continue;
            }
            for file in std::fs::read_dir(tier.path()).unwrap().map(Result::unwrap) {
                let name = file.file_name().into_string().unwrap();
                if let Some(stem) = name.strip_suffix(".json") {
                    found.push(json!({"key": key, "folder": tier_name, "stem": stem}));
                }
            }
        }
        assert_eq!(found.len(), 1, "{key}: {found:?}");
        found.remove(0)
    });
    rows.collect()
}

/// The words of each kind.
fn words() -> Json {
    let durabilities =
        [Durability::None, Durability::Data, Durability::Full].map(|durability| match durability {
            Durability::None | Durability::Data | Durability::Full => durability.as_str(),
        });
    let states = [State::Fresh, State::Stale, State::Expired, State::Absent].map(|state| match state {
        State::Fresh | State::Stale | State::Expired | State::Absent => state.as_str(),
    });
    json!({
        "states": states,
        "hows": How::ALL.iter().map(|how| how.as_str()).collect::<Vec<_>>(),
        "phases": Phase::ALL.iter().map(|phase| phase.as_str()).collect::<Vec<_>>(),
        "durabilities": durabilities,
        "started": Started::ALL.iter().map(|started| started.as_str()).collect::<Vec<_>>(),
        "acquired": ["ticket", "in_flight", "fresh", "gated"],
        "events": EventKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "outcomes": {"stale": 1, "expired": 2, "absent": 3, "in_flight": 4, "gated": 5, "fresh": 6, "superseded": 7},
        "format": 1,
    })
}

fn ticket(source: &Source) -> Ticket {
    match source.acquire(&AcquireOptions::default()) {
        Ok(Acquired::Ticket(ticket)) => ticket,
        other => panic!("{other:?}"),
    }
}

/// The limits, each as it is found by using the cache.
fn limits(cache: &Cache, now: SystemTime) -> Json {
    let cooldown = |key: &str, after: Option<u64>| {
        let source = cache.source(key);
        let failure = Failure::new(Code::RateLimited, "later");
        let failure = match after {
            Some(secs) => failure.retry_after(Duration::from_secs(secs)),
            None => failure,
        };
        ticket(&source).fail(&failure).unwrap();
        let at = source.refresh_state().unwrap().retry_at.unwrap();
        at.duration_since(now).unwrap().as_millis() as u64
    };
    assert_eq!(cooldown("floor/declared", Some(0)), 250);
    let (floor, cap) = (cooldown("floor/guessed", None), cooldown("cap/declared", Some(u64::from(u32::MAX))));
    let longest = Duration::from_secs(86_400);
    let held: Vec<Ticket> = (0..)
        .map_while(|index| {
            match cache
                .source(&format!("lease/{index}"))
                .deadline(longest)
                .acquire(&AcquireOptions::default())
            {
                Ok(Acquired::Ticket(ticket)) => Some(ticket),
                Err(error) if error.code() == Code::TooManyLeases => None,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let too_long = cache.source("lease/0").deadline(longest + Duration::from_millis(1));
    assert_eq!(too_long.acquire(&AcquireOptions::default()).unwrap_err().code(), Code::Invalid);
    json!({
        "deadline_max_ms": u64::try_from(longest.as_millis()).unwrap(),
        "future_slack_ms": 60_000,
        "gate_declared_cap_ms": cap,
        "gate_floor_ms": floor,
        "gate_guess_cap_ms": 300_000,
        "guards": forebay::GUARDS,
        "leases": held.len(),
        "name_bytes": forebay::MAX_NAME,
        "slots": forebay::SLOTS,
    })
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

fn quota_options(cache: &Cache) -> Json {
    let options = cache.quota("usage").options().clone();
    assert!(matches!(options.wait, forebay::Wait::UntilDone) && options.durability.is_none());
    json!({
        "ttl_ms": whole_ms(options.ttl), "error_ttl_ms": whole_ms(options.error_ttl),
        "rate_limited_ms": whole_ms(options.rate_limited), "unauthorized_ms": whole_ms(options.unauthorized),
        "timeout_ms": whole_ms(options.timeout), "max_stale_ms": whole_ms(options.max_stale),
        "backoff_ms": [whole_ms(options.backoff_floor), whole_ms(options.backoff_cap)],
        "identity": null, "wait_ms": null,
    })
}

/// How long an exchange may take, as it is told to it.
fn exchange_deadline(root: &std::path::Path) -> u64 {
    let (clock, _hands) = forebay::Clock::manual(1_700_000_000_000_000_000);
    let creds = forebay::CredentialsOptions::new().root(root).clock(clock).open().unwrap();
    let mut length = 0;
    let rotated = creds.rotate("key", None, |job| {
        length = whole_ms(job.remaining());
        Ok::<_, Failure>("secret")
    });
    rotated.unwrap();
    length
}

#[test]
fn defaults() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let (clock, _hands) = forebay::Clock::manual(1_700_000_000_000_000_000);
    let cache =
        forebay::CacheOptions::default().root(folder.path().join("root")).clock(clock).open().unwrap();
    let first = ticket(&cache.source("models"));
    let mut out = words();
    out["options"] = json!({
        "deadline_ms": u64::try_from(first.remaining().as_millis()).unwrap(),
        "tier": first.key().tier(),
        "durability": Durability::default().as_str(),
        "ttl_ms": null, "max_stale_ms": null, "stale_if_error_ms": null, "wait_ms": null, "identity": null,
    });
    drop(first);
    out["quota"] = quota_options(&cache);
    out["credentials"] = json!({"deadline_ms": exchange_deadline(&folder.path().join("state"))});
    out["limits"] = limits(&cache, now);
    table("defaults.json", &out);
}
