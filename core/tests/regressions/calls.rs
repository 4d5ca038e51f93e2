//! Calls and names on a real disk: every durability commits, and no name leaves its folder or meets another.

use crate::common::{HOUR, KEY, Place, lease, put, text, validated};
use forebay::{Commit, Durability, Fetched, How, Key, MAX_NAME};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_durability_commits_in_every_way() {
    for durability in [Durability::None, Durability::Data, Durability::Full] {
        let place = Place::new();
        let cache = place.options().durability(durability).open().unwrap();
        let source = cache.source(KEY).ttl(HOUR);
        source.put("put", &validated("v1")).unwrap();
        let value =
            source.refresh(|_| Ok::<_, std::io::Error>(Fetched::new("refreshed").validator("v2"))).unwrap();
        assert_eq!(value.how, Some(How::Ran));
        let value = source.refresh(|_| Ok::<_, std::io::Error>(Fetched::unchanged())).unwrap();
        assert_eq!((value.how, value.validator()), (Some(How::Unchanged), Some("v2")));
        let ticket = lease(&source);
        ticket.renew(HOUR).unwrap();
        ticket.complete("completed", &Commit::default()).unwrap();
        source.mark_stale().unwrap();
        assert_eq!(text(&place.source()).as_deref(), Some("completed"), "{durability:?}");
        assert!(source.remove().unwrap());
        assert_eq!(text(&place.source()), None);
        cache.source(KEY).durability(Durability::Full).put("by source", &Commit::default()).unwrap();
        assert_eq!(place.names(), ["models.json", "models.meta"], "{durability:?}");
    }
}

fn files_below(folder: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.push(path.to_str().expect("every file name is plain").to_owned());
        if path.is_dir() {
            files_below(&path, all);
        }
    }
}

const NAMES: [&str; 24] = [
    ".",
    "..",
    "../outside/x",
    "/etc/passwd",
    "a/../../b",
    "\0",
    "a\0b",
    "Models",
    "models",
    "MODELS",
    "😀",
    "é",
    "e\u{301}",
    "con",
    "nul.txt",
    "~",
    "%2e",
    ".hidden",
    ".forebay",
    "a b",
    "a\nb",
    "-rf",
    "x.json",
    "x.refreshing",
];

/// A value under each awkward name, in each awkward tier.
fn put_under_awkward_names(place: &Place) -> usize {
    let (long, longest) = ("n".repeat(300), "é".repeat(MAX_NAME / 2));
    let cache = place.open();
    let mut stems = BTreeSet::new();
    for tier in ["..", ".forebay", "Tier", "😀", "plain", &long] {
        for name in NAMES.into_iter().chain([long.as_str(), longest.as_str()]) {
            let key = Key::new(tier, name).unwrap();
            let said = format!("{tier:?} {name:?}");
            put(&cache.source_of(&key), &said);
            let stem = (key.folder().to_lowercase(), key.stem().to_lowercase());
            assert!(stems.insert(stem), "two names meet: {said}");
            // Another handle finds it.
            let value = place.open().source_of(&key).read().unwrap();
            assert_eq!(value.data(), Some(said.as_bytes()));
        }
    }
    stems.len()
}

#[test]
fn d17_no_name_leaves_its_folder_on_a_real_disk() {
    let place = Place::new();
    let above = place.root().parent().unwrap().to_owned();
    std::fs::create_dir(above.join("outside")).unwrap();
    put_under_awkward_names(&place);
    let mut all = Vec::new();
    files_below(&above, &mut all);
    all.retain(|path| !Path::new(path).starts_with(place.root()));
    assert_eq!(all, [above.join("outside").display().to_string()]);
    let below = std::fs::read_dir(place.root().join(".forebay")).unwrap();
    let control: BTreeSet<_> = below.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(control, ["format", "generations", "guard"].map(str::to_owned).into());
}

#[test]
fn d17_every_name_is_listed_as_it_was_given_and_removed_by_it() {
    let place = Place::new();
    let stored = put_under_awkward_names(&place);
    let cache = place.open();
    let listed: Vec<Key> = cache.list().unwrap().into_iter().map(|listed| listed.key).collect();
    assert_eq!(listed.len(), stored);
    for key in &listed {
        let said = format!("{:?} {:?}", key.tier(), key.name());
        assert_eq!(cache.source_of(key).read().unwrap().data(), Some(said.as_bytes()));
        assert!(cache.source_of(key).remove().unwrap());
    }
    assert!(cache.list().unwrap().is_empty());
}
