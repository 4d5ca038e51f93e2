//! `Table`, `Read` and `Write`: ordered bytes under bytes, in a few tables, read and changed in transactions. What
//! LMDB is for the stores above it.

use crate::error::Result;

/// Which table a key is in: its first byte on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Table {
    /// What is known of a key: [`Cell`](crate::store::cell::Cell) as JSON.
    Cell = b'c',
    /// The bytes of its value.
    Value = b'v',
    /// Derived results: what each is built on.
    Derived = b'd',
    /// The current version of whatever results are built on.
    Node = b'n',
    /// From what results are built on to the results.
    Link = b'l',
    /// From paths to the inputs that name them.
    Path = b'p',
    /// When a result was last used.
    Used = b'u',
    /// Counters of the whole.
    Meta = b'm',
}

/// What a scan calls with each key and value; false ends it.
pub(crate) type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> Result<bool> + 'v;

/// Reading, as of one instant.
pub(crate) trait Read {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>>;
    /// Visits, in order, the keys that begin with `prefix`, until `visit` says false.
    fn scan(&self, table: Table, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()>;

    /// The keys that begin with `prefix`, without it.
    fn below(&self, table: Table, prefix: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        self.scan(table, prefix, &mut |key, _| {
            found.push(key[prefix.len()..].to_vec());
            Ok(true)
        })?;
        Ok(found)
    }

    /// A number, 0 where there is none.
    fn number(&self, table: Table, key: &[u8]) -> Result<u64> {
        let bytes = self.get(table, key)?;
        Ok(bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()).map_or(0, u64::from_be_bytes))
    }
}

/// Changing, all or nothing.
pub(crate) trait Write: Read {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()>;
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()>;

    fn put_number(&mut self, table: Table, key: &[u8], number: u64) -> Result<()> {
        self.put(table, key, &number.to_be_bytes())
    }
}

/// The key on disk.
pub(super) fn full(table: Table, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(key.len() + 1);
    full.push(table as u8);
    full.extend_from_slice(key);
    full
}
