//! `refresh_many`: several sources refreshed side by side, with word of each as it is done.

use super::Source;
use super::fetched::{Failure, Fetched, Job};
use super::value::Value;
use crate::error::{Code, Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How far `refresh_many` is.
#[derive(Debug)]
pub struct Progress<'p> {
    /// How many are done.
    pub done: usize,
    /// Of how many.
    pub total: usize,
    /// The source that was done last.
    pub source: &'p Source,
    /// What came of it.
    pub result: &'p Result<Value>,
}

/// Refreshes all, at most `concurrency` at a time; results in the order of `sources`. One failure stops
/// nothing.
pub(crate) fn refresh_many<F, T, E>(
    sources: Vec<(Source, F)>,
    concurrency: usize,
    progress: &(dyn Fn(&Progress<'_>) + Sync),
) -> Vec<Result<Value>>
where
    F: FnOnce(&Job<'_>) -> std::result::Result<T, E> + Send,
    T: Into<Fetched>,
    E: Into<Failure>,
{
    let total = sources.len();
    let results: Vec<Mutex<Option<Result<Value>>>> = (0..total).map(|_| Mutex::new(None)).collect();
    let work: Vec<Mutex<Option<(Source, F)>>> =
        sources.into_iter().map(|pair| Mutex::new(Some(pair))).collect();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let serve = || {
        while let Some(place) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some((source, refresher)) = place.lock().unwrap_or_else(PoisonError::into_inner).take()
            else {
                continue;
            };
            let result = source.refresh(refresher);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(&Progress { done, total, source: &source, result: &result });
            let at = work.iter().position(|other| std::ptr::eq(other, place)).unwrap_or(0);
            *results[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..concurrency.clamp(1, total.max(1)) {
            scope.spawn(serve);
        }
    });
    let missing = || Error::new(Code::Panic, "the thread of this refresh ended without a result");
    results
        .into_iter()
        .map(|place| {
            place.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(|| Err(missing()))
        })
        .collect()
}
