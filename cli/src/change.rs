//! `put`, `mark-stale`, `remove` and `prune`: what changes the store without running anything.

use crate::args::Parsed;
use crate::exit::{ABSENT, Failed, OK};
use crate::json::{self, Found, Removed, Sweep};
use crate::progress::Progress;
use crate::{human, open, out, show};
use forebay::{Commit, Error, Key};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// `forebay put`.
pub(crate) fn put(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let key = parsed.key()?;
    let validator = parsed.text("validator")?.map(str::to_owned);
    let bytes = input(parsed.operands.get(1).map(Path::new))?;
    let cache = open::cache(parsed)?;
    let source = open::source(parsed, &cache, &key)?;
    let commit = Commit { validator, ..Commit::default() };
    let value = source.put(bytes, &commit).map_err(|error| Failed::from(error).about(&key))?;
    if parsed.has("json") {
        out::line(&json::text(&Found::new(&key, &value)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The bytes of a file, or of standard input.
fn input(path: Option<&Path>) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    match path.filter(|path| *path != Path::new("-")) {
        Some(path) => std::fs::File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|error| Error::io("read it", path, &error))?,
        None => std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io("read it", Path::new("standard input"), &error))?,
    };
    Ok(bytes)
}

/// `forebay mark-stale`.
pub(crate) fn mark_stale(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let (cache, keys) = (open::cache(parsed)?, parsed.keys()?);
    for key in keys {
        let key = show::resolve(parsed, &cache, key)?;
        cache.source_of(&key).mark_stale().map_err(|error| Failed::from(error).about(&key))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `forebay remove`.
pub(crate) fn remove(parsed: &Parsed) -> Result<ExitCode, Failed> {
    let (cache, keys) = (open::cache(parsed)?, parsed.keys()?);
    let mut progress = Progress::new("removing", keys.len());
    let mut all = Vec::new();
    for key in keys {
        let key = show::resolve(parsed, &cache, key)?;
        let removed = cache.source_of(&key).remove().map_err(|error| Failed::from(error).about(&key))?;
        progress.step(&key.to_string());
        all.push(Removed { key: key.to_string(), removed });
    }
    drop(progress);
    if parsed.has("json") {
        out::line(&json::text(&all))?;
    } else {
        for absent in all.iter().filter(|row| !row.removed) {
            out::warn(&format_args!("{}: there is nothing to remove", absent.key));
        }
    }
    Ok(ExitCode::from(if all.iter().all(|row| row.removed) { OK } else { ABSENT }))
}

/// `forebay prune`.
pub(crate) fn prune(parsed: &Parsed) -> Result<ExitCode, Failed> {
    if !parsed.has("keep") {
        return Err(parsed.usage("which keys are to be kept? give --keep KEY for each"));
    }
    let keep: Result<Vec<Key>, Failed> =
        parsed.all("keep").chain(&parsed.operands).map(|key| parsed.key_of(key)).collect();
    let keep = keep?;
    let cache = open::cache(parsed)?;
    let busy = Progress::new("pruning", 0);
    let pruned = cache.prune(&keep);
    drop(busy);
    let pruned = pruned?;
    if parsed.has("json") {
        out::line(&json::text(&Sweep::new(&pruned)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("removed {}", human::count(pruned.removed.len() as u64, "value"));
    if pruned.swept > 0 {
        text += &format!(", swept {}", human::count(pruned.swept as u64, "leftover file"));
    }
    out::line(&text)?;
    for (key, why) in &pruned.skipped {
        out::warn(&format_args!("{key}: skipped: {why}"));
    }
    Ok(ExitCode::SUCCESS)
}
