//! Negative controls: in test builds `FOREBAY_BREAK` names a rule of the protocol that this process then breaks,
//! so that a harness can show that it would notice. A harness whose controls pass finds nothing, and its zero
//! means nothing. In other builds every rule holds, and there is nothing of this.

/// The rules that can be broken and that killed processes alone can show: the soak walks this list.
#[cfg(feature = "testing")]
pub const BREAKS: &[&str] = &[
    "identity",
    "guard",
    "liveness",
    "late-tag",
    "no-odd",
    "notice-late",
    "notice-without-marker",
    "notice-removed",
    "put-unchecked",
    "settle-unchecked",
    "value-before-meta",
    "no-settle",
    "no-was",
];

/// The rules whose breaking shows only when the power is cut.
#[cfg(feature = "testing")]
const FLUSHES: &[&str] = &["no-flush", "no-folder-flush"];

/// The rules of single-use credentials: their breaking shows at the server that sees one twice.
#[cfg(feature = "testing")]
pub const EXCHANGE_BREAKS: &[&str] = &["start-unmarked", "started-ignored", "started-late"];

#[cfg(not(feature = "testing"))]
#[inline]
pub(crate) fn broken(_rule: &str) -> bool {
    false
}

#[cfg(feature = "testing")]
pub(crate) fn broken(rule: &str) -> bool {
    static RULE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    debug_assert!([BREAKS, FLUSHES, EXCHANGE_BREAKS].iter().any(|rules| rules.contains(&rule)), "{rule}");
    RULE.get_or_init(|| std::env::var("FOREBAY_BREAK").ok()).as_deref() == Some(rule)
}
