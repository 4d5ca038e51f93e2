//! Many processes at once: eight that race for each refresh, where exactly one may run, and a hundred that start
//! on a cold source, against one that does so alone.

use crate::Plan;
use forebay_benches::children::worker;
use forebay_benches::fixture::private_folder;
use forebay_benches::series::{print_fact, print_series};
use forebay_benches::{Outcome, check};
use serde_json::json;
use std::process::{Child, Command};
use std::time::Instant;

const RACERS: usize = 8;

/// `--rounds` rounds; the racers themselves count runs and compare values, round by round.
pub fn race(plan: &Plan) -> Outcome<()> {
    let root = plan.root.join("race");
    private_folder(&root)?;
    let board = plan.root.join("race-board");
    std::fs::write(&board, [0u8; 4096])?;
    let start = Instant::now();
    let mut racers: Vec<Child> = Vec::new();
    for number in 0..RACERS {
        let mut command = Command::new(worker()?);
        command.arg("racer").arg(&root).arg(&board);
        command.args([number, RACERS, plan.rounds].map(|number| number.to_string()));
        racers.push(command.spawn()?);
    }
    for racer in &mut racers {
        let status = racer.wait()?;
        check(status.success(), || format!("a racer failed: {status}"))?;
    }
    let board = std::fs::read(&board)?;
    let counted = |at: usize| u32::from_ne_bytes([board[at], board[at + 1], board[at + 2], board[at + 3]]);
    print_fact("race: rounds", plan.rounds);
    print_fact("race: rounds with exactly one run", counted(64));
    print_fact("race: seconds", start.elapsed().as_secs_f64());
    Ok(())
}

/// `--size` processes on a source without a value, whose refresher takes 200 ms, against one process.
pub fn cold_start(plan: &Plan) -> Outcome<()> {
    let (mut crowd, mut alone, mut most_runs) = (Vec::new(), Vec::new(), 0);
    for round in 0..plan.rounds {
        let mut sizes = [plan.size, 1];
        if round % 2 == 1 {
            sizes.reverse();
        }
        for size in sizes {
            let root = plan.root.join(format!("crowd-{round}-{size}"));
            let _ = std::fs::remove_dir_all(&root);
            private_folder(&root)?;
            let nanos = start_at_once(size, &root)?;
            let runs = std::fs::read(root.join("runs"))?.len();
            most_runs = most_runs.max(runs);
            if size == 1 {
                alone.push(nanos)
            } else {
                crowd.push(nanos)
            }
            std::fs::remove_dir_all(&root)?;
        }
    }
    print_series("crowd", "ns", json!({"all at once": crowd, "one alone": alone}));
    print_fact("crowd: processes", plan.size);
    print_fact("crowd: most refreshes", most_runs);
    Ok(())
}

/// From the first start to the last end.
fn start_at_once(size: usize, root: &std::path::Path) -> Outcome<f64> {
    let program = worker()?;
    let start = Instant::now();
    let mut children: Vec<Child> = Vec::with_capacity(size);
    for _ in 0..size {
        children.push(Command::new(&program).arg("starter").arg(root).spawn()?);
    }
    for child in &mut children {
        let status = child.wait()?;
        check(status.success(), || format!("a process of the crowd failed: {status}"))?;
    }
    Ok(start.elapsed().as_nanos() as f64)
}
