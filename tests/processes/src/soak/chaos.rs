//! Chaos: starts workers, kills and stops them at random instants, and begins new ones.

use super::log::{Event, Log, now};
use super::worker::Dice;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// How many workers were killed.
    pub kills: u64,
    /// How many were stopped for a while.
    pub stops: u64,
}

/// A worker, and until when it is stopped.
struct Worker {
    child: Child,
    stopped_until: Option<Instant>,
}

/// Runs workers for that time: `program verb folder seed`.
///
/// # Errors
/// Those of the system.
pub fn run(
    program: &Path,
    verb: &str,
    folder: &Path,
    workers: usize,
    time: Duration,
    rule: Option<&str>,
    seed: u64,
) -> std::io::Result<Done> {
    let mut dice = Dice::new(seed);
    let mut done = Done::default();
    let mut log = Log::open(&folder.join("logs"))?;
    let start = |dice: &mut Dice| -> std::io::Result<Worker> {
        let mut command = Command::new(program);
        command.arg(verb).arg(folder).arg(dice.below(u64::MAX).to_string()).stdin(Stdio::null());
        if let Some(rule) = rule {
            command.env("FOREBAY_BREAK", rule);
        }
        Ok(Worker { child: command.spawn()?, stopped_until: None })
    };
    let mut running: Vec<Worker> = (0..workers).map(|_| start(&mut dice)).collect::<Result<_, _>>()?;
    let until = Instant::now() + time;
    while Instant::now() < until {
        pause(Duration::from_micros(500 + dice.below(20_000)));
        wake(&mut running);
        let at = usize::try_from(dice.below(workers as u64)).unwrap_or(0);
        if dice.below(3) > 0 {
            let pid = running[at].child.id();
            // Told before it is done: the judge must never believe that a dead holder lived.
            log.write(&Event {
                what: "kill".into(),
                key: 0,
                pid,
                begin: now(),
                end: now(),
                token: 0,
                word: "ok".into(),
            });
            running[at].child.kill()?;
            running[at].child.wait()?;
            running[at] = start(&mut dice)?;
            done.kills += 1;
        } else if running[at].stopped_until.is_none() {
            signal(&running[at].child, Signal::STOP);
            running[at].stopped_until = Some(Instant::now() + Duration::from_millis(35 + dice.below(80)));
            done.stops += 1;
        }
    }
    for mut worker in running {
        worker.child.kill()?;
        worker.child.wait()?;
    }
    Ok(done)
}

fn wake(running: &mut [Worker]) {
    for worker in running {
        if worker.stopped_until.is_some_and(|until| Instant::now() >= until) {
            signal(&worker.child, Signal::CONT);
            worker.stopped_until = None;
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn pause(duration: Duration) {
    #[allow(clippy::disallowed_methods, reason = "the instants of chaos are random times")]
    std::thread::sleep(duration);
}
