//! The storm: workers are killed and stopped at random while files are edited; after each round nobody works, and the
//! judge looks.

use super::work::Dice;
use super::{FILES, judge, open};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// How a storm is made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program that works: `PROGRAM worker FOLDER SEED`.
    pub program: PathBuf,
    /// How many work at once.
    pub workers: usize,
    /// How often all are killed.
    pub rounds: u64,
    /// What all random numbers depend on.
    pub seed: u64,
}

struct Worker {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Worker {
    fn start(plan: &Plan, folder: &Path, seed: u64) -> std::io::Result<Worker> {
        let mut child = Command::new(&plan.program)
            .arg("worker")
            .arg(folder)
            .arg(seed.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(Worker { child, lines: BufReader::new(out) })
    }

    /// Waits for a deed of it; false if it ended.
    fn deed(&mut self) -> bool {
        self.lines.read_line(&mut String::new()).is_ok_and(|read| read > 0)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it, wherever it is; false if it had ended by itself, which it must not.
    fn kill(&mut self) -> std::io::Result<bool> {
        let ended = self.child.try_wait()?.is_some();
        self.child.kill()?;
        self.child.wait()?;
        Ok(!ended)
    }
}

/// Runs a storm in the folder: what was wrong.
///
/// # Errors
/// Those of starting workers.
pub fn run(plan: &Plan, folder: &Path) -> std::io::Result<Vec<String>> {
    let mut dice = Dice(plan.seed);
    let edit = |dice: &mut Dice| {
        std::fs::write(folder.join(dice.index(FILES).to_string()), format!("v{}", dice.below(9)))
    };
    let mut faults = Vec::new();
    for round in 0..plan.rounds {
        let mut workers = (0..plan.workers)
            .map(|_| Worker::start(plan, folder, dice.below(u64::MAX)))
            .collect::<std::io::Result<Vec<_>>>()?;
        for _ in 0..1 + dice.below(12) {
            edit(&mut dice)?;
            let at = dice.index(workers.len());
            for _ in 0..1 + dice.below(8) {
                if !workers[at].deed() {
                    faults.push(format!("round {round}: a worker ended by itself"));
                    break;
                }
            }
            match dice.below(8) {
                0 | 2 => {
                    workers[at].kill()?;
                    workers[at] = Worker::start(plan, folder, dice.below(u64::MAX))?;
                }
                1 => {
                    workers[at].signal(Signal::STOP);
                    let other = dice.index(workers.len());
                    if other != at {
                        workers[other].deed();
                    }
                    workers[at].signal(Signal::CONT);
                }
                _ => {}
            }
        }
        for worker in &mut workers {
            if !worker.kill()? {
                faults.push(format!("round {round}: a worker ended by itself"));
            }
        }
        let live = open(folder).map_err(|error| std::io::Error::other(error.to_string()))?;
        match judge(&live, folder) {
            Ok(found) => faults.extend(found.into_iter().map(|fault| format!("round {round}: {fault}"))),
            Err(error) => faults.push(format!("round {round}: {error}")),
        }
        if !faults.is_empty() {
            break;
        }
    }
    Ok(faults)
}
