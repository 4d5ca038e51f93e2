//! `Input` and `LiveKey`: what a derived result is built on, and its name. How inputs are written as text, which
//! path is meant, and which node of the graph stands for each. It looks at no content.

use crate::error::{Code, Error, Result};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// The name of a derived result: 32 bytes, written as 64 lower-case hex digits.
///
/// ```
/// use forebay::LiveKey;
/// let key = LiveKey::from_bytes(b"grep needle src/");
/// assert_eq!(LiveKey::parse(&key.to_string())?, key);
/// assert!(LiveKey::parse(&key.to_string().to_uppercase()).is_err());
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LiveKey(pub(crate) [u8; 32]);

impl LiveKey {
    /// The key of those bytes: their BLAKE3 hash.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> LiveKey {
        LiveKey(*blake3::hash(bytes).as_bytes())
    }

    /// The key that is written there.
    ///
    /// # Errors
    /// [`Code::Invalid`] for anything but 64 lower-case hex digits: upper case would be another name for the same.
    pub fn parse(text: &str) -> Result<LiveKey> {
        let lower = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let hash = blake3::Hash::from_hex(text).ok().filter(|_| lower);
        hash.map(|hash| LiveKey(*hash.as_bytes())).ok_or_else(|| {
            Error::new(Code::Invalid, "that is not the key of a derived result")
                .with_hint("a key is 64 lower-case hex digits; make one of your own bytes with from_bytes")
        })
    }
}

impl fmt::Display for LiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from(self.0).to_hex())
    }
}

impl fmt::Debug for LiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveKey({self})")
    }
}

/// Something that a derived result is built on: it holds while all of these are as they were.
///
/// ```
/// use forebay::Input;
/// assert_eq!(Input::parse("src/**/*.rs"), Input::Glob("src/**/*.rs".into()));
/// assert_eq!(Input::parse("Cargo.lock"), Input::File("Cargo.lock".into()));
/// assert_eq!(Input::parse("env:LANG"), Input::Env("LANG".into()));
/// assert_eq!(Input::parse("absent:.skip").to_string(), "absent:.skip");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Input {
    /// The content of a file; that there is none, where there is none.
    File(PathBuf),
    /// The names and kinds of what a folder holds, not of what is below those.
    Directory(PathBuf),
    /// Which files match, and their contents: `*`, `?`, `[ab]`, `{a,b}`, and `**` for any depth, below the
    /// workspace. Hidden files only where the pattern names them; links to folders are not followed.
    Glob(String),
    /// That nothing is there.
    Absent(PathBuf),
    /// Size and time of change of a file, not its content.
    Stat(PathBuf),
    /// The value of an environment variable; only its hash is kept.
    Env(String),
    /// The version of a source of the same cache, by its key.
    Source(String),
    /// A name that [`Live::invalidate_tag`](crate::Live::invalidate_tag) moves.
    Tag(String),
}

impl Input {
    /// The input that a text names: `file:`, `dir:`, `glob:`, `absent:`, `stat:`, `env:`, `source:` or `tag:` and
    /// what is meant. Without any of these, a text with `*`, `?` or `[` is a pattern, one that ends in `/` a
    /// folder, and all else a file.
    #[must_use]
    pub fn parse(text: &str) -> Input {
        match text.split_once(':') {
            Some(("file", path)) => Input::File(path.into()),
            Some(("dir", path)) => Input::Directory(path.into()),
            Some(("glob", pattern)) => Input::Glob(pattern.into()),
            Some(("absent", path)) => Input::Absent(path.into()),
            Some(("stat", path)) => Input::Stat(path.into()),
            Some(("env", name)) => Input::Env(name.into()),
            Some(("source", key)) => Input::Source(key.into()),
            Some(("tag", name)) => Input::Tag(name.into()),
            _ if text.contains(['*', '?', '[']) => Input::Glob(text.into()),
            _ if text.ends_with('/') => Input::Directory(text.into()),
            _ => Input::File(text.into()),
        }
    }

    fn parts(&self) -> (&'static str, &[u8]) {
        match self {
            Input::File(path) => ("file", path.as_os_str().as_bytes()),
            Input::Directory(path) => ("dir", path.as_os_str().as_bytes()),
            Input::Glob(pattern) => ("glob", pattern.as_bytes()),
            Input::Absent(path) => ("absent", path.as_os_str().as_bytes()),
            Input::Stat(path) => ("stat", path.as_os_str().as_bytes()),
            Input::Env(name) => ("env", name.as_bytes()),
            Input::Source(key) => ("source", key.as_bytes()),
            Input::Tag(name) => ("tag", name.as_bytes()),
        }
    }

    /// As text that holds any bytes: those that are no plain text, and `%`, are `%` and two hex digits.
    pub(crate) fn escaped(&self) -> String {
        let (kind, name) = self.parts();
        let mut out = format!("{kind}:");
        for chunk in name.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '%' => out.push_str("%25"),
                    c if c.is_control() => {
                        c.to_string().bytes().for_each(|b| out.push_str(&format!("%{b:02x}")));
                    }
                    c => out.push(c),
                }
            }
            chunk.invalid().iter().for_each(|b| out.push_str(&format!("%{b:02x}")));
        }
        out
    }

    /// The inverse of `escaped`.
    pub(crate) fn unescape(text: &str) -> Option<Input> {
        let (kind, name) = text.split_once(':')?;
        let mut bytes = Vec::with_capacity(name.len());
        let mut rest = name.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = match (first, tail) {
                (b'%', [high, low, tail @ ..]) => {
                    let digit = |byte: &u8| char::from(*byte).to_digit(16);
                    bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                    tail
                }
                (b'%', _) => return None,
                (byte, tail) => {
                    bytes.push(*byte);
                    tail
                }
            };
        }
        let path = || PathBuf::from(std::ffi::OsString::from_vec(bytes.clone()));
        let text = || String::from_utf8(bytes.clone()).ok();
        Some(match kind {
            "file" => Input::File(path()),
            "dir" => Input::Directory(path()),
            "glob" => Input::Glob(text()?),
            "absent" => Input::Absent(path()),
            "stat" => Input::Stat(path()),
            "env" => Input::Env(text()?),
            "source" => Input::Source(text()?),
            "tag" => Input::Tag(text()?),
            _ => return None,
        })
    }

    /// The path that it names, where it names one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Input::File(path) | Input::Directory(path) | Input::Absent(path) | Input::Stat(path) => {
                Some(path)
            }
            _ => None,
        }
    }

    /// The same input, its path relative to the workspace where it is inside.
    pub(crate) fn relative_to(&self, workspace: &Workspace) -> Input {
        match self {
            Input::File(path) => Input::File(workspace.relative(path)),
            Input::Directory(path) => Input::Directory(workspace.relative(path)),
            Input::Absent(path) => Input::Absent(workspace.relative(path)),
            Input::Stat(path) => Input::Stat(workspace.relative(path)),
            other => other.clone(),
        }
    }

    /// The node that stands for it.
    pub(crate) fn node(&self) -> [u8; 32] {
        let (kind, name) = self.parts();
        *blake3::Hasher::new().update(kind.as_bytes()).update(b"\0").update(name).finalize().as_bytes()
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.parts();
        write!(f, "{kind}:{}", String::from_utf8_lossy(name))
    }
}

/// The folder that paths are relative to.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// As it was given, made absolute.
    given: PathBuf,
    /// Without links.
    real: PathBuf,
}

impl Workspace {
    pub(crate) fn new(path: &Path) -> Result<Workspace> {
        let given = plain(&std::path::absolute(path).map_err(|e| Error::io("find the workspace", path, &e))?);
        let real = real_path(&given);
        Ok(Workspace { given, real })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.given
    }

    /// The path as it is given, absolute and without dots.
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        plain(&self.given.join(path))
    }

    /// The path below the workspace, or absolute where it is elsewhere.
    pub(crate) fn relative(&self, path: &Path) -> PathBuf {
        let path = self.absolute(path);
        match path.strip_prefix(&self.given) {
            Ok(below) => below.to_owned(),
            Err(_) => path,
        }
    }

    /// All names under which a change of the path may be told: as it is given, and without links; below the
    /// workspace where it is inside. Also of what does not exist.
    pub(crate) fn names(&self, path: &Path) -> Vec<Vec<u8>> {
        let given = self.relative(path);
        let real = real_path(&self.absolute(path));
        let real = real.strip_prefix(&self.real).map(Path::to_owned).unwrap_or(real);
        let mut names = vec![bytes_of(given.as_os_str()), bytes_of(real.as_os_str())];
        names.dedup();
        names
    }
}

fn bytes_of(name: &OsStr) -> Vec<u8> {
    name.as_bytes().to_vec()
}

/// Without `.` and `..`, by text only.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Without links, as far as the path exists.
fn real_path(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    for ancestor in path.ancestors() {
        if let Ok(real) = std::fs::canonicalize(ancestor) {
            return rest.iter().rev().fold(real, |path: PathBuf, part: &&OsStr| path.join(part));
        }
        if let Some(name) = ancestor.file_name() {
            rest.push(name);
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_go_round_as_text() {
        for input in [
            Input::File(PathBuf::from(std::ffi::OsString::from_vec(b"a\xff%\n/\xc3\xa9".to_vec()))),
            Input::Glob("src/**/*.rs".into()),
            Input::Env("A:B%".into()),
            Input::Tag(String::new()),
        ] {
            assert_eq!(Input::unescape(&input.escaped()), Some(input));
        }
        for text in ["", "file", "what:x", "file:%", "file:%f", "tag:%ff"] {
            assert_eq!(Input::unescape(text), None, "{text}");
        }
    }

    #[test]
    fn c16_a_key_has_one_spelling() {
        let key = LiveKey::from_bytes(b"x").to_string();
        assert!(LiveKey::parse(&key).is_ok());
        for text in [key.to_uppercase(), key[1..].to_owned(), format!("{key}0"), "g".repeat(64)] {
            assert_eq!(LiveKey::parse(&text).unwrap_err().code(), Code::Invalid);
        }
    }

    #[test]
    fn c11_a_path_is_known_by_all_its_names_also_when_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("w");
        std::fs::create_dir_all(root.join("real")).unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("link")).unwrap();
        let workspace = Workspace::new(&root).unwrap();
        assert_eq!(workspace.names(Path::new("link/gone")), [b"link/gone".to_vec(), b"real/gone".to_vec()]);
        assert_eq!(workspace.names(&root.join("x/../real/a")), [b"real/a".to_vec()]);
        assert_eq!(workspace.relative(&root.join("./a")), Path::new("a"));
        assert_eq!(workspace.relative(Path::new("/etc/hosts")), Path::new("/etc/hosts"));
    }
}
