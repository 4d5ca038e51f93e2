//! LMDB through heed, as a peer: one database, a short read transaction per get, as its users are told; readers
//! keep their slot per thread, which is LMDB's fastest way.

use forebay_benches::{Outcome, fixture::Fixture};
use heed::types::{Bytes, Str};
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, WithTls};
use std::path::Path;

/// An environment in an empty folder.
pub fn open(folder: &Path) -> Outcome<Env<WithTls>> {
    forebay_benches::fixture::private_folder(folder)?;
    let mut options = EnvOpenOptions::new().read_txn_with_tls();
    // SAFETY: the folder is ours alone, and opened once in this process.
    Ok(unsafe { options.map_size(256 << 20).max_dbs(1).open(folder)? })
}

/// A database with the fixture's values.
#[derive(Clone, Copy)]
pub struct Lmdb<'e> {
    env: &'e Env<WithTls>,
    values: Database<'e, Str, Bytes>,
}

impl<'e> Lmdb<'e> {
    /// Fills it.
    pub fn fill(fixture: &Fixture, env: &'e Env<WithTls>) -> Outcome<Self> {
        let values: Database<'e, Str, Bytes> = env
            .create_databases_and_commit(env.write_txn()?, |opener, transaction| {
                opener.create_database(transaction, Some("values")).map(CommitOrAbort::<_, ()>::Commit)
            })?
            .commit()
            .ok_or("LMDB made no database")?;
        let mut transaction = env.write_txn()?;
        for (key, value) in fixture.keys.iter().zip(&fixture.values) {
            values.put(&mut transaction, key, value)?;
        }
        transaction.commit()?;
        Ok(Self { env, values })
    }

    /// A copy of the value: what may leave the transaction.
    #[inline]
    pub fn owned(&self, key: &str) -> Outcome<Option<Vec<u8>>> {
        let transaction = self.env.read_txn()?;
        Ok(self.values.get(&transaction, key)?.map(<[u8]>::to_vec))
    }

    /// Looks at the value within the transaction.
    #[inline]
    pub fn look(&self, key: &str, look: impl Fn(&[u8]) -> u64) -> Outcome<u64> {
        let transaction = self.env.read_txn()?;
        Ok(self.values.get(&transaction, key)?.map_or(0, look))
    }
}
