//! `forebay_refresh_many` and `forebay_results`: several sources refreshed side by side, and what became of each.

use crate::args::out_handle;
use crate::background;
use crate::cache::{cache_of, forebay_cache};
use crate::error::{Failed, forebay_error};
use crate::guard::{ffi_guard, panicked};
use crate::handle::{self, Handle, Single, null};
use crate::options::{forebay_source_options, source_of};
use crate::refresh;
use crate::refresher::{Progress, Refresher, forebay_progress, forebay_refresher};
use crate::status::{OK, forebay_code, forebay_status};
use crate::value::{Found, forebay_value};
use forebay_core::{Code, Error, Mode, RefreshOptions, Result, Source, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

/// One source of `forebay_refresh_many`, and the refresher for it alone: its `drop` runs once for each item.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_refresh_item {
    /// The source.
    pub source: *const forebay_source_options,
    /// Its refresher, called on a thread of forebay's.
    pub refresher: *const forebay_refresher,
}

/// What became of each source of `forebay_refresh_many`, in the order of the items. Its accessors accept NULL, and an
/// index beyond the last.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_results {
    _private: [u8; 0],
}

impl Handle for forebay_results {
    type Rust = Vec<Outcome>;
    type Ownership = Single;
}

/// One outcome: a value or an error, which the results lend.
pub(crate) struct Outcome {
    value: Option<Lent>,
    error: Option<Failed>,
    status: forebay_status,
}

/// A value handle that is freed with the results, so that it may be retained past them.
struct Lent(*mut forebay_value);

// SAFETY: a value is immutable and counted atomically.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: our own hold, used no more.
        unsafe { handle::free(self.0) };
    }
}

impl Outcome {
    fn new(result: Result<Value>) -> Outcome {
        match result {
            Ok(value) => {
                let found = Found::new(value);
                let status = found.status();
                Outcome { value: Some(Lent(handle::export(found))), error: None, status }
            }
            Err(error) => {
                let status = error.code().number();
                Outcome { value: None, error: Some(Failed::new(error)), status }
            }
        }
    }
}

/// A source with its refresher, or why it cannot be refreshed.
type Job = (usize, Result<Source>, Refresher);
/// What a worker reports: which job, its key, and its outcome.
type Report = (usize, String, Result<Value>);

/// Reads the items. All refreshers are taken first: whatever fails then, each `drop` runs.
///
/// # Safety
/// `items` has `count` items, each readable; `cache` is a live handle.
unsafe fn jobs_of(
    cache: *const forebay_cache,
    items: *const forebay_refresh_item,
    count: usize,
) -> Result<Vec<Job>> {
    let mut taken = Vec::new();
    for at in 0..count {
        // SAFETY: the caller's promise.
        let item = unsafe { items.add(at).read() };
        // SAFETY: the caller's promise.
        taken.push((item.source, unsafe { Refresher::take(item.refresher) }));
    }
    let mut jobs = Vec::with_capacity(count);
    for (at, (source, refresher)) in taken.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        jobs.push((at, unsafe { source_of(cache, source) }, refresher?));
    }
    Ok(jobs)
}

/// Does one job, and contains what panics in it.
fn work((at, source, refresher): Job) -> Report {
    let done = catch_unwind(AssertUnwindSafe(|| {
        let source = match source {
            Ok(source) => source,
            Err(error) => return (String::new(), Err(error)),
        };
        let key = source.key().map(ToString::to_string).unwrap_or_default();
        (key, refresh::here(&source, Mode::Refresh(RefreshOptions::default()), &refresher))
    }));
    let (key, result) = done.unwrap_or_else(|payload| (String::new(), Err(panicked(payload.as_ref()))));
    (at, key, result)
}

/// Takes jobs until none is left.
fn worker(jobs: &Mutex<std::vec::IntoIter<Job>>, reports: &Sender<Report>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some(job) = job else { return };
        if reports.send(work(job)).is_err() {
            return;
        }
    }
}

/// Runs the jobs on `concurrency` threads and reports from this one; where no thread can be had, does them here.
fn run(jobs: Vec<Job>, concurrency: usize, progress: Option<&Progress>) -> Vec<Outcome> {
    let total = jobs.len();
    let threads = concurrency.min(total);
    let mut outcomes: Vec<Option<Outcome>> = Vec::new();
    outcomes.resize_with(total, || None);
    let jobs = Mutex::new(jobs.into_iter());
    let (sender, reports) = channel();
    std::thread::scope(|scope| {
        let started = (0..threads)
            .filter(|_| {
                let (jobs, sender) = (&jobs, sender.clone());
                background::scoped(scope, move || worker(jobs, &sender)).is_ok()
            })
            .count();
        if started == 0 {
            worker(&jobs, &sender);
        }
        drop(sender);
        for (done, (at, key, result)) in reports.iter().enumerate() {
            let outcome = Outcome::new(result);
            if let Some(progress) = progress {
                progress.tell(done + 1, total, &key, outcome.status);
            }
            outcomes[at] = Some(outcome);
        }
    });
    let lost = || Outcome::new(Err(Error::new(Code::Panic, "a thread of forebay's ended early")));
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect()
}

/// Refreshes several sources side by side, each as `forebay_refresh`, and returns when all are done.
///
/// `out`: one result for each item, in their order; to be freed with `forebay_results_free`. `items`: `count` of them.
/// `concurrency`: how many at once, at least 1; so many threads run for the length of the call. `progress`: NULL, or who is
/// told after each. A source that fails has its error in the results. Errors: `FOREBAY_E_INVALID` where the items
/// themselves are unusable; then none was refreshed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_many(
    out: *mut *mut forebay_results,
    cache: *const forebay_cache,
    items: *const forebay_refresh_item,
    count: usize,
    concurrency: usize,
    progress: *const forebay_progress,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        if items.is_null() && count > 0 {
            return Err(null("items"));
        }
        // SAFETY: the header asks for a readable table and `count` readable items.
        let (progress, jobs) = unsafe { (Progress::take(progress), jobs_of(cache, items, count)) };
        // SAFETY: the header asks for a place for the handle and a live cache.
        let (out, _) = unsafe { (out_handle(out, "out")?, cache_of(cache)?) };
        let (progress, jobs) = (progress?, jobs?);
        if concurrency == 0 {
            return Err(Error::new(Code::Invalid, "concurrency is 0").with_hint("give at least 1"));
        }
        out.export(run(jobs, concurrency, progress.as_ref()));
        Ok(OK)
    })
}

/// # Safety
/// `results` is NULL or a live handle.
unsafe fn outcome<'a>(results: *const forebay_results, index: usize) -> Option<&'a Outcome> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(results) }.and_then(|outcomes| outcomes.get(index))
}

/// How many results there are: as many as items. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_results_count(results: *const forebay_results) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(results) }.map_or(0, Vec::len)
    })
}

/// What `forebay_refresh` would have returned; `FOREBAY_E_NOT_FOUND` beyond the last. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_results_status(
    results: *const forebay_results,
    index: usize,
) -> forebay_status {
    ffi_guard!(else forebay_code::FOREBAY_E_PANIC as i32, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { outcome(results, index) }
            .map_or(forebay_code::FOREBAY_E_NOT_FOUND as i32, |outcome| outcome.status)
    })
}

/// The value; NULL where the refresh failed. Borrowed from the results: `forebay_value_retain` keeps it. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_results_value(
    results: *const forebay_results,
    index: usize,
) -> *const forebay_value {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        let value = unsafe { outcome(results, index) }.and_then(|outcome| outcome.value.as_ref());
        value.map_or(std::ptr::null(), |lent| lent.0.cast_const())
    })
}

/// The error; NULL where the refresh succeeded. Borrowed from the results: not to be freed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_results_error(
    results: *const forebay_results,
    index: usize,
) -> *const forebay_error {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        Failed::lend(unsafe { outcome(results, index) }.and_then(|outcome| outcome.error.as_ref()))
    })
}

/// Frees the results; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_results_free(results: *mut forebay_results) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(results) }
    });
}
