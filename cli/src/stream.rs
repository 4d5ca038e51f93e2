//! `Stream`: one output of a running command, passed on to where ours goes while it is also kept. Passing on never
//! blocks: a reader who has stopped reading (a pager) must not stall the capture, or the lease would run out
//! behind it. It knows nothing of processes.

use crate::out;
use rustix::event::PollFlags;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How much is read at once.
const READ: usize = 64 * 1024;
/// What a pipe takes without blocking once it says that it is writable (`PIPE_BUF`).
const PIPE_TAKES: usize = 4096;
/// How much of what is no longer to be kept may wait for a slow reader.
const BACKLOG: usize = 1 << 20;

/// What is kept of a stream that outgrows its limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Beyond {
    /// Nothing: it is passed on only.
    Forget,
    /// The end.
    KeepTail,
}

/// One output of a command.
pub(crate) struct Stream {
    from: Option<OwnedFd>,
    to: Option<BorrowedFd<'static>>,
    takes: usize,
    kept: Vec<u8>,
    /// How much of `kept` was passed on.
    passed: usize,
    limit: usize,
    beyond: Beyond,
    dropped: u64,
    broken: Option<Errno>,
}

impl Stream {
    /// What is read from `from` goes to `to`, and up to `limit` bytes are kept.
    pub(crate) fn new(
        from: OwnedFd,
        to: Option<BorrowedFd<'static>>,
        limit: usize,
        beyond: Beyond,
    ) -> Result<Stream, Errno> {
        let flags = rustix::fs::fcntl_getfl(&from)?;
        rustix::fs::fcntl_setfl(&from, flags | OFlags::NONBLOCK)?;
        let takes = match to.map(rustix::fs::fstat) {
            Some(Ok(stat)) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => BACKLOG,
            _ => PIPE_TAKES,
        };
        Ok(Stream {
            from: Some(from),
            to,
            takes,
            kept: Vec::new(),
            passed: 0,
            limit,
            beyond,
            dropped: 0,
            broken: None,
        })
    }

    /// Where to look for more, if it has not ended and there is room for more.
    pub(crate) fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let crowded = self.is_over() && self.pending() > BACKLOG;
        self.from.as_ref().filter(|_| !crowded).map(|from| (from.as_fd(), PollFlags::IN))
    }

    /// Where to pass on what waits, if something does.
    pub(crate) fn sink(&self) -> Option<(BorrowedFd<'static>, PollFlags)> {
        self.to.filter(|_| self.pending() > 0 && self.broken.is_none()).map(|to| (to, PollFlags::OUT))
    }

    fn pending(&self) -> usize {
        if self.to.is_some() && self.broken.is_none() { self.kept.len() - self.passed } else { 0 }
    }

    fn is_over(&self) -> bool {
        self.dropped > 0 || self.kept.len() > self.limit
    }

    /// Reads what is there now, at most a few times; false once nothing more is there for now, or ever.
    pub(crate) fn pull(&mut self) -> bool {
        let Some(from) = &self.from else { return false };
        let length = self.kept.len();
        self.kept.resize(length + READ, 0);
        let read = rustix::io::read(from, &mut self.kept[length..]);
        self.kept.truncate(length + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => self.from = None,
            Err(Errno::INTR) => return true,
            Err(Errno::AGAIN) => return false,
            Err(_) => self.from = None,
            Ok(_) => self.trim(),
        }
        self.from.is_some()
    }

    /// Reads what is in the pipe when the command has ended, and no more: a process that it left behind may go on
    /// writing for ever.
    pub(crate) fn drain(&mut self) {
        let left = self.from.as_ref().and_then(|from| rustix::io::ioctl_fionread(from).ok()).unwrap_or(0);
        for _ in 0..=left / READ as u64 {
            if !self.pull() {
                break;
            }
        }
        self.from = None;
    }

    /// Passes on what can be without blocking; to be called when the sink said that it takes more.
    pub(crate) fn push(&mut self) {
        let Some(to) = self.to.filter(|_| self.pending() > 0) else { return };
        let end = self.kept.len().min(self.passed + self.takes);
        match rustix::io::write(to, &self.kept[self.passed..end]) {
            Ok(written) => self.passed += written,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => self.broken = Some(error),
        }
        self.trim();
    }

    /// Forgets what is over the limit and was passed on. A command whose output nobody reads and nobody keeps
    /// learns so as it would without us: its pipe is closed.
    fn trim(&mut self) {
        if !self.is_over() {
            return;
        }
        let unread = self.pending();
        let wanted = match self.beyond {
            Beyond::Forget => unread,
            Beyond::KeepTail => unread.max(self.limit),
        };
        let spare = self.kept.len().saturating_sub(wanted);
        // What is wanted moves to the front, so only when at least as much goes: else a slow reader of a large
        // output would have all of it moved for every few bytes.
        if spare > wanted {
            self.kept.drain(..spare);
            self.passed = self.passed.saturating_sub(spare);
            self.dropped += spare as u64;
        }
        if self.beyond == Beyond::Forget && self.broken.is_some() {
            self.from = None;
        }
    }

    /// Passes on the rest, however long it takes, after the command has ended.
    pub(crate) fn flush(&mut self) {
        while let Some((to, flags)) = self.sink() {
            let mut fds = [rustix::event::PollFd::from_borrowed_fd(to, flags)];
            let _ = rustix::event::poll(&mut fds, None);
            self.push();
        }
    }

    /// Why our own output could not be written, if so.
    pub(crate) fn broken(&self) -> Option<Errno> {
        self.broken
    }

    /// All of it, if it did not outgrow the limit.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        (!self.is_over()).then_some(&self.kept)
    }

    /// The end of it, and how much before that was dropped.
    pub(crate) fn tail(&self) -> (&[u8], u64) {
        let start = self.kept.len().saturating_sub(self.limit);
        (&self.kept[start..], self.dropped + start as u64)
    }
}

/// Ends, or reports, as a broken standard output wants it.
pub(crate) fn settle(broken: Errno) -> forebay::Error {
    if broken == Errno::PIPE {
        out::die_of_a_broken_pipe();
    }
    out::cannot_write(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn fed(bytes: &[u8], limit: usize, beyond: Beyond) -> Stream {
        let (from, to) = std::io::pipe().unwrap();
        let mut to = to;
        let mut stream = Stream::new(OwnedFd::from(from), None, limit, beyond).unwrap();
        for part in bytes.chunks(1000) {
            to.write_all(part).unwrap();
            stream.pull();
        }
        drop(to);
        while stream.pull() {}
        assert!(stream.from.is_none());
        stream
    }

    #[test]
    fn within_the_limit_all_is_kept() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let stream = fed(&bytes, 10_000, Beyond::Forget);
        assert_eq!(stream.whole(), Some(&bytes[..]));
        assert_eq!(stream.tail(), (&bytes[..], 0));
    }

    #[test]
    fn beyond_the_limit_the_end_is_kept_and_the_rest_counted() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let stream = fed(&bytes, 999, Beyond::KeepTail);
        assert_eq!(stream.whole(), None);
        assert_eq!(stream.tail(), (&bytes[10_000 - 999..], 10_000 - 999));
        assert!(stream.kept.len() < 4000, "{}", stream.kept.len());
    }

    #[test]
    fn what_is_too_large_is_not_kept_at_all() {
        let stream = fed(&[7; 10_000], 5_000, Beyond::Forget);
        assert_eq!(stream.whole(), None);
        assert!(stream.kept.len() <= 5_000);
    }
}
