"""What each pair of writer and reader has to do. The cases of a pair share one root and two running peers, in the
order of ALL; each has keys of its own."""

import os
import time

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


def killed(writer, reader):
    """a killed writer is replaced at once, and what was there stays"""
    put(reader, "api/killed", "05")
    same(acquire(writer, "api/killed"), outcome="ticket")
    writer.kill()
    same(read(reader, "api/killed", ttl_ms=0), hex="05", state="stale")
    begun = time.monotonic()
    same(reader.ask(op="get", key="api/killed", ttl_ms=0, hex="06"), hex="06", how="ran")
    assert time.monotonic() - begun < 10, "it was not replaced at once"


ALL = [values, large, states, leases, validators, gates, joined, killed]
