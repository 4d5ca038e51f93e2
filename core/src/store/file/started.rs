//! `Started`: the mark beside a credential that an exchange which may not be made twice has begun, on which version
//! and when. It is durable before the exchange begins and void as soon as another version is in place, so no
//! death between the two leaves a doubt: while the version that it names is the one in place, and nobody holds
//! the lease, the outcome is not known.

use super::FileStore;
use super::hold;
use super::marker::Marker;
use super::site::Site;
use crate::entry::{Kind, Version};
use crate::error::Result;
use crate::fs::Durability;
use crate::fs::guard::{Section, TIMEOUT};
use crate::fs::temp::{self, Temp};
use crate::stamp::Nanos;
use crate::store::{Lease, errors};
use crate::sys::breaks::broken;
use crate::text::decimal;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Started {
    v: u32,
    #[serde(with = "decimal")]
    token: u64,
    seen: String,
    #[serde(with = "decimal")]
    at_ns: Nanos,
}

impl FileStore {
    pub(super) fn start_effect(&self, lease: &Lease) -> Result<()> {
        let hold = hold::of(lease)?;
        let state = hold.open(&lease.key)?;
        let site = self.make_site(&lease.key)?;
        let Some(names) = hold.names.started.as_ref().zip(lease.key.files().started.as_ref()) else {
            return Ok(());
        };
        if broken("start-unmarked") {
            return Ok(());
        }
        let seen = site.version_in_place()?;
        let temp = site.prepare_started(names.0, lease.token, &seen)?;
        let section = Section::enter(&self.root, &lease.key, TIMEOUT);
        let marked = section.and_then(|section| {
            if !state.holds(&site, lease.token)? || site.version_in_place()? != seen {
                return Err(errors::lease_lost(&lease.key));
            }
            let renamed = site.rename(names.0, names.1);
            drop(section);
            renamed
        });
        temp.unlock(self.sys());
        if marked.is_err() {
            let _ = temp::remove(self.sys(), &site.folder, names.0);
        }
        marked?;
        let flushed = site.flush_folder(Durability::Full);
        if flushed.is_err() {
            // Nothing begins, so nothing stays open.
            let _ = site.remove_started();
        }
        flushed
    }
}

impl Site<'_> {
    /// Which version is in place, under the guard.
    fn version_in_place(&self) -> Result<Version> {
        let (meta, value) = (self.meta()?, self.value_stat()?);
        let token = self.bound(&meta, value.as_ref())?.and_then(|bound| bound.record.token);
        Ok(Version(match (token, value) {
            (Some(token), _) => Kind::Token(token),
            (None, Some(stat)) => Kind::Foreign { ino: stat.ino, mtime_ns: stat.mtime_ns, size: stat.size },
            (None, None) => Kind::Absent,
        }))
    }

    fn prepare_started(&self, name: &str, token: u64, seen: &Version) -> Result<Temp> {
        let sys = self.sys();
        let started = Started { v: 1, token, seen: seen.to_string(), at_ns: sys.clock().wall_ns() };
        let bytes = serde_json::to_vec(&started).unwrap_or_default();
        let io = |error: std::io::Error| self.fail("write", name, &error);
        let temp = Temp::create(sys, &self.folder, name.to_owned()).map_err(io)?;
        match temp.fill(sys, &bytes, None, Durability::Full) {
            Ok(_) => Ok(temp),
            Err(error) => {
                let _ = temp::remove(sys, &self.folder, name);
                Err(io(error))
            }
        }
    }

    /// Since when the outcome of what was started is not known; none where nothing is open. A mark that cannot be
    /// read is believed.
    pub(super) fn started(&self) -> Result<Option<Nanos>> {
        let Some(name) = &self.key.files().started else { return Ok(None) };
        let Some((stat, bytes)) = self.small_file(name)? else { return Ok(None) };
        if broken("started-ignored") {
            return Ok(None);
        }
        let parsed: Option<Started> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let Some(started) = parsed else { return Ok(Some(stat.mtime_ns)) };
        let open = started.seen == self.version_in_place()?.to_string();
        Ok(open.then_some(started.at_ns))
    }

    /// The same, where the holder of that marker lives although its lease is over.
    pub(super) fn started_by_living(&self, marker: &Marker) -> Result<Option<Nanos>> {
        if self.key.files().started.is_none() || !marker.is_held(self.sys())? {
            return Ok(None);
        }
        self.started()
    }

    pub(super) fn remove_started(&self) -> Result<()> {
        self.key.files().started.as_ref().map_or(Ok(()), |name| self.remove(name))
    }
}
