//! `Outcome`: how a refresh of this process ended, for its caller and for those in the process who joined it.

use crate::entry::Entry;
use crate::error::Error;
use crate::source::value::How;
use std::sync::Arc;

/// How a refresh ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Its result is stored. `noticed`: and already out of date.
    Stored { entry: Arc<Entry>, noticed: bool, how: How },
    /// It had a result, which could not be stored.
    NotStored { entry: Arc<Entry>, error: Error },
    /// It failed.
    Failed(Error),
    /// Its ticket was dropped without an end.
    Abandoned,
}
