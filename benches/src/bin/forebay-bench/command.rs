//! The `forebay` command's cached hit against `true`, which does nothing, and `bkt`, which does the same: from
//! spawn to exit, output to /dev/null. `--with` names forebay and bkt, in this order.

use crate::Plan;
use forebay_benches::series::Contest;
use forebay_benches::{Outcome, check};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is cached, and what it prints.
const CACHED: [&str; 2] = ["echo", "the answer"];

/// Measures all three.
pub fn run(plan: &Plan) -> Outcome<()> {
    let [forebay, bkt] = plan.with.as_slice() else {
        return Err("--with FOREBAY --with BKT is needed".into());
    };
    let (ours, theirs) = (plan.root.join("forebay"), plan.root.join("bkt"));
    forebay_benches::fixture::private_folder(&theirs)?;
    let mut cached = Command::new(forebay);
    cached.arg("--root").arg(&ours).args(["run", "--ttl", "1d", "--"]).args(CACHED);
    let mut peer = Command::new(bkt);
    peer.arg("--cache-dir").arg(&theirs).args(["--ttl", "1d", "--"]).args(CACHED);
    let nothing = Command::new("/bin/true");
    for command in [&mut cached, &mut peer] {
        for _ in 0..2 {
            let output = command.output()?;
            check(output.status.success() && output.stdout == b"the answer\n", || {
                format!("{command:?}: {output:?}")
            })?;
        }
    }
    let mut contest = Contest::new("command", plan.rounds, plan.batch);
    for (name, mut command) in [("forebay run, cached", cached), ("bkt, cached", peer), ("true", nothing)] {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        contest.add(name, 4, move |operations| spawn(&mut command, operations));
    }
    contest.run()
}

fn spawn(command: &mut Command, operations: usize) -> Outcome<Duration> {
    let start = Instant::now();
    for _ in 0..operations {
        let status = command.status()?;
        check(status.success(), || format!("{command:?}: {status}"))?;
    }
    Ok(start.elapsed())
}
