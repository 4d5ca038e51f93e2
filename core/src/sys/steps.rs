//! Crash points: in test builds, a process kills or stops itself just before its n-th change of the file
//! system, n from `FOREBAY_CRASH_AT` (`17`, or `17:stop`). Tests walk n upward until a run survives, so each
//! step of each operation is tried without naming any. In other builds there is nothing of it.

#[cfg(not(feature = "testing"))]
#[inline]
pub(super) fn step() {}

#[cfg(feature = "testing")]
pub(super) fn step() {
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    static AT: OnceLock<Option<(u64, Signal)>> = OnceLock::new();
    let at = AT.get_or_init(|| {
        let text = std::env::var("FOREBAY_CRASH_AT").ok()?;
        match text.split_once(':') {
            Some((number, "stop")) => Some((number.parse().ok()?, Signal::STOP)),
            _ => Some((text.parse().ok()?, Signal::KILL)),
        }
    });
    if let Some((number, signal)) = at {
        if TAKEN.fetch_add(1, Ordering::SeqCst) + 1 == *number {
            let _ = kill_process(getpid(), *signal);
        }
    }
}
