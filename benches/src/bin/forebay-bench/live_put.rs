//! Keeping a derived result: `Live::persist` of 4 KiB without inputs, over an old one of other bytes, against a bare
//! LMDB transaction that puts the same records (description, bytes, time of use, version, counter), and against one
//! that puts nothing but the bytes. None of them flushes. Each starts with 1,000 results.

use crate::Plan;
use forebay::{Live, LiveKey};
use forebay_benches::bare::settle;
use forebay_benches::fixture::{self, Fixture};
use forebay_benches::series::Contest;
use forebay_benches::{Outcome, check};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, WithoutTls};
use std::path::Path;
use std::time::{Duration, Instant};

/// Contents that were never written before, each for the next key.
struct Writes<'f> {
    keys: Vec<LiveKey>,
    values: &'f [Vec<u8>],
    content: Vec<u8>,
    count: usize,
}

impl<'f> Writes<'f> {
    fn new(fixture: &'f Fixture) -> Self {
        let keys = fixture.keys.iter().map(|key| LiveKey::from_bytes(key.as_bytes())).collect();
        Self { keys, values: &fixture.values, content: Vec::new(), count: 0 }
    }

    fn next(&mut self) -> (LiveKey, &[u8]) {
        self.count += 1;
        let at = self.count % self.keys.len();
        self.content.clear();
        self.content.extend_from_slice(&self.values[at]);
        self.content[..8].copy_from_slice(&self.count.to_le_bytes());
        (self.keys[at], &self.content)
    }

    /// Times as many writes; then checks, untimed, that the last one is what is there.
    fn run(
        &mut self,
        operations: usize,
        write: impl Fn(&LiveKey, &[u8]) -> Outcome<()>,
        read: impl Fn(&LiveKey) -> Outcome<Option<Vec<u8>>>,
    ) -> Outcome<Duration> {
        let mut took = Duration::ZERO;
        for _ in 0..operations {
            let (key, content) = self.next();
            let start = Instant::now();
            write(&key, content)?;
            took += start.elapsed();
        }
        let key = self.keys[self.count % self.keys.len()];
        check(read(&key)?.as_deref() == Some(&self.content), || "the last write is not there".to_owned())?;
        Ok(took)
    }
}

/// Measures all of them in one contest, and each by itself.
pub fn run(plan: &Plan) -> Outcome<()> {
    let fixture = &Fixture::new();
    let live = &fixture::open(&plan.root.join("cache"), forebay::Durability::None)?.live()?;
    let bare = [Bare::open(&plan.root.join("records"))?, Bare::open(&plan.root.join("bytes"))?];
    let [records, bytes] = &bare;
    let mut contest = Contest::new("live-put", plan.rounds, plan.batch);
    let mut writes = Writes::new(fixture);
    writes.run(fixture.keys.len(), |key, data| put(live, key, data), |key| get(live, key))?;
    contest.add("Live::persist", 8, move |operations| {
        writes.run(operations, |key, data| put(live, key, data), |key| get(live, key))
    });
    let mut writes = Writes::new(fixture);
    writes.run(fixture.keys.len(), |key, data| records.put_all(key, data), |key| records.get(key))?;
    contest.add("bare LMDB, the same records", 8, move |operations| {
        writes.run(operations, |key, data| records.put_all(key, data), |key| records.get(key))
    });
    let mut writes = Writes::new(fixture);
    writes.run(fixture.keys.len(), |key, data| bytes.put_bytes(key, data), |key| bytes.get(key))?;
    contest.add("bare LMDB, the bytes alone", 8, move |operations| {
        writes.run(operations, |key, data| bytes.put_bytes(key, data), |key| bytes.get(key))
    });
    contest.run_alone_too(settle)
}

fn put(live: &Live, key: &LiveKey, data: &[u8]) -> Outcome<()> {
    live.persist(key, data, "bench", &[])?;
    Ok(())
}

fn get(live: &Live, key: &LiveKey) -> Outcome<Option<Vec<u8>>> {
    Ok(live.lookup(key)?.hit().map(|derived| derived.data().to_vec()))
}

/// An environment with the flags that the index has.
struct Bare {
    env: Env<WithoutTls>,
    pairs: Database<'static, Bytes, Bytes>,
}

impl Bare {
    fn open(folder: &Path) -> Outcome<Self> {
        fixture::private_folder(folder)?;
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        // SAFETY: the folder is ours alone, and opened once in this process.
        let env = unsafe {
            options.flags(EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC | EnvFlags::NO_READ_AHEAD);
            options.map_size(1 << 30).open(folder)?
        };
        // The database borrows the environment, which lives as long as the process.
        let fixed: &'static Env<WithoutTls> = Box::leak(Box::new(env.clone()));
        let made = fixed.create_databases_and_commit(fixed.write_txn()?, |opener, transaction| {
            opener.create_database(transaction, None).map(CommitOrAbort::<_, ()>::Commit)
        })?;
        Ok(Self { env, pairs: made.commit().ok_or("LMDB made no database")? })
    }

    fn put_bytes(&self, key: &LiveKey, data: &[u8]) -> Outcome<()> {
        let mut transaction = self.env.write_txn()?;
        self.pairs.put(&mut transaction, &value_key(key), data)?;
        Ok(transaction.commit()?)
    }

    fn put_all(&self, key: &LiveKey, data: &[u8]) -> Outcome<()> {
        // A description as long as ours.
        let now = 1_700_000_000_000_000_000u64;
        let description = format!(
            "{{\"v\":1,\"kind\":\"bench\",\"hash\":\"{key}\",\"size\":{},\"computed_ns\":{now},\
             \"inputs\":[],\"upstreams\":[]}}",
            data.len()
        );
        let mut transaction = self.env.write_txn()?;
        self.pairs.put(&mut transaction, &of(b'v', key), data)?;
        self.pairs.put(&mut transaction, &of(b'd', key), description.as_bytes())?;
        for table in [b'u', b'n'] {
            self.pairs.put(&mut transaction, &of(table, key), &data[..8])?;
        }
        self.pairs.put(&mut transaction, b"mbytes", &data[..8])?;
        Ok(transaction.commit()?)
    }

    fn get(&self, key: &LiveKey) -> Outcome<Option<Vec<u8>>> {
        let transaction = self.env.read_txn()?;
        Ok(self.pairs.get(&transaction, &value_key(key))?.map(<[u8]>::to_vec))
    }
}

fn value_key(key: &LiveKey) -> Vec<u8> {
    of(b'v', key)
}

/// A key as long as ours, in the order of tables that ours has.
fn of(table: u8, key: &LiveKey) -> Vec<u8> {
    let mut whole = vec![table];
    whole.extend_from_slice(&key.to_string().as_bytes()[..32]);
    whole
}
