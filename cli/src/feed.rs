//! `Feed`: bytes for a command's standard input, written as it takes them. A command that does not want them is no
//! error. It knows nothing of processes.

use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a command is to read.
pub(crate) struct Feed {
    to: Option<OwnedFd>,
    bytes: Vec<u8>,
    written: usize,
}

impl Feed {
    /// Those bytes, and then the end of the file.
    pub(crate) fn new(to: OwnedFd, bytes: Vec<u8>) -> Result<Feed, Errno> {
        let flags = rustix::fs::fcntl_getfl(&to)?;
        rustix::fs::fcntl_setfl(&to, flags | OFlags::NONBLOCK)?;
        Ok(Feed { to: Some(to), bytes, written: 0 })
    }

    /// Where to look for room, until all is written.
    pub(crate) fn sink(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.to.as_ref().map(|to| (to.as_fd(), PollFlags::OUT))
    }

    /// Writes what fits.
    pub(crate) fn push(&mut self) {
        while let Some(to) = self.to.as_ref().filter(|_| self.written < self.bytes.len()) {
            match rustix::io::write(to, &self.bytes[self.written..]) {
                Ok(written) => self.written += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => break,
            }
        }
        self.to = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn all_of_it_arrives_and_then_the_end() {
        let (mut from, to) = std::io::pipe().unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let mut feed = Feed::new(OwnedFd::from(to), bytes.clone()).unwrap();
        let mut read = Vec::new();
        while feed.sink().is_some() {
            feed.push();
            let mut part = [0; 65_536];
            let length = from.read(&mut part).unwrap();
            read.extend_from_slice(&part[..length]);
        }
        from.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let (from, to) = std::io::pipe().unwrap();
        drop(from);
        let mut feed = Feed::new(OwnedFd::from(to), vec![1]).unwrap();
        feed.push();
        assert!(feed.sink().is_none());
    }
}
