//! Derived results: the handle, its inputs as JavaScript names them, and the calls that run no callback. Only the plain
//! look answers in place: it reads the index and nothing else.

use crate::convert::count;
use crate::failure::{ErrorFacts, duration, epoch_ms, guard};
use crate::hub::Hub;
use forebay::{Cache, Code, Derived, Error, Input, Live, LiveKey, LiveListed, LiveOptions, LiveWhy, Lookup};
use napi::Either;
use napi::bindgen_prelude::{Buffer, External, Uint8Array};
use napi_derive::napi;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A path: text, or bytes that need not be UTF-8.
pub(crate) type PathFacts = Either<String, Uint8Array>;

pub(crate) fn path_of(path: PathFacts) -> PathBuf {
    match path {
        Either::A(text) => text.into(),
        Either::B(bytes) => OsString::from_vec(bytes.to_vec()).into(),
    }
}

/// How results are kept and computed; the deadline in milliseconds, unset = the core's default.
#[napi(object, object_to_js = false)]
pub struct LiveFacts {
    pub workspace: Option<PathFacts>,
    pub deadline: Option<f64>,
    pub size_cap: Option<f64>,
}

/// The derived results of a cache.
#[napi]
pub fn live_open(cache: &External<Cache>, facts: LiveFacts) -> napi::Result<External<Live>> {
    guard(|| {
        let mut options = LiveOptions { workspace: facts.workspace.map(path_of), ..LiveOptions::default() };
        if let Some(deadline) = facts.deadline {
            options.deadline = duration(deadline)?;
        }
        options.size_cap = facts.size_cap.map(bytes).transpose()?;
        cache.live()?.with_options(options).map(External::new)
    })
}

/// The folder that paths are relative to, without links where it exists.
#[napi]
pub fn live_workspace(live: &External<Live>) -> Buffer {
    let given = live.options().workspace.clone().unwrap_or_else(|| ".".into());
    let real = std::fs::canonicalize(&given).or_else(|_| std::path::absolute(&given));
    Buffer::from(real.unwrap_or(given).as_os_str().as_bytes())
}

/// A number of bytes as JavaScript gives it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is looked at before")]
fn bytes(number: f64) -> forebay::Result<u64> {
    // 2^53: beyond it, JavaScript has no whole numbers of its own.
    if (0.0..=9_007_199_254_740_992.0).contains(&number) {
        return Ok(number as u64);
    }
    Err(Error::new(Code::Invalid, format!("{number} is no number of bytes")))
}

/// The key of those bytes.
#[napi]
pub fn live_key(bytes: Uint8Array) -> String {
    LiveKey::from_bytes(&bytes).to_string()
}

/// One input: of the kind, or without one as the text says.
#[napi(object)]
pub struct InputFacts {
    /// `file`, `dir`, `glob`, `absent`, `stat`, `env`, `source` or `tag`.
    pub kind: Option<String>,
    pub name: Either<String, Buffer>,
}

fn text_of(kind: &str, name: Either<String, Buffer>) -> forebay::Result<String> {
    match name {
        Either::A(text) => Ok(text),
        Either::B(bytes) => String::from_utf8(bytes.to_vec())
            .map_err(|_| Error::new(Code::Invalid, format!("only paths may be no text, no {kind} may"))),
    }
}

impl TryFrom<InputFacts> for Input {
    type Error = Error;

    fn try_from(facts: InputFacts) -> forebay::Result<Input> {
        let name = facts.name;
        let path = |name: Either<String, Buffer>| match name {
            Either::A(text) => PathBuf::from(text),
            Either::B(bytes) => OsString::from_vec(bytes.to_vec()).into(),
        };
        Ok(match facts.kind.as_deref() {
            None => Input::parse(&text_of("input without a kind", name)?),
            Some("file") => Input::File(path(name)),
            Some("dir") => Input::Directory(path(name)),
            Some("absent") => Input::Absent(path(name)),
            Some("stat") => Input::Stat(path(name)),
            Some("glob") => Input::Glob(text_of("pattern", name)?),
            Some("env") => Input::Env(text_of("variable", name)?),
            Some("source") => Input::Source(text_of("key", name)?),
            Some("tag") => Input::Tag(text_of("tag", name)?),
            Some(other) => {
                return Err(Error::new(Code::Invalid, format!("{other:?} is no kind of input"))
                    .with_hint("give file, dir, glob, absent, stat, env, source or tag"));
            }
        })
    }
}

impl From<Input> for InputFacts {
    fn from(input: Input) -> InputFacts {
        let path = |path: &Path| match path.to_str() {
            Some(text) => Either::A(text.to_owned()),
            None => Either::B(Buffer::from(path.as_os_str().as_bytes())),
        };
        let (kind, name) = match &input {
            Input::File(name) => ("file", path(name)),
            Input::Directory(name) => ("dir", path(name)),
            Input::Absent(name) => ("absent", path(name)),
            Input::Stat(name) => ("stat", path(name)),
            Input::Glob(text) => ("glob", Either::A(text.clone())),
            Input::Env(text) => ("env", Either::A(text.clone())),
            Input::Source(text) => ("source", Either::A(text.clone())),
            Input::Tag(text) => ("tag", Either::A(text.clone())),
        };
        InputFacts { kind: Some(kind.to_owned()), name }
    }
}

/// What a result is computed from.
#[napi(object, object_to_js = false)]
pub struct FromFacts {
    pub inputs: Vec<InputFacts>,
    /// Keys of other results.
    pub upstream: Vec<String>,
}

impl FromFacts {
    pub(crate) fn parts(self) -> forebay::Result<(Vec<Input>, Vec<LiveKey>)> {
        let inputs = self.inputs.into_iter().map(Input::try_from).collect::<forebay::Result<_>>()?;
        let upstream = self.upstream.iter().map(|key| LiveKey::parse(key)).collect::<forebay::Result<_>>()?;
        Ok((inputs, upstream))
    }
}

/// A result.
#[napi(object, object_from_js = false)]
pub struct DerivedFacts {
    pub key: String,
    pub data: Buffer,
    pub kind: String,
    pub hash: String,
    pub how: &'static str,
    pub inputs: Vec<InputFacts>,
    pub upstream: Vec<String>,
    pub computed_at: f64,
    pub error: Option<ErrorFacts>,
}

impl From<Derived> for DerivedFacts {
    fn from(derived: Derived) -> DerivedFacts {
        DerivedFacts {
            key: derived.key().to_string(),
            data: Buffer::from(derived.data()),
            kind: derived.kind().to_owned(),
            hash: derived.hash().to_owned(),
            how: derived.how().as_str(),
            inputs: derived.inputs().into_iter().map(InputFacts::from).collect(),
            upstream: derived.upstreams().iter().map(LiveKey::to_string).collect(),
            computed_at: epoch_ms(derived.computed_at()),
            error: derived.error().map(ErrorFacts::from),
        }
    }
}

/// What a look found.
#[napi(object, object_from_js = false)]
pub struct LookupFacts {
    pub outcome: &'static str,
    pub derived: Option<DerivedFacts>,
}

impl From<Lookup> for LookupFacts {
    fn from(lookup: Lookup) -> LookupFacts {
        match lookup {
            Lookup::Hit(derived) => LookupFacts { outcome: "hit", derived: Some(derived.into()) },
            Lookup::Miss => LookupFacts { outcome: "miss", derived: None },
            Lookup::Invalidated => LookupFacts { outcome: "invalidated", derived: None },
        }
    }
}

/// The result, by what is recorded. In place.
#[napi]
pub fn live_lookup(live: &External<Live>, key: String) -> napi::Result<LookupFacts> {
    guard(|| Ok(live.lookup(&LiveKey::parse(&key)?)?.into()))
}

/// Submits `work` on the results.
fn submit<T, F>(hub: &External<Hub>, id: u32, live: &External<Live>, work: F) -> napi::Result<()>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
    F: FnOnce(Live) -> forebay::Result<T> + Send + 'static,
{
    let live = Live::clone(live);
    guard(|| hub.submit(id, move || work(live)))
}

/// The result, after a look at all inputs.
#[napi]
pub fn live_revalidate(hub: &External<Hub>, id: u32, live: &External<Live>, key: String) -> napi::Result<()> {
    submit(hub, id, live, move |live| live.lookup_revalidate(&LiveKey::parse(&key)?).map(LookupFacts::from))
}

/// Keeps a result whose inputs are looked at now.
#[napi]
pub fn live_persist(
    hub: &External<Hub>,
    id: u32,
    live: &External<Live>,
    key: String,
    bytes: Uint8Array,
    kind: String,
    from: FromFacts,
) -> napi::Result<()> {
    guard(|| {
        let (key, (inputs, upstream), bytes) = (LiveKey::parse(&key)?, from.parts()?, bytes.to_vec());
        let live = Live::clone(live);
        hub.submit(id, move || {
            live.persist_with_upstreams(&key, &bytes, &kind, &inputs, &upstream).map(DerivedFacts::from)
        })
    })
}

/// Removes a result and what is built on it. Answers whether it was there.
#[napi]
pub fn live_mark_dirty(hub: &External<Hub>, id: u32, live: &External<Live>, key: String) -> napi::Result<()> {
    submit(hub, id, live, move |live| live.mark_dirty(&LiveKey::parse(&key)?))
}

/// Removes what is built on a result. Answers how many.
#[napi]
pub fn live_invalidate_upstream(
    hub: &External<Hub>,
    id: u32,
    live: &External<Live>,
    key: String,
) -> napi::Result<()> {
    submit(hub, id, live, move |live| live.invalidate_upstream(&LiveKey::parse(&key)?).map(count))
}

/// Removes what was computed from a path. Answers how many directly.
#[napi]
pub fn live_invalidate_path(
    hub: &External<Hub>,
    id: u32,
    live: &External<Live>,
    path: PathFacts,
) -> napi::Result<()> {
    let path = path_of(path);
    submit(hub, id, live, move |live| live.invalidate_path(path).map(count))
}

/// Removes what has the tag. Answers how many directly.
#[napi]
pub fn live_invalidate_tag(
    hub: &External<Hub>,
    id: u32,
    live: &External<Live>,
    name: String,
) -> napi::Result<()> {
    submit(hub, id, live, move |live| live.invalidate_tag(&name).map(count))
}

/// Removes the least recently used beyond `cap` bytes. Answers how many.
#[napi]
pub fn live_evict(hub: &External<Hub>, id: u32, live: &External<Live>, cap: f64) -> napi::Result<()> {
    submit(hub, id, live, move |live| live.evict_to_cap(bytes(cap)?).map(count))
}

/// What `gc` did.
#[napi(object, object_from_js = false)]
pub struct SweptFacts {
    pub results: f64,
    pub files: f64,
}

/// Removes what does not hold, and files that nothing names.
#[napi]
pub fn live_gc(hub: &External<Hub>, id: u32, live: &External<Live>) -> napi::Result<()> {
    submit(hub, id, live, |live| {
        let (results, files) = live.gc()?;
        Ok(SweptFacts { results: count(results), files: count(files) })
    })
}

/// One kind of results.
#[napi(object, object_from_js = false)]
pub struct KindFacts {
    pub kind: String,
    pub count: f64,
}

/// The kinds of results.
#[napi]
pub fn live_kinds(hub: &External<Hub>, id: u32, live: &External<Live>) -> napi::Result<()> {
    submit(hub, id, live, |live| {
        let kinds = live.known_kinds()?.into_iter();
        Ok(kinds.map(|(kind, number)| KindFacts { kind, count: count(number) }).collect::<Vec<_>>())
    })
}

/// How much there is.
#[napi(object, object_from_js = false)]
pub struct SizeFacts {
    pub entries: f64,
    pub bytes: f64,
}

/// How many results there are, and how many bytes.
#[napi]
pub fn live_size(hub: &External<Hub>, id: u32, live: &External<Live>) -> napi::Result<()> {
    submit(hub, id, live, |live| {
        Ok(SizeFacts { entries: count(live.entry_count()?), bytes: count(live.total_bytes()?) })
    })
}

/// One result as the list has it.
#[napi(object, object_from_js = false)]
pub struct LiveListedFacts {
    pub key: String,
    pub kind: String,
    pub size: f64,
    pub inputs: Vec<InputFacts>,
    pub upstream: Vec<String>,
    pub computed_at: f64,
    pub used_at: f64,
}

impl From<LiveListed> for LiveListedFacts {
    fn from(listed: LiveListed) -> LiveListedFacts {
        LiveListedFacts {
            key: listed.key.to_string(),
            kind: listed.kind,
            size: count(listed.size),
            inputs: listed.inputs.into_iter().map(InputFacts::from).collect(),
            upstream: listed.upstreams.iter().map(LiveKey::to_string).collect(),
            computed_at: epoch_ms(listed.computed_at),
            used_at: epoch_ms(listed.used_at),
        }
    }
}

/// All results.
#[napi]
pub fn live_list(hub: &External<Hub>, id: u32, live: &External<Live>) -> napi::Result<()> {
    submit(hub, id, live, |live| Ok(live.list()?.into_iter().map(LiveListedFacts::from).collect::<Vec<_>>()))
}

/// Whether a result holds.
#[napi(object, object_from_js = false)]
pub struct LiveWhyFacts {
    pub holds: bool,
    pub text: String,
    pub input: Option<InputFacts>,
    pub upstream: Option<String>,
}

impl From<LiveWhy> for LiveWhyFacts {
    fn from(why: LiveWhy) -> LiveWhyFacts {
        LiveWhyFacts {
            holds: why.holds,
            text: why.text,
            input: why.input.map(InputFacts::from),
            upstream: why.upstream.map(|key| key.to_string()),
        }
    }
}

/// Whether a result holds, and what decides that.
#[napi]
pub fn live_why(hub: &External<Hub>, id: u32, live: &External<Live>, key: String) -> napi::Result<()> {
    submit(hub, id, live, move |live| live.why(&LiveKey::parse(&key)?).map(LiveWhyFacts::from))
}
