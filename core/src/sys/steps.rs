//! Faults on purpose: in test builds, a process kills or stops itself just before its n-th system call, or has
//! that call fail. `FOREBAY_CRASH_AT` is `17` or `17:stop`; `FOREBAY_FAIL_AT` is `17:28` (the 17th call fails with
//! errno 28) or `17+:28` (it and all later ones). Tests walk n upward until a run is not hit, so each step of
//! each operation is tried without naming any. In other builds there is nothing of it.

use std::io;

#[cfg(not(feature = "testing"))]
#[inline]
#[allow(clippy::unnecessary_wraps, reason = "test builds fail here")]
pub(super) fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(feature = "testing")]
pub(super) fn step() -> io::Result<()> {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    static FAULTS: OnceLock<(Option<testing::Crash>, Option<testing::Fail>)> = OnceLock::new();
    let (crash, fail) = FAULTS.get_or_init(|| (testing::Crash::read(), testing::Fail::read()));
    if crash.is_none() && fail.is_none() {
        return Ok(());
    }
    let number = TAKEN.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(crash) = crash {
        crash.reach(number);
    }
    fail.as_ref().map_or(Ok(()), |fail| fail.reach(number))
}

#[cfg(feature = "testing")]
mod testing {
    use rustix::process::{Signal, getpid, kill_process};
    use std::io;

    pub(super) struct Crash {
        at: u64,
        signal: Signal,
    }

    impl Crash {
        pub(super) fn read() -> Option<Crash> {
            let text = std::env::var("FOREBAY_CRASH_AT").ok()?;
            let (at, signal) = match text.split_once(':') {
                Some((at, "stop")) => (at, Signal::STOP),
                _ => (text.as_str(), Signal::KILL),
            };
            Some(Crash { at: at.parse().ok()?, signal })
        }

        pub(super) fn reach(&self, number: u64) {
            if number == self.at {
                let _ = kill_process(getpid(), self.signal);
            }
        }
    }

    pub(super) struct Fail {
        at: u64,
        for_good: bool,
        errno: i32,
    }

    impl Fail {
        pub(super) fn read() -> Option<Fail> {
            let text = std::env::var("FOREBAY_FAIL_AT").ok()?;
            let (at, errno) = text.split_once(':')?;
            let for_good = at.ends_with('+');
            let at = at.trim_end_matches('+').parse().ok()?;
            Some(Fail { at, for_good, errno: errno.parse().ok()? })
        }

        pub(super) fn reach(&self, number: u64) -> io::Result<()> {
            let hit = number == self.at || (self.for_good && number > self.at);
            if hit { Err(io::Error::from_raw_os_error(self.errno)) } else { Ok(()) }
        }
    }
}
