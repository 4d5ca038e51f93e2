//! Acquiring: who may refresh? Under the guard: a lease in force, else what a dead holder left is settled,
//! else what is there may be enough, else a gate may bar it, else the lease is the caller's.

use super::FileStore;
use super::hold::Hold;
use super::marker::{self, Marker};
use super::record::{Notice, NoticeSeen};
use super::site::{Site, TempNames};
use crate::error::Result;
use crate::fs::Durability;
use crate::fs::guard::Section;
use crate::fs::root::nonce;
use crate::fs::temp::{Temp, replace};
use crate::key::Key;
use crate::lease::{Term, check_length};
use crate::store::{Ask, Claim, Lease, Look, errors};
use crate::sys::fork::Permit;
use crate::sys::{Fd, FileKind, Stat, absent};
use std::io;
use std::time::Duration;

impl FileStore {
    pub(super) fn acquire_lease(&self, key: &Key, ask: &Ask<'_>) -> Result<Claim> {
        check_length(ask.length)?;
        let mut section = Section::enter(&self.root, key, ask.guard_timeout)?;
        let site = self.make_site(key)?;
        let marker = site.marker()?;
        if marker.in_force(self.sys())? {
            return Ok(Claim::InFlight(marker.seen()));
        }
        // A holder that lives past its time may still bring what it started: its lease is not ended for it.
        if let Some(since) = site.started_by_living(&marker)? {
            return Ok(Claim::Ambiguous(since));
        }
        if !matches!(marker, Marker::Absent) {
            site.settle(&mut section, &marker, &ask.backoff, self)?;
        }
        let (look, quarantined) = self.look_and_heal(&site, &mut section)?;
        let claim = self.decide(&site, ask, look);
        drop(section);
        if quarantined {
            self.tidy_quarantine()?;
        }
        claim
    }

    fn decide(&self, site: &Site<'_>, ask: &Ask<'_>, look: Look) -> Result<Claim> {
        if let Some(since) = site.started()? {
            return Ok(Claim::Ambiguous(since));
        }
        if (ask.enough)(&look) {
            return Ok(Claim::Enough(look));
        }
        if let Some(gate) = site.gate()?
            && ask.is_barred_by(&gate, self.sys().clock().wall_ns())
        {
            return Ok(Claim::Gated(gate, look));
        }
        let Some(permit) = Permit::take() else { return Err(errors::too_many_leases()) };
        self.take(site, ask.length, look, permit).map(Claim::Lease)
    }

    /// A look under the guard, which also heals: a damaged value goes to quarantine, and a notice that a power
    /// cut tore is written anew with the greatest token known.
    fn look_and_heal(&self, site: &Site<'_>, section: &mut Section<'_>) -> Result<(Look, bool)> {
        let mut look = self.look_at(site.key)?;
        let quarantined = look.damaged.is_some();
        if quarantined {
            let files = site.key.files();
            section.change(|| site.quarantine(&files.value).and_then(|()| site.quarantine(&files.meta)))?;
            look.entry = None;
        }
        if let notice @ NoticeSeen::Unreadable(_) = site.notice()? {
            let token = site.greatest_token(&Marker::Absent, &site.meta()?, &notice)?;
            section.change(|| site.write_notice(token, None, Durability::None))?;
        }
        Ok((look, quarantined))
    }

    fn take(&self, site: &Site<'_>, length: Duration, look: Look, permit: Permit) -> Result<Lease> {
        let (sys, key, name) = (self.sys(), site.key, &site.key.files().marker);
        let value = open_value(site)?;
        let token = site.next_token(site.greatest_token(&Marker::Absent, &site.meta()?, &site.notice()?)?);
        let term = Term::new(token, nonce(sys), &sys.process(), sys.clock(), length);
        let io = |error: io::Error| site.fail("write", name, &error);
        let temp = site.new_marker(&term)?;
        replace(sys, &site.folder, temp.name(), name).map_err(io)?;
        let stat = sys.stat(temp.fd().map_err(io)?).map_err(io)?;
        let names = TempNames::new(key, &term.nonce);
        let hold = Hold::new(temp.into_lock(), stat, term, names, value, permit);
        Ok(Lease { key: key.clone(), token, previous: look.entry, hold: Box::new(hold) })
    }
}

/// The value in place, kept open by the ticket.
fn open_value(site: &Site<'_>) -> Result<Option<(Fd, Stat)>> {
    let name = &site.key.files().value;
    let opened = absent(site.sys().open(&site.folder, name)).map_err(|e| site.fail("open", name, &e))?;
    let Some(fd) = opened else { return Ok(None) };
    let stat = site.sys().stat(&fd).map_err(|e| site.fail("examine", name, &e))?;
    Ok((stat.kind == FileKind::File).then_some((fd, stat)))
}

impl Site<'_> {
    /// A marker under its temporary name, locked before it is renamed: whoever sees it in place sees it locked.
    pub(super) fn new_marker(&self, term: &Term) -> Result<Temp> {
        let name = &self.key.files().marker;
        let io = |error: io::Error| self.fail("write", name, &error);
        let temp = Temp::create(self.sys(), &self.folder, format!(".{name}.new")).map_err(io)?;
        match temp.fill(self.sys(), &marker::encode(term), None, Durability::None) {
            Ok(_) => Ok(temp),
            Err(error) => {
                let _ = crate::fs::temp::remove(self.sys(), &self.folder, temp.name());
                Err(io(error))
            }
        }
    }

    /// Writes that everything up to `token`, and the foreign value in place, is out of date.
    pub(super) fn write_notice(
        &self,
        token: u64,
        until_ns: Option<i64>,
        durability: Durability,
    ) -> Result<()> {
        let value = self.value_stat()?;
        let notice = Notice {
            v: 1,
            token,
            ino: value.map(|stat| stat.ino),
            size: value.map(|stat| stat.size),
            mtime_ns: value.map(|stat| stat.mtime_ns),
            until_ns,
        };
        let bytes = serde_json::to_vec(&notice).unwrap_or_default();
        self.publish(&self.key.files().notice, &bytes, durability)
    }
}
