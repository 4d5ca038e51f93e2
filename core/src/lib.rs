//! forebay: an on-disk cache that many processes, written in many languages, share on one machine.
//!
//! Reads never wait; a slow refresh runs once, in one process, for all; nothing is lost when one is killed; there
//! is no server. One directory is the whole of it, and `docs/protocol.md` describes every file in it.
//!
//! ```
//! use forebay::Cache;
//! use std::time::Duration;
//! # let folder = tempfile::tempdir().unwrap();
//! let cache = Cache::open(folder.path().join("cache"))?;
//! let models = cache
//!     .source("api/models")
//!     .ttl(Duration::from_secs(3600))
//!     .deadline(Duration::from_secs(10));
//! // Fresh, or refreshed within 0.3 s, or stale while the refresh goes on; `how` says which.
//! let got = models.get(|_job| Ok::<_, std::io::Error>("[]"), Duration::from_millis(300))?;
//! assert_eq!(got.data(), Some(&b"[]"[..]));
//! # Ok::<(), forebay::Error>(())
//! ```
//!
//! Layers, each importing only from its own or a lower one: **ground** (`sys`, `error`, `key`, `fs`, `generation`
//! and `stamp`, `text`, `sync`), **facts** (`entry`, `freshness`, `lease`, `gate`, `retry_after`, `flight`,
//! `event`), **store**, and **systems** (`source`, `quota`, `credentials`).

mod credentials;
mod entry;
mod error;
mod event;
mod flight;
mod freshness;
mod fs;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod generation;
mod key;
mod lease;
pub mod live;
mod quota;
mod retry_after;
mod source;
mod stamp;
mod store;
mod sync;
mod sys;
mod text;

pub use credentials::credential::{Credential, Exchange, RotateState};
pub use credentials::rotation::{RotateStep, Rotation};
pub use credentials::{Credentials, CredentialsOptions, default_state_root, rotate, rotate_reset};
pub use entry::{Entry, Lifetime, Version};
pub use error::{Code, Error, Result};
pub use event::{Counters, Event, EventKind, Events};
pub use freshness::State;
pub use fs::Durability;
pub use key::{GUARDS, Key, MAX_NAME, SLOTS, encode as encode_name, guard_of};
pub use live::compute::{Compute, LiveJob, LiveStep};
pub use live::derived::{Derived, LiveListed, LiveWhy, Lookup};
pub use live::here::Working;
pub use live::input::{Input, LiveKey};
pub use live::ticket::LiveTicket;
pub use live::{Live, LiveOptions};
pub use quota::Quota;
pub use quota::answer::{Answer, Blocked, QuotaState};
pub use quota::job::QuotaJob;
pub use quota::options::QuotaOptions;
pub use quota::record::{CACHE_SCHEMA_VERSION, CachedError, CachedUsage};
pub use quota::resolve::{Resolve, Step};
pub use quota::stores::{CacheStore, Lock, LockStore, atomic_write_json};
pub use retry_after::parse_retry_after;
pub use source::attempt::{Attempt, Mode, Next};
pub use source::cache::{Cache, CacheOptions, default_root};
pub use source::core::Interrupt;
pub use source::fetched::{Commit, Failure, Fetched, Job};
pub use source::many::Progress;
pub use source::options::{AcquireOptions, DEFAULT_DEADLINE, RefreshOptions, SourceOptions, Wait};
pub use source::reader::{Loaded, Read, Reader};
pub use source::readers::Readers;
pub use source::ticket::Ticket;
pub use source::value::{How, Listed, Phase, RefreshState, Started, Value, Why};
pub use source::{Acquired, Source};
pub use store::Pruned;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub use sys::breaks::{BREAKS, EXCHANGE_BREAKS};
pub use sys::clock::{Clock, ManualClock};
#[cfg(feature = "testing")]
#[doc(hidden)]
pub use sys::tape::mark as tape_mark;
pub use text::{format_duration, parse_duration};
