//! What the protocol does with files, whatever they hold: a checked root, guard locks, temporary files that
//! become visible whole. Nothing here knows of entries, leases or gates.

pub(crate) mod guard;
pub(crate) mod root;
pub(crate) mod temp;
pub(crate) mod turn;

use crate::error::{Code, Error, Result};

/// How well a commit survives a power cut.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Durability {
    /// No flush: after a power cut the old value, the new one, or damage that is noticed.
    None,
    /// What is renamed was flushed before: never damaged; the last commits may be lost.
    #[default]
    Data,
    /// Everything is flushed, folders too: what was acknowledged stays.
    Full,
}

impl Durability {
    /// The durability as text, the same in every language.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::None => "none",
            Durability::Data => "data",
            Durability::Full => "full",
        }
    }

    /// The durability with that text.
    ///
    /// # Errors
    /// [`Code::Invalid`] for any other text.
    ///
    /// ```
    /// use forebay::Durability;
    /// assert_eq!(Durability::parse("full")?, Durability::Full);
    /// # Ok::<(), forebay::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Durability> {
        [Durability::None, Durability::Data, Durability::Full]
            .into_iter()
            .find(|durability| durability.as_str() == text)
            .ok_or_else(|| {
                Error::new(Code::Invalid, format!("{text:?} is not a durability"))
                    .with_hint("use none, data or full")
            })
    }
}
