//! `why`: which fact decided, in a sentence for people and as a `Cache-Status` field (RFC 9211) for programs.

use super::Source;
use super::value::{RefreshState, Value, Why};
use crate::error::Result;
use crate::freshness::{Freshness, State};
use crate::store::Look;
use crate::text::format_duration;
use std::time::Duration;

impl Source {
    /// Why a read of this source returns what it does.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn why(&self) -> Result<Why> {
        self.core().check_open()?;
        let key = self.key()?;
        let look = self.core().store.look(key)?;
        let state = self.state_from(&self.core().store.facts(key)?);
        let lifetime = look.entry.as_ref().map(|entry| entry.lifetime).unwrap_or_default();
        let freshness = Freshness::effective(self.options().ttl, self.options().max_stale, &lifetime);
        let value = self.judge(look.clone(), None);
        let text = format!(
            "{key}: {}{}",
            of_value(&value, &look, &freshness),
            of_refresh(&state, self.core().now())
        );
        let cache_status = cache_status(&value, &freshness);
        Ok(Why { text, cache_status, state: value.state, phase: state.phase })
    }
}

/// A duration of which only what matters is shown.
fn brief(duration: Duration) -> String {
    let rounded = match duration.as_secs() {
        0 => duration,
        1..=59 => Duration::from_secs(duration.as_secs()),
        60..=3599 => Duration::from_secs(duration.as_secs()),
        3600..=86_399 => Duration::from_secs(duration.as_secs() / 60 * 60),
        _ => Duration::from_secs(duration.as_secs() / 3600 * 3600),
    };
    format_duration(rounded)
}

fn of_value(value: &Value, look: &Look, freshness: &Freshness) -> String {
    if let Some(damaged) = &look.damaged {
        return format!("absent: {damaged}");
    }
    let age = brief(value.age.unwrap_or_default());
    let ttl = brief(freshness.ttl);
    match value.state {
        State::Absent => "absent: nothing was stored yet".to_owned(),
        State::Fresh => format!("fresh: {age} old, under its ttl of {ttl}"),
        _ if look.noticed => format!("{}: {age} old, and marked stale since", value.state),
        State::Stale => format!("stale: {age} old, over its ttl of {ttl}"),
        State::Expired => {
            let limit = brief(freshness.max_stale.unwrap_or_default());
            format!("expired: {age} old, over its ttl of {ttl} and {limit} more")
        }
    }
}

fn of_refresh(state: &RefreshState, now: i64) -> String {
    let mut text = String::new();
    if let Some(holder) = state.holder {
        text += &format!("; process {holder} is refreshing it");
    }
    if let Some(error) = &state.last_error {
        let attempts =
            if state.attempts > 1 { format!(" ({} attempts)", state.attempts) } else { String::new() };
        text += &format!("; the last refresh failed{attempts}: {}", error.message());
    }
    if let Some(at) = state.retry_at {
        let left = crate::stamp::stamp(at).saturating_sub(now);
        let left = Duration::from_nanos(u64::try_from(left).unwrap_or(0));
        let who = if state.declared { "as the server asked" } else { "backing off" };
        text += &format!("; next attempt in {} ({who})", brief(left));
    }
    text
}

fn cache_status(value: &Value, freshness: &Freshness) -> String {
    let left = |age: Duration| i128::from(freshness.ttl.as_secs()) - i128::from(age.as_secs());
    match (value.state, value.age) {
        (State::Fresh, Some(age)) => format!("forebay; hit; ttl={}", left(age)),
        (State::Stale | State::Expired, Some(age)) => {
            format!("forebay; fwd=stale; ttl={}; detail={}", left(age), value.state)
        }
        _ if value.error.is_some() => "forebay; fwd=uri-miss; detail=damaged".to_owned(),
        _ => "forebay; fwd=uri-miss".to_owned(),
    }
}
