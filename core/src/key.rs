//! `Key`: which source is meant, and how its name becomes file names, a hash and a slot.
//!
//! The rules are part of the protocol (`docs/protocol.md`, Root and names) with vectors in
//! `tests/vectors/names.json`, because two languages that disagree here do not exclude each other.
//! This file knows nothing of disks.

use crate::error::{Code, Error, Result};
use std::fmt;
use std::sync::Arc;
use xxhash_rust::xxh64::Xxh64;

/// How many slots the table of generations has.
pub const SLOTS: u32 = 8192;
/// How many guard files there are.
pub const GUARDS: u32 = 64;
/// The longest tier or name, in bytes as given.
pub const MAX_NAME: usize = 4096;
/// The tier of a key that names none.
pub const DEFAULT_TIER: &str = "default";
/// The tier of a credential that names none.
const CREDENTIAL_TIER: &str = "credentials";
/// The root itself, as a folder below it.
pub(crate) const ROOT_FOLDER: &str = ".";

const MAX_FILE_NAME: usize = 180;
const CUT_AT: usize = 140;

/// A tier and a name, both non-empty UTF-8 of at most [`MAX_NAME`] bytes, and optionally the identity whose
/// answer it is.
///
/// ```
/// let key = forebay::Key::parse("api/models")?;
/// assert_eq!((key.tier(), key.name()), ("api", "models"));
/// assert_eq!(forebay::Key::parse("models")?.tier(), "default");
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Clone)]
pub struct Key(Arc<Parts>);

struct Parts {
    tier: Box<str>,
    name: Box<str>,
    /// `~` and 16 hex digits, or empty.
    suffix: Box<str>,
    folder: Box<str>,
    stem: Box<str>,
    hash: u64,
    kind: Kind,
    files: Files,
}

/// What a key is the key of: it decides where its files are and what they are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// In the folder of its tier.
    Source,
    /// In the root itself, its gate named as the original program's.
    Quota,
    /// In the folder of its tier, with a mark while an exchange is open.
    Credential,
}

/// The names of a key's files, below the folder of its tier.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) value: Box<str>,
    pub(crate) meta: Box<str>,
    pub(crate) notice: Box<str>,
    pub(crate) marker: Box<str>,
    pub(crate) gate: Box<str>,
    /// Only of a key whose use begins something that may not begin twice.
    pub(crate) started: Option<Box<str>>,
}

impl Parts {
    fn new(kind: Kind, tier: &str, name: &str, suffix: &str) -> Parts {
        let stem = encode(name) + suffix;
        let mut hasher = Xxh64::new(0);
        hasher.update(&u32::try_from(tier.len()).unwrap_or(u32::MAX).to_le_bytes());
        for part in [tier, name, suffix] {
            hasher.update(part.as_bytes());
        }
        let file = |ending: &str| format!("{stem}.{ending}").into_boxed_str();
        Parts {
            tier: tier.into(),
            name: name.into(),
            suffix: suffix.into(),
            folder: if kind == Kind::Quota { ROOT_FOLDER.into() } else { encode(tier).into() },
            hash: hasher.digest(),
            kind,
            files: Files {
                value: file("json"),
                meta: file("meta"),
                notice: file("stale"),
                marker: file("refreshing"),
                gate: file(if kind == Kind::Quota { "lock" } else { "gate" }),
                started: (kind == Kind::Credential).then(|| file("started")),
            },
            stem: stem.into(),
        }
    }
}

impl Key {
    /// The key of that tier and name.
    ///
    /// # Errors
    /// [`Code::Invalid`] where one is empty or longer than [`MAX_NAME`] bytes.
    pub fn new(tier: &str, name: &str) -> Result<Key> {
        check("tier", tier)?;
        check("name", name)?;
        Ok(Key(Arc::new(Parts::new(Kind::Source, tier, name, ""))))
    }

    /// The key of a quota record, which has no tier: its files are in the root itself.
    ///
    /// # Errors
    /// As [`Key::new`].
    ///
    /// ```
    /// let key = forebay::Key::quota("usage")?;
    /// assert_eq!((key.tier(), key.stem(), key.to_string()), ("", "usage", "usage".to_owned()));
    /// # Ok::<(), forebay::Error>(())
    /// ```
    pub fn quota(name: &str) -> Result<Key> {
        check("name", name)?;
        Ok(Key(Arc::new(Parts::new(Kind::Quota, "", name, ""))))
    }

    /// The key of a rotated credential, written as `tier/name`; without a tier, it is `credentials`.
    pub(crate) fn credential(text: &str) -> Result<Key> {
        let (tier, name) = text.split_once('/').unwrap_or((CREDENTIAL_TIER, text));
        let key = Key::new(tier, name)?;
        Ok(Key(Arc::new(Parts::new(Kind::Credential, key.tier(), key.name(), ""))))
    }

    /// The key that stands for all records of the index: one slot, one guard.
    pub(crate) fn index() -> Key {
        Key(Arc::new(Parts::new(Kind::Quota, "", ".forebay/index", "")))
    }

    /// Whether it is the key of a quota record.
    pub(crate) fn is_quota(&self) -> bool {
        self.0.kind == Kind::Quota
    }

    /// The key written as `tier/name`, split at the first `/`; without one, the tier is `default`.
    ///
    /// # Errors
    /// As [`Key::new`].
    pub fn parse(text: &str) -> Result<Key> {
        match text.split_once('/') {
            Some((tier, name)) => Key::new(tier, name),
            None => Key::new(DEFAULT_TIER, text),
        }
    }

    /// The same key for one identity (an account, a user): another identity, another record.
    /// An empty identity is none.
    #[must_use]
    pub fn with_identity(&self, identity: &str) -> Key {
        let suffix = if identity.is_empty() {
            String::new()
        } else {
            let hash = blake3::hash(identity.as_bytes()).to_hex();
            format!("~{}", &hash[..16])
        };
        Key(Arc::new(Parts::new(self.0.kind, &self.0.tier, &self.0.name, &suffix)))
    }

    /// The key with that hash in place of an identity, as it is found on disk.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Key {
        Key(Arc::new(Parts::new(self.0.kind, &self.0.tier, &self.0.name, suffix)))
    }

    pub(crate) fn files(&self) -> &Files {
        &self.0.files
    }

    fn parts(&self) -> (&str, &str, &str) {
        (&self.0.tier, &self.0.name, &self.0.suffix)
    }

    /// The tier as given.
    #[must_use]
    pub fn tier(&self) -> &str {
        &self.0.tier
    }

    /// The name as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The 16 hex digits that stand for the identity, or an empty text.
    #[must_use]
    pub fn identity_hash(&self) -> &str {
        self.0.suffix.get(1..).unwrap_or("")
    }

    /// The folder of the tier, below the root; `.` for a quota record.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.0.folder
    }

    /// What the names of the key's files begin with.
    #[must_use]
    pub fn stem(&self) -> &str {
        &self.0.stem
    }

    /// The hash that chooses slot and guard: XXH64 of the tier's length (u32, little endian), tier and name
    /// (and, with an identity, `~` and its 16 digits).
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.0.hash
    }

    /// The slot of the key in the table of generations.
    #[must_use]
    pub fn slot(&self) -> u32 {
        u32::try_from(self.0.hash % u64::from(SLOTS)).unwrap_or(0)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.hash == other.0.hash && self.parts() == other.parts())
    }
}

impl Eq for Key {}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> std::cmp::Ordering {
        self.parts().cmp(&other.parts())
    }
}

fn check(what: &str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::new(Code::Invalid, format!("the {what} of the key is empty"))
            .with_hint("a key is tier/name, such as api/models"));
    }
    if text.len() > MAX_NAME {
        let message = format!("the {what} of the key has {} bytes, over {MAX_NAME}", text.len());
        return Err(Error::new(Code::Invalid, message).with_hint("use a hash of it as the name"));
    }
    Ok(())
}

/// The guard of a slot.
#[must_use]
pub fn guard_of(slot: u32) -> u32 {
    slot % GUARDS
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_quota() {
            write!(f, "{}/", self.0.tier)?;
        }
        write!(f, "{}{}", self.0.name, self.0.suffix)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// A tier or name as a file name: `a-z 0-9 - _ .` stay, every other byte is `%` and two lower-case hex
/// digits; so are a leading dot and the first letter of a name that Windows reserves. A long one is cut and
/// ends in a hash of the whole.
///
/// ```
/// use forebay::encode_name;
/// assert_eq!(encode_name("models-v2"), "models-v2");
/// assert_eq!(encode_name(".."), "%2e.");
/// assert_eq!(encode_name("con"), "%63on");
/// ```
#[must_use]
pub fn encode(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() + 8);
    let reserved = is_reserved(raw);
    for (index, byte) in raw.bytes().enumerate() {
        let plain = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        if plain && !(index == 0 && (byte == b'.' || reserved)) {
            out.push(char::from(byte));
        } else {
            push_escape(&mut out, byte);
        }
    }
    if out.len() > MAX_FILE_NAME {
        out.truncate(whole_escapes(&out, CUT_AT));
        out.push('~');
        out.push_str(&blake3::hash(raw.as_bytes()).to_hex()[..32]);
    }
    out
}

fn push_escape(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// The largest length of at most `at` that does not end within an escape.
fn whole_escapes(encoded: &str, at: usize) -> usize {
    let bytes = encoded.as_bytes();
    (1..=2).find(|back| bytes.get(at - back) == Some(&b'%')).map_or(at, |back| at - back)
}

/// Whether Windows would take the file for a device: such a name, alone or before a dot.
fn is_reserved(raw: &str) -> bool {
    let base = raw.split('.').next().unwrap_or(raw);
    match base {
        "con" | "prn" | "aux" | "nul" => true,
        _ => match base.strip_prefix("com").or_else(|| base.strip_prefix("lpt")) {
            Some(digit) => matches!(digit.as_bytes(), [b'1'..=b'9']),
            None => false,
        },
    }
}

/// The tier or name that a file name stands for, where it was not cut: the inverse of [`encode`].
#[must_use]
pub fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
                tail
            }
            (b'%' | b'~', _) => return None,
            (byte, tail) => {
                bytes.push(*byte);
                tail
            }
        };
    }
    String::from_utf8(bytes).ok().filter(|raw| encode(raw) == encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d17_no_name_leaves_its_folder() {
        for (raw, encoded) in [
            ("..", "%2e."),
            (".", "%2e"),
            ("a/b", "a%2fb"),
            ("\0", "%00"),
            ("A", "%41"),
            ("nul.txt", "%6eul.txt"),
            ("com1", "%63om1"),
            ("com0", "com0"),
            ("console", "console"),
            ("é", "%c3%a9"),
            ("~", "%7e"),
        ] {
            assert_eq!(encode(raw), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(raw));
        }
    }

    #[test]
    fn long_names_are_cut_between_escapes_and_stay_distinct() {
        let plain = "a".repeat(180);
        assert_eq!(encode(&plain), plain);
        let cut = encode(&"a".repeat(181));
        assert_eq!(cut.len(), 140 + 33);
        for shift in 0..3 {
            let cut = encode(&("x".repeat(shift) + &"é".repeat(200)));
            let (kept, _) = cut.split_once('~').unwrap();
            assert!(kept.len() > 137 && decode_prefix_is_whole(kept), "{kept}");
        }
        assert_ne!(encode(&"b".repeat(300)), encode(&"b".repeat(301)));
    }

    fn decode_prefix_is_whole(kept: &str) -> bool {
        kept.rfind('%').is_none_or(|at| kept.len() - at >= 3)
    }

    #[test]
    fn identities_do_not_meet_and_do_not_collide_with_names() {
        let key = Key::parse("api/usage").unwrap();
        let mine = key.with_identity("me");
        assert_ne!(key.stem(), mine.stem());
        assert_ne!(mine.stem(), key.with_identity("you").stem());
        let forged = Key::new("api", &format!("usage{}", &mine.stem()["usage".len()..])).unwrap();
        assert_ne!(forged.stem(), mine.stem());
        assert_eq!(key.with_identity(""), key);
    }

    #[test]
    fn empty_and_oversized_are_refused() {
        for text in ["", "/x", "x/", "/"] {
            assert_eq!(Key::parse(text).unwrap_err().code(), Code::Invalid, "{text:?}");
        }
        assert!(Key::new("t", &"n".repeat(MAX_NAME)).is_ok());
        assert_eq!(Key::new("t", &"n".repeat(MAX_NAME + 1)).unwrap_err().code(), Code::Invalid);
    }
}
