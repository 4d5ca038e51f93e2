"""What each pair of writer and reader has to do. The cases of a pair share one root and two running peers, in the
order of ALL; each has keys of its own."""

import json
import os
import time

from peers import Problem

HOUR = 3_600_000
BINARY = bytes(range(256)).hex() + "00ff" * 100
KEYS = ["api/models", "../../etc", "con/NUL.txt", "A/Ünï 🦀", "a/b/c", "t/" + "é" * 150]


def same(found, **wanted):
    """Asserts that the answer has these fields with these values."""
    for name, want in wanted.items():
        have = found.get(name, "(missing)")
        assert have == want, f"expected {name} {want!r}, found {have!r}"


def read(peer, key, ttl_ms=HOUR):
    return peer.ask(op="read", key=key, ttl_ms=ttl_ms)


def put(peer, key, data, validator=None):
    return peer.ask(op="put", key=key, hex=data, validator=validator, ttl_ms=HOUR)


def acquire(peer, key, deadline_ms=60_000):
    return peer.ask(op="acquire", key=key, deadline_ms=deadline_ms)


def values(writer, reader):
    """bytes, validator and version of what was put, under odd names, then put again"""
    for number, key in enumerate(KEYS):
        validator = f'W/"{number}"' if number % 2 else None
        for data in (BINARY, "", "6f6e65"):
            version = put(writer, key, data, validator)["version"]
            same(read(reader, key), hex=data, state="fresh", validator=validator, version=version, error=None)
    assert sorted(reader.ask(op="list")["keys"]) == sorted(writer.ask(op="list")["keys"]) == sorted(KEYS)


def large(writer, reader):
    """a value of 300 kB"""
    data = os.urandom(300_000).hex()
    put(writer, "api/large", data)
    same(read(reader, "api/large"), hex=data, state="fresh")


def states(writer, reader):
    """stale by ttl, stale by notice, removed"""
    put(writer, "api/states", "01")
    same(read(reader, "api/states", ttl_ms=0), hex="01", state="stale")
    writer.ask(op="mark_stale", key="api/states")
    same(read(reader, "api/states"), hex="01", state="stale", phase="idle")
    put(writer, "api/states", "02")
    same(read(reader, "api/states"), hex="02", state="fresh")
    same(writer.ask(op="remove", key="api/states"), removed=True)
    same(read(reader, "api/states"), hex=None, state="absent", validator=None)
    same(reader.ask(op="remove", key="api/states"), removed=False)


def leases(writer, reader):
    """a lease in force is in flight for the other, and its result is read"""
    same(acquire(writer, "api/leases"), outcome="ticket")
    same(acquire(reader, "api/leases"), outcome="in_flight")
    same(reader.ask(op="state", key="api/leases"), phase="running", error=None, holder=writer.holder())
    version = writer.ask(op="complete", hex=BINARY, validator=None)["version"]
    same(read(reader, "api/leases"), hex=BINARY, state="fresh", version=version)
    same(reader.ask(op="state", key="api/leases"), phase="idle", holder=None)


def validators(writer, reader):
    """a lease's result with its validator"""
    if not writer.can_commit_validators:
        put(writer, "api/validators", "03", '"e3"')
    else:
        same(acquire(writer, "api/validators"), outcome="ticket")
        writer.ask(op="complete", hex="03", validator='"e3"')
    same(read(reader, "api/validators"), hex="03", validator='"e3"', state="fresh")


def gates(writer, reader):
    """a failure in one gates the other, with its code, text and end"""
    same(acquire(writer, "api/gates"), outcome="ticket")
    wanted = writer.fail("rate_limited", "slow down", 60_000)
    ours, theirs = (peer.ask(op="state", key="api/gates") for peer in (writer, reader))
    same(theirs, attempts=1, **wanted)
    same(theirs, error=ours["error"], message=ours["message"])
    if wanted["declared"]:
        # A guessed gate is too short to be met for certain.
        same(theirs, phase="cooling", retry_at_ms=ours["retry_at_ms"])
        same(acquire(reader, "api/gates"), outcome="gated")


def joined(writer, reader):
    """who waits for the other's refresh gets its result"""
    same(acquire(writer, "api/joined"), outcome="ticket")
    answer = reader.ask_later(op="get", key="api/joined", ttl_ms=HOUR, hex="ff")
    writer.ask(op="complete", hex="0a", validator=None)
    found = answer()
    same(found, hex="0a")
    assert found["how"] in ("coalesced", "fresh"), found


def usage(number):
    """Data that a parser which rounds or sorts would change."""
    return f'{{"z":{number},"a":[1.50,"größe \\u20ac",null],"n":12345678901234567890}}'


def resolve(peer, name, data=None, status=None, retry_after=None, identity=None, credential="token-1"):
    return peer.ask(
        op="quota_resolve", name=name, identity=identity, credential=credential,
        json=data, status=status, retry_after=retry_after,
    )  # fmt: skip


def look(peer, name, identity=None):
    return peer.ask(op="quota_read", name=name, identity=identity)


def refused(wanted, ask, *arguments, **more):
    """Asserts that the request fails with that code; its text."""
    try:
        found = ask(*arguments, **more)
    except Problem as why:
        assert why.code == wanted, f"expected {wanted}, found {why}"
        return str(why)
    raise AssertionError(f"expected {wanted}, found {found}")


def quotas(writer, reader):
    """a quota's record: its data to the letter, its time, and whose it is"""
    for name, identity in (("usage", None), ("usage", "alice"), ("Ünï/..", "日本")):
        data = usage(len(name))
        same(resolve(writer, name, data, identity=identity), json=data, how="ran", error=None, retry_at_ms=None)
        ours, theirs = look(writer, name, identity), look(reader, name, identity)
        same(theirs, json=data, state="fresh", blocked_until_ms=None, error=None)
        same(theirs, cached_at_ms=ours["cached_at_ms"])
        same(resolve(reader, name, usage(0), identity=identity), json=data, how="fresh")
    same(look(reader, "usage", "bob"), json=None)
    keys = sorted(writer.ask(op="quotas")["keys"])
    assert sorted(reader.ask(op="quotas")["keys"]) == keys and len(keys) == 3, keys
    same(reader.ask(op="quota_clear", name="usage", identity="alice"), cleared=True)
    same(look(writer, "usage", "alice"), json=None)
    same(writer.ask(op="quota_clear", name="usage", identity="alice"), cleared=False)


def quota_gates(writer, reader):
    """a rate limit, a block by hand, and a refused credential hold the other, and are told to it"""
    refused("rate_limited", resolve, writer, "limited", status=429, retry_after="3600")
    ours, theirs = look(writer, "limited"), look(reader, "limited")
    same(theirs, json=None, error="rate_limited", declared=True, attempts=1)
    same(theirs, blocked_until_ms=ours["blocked_until_ms"], message=ours["message"])
    refused("rate_limited", resolve, reader, "limited", usage(1), credential="another")
    same(look(writer, "limited"), json=None)
    until = writer.ask(op="quota_block", name="blocked", identity=None, for_ms=HOUR, code="rate_limited", message="später")
    same(look(reader, "blocked"), blocked_until_ms=until["until_ms"], error="rate_limited", message="später", declared=True)
    assert "später" in refused("rate_limited", resolve, reader, "blocked", usage(1))
    same(reader.ask(op="quota_clear", name="blocked", identity=None), cleared=True)
    same(look(writer, "blocked"), blocked_until_ms=None)
    refused("unauthorized", resolve, writer, "refused", status=401, credential="old")
    refused("unauthorized", resolve, reader, "refused", usage(1), credential="old")
    same(resolve(reader, "refused", usage(2), credential="new"), json=usage(2), how="ran")
    same(look(writer, "refused"), json=usage(2), blocked_until_ms=None)


def rotate(peer, key, data, seen=None, code=None):
    return peer.ask(op="rotate", key=key, seen=seen, hex=data, code=code, message="no answer")


def credentials(writer, reader):
    """a rotated credential: its bytes, its version, and who exchanged it"""
    key = "oauth/github"
    first = rotate(writer, key, BINARY)
    same(first, hex=BINARY, how="ran", previous=None)
    same(reader.ask(op="rotate_current", key=key), hex=BINARY, version=first["version"])
    second = rotate(reader, key, "0102", seen=first["version"])
    same(second, hex="0102", how="ran", previous=BINARY)
    assert second["version"] != first["version"]
    same(rotate(writer, key, "ff", seen=first["version"]), hex="0102", how="coalesced", previous=None, version=second["version"])
    for peer in (writer, reader):
        if peer.shows_rotations:
            found = peer.ask(op="rotate_state", key=key)
            same(found, phase="idle", ambiguous_since_ms=None, error=None, version=second["version"])


def ambiguity(writer, reader):
    """a credential that may be spent: told to all, exchanged by nobody, until a new login"""
    key = "github"
    first = rotate(writer, key, "6f6c64")
    refused("ambiguous", rotate, writer, key, None, seen=first["version"], code="timed_out")
    refused("ambiguous", rotate, reader, key, "ff", seen=first["version"])
    since = {peer: peer.ask(op="rotate_state", key=key) for peer in (writer, reader) if peer.shows_rotations}
    for found in since.values():
        same(found, version=first["version"])
    assert None not in {found["ambiguous_since_ms"] for found in since.values()}, since
    assert len({found["ambiguous_since_ms"] for found in since.values()}) < 2, since
    login = reader.ask(op="rotate_reset", key=key, hex="6e6577")["version"]
    same(writer.ask(op="rotate_current", key=key), hex="6e6577", version=login)
    same(rotate(writer, key, "6e657874", seen=login), hex="6e657874", how="ran", previous="6e6577")
    same(writer.ask(op="rotate_reset", key=key, hex=None), version=None)
    same(reader.ask(op="rotate_current", key=key), hex=None, version=None)


def told(value):
    """A value as JSON in the one spelling that equal values have, which is what a key is made of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def live_key(peer, value):
    text = value if isinstance(value, str) else told(value)
    return peer.ask(op="live_key", text=text, of=value)["key"]


def derive(peer, key, data, *inputs, upstreams=()):
    return peer.ask(op="live_get", key=key, hex=data, kind=peer.kind, inputs=list(inputs), upstreams=list(upstreams))


def lookup(peer, key, revalidate=False):
    return peer.ask(op="live_lookup", key=key, revalidate=revalidate)


def shown(maker, looker, data):
    """What one sees of bytes that the other computed: the command keeps a run's standard error before its output."""
    envelope = b'{"status":0,"stderr":""}\n'.hex()
    return envelope + data if maker.keeps_envelopes and not looker.keeps_envelopes else data


def written(peer, name, text):
    """Writes a file of the workspace, which all peers of a pair share."""
    path = peer.work / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def live_keys(writer, reader):
    """the key of equal JSON values is the same, in whatever order their names are"""
    inner = {"\uff5e": 'a "\\/\n\t\x1f', "🦀": "€ü", "Z": 9007199254740991, "a": ""}
    numbers = [0, -25, 2**53, 1.5, 0.1, -0.00025, 1.5e300]
    value = {"tool": "grep", "b": [*numbers, None, True, False, [], {}], "a": inner}
    turned = {"a": dict(reversed(inner.items())), "b": value["b"], "tool": "grep"}
    key = live_key(writer, value)
    assert len(key) == 64 and live_key(reader, turned) == key, "equal values have other keys"
    assert live_key(writer, "Ünï") == live_key(reader, "Ünï") != key


def derived(writer, reader):
    """a derived result: its bytes, kind, inputs and upstream, found by the other without computing"""
    written(writer, "notes.txt", "one")
    written(writer, "src/deep/a.txt", "two")
    below, key = (live_key(writer, ["derived", name]) for name in ("below", "key"))
    same(lookup(reader, key), outcome="miss")
    same(derive(writer, below, "00", "file:notes.txt"), how="ran", error=None)
    inputs, upstreams = ["file:notes.txt", "glob:src/**/*.txt"], [below] if writer.builds_on else []
    for data in (BINARY, os.urandom(100_000).hex()):
        same(derive(writer, key, data, *inputs, upstreams=upstreams), how="ran", error=None)
        kept = {"hex": shown(writer, reader, data), "kind": writer.kind, "inputs": inputs, "upstreams": upstreams}
        for revalidate in (False, True):
            same(lookup(reader, key, revalidate), outcome="hit", **kept)
        if reader.builds_on or not upstreams:
            same(derive(reader, key, "ff", *inputs, upstreams=upstreams), how="fresh", error=None, **kept)
        same(reader.ask(op="live_why", key=key), holds=True)
        written(writer, "src/deep/a.txt", data[:64])


def gone(peer, key):
    """Asserts that a look at its inputs ends the result, and is told so once."""
    if peer.ends_by_looking:
        same(lookup(peer, key, revalidate=True), outcome="invalidated")
    same(lookup(peer, key, revalidate=True), outcome="miss")


def edits(writer, reader):
    """an edited file ends a result, and what is built on it, for both; who computes it anew is found by the other"""
    written(writer, "edited", "one")
    written(writer, "more/a.txt", "one")
    below, key = (live_key(writer, ["edits", name]) for name in ("below", "key"))
    same(derive(writer, below, "01", "file:edited"), how="ran")
    upstreams = [below] if writer.builds_on else []
    inputs = ["glob:more/*.txt"] if upstreams else ["file:edited", "glob:more/*.txt"]
    same(derive(writer, key, "02", *inputs, upstreams=upstreams), how="ran")
    same(lookup(reader, key), outcome="hit")
    written(reader, "edited", "two")
    same(reader.ask(op="live_why", key=key), holds=False, input="file:edited", upstream=below if upstreams else None)
    gone(reader, below)
    same(derive(reader, below, "03", "file:edited"), how="ran")
    kept = {"hex": shown(reader, writer, "03"), "kind": reader.kind, "inputs": ["file:edited"], "upstreams": []}
    same(derive(writer, below, "ff", "file:edited"), how="fresh", **kept)
    same(lookup(writer, below), outcome="hit", **kept)
    for peer in (writer, reader):
        assert lookup(peer, key, revalidate=True)["outcome"] != "hit", "what was built on it is still there"
    same(derive(writer, key, "04", *inputs, upstreams=upstreams), how="ran")
    written(writer, "more/b.txt", "another that matches")
    same(reader.ask(op="live_why", key=key), holds=False, input="glob:more/*.txt", upstream=None)
    gone(reader, key)
    same(lookup(writer, below, revalidate=True), outcome="hit")


def tags(writer, reader):
    """a tag that one invalidates ends what has it, and what is built on that, in the other at once"""
    for one, other, name in ((writer, reader, "schema"), (reader, writer, "Ünï v2")):
        key, built = (live_key(one, ["tags", name, what]) for what in ("key", "built"))
        same(derive(one, key, "01", f"tag:{name}"), how="ran")
        ended = [key]
        if one.builds_on:
            same(derive(one, built, "02", upstreams=[key]), how="ran")
            ended.append(built)
        for peer in (one, other):
            for each in ended:
                same(lookup(peer, each), outcome="hit")
        same(other.ask(op="live_tag", name=name), removed=1)
        for peer in (one, other):
            for each in ended:
                same(lookup(peer, each), outcome="miss")
        same(derive(other, key, "03", f"tag:{name}"), how="ran")
        same(derive(one, key, "ff", f"tag:{name}"), how="fresh", hex=shown(other, one, "03"), inputs=[f"tag:{name}"])


def killed(writer, reader):
    """a killed writer is replaced at once, and what was there stays"""
    put(reader, "api/killed", "05")
    same(acquire(writer, "api/killed"), outcome="ticket")
    writer.kill()
    same(read(reader, "api/killed", ttl_ms=0), hex="05", state="stale")
    begun = time.monotonic()
    same(reader.ask(op="get", key="api/killed", ttl_ms=0, hex="06"), hex="06", how="ran")
    assert time.monotonic() - begun < 10, "it was not replaced at once"


ALL = [
    values, large, states, leases, validators, gates, joined,
    quotas, quota_gates, credentials, ambiguity,
    live_keys, derived, edits, tags, killed,
]  # fmt: skip
