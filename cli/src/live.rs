//! `forebay live`: what is kept of derived results, why one holds or does not, and how they are ended. Making one is
//! `derive`'s, and every program's.

use crate::args::Parsed;
use crate::derive::short;
use crate::exit::{ABSENT, Failed, OK};
use crate::json::{self, Cleaned, Ended, Holds, Stats};
use crate::{human, open, out, table};
use forebay::{Code, Error, Live, LiveKey, LiveListed};
use std::ffi::OsStr;
use std::process::ExitCode;
use std::time::SystemTime;

/// How many digits of a key are the fewest that may stand for it.
const FEWEST: usize = 4;
/// How many inputs a line of the list names.
const NAMED: usize = 3;

/// `forebay live ls`.
pub(crate) fn ls(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let cache = open::cache(parsed)?;
    let mut all = open::live(parsed, &cache, None)?.list()?;
    if let Some(kind) = parsed.text("kind")? {
        all.retain(|listed| listed.kind == kind);
    }
    if parsed.has("json") {
        let rows: Vec<json::Result> = all.iter().map(json::Result::new).collect();
        out::line(&json::text(&rows))?;
    } else if parsed.has("names") {
        out::data(all.iter().map(|listed| format!("{}\n", listed.key)).collect::<String>().as_bytes())?;
    } else if !all.is_empty() {
        let rows: Vec<[String; 6]> = all.iter().map(|listed| line_of(listed, cache.now())).collect();
        let heads = ["KEY", "KIND", "SIZE", "AGE", "USED", "INPUTS"];
        let right = [false, false, true, true, true, false];
        out::data(table::columns(heads, right, &rows).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line_of(listed: &LiveListed, now: SystemTime) -> [String; 6] {
    let ago = |at: SystemTime| human::short(now.duration_since(at).unwrap_or_default());
    let kind = if listed.kind.is_empty() { "-" } else { &listed.kind };
    [
        short(&listed.key),
        kind.to_owned(),
        human::size(listed.size),
        ago(listed.computed_at),
        ago(listed.used_at),
        inputs(listed),
    ]
}

/// `file:a, env:LANG, +2, on 1 result`.
fn inputs(listed: &LiveListed) -> String {
    let mut parts: Vec<String> = listed.inputs.iter().take(NAMED).map(ToString::to_string).collect();
    if listed.inputs.len() > NAMED {
        parts.push(format!("+{}", listed.inputs.len() - NAMED));
    }
    if !listed.upstreams.is_empty() {
        parts.push(format!("on {}", human::count(listed.upstreams.len() as u64, "result")));
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

/// `forebay live stats`.
pub(crate) fn stats(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let live = open::live(parsed, &open::cache(parsed)?, None)?;
    let (results, bytes, kinds) = (live.entry_count()?, live.total_bytes()?, live.known_kinds()?);
    if parsed.has("json") {
        out::line(&json::text(&Stats { results, bytes, kinds: kinds.into_iter().collect() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    out::line(&format!("{}, {}", human::count(results, "result"), human::size(bytes)))?;
    if !kinds.is_empty() {
        let rows: Vec<[String; 2]> = kinds
            .into_iter()
            .map(|(kind, number)| [if kind.is_empty() { "-".to_owned() } else { kind }, number.to_string()])
            .collect();
        out::data(table::columns(["KIND", "RESULTS"], [false, true], &rows).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `forebay live why`.
pub(crate) fn why(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let live = open::live(parsed, &open::cache(parsed)?, None)?;
    let argument = parsed.operands.first().ok_or_else(|| parsed.usage("which key?"))?;
    let key = key_of(parsed, &live, argument)?;
    let why = live.why(&key)?;
    if parsed.has("json") {
        out::line(&json::text(&Holds::new(&key, &why)))?;
    } else {
        let verdict = if why.holds { "holds" } else { "does not hold" };
        out::line(&format!("{verdict}: {}", table::harmless(&why.text)))?;
    }
    Ok(ExitCode::from(if why.holds { OK } else { ABSENT }))
}

/// The key that an argument means: all of its digits, or the first of them, where but one result begins so.
fn key_of(parsed: &Parsed, live: &Live, argument: &OsStr) -> Result<LiveKey, Failed> {
    let text = argument.to_str().unwrap_or_default();
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !digits || text.len() < FEWEST || text.len() >= 64 {
        let key = LiveKey::parse(text).map_err(|_| {
            parsed.usage(&format!(
                "{argument:?} is not the key of a derived result: 64 hex digits, or the first few"
            ))
        });
        return key;
    }
    let mut found: Vec<LiveKey> = live.list()?.into_iter().map(|listed| listed.key).collect();
    found.retain(|key| key.to_string().starts_with(text));
    match found[..] {
        [key] => Ok(key),
        [] => Err(Failed::from(Error::new(Code::NotFound, "there is no such result")).about(&text)),
        _ => {
            let error = Error::new(Code::Invalid, format!("stands for {} results", found.len()));
            Err(Failed::from(error.with_hint("give more of its digits; see 'forebay live ls'")).about(&text))
        }
    }
}

/// `forebay live invalidate`.
pub(crate) fn invalidate(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let options = ["tag", "key", "upstream"];
    if parsed.operands.is_empty() && !options.into_iter().any(|option| parsed.has(option)) {
        return Err(parsed.usage("what has changed? name paths, or give --tag, --key or --upstream"));
    }
    if parsed.operands.iter().chain(parsed.all("tag")).any(|name| name.is_empty()) {
        return Err(parsed.usage("a path or a tag is empty"));
    }
    let live = open::live(parsed, &open::cache(parsed)?, None)?;
    // All are understood before the first is ended.
    let keys_of = |option: &'static str| -> Result<Vec<LiveKey>, Failed> {
        parsed.all(option).map(|argument| key_of(parsed, &live, argument)).collect()
    };
    let (keys, upstreams) = (keys_of("key")?, keys_of("upstream")?);
    let mut all = Vec::new();
    for path in &parsed.operands {
        let results = live.invalidate_path(path)?;
        all.push(Ended { by: "path", name: path.to_string_lossy().into_owned(), results });
    }
    for tag in parsed.all("tag") {
        let tag = tag.to_str().ok_or_else(|| parsed.usage("the value of --tag is not UTF-8"))?;
        all.push(Ended { by: "tag", name: tag.to_owned(), results: live.invalidate_tag(tag)? });
    }
    for key in &keys {
        let results = u64::from(live.mark_dirty(key)?);
        all.push(Ended { by: "key", name: key.to_string(), results });
    }
    for key in &upstreams {
        all.push(Ended { by: "upstream", name: key.to_string(), results: live.invalidate_upstream(key)? });
    }
    if parsed.has("json") {
        out::line(&json::text(&all))?;
    } else {
        let line = |row: &Ended| {
            let name = if row.by == "path" || row.by == "tag" { &row.name } else { &row.name[..16] };
            format!("{} {}: {}\n", row.by, table::harmless(name), human::count(row.results, "result"))
        };
        out::data(all.iter().map(line).collect::<String>().as_bytes())?;
    }
    let absent = all.iter().any(|row| row.by == "key" && row.results == 0);
    Ok(ExitCode::from(if absent { ABSENT } else { OK }))
}

/// `forebay live gc`.
pub(crate) fn gc(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let cap = match parsed.text("cap")? {
        None => None,
        Some(text) => Some(human::parse_size(text).ok_or_else(|| {
            parsed.usage(&format!("--cap {text}: a size is 1048576, 512KiB, 500MiB or 2GiB"))
        })?),
    };
    let live = open::live(parsed, &open::cache(parsed)?, None)?;
    let (removed, mut swept) = live.gc()?;
    let evicted = match cap {
        None => 0,
        Some(cap) => {
            let evicted = live.evict_to_cap(cap)?;
            // The files of those.
            swept += live.gc()?.1;
            evicted
        }
    };
    if parsed.has("json") {
        out::line(&json::text(&Cleaned { removed, evicted, swept }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("removed {}", human::count(removed, "result"));
    if cap.is_some() {
        text += &format!(", evicted {}", human::count(evicted, "result"));
    }
    if swept > 0 {
        text += &format!(", swept {}", human::count(swept, "leftover file"));
    }
    out::line(&text)?;
    Ok(ExitCode::SUCCESS)
}
