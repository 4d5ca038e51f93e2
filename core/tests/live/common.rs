//! A bench for derived results: a workspace, a root, and keys by short names.

use forebay::{Cache, Derived, Input, Live, LiveKey, Lookup};
use std::path::PathBuf;

pub struct Bench {
    pub folder: tempfile::TempDir,
    pub cache: Cache,
    pub live: Live,
}

pub fn key(name: &str) -> LiveKey {
    LiveKey::from_bytes(name.as_bytes())
}

impl Bench {
    pub fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("w")).unwrap();
        let cache = Cache::open(folder.path().join("root")).unwrap();
        let live = cache.live().unwrap().workspace(folder.path().join("w")).unwrap();
        Bench { folder, cache, live }
    }

    /// The same root as another process would open it.
    pub fn other(&self) -> Live {
        let cache = Cache::open(self.folder.path().join("root")).unwrap();
        cache.live().unwrap().workspace(self.folder.path().join("w")).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("w").join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Keeps a result of that name, with those inputs and upstreams.
    pub fn keep(&self, name: &str, inputs: &[&str], upstreams: &[&str]) -> Derived {
        self.keep_as(name, &format!("result of {name}"), inputs, upstreams)
    }

    pub fn keep_as(&self, name: &str, data: &str, inputs: &[&str], upstreams: &[&str]) -> Derived {
        let inputs: Vec<Input> = inputs.iter().map(|text| Input::parse(text)).collect();
        let upstreams: Vec<LiveKey> = upstreams.iter().map(|name| key(name)).collect();
        self.live.persist_with_upstreams(&key(name), data.as_bytes(), "test", &inputs, &upstreams).unwrap()
    }

    /// `hit`, `miss` or `invalidated`, without looking at inputs.
    pub fn look(&self, name: &str) -> &'static str {
        short(&self.live.lookup(&key(name)).unwrap())
    }

    /// The same, with a look at them.
    pub fn check(&self, name: &str) -> &'static str {
        short(&self.live.lookup_revalidate(&key(name)).unwrap())
    }
}

pub fn short(lookup: &Lookup) -> &'static str {
    match lookup {
        Lookup::Hit(_) => "hit",
        Lookup::Miss => "miss",
        Lookup::Invalidated => "invalidated",
    }
}
