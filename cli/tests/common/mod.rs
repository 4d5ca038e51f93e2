//! `Shell`: a folder with a root, a clock that all processes share and commands that count their runs, for tests
//! that run the real `forebay`. Nothing here sleeps: processes are watched through pipes and FIFOs, and every
//! wait has an end after which the test fails.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// After this a test hangs.
pub const HANG: Duration = Duration::from_secs(60);

/// The program under test.
pub const FOREBAY: &str = env!("CARGO_BIN_EXE_forebay");

/// A folder of a test's own.
pub struct Shell {
    folder: tempfile::TempDir,
}

impl Shell {
    pub fn new() -> Shell {
        Shell::within(&std::env::temp_dir())
    }

    /// One in memory where the system has such a folder: for tests with thousands of flushes.
    pub fn in_memory() -> Shell {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Shell::within(memory) } else { Shell::new() }
    }

    fn within(folder: &Path) -> Shell {
        let builder = tempfile::Builder::new().prefix("forebay-cli-").tempdir_in(folder);
        let shell = Shell { folder: builder.unwrap() };
        shell.set_clock(1_800_000_000_000_000_000, 1_000_000_000_000);
        shell
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    fn set_clock(&self, wall_ns: i64, boot_ns: i64) {
        let new = self.path("clock.new");
        fs::write(&new, format!(r#"{{"wall_ns":"{wall_ns}","boot_ns":"{boot_ns}"}}"#)).unwrap();
        fs::rename(new, self.path("clock")).unwrap();
    }

    /// All processes of this shell are that much later.
    pub fn advance(&self, by: Duration) {
        let face: serde_json::Value = serde_json::from_slice(&fs::read(self.path("clock")).unwrap()).unwrap();
        let hand = |name: &str| face[name].as_str().unwrap().parse::<i64>().unwrap();
        let by = i64::try_from(by.as_nanos()).unwrap();
        self.set_clock(hand("wall_ns") + by, hand("boot_ns") + by);
    }

    /// `forebay` with these arguments, in this shell's environment.
    pub fn forebay<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(FOREBAY);
        command.args(arguments);
        self.furnish(&mut command);
        command
    }

    /// `sh -c script`, in which `forebay` is the program under test.
    pub fn sh(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        self.furnish(&mut command);
        let bin = Path::new(FOREBAY).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(all).unwrap());
        command
    }

    fn furnish(&self, command: &mut Command) {
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FOREBAY_"))
        {
            command.env_remove(name);
        }
        command
            .env_remove("NO_COLOR")
            .env("FOREBAY_ROOT", self.root())
            .env("FOREBAY_STATE", self.state())
            .env("FOREBAY_TEST_CLOCK", self.path("clock"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
    }

    /// Runs `forebay` to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        finish(start(&mut self.forebay(arguments)))
    }

    /// Writes an executable script into the folder, and returns its path.
    pub fn script(&self, name: &str, body: &str) -> PathBuf {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.path(name);
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o755).open(&path).unwrap();
        file.write_all(format!("#!/bin/sh\n{body}\n").as_bytes()).unwrap();
        path
    }

    /// A script that counts its runs in the file `runs` and then does that.
    pub fn counting(&self, body: &str) -> PathBuf {
        self.script("counting", &format!("echo run >> '{}'\n{body}", self.path("runs").display()))
    }

    /// How often it ran.
    pub fn runs(&self) -> usize {
        fs::read_to_string(self.path("runs")).unwrap_or_default().lines().count()
    }

    /// A FIFO in the folder.
    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_bits_truncate(0o600),
            0,
        )
        .unwrap();
        path
    }
}

/// What a process printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub status: ExitStatus,
}

impl Ran {
    /// Its exit status; panics where a signal ended it.
    #[track_caller]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("killed: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }

    /// Asserts success, and returns what it printed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.status.success(), "{self:?}\n{}", self.errors());
        self.text()
    }

    /// Asserts success with JSON on standard output.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// Starts it with its outputs piped.
pub fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for its end, but not for ever.
#[track_caller]
pub fn finish(child: Child) -> Ran {
    let pid = child.id();
    let Output { status, stdout, stderr } =
        within(&format!("process {pid}"), move || child.wait_with_output().unwrap());
    Ran { out: stdout, err: stderr, status }
}

/// Does something that blocks, but not for ever.
#[track_caller]
pub fn within<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(HANG).unwrap_or_else(|_| panic!("{what}: hangs"))
}

/// What comes through a FIFO: blocks until a writer has opened and closed it.
#[track_caller]
pub fn heard(fifo: &Path) -> String {
    let path = fifo.to_owned();
    within(&format!("reading {}", fifo.display()), move || fs::read_to_string(path).unwrap())
}

/// Says something through a FIFO: blocks until a reader has opened it.
#[track_caller]
pub fn tell(fifo: &Path, words: &str) {
    let (path, words) = (fifo.to_owned(), words.to_owned());
    within(&format!("writing {}", fifo.display()), move || fs::write(path, words).unwrap());
}

/// Looks again and again, at most as long as a hang takes.
#[track_caller]
pub fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + HANG;
    while !look() {
        assert!(std::time::Instant::now() < until, "{what}: never");
        std::thread::yield_now();
        // Between two looks at the disk, without a sleep that a test could come to rely on.
        let mut nothing = [];
        let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
        let _ = rustix::event::poll(&mut nothing, Some(&pause));
    }
}

/// Looks until a process sleeps as those do who wait for another's work: in a futex.
#[track_caller]
pub fn waits(pid: u32) {
    let futex = if cfg!(target_arch = "x86_64") { "202" } else { "98" };
    let call = format!("/proc/{pid}/syscall");
    eventually("it waits", || {
        fs::read_to_string(&call).is_ok_and(|call| call.split(' ').next() == Some(futex))
    });
}

/// Sends a signal.
pub fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Whether a file below this folder holds these bytes, in its name or in itself.
pub fn anywhere(folder: &Path, needle: &str) -> bool {
    fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| {
        let path = entry.path();
        let mut bytes = Vec::new();
        if entry.file_name().to_string_lossy().contains(needle) {
            return true;
        }
        if path.is_dir() {
            return anywhere(&path, needle);
        }
        fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

/// A terminal: what a program writes into the second comes out of the first.
pub fn terminal() -> (fs::File, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::os::unix::ffi::OsStrExt;
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let path = OsStr::from_bytes(name.to_bytes());
    let theirs = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    (fs::File::from(ours), OwnedFd::from(theirs))
}
