//! How a fetch ends: its answer is recorded and the gate removed, or its failure sets the gate. The record goes
//! only where the server refused the very credential that it was had with.

use super::answer::Answer;
use super::job::QuotaJob;
use super::record::Record;
use super::resolve::{Resolve, Step};
use crate::entry::Lifetime;
use crate::error::{Code, Error, Result};
use crate::event::EventKind;
use crate::freshness::State;
use crate::gate::{Gate, bounded};
use crate::source::fetched::{Commit, Failure, Fetched};
use crate::source::value::How;
use crate::stamp::instant;
use crate::store::{About, Draft, Ended, Failed, Lease, Look, Verdict};
use crate::text::redact;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

impl Resolve {
    pub(super) fn end_fetch(
        &mut self,
        job: &QuotaJob,
        result: std::result::Result<Fetched, Failure>,
    ) -> Result<Step> {
        let ended = match result.and_then(|fetched| text_of(job, &fetched).map(|text| (text, fetched))) {
            Ok((text, fetched)) => Ok(self.record(job, &text, &fetched)),
            Err(failure) => self.failed(job, &failure),
        };
        job.assignment().end();
        ended
    }

    /// Records the answer. It is the caller's even where it cannot be stored.
    fn record(&self, job: &QuotaJob, text: &Arc<str>, fetched: &Fetched) -> Step {
        let quota = &self.quota;
        let now = quota.core().now();
        let unchanged = fetched.data.is_none();
        let (mut how, mut error) = (if unchanged { How::Unchanged } else { How::Ran }, None);
        if let Err(why) = self.store(job, text, &fetched.commit, unchanged, now) {
            (how, error) = (How::Uncoordinated, Some(why));
        }
        let data = Arc::clone(text);
        let cached_at = Some(instant(now));
        Step::Done(Answer {
            data,
            how,
            state: State::Fresh,
            age: Duration::ZERO,
            cached_at,
            retry_at: None,
            error,
        })
    }

    fn store(&self, job: &QuotaJob, text: &str, commit: &Commit, unchanged: bool, now: i64) -> Result<()> {
        let quota = &self.quota;
        let data = Record::encode(text, now, self.credential_hash()).unwrap_or_default();
        let before = job.validator().filter(|_| unchanged);
        let about = About {
            validator: commit.validator.as_deref().or(before),
            extra: commit.extra.as_deref(),
            lifetime: Lifetime {
                ttl: commit.ttl.or(Some(quota.options().ttl)),
                max_stale: commit.max_stale.or(Some(quota.options().max_stale)),
                own_ttl: commit.ttl.is_some(),
                own_max_stale: commit.max_stale.is_some(),
            },
            durability: quota.durability_now(),
        };
        let kind = if unchanged { EventKind::RefreshUnchanged } else { EventKind::RefreshSucceeded };
        job.assignment().store(&Draft { data: &data, about }, kind).map(drop)
    }

    /// Records the failure; then what there is is shown, else the fallback is asked.
    fn failed(&mut self, job: &QuotaJob, failure: &Failure) -> Result<Step> {
        let message = bounded(&redact(&failure.message, self.secret()));
        let mut error = failure.caused(Error::new(failure.code, message.clone()));
        if let Ok(lease) = job.assignment().lease() {
            match self.set_gate(job, failure, &message) {
                Ok(Ended::Recorded(gate)) => {
                    let cap = self.quota.growing_backoff().believed;
                    error = error.with_retry_at(gate.retry_at(self.quota.core().now(), cap));
                }
                // Another credential's answer came meanwhile: this failure says nothing about it.
                Ok(Ended::Ignored | Ended::Stored) => {}
                Err(late) => self.failed_late(lease, failure, &message, &late),
            }
        }
        let seen = self.quota.see()?;
        if seen.is_fresh() {
            return Ok(self.done(&seen, How::Coalesced, None));
        }
        Ok(self.without_fetch(&seen, error))
    }

    /// The lease was lost: the failure says nothing about what is stored, but what the server said of when to come
    /// back holds all the same.
    fn failed_late(&self, lease: &Lease, failure: &Failure, message: &str, late: &Error) {
        let quota = &self.quota;
        let core = quota.core();
        let wait = match (failure.code, failure.retry_after) {
            (Code::RateLimited | Code::Unavailable, Some(wait)) => wait.max(quota.options().backoff_floor),
            (Code::RateLimited, None) => quota.options().rate_limited,
            _ => {
                tracing::debug!(target: "forebay", key = %lease.key, %late, "a failure was not recorded");
                return;
            }
        };
        let (now, cap) = (core.now(), quota.growing_backoff().believed);
        let barred = core.store.bar(&lease.key, quota.durability_now(), &|previous| {
            Gate::blocked(previous, wait, (failure.code, message), now, cap)
        });
        if let Err(error) = barred {
            tracing::debug!(target: "forebay", key = %lease.key, %error, "a gate could not be written");
        }
    }

    fn set_gate(&self, job: &QuotaJob, failure: &Failure, message: &str) -> Result<Ended> {
        let quota = &self.quota;
        let ours = self.credential_hash();
        let judge = |look: &Look| {
            let record = look.entry.as_ref().and_then(|entry| quota.record_of(entry));
            let theirs = record.as_ref().and_then(|record| record.credential.as_deref());
            let changed = look.entry.as_ref().is_some_and(|entry| entry.version != job.version());
            match theirs {
                Some(theirs) if Some(theirs) != ours && changed => Verdict::Nothing,
                Some(theirs) if Some(theirs) != ours => Verdict::Gate,
                _ => Verdict::GateAndRemove,
            }
        };
        let refused = failure.code == Code::Unauthorized;
        let guessed = if failure.retry_after.is_some() {
            quota.growing_backoff()
        } else {
            quota.backoff_after(failure.code)
        };
        let failed = Failed {
            retry_after: failure.retry_after,
            credential: ours,
            judge: if refused { Some(&judge) } else { None },
            ..Failed::new(failure.code, message, guessed, quota.durability_now())
        };
        job.assignment().fail(&failed, failure.code)
    }
}

/// The text of the answer: what was fetched, which must be JSON, or the one before.
fn text_of(job: &QuotaJob, fetched: &Fetched) -> std::result::Result<Arc<str>, Failure> {
    let Some(data) = &fetched.data else {
        let before = job.record().and_then(|record| record.data());
        return before.cloned().ok_or_else(|| {
            Failure::new(Code::RefreshFailed, "\"unchanged\", but there is no answer to keep")
        });
    };
    json_text(data).map_err(|why| Failure::new(Code::RefreshFailed, why))
}

/// The JSON in those bytes, as it is written there; else why it is no answer.
pub(super) fn json_text(data: &[u8]) -> std::result::Result<Arc<str>, String> {
    match serde_json::from_slice::<&RawValue>(data) {
        Ok(json) if json.get() != "null" => Ok(json.get().into()),
        Ok(_) => Err("the answer is null".to_owned()),
        Err(error) => Err(format!("the answer is not JSON: {error}")),
    }
}
