//! `Print`: how an input looked when a result was computed from it, and whether it still looks so. Content is read
//! only where the file's numbers do not settle it: same device, inode, size and times, all older than the file
//! system's time step when the content was read.

use super::input::{Input, Workspace};
use crate::error::{Code, Error, Result};
use crate::stamp::Nanos;
use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that changed within this time of being read may change again without its numbers showing it.
const STEP: Nanos = 20_000_000;
/// The same on file systems that keep whole seconds only.
const COARSE_STEP: Nanos = 2_000_000_000;
const TRIES: usize = 8;

/// How an input looked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Print {
    /// Nothing was there.
    Nothing,
    /// A file.
    File(FilePrint),
    /// A folder, a pipe, a device where a file was asked for: that it is one.
    Other,
    /// The files that matched, by their paths in order.
    Files(Vec<(String, FilePrint)>),
    /// Anything that a short text tells: a hash, a version, numbers.
    Text(String),
}

/// The content of a file, and the numbers that speak for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct FilePrint {
    hash: String,
    numbers: Numbers,
    /// All of its times were older than the time step when the content was read.
    settled: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Numbers(u64, u64, u64, i64, i64);

impl Numbers {
    fn of(meta: &Metadata) -> Numbers {
        let ns = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Numbers(
            meta.dev(),
            meta.ino(),
            meta.size(),
            ns(meta.mtime(), meta.mtime_nsec()),
            ns(meta.ctime(), meta.ctime_nsec()),
        )
    }

    /// Whether a change after `now` must show in the numbers.
    fn are_settled(&self, now: Nanos) -> bool {
        let latest = self.3.max(self.4);
        let coarse = self.3 % 1_000_000_000 == 0 && self.4 % 1_000_000_000 == 0;
        latest.saturating_add(if coarse { COARSE_STEP } else { STEP }) <= now
    }
}

/// What prints are taken with.
pub(crate) struct Eye<'e> {
    pub(crate) workspace: &'e Workspace,
    /// The real time.
    pub(crate) now: &'e dyn Fn() -> Nanos,
    /// The version of a source.
    pub(crate) source: &'e dyn Sources,
}

/// Where the versions of sources are known.
pub(crate) trait Sources {
    fn version(&self, key: &str) -> Result<String>;
}

impl Print {
    /// The hash of the content of a file.
    pub(super) fn hash(&self) -> Option<&str> {
        match self {
            Print::File(print) => Some(&print.hash),
            _ => None,
        }
    }

    /// Whether it is the file that is there, as its numbers tell; false where they do not settle it.
    #[inline]
    pub(crate) fn is_still(&self, path: &Path) -> bool {
        let Print::File(print) = self else { return false };
        print.settled
            && std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && Numbers::of(&meta) == print.numbers)
    }

    /// Whether nothing needs to be read to see that it is still so.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Print::File(print) => print.settled,
            Print::Files(files) => files.iter().all(|(_, print)| print.settled),
            _ => true,
        }
    }
}

fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Eye<'_> {
    /// How the input looks now. `before` spares reading what has not changed.
    pub(crate) fn take(&self, input: &Input, before: Option<&Print>) -> Result<Print> {
        match input {
            Input::File(path) => self.file(path, before),
            Input::Directory(path) => self.directory(path),
            Input::Glob(pattern) => self.glob(pattern, before),
            Input::Absent(path) | Input::Stat(path) => self.numbers(path, matches!(input, Input::Stat(_))),
            Input::Env(name) => Ok(match std::env::var_os(name) {
                Some(value) => Print::Text(blake3::hash(value.as_bytes()).to_hex().to_string()),
                None => Print::Nothing,
            }),
            Input::Source(key) => self.source.version(key).map(Print::Text),
            Input::Tag(_) => Ok(Print::Nothing),
        }
    }

    /// Whether two prints tell of the same content.
    pub(crate) fn same(one: &Print, other: &Print) -> bool {
        match (one, other) {
            (Print::File(one), Print::File(other)) => one.hash == other.hash,
            (Print::Files(one), Print::Files(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|((a, x), (b, y))| a == b && x.hash == y.hash)
            }
            (one, other) => one == other,
        }
    }

    fn file(&self, path: &Path, before: Option<&Print>) -> Result<Print> {
        let absolute = self.workspace.absolute(path);
        let before = match before {
            Some(Print::File(print)) => Some(print),
            _ => None,
        };
        self.file_at(&absolute, before).map_err(|error| Error::io("read the input", &absolute, &error))
    }

    fn file_at(&self, path: &Path, before: Option<&FilePrint>) -> io::Result<Print> {
        for _ in 0..TRIES {
            let Some(meta) = absent(std::fs::metadata(path))? else { return Ok(Print::Nothing) };
            if !meta.is_file() {
                return Ok(Print::Other);
            }
            let numbers = Numbers::of(&meta);
            if let Some(before) = before.filter(|before| before.settled && before.numbers == numbers) {
                return Ok(Print::File(before.clone()));
            }
            let now = (self.now)();
            let Some(mut file) = absent(File::open(path))? else { continue };
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(&mut file)?;
            // Written to while it was read: what was read may never have been its content.
            if Numbers::of(&file.metadata()?) != numbers {
                continue;
            }
            let settled = numbers.are_settled(now);
            return Ok(Print::File(FilePrint {
                hash: hasher.finalize().to_hex().to_string(),
                numbers,
                settled,
            }));
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "it changes while it is read"))
    }

    fn directory(&self, path: &Path) -> Result<Print> {
        let absolute = self.workspace.absolute(path);
        let fail = |error: io::Error| Error::io("list the input", &absolute, &error);
        let Some(entries) = absent(std::fs::read_dir(&absolute)).map_err(fail)? else {
            return Ok(Print::Nothing);
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let kind = entry.file_type().map_err(fail)?;
            let kind = match () {
                () if kind.is_dir() => b'd',
                () if kind.is_symlink() => b'l',
                () if kind.is_file() => b'f',
                () => b'o',
            };
            names.push((entry.file_name(), kind));
        }
        names.sort();
        let mut hasher = blake3::Hasher::new();
        for (name, kind) in names {
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(&[kind]);
        }
        Ok(Print::Text(hasher.finalize().to_hex().to_string()))
    }

    fn numbers(&self, path: &Path, wanted: bool) -> Result<Print> {
        let absolute = self.workspace.absolute(path);
        let found = if wanted { std::fs::metadata(&absolute) } else { std::fs::symlink_metadata(&absolute) };
        let found = absent(found).map_err(|error| Error::io("examine the input", &absolute, &error))?;
        Ok(match found {
            None => Print::Nothing,
            Some(meta) if wanted => {
                let numbers = Numbers::of(&meta);
                Print::Text(format!("{} {}", numbers.2, numbers.3))
            }
            Some(_) => Print::Other,
        })
    }

    fn glob(&self, pattern: &str, before: Option<&Print>) -> Result<Print> {
        let known: std::collections::HashMap<&str, &FilePrint> = match before {
            Some(Print::Files(files)) => files.iter().map(|(path, print)| (path.as_str(), print)).collect(),
            _ => std::collections::HashMap::new(),
        };
        let mut files = Vec::new();
        for path in self.matching(pattern)? {
            let name = Input::File(path.clone()).escaped();
            let absolute = self.workspace.absolute(&path);
            let print = self
                .file_at(&absolute, known.get(name.as_str()).copied())
                .map_err(|error| Error::io("read the input", &absolute, &error))?;
            // One that is gone again since the walk does not match any more.
            if let Print::File(print) = print {
                files.push((name, print));
            }
        }
        Ok(Print::Files(files))
    }

    /// The files that match, in the order of their paths.
    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        let matcher = matcher_of(pattern)?;
        let base = literal_base(pattern);
        let start = self.workspace.absolute(&base);
        let hidden = pattern.split('/').any(|part| part.starts_with('.') && part != "." && part != "..");
        let mut found = Vec::new();
        let walk = walkdir::WalkDir::new(&start).follow_links(false).into_iter().filter_entry(|entry| {
            entry.depth() == 0 || hidden || !entry.file_name().as_bytes().starts_with(b".")
        });
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().map_or_else(|| start.clone(), Path::to_owned);
                    let error = io::Error::from(error);
                    if error.kind() == io::ErrorKind::NotFound {
                        continue;
                    }
                    return Err(Error::io("walk through the inputs", &path, &error));
                }
            };
            let path = self.workspace.relative(entry.path());
            if !entry.file_type().is_dir() && matcher.is_match(&path) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

pub(super) fn matcher_of(pattern: &str) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(pattern.trim_start_matches("./")).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| {
        Error::new(Code::Invalid, format!("{pattern:?} is no pattern: {}", error.kind()))
            .with_hint("write it as in src/**/*.rs")
    })
}

/// The folders before the first part that has a wildcard.
fn literal_base(pattern: &str) -> PathBuf {
    let parts: Vec<&str> = pattern.split('/').collect();
    let literal = parts.iter().take_while(|part| !part.contains(['*', '?', '[', '{'])).count();
    let base = parts[..literal.min(parts.len() - 1)].join("/");
    if pattern.starts_with('/') && base.is_empty() { PathBuf::from("/") } else { PathBuf::from(base) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoSources;

    impl Sources for NoSources {
        fn version(&self, _: &str) -> Result<String> {
            Ok(String::new())
        }
    }

    fn eye(workspace: &Workspace) -> Eye<'_> {
        Eye { workspace, now: &|| Nanos::MAX, source: &NoSources }
    }

    #[test]
    fn c10_each_kind_of_input_shows_its_change() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let workspace = Workspace::new(root).unwrap();
        let eye = eye(&workspace);
        std::fs::create_dir_all(root.join("src/deep")).unwrap();
        std::fs::write(root.join("src/a.rs"), "a").unwrap();
        let inputs =
            ["src/a.rs", "src/new.rs", "src/", "src/**/*.rs", "absent:src/new.rs", "stat:src/new.rs"]
                .map(Input::parse);
        let take = || inputs.clone().map(|input| eye.take(&input, None).unwrap());
        let before = take();
        std::fs::write(root.join("src/new.rs"), "n").unwrap();
        let after = take();
        let changed: Vec<bool> =
            before.iter().zip(&after).map(|(one, other)| !Eye::same(one, other)).collect();
        assert_eq!(changed, [false, true, true, true, true, true]);
        std::fs::write(root.join("src/deep/b.rs"), "b").unwrap();
        std::fs::write(root.join("src/deep/.hidden.rs"), "b").unwrap();
        let third = take();
        let changed: Vec<bool> =
            after.iter().zip(&third).map(|(one, other)| !Eye::same(one, other)).collect();
        assert_eq!(changed, [false, false, false, true, false, false]);
        assert_eq!(eye.matching("src/**/*.rs").unwrap().len(), 3);
        assert_eq!(eye.matching("src/*.rs").unwrap().len(), 2);
        assert_eq!(eye.matching("nowhere/*").unwrap().len(), 0);
        assert!(eye.take(&Input::Glob("a[".into()), None).is_err());
    }

    #[test]
    fn c12_a_settled_file_is_not_read_again_and_a_fresh_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::new(folder.path()).unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let input = Input::File("a".into());
        let settled = eye(&workspace).take(&input, None).unwrap();
        let forged = match &settled {
            Print::File(print) => Print::File(FilePrint { hash: "forged".into(), ..print.clone() }),
            other => panic!("{other:?}"),
        };
        // Its numbers speak for it: the content is not looked at.
        assert_eq!(eye(&workspace).take(&input, Some(&forged)).unwrap(), forged);
        let fresh = Eye { now: &|| 0, ..eye(&workspace) };
        let unsettled = fresh.take(&input, None).unwrap();
        let Print::File(print) = &unsettled else { panic!("{unsettled:?}") };
        assert!(!print.settled);
        let forged = Print::File(FilePrint { hash: "forged".into(), ..print.clone() });
        assert!(!Eye::same(&fresh.take(&input, Some(&forged)).unwrap(), &forged));
    }
}
