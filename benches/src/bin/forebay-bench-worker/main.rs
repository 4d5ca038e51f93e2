//! What the measured processes run: small, with forebay and nothing of its peers, since how long a process takes
//! to start is part of some figures. Each role is told its root and does one thing.

mod racer;
mod roles;

use forebay_benches::Outcome;
use std::path::Path;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest: Vec<&str> = arguments.iter().skip(2).map(String::as_str).collect();
    let (Some(role), Some(root)) = (arguments.first(), arguments.get(1)) else {
        return Err("forebay-bench-worker ROLE ROOT ...: started by forebay-bench".into());
    };
    let root = Path::new(root);
    match (role.as_str(), rest.as_slice()) {
        ("open", [key]) => roles::open_and_read(root, key),
        ("live-open", [key]) => roles::open_and_look(root, key),
        ("original-live-open", [key]) => roles::open_original_and_look(root, key),
        ("plain", _) => roles::plain_read(root),
        ("hits", [count]) => roles::hits(root, count.parse()?),
        ("writer", _) => roles::writer(root),
        ("follower", [key]) => roles::follower(root, key),
        ("poller", [count]) => roles::poller(root, count.parse()?),
        ("holder", [key]) => roles::holder(root, key),
        ("starter", _) => roles::starter(root),
        ("racer", [board, number, racers, rounds]) => {
            racer::race(root, Path::new(board), number.parse()?, racers.parse()?, rounds.parse()?)
        }
        _ => Err(format!("no such role: {arguments:?}").into()),
    }
}
