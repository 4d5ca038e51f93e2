//! A stand-in of the original's cache of derived results, after its description: a file with the bytes and a file with
//! the record per result; opening scans them all and builds the graph in memory; a look-up with revalidation hashes
//! every input file; an invalidation walks the closure and unlinks what it finds.
//!
//! It is kinder than the original where that was quadratic (the walk), and keeps its weaknesses otherwise: other
//! processes see none of it until they open anew. A peer for speed, not a cache to use.

use crate::Outcome;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

struct Record {
    hash: String,
    files: Vec<(PathBuf, String)>,
}

/// The original's cache of derived results.
pub struct OriginalLive {
    root: PathBuf,
    records: HashMap<String, Record>,
    by_file: HashMap<PathBuf, Vec<String>>,
    dependents: HashMap<String, Vec<String>>,
}

/// The BLAKE3 hash of a file, in hex.
fn hash_file(path: &Path) -> Option<String> {
    Some(blake3::hash(&fs::read(path).ok()?).to_hex().to_string())
}

impl OriginalLive {
    /// Reads every record below `root`.
    pub fn open(root: &Path) -> Outcome<Self> {
        fs::create_dir_all(root)?;
        let (records, by_file, dependents) = Default::default();
        let mut live = Self { root: root.to_owned(), records, by_file, dependents };
        for folder in fs::read_dir(root)? {
            for entry in fs::read_dir(folder?.path())? {
                let path = entry?.path();
                if path.extension().is_some_and(|end| end == "json")
                    && let Some(key) = path.file_stem().and_then(|stem| stem.to_str())
                {
                    live.learn(key, &serde_json::from_slice(&fs::read(&path)?)?)?;
                }
            }
        }
        Ok(live)
    }

    /// How many results there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn learn(&mut self, key: &str, meta: &Value) -> Outcome<()> {
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("a record of another shape");
        let mut files = Vec::new();
        for file in meta["file_roots"].as_array().ok_or("a record without inputs")? {
            let path = PathBuf::from(text(&file["path"])?);
            self.by_file.entry(path.clone()).or_default().push(key.to_owned());
            files.push((path, text(&file["expected_hash"])?));
        }
        for upstream in meta["upstream_keys"].as_array().ok_or("a record without upstream keys")? {
            self.dependents.entry(text(upstream)?).or_default().push(key.to_owned());
        }
        self.records.insert(key.to_owned(), Record { hash: text(&meta["payload_hash"])?, files });
        Ok(())
    }

    fn path(&self, key: &str, suffix: &str) -> PathBuf {
        self.root.join(&key[..2]).join(format!("{key}.{suffix}"))
    }

    /// Stores a result, its inputs' hashes as of now.
    pub fn persist(&mut self, key: &str, data: &[u8], files: &[&Path], upstreams: &[String]) -> Outcome<()> {
        let roots: Vec<Value> = files
            .iter()
            .map(|path| json!({"path": path, "expected_hash": hash_file(path).unwrap_or_default()}))
            .collect();
        let meta = json!({
            "payload_hash": blake3::hash(data).to_hex().as_str(),
            "bytes": data.len(),
            "tool_kind": "bench",
            "file_roots": roots,
            "upstream_keys": upstreams,
        });
        fs::create_dir_all(self.root.join(&key[..2]))?;
        for (suffix, bytes) in [("bin", data), ("json", meta.to_string().as_bytes())] {
            let temporary = self.path(key, "tmp");
            fs::write(&temporary, bytes)?;
            fs::rename(&temporary, self.path(key, suffix))?;
        }
        self.learn(key, &meta)
    }

    /// The bytes, if they are those that the record describes.
    pub fn lookup(&self, key: &str) -> Outcome<Option<Vec<u8>>> {
        let Some(record) = self.records.get(key) else { return Ok(None) };
        let data = fs::read(self.path(key, "bin"))?;
        Ok((blake3::hash(&data).to_hex().as_str() == record.hash).then_some(data))
    }

    /// The same, after hashing every input.
    pub fn lookup_revalidate(&self, key: &str) -> Outcome<Option<Vec<u8>>> {
        let Some(record) = self.records.get(key) else { return Ok(None) };
        if record.files.iter().all(|(path, expected)| hash_file(path).as_ref() == Some(expected)) {
            return self.lookup(key);
        }
        Ok(None)
    }

    /// Removes every result computed from the file and all that is built on those; how many were so directly.
    pub fn invalidate_path(&mut self, path: &Path) -> Outcome<usize> {
        let direct = self.by_file.remove(path).unwrap_or_default();
        let mut seen: HashSet<String> = direct.iter().cloned().collect();
        let mut left: Vec<String> = direct.clone();
        while let Some(key) = left.pop() {
            for dependent in self.dependents.remove(&key).unwrap_or_default() {
                if seen.insert(dependent.clone()) {
                    left.push(dependent);
                }
            }
            self.records.remove(&key);
            fs::remove_file(self.path(&key, "bin"))?;
            fs::remove_file(self.path(&key, "json"))?;
        }
        Ok(direct.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_goes_with_its_input_and_nothing_else_does() {
        let root = std::env::temp_dir().join(format!("forebay-bench-original-live-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let input = root.join("input");
        fs::write(&input, "one").unwrap();
        let keys: Vec<String> = (0..4u8).map(|n| blake3::hash(&[n]).to_hex().to_string()).collect();
        let store = root.join("store");
        let mut live = OriginalLive::open(&store).unwrap();
        live.persist(&keys[0], b"0", &[&input], &[]).unwrap();
        live.persist(&keys[1], b"1", &[], &keys[..1]).unwrap();
        live.persist(&keys[2], b"2", &[], &keys[1..2]).unwrap();
        live.persist(&keys[3], b"3", &[], &[]).unwrap();
        let mut live = OriginalLive::open(&store).unwrap();
        assert_eq!(live.lookup_revalidate(&keys[0]).unwrap().unwrap(), b"0");
        fs::write(&input, "two").unwrap();
        assert!(live.lookup_revalidate(&keys[0]).unwrap().is_none());
        assert_eq!(live.invalidate_path(&input).unwrap(), 1);
        assert_eq!((live.len(), live.lookup(&keys[3]).unwrap().unwrap()), (1, b"3".to_vec()));
        assert_eq!(OriginalLive::open(&store).unwrap().len(), 1);
        fs::remove_dir_all(&root).unwrap();
    }
}
