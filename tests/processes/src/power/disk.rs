//! `Disk`: what a process sees of its files, and what of it is sure to outlast a power cut; and the `Cut`s: all
//! that may be left if the power goes now. It knows names, bytes and flushes, and nothing of what they mean.

use super::tape::Step;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

/// The number of a file or folder: its place in the order in which they were met.
pub type Id = usize;
/// A name in a folder.
pub type Place = (Id, String);

/// Bytes, shared by all cuts that have them.
#[derive(Clone, Debug, Default)]
pub struct Bytes {
    /// The bytes.
    pub bytes: Rc<Vec<u8>>,
    /// A number for how they came about: the same history, the same bytes.
    print: u64,
}

/// What a file holds after a cut; no time where nobody set one.
#[derive(Clone, Hash, Debug, Default)]
pub struct Content {
    /// The bytes.
    pub bytes: Bytes,
    /// The time of change, in ns.
    pub mtime: Option<i64>,
}

#[derive(Clone, Debug, Default)]
struct File {
    ino: u64,
    live: Bytes,
    sure: Bytes,
}

/// One change of names, as what stands at each of them after it, or of a file's time.
#[derive(Clone, Debug, Default)]
struct Change {
    what: String,
    places: Vec<(Place, Option<Id>)>,
    stamp: Option<(Id, i64)>,
}

/// Names and times: what the system keeps of files beside their bytes.
#[derive(Clone, Debug, Default)]
struct Names {
    names: BTreeMap<Place, Id>,
    times: HashMap<Id, i64>,
}

/// The model.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: Vec<File>,
    ids: HashMap<u64, Id>,
    live: Names,
    sure: Names,
    pending: Vec<Change>,
    folders: Vec<bool>,
}

/// What is left after a cut.
#[derive(Clone, Debug)]
pub struct Cut {
    /// In words: what was lost.
    pub what: String,
    /// Whether a change of names is missing that came before one which is there.
    pub out_of_order: bool,
    /// What stands where.
    pub names: BTreeMap<Place, Id>,
    /// The bytes of each file that stands somewhere.
    pub contents: BTreeMap<Id, Content>,
}

/// What becomes of bytes that were not flushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Whole,
    Gone,
    Zeros,
    Half,
}

/// More changes than any call makes beside making a root.
const MANY: usize = 32;
const FATES: [Fate; 3] = [Fate::Gone, Fate::Zeros, Fate::Half];

impl Disk {
    /// A disk that holds one empty folder, number 0.
    #[must_use]
    pub fn new(root: u64) -> Disk {
        let mut disk = Disk::default();
        disk.meet(root, true);
        disk
    }

    fn meet(&mut self, ino: u64, folder: bool) -> Id {
        self.files.push(File { ino, ..File::default() });
        self.folders.push(folder);
        self.ids.insert(ino, self.files.len() - 1);
        self.files.len() - 1
    }

    /// What was there before the tape began, and is sure.
    pub fn hold(&mut self, at: Id, name: &str, ino: u64, content: Option<Content>) -> Id {
        let id = self.meet(ino, content.is_none());
        let content = content.unwrap_or_default();
        self.files[id] = File { ino, live: content.bytes.clone(), sure: content.bytes };
        for names in [&mut self.live, &mut self.sure] {
            names.names.insert((at, name.to_owned()), id);
            names.times.extend(content.mtime.map(|ns| (id, ns)));
        }
        id
    }

    /// Whether that is a folder.
    #[must_use]
    pub fn is_folder(&self, id: Id) -> bool {
        self.folders[id]
    }

    /// The inode number that it had.
    #[must_use]
    pub fn inode(&self, id: Id) -> u64 {
        self.files[id].ino
    }

    /// Plays one step. What it names must have been met: else something was changed behind the tape's back.
    ///
    /// # Errors
    /// The step that cannot be.
    pub fn play(&mut self, step: &Step) -> Result<(), String> {
        self.apply(step).ok_or_else(|| format!("the tape does not fit: {step:?}"))
    }

    fn apply(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Create(at, ino, name) => self.make(*at, *ino, name, false),
            Step::Mkdir(at, ino, name) => self.make(*at, *ino, name, true),
            Step::Write(ino, at, bytes) => {
                self.file(*ino)?.live.write(*at, bytes);
                Some(())
            }
            Step::Size(ino, size) => {
                let live = &mut self.file(*ino)?.live;
                let more = size.saturating_sub(live.bytes.len());
                live.write(live.bytes.len(), &vec![0; more]);
                Some(())
            }
            Step::Stamp(ino, ns) => {
                let id = *self.ids.get(ino)?;
                let what = "a time".to_owned();
                self.change(Change { what, places: Vec::new(), stamp: Some((id, *ns)) });
                Some(())
            }
            Step::Flush(ino) | Step::Sync(ino) => {
                let id = *self.ids.get(ino)?;
                let file = &mut self.files[id];
                // fdatasync writes what is needed to find the bytes again: the time only along with a new size.
                let all = matches!(step, Step::Sync(_)) || file.live.bytes.len() != file.sure.bytes.len();
                file.sure = file.live.clone();
                if all {
                    self.settle(|change| change.stamp.is_some_and(|(of, _)| of == id));
                }
                Some(())
            }
            Step::FlushFolder(ino) => {
                // What lies above the folder that was read in is sure anyway.
                if let Some(id) = self.ids.get(ino).copied() {
                    self.settle(|change| change.touches(id));
                }
                Some(())
            }
            Step::Mark(_) => Some(()),
            names => self.rename(names),
        }
    }

    fn file(&mut self, ino: u64) -> Option<&mut File> {
        let id = *self.ids.get(&ino)?;
        self.files.get_mut(id)
    }

    fn make(&mut self, at: u64, ino: u64, name: &str, folder: bool) -> Option<()> {
        let at = *self.ids.get(&at)?;
        let id = self.meet(ino, folder);
        let places = vec![((at, name.to_owned()), Some(id))];
        self.change(Change { what: format!("make {name}"), places, stamp: None });
        Some(())
    }

    fn rename(&mut self, step: &Step) -> Option<()> {
        let place = |ino: &u64, name: &String| Some((*self.ids.get(ino)?, name.clone()));
        let (what, places) = match step {
            Step::Rename(at, from, to_folder, to) => {
                let (from, to) = (place(at, from)?, place(to_folder, to)?);
                let id = *self.live.names.get(&from)?;
                (format!("{} to {}", from.1, to.1), vec![(from, None), (to, Some(id))])
            }
            Step::Swap(at, a, b) => {
                let (a, b) = (place(at, a)?, place(at, b)?);
                let (in_a, in_b) = (*self.live.names.get(&a)?, *self.live.names.get(&b)?);
                (format!("{} for {}", a.1, b.1), vec![(a, Some(in_b)), (b, Some(in_a))])
            }
            Step::Link(at, from, to) => {
                let (from, to) = (place(at, from)?, place(at, to)?);
                let id = *self.live.names.get(&from)?;
                (format!("link {}", to.1), vec![(to, Some(id))])
            }
            Step::Unlink(at, name) | Step::Rmdir(at, name) => {
                let gone = place(at, name)?;
                self.live.names.get(&gone)?;
                (format!("remove {name}"), vec![(gone, None)])
            }
            _ => return None,
        };
        self.change(Change { what, places, stamp: None });
        Some(())
    }

    fn change(&mut self, change: Change) {
        change.on(&mut self.live);
        self.pending.push(change);
    }

    /// Makes changes sure.
    fn settle(&mut self, which: impl Fn(&Change) -> bool) {
        let (flushed, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(which);
        self.pending = left;
        for change in flushed {
            change.on(&mut self.sure);
        }
    }

    /// The disk as its processes see it.
    #[must_use]
    pub fn seen(&self) -> Cut {
        self.cut(String::new(), false, &self.live, |_| Fate::Whole)
    }

    /// All that may be left if the power goes now.
    #[must_use]
    pub fn cuts(&self) -> Vec<Cut> {
        let mut cuts = Vec::new();
        for kept in 0..=self.pending.len() {
            let first_lost = self.pending.get(kept).map_or("nothing", |change| &change.what);
            self.fates(
                &self.named(|at| at < kept),
                &format!("names from «{first_lost}» on"),
                false,
                &mut cuts,
            );
        }
        // A root that is being made has a hundred names; of those, one by one would be too many disks.
        let singles = if self.pending.len() > MANY { 0 } else { self.pending.len().saturating_sub(1) };
        for lost in 0..singles {
            let what = format!("the name «{}» alone", self.pending[lost].what);
            self.fates(&self.named(|at| at != lost), &what, true, &mut cuts);
        }
        cuts
    }

    fn named(&self, kept: impl Fn(usize) -> bool) -> Names {
        let mut names = self.sure.clone();
        for (at, change) in self.pending.iter().enumerate() {
            if kept(at) {
                change.on(&mut names);
            }
        }
        names
    }

    /// One cut for each fate of what was not flushed: of all of it, and of each file alone.
    fn fates(&self, names: &Names, what: &str, out_of_order: bool, cuts: &mut Vec<Cut>) {
        let unsure = |id: &Id| self.files[*id].live.print != self.files[*id].sure.print;
        let mut unsure: Vec<Id> = names.names.values().copied().filter(unsure).collect();
        unsure.sort_unstable();
        unsure.dedup();
        cuts.push(self.cut(what.to_owned(), out_of_order, names, |_| Fate::Whole));
        if unsure.is_empty() {
            return;
        }
        for fate in FATES {
            cuts.push(
                self.cut(format!("{what}; all unflushed bytes {fate:?}"), out_of_order, names, |_| fate),
            );
            for one in unsure.iter().filter(|_| unsure.len() > 1) {
                let name = names.names.iter().find(|(_, id)| *id == one).map_or("", |((_, name), _)| name);
                let text = format!("{what}; the bytes of «{name}» {fate:?}");
                let fate_of = |id| if id == *one { fate } else { Fate::Whole };
                cuts.push(self.cut(text, out_of_order, names, fate_of));
            }
        }
    }

    fn cut(&self, what: String, out_of_order: bool, names: &Names, fate: impl Fn(Id) -> Fate) -> Cut {
        let content = |id: &Id| {
            let bytes = self.files[*id].after(fate(*id));
            (*id, Content { bytes, mtime: names.times.get(id).copied() })
        };
        let contents = names.names.values().map(content).collect();
        Cut { what, out_of_order, names: names.names.clone(), contents }
    }
}

impl File {
    /// Bytes that were written over others in their place are the old or the new ones.
    fn after(&self, fate: Fate) -> Bytes {
        let File { live, sure, .. } = self;
        let in_place = live.bytes.len() == sure.bytes.len();
        match fate {
            _ if live.print == sure.print => live.clone(),
            Fate::Whole => live.clone(),
            Fate::Gone => sure.clone(),
            _ if in_place => sure.clone(),
            Fate::Zeros => Bytes::new(&vec![0; live.bytes.len()]),
            Fate::Half => Bytes::new(&live.bytes[..live.bytes.len() / 2]),
        }
    }
}

impl Bytes {
    /// Those bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Bytes {
        let mut new = Bytes::default();
        new.write(0, bytes);
        new
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        let mut hasher = DefaultHasher::new();
        (self.print, at, bytes).hash(&mut hasher);
        self.print = hasher.finish();
        let all = Rc::make_mut(&mut self.bytes);
        all.resize(all.len().max(at + bytes.len()), 0);
        all[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

impl Change {
    fn on(&self, names: &mut Names) {
        for (place, id) in &self.places {
            match id {
                Some(id) => names.names.insert(place.clone(), *id),
                None => names.names.remove(place),
            };
        }
        names.times.extend(self.stamp);
    }

    fn touches(&self, folder: Id) -> bool {
        self.places.iter().any(|((at, _), _)| *at == folder)
    }
}
