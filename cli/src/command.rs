//! `run`ning a command: started with its outputs captured, watched until it ends, its deadline is over or a signal
//! comes for us. Whether it may run and what becomes of its output is not known here.
//!
//! It ends when the command itself has ended, not when its pipes are closed: a process that it left behind may hold
//! them for hours.

use crate::feed::Feed;
use crate::out;
use crate::signals::Signals;
use crate::stream::{Beyond, Stream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::{Pid, Signal};
use signal_hook::consts::{SIGINT, SIGQUIT};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The largest output that is kept: what is larger is passed on and not stored.
pub(crate) const MAX_OUTPUT: usize = 256 << 20;
/// The largest standard error that is kept: of a longer one, the end.
pub(crate) const MAX_STDERR: usize = 64 << 10;
/// Between the polite signal and the other one, unless the job says otherwise.
const GRACE: Duration = Duration::from_secs(2);
/// How often to look for the end where the system cannot announce it.
const LOOK: Duration = Duration::from_millis(25);

/// Where the outputs of a command go while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Show {
    /// Both where ours go.
    Both,
    /// Standard error only.
    Errors,
    /// Nowhere: nobody watches, and the command gets a process group of its own.
    Nothing,
}

/// A command line to be run.
pub(crate) struct Job<'a> {
    pub(crate) line: &'a [OsString],
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) deadline: Duration,
    pub(crate) show: Show,
    /// What it reads from its standard input; none: `/dev/null`.
    pub(crate) input: Option<Vec<u8>>,
    /// Between SIGTERM at the deadline and SIGKILL.
    pub(crate) grace: Duration,
    /// Whether the first signal that comes for us waits until it has ended; then the text says so.
    pub(crate) patience: Option<&'static str>,
}

impl<'a> Job<'a> {
    /// That command line, for at most that long.
    pub(crate) fn new(line: &'a [OsString], deadline: Duration, show: Show) -> Job<'a> {
        Job { line, variables: Vec::new(), deadline, show, input: None, grace: GRACE, patience: None }
    }
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// With that status.
    Exited(i32),
    /// By that signal.
    Killed(i32),
    /// Its deadline was over, and we ended it.
    Overran,
}

/// What a command brought.
pub(crate) struct Outcome {
    pub(crate) end: End,
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
    /// The signal that came for us meanwhile.
    pub(crate) signal: Option<i32>,
    /// As long as this lives, what is done with the outcome is not interrupted either.
    signals: Signals,
}

impl Outcome {
    /// Whether it may be stored: a full success, and nobody interrupted it.
    pub(crate) fn is_success(&self) -> bool {
        self.end == End::Exited(0) && self.signal.is_none()
    }

    /// The signal that has come for us until now.
    pub(crate) fn interrupted(&mut self) -> Option<i32> {
        self.signal = self.signal.or_else(|| self.signals.take());
        self.signal
    }
}

/// Runs the command. The error is that of a command which could not be started.
pub(crate) fn run(job: &Job<'_>) -> std::io::Result<Outcome> {
    let Some((program, arguments)) = job.line.split_first() else {
        return Err(std::io::Error::from(ErrorKind::InvalidInput));
    };
    let mut command = std::process::Command::new(program);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if job.input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.envs(job.variables.iter().map(|(name, value)| (name, value)));
    if job.show == Show::Nothing {
        command.process_group(0);
    }
    let signals = Signals::listen()?;
    let mut child = command.spawn()?;
    let to = |shown: bool, fd: BorrowedFd<'static>| shown.then_some(fd);
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(std::io::Error::from(ErrorKind::BrokenPipe));
    };
    let out_to = to(job.show == Show::Both, rustix::stdio::stdout());
    let err_to = to(job.show != Show::Nothing, rustix::stdio::stderr());
    let stdout = Stream::new(OwnedFd::from(out), out_to, MAX_OUTPUT, Beyond::Forget)?;
    let stderr = Stream::new(OwnedFd::from(err), err_to, MAX_STDERR, Beyond::KeepTail)?;
    let feed = match (child.stdin.take(), &job.input) {
        (Some(to), Some(bytes)) => Some(Feed::new(OwnedFd::from(to), bytes.clone())?),
        _ => None,
    };
    let group = job.show == Show::Nothing;
    let watch = Watch {
        pidfd: announce(&child),
        child,
        feed,
        group,
        grace: job.grace,
        patience: job.patience,
        signals,
    };
    watch.until_the_end(job.deadline, stdout, stderr)
}

/// A descriptor that becomes readable when the child ends, where the system has such.
fn announce(child: &Child) -> Option<OwnedFd> {
    #[cfg(target_os = "linux")]
    return rustix::process::pidfd_open(pid_of(child), rustix::process::PidfdFlags::empty()).ok();
    #[cfg(not(target_os = "linux"))]
    return None;
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

struct Watch {
    child: Child,
    pidfd: Option<OwnedFd>,
    feed: Option<Feed>,
    group: bool,
    grace: Duration,
    patience: Option<&'static str>,
    signals: Signals,
}

impl Watch {
    fn until_the_end(
        mut self,
        deadline: Duration,
        mut stdout: Stream,
        mut stderr: Stream,
    ) -> std::io::Result<Outcome> {
        let mut ends_at = Instant::now().checked_add(deadline);
        let mut overran = false;
        let mut signal = None;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            let now = Instant::now();
            if ends_at.is_some_and(|at| at <= now) {
                self.send(if overran { Signal::KILL } else { Signal::TERM });
                overran = true;
                ends_at = now.checked_add(self.grace);
            }
            self.wait(&stdout, &stderr, ends_at)?;
            if let Some(feed) = &mut self.feed {
                feed.push();
            }
            for stream in [&mut stdout, &mut stderr] {
                for _ in 0..16 {
                    if !stream.pull() {
                        break;
                    }
                }
                push_if_it_takes(stream);
            }
            if let Some(came) = self.signals.take() {
                signal = signal.or(Some(came));
                match self.patience.take() {
                    Some(told) => out::warn(&told),
                    None => self.pass_on(came),
                }
            }
        };
        // What it wrote before it ended is in the pipes already.
        stdout.drain();
        stderr.drain();
        let mut outcome =
            Outcome { end: end_of(status, overran), stdout, stderr, signal, signals: self.signals };
        // One that reached the command as well may have ended it before we looked.
        outcome.interrupted();
        Ok(outcome)
    }

    /// Sleeps until something happens.
    fn wait(&self, stdout: &Stream, stderr: &Stream, until: Option<Instant>) -> std::io::Result<()> {
        let ends = [stdout.source(), stderr.source()].into_iter().flatten();
        let sinks = [stdout.sink(), stderr.sink()].into_iter().flatten();
        let mut fds: Vec<PollFd<'_>> =
            ends.chain(sinks).map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
        fds.extend(self.pidfd.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(self.signals.sockets().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let hungry = self.feed.as_ref().and_then(Feed::sink);
        fds.extend(hungry.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        let mut most = until.map(|at| at.saturating_duration_since(Instant::now()));
        if self.pidfd.is_none() {
            most = Some(most.map_or(LOOK, |most| most.min(LOOK)));
        }
        let most = most.and_then(|most| Timespec::try_from(most).ok());
        match poll(&mut fds, most.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn send(&self, signal: Signal) {
        let pid = pid_of(&self.child);
        // Not yet waited for, so the number is still its own.
        let _ = if self.group {
            rustix::process::kill_process_group(pid, signal)
        } else {
            rustix::process::kill_process(pid, signal)
        };
    }

    /// Passes a signal of ours on, unless the terminal has sent it to the command as well.
    fn pass_on(&self, signal: i32) {
        let of_the_keyboard = matches!(signal, SIGINT | SIGQUIT);
        if of_the_keyboard && !self.group && in_the_foreground() {
            return;
        }
        if let Some(signal) = Signal::from_named_raw(signal) {
            self.send(signal);
        }
    }
}

fn push_if_it_takes(stream: &mut Stream) {
    while let Some((to, flags)) = stream.sink() {
        let mut fds = [PollFd::from_borrowed_fd(to, flags)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if !matches!(poll(&mut fds, Some(&now)), Ok(1..)) {
            return;
        }
        stream.push();
    }
}

/// Whether the terminal sends its signals to us, and so to the command, which is in our process group.
fn in_the_foreground() -> bool {
    let Ok(terminal) = std::fs::File::open("/dev/tty") else { return false };
    rustix::termios::tcgetpgrp(terminal.as_fd()).is_ok_and(|group| group == rustix::process::getpgrp())
}

fn end_of(status: ExitStatus, overran: bool) -> End {
    if overran {
        return End::Overran;
    }
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, signal) => End::Killed(signal.unwrap_or(0)),
    }
}
