//! The name under which `run` keeps an output: a hash of all that decides it, and of nothing else. It is a hash
//! so that arguments, which may hold secrets, are not written to the disk. It knows nothing of the store.

use crate::args::Parsed;
use crate::exit::{Failed, OURS};
use forebay::{Code, Error, Key, LiveKey};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How many hex digits of the hash are in the name: 128 bits.
const DIGITS: usize = 32;
/// Raised when the same command line is to mean another output.
const SCHEME: &[u8] = b"forebay run 1";
const LIVE_SCHEME: &[u8] = b"forebay run --input 1";

/// The key of a `run` command line, as things are now.
pub(crate) fn key(parsed: &Parsed) -> Result<Key, Failed> {
    if let Some(given) = given(parsed)? {
        return parsed.key_of(given).map_err(|failed| failed.status(OURS));
    }
    let tier = parsed.text("tier")?.unwrap_or("run");
    let name = name(parsed)?;
    let digits = &decided(parsed, SCHEME, parsed.has("cwd"))?.finalize().to_hex()[..DIGITS];
    let name = match name {
        Some(name) => format!("{name}.{digits}"),
        None => digits.to_owned(),
    };
    Key::new(tier, &name).map_err(|error| Failed::from(error).status(OURS))
}

/// The key of a `run --input` command line, as things are now but for the inputs: of these the names count. Where
/// `--key` names one of those that programs make of a text, it is the same.
pub(crate) fn live_key(parsed: &Parsed) -> Result<LiveKey, Failed> {
    let kind = kind(parsed)?;
    if let Some(given) = given(parsed)? {
        let text = given.to_str().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| parsed.usage("--key is empty, or not UTF-8"))?;
        let hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        return match hex {
            true => LiveKey::parse(text).map_err(|error| Failed::from(error).status(OURS)),
            false => Ok(LiveKey::from_bytes(text.as_bytes())),
        };
    }
    let mut hash = decided(parsed, LIVE_SCHEME, true)?;
    frame(&mut hash, b"kind", kind.as_bytes());
    if let Some(workspace) = parsed.value("workspace") {
        frame(&mut hash, b"workspace", workspace.as_bytes());
    }
    for input in sorted(parsed, "input") {
        frame(&mut hash, b"input", input.as_bytes());
    }
    Ok(LiveKey::from_bytes(hash.finalize().as_bytes()))
}

/// The kind of what a `run --input` command line makes: `run`, or `run/N`.
pub(crate) fn kind(parsed: &Parsed) -> Result<String, Failed> {
    let tier = parsed.text("tier")?.unwrap_or("run");
    let name = name(parsed)?;
    // What is no key is no kind either: a list of them stays readable.
    Key::new(tier, name.unwrap_or("run")).map_err(|error| Failed::from(error).status(OURS))?;
    Ok(name.map_or_else(|| tier.to_owned(), |name| format!("{tier}/{name}")))
}

/// The key that the command line names, beside which nothing else may make one.
fn given(parsed: &Parsed) -> Result<Option<&OsString>, Failed> {
    let Some(given) = parsed.value("key") else { return Ok(None) };
    match ["name", "tier", "env", "cwd", "file"].into_iter().find(|option| parsed.has(option)) {
        None => Ok(Some(given)),
        Some(other) => {
            Err(parsed.usage(&format!("--key is the whole key: --{other} has no meaning beside it")))
        }
    }
}

fn name(parsed: &Parsed) -> Result<Option<&str>, Failed> {
    match parsed.text("name")? {
        Some("") => Err(parsed.usage("--name is empty")),
        name => Ok(name),
    }
}

/// What decides an output: the arguments, and what the options name.
fn decided(parsed: &Parsed, scheme: &[u8], by_folder: bool) -> Result<blake3::Hasher, Failed> {
    let mut hash = blake3::Hasher::new();
    frame(&mut hash, b"scheme", scheme);
    for argument in &parsed.line {
        frame(&mut hash, b"argument", argument.as_bytes());
    }
    for variable in sorted(parsed, "env") {
        frame(&mut hash, b"variable", variable.as_bytes());
        match std::env::var_os(variable) {
            Some(value) => frame(&mut hash, b"value", value.as_bytes()),
            None => frame(&mut hash, b"unset", b""),
        }
    }
    if by_folder {
        let folder = std::env::current_dir().map_err(|error| {
            Failed::from(Error::io("find the current folder", Path::new("."), &error)).status(OURS)
        })?;
        frame(&mut hash, b"folder", folder.as_os_str().as_bytes());
    }
    for path in sorted(parsed, "file") {
        frame(&mut hash, b"file", path.as_bytes());
        add_content(&mut hash, Path::new(path)).map_err(|failed| failed.status(OURS))?;
    }
    Ok(hash)
}

/// The values of an option in an order of their own, so that the order on the command line means nothing.
fn sorted<'a>(parsed: &'a Parsed, option: &'a str) -> Vec<&'a OsStr> {
    let mut values: Vec<&OsStr> = parsed.all(option).map(AsRef::as_ref).collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// Framed by its length, so that no two lists of parts give the same bytes.
fn frame(hash: &mut blake3::Hasher, kind: &[u8], bytes: &[u8]) {
    for part in [kind, bytes] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
}

/// Adds a file's content. A file that is not there is a state like others.
fn add_content(hash: &mut blake3::Hasher, path: &Path) -> Result<(), Failed> {
    let failed = |error: &std::io::Error| Failed::from(Error::io("read it for --file", path, error));
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            frame(hash, b"absent", b"");
            return Ok(());
        }
        Err(error) => return Err(failed(&error)),
    };
    if !file.metadata().map_err(|error| failed(&error))?.is_file() {
        let error = Error::new(Code::Invalid, "is not a file").with_path(path);
        return Err(error.with_hint("--file wants files; name each one").into());
    }
    let mut content = blake3::Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                content.update(&buffer[..length]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    frame(hash, b"content", content.finalize().as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &[&str]) -> String {
        let line: Vec<OsString> = ["run"].iter().chain(line).map(OsString::from).collect();
        key(&crate::args::parse(&line).unwrap()).unwrap().to_string()
    }

    #[test]
    fn what_decides_the_output_decides_the_name() {
        let base = of(&["echo", "a", "b"]);
        assert!(base.starts_with("run/") && base.len() == 4 + DIGITS, "{base}");
        for other in [
            &["echo", "ab"][..],
            &["echo", "a b"],
            &["echo", "a", "b", ""],
            &["--cwd", "echo", "a", "b"],
            &["--env", "FOREBAY_NO_SUCH", "echo", "a", "b"],
            &["--file", "/no/such/file", "echo", "a", "b"],
        ] {
            assert_ne!(of(other), base, "{other:?}");
        }
    }

    #[test]
    fn what_does_not_decide_the_output_does_not() {
        let base = of(&["echo", "a"]);
        for same in [
            &["--ttl", "5s", "--stale", "1h", "--deadline", "2s", "echo", "a"][..],
            &["--verbose", "--", "echo", "a"],
        ] {
            assert_eq!(of(same), base, "{same:?}");
        }
        assert_eq!(
            of(&["--env", "A", "--env", "B", "x"]),
            of(&["--env", "B", "--env", "A", "--env", "B", "x"])
        );
        assert_eq!(of(&["--name", "n", "echo", "a"]), format!("run/n.{}", &base[4..]));
        assert_eq!(of(&["--key", "api/models", "echo", "a"]), "api/models");
        assert_eq!(of(&["--tier", "t", "echo", "a"]), format!("t/{}", &base[4..]));
    }
}
