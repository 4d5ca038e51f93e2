//! `Run`: one recorded run of a process, and the walk over it: the power is cut after each step, each disk that may
//! be left is made real once, and a test judges it. It knows nothing of what the process did.

use super::disk::{Cut, Disk};
use super::tape::{self, Step};
use super::tree;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The disk before a process began, and what it then did.
#[derive(Clone, Debug)]
pub struct Run {
    disk: Disk,
    /// What it did, in order.
    pub steps: Vec<Step>,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Found {
    /// How many different disks were tried.
    pub tried: usize,
    /// What was wrong, where.
    pub wrong: Vec<String>,
}

impl Run {
    /// Records what `process` does below `top`, writing the tape that it is given.
    ///
    /// # Errors
    /// Those of the system, and a tape that does not fit what was there.
    pub fn record(top: &Path, tape: &Path, process: impl FnOnce()) -> std::io::Result<Run> {
        let disk = tree::scan(top)?;
        process();
        Ok(Run { disk, steps: tape::read(tape)? })
    }

    /// What a look at the files would tell before the first step and after each, where no power is cut.
    ///
    /// # Errors
    /// Those of the system, and a tape that does not fit what was there.
    pub fn seen<V: Clone>(&self, look: impl Fn(&Path) -> V) -> std::io::Result<Vec<V>> {
        let mut disk = self.disk.clone();
        let mut known: HashMap<u64, V> = HashMap::new();
        let kept = folder()?;
        let molds = tree::Molds::new(kept.path());
        let mut seen = Vec::new();
        for step in std::iter::once(None).chain(self.steps.iter().map(Some)) {
            step.map_or(Ok(()), |step| disk.play(step)).map_err(std::io::Error::other)?;
            let cut = disk.seen();
            let print = tree::fingerprint(&disk, &cut);
            if let std::collections::hash_map::Entry::Vacant(place) = known.entry(print) {
                place.insert(with_tree(&disk, &cut, &molds, &look)?);
            }
            seen.extend(known.get(&print).cloned());
        }
        Ok(seen)
    }

    /// Cuts the power after each step. `judge` is given the number of steps done, the cut, and the folder that was
    /// left; `must` tells the numbers of steps apart after which other things must hold, so that each disk is tried
    /// once for each.
    ///
    /// # Errors
    /// Those of the system, and a tape that does not fit what was there.
    pub fn walk<M: std::hash::Hash + Eq>(
        &self,
        must: impl Fn(usize) -> M,
        judge: impl Fn(usize, &Cut, &Path) -> Result<(), String>,
    ) -> std::io::Result<Found> {
        let mut disk = self.disk.clone();
        let (mut known, mut found) = (HashSet::new(), Found::default());
        let kept = folder()?;
        let molds = tree::Molds::new(kept.path());
        for (at, step) in self.steps.iter().enumerate() {
            disk.play(step).map_err(std::io::Error::other)?;
            for cut in disk.cuts() {
                let print = tree::fingerprint(&disk, &cut);
                if !known.insert((print, cut.out_of_order, must(at + 1))) {
                    continue;
                }
                found.tried += 1;
                if let Err(what) = with_tree(&disk, &cut, &molds, |folder| judge(at + 1, &cut, folder))? {
                    let order = if cut.out_of_order { ", out of order" } else { "" };
                    found.wrong.push(format!("step {} {step:?}; lost{order}: {}: {what}", at + 1, cut.what));
                }
            }
        }
        Ok(found)
    }

    /// How many steps were done when the last call before step `now` had returned; 0 where none had. `what`: of the
    /// marks that count.
    #[must_use]
    pub fn last_mark(&self, now: usize, what: impl Fn(&str) -> bool) -> usize {
        let counts = |step: &Step| matches!(step, Step::Mark(text) if what(text));
        self.steps[..now].iter().rposition(counts).map_or(0, |at| at + 1)
    }

    /// What was told before step `now`.
    pub fn marks(&self, now: usize) -> impl Iterator<Item = &str> {
        self.steps[..now].iter().filter_map(|step| match step {
            Step::Mark(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

/// A folder in memory where there is such a file system: thousands of disks need no disk.
fn folder() -> std::io::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

fn with_tree<T>(
    disk: &Disk,
    cut: &Cut,
    molds: &tree::Molds,
    look: impl FnOnce(&Path) -> T,
) -> std::io::Result<T> {
    let folder = folder()?;
    let guards = tree::make(disk, cut, folder.path(), molds)?;
    let seen = look(folder.path());
    molds.take_back(&guards, folder.path())?;
    Ok(seen)
}
