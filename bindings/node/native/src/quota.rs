//! Quotas: the calls on one that run no callback. Each answers through the hub; `resolve.rs` has the one that does.

use crate::failure::{ErrorFacts, duration, epoch_ms, guard, millis};
use crate::hub::Hub;
use forebay::{Answer, Cache, Code, Durability, Error, Key, Quota, QuotaState, Wait};
use napi::bindgen_prelude::External;
use napi_derive::napi;

/// A quota's options; durations in milliseconds, unset = the core's default.
#[napi(object, object_to_js = false)]
pub struct QuotaFacts {
    pub identity: Option<String>,
    pub ttl: Option<f64>,
    pub error_ttl: Option<f64>,
    pub rate_limited: Option<f64>,
    pub unauthorized: Option<f64>,
    pub timeout: Option<f64>,
    pub max_stale: Option<f64>,
    pub backoff_floor: Option<f64>,
    pub backoff_cap: Option<f64>,
    pub wait: Option<f64>,
    pub durability: Option<String>,
}

fn open(cache: &Cache, name: &str, facts: QuotaFacts) -> forebay::Result<Quota> {
    let mut quota = cache.quota(name);
    if let Some(identity) = facts.identity {
        quota = quota.identity(&identity);
    }
    if let Some(ttl) = facts.ttl {
        quota = quota.ttl(duration(ttl)?);
    }
    if let Some(error_ttl) = facts.error_ttl {
        quota = quota.error_ttl(duration(error_ttl)?);
    }
    if let Some(rate_limited) = facts.rate_limited {
        quota = quota.rate_limited(duration(rate_limited)?);
    }
    if let Some(unauthorized) = facts.unauthorized {
        quota = quota.unauthorized(duration(unauthorized)?);
    }
    if let Some(timeout) = facts.timeout {
        quota = quota.timeout(duration(timeout)?);
    }
    if let Some(max_stale) = facts.max_stale {
        quota = quota.max_stale(duration(max_stale)?);
    }
    if let (Some(floor), Some(cap)) = (facts.backoff_floor, facts.backoff_cap) {
        quota = quota.backoff(duration(floor)?, duration(cap)?);
    }
    if let Some(wait) = facts.wait {
        quota = quota.wait(Wait::AtMost(duration(wait)?));
    }
    if let Some(durability) = facts.durability {
        quota = quota.durability(Durability::parse(&durability)?);
    }
    quota.key()?;
    Ok(quota)
}

/// A quota of the cache. A bad name or option is an error here.
#[napi]
pub fn quota_open(cache: &External<Cache>, name: String, facts: QuotaFacts) -> napi::Result<External<Quota>> {
    guard(|| open(cache, &name, facts).map(External::new))
}

/// The quota's name, with the hash of the identity.
#[napi]
pub fn quota_key(quota: &External<Quota>) -> napi::Result<String> {
    guard(|| quota.key().map(ToString::to_string))
}

/// What a resolve brought, or what is recorded.
#[napi(object, object_from_js = false)]
pub struct AnswerFacts {
    /// The text of a JSON value.
    pub data: String,
    pub how: &'static str,
    pub state: &'static str,
    pub age: f64,
    pub cached_at: Option<f64>,
    pub retry_at: Option<f64>,
    pub error: Option<ErrorFacts>,
}

impl From<Answer> for AnswerFacts {
    fn from(answer: Answer) -> AnswerFacts {
        AnswerFacts {
            data: answer.data.to_string(),
            how: answer.how.as_str(),
            state: answer.state.as_str(),
            age: millis(answer.age),
            cached_at: answer.cached_at.map(epoch_ms),
            retry_at: answer.retry_at.map(epoch_ms),
            error: answer.error.as_ref().map(ErrorFacts::from),
        }
    }
}

/// The gate in force.
#[napi(object, object_from_js = false)]
pub struct BlockedFacts {
    pub until: f64,
    pub code: Option<&'static str>,
    pub message: String,
    pub declared: bool,
    pub attempts: u32,
}

/// What is recorded of a quota.
#[napi(object, object_from_js = false)]
pub struct QuotaStateFacts {
    pub answer: Option<AnswerFacts>,
    pub recorded_error: Option<ErrorFacts>,
    pub blocked: Option<BlockedFacts>,
    pub phase: &'static str,
    pub holder: Option<u32>,
}

impl From<QuotaState> for QuotaStateFacts {
    fn from(state: QuotaState) -> QuotaStateFacts {
        QuotaStateFacts {
            answer: state.answer.map(AnswerFacts::from),
            recorded_error: state.recorded_error.as_ref().map(ErrorFacts::from),
            blocked: state.blocked.map(|blocked| BlockedFacts {
                until: epoch_ms(blocked.until),
                code: blocked.error.map(Code::as_str),
                message: blocked.message,
                declared: blocked.declared,
                attempts: blocked.attempts,
            }),
            phase: state.phase.as_str(),
            holder: state.holder,
        }
    }
}

/// What is recorded, whatever its age.
#[napi]
pub fn quota_read(hub: &External<Hub>, id: u32, quota: &External<Quota>) -> napi::Result<()> {
    let quota = Quota::clone(quota);
    guard(|| hub.submit(id, move || quota.read().map(QuotaStateFacts::from)))
}

/// Bars every process for `wait` ms. Answers when the gate in force ends, in epoch milliseconds.
#[napi]
pub fn quota_block(
    hub: &External<Hub>,
    id: u32,
    quota: &External<Quota>,
    wait: f64,
    code: String,
    message: String,
) -> napi::Result<()> {
    guard(|| {
        let wait = duration(wait)?;
        let code = Code::from_text(&code)
            .ok_or_else(|| Error::new(Code::Invalid, format!("{code:?} is not a code of an error")))?;
        let quota = Quota::clone(quota);
        hub.submit(id, move || quota.block(wait, code, &message).map(epoch_ms))
    })
}

/// Removes record and gate. Answers whether there was anything.
#[napi]
pub fn quota_clear(hub: &External<Hub>, id: u32, quota: &External<Quota>) -> napi::Result<()> {
    let quota = Quota::clone(quota);
    guard(|| hub.submit(id, move || quota.clear()))
}

/// One quota as the list has it.
#[napi(object, object_from_js = false)]
pub struct QuotaRowFacts {
    pub key: String,
    pub name: String,
    pub identity_hash: Option<String>,
}

impl From<&Key> for QuotaRowFacts {
    fn from(key: &Key) -> QuotaRowFacts {
        QuotaRowFacts {
            key: key.to_string(),
            name: key.name().to_owned(),
            identity_hash: Some(key.identity_hash()).filter(|hash| !hash.is_empty()).map(str::to_owned),
        }
    }
}

/// All quotas of the cache.
#[napi]
pub fn cache_quotas(hub: &External<Hub>, id: u32, cache: &External<Cache>) -> napi::Result<()> {
    let cache = Cache::clone(cache);
    guard(|| hub.submit(id, move || Ok(cache.quotas()?.iter().map(QuotaRowFacts::from).collect::<Vec<_>>())))
}
