//! Derived results under kills: a graph of them whose bytes tell what they were computed from, so that a judge can see
//! by a hit alone whether it is stale; workers that do all to it, and a storm that kills them.

pub mod races;
pub mod storm;
pub mod work;

use forebay::{Cache, Code, Derived, Error, Input, Live, LiveJob, LiveKey, Lookup, Result};
use std::path::Path;

/// How many results there are.
pub const RESULTS: usize = 24;
/// How many files there are.
pub const FILES: usize = 3;
/// Each of so many is built on its file alone; the ones after it on it.
const CHAIN: usize = 4;
/// What is added to one of five, so that its bytes are a file of their own.
const PADDING: usize = 70_000;

/// The derived results of a folder: the cache is `root` in it, and its files are `0`, `1` and `2`.
///
/// # Errors
/// Those of opening.
pub fn open(folder: &Path) -> Result<Live> {
    Cache::open(folder.join("root"))?.live()?.workspace(folder)
}

/// The key of a result.
#[must_use]
pub fn key(number: usize) -> LiveKey {
    LiveKey::from_bytes(&number.to_be_bytes())
}

fn upstream(number: usize) -> Option<usize> {
    (!number.is_multiple_of(CHAIN)).then(|| number - 1)
}

fn file(number: usize) -> String {
    (number % FILES).to_string()
}

/// What a result says where its file has that content and its upstream those bytes.
fn text(number: usize, content: &str, upstream: &str) -> String {
    let padding = if number.is_multiple_of(5) { "~".repeat(PADDING) } else { String::new() };
    format!("{number}={content};{}{padding}", upstream.trim_end_matches('~'))
}

fn make(live: &Live, folder: &Path, number: usize) -> Result<String> {
    let content = std::fs::read_to_string(folder.join(file(number))).unwrap_or_default();
    let below = match upstream(number) {
        None => String::new(),
        Some(upstream) => match live.lookup(&key(upstream))?.hit() {
            Some(derived) => String::from_utf8_lossy(derived.data()).into_owned(),
            None => return Err(Error::new(Code::Superseded, "it went while this was computed")),
        },
    };
    Ok(text(number, &content, &below))
}

/// Gets a result, and what it is built on before.
///
/// # Errors
/// Those of computing, where something went meanwhile.
pub fn get(live: &Live, folder: &Path, number: usize) -> Result<Derived> {
    let upstreams = match upstream(number) {
        Some(upstream) => {
            get(live, folder, upstream)?;
            vec![key(upstream)]
        }
        None => Vec::new(),
    };
    let inputs = [Input::File(file(number).into()), Input::Tag(format!("of {}", number % 2))];
    live.get_or_compute(&key(number), &inputs, &upstreams, "storm", |_: &LiveJob| {
        make(live, folder, number).map_err(|error| forebay::Failure::new(error.code(), error.message()))
    })
}

/// What is wrong while nobody writes: faults of the tables, and hits that are not of what the files hold now.
///
/// # Errors
/// Those of reading: none is expected.
pub fn judge(live: &Live, folder: &Path) -> Result<Vec<String>> {
    let mut faults = live.check()?;
    for number in 0..RESULTS {
        if let Lookup::Hit(found) = live.lookup_revalidate(&key(number))? {
            let now = make(live, folder, number)?;
            if found.data() != now.as_bytes() {
                let short = |text: &[u8]| String::from_utf8_lossy(text).chars().take(100).collect::<String>();
                faults.push(format!("stale: {}, now {}", short(found.data()), short(now.as_bytes())));
            }
        }
    }
    faults.extend(live.check()?);
    Ok(faults)
}
