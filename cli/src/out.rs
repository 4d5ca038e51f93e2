//! Standard output and standard error: data on the one, all else on the other, and what happens when nobody
//! reads any more. It knows nothing of caches.

use forebay::{Code, Error};
use rustix::io::Errno;
use rustix::stdio;
use std::fmt::Display;
use std::io::IsTerminal;
use std::os::fd::BorrowedFd;

/// How much is written at once.
const CHUNK: usize = 1 << 20;

/// Writes bytes to standard output, all of them.
///
/// Where nobody reads it any more the process ends here as any filter does, by SIGPIPE.
pub(crate) fn data(bytes: &[u8]) -> Result<(), Error> {
    match write_all(stdio::stdout(), bytes) {
        Ok(()) => Ok(()),
        Err(Errno::PIPE) => die_of_a_broken_pipe(),
        Err(error) => Err(cannot_write(error)),
    }
}

/// Writes bytes to standard output, all of them; what becomes of a failure is the caller's.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Errno> {
    write_all(stdio::stdout(), bytes)
}

/// Writes a text to standard output, with a line feed behind it.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    data(format!("{text}\n").as_bytes())
}

/// The error of a standard output that cannot be written.
pub(crate) fn cannot_write(error: Errno) -> Error {
    let reason = std::io::Error::from(error);
    let text = reason.to_string();
    let text = text.split(" (os error ").next().unwrap_or(&text);
    Error::new(Code::Io, format!("cannot write standard output: {text}"))
}

/// One line to whoever watches. That nobody can read it is no error.
pub(crate) fn warn(text: &impl Display) {
    let line = format!("forebay: {text}\n");
    let _ = write_all(stdio::stderr(), line.as_bytes());
}

/// Bytes to standard error, as they are.
pub(crate) fn raw_error(bytes: &[u8]) {
    let _ = write_all(stdio::stderr(), bytes);
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(to, &bytes[..bytes.len().min(CHUNK)]) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Someone made the descriptor non-blocking; wait until it takes more.
            Err(Errno::AGAIN) => wait_until_writable(to),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_until_writable(to: BorrowedFd<'_>) {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut fds = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
    let _ = poll(&mut fds, None);
}

/// Ends as a program does that nobody reads: killed by SIGPIPE, so that the shell sees what it always sees.
pub(crate) fn die_of_a_broken_pipe() -> ! {
    die_of(signal_hook::consts::SIGPIPE)
}

/// Ends by that signal, whatever was done with it before.
pub(crate) fn die_of(signal: i32) -> ! {
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    // Not reached for a signal that ends a process; the shells' number for it otherwise.
    signal_hook::low_level::exit(128 + signal)
}

/// Whether to colour what goes to standard output.
pub(crate) fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether someone watches standard error.
pub(crate) fn watched() -> bool {
    std::io::stderr().is_terminal()
}
