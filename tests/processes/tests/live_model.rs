//! Derived results against a model: random graphs of results with files and upstreams, cycles too, random edits,
//! invalidations, computations and evictions, by two handles that stand for two processes, one of which may die
//! between its begin and its commit. A stale result is never returned, what is valid is hit, and after each run the
//! tables agree.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use forebay::{Cache, Code, Input, Live, LiveKey, LiveTicket, Lookup};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const KEYS: usize = 6;
const FILES: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    /// A file gets that content, or none.
    Edit(usize, Option<u8>),
    /// One that computes: key, bytes, its files and upstreams as bits; committed at the next `Commit` of it.
    Begin(usize, usize, u8, u8, u8),
    Commit(usize),
    /// Both at once.
    Make(usize, usize, u8, u8, u8),
    Die(usize),
    Look(usize, usize),
    Check(usize, usize),
    Dirty(usize, usize),
    Upstream(usize, usize),
    Path(usize, Option<usize>),
    Tag(usize),
    Collect(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let (side, key) = (0..2_usize, 0..KEYS);
    let upstreams = prop_oneof![3 => Just(0_u8), 4 => (0..KEYS).prop_map(|key| 1 << key), 1 => 0..64_u8];
    let computed = (side.clone(), key.clone(), 0..3_u8, 0..16_u8, upstreams);
    prop_oneof![
        4 => (0..FILES, proptest::option::weighted(0.8, 0..3_u8)).prop_map(|(f, c)| Op::Edit(f, c)),
        6 => computed.clone().prop_map(|(s, k, b, files, ups)| Op::Begin(s, k, b, files, ups)),
        12 => computed.prop_map(|(s, k, b, files, ups)| Op::Make(s, k, b, files, ups)),
        8 => side.clone().prop_map(Op::Commit),
        1 => side.clone().prop_map(Op::Die),
        4 => (side.clone(), key.clone()).prop_map(|(s, k)| Op::Look(s, k)),
        6 => (side.clone(), key.clone()).prop_map(|(s, k)| Op::Check(s, k)),
        1 => (side.clone(), key.clone()).prop_map(|(s, k)| Op::Dirty(s, k)),
        1 => (side.clone(), key).prop_map(|(s, k)| Op::Upstream(s, k)),
        2 => (side.clone(), proptest::option::of(0..FILES)).prop_map(|(s, f)| Op::Path(s, f)),
        1 => side.clone().prop_map(Op::Tag),
        1 => side.prop_map(Op::Collect),
    ]
}

/// A result as the model knows it: the files and their contents, and which making of each upstream it is built on.
#[derive(Clone, Debug)]
struct Made {
    bytes: u8,
    files: BTreeMap<usize, Option<u8>>,
    tagged: bool,
    upstreams: BTreeMap<usize, u64>,
}

struct Begun {
    ticket: LiveTicket,
    key: usize,
    made: Made,
    /// Whether something that it is built on was told to have changed since.
    told: bool,
    /// Whether versions were forgotten since, which may refuse it.
    forgotten: bool,
}

#[derive(Default)]
struct Model {
    files: BTreeMap<usize, u8>,
    results: BTreeMap<usize, Made>,
    /// How often each key's bytes were others than before, or it was removed.
    version: [u64; KEYS],
}

impl Model {
    fn content(&self, file: usize) -> Option<u8> {
        self.files.get(&file).copied()
    }

    /// By what is recorded.
    fn holds(&self, key: usize) -> bool {
        self.whole(key).is_some()
    }

    /// The key and all that it is built on, where all of that is there and the same as then.
    fn whole(&self, key: usize) -> Option<BTreeSet<usize>> {
        let (mut seen, mut left) = (BTreeSet::from([key]), vec![key]);
        while let Some(key) = left.pop() {
            for (upstream, then) in &self.results.get(&key)?.upstreams {
                if self.version[*upstream] != *then {
                    return None;
                }
                if seen.insert(*upstream) {
                    left.push(*upstream);
                }
            }
        }
        Some(seen)
    }

    fn is_fresh(&self, key: usize) -> bool {
        self.results[&key].files.iter().all(|(file, then)| self.content(*file) == *then)
    }

    fn remove(&mut self, key: usize) {
        if self.results.remove(&key).is_some() {
            self.version[key] += 1;
        }
        self.sweep();
    }

    /// What does not hold is gone.
    fn sweep(&mut self) {
        let gone: Vec<usize> = self.results.keys().copied().filter(|key| !self.holds(*key)).collect();
        for key in gone {
            self.results.remove(&key);
            self.version[key] += 1;
        }
    }
}

fn key(number: usize) -> LiveKey {
    LiveKey::from_bytes(&[u8::try_from(number).unwrap()])
}

fn name(file: usize) -> String {
    format!("folder/{file}")
}

/// Two handles on one root, what each of them has begun, and the model.
struct World<'w> {
    folder: &'w Path,
    lives: [Live; 2],
    begun: [Option<Begun>; 2],
    model: Model,
}

impl World<'_> {
    fn open(folder: &Path) -> Live {
        Cache::open(folder.join("root")).unwrap().live().unwrap().workspace(folder).unwrap()
    }

    fn obey(&mut self, op: &Op) {
        match *op {
            Op::Edit(file, content) => self.edit(file, content),
            Op::Begin(side, of, bytes, files, upstreams) => self.begin(side, of, bytes, files, upstreams),
            Op::Commit(side) => self.commit(side),
            Op::Make(side, of, bytes, files, upstreams) => {
                self.begin(side, of, bytes, files, upstreams);
                self.commit(side);
            }
            Op::Die(side) => {
                self.begun[side] = None;
                self.lives[side] = World::open(self.folder);
            }
            Op::Look(side, of) => {
                let found = self.lives[side].lookup(&key(of)).unwrap();
                self.judge(of, found, self.model.holds(of));
            }
            Op::Check(side, of) => self.check(side, of),
            Op::Dirty(side, of) => {
                let there = self.lives[side].mark_dirty(&key(of)).unwrap();
                assert_eq!(there, self.model.results.contains_key(&of));
                self.tell(|key, made| key == of || made.upstreams.contains_key(&of));
                self.model.remove(of);
            }
            Op::Upstream(side, of) => {
                let before = self.model.results.len();
                self.model.version[of] += 1;
                self.model.sweep();
                let removed = self.lives[side].invalidate_upstream(&key(of)).unwrap();
                assert_eq!(removed, (before - self.model.results.len()) as u64);
            }
            Op::Path(side, file) => self.path(side, file),
            Op::Tag(side) => {
                let direct = self.end(|made| made.tagged);
                assert_eq!(self.lives[side].invalidate_tag("tag").unwrap(), direct);
                self.tell(|_, made| made.tagged);
            }
            Op::Collect(side) => {
                assert_eq!(self.lives[side].gc().unwrap().0, 0, "what does not hold was removed before");
                // It may forget versions, and then refuses what they would have to be compared with: those of files
                // too, where a path was told before.
                for begun in self.begun.iter_mut().flatten() {
                    begun.forgotten = true;
                }
            }
        }
    }

    fn edit(&mut self, file: usize, content: Option<u8>) {
        let path = self.folder.join(name(file));
        match content {
            Some(byte) => {
                std::fs::write(path, [byte]).unwrap();
                self.model.files.insert(file, byte);
            }
            None => {
                let _ = std::fs::remove_file(path);
                self.model.files.remove(&file);
            }
        }
    }

    fn begin(&mut self, side: usize, of: usize, bytes: u8, files: u8, upstreams: u8) {
        let files: Vec<usize> = (0..FILES).filter(|file| files >> file & 1 == 1).collect();
        let tagged = bytes == 0;
        let upstreams: Vec<usize> = (0..KEYS).filter(|key| upstreams >> key & 1 == 1).collect();
        let mut inputs: Vec<Input> = files.iter().map(|file| Input::File(name(*file).into())).collect();
        inputs.extend(tagged.then(|| Input::Tag("tag".into())));
        let keys: Vec<LiveKey> = upstreams.iter().map(|upstream| key(*upstream)).collect();
        let begun = self.lives[side].begin(&key(of), &inputs, &keys);
        let valid = upstreams.iter().all(|upstream| self.model.holds(*upstream));
        assert_eq!(begun.is_ok(), valid, "{of} on {upstreams:?}");
        let Ok(ticket) = begun else { return };
        let made = Made {
            bytes,
            files: files.into_iter().map(|file| (file, self.model.content(file))).collect(),
            tagged,
            upstreams: upstreams.into_iter().map(|key| (key, self.model.version[key])).collect(),
        };
        self.begun[side] = Some(Begun { ticket, key: of, made, told: false, forgotten: false });
    }

    fn commit(&mut self, side: usize) {
        let Some(Begun { ticket, key: of, made, told, forgotten }) = self.begun[side].take() else { return };
        let fresh = made.files.iter().all(|(file, then)| self.model.content(*file) == *then);
        let mut upstreams = made.upstreams.iter();
        let valid = upstreams.all(|(key, then)| self.model.version[*key] == *then && self.model.holds(*key));
        let committed = ticket.commit([made.bytes], "test");
        match (&committed, fresh && valid) {
            (Ok(_), true) => assert!(!told, "it was told to have changed: {made:?}"),
            (Err(error), true) => {
                assert!((told || forgotten) && error.code() == Code::Superseded, "{error}");
            }
            (found, false) => {
                assert_eq!(found.as_ref().unwrap_err().code(), Code::Superseded, "{made:?}");
                return;
            }
        }
        if committed.is_ok() {
            let before = self.model.results.insert(of, made.clone());
            if before.is_some_and(|before| before.bytes != made.bytes) {
                self.model.version[of] += 1;
            }
            self.model.sweep();
        }
    }

    fn judge(&self, of: usize, found: Lookup, expected: bool) {
        match found {
            Lookup::Hit(derived) => {
                assert!(expected, "a stale hit of {of}: {:?}", self.model.results.get(&of));
                assert_eq!(derived.data(), [self.model.results[&of].bytes]);
            }
            Lookup::Miss => assert!(!expected, "{of} is valid: {:?}", self.model.results[&of]),
            Lookup::Invalidated => panic!("nothing was to be found out about {of}"),
        }
    }

    fn check(&mut self, side: usize, of: usize) {
        let found = self.lives[side].lookup_revalidate(&key(of)).unwrap();
        let Some(built_on) = self.model.whole(of) else { return self.judge(of, found, false) };
        let changed: Vec<usize> = built_on.into_iter().filter(|key| !self.model.is_fresh(*key)).collect();
        if changed.is_empty() {
            return self.judge(of, found, true);
        }
        assert!(matches!(found, Lookup::Invalidated), "{changed:?} changed below {of}: {found:?}");
        changed.into_iter().for_each(|key| self.model.remove(key));
    }

    fn path(&mut self, side: usize, file: Option<usize>) {
        let of_it = |made: &Made| match file {
            Some(file) => made.files.contains_key(&file),
            None => !made.files.is_empty(),
        };
        let direct = self.end(of_it);
        let path = file.map_or_else(|| "folder".to_owned(), name);
        assert_eq!(self.lives[side].invalidate_path(path).unwrap(), direct);
        self.tell(|_, made| of_it(made));
    }

    /// Removes the results for which that is so, and what is built on them; how many of the former.
    fn end(&mut self, of_it: impl Fn(&Made) -> bool) -> u64 {
        self.model.sweep();
        let direct: Vec<usize> =
            self.model.results.iter().filter(|(_, made)| of_it(made)).map(|(key, _)| *key).collect();
        direct.iter().for_each(|key| self.model.remove(*key));
        direct.len() as u64
    }

    fn tell(&mut self, of_it: impl Fn(usize, &Made) -> bool) {
        for begun in self.begun.iter_mut().flatten() {
            begun.told |= of_it(begun.key, &begun.made);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stale_result_is_never_returned_and_what_is_valid_is_hit(ops in proptest::collection::vec(op(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        let lives = [World::open(folder.path()), World::open(folder.path())];
        let mut world = World { folder: folder.path(), lives, begun: [None, None], model: Model::default() };
        for op in &ops {
            world.obey(op);
        }
        for of in 0..KEYS {
            let found = world.lives[0].lookup(&key(of)).unwrap();
            world.judge(of, found, world.model.holds(of));
            world.check(1, of);
        }
        prop_assert_eq!(world.lives[0].check().unwrap(), Vec::<String>::new());
    }
}
