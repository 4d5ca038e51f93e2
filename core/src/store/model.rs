//! The file store against its model, the memory store: the same calls at random, the same answers.

use super::file::FileStore;
use super::memory::MemoryStore;
use super::{About, Ask, Claim, Draft, Failed, Lease, Pass, Store};
use crate::entry::Lifetime;
use crate::error::Code;
use crate::fs::Durability;
use crate::gate::Backoff;
use crate::key::Key;
use crate::sys::clock::Clock;
use crate::sys::real::RealSys;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Op {
    Acquire(usize, bool, bool),
    Complete(usize, u8),
    Unchanged(usize),
    Fail(usize, Option<u8>),
    Renew(usize, u8),
    Release(usize),
    Put(usize, u8),
    MarkStale(usize),
    Remove(usize),
    Prune(usize),
    Advance(u16),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..2_usize;
    let lease = 0..4_usize;
    prop_oneof![
        4 => (key.clone(), any::<bool>(), any::<bool>()).prop_map(|(k, all, some)| Op::Acquire(k, all, some)),
        4 => (lease.clone(), any::<u8>()).prop_map(|(l, byte)| Op::Complete(l, byte)),
        1 => lease.clone().prop_map(Op::Unchanged),
        2 => (lease.clone(), proptest::option::of(0..20_u8)).prop_map(|(l, after)| Op::Fail(l, after)),
        1 => (lease.clone(), 1..9_u8).prop_map(|(l, seconds)| Op::Renew(l, seconds)),
        1 => lease.prop_map(Op::Release),
        2 => (key.clone(), any::<u8>()).prop_map(|(k, byte)| Op::Put(k, byte)),
        2 => key.clone().prop_map(Op::MarkStale),
        1 => key.clone().prop_map(Op::Remove),
        1 => key.prop_map(Op::Prune),
        3 => (0..9_000_u16).prop_map(Op::Advance),
    ]
}

/// One store with the leases that it gave, the latest last.
struct Side {
    store: Box<dyn Store>,
    leases: Vec<Lease>,
}

const BACKOFF: Backoff = Backoff {
    floor: Duration::from_secs(1),
    cap: Duration::from_secs(1),
    fixed: false,
    believed: Duration::from_secs(1),
};

fn keys() -> [Key; 2] {
    ["a/one", "a/two"].map(|key| Key::parse(key).unwrap())
}

fn about() -> About<'static> {
    About { validator: Some("v"), extra: None, lifetime: Lifetime::default(), durability: Durability::None }
}

fn told<T>(result: &crate::error::Result<T>) -> String {
    result.as_ref().err().map_or("ok".to_owned(), |error| error.code().to_string())
}

impl Side {
    fn lease(&self, back: usize) -> Option<&Lease> {
        self.leases.iter().rev().nth(back)
    }

    fn acquire(&mut self, key: &Key, all: bool, enough: bool) -> String {
        let ask = Ask {
            length: Duration::from_secs(2),
            guard_timeout: Duration::from_secs(2),
            enough: &|look| enough && look.entry.is_some() && !look.noticed,
            pass: if all { Pass::All } else { Pass::None },
            backoff: BACKOFF,
        };
        match self.store.acquire(key, &ask).unwrap() {
            Claim::Lease(lease) => {
                let previous = lease.previous.as_ref().map(|entry| entry.data.clone());
                self.leases.push(lease);
                format!("lease over {previous:?}")
            }
            Claim::InFlight(_) => "in flight".to_owned(),
            Claim::Enough(_) => "enough".to_owned(),
            Claim::Ambiguous(_) => "ambiguous".to_owned(),
            Claim::Gated(gate, _) => format!("gated by {:?} after {}", gate.error, gate.attempts),
        }
    }

    fn run(&mut self, op: &Op) -> String {
        let key = |at: &usize| keys()[*at].clone();
        let data = |byte: &u8| vec![*byte; 1 + usize::from(*byte)];
        match op {
            Op::Acquire(at, all, enough) => self.acquire(&key(at), *all, *enough),
            Op::Complete(back, byte) => self.lease(*back).map_or(String::new(), |lease| {
                let done = self.store.complete(lease, &Draft { data: &data(byte), about: about() });
                format!("{} {:?}", told(&done), done.map(|done| done.noticed).ok())
            }),
            Op::Unchanged(back) => {
                self.lease(*back).map_or(String::new(), |lease| told(&self.store.unchanged(lease, &about())))
            }
            Op::Fail(back, after) => self.lease(*back).map_or(String::new(), |lease| {
                let retry_after = after.map(|seconds| Duration::from_secs(seconds.into()));
                let durability = Durability::None;
                let failed = Failed { retry_after, ..Failed::new(Code::Io, "no", BACKOFF, durability) };
                told(&self.store.fail(lease, &failed))
            }),
            Op::Renew(back, seconds) => self.lease(*back).map_or(String::new(), |lease| {
                told(&self.store.renew(lease, Duration::from_secs((*seconds).into())))
            }),
            Op::Release(back) => {
                if let Some(lease) = self.lease(*back) {
                    self.store.release(lease);
                }
                String::new()
            }
            Op::Put(at, byte) => {
                told(&self.store.put(&key(at), &Draft { data: &data(byte), about: about() }))
            }
            Op::MarkStale(at) => told(&self.store.mark_stale(&key(at), Durability::None)),
            Op::Remove(at) => format!("{:?}", self.store.remove(&key(at), Durability::None).unwrap()),
            Op::Prune(at) => format!("{:?}", self.store.prune(&[key(at)]).unwrap().removed),
            Op::Advance(_) => String::new(),
        }
    }

    /// All that can be seen from outside.
    fn view(&self) -> String {
        let of = |key: &Key| {
            let look = self.store.look(key).unwrap();
            let facts = self.store.facts(key).unwrap();
            let entry =
                look.entry.map(|entry| (entry.data.clone(), entry.stored_ns, entry.validator.clone()));
            let gate = facts.gate.map(|gate| (gate.error, gate.not_before_ms, gate.attempts, gate.declared));
            format!("{entry:?} {} {} {gate:?}", look.noticed, facts.lease.is_some())
        };
        let held: Vec<bool> = self.leases.iter().map(|lease| self.store.holds(lease)).collect();
        format!("{:?} {:?} {held:?}", keys().map(|key| of(&key)), self.store.keys().unwrap())
    }
}

/// A folder in memory where there is such a file system: thousands of steps need no disk.
fn memory_folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_file_store_answers_as_its_model(ops in proptest::collection::vec(op(), 1..40)) {
        let folder = memory_folder();
        let (clock, hands) = Clock::manual(1_700_000_000_000_000_000);
        let sys = Arc::new(RealSys::new(clock));
        let file = FileStore::open(Arc::<RealSys>::clone(&sys), &folder.path().join("root"), None).unwrap();
        let mut file = Side { store: Box::new(file), leases: Vec::new() };
        let mut model = Side { store: Box::new(MemoryStore::new(sys)), leases: Vec::new() };
        for (at, op) in ops.iter().enumerate() {
            if let Op::Advance(ms) = op {
                hands.advance(Duration::from_millis((*ms).into()));
            }
            prop_assert_eq!(file.run(op), model.run(op), "answer of step {} of {:?}", at, &ops);
            prop_assert_eq!(file.view(), model.view(), "after step {} of {:?}", at, &ops);
        }
    }
}
