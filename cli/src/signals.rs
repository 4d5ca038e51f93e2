//! `Signals`: the signals that end us, caught while a command runs, so that it can be told and we end as it does. When
//! nobody listens any more they end us as before. It knows nothing of what is run.

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::{SigId, flag, low_level};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether they end us: nobody listens.
static AT_REST: AtomicBool = AtomicBool::new(true);
static LISTENERS: Mutex<Listeners> = Mutex::new(Listeners { count: 0, armed: false });

struct Listeners {
    count: usize,
    /// Whether [`AT_REST`] is looked at when a signal comes.
    armed: bool,
}

fn listeners() -> MutexGuard<'static, Listeners> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The signals that whoever started us has us ignore, one bit each (`nohup`, a job of a script in the background).
/// They stay ignored, here and in the command.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    field.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

/// One listener for SIGINT, SIGTERM, SIGHUP and SIGQUIT, each on a socket of its own.
pub(crate) struct Signals {
    sockets: Vec<(i32, UnixStream)>,
    ids: Vec<SigId>,
}

impl Signals {
    /// From now on they are caught.
    pub(crate) fn listen() -> std::io::Result<Signals> {
        let ignored = ignored();
        let caught: Vec<i32> = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]
            .into_iter()
            .filter(|signal| ignored & (1 << (signal - 1)) == 0)
            .collect();
        let mut out = {
            let mut listeners = listeners();
            if !listeners.armed {
                for signal in &caught {
                    flag::register_conditional_default(*signal, &AT_REST)?;
                }
                listeners.armed = true;
            }
            listeners.count += 1;
            AT_REST.store(false, Ordering::SeqCst);
            Signals { sockets: Vec::new(), ids: Vec::new() }
        };
        for signal in caught {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            out.ids.push(low_level::pipe::register(signal, theirs)?);
            out.sockets.push((signal, ours));
        }
        Ok(out)
    }

    /// What becomes readable when a signal comes.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &UnixStream> {
        self.sockets.iter().map(|(_, socket)| socket)
    }

    /// A signal that has come and was not taken yet, if there is one. Of several kinds each is taken by itself.
    pub(crate) fn take(&mut self) -> Option<i32> {
        for (signal, socket) in &mut self.sockets {
            if matches!(socket.read(&mut [0; 64]), Ok(1..)) {
                return Some(*signal);
            }
        }
        None
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        {
            let mut listeners = listeners();
            listeners.count -= 1;
            AT_REST.store(listeners.count == 0, Ordering::SeqCst);
        }
        for id in self.ids.drain(..) {
            low_level::unregister(id);
        }
    }
}
