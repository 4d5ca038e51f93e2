//! Binding: which record, if any, belongs to the bytes that stand at the value's place? By inode, size and
//! time; for a copied root by size, time and hash. A rule of its own, because readers, committers and settlers
//! must agree on it to the letter.

use super::record::{Meta, Record};
use crate::sys::Stat;

/// The record that describes the value in place.
#[derive(Clone, Debug)]
pub(super) struct Bound<'m> {
    pub(super) record: &'m Record,
    /// It is the record of the current version, by inode: its hash must agree, or the value is damaged.
    pub(super) current: bool,
}

/// Finds the record. `hash` is asked only where the description alone does not decide: an earlier version's
/// inode number may have been given to a foreign file, so `was` counts only with its hash.
pub(super) fn bind<'m, E>(
    meta: &'m Meta,
    stat: &Stat,
    mut hash: impl FnMut() -> Result<String, E>,
) -> Result<Option<Bound<'m>>, E> {
    if meta.cur.describes(stat) {
        return Ok(Some(Bound { record: &meta.cur, current: true }));
    }
    if let Some(was) = &meta.was
        && was.describes(stat)
    {
        let agrees = match &was.hash {
            Some(expected) => hash()? == *expected,
            // A foreign value has no hash, and no promise either.
            None => true,
        };
        if agrees {
            return Ok(Some(Bound { record: was, current: false }));
        }
    }
    for record in std::iter::once(&meta.cur).chain(&meta.was) {
        if record.resembles(stat) && Some(hash()?) == record.hash {
            return Ok(Some(Bound { record, current: false }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::sys::FileKind;

    fn stat(ino: u64) -> Stat {
        let kind = FileKind::File;
        Stat { dev: 1, ino, size: 3, mtime_ns: 5, ctime_ns: 0, nlink: 1, uid: 0, mode: 0o600, kind }
    }

    fn record(ino: u64, hash: Option<&str>, token: u64) -> Record {
        Record { hash: hash.map(str::to_owned), token: Some(token), ..Record::foreign(&stat(ino)) }
    }

    fn token(cur: Record, was: Option<Record>, stat: &Stat, hash: &str) -> Option<u64> {
        let meta = Meta::new(&Key::parse("a/b").unwrap(), cur, was);
        let bound = bind(&meta, stat, || Ok::<_, ()>(hash.to_owned())).unwrap();
        bound.and_then(|bound| bound.record.token)
    }

    #[test]
    fn p3_two_versions_of_equal_size_and_time_are_told_apart_by_inode() {
        let (cur, was) = (record(1, Some("x"), 10), record(2, Some("y"), 9));
        assert_eq!(token(cur.clone(), Some(was.clone()), &stat(1), "x"), Some(10));
        assert_eq!(token(cur.clone(), Some(was.clone()), &stat(2), "y"), Some(9));
        assert_eq!(token(cur, Some(was), &stat(3), "y"), Some(9));
    }

    #[test]
    fn s12_was_with_another_hash_is_not_bound() {
        let (cur, was) = (record(1, Some("x"), 10), record(2, Some("y"), 9));
        assert_eq!(token(cur, Some(was), &stat(2), "z"), None);
    }
}
