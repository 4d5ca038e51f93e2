//! Measures forebay in Rust and C, and across processes, against its peers. Prints JSON lines; `scripts/bench`
//! makes the table. One subcommand per group of rows, so that a profiler can be put on one of them.

mod beside;
mod command;
mod commit;
mod crowd;
mod hits;
mod live_hits;
mod live_many;
mod live_put;
mod lmdb;
mod native;
mod opening;
mod quota;
mod waiting;

use forebay_benches::{Outcome, fixture::Fixture};
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str = "forebay-bench GROUP --root DIR [--rounds N] [--batch MS] [--size N] [--with PATH]...

GROUP: fixture | hits | quota | native | beside | threads | open | many | commit-none | commit-data | refresh-none |
       refresh-data | live-hits | live-put | live-many | follow | follow-polling | takeover | race | crowd | command";

/// What the command line said.
pub struct Plan {
    /// A folder of our own, on the file system to be measured.
    pub root: PathBuf,
    /// How many rounds.
    pub rounds: usize,
    /// How long a batch should take.
    pub batch: Duration,
    /// Entries, processes or samples, as the group means it.
    pub size: usize,
    /// Other programs or libraries, as the group means it.
    pub with: Vec<PathBuf>,
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let group = arguments.next().ok_or(USAGE)?;
    let mut plan =
        Plan { root: PathBuf::new(), rounds: 15, batch: Duration::from_millis(4), size: 0, with: Vec::new() };
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match option.as_str() {
            "--root" => plan.root = value.into(),
            "--rounds" => plan.rounds = value.parse()?,
            "--batch" => plan.batch = Duration::from_millis(value.parse()?),
            "--size" => plan.size = value.parse()?,
            "--with" => plan.with.push(value.into()),
            _ => return Err(USAGE.into()),
        }
    }
    forebay_benches::check(!plan.root.as_os_str().is_empty(), || USAGE.to_owned())?;
    forebay_benches::fixture::private_folder(&plan.root)?;
    match group.as_str() {
        "fixture" => fixture(&plan),
        "hits" => hits::run(&plan),
        "quota" => quota::run(&plan),
        "native" => native::run(&plan),
        "beside" => beside::writer(&plan),
        "threads" => beside::threads(&plan),
        "open" => opening::first_read(&plan),
        "many" => opening::many_entries(&plan),
        "commit-none" => commit::commit_without_flush(&plan),
        "commit-data" => commit::commit_with_flush(&plan),
        "refresh-none" => commit::refresh_without_flush(&plan),
        "refresh-data" => commit::refresh_with_flush(&plan),
        "live-hits" => live_hits::run(&plan),
        "live-put" => live_put::run(&plan),
        "live-many" => live_many::run(&plan),
        "follow" => waiting::follow(&plan),
        "follow-polling" => waiting::follow_by_polling(&plan),
        "takeover" => waiting::take_over(&plan),
        "race" => crowd::race(&plan),
        "crowd" => crowd::cold_start(&plan),
        "command" => command::run(&plan),
        _ => Err(USAGE.into()),
    }
}

/// Leaves the reading fixture in the root, for the programs in other languages, and the same values as bare files.
fn fixture(plan: &Plan) -> Outcome<()> {
    let fixture = Fixture::new();
    let _ = fixture.fill(&plan.root.join("cache"))?;
    hits::plain_files(&fixture, &plan.root.join("plain"))?;
    Ok(())
}
