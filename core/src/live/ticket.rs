//! `LiveTicket`: a computation whose inputs were looked at before it began. Its commit looks again, and stores nothing
//! where one has changed: a change during the computation is never blessed.

use super::Live;
use super::derived::{Body, Derived};
use super::graph::{self, Flaw, Record, Row};
use super::input::{Input, LiveKey};
use super::print::Eye;
use super::told;
use crate::error::{Code, Error, Result};
use crate::fs::guard::TIMEOUT;
use crate::source::value::How;
use crate::store::index::tables::{Read, Write};
use std::collections::HashMap;
use std::sync::Arc;

/// A computation that is under way. It may be dropped at any time; then nothing is stored.
#[derive(Debug)]
pub struct LiveTicket {
    live: Live,
    key: LiveKey,
    rows: Vec<Row>,
    upstreams: Vec<(LiveKey, u64)>,
    /// How many changes had been told when it began.
    told: u64,
}

impl LiveTicket {
    /// Looks at the inputs, before anything is computed from them.
    pub(super) fn begin(
        live: &Live,
        key: LiveKey,
        inputs: &[Input],
        upstreams: &[LiveKey],
    ) -> Result<LiveTicket> {
        let inputs: Vec<Input> = {
            let mut inputs: Vec<Input> = inputs.iter().map(|input| input.relative_to(live.space())).collect();
            inputs.sort();
            inputs.dedup();
            inputs
        };
        // The versions first: what changes after this is noticed at the commit.
        let before = live.read(|tx| {
            let versions = inputs.iter().map(|input| graph::version(tx, &input.node()));
            let mut seen = HashMap::new();
            let holding = upstreams.iter().map(|upstream| match graph::flaw(tx, upstream, &mut seen)? {
                None => Ok((*upstream, graph::version(tx, &upstream.0)?)),
                Some(_) => Err(not_valid(upstream)),
            });
            let versions = versions.collect::<Result<Vec<u64>>>()?;
            Ok((versions, told::count(tx)?, holding.collect::<Result<Vec<_>>>()?))
        })?;
        let (versions, told, upstreams) = match (before, upstreams) {
            (Some(before), _) => before,
            (None, []) => (vec![0; inputs.len()], 0, Vec::new()),
            (None, [first, ..]) => return Err(not_valid(first)),
        };
        let eye = live.eye();
        let rows = inputs.iter().zip(versions).map(|(input, version)| {
            Ok(Row { input: input.escaped(), version, print: eye.take(input, None)? })
        });
        Ok(LiveTicket { live: live.clone(), key, rows: rows.collect::<Result<_>>()?, upstreams, told })
    }

    /// The hash of a file that it is built on, as it was when it began.
    pub(super) fn hash_of(&self, input: &Input) -> Option<&str> {
        let text = input.relative_to(self.live.space()).escaped();
        self.rows.iter().find(|row| row.input == text)?.print.hash()
    }

    /// Which result.
    #[must_use]
    pub fn key(&self) -> LiveKey {
        self.key
    }

    /// Stores the result.
    ///
    /// # Errors
    /// [`Code::Superseded`]: an input, or a result that it is built on, has changed since the ticket was taken, and
    /// nothing was stored. Those of reading the inputs, and of writing.
    pub fn commit(self, data: impl AsRef<[u8]>, kind: &str) -> Result<Derived> {
        self.commit_with(data.as_ref(), kind, &mut |_| Ok(()))
    }

    /// The same, with what else belongs into the transaction.
    pub(super) fn commit_with(
        mut self,
        data: &[u8],
        kind: &str,
        also: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<Derived> {
        self.look_again()?;
        let live = self.live.clone();
        let record = Record {
            v: 1,
            kind: kind.to_owned(),
            hash: blake3::hash(data).to_hex().to_string(),
            size: data.len() as u64,
            computed_ns: live.core().now(),
            inputs: std::mem::take(&mut self.rows),
            upstreams: self.upstreams.iter().map(|(key, version)| (key.to_string(), *version)).collect(),
        };
        let store = live.store()?;
        let changed = store.write(TIMEOUT, |tx| {
            self.check(tx, &record)?;
            let changed = graph::keep(tx, store.root(), live.space(), &self.key, &record, data)?;
            live.note_used_along(tx)?;
            also(tx)?;
            Ok(changed)
        })?;
        if changed {
            live.remove_dependents(&[self.key.0])?;
        }
        let derived = Derived {
            key: self.key,
            body: Arc::new(Body { data: data.into(), record }),
            how: How::Ran,
            error: None,
        };
        live.evict_over_cap()?;
        Ok(derived)
    }

    /// Whether every input looks as it did. Where it does, and its numbers speak for its content by now, that is kept.
    fn look_again(&mut self) -> Result<()> {
        let eye = self.live.eye();
        for row in &mut self.rows {
            let Some(input) = row.input() else { continue };
            let now = eye.take(&input, Some(&row.print))?;
            if !Eye::same(&row.print, &now) {
                return Err(changed(&self.key, &format!("{input} has changed")));
            }
            row.print = now;
        }
        Ok(())
    }

    /// Whether the versions are still those of the beginning, as of the transaction.
    fn check(&self, tx: &dyn Read, record: &Record) -> Result<()> {
        for row in &record.inputs {
            let Some(input) = row.input() else { continue };
            if graph::version(tx, &input.node())? != row.version {
                return Err(changed(&self.key, &format!("{input} was said to have changed")));
            }
        }
        if told::since(tx, self.told, self.live.space(), &self.key, record)? {
            return Err(changed(&self.key, "it, or something that it is built on, was said to have changed"));
        }
        let mut seen = HashMap::new();
        for (upstream, then) in &self.upstreams {
            let holds = graph::version(tx, &upstream.0)? == *then;
            match graph::flaw(tx, upstream, &mut seen)? {
                None if holds => {}
                Some(Flaw::Upstream(_) | Flaw::Input(_) | Flaw::Missing) | None => {
                    return Err(not_valid(upstream));
                }
            }
        }
        Ok(())
    }

    /// The result of a computation that may not be stored, for whoever made it.
    pub(super) fn unstored(live: &Live, key: LiveKey, data: &[u8], kind: &str, error: Error) -> Derived {
        let record = Record {
            v: 1,
            kind: kind.to_owned(),
            hash: blake3::hash(data).to_hex().to_string(),
            size: data.len() as u64,
            computed_ns: live.core().now(),
            inputs: Vec::new(),
            upstreams: Vec::new(),
        };
        Derived {
            key,
            body: Arc::new(Body { data: data.into(), record }),
            how: How::Uncoordinated,
            error: Some(error),
        }
    }
}

fn changed(key: &LiveKey, what: &str) -> Error {
    Error::new(Code::Superseded, format!("{key}: {what} since the computation began: not stored"))
        .with_hint("compute it again")
}

fn not_valid(key: &LiveKey) -> Error {
    Error::new(Code::Superseded, format!("the result {key}, on which this one is built, does not hold"))
        .with_hint("compute that one first")
}
