//! Settling: whoever finds an orphaned marker under the guard finishes what its holder had whole, or clears
//! what it left. At once and wholly, so that nothing piles up and nothing acknowledged is lost.

use super::FileStore;
use super::marker::Marker;
use super::record::{Meta, MetaSeen};
use super::site::{Site, TempNames};
use crate::error::Result;
use crate::fs::Durability;
use crate::fs::guard::Section;
use crate::gate::{ABANDONED, Backoff, Gate, Setback};
use crate::lease::Term;
use crate::store::Store;
use crate::sys::Stat;
use crate::sys::breaks::broken;

/// What is left to do of a commit whose holder is gone.
pub(super) struct Rest {
    token: u64,
    meta: bool,
    value: bool,
}

impl Site<'_> {
    /// Settles the orphan. Only under the guard, and only for a marker that is not in force.
    pub(super) fn settle(
        &self,
        section: &mut Section<'_>,
        marker: &Marker,
        backoff: &Backoff,
        store: &FileStore,
    ) -> Result<()> {
        match marker {
            Marker::Absent => Ok(()),
            Marker::NotAFile => section.change(|| self.quarantine(&self.key.files().marker)),
            Marker::Original { .. } => section.change(|| self.remove(&self.key.files().marker)),
            Marker::Unreadable { .. } => self.abandon(section, None, 0, backoff, store),
            Marker::Ours { term, .. } => {
                let names = TempNames::new(self.key, &term.nonce);
                let token = term.token.unwrap_or(0);
                let rest = if broken("no-settle") { None } else { self.rest_of(term, token, &names)? };
                match rest {
                    Some(rest) => self.finish(section, &rest, &names),
                    None => self.abandon(section, Some(&names), token, backoff, store),
                }
            }
        }
    }

    /// What the dead holder's commit still lacks; none if it had no whole result, or one that came too late.
    pub(super) fn rest_of(&self, term: &Term, token: u64, names: &TempNames) -> Result<Option<Rest>> {
        let (meta, value) = (self.meta()?, self.value_stat()?);
        let prepared = self.meta_at(&names.meta)?;
        let of_token = |meta: &MetaSeen| meta.get().filter(|meta| meta.cur.token == Some(token)).cloned();
        let (found, in_place) = match (of_token(&meta), of_token(&prepared)) {
            (Some(found), _) => (found, true),
            (None, Some(found)) => (found, false),
            (None, None) => return Ok(None),
        };
        if value.is_some_and(|stat| found.cur.describes(&stat)) {
            return Ok(Some(Rest { token, meta: !in_place, value: false }));
        }
        let Some(temp) = self.stat(&names.value)? else { return Ok(None) };
        let whole = found.cur.describes(&temp) && self.survived(term, &found, names)?;
        let newer = self.bound(&meta, value.as_ref())?.and_then(|bound| bound.record.token) > Some(token);
        let follows = replaces(&found, value.as_ref());
        if broken("settle-unchecked") {
            return Ok(Some(Rest { token, meta: !in_place, value: true }));
        }
        Ok((whole && follows && !newer).then_some(Rest { token, meta: !in_place, value: true }))
    }

    /// After another start of the machine a description is not enough: what was not flushed may be zeros.
    fn survived(&self, term: &Term, meta: &Meta, names: &TempNames) -> Result<bool> {
        if self.sys().process().boot == term.boot {
            return Ok(true);
        }
        Ok(meta.cur.hash.as_deref() == Some(self.hash_of(&names.value)?.as_str()))
    }

    /// Meta first, then the value, then the notice: each prefix of this is a legal state.
    fn finish(&self, section: &mut Section<'_>, rest: &Rest, names: &TempNames) -> Result<()> {
        let files = self.key.files();
        section.change(|| {
            if rest.meta {
                self.rename(&names.meta, &files.meta)?;
            }
            if rest.value {
                self.rename(&names.value, &files.value)?;
            }
            self.remove(&files.gate)?;
            self.remove_smaller_notice(rest.token)?;
            self.remove_started()?;
            self.remove(&files.marker)
        })?;
        self.remove_temps(names)
    }

    /// The same for a holder of this process that finds its own token bound: a settler died half-way.
    pub(super) fn finish_own(
        &self,
        section: &mut Section<'_>,
        term: &Term,
        token: u64,
        names: &TempNames,
    ) -> Result<()> {
        let rest = self.rest_of(term, token, names)?.unwrap_or(Rest { token, meta: false, value: false });
        self.finish(section, &rest, names)
    }

    /// Clears what is left and counts the attempt, unless its failure is in the gate: then its holder died between
    /// writing that and removing the marker.
    fn abandon(
        &self,
        section: &mut Section<'_>,
        names: Option<&TempNames>,
        token: u64,
        backoff: &Backoff,
        store: &FileStore,
    ) -> Result<()> {
        let setback = Setback {
            token,
            error: ABANDONED.to_owned(),
            message: "the process that ran the refresh ended before it did".to_owned(),
            retry_after: None,
            credential: None,
        };
        let before = self.gate()?;
        let last = before.as_ref().and_then(|gate| gate.last.as_ref());
        let recorded = token > 0 && last.is_some_and(|last| last.token == token);
        let gate =
            Gate::after(before.as_ref(), &setback, self.sys().clock().wall_ns(), backoff, store.chance());
        section.change(|| {
            self.remove(&self.key.files().marker)?;
            if let Some(names) = names {
                self.remove_temps(names)?;
            }
            if recorded { Ok(()) } else { self.write_gate(&gate, Durability::None) }
        })
    }
}

/// Whether the version that `meta` says it replaces is the one in place.
pub(super) fn replaces(meta: &Meta, value: Option<&Stat>) -> bool {
    follows(meta.was.as_ref(), value)
}

/// Whether `was` describes what is in place; nothing is described by none.
pub(super) fn follows(was: Option<&super::record::Record>, value: Option<&Stat>) -> bool {
    match (was, value) {
        (None, None) => true,
        (Some(was), Some(stat)) => was.describes(stat),
        _ => false,
    }
}
