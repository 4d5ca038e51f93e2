//! `Credentials`: single-use credentials, such as OAuth refresh tokens, exchanged by exactly one of all processes,
//! stored durably before anyone sees them, and never used twice: where nobody knows whether the server has seen
//! one, that is recorded and reported. They live in the state root, which nobody clears as a cache.

pub(crate) mod credential;
pub(crate) mod rotation;

use crate::entry::Version;
use crate::error::{Code, Error, Result};
use crate::event::EventKind;
use crate::fs::Durability;
use crate::key::Key;
use crate::source::cache::user_folder;
use crate::source::core::{Core, SLICE};
use crate::source::fetched::Failure;
use crate::source::options::DEFAULT_DEADLINE;
use crate::source::refresh::panicked;
use crate::source::value::{How, Phase};
use crate::stamp::instant;
use crate::store::Draft;
use crate::store::file::FileStore;
use crate::sys::clock::{Clock, chosen};
use crate::sys::real::RealSys;
use credential::{Credential, Exchange, RotateState};
use rotation::{ABOUT, RotateStep, Rotation, backoff};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How credentials are opened.
///
/// ```
/// use forebay::CredentialsOptions;
/// use std::time::{Duration, SystemTime};
/// # let folder = tempfile::tempdir().unwrap();
/// let options = CredentialsOptions::new().root(folder.path().join("state")).deadline(Duration::from_secs(10));
/// assert!(options.open()?.current("github")?.is_none());
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CredentialsOptions {
    root: Option<PathBuf>,
    clock: Option<Clock>,
    test_clock: Option<PathBuf>,
    deadline: Option<Duration>,
}

impl CredentialsOptions {
    /// The defaults: the user's state folder, the real clock, exchanges of at most 30 seconds.
    #[must_use]
    pub fn new() -> CredentialsOptions {
        CredentialsOptions::default()
    }

    /// The state root that processes share.
    #[must_use]
    pub fn root(mut self, root: impl Into<PathBuf>) -> CredentialsOptions {
        self.root = Some(root.into());
        self
    }

    /// Another clock than the real one.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> CredentialsOptions {
        self.clock = Some(clock);
        self
    }

    /// A clock in a file that several processes share, for tests ([`Clock::file`]).
    #[must_use]
    pub fn test_clock(mut self, path: impl Into<PathBuf>) -> CredentialsOptions {
        self.test_clock = Some(path.into());
        self
    }

    /// How long an exchange may take.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> CredentialsOptions {
        self.deadline = Some(deadline);
        self
    }

    /// Opens the state root. Nothing is written.
    ///
    /// # Errors
    /// [`Code::UnsafeRoot`], [`Code::UnsupportedFs`], [`Code::NewerFormat`]; [`Code::Invalid`] where no folder is
    /// named and the user has none.
    pub fn open(self) -> Result<Credentials> {
        let clock = chosen(self.test_clock.as_deref(), self.clock)?;
        let root = self.root.map_or_else(user_state_root, Ok)?;
        let store = FileStore::open_state(Arc::new(RealSys::new(clock)), &root)?;
        let root = store.root().path().to_owned();
        let core = Arc::new(Core::new(Box::new(store), root, Durability::Full));
        Ok(Credentials { core, deadline: self.deadline.unwrap_or(DEFAULT_DEADLINE) })
    }
}

fn user_state_root() -> Result<PathBuf> {
    default_state_root().ok_or_else(|| {
        Error::new(Code::Invalid, "no state folder: neither XDG_STATE_HOME nor HOME names one")
            .with_hint("set FOREBAY_STATE, or name a root when opening")
    })
}

/// The folder of what must not be lost: `FOREBAY_STATE`, else `$XDG_STATE_HOME/forebay`, else
/// `$HOME/.local/state/forebay`. Relative and empty variables of XDG count as unset; none where none is there.
///
/// ```
/// assert!(forebay::default_state_root().is_none_or(|root| !root.as_os_str().is_empty()));
/// ```
#[must_use]
pub fn default_state_root() -> Option<PathBuf> {
    if let Some(root) = std::env::var_os("FOREBAY_STATE").filter(|root| !root.is_empty()) {
        return Some(root.into());
    }
    let below = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/state" };
    user_folder("XDG_STATE_HOME", below).map(|root| root.join("forebay"))
}

/// Single-use credentials that processes share. Cheap to clone: clones are the same. Usable from any thread.
///
/// ```
/// use forebay::{Credentials, Failure, How};
/// # let folder = tempfile::tempdir().unwrap();
/// let credentials = Credentials::open(folder.path().join("state"))?;
/// let login = credentials.rotate("github", None, |_| Ok::<_, Failure>("first token"))?;
/// let next = credentials.rotate("github", Some(login.version()), |exchange| {
///     assert_eq!(exchange.previous(), Some(&b"first token"[..]));
///     Ok::<_, Failure>("second token")
/// })?;
/// assert_eq!((next.how(), next.data()), (How::Ran, &b"second token"[..]));
/// // Whoever has only seen the first gets the second; no exchange is made.
/// let late = credentials.rotate("github", Some(login.version()), |_| Ok::<_, Failure>("never"))?;
/// assert_eq!(late.data(), b"second token");
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Credentials {
    core: Arc<Core>,
    deadline: Duration,
}

impl Credentials {
    /// Opens that state root, with defaults.
    ///
    /// # Errors
    /// As [`CredentialsOptions::open`].
    pub fn open(root: impl AsRef<Path>) -> Result<Credentials> {
        CredentialsOptions::new().root(root.as_ref()).open()
    }

    /// Opens the user's state root: [`default_state_root`].
    ///
    /// # Errors
    /// As [`CredentialsOptions::open`].
    pub fn open_default() -> Result<Credentials> {
        CredentialsOptions::new().open()
    }

    /// The state root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.core.root
    }

    /// The time, by the clock in use: what the instants of states and errors are compared with.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        instant(self.core.now())
    }

    /// The credential that is stored, if one is. Also while an exchange of it is open.
    ///
    /// # Errors
    /// [`Code::Damaged`], and those of reading.
    pub fn current(&self, key: &str) -> Result<Option<Credential>> {
        self.core.check_open()?;
        let look = self.core.store.look(&Key::credential(key)?)?;
        if let Some(damaged) = look.damaged {
            return Err(damaged.with_hint("log in again, then store the new credential with rotate_reset"));
        }
        Ok(look.entry.map(|entry| Credential { entry, how: How::Fresh, error: None }))
    }

    /// What is known of the rotation of that credential.
    ///
    /// # Errors
    /// Those of reading.
    pub fn state(&self, key: &str) -> Result<RotateState> {
        self.core.check_open()?;
        let key = Key::credential(key)?;
        let (look, facts) = (self.core.store.look(&key)?, self.core.store.facts(&key)?);
        let (now, cap) = (self.core.now(), backoff().cap);
        let retry_at = facts.gate.as_ref().and_then(|gate| gate.retry_at(now, cap));
        let running = facts.lease.is_some();
        Ok(RotateState {
            phase: match (running, retry_at) {
                (true, _) => Phase::Running,
                (false, Some(_)) => Phase::Cooling,
                (false, None) => Phase::Idle,
            },
            ambiguous_since: facts.started.filter(|_| !running).map(instant),
            retry_at,
            last_error: facts.gate.as_ref().and_then(|gate| gate.failure(now, cap)),
            version: look.entry.map_or_else(Version::absent, |entry| entry.version.clone()),
        })
    }

    /// The next credential, if the stored one is still `seen` (none: if none is stored): one of all processes runs
    /// `exchange`, the others get what it brought. If another is stored, that one.
    ///
    /// That the exchange has begun is on disk before it is called. Unless it returns, or fails with a code that says
    /// that the server refused ([`Code::Unauthorized`], [`Code::RateLimited`], [`Code::Invalid`],
    /// [`Code::NoCredentials`]) or with [`Failure::not_sent`], nobody knows what became of the credential: every
    /// `rotate` is [`Code::Ambiguous`] until [`Credentials::reset`].
    ///
    /// # Errors
    /// The exchange's own, [`Code::Ambiguous`], [`Code::Gated`] while a failure cools down, [`Code::NotFound`] where
    /// the credential that was seen is gone, and those of writing: then nothing was sent.
    pub fn rotate<T, E>(
        &self,
        key: &str,
        seen: Option<&Version>,
        exchange: impl FnOnce(&Exchange) -> std::result::Result<T, E>,
    ) -> Result<Credential>
    where
        T: AsRef<[u8]>,
        E: Into<Failure>,
    {
        let mut exchange = Some(exchange);
        let mut rotation = self.begin(key, seen);
        loop {
            match rotation.next()? {
                RotateStep::Done(credential) => return Ok(credential),
                RotateStep::Wait => {
                    rotation.wait(SLICE, None);
                }
                RotateStep::Exchange => {
                    let Some((exchange, job)) = exchange.take().zip(rotation.exchange()) else { continue };
                    let result = catch_unwind(AssertUnwindSafe(|| exchange(&job).map_err(Into::into)));
                    rotation.exchanged(result.unwrap_or_else(|panic| Err(panicked(&*panic))));
                }
            }
        }
    }

    /// Begins `rotate` as a state machine, for hosts that exchange and wait in their own way.
    #[must_use]
    pub fn begin(&self, key: &str, seen: Option<&Version>) -> Rotation {
        Rotation::new(self, Key::credential(key), seen)
    }

    /// Stores the credential of a new login, or forgets the one that is there; ends what was ambiguous, and any
    /// cooldown. The version that is stored then is returned.
    ///
    /// # Errors
    /// [`Code::Invalid`] for an empty credential, and those of writing.
    pub fn reset(&self, key: &str, credential: Option<&[u8]>) -> Result<Option<Version>> {
        self.core.check_open()?;
        let key = Key::credential(key)?;
        let store = &self.core.store;
        let version = match credential {
            Some([]) => {
                return Err(Error::new(Code::Invalid, format!("{key}: an empty credential"))
                    .with_hint("pass none to forget the one that is stored"));
            }
            Some(data) => {
                let done = store.put(&key, &Draft { data, about: ABOUT })?;
                Some(ABOUT.entry(&[], Some(done.token), done.stored_ns).version)
            }
            None => {
                store.remove(&key, Durability::Full)?;
                None
            }
        };
        store.unbar(&key, Durability::Full)?;
        // What killed writers left holds secrets. The new login is stored, whatever becomes of them.
        let _ = store.sweep(&key);
        self.core.emit(EventKind::Invalidated, &key, None);
        Ok(version)
    }

    /// What happened on this handle: see [`Cache::subscribe`](crate::Cache::subscribe).
    #[must_use]
    pub fn subscribe(&self) -> crate::event::Events {
        self.core.bus.subscribe()
    }
}

/// [`Credentials::rotate`] in the user's state root.
///
/// # Errors
/// As [`CredentialsOptions::open`] and [`Credentials::rotate`].
///
/// ```no_run
/// let token = forebay::rotate("github-oauth", None, |_| Ok::<_, forebay::Failure>("from the login"))?;
/// # Ok::<(), forebay::Error>(())
/// ```
pub fn rotate<T, E>(
    key: &str,
    seen: Option<&Version>,
    exchange: impl FnOnce(&Exchange) -> std::result::Result<T, E>,
) -> Result<Credential>
where
    T: AsRef<[u8]>,
    E: Into<Failure>,
{
    Credentials::open_default()?.rotate(key, seen, exchange)
}

/// [`Credentials::reset`] in the user's state root.
///
/// # Errors
/// As [`CredentialsOptions::open`] and [`Credentials::reset`].
///
/// ```no_run
/// forebay::rotate_reset("github-oauth", Some(b"from the new login"))?;
/// # Ok::<(), forebay::Error>(())
/// ```
pub fn rotate_reset(key: &str, credential: Option<&[u8]>) -> Result<Option<Version>> {
    Credentials::open_default()?.reset(key, credential)
}
