//! `Working`: which results this thread is computing just now. A computation that asks for its own result, directly or
//! through others, would wait for itself; where that is seen it is told so instead.

use super::Live;
use super::input::LiveKey;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

thread_local! {
    static HERE: RefCell<Vec<(PathBuf, LiveKey)>> = const { RefCell::new(Vec::new()) };
}

fn entry(live: &Live, key: &LiveKey) -> Option<(PathBuf, LiveKey)> {
    Some((live.store().ok()?.root().path().to_owned(), *key))
}

/// That this thread is computing a result, for as long as it lives: see
/// [`LiveJob::working`](super::compute::LiveJob::working). It stays on its thread.
#[must_use = "it says so for as long as it lives"]
pub struct Working {
    entry: Option<(PathBuf, LiveKey)>,
    here: PhantomData<*const ()>,
}

impl fmt::Debug for Working {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Working").field(&self.entry.as_ref().map(|(_, key)| key)).finish()
    }
}

impl Working {
    pub(super) fn new(live: &Live, key: &LiveKey) -> Working {
        let entry = entry(live, key);
        if let Some(entry) = &entry {
            HERE.with_borrow_mut(|here| here.push(entry.clone()));
        }
        Working { entry, here: PhantomData }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if let Some(entry) = &self.entry {
            // Guards may be dropped in any order.
            let _ = HERE.try_with(|here| {
                let mut here = here.borrow_mut();
                if let Some(at) = here.iter().rposition(|other| other == entry) {
                    here.remove(at);
                }
            });
        }
    }
}

/// Whether this thread is computing the result.
pub(super) fn is_computing(live: &Live, key: &LiveKey) -> bool {
    // The common case costs no path.
    HERE.with_borrow(|here| here.iter().any(|(_, other)| other == key))
        && entry(live, key).is_some_and(|entry| HERE.with_borrow(|here| here.contains(&entry)))
}
