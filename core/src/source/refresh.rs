//! The callback forms: `refresh`, `get`, `maybe_refresh`, `maybe_refresh_sync`. Sugar over attempts and tickets:
//! in the caller's thread where the caller waits without end, on a small pool where it does not. A refresher
//! that panics has failed, like one that returns an error.

use super::Source;
use super::attempt::{Mode, Next};
use super::core::{Core, SLICE};
use super::fetched::{Failure, Fetched, Job};
use super::options::{RefreshOptions, Wait};
use super::ticket::Ticket;
use super::value::{How, Phase, Started, Value};
use crate::error::{Code, Error, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Does the work of a ticket with a refresher, and ends it. A result that could not be stored is not lost: it
/// is the flight's outcome, and so what the caller gets.
pub(crate) fn work<T, E>(ticket: &Ticket, refresher: impl FnOnce(&Job<'_>) -> std::result::Result<T, E>)
where
    T: Into<Fetched>,
    E: Into<Failure>,
{
    let result =
        catch_unwind(AssertUnwindSafe(|| refresher(&Job(ticket)).map(Into::into).map_err(Into::into)));
    let fetched = result.unwrap_or_else(|panic| Err(panicked(&*panic)));
    if let Err(error) = ticket.end_with(&fetched) {
        tracing::debug!(target: "forebay", key = %ticket.key(), %error, "a refresh ended without being stored");
    }
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Failure::new(Code::RefreshFailed, format!("the refresher panicked: {text}"))
}

impl Source {
    /// Refreshes now, whatever the age; joins a refresh that is running, in this process or another, and
    /// returns that one's outcome.
    ///
    /// # Errors
    /// The refresher's own ([`Code::RefreshFailed`] and its like), or [`Code::Gated`] where a server declared
    /// when to come back.
    pub fn refresh<T, E>(
        &self,
        refresher: impl FnOnce(&Job<'_>) -> std::result::Result<T, E>,
    ) -> Result<Value>
    where
        T: Into<Fetched>,
        E: Into<Failure>,
    {
        self.refresh_with(RefreshOptions::default(), refresher)
    }

    /// As [`Source::refresh`], with options.
    ///
    /// # Errors
    /// As [`Source::refresh`].
    pub fn refresh_with<T, E>(
        &self,
        options: RefreshOptions,
        refresher: impl FnOnce(&Job<'_>) -> std::result::Result<T, E>,
    ) -> Result<Value>
    where
        T: Into<Fetched>,
        E: Into<Failure>,
    {
        self.drive(Mode::Refresh(options), refresher)
    }

    /// Refreshes if the value is not fresh, and waits for it. While a failure cools down it returns at once with
    /// what there is, and says so in `how`, `phase` and `error`.
    ///
    /// # Errors
    /// As [`Source::refresh`].
    pub fn maybe_refresh_sync<T, E>(
        &self,
        refresher: impl FnOnce(&Job<'_>) -> std::result::Result<T, E>,
    ) -> Result<Value>
    where
        T: Into<Fetched>,
        E: Into<Failure>,
    {
        self.needs_ttl()?;
        self.drive(Mode::MaybeRefreshSync, refresher)
    }

    /// Refreshes in the background if the value is not fresh: the lease is taken at once, the work runs on a
    /// thread of ours. Says what it did.
    ///
    /// # Errors
    /// [`Code::LockTimeout`] after 100 ms, and those of writing.
    pub fn maybe_refresh<T, E>(
        &self,
        refresher: impl FnOnce(&Job<'_>) -> std::result::Result<T, E> + Send + 'static,
    ) -> Result<Started>
    where
        T: Into<Fetched>,
        E: Into<Failure>,
    {
        self.start_in_background(|core, ticket| run_on_pool(core, ticket, refresher))
    }

    /// A fresh value; or one refreshed within `wait`; or the stale one, while the refresh goes on. Never a
    /// success without a value. With [`Wait::UntilDone`] (or `None`) the refresher runs in this thread.
    ///
    /// # Errors
    /// [`Code::TimedOut`], [`Code::Gated`], or the refresher's own, where there is nothing that may be served.
    pub fn get<T, E>(
        &self,
        refresher: impl FnOnce(&Job<'_>) -> std::result::Result<T, E> + Send + 'static,
        wait: impl Into<Wait>,
    ) -> Result<Value>
    where
        T: Into<Fetched>,
        E: Into<Failure>,
    {
        self.needs_ttl()?;
        let wait = wait.into();
        if wait == Wait::UntilDone {
            return self.drive(Mode::Get { wait }, refresher);
        }
        let mut refresher = Some(refresher);
        self.drive_with(Mode::Get { wait }, |ticket| {
            if let Some(refresher) = refresher.take() {
                run_on_pool(self.core(), ticket, refresher);
            }
        })
    }

    fn needs_ttl(&self) -> Result<()> {
        self.core().check_open()?;
        let recorded = || Ok(self.core().store.look(self.key()?)?.entry.is_some_and(|e| e.lifetime.own_ttl));
        if self.options().ttl.is_some() || recorded()? {
            return Ok(());
        }
        Err(Error::new(Code::Invalid, format!("{}: no ttl was given", self.key()?))
            .with_hint("say how long a value stays fresh, such as ttl 1h; 0 for always stale"))
    }

    fn drive<T, E>(
        &self,
        mode: Mode,
        refresher: impl FnOnce(&Job<'_>) -> std::result::Result<T, E>,
    ) -> Result<Value>
    where
        T: Into<Fetched>,
        E: Into<Failure>,
    {
        let mut refresher = Some(refresher);
        self.drive_with(mode, |ticket| {
            if let Some(refresher) = refresher.take() {
                work(&ticket, refresher);
            }
        })
    }

    fn drive_with(&self, mode: Mode, mut run: impl FnMut(Ticket)) -> Result<Value> {
        let mut attempt = self.begin(mode);
        loop {
            match attempt.next()? {
                Next::Done(value) => return Ok(value),
                Next::Run(ticket) => run(ticket),
                Next::Wait => {
                    attempt.wait(SLICE, None);
                }
            }
        }
    }

    pub(super) fn start_in_background(&self, start: impl FnOnce(&Arc<Core>, Ticket)) -> Result<Started> {
        self.needs_ttl()?;
        Ok(match self.begin(Mode::MaybeRefresh).next()? {
            Next::Run(ticket) => {
                start(self.core(), ticket);
                Started::Started
            }
            Next::Done(value) => match (value.how, value.phase) {
                (Some(How::Fresh), _) => Started::Fresh,
                (_, Some(Phase::Cooling)) => Started::Gated,
                _ => Started::InFlight,
            },
            Next::Wait => Started::InFlight,
        })
    }
}

fn run_on_pool<T, E>(
    core: &Arc<Core>,
    ticket: Ticket,
    refresher: impl FnOnce(&Job<'_>) -> std::result::Result<T, E> + Send + 'static,
) where
    T: Into<Fetched>,
    E: Into<Failure>,
{
    core.local.get().pool.run(move || work(&ticket, refresher));
}
