//! Resolves: the state machine under `quota.resolve`, one step at a time. The three callbacks run in JavaScript
//! between the steps.

use crate::course::{Course, Machine, Turn};
use crate::failure::{FailureFacts, epoch_ms, guard, millis};
use crate::hub::{Hub, Interrupt};
use crate::quota::AnswerFacts;
use crate::ticket::{CommitFacts, HeaderFacts};
use forebay::{Code, Commit, Error, Failure, Fetched, Quota, QuotaJob, Resolve, Step};
use napi::bindgen_prelude::{External, Uint8Array};
use napi_derive::napi;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a fetch may know of itself, until it is over. Emptied by hand: the garbage collector takes its time.
pub struct HeldJob(Mutex<Option<QuotaJob>>);

impl HeldJob {
    fn with<T>(&self, look: impl FnOnce(&QuotaJob) -> T) -> forebay::Result<T> {
        let job = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        job.as_ref().map(look).ok_or_else(|| Error::new(Code::AlreadyUsed, "the fetch is over"))
    }
}

/// What to do next: use the answer, call what `want` names, or wait (neither).
#[napi(object, object_from_js = false)]
pub struct StepFacts {
    pub answer: Option<AnswerFacts>,
    /// `credentials`, `fetch` or `fallback`.
    pub want: Option<&'static str>,
    /// Of `fetch`.
    pub job: Option<External<HeldJob>>,
}

impl Machine for Resolve {
    type Facts = StepFacts;

    fn step(&mut self) -> forebay::Result<Turn<StepFacts>> {
        let none = StepFacts { answer: None, want: None, job: None };
        Ok(match self.next()? {
            Step::Done(answer) => Turn::Over(StepFacts { answer: Some(answer.into()), ..none }),
            Step::Credentials => Turn::Work(StepFacts { want: Some("credentials"), ..none }),
            Step::Fetch => {
                let job = self.job().map(|job| External::new(HeldJob(Mutex::new(Some(job)))));
                Turn::Work(StepFacts { want: Some("fetch"), job, ..none })
            }
            Step::Fallback => Turn::Work(StepFacts { want: Some("fallback"), ..none }),
            Step::Wait => Turn::Wait(none),
        })
    }

    fn pause(&self, at_most: Duration, interrupted: &dyn Fn() -> bool) -> bool {
        self.wait(at_most, Some(interrupted))
    }
}

/// Begins a resolve; touches nothing yet.
#[napi]
pub fn resolve_begin(quota: &External<Quota>) -> napi::Result<External<Course<Resolve>>> {
    guard(|| Ok(External::new(Course::new(quota.begin()))))
}

/// The next step; with `wait`, once there may be news.
#[napi]
pub fn resolve_next(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Resolve>>,
    wait: bool,
    interrupt: &External<Interrupt>,
) -> napi::Result<()> {
    guard(|| course.next(hub, id, wait, interrupt))
}

/// Hands the secret over, which is hashed and not kept, and takes the next step.
#[napi]
pub fn resolve_credentials(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Resolve>>,
    secret: Uint8Array,
) -> napi::Result<()> {
    let secret = secret.to_vec();
    guard(|| course.tell(hub, id, move |resolve| resolve.credentials(Ok(secret))))
}

/// Says that there are no credentials, and takes the next step.
#[napi]
pub fn resolve_credentials_failed(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Resolve>>,
    failure: FailureFacts,
) -> napi::Result<()> {
    guard(|| {
        let failed: Result<Vec<u8>, Failure> = Err(failure.try_into()?);
        course.tell(hub, id, move |resolve| resolve.credentials(failed))
    })
}

/// Hands over what was fetched, none for "unchanged", and takes the next step.
#[napi]
pub fn resolve_fetched(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Resolve>>,
    bytes: Option<Uint8Array>,
    commit: CommitFacts,
) -> napi::Result<()> {
    guard(|| {
        let data = bytes.map(|bytes| bytes.to_vec().into_boxed_slice());
        let fetched = Fetched { data, commit: Commit::try_from(commit)? };
        course.tell(hub, id, move |resolve| resolve.fetched(Ok(fetched)))
    })
}

/// Says how the fetch failed, and takes the next step.
#[napi]
pub fn resolve_fetch_failed(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Resolve>>,
    failure: FailureFacts,
) -> napi::Result<()> {
    guard(|| {
        let failure = Failure::try_from(failure)?;
        course.tell(hub, id, move |resolve| resolve.fetched(Err(failure)))
    })
}

/// Hands over what the fallback has, none where it has nothing, and takes the next step.
#[napi]
pub fn resolve_fallback(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Resolve>>,
    bytes: Option<Uint8Array>,
) -> napi::Result<()> {
    let bytes = bytes.map(|bytes| bytes.to_vec());
    guard(|| course.tell(hub, id, move |resolve| resolve.fallback(Ok(bytes))))
}

/// Says how the fallback failed, and takes the next step.
#[napi]
pub fn resolve_fallback_failed(
    hub: &External<Hub>,
    id: u32,
    course: &External<Course<Resolve>>,
    failure: FailureFacts,
) -> napi::Result<()> {
    guard(|| {
        let failed: Result<Option<Vec<u8>>, Failure> = Err(failure.try_into()?);
        course.tell(hub, id, move |resolve| resolve.fallback(failed))
    })
}

/// Leaves the resolve. A fetch that runs is not recorded any more, and the next caller may fetch.
#[napi]
pub fn resolve_close(course: &External<Course<Resolve>>) {
    course.close();
}

/// What does not change while the fetch runs.
#[napi(object, object_from_js = false)]
pub struct QuotaJobFacts {
    /// Epoch milliseconds.
    pub deadline: f64,
    /// The text of a JSON value.
    pub previous: Option<String>,
    pub validator: Option<String>,
    pub headers: Vec<HeaderFacts>,
}

/// What the job says of itself.
#[napi]
pub fn quota_job_facts(job: &External<HeldJob>) -> napi::Result<QuotaJobFacts> {
    guard(|| {
        job.with(|job| QuotaJobFacts {
            deadline: epoch_ms(job.deadline()),
            previous: job.previous().map(str::to_owned),
            validator: job.validator().map(str::to_owned),
            headers: job
                .conditional_headers()
                .into_iter()
                .map(|(name, value)| HeaderFacts { name, value })
                .collect(),
        })
    })
}

/// Milliseconds until the deadline, 0 after it.
#[napi]
pub fn quota_job_remaining(job: &External<HeldJob>) -> napi::Result<f64> {
    guard(|| job.with(|job| millis(job.remaining())))
}

/// Whether what is fetched would not be recorded any more.
#[napi]
pub fn quota_job_cancelled(job: &External<HeldJob>) -> napi::Result<bool> {
    guard(|| job.with(QuotaJob::cancelled))
}

/// Ends the job: it says nothing any more.
#[napi]
pub fn quota_job_release(job: &External<HeldJob>) {
    let job = job.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(job);
}
