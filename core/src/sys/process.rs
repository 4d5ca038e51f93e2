//! `Process`: who a process is, so that another can tell whether it still lives: its number means something
//! only within one start of the machine and one pid namespace.

use std::sync::{Arc, Mutex, PoisonError};

/// A process's number and the worlds in which it means something.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) boot: String,
    pub(crate) pidns: String,
    pub(crate) timens: String,
}

impl Process {
    fn look() -> Process {
        let namespace = |kind: &str| {
            let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap_or_default();
            link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
        };
        let boot = boot_of_test().unwrap_or_else(|| {
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
        });
        Process {
            pid: std::process::id(),
            boot: boot.trim().to_owned(),
            pidns: namespace("pid"),
            timens: namespace("time"),
        }
    }

    /// Whether numbers of processes mean the same to both.
    pub(crate) fn shares_pids(&self, boot: &str, pidns: &str) -> bool {
        !self.boot.is_empty() && !self.pidns.is_empty() && self.boot == boot && self.pidns == pidns
    }

    /// Whether boot clocks tell the same to both.
    pub(crate) fn shares_boot_clock(&self, boot: &str, timens: &str) -> bool {
        !self.boot.is_empty() && self.boot == boot && self.timens == timens
    }
}

/// In test builds a process can believe that the machine was started another time: `FOREBAY_BOOT_ID`.
#[cfg(feature = "testing")]
fn boot_of_test() -> Option<String> {
    std::env::var("FOREBAY_BOOT_ID").ok()
}

#[cfg(not(feature = "testing"))]
fn boot_of_test() -> Option<String> {
    None
}

/// The identity of this process, looked up once and again after a fork.
#[derive(Debug, Default)]
pub(crate) struct Current(Mutex<Option<Arc<Process>>>);

impl Current {
    pub(crate) fn get(&self) -> Arc<Process> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.get_or_insert_with(|| Arc::new(Process::look())))
    }
}

/// Whether the process of that number has ended, by a descriptor that stands for the process itself and so
/// cannot be fooled by a number that was given again.
#[cfg(target_os = "linux")]
pub(crate) fn gone(pid: u32) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Err(error) => error == rustix::io::Errno::SRCH,
        Ok(fd) => {
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(ready) if ready > 0)
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn gone(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    matches!(test_kill_process(pid), Err(error) if error == rustix::io::Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_process_is_not_gone_and_a_reaped_one_is() {
        assert!(!gone(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(gone(pid));
        assert!(!gone(0) && !gone(u32::MAX));
    }

    #[test]
    fn unknown_worlds_are_never_shared() {
        let nobody = Process::default();
        assert!(!nobody.shares_pids("", "") && !nobody.shares_boot_clock("", ""));
        let me = Process::look();
        assert!(me.shares_pids(&me.boot, &me.pidns) && !me.shares_pids(&me.boot, "1"));
    }
}
