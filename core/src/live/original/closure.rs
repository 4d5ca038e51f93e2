//! The rules of `LiveCache` over a store that knows none: what is built on what is found by going through all that
//! is known of results. For small stores; the index has links.

use super::super::input::LiveKey;
use super::{FileRoot, LiveCache, LookupOutcome, PayloadMeta, hash_file, other_content};
use crate::error::{Code, Error, Result};
use std::collections::{HashMap, HashSet};
use std::path::Path;

type Known = HashMap<LiveKey, PayloadMeta>;

/// The result and what it is built on, directly and not; none where some of that is not there.
fn whole(known: &Known, key: &LiveKey) -> Option<HashSet<LiveKey>> {
    let (mut seen, mut left) = (HashSet::from([*key]), vec![*key]);
    while let Some(key) = left.pop() {
        left.extend(known.get(&key)?.upstream_keys.iter().filter(|key| seen.insert(**key)));
    }
    Some(seen)
}

impl LiveCache {
    fn known(&self) -> Result<Known> {
        Ok(self.store.iter_meta()?.into_iter().collect())
    }

    fn hit(&self, key: &LiveKey) -> Result<LookupOutcome> {
        let found = self.store.lookup(key)?;
        let sound =
            found.filter(|payload| *blake3::hash(&payload.bytes).to_hex() == *payload.meta.payload_hash);
        Ok(sound.map_or(LookupOutcome::Miss, LookupOutcome::Hit))
    }

    pub(super) fn held(&self, key: &LiveKey) -> Result<LookupOutcome> {
        match whole(&self.known()?, key) {
            Some(_) => self.hit(key),
            None => Ok(LookupOutcome::Miss),
        }
    }

    fn is_as_expected(&self, root: &FileRoot) -> bool {
        hash_file(self.workspace.absolute(&root.path)).is_ok_and(|hash| hash == root.expected_hash)
    }

    pub(super) fn revalidated(&self, key: &LiveKey) -> Result<LookupOutcome> {
        let known = self.known()?;
        let Some(built_on) = whole(&known, key) else { return Ok(LookupOutcome::Miss) };
        let changed = |key: &&LiveKey| {
            known.get(*key).is_some_and(|meta| !meta.file_roots.iter().all(|root| self.is_as_expected(root)))
        };
        let changed: Vec<LiveKey> = built_on.iter().filter(changed).copied().collect();
        if changed.is_empty() {
            return self.hit(key);
        }
        self.remove_dependents(&changed, &changed)?;
        changed.iter().try_for_each(|key| self.store.remove(key).map(drop))?;
        Ok(LookupOutcome::Invalidated)
    }

    pub(super) fn stored(
        &self,
        key: &LiveKey,
        bytes: &[u8],
        tool_kind: &str,
        file_roots: &[FileRoot],
        upstream_keys: &[LiveKey],
    ) -> Result<PayloadMeta> {
        let known = self.known()?;
        if let Some(upstream) = upstream_keys.iter().find(|upstream| whole(&known, upstream).is_none()) {
            let what = format!("the result {upstream}, on which this one is built, does not hold");
            return Err(Error::new(Code::Superseded, what).with_hint("compute that one first"));
        }
        if let Some(root) = file_roots.iter().find(|root| !self.is_as_expected(root)) {
            return Err(other_content(&root.path));
        }
        let hash = blake3::hash(bytes).to_hex();
        if known.get(key).is_some_and(|before| before.payload_hash != hash.as_str()) {
            self.remove_dependents(&[*key], &[*key])?;
        }
        self.store.persist_with_upstreams(key, bytes, tool_kind, file_roots, upstream_keys)
    }

    /// Removes what is built on these, but not `but`; how many.
    pub(super) fn remove_dependents(&self, of: &[LiveKey], but: &[LiveKey]) -> Result<u64> {
        let mut on: HashMap<LiveKey, Vec<LiveKey>> = HashMap::new();
        for (key, meta) in self.store.iter_meta()? {
            for upstream in meta.upstream_keys {
                on.entry(upstream).or_default().push(key);
            }
        }
        let (mut found, mut left) = (HashSet::new(), of.to_vec());
        while let Some(key) = left.pop() {
            left.extend(on.get(&key).into_iter().flatten().filter(|key| found.insert(**key)));
        }
        let mut removed = 0;
        for key in found.iter().filter(|key| !but.contains(key)) {
            removed += u64::from(self.store.remove(key)?);
        }
        Ok(removed)
    }

    pub(super) fn remove_of_path(&self, path: &Path) -> Result<u64> {
        let told = self.workspace.names(path);
        let mut direct = Vec::new();
        for (key, meta) in self.store.iter_meta()? {
            let own = meta.file_roots.iter().flat_map(|root| self.workspace.names(&root.path));
            if own.into_iter().any(|own| told.iter().any(|told| super::super::told::is_in(&own, told))) {
                direct.push(key);
            }
        }
        self.remove_dependents(&direct, &direct)?;
        direct.iter().try_for_each(|key| self.store.remove(key).map(drop))?;
        Ok(direct.len() as u64)
    }
}
