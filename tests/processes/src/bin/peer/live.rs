//! What the Rust peer does with derived results.

use super::{Peer, data, hex};
use forebay::{Code, Derived, Error, Failure, Input, Live, LiveKey, Lookup, Result};
use serde_json::{Value as Json, json};

/// Opens them at the first request, below the workspace beside the root.
fn open(peer: &mut Peer) -> Result<&Live> {
    let live = match peer.live.take() {
        Some(live) => live,
        None => peer.cache.live()?.workspace(peer.root.with_file_name("work"))?,
    };
    Ok(peer.live.insert(live))
}

pub(crate) fn answer(peer: &mut Peer, request: &Json) -> Result<Json> {
    let op = request["op"].as_str().unwrap_or_default();
    let key = || LiveKey::parse(request["key"].as_str().unwrap_or_default());
    let live = open(peer)?;
    match op {
        "live_key" => {
            let key = LiveKey::from_bytes(request["text"].as_str().unwrap_or_default().as_bytes());
            Ok(json!({"key": key.to_string()}))
        }
        "live_get" => get(live, &key()?, request),
        "live_lookup" => {
            let found = match request["revalidate"].as_bool() {
                Some(true) => live.lookup_revalidate(&key()?)?,
                _ => live.lookup(&key()?)?,
            };
            Ok(match found {
                Lookup::Hit(found) => {
                    let mut answer = shown(&found);
                    answer["outcome"] = json!("hit");
                    answer
                }
                Lookup::Miss => json!({"outcome": "miss"}),
                Lookup::Invalidated => json!({"outcome": "invalidated"}),
            })
        }
        "live_why" => {
            let why = live.why(&key()?)?;
            Ok(json!({
                "holds": why.holds,
                "input": why.input.map(|input| input.to_string()),
                "upstream": why.upstream.map(|key| key.to_string()),
            }))
        }
        "live_tag" => {
            let removed = live.invalidate_tag(request["name"].as_str().unwrap_or_default())?;
            Ok(json!({ "removed": removed }))
        }
        other => Err(Error::new(Code::Invalid, format!("a peer has no op {other:?}"))),
    }
}

fn get(live: &Live, key: &LiveKey, request: &Json) -> Result<Json> {
    let texts = |name: &str| request[name].as_array().into_iter().flatten().filter_map(Json::as_str);
    let inputs = texts("inputs").map(Input::parse).collect::<Vec<_>>();
    let upstreams = texts("upstreams").map(LiveKey::parse).collect::<Result<Vec<_>>>()?;
    let kind = request["kind"].as_str().unwrap_or_default();
    let bytes = data(request)?;
    live.get_or_compute(key, &inputs, &upstreams, kind, |_| Ok::<_, Failure>(bytes))
        .map(|found| shown(&found))
}

fn shown(found: &Derived) -> Json {
    json!({
        "hex": hex(found.data()),
        "how": found.how().as_str(),
        "kind": found.kind(),
        "inputs": found.inputs().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "upstreams": found.upstreams().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "error": found.error().map(|error| error.code().as_str()),
    })
}
